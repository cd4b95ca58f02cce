"""Report: what to tell, as data; html, markdown and terminal only draw it."""

from dataclasses import dataclass
from typing import Literal

from affinage.records.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Paragraphs of plain text (never markup; renderers escape it)."""

    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One number or word with its name, and its uncertainty or origin beneath."""

    name: str
    value: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A row of headline facts."""

    items: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text; columns listed in `numeric` are aligned right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    numeric: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series of a chart: its name and its (x, y) points."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Lines over a common axis; points alone where they are not `joined`, no numbers if not `ticks`."""

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    caption: str = ""
    log_x: bool = False
    unit_square: bool = False
    joined: bool = True
    ticks: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Counts of truth (rows) against prediction (columns)."""

    title: str
    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One upright axis of a parallel-coordinate plot; `labels` are the values of a choice, in order."""

    name: str
    log: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Many settings, each a line over all axes; the last axis is what came of it.

    Attributes:
        title: Above it.
        axes: From left to right; a value on an axis with labels is the index of one.
        rows: Values of each line on the axes, the best last, so that it is drawn on top.
        best: How many of the last rows stand out.
        caption: Under it.
    """

    title: str
    axes: tuple[Axis, ...]
    rows: tuple[tuple[float, ...], ...]
    best: int
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaded:
    """Points over two parameters, each as dark as its score is good.

    Attributes:
        title: Above it.
        x: The axis across.
        y: The axis upward.
        value: What the shade stands for.
        points: As (x, y, value, text of the value); a value that is not finite failed.
        rising: Whether a greater value is better.
        caption: Under it.
    """

    title: str
    x: Axis
    y: Axis
    value: str
    points: tuple[tuple[float, float, float, str], ...]
    rising: bool = True
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Points over three parameters, each as dark as its score is good.

    Attributes:
        title: Above it.
        x: The axis to the right.
        y: The axis to the left.
        z: The axis upward.
        value: What the shade stands for.
        points: As (x, y, z, value, text of the value); a value that is not finite failed.
        rising: Whether a greater value is better.
        caption: Under it.
    """

    title: str
    x: Axis
    y: Axis
    z: Axis
    value: str
    points: tuple[tuple[float, float, float, float, str], ...]
    rising: bool = True
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image as JPEG or PNG bytes, with what to say under and instead of it."""

    data: bytes
    media_type: Literal["image/jpeg", "image/png"]
    caption: str
    alternative: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Pictures in a grid."""

    pictures: tuple[Picture, ...]
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the reader should know."""

    items: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Preformatted text, such as a recipe."""

    text: str
    caption: str = ""


Block = (
    Text | Facts | Table | Chart | Matrix | Parallel | Shaded | Space | Gallery | Findings | Code
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled part of a report; `folded` ones start closed where the medium can."""

    title: str
    blocks: tuple[Block, ...]
    folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A document: the verdict in one sentence, then sections."""

    title: str
    verdict: str
    tone: Literal["good", "caution", "bad", "neutral"]
    sections: tuple[Section, ...]
    footer: str = ""
