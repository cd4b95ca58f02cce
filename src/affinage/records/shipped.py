"""ShippedRecipe: a recipe that comes with the package, and what it was measured to give."""

import re
from dataclasses import dataclass

EXPECTED = re.compile(
    r"^# Expected on (?P<data>\S+): (?P<metric>[\w.]+) (?P<value>[\d.]+) "
    r"\[(?P<low>[\d.]+), (?P<high>[\d.]+)\], n = (?P<n>[\d,]+); (?P<cost>.+)\.$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A score that a recipe was measured to give on the test part of a data set.

    Attributes:
        data: Name of the data set.
        metric: Such as `accuracy`; of one class that is counted, `RBC.mae`.
        value: The score.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        n: Images that it was measured on.
        cost: Time that it took, in words.
    """

    data: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    cost: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedRecipe:
    """A recipe that `--recipe NAME` finds.

    Attributes:
        name: Its name.
        about: What it is for, in a sentence.
        expected: What it was measured to give; none where nobody measured it.
        text: The YAML file.
    """

    name: str
    about: str
    expected: tuple[Expected, ...]
    text: str


def read_shipped(name: str, text: str) -> ShippedRecipe:
    """Return a shipped recipe from its file: the first comment says what it is for.

    Args:
        name: Of the recipe.
        text: YAML with comments such as `# Expected on cifar10: accuracy 0.70 [0.67, 0.73], n = 1,000;
            5 min of processor time.`
    """
    return ShippedRecipe(
        name=name,
        about=text.partition("\n")[0].removeprefix("# "),
        expected=tuple(
            _expected(found) for found in map(EXPECTED.match, text.splitlines()) if found
        ),
        text=text,
    )


def _expected(found: re.Match[str]) -> Expected:
    return Expected(
        data=found["data"],
        metric=found["metric"],
        value=float(found["value"]),
        low=float(found["low"]),
        high=float(found["high"]),
        n=int(found["n"].replace(",", "")),
        cost=found["cost"],
    )
