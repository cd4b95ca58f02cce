"""Who runs the trials of a study: heads on cached features, or a training each."""

import contextlib

from affinage.errors import AffinageError
from affinage.records.question import Question
from affinage.store.study_folder import StudyFolder
from affinage.workflows.reporter import Reporter
from affinage.workflows.study_data import Pool
from affinage.workflows.study_heads import HeadTrials
from affinage.workflows.study_recipes import first_point, heads_only, recipe_of
from affinage.workflows.study_runs import RunTrials
from affinage.workflows.study_worker import Runner


def runner_for(question: Question, study: StudyFolder, pool: Pool, *, reporter: Reporter) -> Runner:
    """Return who runs the trials of a question."""
    if heads_only(question):
        heads = HeadTrials(
            pool,
            folds=question.folds,
            metric=question.metric,
            reporter=reporter,
            seconds=question.trial_seconds,
            memory=question.trial_memory,
        )
        for arm in question.arms:
            with contextlib.suppress(AffinageError):  # Its trials will say it, and fail alone.
                heads.prepare(recipe_of(question, arm, first_point(question), seed=0))
        return heads
    fidelity = question.search.fidelity if question.search is not None else "epochs"
    return RunTrials(
        study,
        pool,
        metric=question.metric,
        fidelity=fidelity,
        seconds=question.trial_seconds,
        memory=question.trial_memory,
    )
