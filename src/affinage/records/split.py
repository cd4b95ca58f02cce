"""Split: which images a model may learn from, which choose it, and which judge it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from affinage.errors import DataError
from affinage.records.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Disjoint sets of image ids, fixed before any model sees them.

    Attributes:
        train: Ids (SHA-256 of bytes) to learn from.
        validation: Ids that choose between models.
        test: Ids that judge the chosen one.
        closed_set: True where validation is the training images on purpose: scores are memory tests.
        carved: True where validation was cut from the user's train part, not given.

    Raises:
        DataError: If an image is in two parts: its score would be a memory test.
    """

    train: frozenset[str]
    validation: frozenset[str]
    test: frozenset[str] = frozenset()
    closed_set: bool = False
    carved: bool = True

    def __post_init__(self) -> None:
        pairs = [("train", self.train, "test", self.test)]
        pairs.append(("validation", self.validation, "test", self.test))
        if not self.closed_set:
            pairs.append(("train", self.train, "validation", self.validation))
        for first, ids, second, others in pairs:
            shared = sorted(ids & others)
            if shared:
                raise DataError(
                    f"{len(shared)} images are in both '{first}' and '{second}', such as {shared[0][:12]}.",
                    remedy="Give each image to one part, or let affinage make the split.",
                )

    def remembering(self, earlier: "Split | None") -> "Split":
        """Return the split to keep: images that are in no part now stay where they were before.

        So an image that is left out for a while, or whose file is gone, comes back to its part.

        Args:
            earlier: The split that was kept before, if any.
        """
        if earlier is None or earlier.closed_set or self.closed_set:
            return self
        here = self.train | self.validation | self.test
        return replace(
            self,
            train=self.train | (earlier.train - here),
            validation=self.validation | (earlier.validation - here),
            test=self.test | (earlier.test - here),
        )

    def part_of(self, image: str) -> str | None:
        """Return `train`, `validation`, `test`, or None where the image is in no part."""
        for name, ids in (
            ("test", self.test),
            ("train", self.train),
            ("validation", self.validation),
        ):
            if image in ids:
                return name
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Folds:
    """Disjoint sets of image ids, each of which validates once while the others are learnt from.

    Attributes:
        folds: Ids of each fold; fold 1 comes first.
        test: Ids that judge at the end, in no fold.

    Raises:
        DataError: If there are fewer than two folds, or an image is in two of them.
    """

    folds: tuple[frozenset[str], ...]
    test: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if len(self.folds) < 2:
            raise DataError(
                f"{len(self.folds)} fold cannot both teach and validate.",
                remedy="Ask for two folds or more.",
            )
        parts = [*self.folds, self.test]
        if sum(map(len, parts)) != len(frozenset().union(*parts)):
            raise DataError(
                "An image is in two folds, or in a fold and in test.",
                remedy="Give each image to one of them, or let affinage make the folds.",
            )

    def __len__(self) -> int:
        return len(self.folds)

    def remembering(self, earlier: "Folds | None") -> "Folds":
        """Return the folds to keep, as `Split.remembering` does."""
        if earlier is None or len(earlier) != len(self):
            return self
        here = self.test.union(*self.folds)
        before = zip(self.folds, earlier.folds, strict=True)
        return Folds(
            folds=tuple(ids | (earlier_ids - here) for ids, earlier_ids in before),
            test=self.test | (earlier.test - here),
        )

    def split(self, number: int) -> Split:
        """Return the parts while one fold validates.

        Args:
            number: Of that fold, 1 to the number of folds.

        Raises:
            DataError: If there is no such fold.
        """
        if not 1 <= number <= len(self.folds):
            raise DataError(
                f"There is no fold {number}.", remedy=f"Give a number from 1 to {len(self.folds)}."
            )
        validation = self.folds[number - 1]
        return Split(
            train=frozenset().union(*self.folds) - validation,
            validation=validation,
            test=self.test,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCounts:
    """How much of something each part has.

    Attributes:
        label: Name of a class.
        images: Different images by part: `train`, `validation`, `test`, or `fold 1`… and `test`.
    """

    label: str
    images: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitResult:
    """A split that was made or brought up to date, and what it holds.

    Attributes:
        data: Name of the data set's folder.
        name: Under which the folder keeps it.
        folds: Number of folds; 0 for train, validation and test.
        group: Column whose values lie in one part each; None where none was named.
        images: Different images by part: `train`, `validation`, `test`, or `fold 1`… and `test`.
        classes: The same for each class, in the order of the classes.
        groups: Values of the group column by part; empty without one.
        kept_together: Near-duplicates and their likes that lie in one part with their twins.
        stayed: Images that lie where an earlier split had put them.
        findings: What it cost: leaks, images left out, classes that lack a part, shares not reached.
    """

    data: str
    name: str
    folds: int
    group: str | None
    images: Mapping[str, int]
    classes: tuple[PartCounts, ...]
    groups: Mapping[str, int]
    kept_together: int
    stayed: int
    findings: tuple[Finding, ...]
