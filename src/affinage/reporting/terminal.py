"""A report on the terminal: the verdict, the facts, the tables, the findings."""

import re
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text as Words

from affinage.records.finding import Finding
from affinage.records.report import (
    Block,
    Chart,
    Code,
    Facts,
    Findings,
    Gallery,
    Matrix,
    Parallel,
    Report,
    Shaded,
    Space,
    Table,
    Text,
)
from affinage.reporting.charts.lines import describe as describe_chart
from affinage.reporting.charts.matrix import describe as describe_matrix
from affinage.reporting.charts.parallel import describe as describe_parallel
from affinage.reporting.charts.shaded import describe as describe_shaded
from affinage.reporting.charts.space import describe as describe_space
from affinage.reporting.titles import ESSENTIAL
from affinage.reporting.words import guess, one_line, visible

MOST_EVIDENCE = 5
_LEFT_OUT = re.compile(r"and ([\d,]+) more")
_WIDEST_NUMBER = 14
_TONES = {"good": "bold green", "caution": "bold yellow", "bad": "bold red", "neutral": "bold"}
_SEVERITIES = {"blocking": "bold red", "warning": "yellow", "note": "dim"}


def to_terminal(report: Report, *, width: int | None = None, full: bool = False) -> RenderableType:
    """Return the report for a rich console; no text of the user's is read as markup.

    Args:
        report: What to show.
        width: Columns at most; None takes the console's, and 100 at most.
        full: Everything that text can show. Without it: the verdict, and of the sections that every
            report has in common (`titles.ESSENTIAL`) what is not prose.
    """
    essential = tuple(section for section in report.sections if section.title in ESSENTIAL)
    sections = report.sections if full or not essential else essential
    parts: list[RenderableType] = [
        Words(one_line(report.title), style="dim"),
        Words(one_line(report.verdict), style=_TONES[report.tone]),
    ]
    for section in sections:
        blocks = section.blocks if full else _without_prose(section.blocks)
        parts += [Words(""), Words(one_line(section.title), style="bold underline")]
        parts += [_block(block, full=full) for block in blocks]
    if full and report.footer:
        parts += [Words(""), Words(one_line(report.footer), style="dim")]
    return Constrain(Group(*parts), width or 100)


def findings_to_terminal(findings: Iterable[Finding]) -> RenderableType:
    """Return findings with their evidence and remedies; all of their text is shown as it is."""
    return Group(*(_finding(finding) for finding in findings))


def _without_prose(blocks: Sequence[Block]) -> Sequence[Block]:
    """Return the blocks without paragraphs, unless there is nothing else."""
    return [block for block in blocks if not isinstance(block, Text)] or blocks


def _block(block: Block, *, full: bool) -> RenderableType:  # noqa: PLR0911 - one per kind.
    match block:
        case Text():
            return Group(*(Words(one_line(text)) for text in block.paragraphs))
        case Facts():
            return _facts(block)
        case Table():
            return _table(block)
        case Chart():
            return Words(f"{one_line(block.title)}: {one_line(describe_chart(block))}")
        case Matrix():
            return Words(f"{one_line(block.title)}: {one_line(describe_matrix(block))}")
        case Parallel():
            return Words(f"{one_line(block.title)}: {one_line(describe_parallel(block))}")
        case Shaded():
            return Words(f"{one_line(block.title)}: {one_line(describe_shaded(block))}")
        case Space():
            return Words(f"{one_line(block.title)}: {one_line(describe_space(block))}")
        case Gallery():
            return _gallery(block)
        case Findings():
            shown = block.items if full else _telling(block.items)
            hidden = len(block.items) - len(shown)
            more = [Words(f"and {hidden} more in the report", style="dim")] if hidden else []
            return Group(*(_finding(finding) for finding in shown), *more)
        case Code():
            return _indented(visible(block.text).rstrip(), by=2)


_MOST_NOTES = 4


def _telling(findings: Sequence[Finding]) -> list[Finding]:
    """Return what asks for something, and a few notes."""
    asking = [finding for finding in findings if finding.severity != "note"]
    notes = [finding for finding in findings if finding.severity == "note"]
    return [*asking, *notes[:_MOST_NOTES]]


def _facts(facts: Facts) -> RenderableType:
    grid = Grid.grid(padding=(0, 2), expand=False)
    grid.add_column(style="dim", overflow="fold")
    grid.add_column(style="bold", overflow="fold")
    grid.add_column(overflow="fold")
    for fact in facts.items:
        grid.add_row(
            Words(one_line(fact.name)), Words(one_line(fact.value)), Words(one_line(fact.detail))
        )
    return grid


def _table(table: Table) -> RenderableType:
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for index, column in enumerate(table.columns):
        right = index in table.numeric
        name = one_line(column)
        grid.add_column(
            Words(name.replace(", ", "\n") if right else name),
            justify="right" if right else "left",
            overflow="fold",
            min_width=_least(table, index) if right else _longest_word(table, index),
        )
    for row in table.rows:
        grid.add_row(*(Words(one_line(cell)) for cell in row))
    if not table.caption:
        return grid
    return Group(grid, Words(one_line(table.caption), style="dim"))


def _least(table: Table, index: int) -> int:
    """Return the width of a column's widest number: a number is not to be broken."""
    return min(_WIDEST_NUMBER, max((len(row[index]) for row in table.rows), default=1))


def _longest_word(table: Table, index: int) -> int:
    """Return the width of a column's longest word, that it may stay whole beside many numbers."""
    words = [word for row in table.rows for word in one_line(row[index]).split()]
    return min(_WIDEST_NUMBER, max(map(len, words), default=1))


def _gallery(gallery: Gallery) -> RenderableType:
    lines = [Words(f"· {one_line(picture.caption)}") for picture in gallery.pictures]
    head = [Words(one_line(gallery.caption), style="dim")] if gallery.caption else []
    return Group(*head, *lines)


def _finding(finding: Finding) -> RenderableType:
    head = Words()
    head.append(finding.severity, style=_SEVERITIES[finding.severity])
    head.append(f"  {one_line(finding.subject)}")
    parts: list[RenderableType] = [head]
    parts += [
        _indented(one_line(line), by=4, style="dim") for line in finding.evidence[:MOST_EVIDENCE]
    ]
    if len(finding.evidence) > MOST_EVIDENCE:
        parts.append(_indented(_more(finding.evidence), by=4, style="dim"))
    if finding.hit_rate is not None:
        parts.append(_indented(guess(finding), by=4, style="dim"))
    if finding.remedy:
        parts.append(_remedy(f"→ {one_line(finding.remedy)}"))
    return Group(*parts)


def _more(evidence: Sequence[str]) -> str:
    """Return how much is not shown, with what the evidence itself leaves out."""
    hidden = evidence[MOST_EVIDENCE:]
    left_out = _LEFT_OUT.fullmatch(hidden[-1])
    if left_out is None:
        return f"and {len(hidden):,} more, all in the report"
    return f"and {len(hidden) - 1 + int(left_out[1].replace(',', '')):,} more"


def _remedy(text: str) -> RenderableType:
    """Return what to do; a command is one line, which the terminal wraps: so it can be pasted."""
    if "affinage " not in text:
        return _indented(text, by=2)
    return Words(f"  {text}", no_wrap=True, overflow="ignore")


def _indented(text: str, *, by: int, style: str = "") -> RenderableType:
    """Return text that wraps within its indent, also on a console that would let lines run on."""
    words = Words(text, style=style, overflow="fold", no_wrap=False)
    return Padding(words, (0, 0, 0, by), expand=False)
