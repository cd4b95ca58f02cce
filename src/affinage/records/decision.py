"""Decision: what the owner of a data set leaves out, takes back or labels anew, and why."""

from dataclasses import dataclass
from typing import Literal

from affinage.errors import DataError

Action = Literal["exclude", "include", "relabel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One line of a data set's log of decisions; later lines win over earlier ones.

    Attributes:
        action: `exclude` leaves images out, `include` takes them back, `relabel` gives them a label.
        at: When it was made, UTC, ISO 8601.
        by: Login name of who made it; empty where the system gives none.
        reason: Why, in the owner's words; empty where they gave none.
        where: The rule, such as `("domain=data.huh.example",)`. It strikes rows that come later too.
        finding: Code of the finding whose images were meant.
        images: Ids of the images that it struck when it was made, sorted. It strikes them wherever
            they lie later.
        labels: `relabel`: (image id, new label), sorted.
        label: `relabel` by a rule: the new label of whatever the rule strikes.
        undoes: `include`: number of the decision that counts no more, 1 for the first of the log.

    Raises:
        DataError: If it strikes nothing, or lacks its labels.
    """

    action: Action
    at: str = ""
    by: str = ""
    reason: str = ""
    where: tuple[str, ...] = ()
    finding: str | None = None
    images: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    label: str | None = None
    undoes: int | None = None

    def __post_init__(self) -> None:
        if not (self.where or self.images or self.labels or self.undoes):
            raise DataError(
                f"The decision '{self.action}' names no image.",
                remedy="Say which: a rule, a finding or images.",
            )
        if self.action == "relabel" and not (self.labels or self.label):
            raise DataError("The decision 'relabel' has no label.", remedy="Say which label.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedDecision:
    """A decision as the log shows it.

    Attributes:
        number: Its place in the log, 1 for the first.
        decision: What was decided.
        stands: False where a later decision undid it.
    """

    number: int
    decision: Decision
    stands: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassChange:
    """How many images a class has before and after a decision, copies counted once.

    Attributes:
        label: Name of the class.
        before: Kept images before it.
        after: Kept images after it.
    """

    label: str
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionResult:
    """What a decision changes.

    Attributes:
        data: Name of the data set's folder.
        made: True where it was entered in the log; False on a dry run, and where nothing changes.
        number: Its place in the log; None where it was not entered.
        decision: What was decided.
        images: How many images it takes out, brings back or labels anew, copies counted once; those
            that stay by other copies are not among them.
        rows: How many rows of the manifest are used otherwise: copies, and copies that go alone, too.
        kept: How many images are kept after it.
        classes: Every class that has images before or after it, in order.
        messages: Sentences on what to know: classes left too small, images left where they are.
    """

    data: str
    made: bool
    number: int | None
    decision: Decision
    images: int
    rows: int
    kept: int
    classes: tuple[ClassChange, ...]
    messages: tuple[str, ...] = ()
