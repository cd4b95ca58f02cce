"""Split: which images a model may learn from, which choose it, and which judge it."""

from dataclasses import dataclass

from affinage.errors import DataError


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
