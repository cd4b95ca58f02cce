import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import affinage
from affinage.cli.main import app
from affinage.errors import DataError, ModelError, RecipeError, RunError
from affinage.records.question import Question
from affinage.store.study_folder import StudyFolder
from affinage.studies.asking import arms_of, nuisance_of
from affinage.workflows.reporter import Silent
from affinage.workflows.study_curves import arm_curves
from affinage.workflows.study_heads import HeadTrials
from affinage.workflows.study_recipes import recipe_of, with_idle

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "studies"


class Said(Silent):
    """Keeps what is said."""

    def __init__(self):
        self.sentences = []

    def say(self, text):
        self.sentences.append(text)


HEADS = ["features.head=logistic,nearest"]
PENALTIES = "features.penalties=1e-2..10"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The working folder of this module's studies, which share their features."""
    with pytest.MonkeyPatch.context() as patched:
        folder = tmp_path_factory.mktemp("studies")
        patched.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def asked(digits, here):
    """A study of two heads on 60 digits."""
    return affinage.study(digits, vary=HEADS, repeats=3, why="To see.", reporter=Silent())


def test_two_heads_are_compared_on_the_same_images_and_seeds(asked):
    record, folder = asked.record, StudyFolder(asked.path)
    assert record.answer.finished
    assert {trial.state for trial in record.trials} == {"complete"}
    (found,) = record.answer.differences
    jobs = {(trial.job.arm, trial.job.repeat): trial.job for trial in record.trials}
    gains = [
        folder.scores(jobs[1, r]) - folder.scores(jobs[0, r]) for r in range(1, found.repeats + 1)
    ]
    assert found.effect.value == pytest.approx(np.mean(gains), abs=1e-6)
    assert found.effect.n == record.announced.n == 48  # The 12 of the test part are not seen.


def test_what_can_be_detected_is_said_before_exploration(asked):
    announced = asked.record.announced
    assert announced.detectable > 0
    assert announced.smallest == min(announced.detectable, 0.1)  # Ten points always matter.


def test_the_page_tells_the_question_and_the_answer(asked):
    page, text = asked.page.read_text(), StudyFolder(asked.path).markdown.read_text()
    for told in ("Why: To see.", "Isolation plot", "What to ask next"):
        assert told in page
        assert told in text


def test_the_same_question_is_not_run_twice(asked, digits):
    again = affinage.study(digits, vary=HEADS, repeats=3, why="Forgot.", reporter=Silent())
    assert again.path == asked.path


def test_another_question_on_the_same_settings_is_told_of_the_earlier_answer(asked, digits):
    said = Said()
    affinage.study(
        digits, vary=["features.head=nearest,logistic"], repeats=3, output="akin", reporter=said
    )
    told = f"'{asked.path.name}': {asked.answer.verdict}"
    assert any(one.startswith("akin, 20") and one.endswith(told) for one in said.sentences)


def test_progress_tells_the_best_so_far_with_its_interval(digits, here):
    """Two looks are planned, and the first cannot tell."""
    said = Said()
    affinage.study(
        digits, vary=["features.head=logistic,nearest"], nuisance=["features.penalties=1e-2..10"],
        points=2, repeats=5, smallest=0.001, output="far", reporter=said,
    )  # fmt: skip
    explored, look, *_ = [one for one in said.sentences if one.startswith("so far: ")]
    assert (
        re.match(r"so far: best 'l.*: accuracy [\d.]+ % on one seed$", explored)
        or "near" in explored
    )
    assert re.search(r"best on fresh seeds: '\w+', accuracy [\d.]+ % \[.*\]; 0 of 1 answered", look)


def test_what_changes_nothing_is_said_to_change_nothing(digits, here):
    study = affinage.study(
        digits, vary=["features.penalties=1,1.00001"], repeats=3, output="nil", reporter=Silent()
    )
    assert study.answer.next_question.startswith(
        "Not one image was scored differently: does features"
    )


def test_questions_are_found_by_their_words(asked):
    assert [one.name for one in affinage.list_studies("NEAREST digits")] == [asked.path.name]
    assert affinage.list_studies("batchnorm") == []


def test_a_study_that_is_asked_again_gives_the_same_numbers(asked, digits):
    again = affinage.study(digits, vary=HEADS, repeats=3, again=True, reporter=Silent())
    assert again.path != asked.path
    assert again.answer.differences == asked.answer.differences


def test_a_killed_study_goes_on_to_the_same_answer(asked, digits, monkeypatch):
    ran, original = [], HeadTrials.run

    def dying(self, job, recipe, *, images_per_class):
        ran.append(job)
        if len(ran) == 4:
            raise KeyboardInterrupt
        return original(self, job, recipe, images_per_class=images_per_class)

    monkeypatch.setattr(HeadTrials, "run", dying)
    with pytest.raises(KeyboardInterrupt):
        affinage.study(digits, vary=HEADS, repeats=3, again=True, output="cut", reporter=Silent())
    done = affinage.study_work("cut", reporter=Silent())
    assert done.answer.differences == asked.answer.differences
    assert len(ran) == len(asked.record.trials) + 1


def test_an_interrupted_study_says_how_to_go_on(digits, here, monkeypatch):
    class Told(Silent):
        """Keeps what was said."""

        said: ClassVar[list[str]] = []

        def say(self, message):
            self.said.append(message)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(HeadTrials, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        affinage.study(
            digits, vary=HEADS, repeats=3, output="my study", again=True, reporter=Told()
        )
    assert "affinage study work 'my study'" in Told.said[-1]


def test_an_interrupt_while_images_are_read_says_how_to_go_on(digits, elsewhere, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("affinage.workflows.study_work.open_pool", interrupt)
    said = Said()
    with pytest.raises(KeyboardInterrupt):
        affinage.study(digits, vary=HEADS, repeats=2, output="early", reporter=said)
    assert said.sentences[-1] == "  → Go on: affinage study work early"


def test_a_question_in_a_file_is_asked_of_other_images(digits, here, capsys):
    file = here / "theirs.yaml"
    file.write_text("source: not/here\nvary:\n  features.head: [logistic, nearest]\nrepeats: 2\n")
    with pytest.raises(DataError, match="not/here' does not exist") as raised:
        affinage.study(file=file, reporter=Silent())
    assert "study run FILE IMAGES" in raised.value.remedy
    code = app(
        ["study", "run", str(file), str(digits), "--output", "theirs"], standalone_mode=False
    )
    assert not code
    assert affinage.Study(here / "theirs").question.sources == (str(digits.resolve()),)


def test_a_trial_that_fails_is_kept_with_its_error_and_the_study_goes_on(digits, here, monkeypatch):
    original = HeadTrials.run

    def failing(self, job, recipe, *, images_per_class):
        if recipe.features.penalties[0] > 1:
            raise MemoryError("too large")
        return original(self, job, recipe, images_per_class=images_per_class)

    monkeypatch.setattr(HeadTrials, "run", failing)
    study = affinage.study(
        digits, vary=["images_per_class=4,12"], nuisance=["features.penalties=1e-3..30"],
        points=4, repeats=2, reporter=Silent(),
    )  # fmt: skip
    record = study.record
    failed = [trial for trial in record.trials if trial.state == "failed"]
    assert failed
    assert {trial.error for trial in failed} == {"MemoryError: too large"}
    assert record.answer.finished
    assert record.answer.failed == len(failed)
    assert "MemoryError" in study.page.read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"vary": ["features.hed=a,b"]},
            "features.hed: no such setting; do you mean features.head",
        ),
        ({"vary": ["head=a,b"]}, "head: no such setting; do you mean features.head"),
        ({"file": "not/there.yaml"}, "'not/there.yaml' cannot be read: No such file or directory"),
        ({"vary": ["features.head=logistic,forest"]}, "features.head"),
        ({"vary": HEADS, "nuisance": ["features.head=svm,nearest"]}, "both varied and tuned"),
        ({"vary": HEADS, "nuisance": ["features.folds=1..5"]}, "features.folds"),
        ({"vary": HEADS, "metric": "mae"}, "mae"),
        ({"vary": ["features.head=svm,nearest"], "nuisance": [PENALTIES]}, "change nothing"),
        ({"vary": HEADS, "repeats": 0}, "--repeats"),
        ({"vary": HEADS, "folds": 1}, "--folds"),
        ({"vary": HEADS, "smallest": -1.0}, "--smallest is -1"),
        ({"vary": HEADS, "smallest": 2.0}, "--smallest 0.02"),
        ({"vary": HEADS, "images": -5}, "--images"),
        ({"vary": HEADS, "trial_memory": -1.0}, "--trial-memory is -1"),
        ({"vary": HEADS, "trial_memory": 0.0}, "--trial-memory is 0"),
        ({"vary": ["features.head=svm,svm"]}, "names svm twice"),
        ({"vary": ["images_per_class=4,0"]}, "images_per_class is 0"),
        ({"vary": ["images_per_class=4,8"], "nuisance": ["optimizer.lr=1e-4..1e-2"]}, "fine-tune"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_before_anything_is_written(
    digits, elsewhere, given, said
):
    with pytest.raises(RecipeError, match=said):
        affinage.study(None if "file" in given else digits, **given, reporter=Silent())
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        ("images_per_class=4,500", "images_per_class is 500; .* from 12 of the largest class"),
        ("classes=2,50", "classes is 50; there are 3"),
    ],
)
def test_more_than_the_images_have_is_refused_before_any_trial(digits, elsewhere, vary, said):
    with pytest.raises(RecipeError, match=said):
        affinage.study(digits, vary=[vary], reporter=Silent())
    assert not list((elsewhere / "affinage-studies").iterdir())


def test_the_size_of_the_input_is_compared_on_heads(digits, here):
    study = affinage.study(digits, vary=["model.width=64,32"], repeats=2, reporter=Silent())
    assert not (study.path / "runs").exists()
    large, small = (arm.confirmed.value for arm in study.answer.arms)
    assert large != small


def test_a_backbone_that_is_not_there_is_refused_before_any_trial(digits, elsewhere):
    with pytest.raises(ModelError, match="no backbone 'efficientnet_lite9'"):
        affinage.study(
            digits,
            vary=["model.backbone=tf_efficientnet_lite0,efficientnet_lite9"],
            reporter=Silent(),
        )
    assert not list((elsewhere / "affinage-studies").iterdir())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("repeats: many", "repeats is 'many'; it must be a whole number"),
        ("points: 2.5", "points is 2.5; it must be a whole number"),
        ("images: [3]", "images is .3.; it must be a whole number"),
        ("smallest: little", "smallest is 'little'; it must be a number"),
        ("trial_memory: much", "trial_memory is 'much'"),
        ("budget: [10m]", "it must be a span of time, such as 10m"),
        ("final: perhaps", "it must be true or false"),
        ("question: 7", "question is 7; it must be text"),
        ("metric: [accuracy]", "it must be text"),
        ("set: 5", "set is 5; it must be settings"),
        ("set: [5]", "'5' is not key=value"),
        ("set: features.heads=svm", "features.heads: no such setting"),
        ("nuisance: 7", "nuisance is 7; it must be settings"),
        ("source: 5", "source is 5; it must be text or a list"),
        ("smalest: 0.01", "no smalest; do you mean smallest"),
    ],
)
def test_a_file_with_a_wrong_value_is_refused_in_words(line, said, elsewhere):
    key = line.partition(":")[0]
    given = {"source": "source: .", "vary": "vary:\n  features.head: [logistic, nearest]"}
    lines = [text for name, text in given.items() if name != key]
    file = elsewhere / "question.yaml"
    file.write_text("\n".join([*lines, line]))
    with pytest.raises(RecipeError, match=said):
        affinage.study(file=file, reporter=Silent())


@pytest.mark.parametrize(
    "command", ["ask . --vary nonsense=1,2", "ask nowhere --vary features.head=logistic,nearest",
                "run nowhere.yaml", "work nowhere", "show nowhere", "list"],
)  # fmt: skip
def test_a_mistake_is_told_before_torch_is_loaded(command, elsewhere):
    code = (
        "import sys; from affinage.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'timm') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "study", *command.split()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_folder_that_is_no_study_is_refused(elsewhere):
    with pytest.raises(RunError, match="no study"):
        affinage.study_work(elsewhere)


def test_another_folder_is_not_overwritten(digits, elsewhere):
    (elsewhere / "mine").mkdir()
    (elsewhere / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(RunError, match="something in"):
        affinage.study(digits, vary=HEADS, output="mine", reporter=Silent())
    assert (elsewhere / "mine" / "notes.txt").read_text() == "keep"


def test_the_command_prints_the_same_record(asked, capsys):
    app(["study", "show", str(asked.path), "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert told["answer"]["verdict"] == asked.answer.verdict
    app(["study", "show", str(asked.path)], standalone_mode=False)
    assert asked.answer.differences[0].sentence[:30] in capsys.readouterr().out


def test_trials_that_fine_tune_are_runs_that_never_saw_the_test_part(digits, here):
    study = affinage.study(
        digits, vary=["model.three_conv.batch_norm=false,true"], repeats=2, folds=5,
        settings=[
            "stages=finetune", "model.backbone=three_conv", "model.width=32", "model.height=32",
            "finetune.epochs=1", "finetune.batch_size=16", "optimizer.lr=1e-3",
        ],
        reporter=Silent(),
    )  # fmt: skip
    record = study.record
    assert [trial.error for trial in record.trials] == [""] * 4
    assert record.answer.differences[0].repeats == 2
    for trial in record.trials:
        run = affinage.Run(study.path / "runs" / trial.run)
        assert set(run.evaluation) == {"validation"}
        assert run.record.split["test"] == 0
        assert trial.score == pytest.approx(run.evaluation["validation"].accuracy.value)
    page = StudyFolder(study.path).markdown.read_text()
    for told in ("Weights and updates by layer and epoch", "Weights: backbone.", "Updates: "):
        assert told in page
    (first, *_) = curves = arm_curves(StudyFolder(study.path), record)
    assert [(one.arm, one.on) for one in curves] == [
        (arm, on) for arm in (0, 1) for on in ("train (evaluation mode)", "validation")
    ]
    assert (first.series, first.seeds, [epoch for epoch, _ in first.points]) == (
        "accuracy",
        2,
        [0, 1],
    )
    assert "How the trainings came on" in page


def test_two_workers_share_one_study(digits, here, asked):
    folder = here / "shared"
    StudyFolder(folder).begin(asked.record.question, "2026-05-03T10:00:00+00:00")
    with ThreadPoolExecutor(2) as workers:
        done = [workers.submit(affinage.study_work, folder, reporter=Silent()) for _ in range(2)]
    assert [one.result().answer.differences for one in done] == [asked.answer.differences] * 2
    assert len(affinage.Study(folder).record.trials) == len(asked.record.trials)


def test_a_damaged_study_does_not_stand_in_the_way_of_others(asked, here):
    for place, text in (("torn-1", "{"), ("torn-2", '{"format": 1, "asked": "2026"}')):
        torn = here / "affinage-studies" / place
        torn.mkdir()
        (torn / "question.json").write_text(text)
    assert asked.path.name in [one.name for one in affinage.list_studies()]


def test_tuning_alone_shows_how_much_of_its_best_was_luck(digits, here):
    study = affinage.study(
        digits, nuisance=["features.penalties=1e-3..10"], points=4, repeats=3, reporter=Silent()
    )
    (arm,) = study.answer.arms
    assert study.answer.verdict.startswith("Best of 4 settings: features.penalties = ")
    explored = [trial for trial in study.record.trials if trial.job.repeat == 0]
    assert len(explored) == 4
    best = max(explored, key=lambda trial: trial.score)
    assert arm.best == study.record.design[best.job.point]
    assert "on 3 fresh seeds, n = 48" in study.answer.verdict


@pytest.fixture(scope="module")
def tuned(digits, here):
    """A study that tunes one of its two heads, since the other has no penalty."""
    return affinage.study(
        digits, vary=HEADS, nuisance=[PENALTIES], points=4, repeats=2, search="tpe", search_points=2,
        reporter=Silent(),
    )  # fmt: skip


def test_an_arm_is_not_tuned_by_what_would_change_nothing_for_it(tuned):
    record = tuned.record
    logistic, nearest = record.question.arms
    assert [key for key, _ in nearest.idle] == ["features.penalties"]
    assert logistic.idle == ()
    explored = [t.job.arm for t in record.trials if not t.job.repeat and t.job.point < 4]
    assert sorted(explored) == [0, 0, 0, 0, 1]  # Four equal trials of the nearest would be a waste.
    assert record.answer.arms[1].best == ()
    assert record.answer.failed == 0


def test_the_page_says_which_arm_is_not_tuned_by_what_and_why(tuned):
    text = StudyFolder(tuned.path).markdown.read_text()
    assert "not tuned for nearest: features.penalties" in text
    assert "features.head=nearest has no such penalty" in text


def test_a_setting_that_another_tuned_one_makes_idle_is_left_out_of_that_trial():
    asked = with_idle(
        Question(
            question="?", sources=("x",), arms=arms_of(["images_per_class=20,10"]),
            nuisance=nuisance_of([PENALTIES, *HEADS]),
        )
    )  # fmt: skip
    assert [arm.idle for arm in asked.arms] == [(), ()]  # It acts at some of the settings.
    point = (("features.penalties", 0.1), ("features.head", "nearest"))
    recipe = recipe_of(asked, asked.arms[0], point, seed=1)
    assert recipe.features.head == "nearest"
    assert recipe.features.penalties == type(recipe.features)().penalties


def test_images_per_class_give_a_learning_curve_that_is_carried_on(digits, here):
    study = affinage.study(
        digits, vary=["images_per_class=12,6,3"], repeats=2, settings=["features.penalties=0.1"],
        reporter=Silent(),
    )  # fmt: skip
    assert [one.size for one in study.answer.extrapolated if not one.of] == [24, 48]
    errors = [1 - arm.confirmed.value for arm in study.answer.arms]
    assert study.answer.extrapolated[0].error.value <= max(errors)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_is_a_question_that_can_be_asked(file, tmp_path, elsewhere):
    with pytest.raises(DataError):  # All is well with it but that its images are not here.
        affinage.study(file=file, source=tmp_path / "nothing", reporter=Silent())
