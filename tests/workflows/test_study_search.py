import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import affinage
from affinage.errors import RecipeError
from affinage.records.study import Job
from affinage.studies.narrowing import lies_in
from affinage.studies.searching import searched_points, space_of_try
from affinage.workflows.reporter import Silent
from affinage.workflows.study_heads import HeadTrials

GIVEN = {
    "vary": ["images_per_class=12,4"], "nuisance": ["features.penalties=1e-4..30"],
    "points": 8, "repeats": 4, "search_points": 5, "reporter": Silent(),
}  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        folder = tmp_path_factory.mktemp("searches")
        patched.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def searched(digits, here):
    """A comparison, a search by TPE, and one look at the test part."""
    return affinage.study(digits, search="tpe", final=True, **GIVEN)


@pytest.fixture(scope="module")
def halved(digits, here):
    """The same with Hyperband."""
    return affinage.study(digits, search="hyperband", **GIVEN)


def test_the_leading_arm_is_searched_in_the_narrowed_space(searched):
    record, found = searched.record, searched.answer.exploited
    assert searched.answer.finished
    assert found.tried == 5
    best = max(arm.confirmed.value for arm in searched.answer.arms)
    assert searched.answer.arms[found.arm].confirmed.value == best
    for number, point in enumerate(searched_points(record.question)):
        here = space_of_try(number, found.space, record.question.nuisance)
        assert lies_in(here, record.design[point])


def test_the_winner_is_scored_on_seeds_that_chose_nothing(searched):
    record, found = searched.record, searched.answer.exploited
    ended = {trial.job: trial for trial in record.trials}
    winner = found.finalists[0].point
    choosing = [ended[Job(arm=found.arm, point=winner, repeat=r)].score for r in (1, 2)]
    proving = [ended[Job(arm=found.arm, point=winner, repeat=r)].score for r in (3, 4)]
    assert found.finalists[0].fresh == pytest.approx(sum(choosing) / 2)
    assert found.confirmed.value == pytest.approx(sum(proving) / 2, abs=1e-6)
    assert found.luck == pytest.approx(found.finalists[0].searched - found.confirmed.value)
    assert all(found.finalists[0].fresh >= other.fresh for other in found.finalists[1:])


def test_the_test_part_is_looked_at_once_and_only_at_the_end(searched):
    run = affinage.Run(searched.path / "best")
    assert searched.answer.trained.test == run.evaluation["test"].accuracy
    assert [look.run for look in run.record.looks] == ["best"]


def test_the_page_tells_of_the_search(searched):
    page = searched.page.read_text()
    for told in ("The search for the best settings", "chose nothing", "Parallel coordinates"):
        assert told in page


def test_a_killed_search_goes_on_to_the_same_best(searched, digits, monkeypatch):
    ran, original = [], HeadTrials.run

    def dying(self, job, recipe, **given):
        ran.append(job)
        if job.point == 10 and ran.count(job) == 1:
            raise KeyboardInterrupt
        return original(self, job, recipe, **given)

    monkeypatch.setattr(HeadTrials, "run", dying)
    with pytest.raises(KeyboardInterrupt):
        affinage.study(digits, search="tpe", again=True, output="cut", **GIVEN)
    done = affinage.study_work("cut", reporter=Silent())
    assert done.answer.exploited == searched.answer.exploited


def test_hyperband_stops_the_worse_early_and_keeps_their_scores(halved):
    record = halved.record
    tried = [
        trial
        for trial in record.trials
        if trial.job.point in searched_points(record.question) and not trial.job.repeat
    ]
    assert all(trial.steps for trial in tried)
    assert {step for trial in tried for step, _ in trial.steps} <= {1, 3}
    assert {trial.state for trial in tried} <= {"complete", "pruned"}
    assert halved.answer.exploited.pruned == sum(trial.state == "pruned" for trial in tried)


def test_plain_optuna_opens_the_storage(halved):
    storage = JournalStorage(JournalFileBackend(str(halved.path / "journal.log")))
    (summary,) = optuna.get_all_study_summaries(storage)
    loaded = optuna.load_study(study_name=summary.study_name, storage=storage)
    trials = loaded.get_trials(deepcopy=False)
    assert len(trials) == len(halved.record.trials)
    assert all(set(trial.params) == {"arm", "features.penalties"} for trial in trials)
    assert any(trial.intermediate_values for trial in trials)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"search": "random"}, "no --search random"),
        ({"search": "tpe", "nuisance": []}, "nothing to search"),
        ({"search": "hyperband", "fidelity": "epochs"}, "no epochs to save"),
        ({"search": "tpe", "search_points": 0}, "--search-points"),
        ({"final": True}, "belongs to a search"),
    ],
)
def test_a_search_that_cannot_be_is_refused(digits, elsewhere, given, said):
    with pytest.raises(RecipeError, match=said):
        affinage.study(digits, **(GIVEN | given))
    assert not list(elsewhere.iterdir())


def test_a_bake_off_weighs_backbones_and_names_the_front(digits, here):
    study = affinage.study(
        digits, vary=["model.backbone=tf_efficientnet_lite0,sift_words"], repeats=2, bake_off=True,
        settings=["features.penalties=0.1"], reporter=Silent(),
    )  # fmt: skip
    said = study.answer
    assert said.failed == 0
    assert {one.arm for one in said.weighed} == {0, 1}
    assert all(one.milliseconds.low <= one.milliseconds.value for one in said.weighed)
    assert said.weighed[0].weights > 3_000_000
    assert said.verdict.startswith("Pareto front of score and latency:")
    assert "Score against latency" in study.page.read_text()
    assert not said.followed  # Words cannot be fine-tuned, and one backbone alone is no comparison.


def test_fewer_classes_are_told_apart_on_the_same_images(digits, here):
    said = affinage.study(
        digits, vary=["classes=2,3"], repeats=2, settings=["features.penalties=0.1"],
        reporter=Silent(),
    ).answer  # fmt: skip
    assert (
        said.arms[0].confirmed.value >= said.arms[1].confirmed.value
    )  # Two classes are no harder.
    assert said.arms[0].confirmed.n == said.arms[1].confirmed.n
