"""Trials that fit heads on cached features: rows of a study, without folders."""

import numpy as np
from numpy.typing import NDArray

from affinage.errors import RecipeError
from affinage.heads.folds import assign_folds
from affinage.heads.held_out import HeldOutHeads
from affinage.records.recipe import Recipe
from affinage.records.run import Calibration
from affinage.records.study import Job
from affinage.workflows.reporter import Reporter
from affinage.workflows.study_data import Pool
from affinage.workflows.study_features import shared_features
from affinage.workflows.study_guard import limited
from affinage.workflows.study_scores import image_scores
from affinage.workflows.tasks import work_of
from affinage.workflows.work import Learnt, Measured, Outputs

NEVER = -1e4
"""Logit of a class that is not among those that are told apart."""

Shown = tuple[str, int | None, int | None]
"""A backbone, and the width and height of what it is shown."""

LIMIT = 3600.0
"""Seconds after which fitting a head counts as hanging, where nobody sets a limit."""


class HeadTrials:
    """Runs trials whose settings concern the head on frozen features only.

    Every image is scored by a head that has not learnt from it: parts are held out in turn, dealt anew
    for every seed, the same for all arms.

    Args:
        pool: The images.
        folds: Parts that are held out in turn.
        metric: What an image is scored by.
        reporter: Told of progress.
        seconds: A trial that takes longer is stopped; None = an hour.
        memory: A trial that asks for more bytes is stopped; None = nine tenths of what is free.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        folds: int,
        metric: str,
        reporter: Reporter,
        seconds: float | None = None,
        memory: int | None = None,
    ) -> None:
        self._pool, self._folds, self._metric, self._told = pool, folds, metric, reporter
        self._seconds, self._memory = seconds or LIMIT, memory
        self._features: dict[Shown, NDArray[np.float32]] = {}
        self._turned: dict[Shown, HeldOutHeads] = {}
        self._parts: dict[int, NDArray[np.int64]] = {}

    def prepare(self, recipe: Recipe) -> None:
        """Compute what trials of this backbone share, so that none of them is timed with it."""
        self._heads(recipe)

    def close(self) -> None:
        """Nothing is to be ended."""

    def run(
        self,
        job: Job,
        recipe: Recipe,
        *,
        images_per_class: int | None,
        share: float = 1.0,
        classes: int | None = None,
    ) -> NDArray[np.float64]:
        """Return the score of each image.

        Args:
            job: Which trial; heads leave nothing behind that would need its name.
            recipe: Its settings; its seed deals the folds.
            images_per_class: Of each class, images to learn from at most.
            share: Part of the images to learn from, for a cheaper try.
            classes: How many are told apart at once; None for all.

        Raises:
            AffinageError: If the settings cannot be fitted on these images.
        """
        with limited(seconds=self._seconds, memory=self._memory):
            parts = self._dealt(recipe.seed)
            may = self._learning(recipe.seed, images_per_class, share)
            outputs = (
                self._outputs(recipe, parts, may)
                if classes is None
                else self._among(recipe, parts, may, classes)
            )
            work = work_of(recipe, self._pool.data.classes, self._pool.targets)
            return image_scores(work.table(self._measured(), outputs, Calibration()), self._metric)

    def _among(
        self, recipe: Recipe, parts: NDArray[np.int64], may: NDArray[np.bool_], classes: int
    ) -> Outputs:
        """Return outputs where each image is told apart from `classes` - 1 other classes only.

        Classes are dealt into groups of this size, anew for every seed; a last group that is too small is
        filled up with others, whose images are scored in their own groups. So every image is scored
        once, by a head that knows so many classes, and arms are compared on the same images.
        """
        every = len(self._pool.data.classes)
        if recipe.task != "classify" or not 2 <= classes <= every:
            raise RecipeError(
                f"classes is {classes}; there are {every} classes of task {recipe.task}.",
                remedy=f"Vary classes from 2 to {every}, with task=classify.",
            )
        order = np.random.default_rng(recipe.seed).permutation(every)
        outputs = np.full((len(self._pool.targets), every), NEVER)
        for start in range(0, every, classes):
            own = order[start : start + classes]
            others = order[: classes - len(own)]
            group = np.concatenate([own, others])
            known = np.isin(self._pool.targets, group)
            found = self._outputs(recipe, parts, may & known)
            rows = np.isin(self._pool.targets, own)
            outputs[np.ix_(rows, group)] = found[np.ix_(rows, group)]
        return outputs

    def _outputs(self, recipe: Recipe, parts: NDArray[np.int64], may: NDArray[np.bool_]) -> Outputs:
        plain = recipe.task == "classify" and recipe.features.head == "logistic"
        if not plain or len(recipe.features.penalties) > 1:
            return self._fitted(recipe, parts, may)
        return self._heads(recipe).logits(
            self._pool.targets, len(self._pool.data.classes),
            penalty=recipe.features.penalties[0], parts=parts, learning=may,
        )  # fmt: skip

    def _fitted(self, recipe: Recipe, parts: NDArray[np.int64], may: NDArray[np.bool_]) -> Outputs:
        """Return held-out outputs where each part's head chooses its own penalty."""
        pool, features = self._pool, self._rows(recipe)
        work = work_of(recipe, pool.data.classes, pool.targets)
        outputs: Outputs | None = None
        for part in range(int(parts.max()) + 1):
            taught = np.flatnonzero((parts != part) & may)
            learnt = Learnt(
                features=features[taught], targets=pool.targets[taught],
                images=[pool.items[row].image for row in taught], groups=pool.together[taught],
                classes=pool.data.classes,
            )  # fmt: skip
            held = work.fit(learnt).head.logits(features[parts == part])
            if outputs is None:
                outputs = np.zeros((len(features), held.shape[1]))
            outputs[parts == part] = held
        assert outputs is not None
        return outputs

    def _dealt(self, seed: int) -> NDArray[np.int64]:
        if seed not in self._parts:
            targets = self._pool.targets
            labels = targets if targets.ndim == 1 else np.zeros(len(targets), dtype=np.int64)
            self._parts[seed] = assign_folds(
                labels, self._pool.images, folds=self._folds, seed=seed, groups=self._pool.together
            )
        return self._parts[seed]

    def _learning(self, seed: int, most: int | None, share: float) -> NDArray[np.bool_]:
        """Return which images may be learnt from: of each class the first in a shuffled order."""
        targets = self._pool.targets
        may = np.ones(len(targets), dtype=bool)
        if most is None and share == 1:
            return may
        order = np.random.default_rng(seed).permutation(len(targets))
        if targets.ndim != 1:
            may[order[max(2, int(share * len(order))) :]] = False
            return may
        for label in np.unique(targets):
            own = order[targets[order] == label]
            # So many are left of each class when one part is held out.
            kept = len(own) if most is None else np.ceil(most * self._folds / (self._folds - 1))
            may[own[max(2, int(np.ceil(share * kept))) :]] = False
        return may

    def _rows(self, recipe: Recipe) -> NDArray[np.float32]:
        shown = _shown(recipe)
        if shown not in self._features:
            self._features[shown] = shared_features(self._pool, recipe, told=self._told)
        return self._features[shown]

    def _heads(self, recipe: Recipe) -> HeldOutHeads:
        shown = _shown(recipe)
        if shown not in self._turned:
            self._turned[shown] = HeldOutHeads(self._rows(recipe))
        return self._turned[shown]

    def _measured(self) -> Measured:
        pool = self._pool
        return Measured(
            name="validation", images=pool.images, paths=pool.images, targets=pool.targets,
            classes=pool.data.classes, train_targets=pool.targets,
        )  # fmt: skip


def _shown(recipe: Recipe) -> Shown:
    """Return what features depend on."""
    return recipe.model.backbone, recipe.model.width, recipe.model.height
