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
    """Lines over a common axis; points alone where they are not `joined`."""

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    caption: str = ""
    log_x: bool = False
    unit_square: bool = False
    joined: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Counts of truth (rows) against prediction (columns)."""

    title: str
    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
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


Block = Text | Facts | Table | Chart | Matrix | Gallery | Findings | Code


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
