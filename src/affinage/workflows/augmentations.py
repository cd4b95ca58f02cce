"""The verb `augmentations`: a sheet of before and after, and which changes keep the label."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from affinage.datasets.targets import for_task, read_targets
from affinage.errors import DataError
from affinage.imaging.augment import augment, generator
from affinage.imaging.batches import Item, read
from affinage.imaging.decode import decode
from affinage.imaging.trials import TRIALS
from affinage.models.build import build_backbone, stack
from affinage.models.classifier import Classifier
from affinage.models.process import usable_cores
from affinage.records.augmentation import AugmentationsResult, AugmentationTrial
from affinage.records.manifest import Manifest
from affinage.records.recipe import Recipe
from affinage.records.task import task_named
from affinage.reporting.augmentation_report import Shown, augmentation_report
from affinage.reporting.html import to_html
from affinage.store.files import write_text
from affinage.workflows.label_trials import try_changes
from affinage.workflows.opened import open_data
from affinage.workflows.places import place
from affinage.workflows.recipes import resolve_recipe
from affinage.workflows.reporter import Lines, Reporter
from affinage.workflows.session import make_engine
from affinage.workflows.trained import load_trained

MOST = 400
SHOWN, VIEWS = 6, 5


def augmentations(
    source: str | Path | Sequence[str | Path],
    *,
    recipe: Recipe | str | Path | Mapping[str, Any] | None = None,
    settings: Iterable[str] | Mapping[str, Any] = (),
    run: str | Path | None = None,
    data: str | Path | None = None,
    n: int = 240,
    into: str | Path | None = None,
    reporter: Reporter | None = None,
) -> AugmentationsResult:
    """Show a recipe's augmentation on real images, and try which changes keep their label.

    Args:
        source: As for `train`.
        recipe: Whose `augment` section is shown.
        settings: `key=value`, or a mapping, laid over it.
        run: A run whose model's features judge, on its validation and test images; the frozen
            backbone's, by default. Heads are fitted on them, and none judges what it has learnt from.
        data: The data set's folder.
        n: How many images are tried at most, 30 to 400, the same number of each class.
        into: File of the page; `augmentations.html` in the data set's folder by default.
        reporter: Told of progress.

    Raises:
        AffinageError: If images or settings cannot be used.
    """
    if not 30 <= n <= MOST:
        raise DataError(f"{n} images cannot be tried.", remedy=f"Ask for 30 to {MOST}: -n 240")
    start, told = time.monotonic(), reporter or Lines()
    resolved = resolve_recipe(recipe, settings)
    sources = [Path(one) for one in ([source] if isinstance(source, (str, Path)) else source)]
    opened = open_data(
        sources,
        Path(data) if data is not None else None,
        reporter=told,
        threads=usable_cores(),
        beside=Path(),
        classes_needed=1,
        counts=resolved.count.columns,
    )
    manifest = for_task(opened.manifest, task_named(resolved.task))
    model, judge_name = _judge(resolved, run)
    trials: tuple[AugmentationTrial, ...] = ()
    if resolved.task == "classify" and len(manifest.label_order) > 1:
        trials = _tried(manifest, resolved, model, run, n, told)
    page = Path(into) if into is not None else opened.dataset.path / "augmentations.html"
    shown = _shown(manifest, model, resolved)
    result = AugmentationsResult(
        data=opened.dataset.name,
        images=trials[0].before.n if trials else 0,
        judge=judge_name,
        trials=trials,
        sheet=str(page),
        seconds=round(time.monotonic() - start, 3),
    )
    write_text(page, to_html(augmentation_report(result, shown, resolved.augment)))
    return result


def _judge(recipe: Recipe, run: str | Path | None) -> tuple[Classifier, str]:
    if run is not None:
        return load_trained(run).model, f"heads on the features of the run {Path(run).name}"
    backbone = build_backbone(recipe.model, seed=recipe.seed)
    return stack(backbone, classes=2), f"heads on the frozen features of {backbone.name}"


def _tried(
    manifest: Manifest, recipe: Recipe, model: Classifier, run: str | Path | None, n: int,
    told: Reporter,
) -> tuple[AugmentationTrial, ...]:  # fmt: skip
    items, labels, classes = _chosen(manifest, recipe, run, n)
    told.say(f"trying {len(TRIALS)} changes on {len(items)} images")
    trials = []
    for trial in try_changes(items, labels, classes, model, make_engine(recipe)):
        trials.append(trial)
        told.phase("changes tried", len(trials), len(TRIALS))
    order = (
        "mixes classes up",
        "costs accuracy",
        "hard to tell",
        "keeps the label",
        "too few images",
    )
    return tuple(sorted(trials, key=lambda one: order.index(one.verdict)))


def _chosen(
    manifest: Manifest, recipe: Recipe, run: str | Path | None, n: int
) -> tuple[list[Item], NDArray[np.int64], tuple[str, ...]]:
    """Return the images to try: of each class the same number; ids are hashes, so the first are a sample."""
    targets = read_targets(manifest, task_named(recipe.task))
    classes, allowed = targets.names, frozenset(targets.images)
    if run is not None:
        trained = load_trained(run)
        classes = trained.card.classes
        known = trained.folder.data()
        allowed = (known[1].validation | known[1].test) - known[1].train if known else allowed
    index = {label: number for number, label in enumerate(classes)}
    rows = manifest.kept.sort("source", "path").unique("image", keep="first", maintain_order=True)
    per_class, taken = max(5, n // len(classes)), dict.fromkeys(index, 0)
    items, labels = [], []
    for image, source, path, label in (
        rows.sort("image").select("image", "source", "path", "label").iter_rows()
    ):
        if image in allowed and label in index and taken[label] < per_class:
            taken[label] += 1
            items.append(Item(image=image, path=place(manifest, source, path)))
            labels.append(index[label])
    if not items:
        raise DataError(
            "None of these images is one that the run has not learnt from.",
            remedy="Give the run's own data set, or leave --run out.",
        )
    return items, np.array(labels, dtype=np.int64), classes


def _shown(manifest: Manifest, model: Classifier, recipe: Recipe) -> tuple[Shown, ...]:
    """Return a few images as they are and as a training would see them."""
    rows = manifest.kept.sort("image").unique("image", keep="first", maintain_order=True)
    step = max(1, rows.height // SHOWN)
    shown = []
    for image, source, path, label in (
        rows.select("image", "source", "path", "label")[::step].head(SHOWN).iter_rows()
    ):
        item = Item(image=image, path=place(manifest, source, path))
        pixels = decode(read(item)).pixels
        views = tuple(
            _picture(
                augment(
                    pixels,
                    model.preprocessing,
                    recipe.augment,
                    generator(recipe.seed, epoch, image),
                )
            )
            for epoch in range(VIEWS)
        )
        shown.append(
            Shown(name=f"{label or ''} {path}".strip(), before=_small(pixels), views=views)
        )
    return tuple(shown)


def _small(pixels: NDArray[np.uint8]) -> bytes:
    height, width = pixels.shape[:2]
    scale = min(1.0, 224 / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return _picture(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)))


def _picture(view: NDArray[np.uint8]) -> bytes:
    """Return a view as JPEG, which carries no metadata of the user's file."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(view, cv2.COLOR_RGB2BGR))
    return bytes(data)
