"""Questions on real images without a true difference, easy and hard, and with one that was planted.

`python -m benchmarks.studies same_questions [easy|few_images|few_seeds]`: a hard question's two arms
learn from different images of the same kind, few of them, so that both score alike in truth and
differently on every seed. A planted difference makes right answers of the second arm wrong, as many as
the announced size asks for.
"""

import dataclasses
import os
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from affinage.records.question import Arm, Question
from affinage.records.recipe import Recipe
from affinage.store.study_folder import StudyFolder
from affinage.workflows.reporter import Silent
from affinage.workflows.study_data import open_pool
from affinage.workflows.study_heads import HeadTrials
from affinage.workflows.study_worker import Worker

KINDS = {"easy": (300, 1000, 5), "few_images": (60, 5, 10), "few_seeds": (120, 10, 3)}
"""Images, how many of each class are learnt from, seeds."""

APART = 500_009
"""Between the seeds of the two arms of a hard question."""

PENALTIES = ("0.1", "0.1001")
"""Names of two arms that are the same but for this."""


@dataclasses.dataclass
class OtherSeeds:
    """Runs trials of a head that learns from few images, others for each arm.

    Attributes:
        heads: Who fits them.
        most: Images of each class that are learnt from.
        planted: Share of the second arm's right answers that are made wrong.
    """

    heads: HeadTrials
    most: int
    planted: float = 0.0

    def run(self, job: Any, recipe: Recipe, **given: Any) -> Any:
        """Return the score of each image."""
        seed = (recipe.seed + APART * job.arm) % 2**31
        own = recipe.model_copy(update={"seed": seed})
        scores = self.heads.run(job, own, **(given | {"images_per_class": self.most}))
        if job.arm:
            scores = scores * (np.random.default_rng(seed).random(len(scores)) >= self.planted)
        return scores

    def close(self) -> None:
        """Nothing is to be ended."""


def real_questions(
    samples: Path, kinds: Collection[str] = (), *, questions: int = 40
) -> Iterator[dict[str, Any]]:
    """Yield how often each verdict was given to questions of each kind.

    Args:
        samples: Where the image sets lie; malaria cells are asked about.
        kinds: Of `KINDS`; all by default.
        questions: Of each kind, each with its own cut of the images and its own seeds.
    """
    with tempfile.TemporaryDirectory() as folder:
        data = os.environ.get("AFFINAGE_BENCH_DATA") or folder
        for name in [one for one in KINDS if one in kinds] or KINDS:
            images, most, repeats = KINDS[name]
            for planted in (False, True):
                asked = f"{name}{', planted' if planted else ''}"
                told: dict[str, int] = {}
                for seed in range(questions):
                    question = _question(samples, images, repeats, seed, data)
                    says = _asked(question, Path(folder) / f"{asked} {seed}", most, planted=planted)
                    told[says] = told.get(says, 0) + 1
                yield {
                    "kind": asked, "images": images, "of_each_class": most, "seeds": repeats,
                    "questions": questions, "said": told,
                }  # fmt: skip


def _question(samples: Path, images: int, repeats: int, seed: int, data: str) -> Question:
    return Question(
        question="?", sources=(str(samples / "malaria" / "labels.csv"),), images=images,
        arms=tuple(Arm(name=one, settings=(("features.penalties", one),)) for one in PENALTIES),
        repeats=repeats, seed=seed, fixed=(f"split.seed={seed}",), data=f"{data}/malaria",
    )  # fmt: skip


def _asked(question: Question, folder: Path, most: int, *, planted: bool) -> str:
    """Return the verdict; a planted question is asked after the same one has announced its size."""
    size = _worked(question, folder / "same", most, 0.0)
    if not planted:
        return size[0]
    detectable, accuracy = size[1], size[2]
    return _worked(question, folder / "planted", most, min(1.0, detectable / accuracy))[0]


def _worked(question: Question, place: Path, most: int, planted: float) -> tuple[str, float, float]:
    """Return the verdict, the announced size, and the accuracy of the second arm."""
    recipe = Recipe.model_validate({"split": {"seed": question.seed}})
    pool = open_pool(question, recipe, reporter=Silent())
    heads = HeadTrials(pool, folds=question.folds, metric="accuracy", reporter=Silent())
    folder = StudyFolder(place)
    folder.begin(question, "2026-01-01T00:00:00+00:00")
    worker = Worker(folder, question, Silent())
    try:
        worker.work(OtherSeeds(heads, most, planted))
    finally:
        worker.close()
    said, announced = folder.answer(), folder.announced()
    assert said is not None
    assert announced is not None
    score = said.arms[1].confirmed.value
    return said.differences[0].says, announced.detectable or 1.0, score or 1.0
