"""The trials of a study are run, beside other processes that do the same."""

from pathlib import Path

from affinage.models.build import check_name
from affinage.records.question import Question
from affinage.records.recipe import Recipe
from affinage.store.study_folder import StudyFolder
from affinage.workflows.reporter import Lines, Reporter
from affinage.workflows.study_bakeoff import begin_second_round, tell_second_round, weigh
from affinage.workflows.study_data import check_amounts, labels_of, open_pool
from affinage.workflows.study_exploit import exploit
from affinage.workflows.study_guard import fits_on_disk, interruptible
from affinage.workflows.study_recipes import base_recipe
from affinage.workflows.study_record import Study, read_study, write_page
from affinage.workflows.study_trials import runner_for
from affinage.workflows.study_worker import Worker


def study_work(
    study: str | Path, *, again: bool = False, reporter: Reporter | None = None
) -> Study:
    """Run the trials of a study that are still to be run, beside other processes that do the same.

    Args:
        study: Its folder.
        again: Run the trials that have failed once more, and answer anew; no other process may be at work.
        reporter: Told of progress.

    Raises:
        AffinageError: If it is no study, or its images are gone.
    """
    folder, told = StudyFolder(Path(study)), reporter or Lines()
    question = folder.question()
    done = folder.answer()
    if done is not None and done.finished and not again:
        told.say(f"The study '{folder.name}' has its answer already.")
        if not folder.has_pages:  # A full disk, or a kill, came between the answer and its page.
            with fits_on_disk(folder.path):
                write_page(folder, read_study(folder.path))
        return Study(folder.path)
    with interruptible(folder.path, told):
        _work(folder, question, again=again, told=told)
    return Study(folder.path)


def _work(folder: StudyFolder, question: Question, *, again: bool, told: Reporter) -> None:
    """Open the images, and run all trials and what follows them."""
    recipe = base_recipe(question)
    for name in _backbones(question, recipe):
        check_name(name)
    pool = open_pool(question, recipe, reporter=told)
    check_amounts(question, pool)
    worker = Worker(folder, question, told)
    if again:
        told.say(f"{worker.queue.again():,} trials that failed are run again")
    worker.labels = labels_of(pool)
    runner = runner_for(question, folder, pool, reporter=told)
    try:
        worker.work(runner)
        if question.search is not None:
            exploit(worker, runner, question.search, told=told)
        if question.bake_off:
            weigh(worker, pool, told=told)
            second = begin_second_round(worker)
            if second is not None:
                study_work(second.path, reporter=told)
                tell_second_round(worker, second)
    finally:
        runner.close()
        worker.close()


def _backbones(question: Question, recipe: Recipe) -> list[str]:
    """Return every backbone that a question names: one that is not there fails in all its trials."""
    named = [
        str(value)
        for arm in question.arms
        for key, value in arm.settings
        if key == "model.backbone"
    ]
    return list(dict.fromkeys([recipe.model.backbone, *named]))
