import json
import re
import shutil
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
import torch

import affinage
from affinage.errors import AffinageError, DataError, ModelError, RecipeError, RunError
from affinage.inference import forward
from affinage.records.recipe_text import load_recipe
from affinage.workflows.recipes import resolve_recipe
from affinage.workflows.reporter import Silent
from real_digits import SMALL, write_digits

RUN_FILES = {
    "checkpoints",
    "confusion.csv",
    "data.json",
    "environment.json",
    "evaluation.json",
    "events.jsonl",
    "findings.json",
    "layers.json",
    "manifest.parquet",
    "model.json",
    "predictions.parquet",
    "recipe.yaml",
    "report.html",
    "run.json",
    "seconds.json",
    "signals.json",
    "split.parquet",
    "stages.json",
    "tensorboard",
}


def train(source, folder, *settings, **options):
    return affinage.train(
        source,
        data=options.pop("data", folder / "data"),
        output=options.pop("output", folder / "run"),
        settings=[*SMALL, *settings],
        reporter=Silent(),
        **options,
    )


def numbers(run):
    """Everything of a result that must not depend on when it was computed."""
    record = run.record
    return (
        record.evaluations,
        [(stage.name, stage.kept, stage.facts) for stage in record.stages],
        record.split,
        record.model,
        record.choice,
    )


def test_a_run_has_its_files_and_its_results(trained):
    present = {path.name for path in trained.path.iterdir() if not path.name.startswith(".")}
    assert present == RUN_FILES
    record = trained.record
    assert record.split["train"] + record.split["validation"] + record.split["test"] == 60
    assert [stage.name for stage in record.stages] == ["features", "finetune"]
    assert sum(stage.kept for stage in record.stages) == 1
    assert record.evaluations["test"].n == record.split["test"]
    assert record.evaluations["test"].baselines.keys() == {"largest_class", "nearest_neighbour"}
    assert record.goal.verdict in ("met", "not met", "too few images to say")


def test_confusions_are_a_table_that_agrees_with_the_predictions(trained):
    table = pl.read_csv(trained.path / "confusion.csv", schema_overrides={"class": pl.Utf8})
    assert table.columns == ["part", "class", "true", "predicted", "images"]
    rows = pl.read_parquet(trained.path / "predictions.parquet")
    for part, evaluation in trained.evaluation.items():
        own = table.filter(pl.col("part") == part)
        right = own.filter(pl.col("true") == pl.col("predicted"))["images"].sum()
        said = rows.filter(pl.col("part") == part)
        assert own["images"].sum() == evaluation.n == said.height
        assert right == (said["label"] == said["predicted"]).sum()


def test_the_stacked_model_is_proved_equal_to_the_head_on_features(trained):
    finetune = trained.record.stages[1]
    assert finetune.facts["parity_images"] > 0
    assert finetune.facts["parity_max_abs_difference"] < 1e-3


def test_frozen_batchnorm_is_proved_unmoved(trained):
    assert trained.record.stages[1].facts["frozen_tensors_unmoved"] > 100


def test_curves_compare_train_and_validation_in_the_same_mode(trained):
    on = {point.on for point in trained.record.signals.points if point.stage == "finetune"}
    assert {"train (running)", "train (evaluation mode)", "validation"} <= on


def test_the_resolved_recipe_reproduces_the_run(trained, digits, tmp_path):
    again = affinage.train(
        digits,
        data=tmp_path / "data",
        output=tmp_path / "again",
        recipe=trained.path / "recipe.yaml",
        reporter=Silent(),
    )
    assert numbers(again) == numbers(trained)


def test_the_test_part_is_looked_at_once_a_run_and_every_look_is_told(digits, tmp_path):
    first = train(digits, tmp_path, "seed=1", stages="features")
    second = train(digits, tmp_path, "seed=2", stages="features", output=tmp_path / "second")
    assert len(first.record.looks) == 1
    assert [look.run for look in second.record.looks] == ["run", "second"]
    assert any(item.code == "test-part-seen-before" for item in second.record.findings)


def test_features_are_computed_once(digits, tmp_path, monkeypatch):
    train(digits, tmp_path, stages="features")
    calls = []
    compute = forward._forward
    monkeypatch.setattr(forward, "_forward", lambda *given: calls.append(given) or compute(*given))
    train(digits, tmp_path, stages="features", output=tmp_path / "again")
    assert calls == []


def test_the_users_folder_is_only_read(digits, tmp_path):
    copy = tmp_path / "photos"
    shutil.copytree(digits, copy)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in copy.rglob("*")}
    train(copy, tmp_path, stages="features")
    assert {
        path: (path.stat().st_mtime_ns, path.stat().st_size) for path in copy.rglob("*")
    } == before


def test_a_place_inside_the_users_folder_is_refused(digits, tmp_path):
    with pytest.raises(DataError, match="only read"):
        train(digits, tmp_path, output=digits / "run")


def test_old_images_stay_in_their_part_when_new_ones_come(tmp_path):
    photos = write_digits(tmp_path / "photos", classes=2, per_class=12)
    first = train(photos, tmp_path, stages="features")
    parts = dict(pl.read_parquet(first.path / "split.parquet").iter_rows())
    write_digits(photos, classes=3, per_class=20)
    second = train(photos, tmp_path, stages="features", output=tmp_path / "second")
    later = dict(pl.read_parquet(second.path / "split.parquet").iter_rows())
    assert all(later[image] == part for image, part in parts.items())
    assert len(later) == 60


def test_an_interrupted_run_ends_with_the_same_numbers(digits, tmp_path, monkeypatch):
    whole = train(digits, tmp_path, data=tmp_path / "data1", output=tmp_path / "a" / "run")
    from affinage.training import finetune

    taken = 0
    original = finetune.training_steps

    def interrupted(*given, **named):
        nonlocal taken
        for step in original(*given, **named):
            taken += 1
            if taken == 4:
                raise KeyboardInterrupt
            yield step

    monkeypatch.setattr(finetune, "training_steps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(digits, tmp_path, data=tmp_path / "data2", output=tmp_path / "b" / "run")
    monkeypatch.undo()
    resumed = affinage.train(resume=tmp_path / "b" / "run", reporter=Silent())
    assert numbers(resumed) == numbers(whole)


def test_a_run_goes_on_with_as_many_threads_as_it_began_with(digits, tmp_path, monkeypatch):
    from affinage.training import finetune
    from affinage.workflows import train as verb

    seen = []
    original = finetune.training_steps

    def interrupted(*given, **named):
        seen.append((named["threads"], torch.get_num_threads()))
        if len(seen) == 1:
            raise KeyboardInterrupt
        return original(*given, **named)

    before = torch.get_num_threads()
    monkeypatch.setattr(finetune, "training_steps", interrupted)
    monkeypatch.setattr(verb, "usable_cores", lambda: 3)
    with pytest.raises(KeyboardInterrupt):
        train(digits, tmp_path)
    monkeypatch.setattr(verb, "usable_cores", lambda: 1)
    affinage.train(resume=tmp_path / "run", reporter=Silent())
    torch.set_num_threads(before)
    assert set(seen) == {(3, 3)}


def test_a_killed_run_ends_with_the_same_numbers(digits, tmp_path):
    settings = [part for setting in SMALL for part in ("--set", setting)]
    command = [sys.executable, "-m", "affinage", "train", str(digits), *settings]
    process = subprocess.Popen(
        [*command, "--data", str(tmp_path / "d"), "--output", str(tmp_path / "k" / "run")],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    checkpoint = tmp_path / "k" / "run" / "checkpoints" / "finetune-best.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = affinage.train(resume=tmp_path / "k" / "run", reporter=Silent())
    whole = train(digits, tmp_path, data=tmp_path / "d2", output=tmp_path / "w" / "run")
    assert numbers(resumed) == numbers(whole)


def test_two_processes_do_not_share_a_run(trained):
    from affinage.store.run_folder import RunFolder

    first, second = RunFolder(trained.path), RunFolder(trained.path)
    with first.locked(), pytest.raises(RunError, match="Another process"), second.locked():
        pass


def test_a_finished_run_stays_as_it_is_when_resumed(trained):
    before = (trained.path / "evaluation.json").stat().st_mtime_ns
    affinage.train(resume=trained.path, reporter=Silent())
    assert (trained.path / "evaluation.json").stat().st_mtime_ns == before


def test_a_run_is_not_written_over(digits, trained):
    with pytest.raises(RunError, match="not empty"):
        affinage.train(
            digits, output=trained.path, data=trained.path.parent / "data", reporter=Silent()
        )


def test_a_run_can_be_moved(trained, tmp_path, digits):
    moved = tmp_path / "été 2026" / "my run"
    shutil.copytree(trained.path, moved)
    image = next(digits.glob("0/*.png"))
    assert affinage.predict(moved, image) == trained.predict(image)
    assert affinage.show(moved).evaluations == trained.record.evaluations


def test_a_closed_set_is_a_memory_test(tmp_path):
    photos = write_digits(tmp_path / "photos", classes=5, per_class=1)
    run = train(photos, tmp_path, closed_set=True)
    record = run.record
    assert record.closed_set
    assert record.evaluations["validation"].memory_test
    assert record.evaluations["validation"].accuracy.value == 1.0
    assert record.split == {"train": 5, "validation": 5, "test": 0}
    codes = {finding.code for finding in record.findings}
    assert not codes & {"no-test-part", "small-classes", "tiny-class"}


def test_finetuning_alone_starts_from_random_weights_on_request(digits, tmp_path):
    run = train(
        digits, tmp_path, "model.pretrained=false", "model.backbone=mobilenetv3_small_050",
        "finetune.batchnorm=adapt", stages="finetune",
    )  # fmt: skip
    first = next(
        point for point in run.record.signals.points
        if point.series == "loss" and point.on == "validation" and point.epoch == 0
    )  # fmt: skip
    assert first.value == pytest.approx(1.0986, abs=1e-3)  # ln 3: the random guess.


def test_groups_stay_together(digits, tmp_path):
    paths = sorted(digits.glob("*/*.png"))
    rows = [
        {
            "path": str(path.relative_to(digits)),
            "label": path.parent.name,
            "slide": f"s{index % 12}",
        }
        for index, path in enumerate(paths)
    ]
    copy = tmp_path / "photos"
    shutil.copytree(digits, copy)
    pl.DataFrame(rows).write_csv(copy / "table.csv")
    run = train(copy / "table.csv", tmp_path, group="slide", stages="features")
    parts = dict(pl.read_parquet(run.path / "split.parquet").iter_rows())
    manifest = pl.read_parquet(run.path / "manifest.parquet")
    by_slide = {}
    for image, slide in manifest.select("image", "slide").iter_rows():
        by_slide.setdefault(slide, set()).add(parts[image])
    assert all(len(found) == 1 for found in by_slide.values())


def test_a_budget_that_is_too_short_still_gives_a_model(tmp_path):
    photos = write_digits(tmp_path / "photos", classes=3, per_class=150)
    run = affinage.train(
        photos, data=tmp_path / "data", output=tmp_path / "run", budget="6s", reporter=Silent(),
        settings=["augment.horizontal_flip=false"],
    )  # fmt: skip
    record = run.record
    assert record.evaluations["validation"].n > 0
    assert {item.code for item in record.findings} & {"finetune-skipped", "budget-subset"}


def test_a_budgets_plan_is_frozen_into_the_recipe(digits, tmp_path):
    run = train(digits, tmp_path, budget="10m")
    assert load_recipe((run.path / "recipe.yaml").read_text()).finetune.steps is not None


def test_a_report_tells_what_the_doctor_says_of_the_training(trained):
    text = (trained.path / "report.html").read_text()
    assert "The training, examined" in text
    assert "affinage doctor" in text


def test_reports_hold_no_absolute_path(trained):
    text = (trained.path / "report.html").read_text()
    assert str(trained.path.parent) not in text
    assert not re.search(r"(?<![\w<])/(home|root|tmp|work)/", text)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"settings": ["optimzer.lr=1"]}, RecipeError),
        ({"goal": "beauty >= 1"}, RecipeError),
        ({"budget": "soon"}, RecipeError),
        ({"task": "guess"}, RecipeError),
        ({"recipe": "none.yaml"}, RecipeError),
        ({"settings": ["model.backbone=resnet_50"]}, ModelError),
        ({"group": "slide"}, DataError),
        ({"settings": ["compute.device=cuda:7"]}, ModelError),
    ],
)
def test_a_mistake_is_told_before_anything_is_trained(digits, elsewhere, options, error):
    with pytest.raises(error) as caught:
        affinage.train(digits, reporter=Silent(), **options)
    assert caught.value.remedy


@pytest.mark.parametrize("source", ["nowhere", "nowhere.csv"])
def test_a_source_that_is_not_there_is_refused(elsewhere, source):
    with pytest.raises(DataError, match="nowhere"):
        affinage.train(source, reporter=Silent())
    assert list(elsewhere.iterdir()) == []


def test_flags_win_over_settings_and_those_over_the_file(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("seed: 1\noptimizer:\n  lr: 0.1\n  name: sgd\n")
    recipe = resolve_recipe(path, ["seed=2", "optimizer.lr=0.2"], {"seed": 3, "budget": "2m"})
    assert (recipe.seed, recipe.optimizer.lr, recipe.optimizer.name, recipe.budget) == (
        3,
        0.2,
        "sgd",
        120,
    )


def test_nothing_in_a_run_is_pickled(trained):
    for path in trained.path.rglob("*"):
        assert path.suffix not in (".pt", ".pth", ".pkl", ".bin")
    json.loads((trained.path / "model.json").read_text())


@pytest.mark.parametrize(
    "options",
    [
        {"settings": ["compute.device=cuda:7"]},
        {"group": "slide"},
        {"settings": ["positive=x"]},
        {"settings": ["sensitivity=0.9"]},
        {"settings": ["finetune.stop_on=beauty"]},
    ],
)
def test_a_mistake_leaves_no_dead_run(digits, elsewhere, options):
    with pytest.raises((DataError, ModelError, RecipeError)):
        affinage.train(digits, reporter=Silent(), **options)
    assert not list(elsewhere.glob("affinage-runs/*"))


@pytest.mark.parametrize("output", ["/proc/x", "file"])
def test_a_place_that_cannot_be_written_is_told(digits, elsewhere, output):
    (elsewhere / "file").write_text("in the way")
    with pytest.raises(AffinageError, match="could not be written"):
        affinage.train(digits, output=output, data=elsewhere / "data", reporter=Silent())


def test_finetuning_that_never_got_better_is_not_refitted(digits, tmp_path):
    run = train(digits, tmp_path, "optimizer.lr=1", "optimizer.name=sgd", "finetune.always=true")
    assert run.record.stages[1].facts["best_epoch"] == 0
    assert not any(point.stage == "refit" for point in run.record.signals.points)
    assert run.record.evaluations["validation"].accuracy.value > 0.5


def test_too_few_groups_are_told_as_such(tmp_path):
    sources = [
        write_digits(tmp_path / name / "photos", classes=3, per_class=8, first=first)
        for name, first in (("a", 0), ("b", 30))
    ]
    with pytest.raises(DataError, match="groups of 'source' are too few"):
        train(sources, tmp_path, group="source")
