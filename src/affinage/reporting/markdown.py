"""A report as Markdown (GitHub's), for a README, an issue or a notebook."""

import re
from collections.abc import Sequence

from affinage.records.finding import Finding
from affinage.records.report import (
    Block,
    Chart,
    Code,
    Facts,
    Findings,
    Gallery,
    Line,
    Matrix,
    Parallel,
    Report,
    Shaded,
    Space,
    Table,
    Text,
)
from affinage.reporting.charts.lines import describe as describe_chart
from affinage.reporting.charts.matrix import MOST_NUMBERED
from affinage.reporting.charts.matrix import describe as describe_matrix
from affinage.reporting.charts.parallel import describe as describe_parallel
from affinage.reporting.charts.shaded import describe as describe_shaded
from affinage.reporting.charts.space import describe as describe_space
from affinage.reporting.words import NOTHING, guess, number, one_line, visible

MOST_SAMPLED = 12
"""So many rows stand for a curve."""

_SPECIAL = re.compile(r"([\\`*\[\]|~$<>&]|(?<!\w)_|_(?!\w))")
_LEADING = re.compile(r"^(\s*)([#+\-=]|\d+[.)])(?=\s|$)")


def to_markdown(report: Report) -> str:
    """Return the report as Markdown; charts become tables of their points, pictures their captions."""
    parts = [f"# {_inline(report.title)}", f"**{_inline(report.verdict)}**"]
    for section in report.sections:
        parts.append(f"## {_inline(section.title)}")
        parts.extend(_block(block) for block in section.blocks)
    if report.footer:
        parts += ["---", _inline(report.footer)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _block(block: Block) -> str:  # noqa: PLR0911 - a line for each kind of block.
    match block:
        case Text():
            return "\n\n".join(_paragraph(text) for text in block.paragraphs)
        case Facts():
            return "\n".join(
                f"- {_inline(fact.name)}: **{_inline(fact.value)}**"
                + (f" ({_inline(fact.detail)})" if fact.detail else "")
                for fact in block.items
            )
        case Table():
            return _captioned(block.caption, _table(block.columns, block.rows, block.numeric))
        case Chart():
            return _chart(block)
        case Matrix():
            return _matrix(block)
        case Parallel():
            told = f"**{_inline(block.title)}**: {_inline(describe_parallel(block))}"
            return "\n\n".join(part for part in (told, _paragraph(block.caption)) if part)
        case Shaded():
            told = f"**{_inline(block.title)}**: {_inline(describe_shaded(block))}"
            return "\n\n".join(part for part in (told, _paragraph(block.caption)) if part)
        case Space():
            told = f"**{_inline(block.title)}**: {_inline(describe_space(block))}"
            return "\n\n".join(part for part in (told, _paragraph(block.caption)) if part)
        case Gallery():
            items = [f"- {_inline(picture.caption, ', ')}" for picture in block.pictures]
            return _captioned(block.caption, "\n".join(items))
        case Findings():
            return "\n".join(_finding(finding) for finding in block.items)
        case Code():
            return _captioned(block.caption, _fenced(block.text))


def _captioned(caption: str, content: str) -> str:
    return f"{_paragraph(caption)}\n\n{content}" if caption else content


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = ()
) -> str:
    rule = ["---:" if index in numeric else "---" for index in range(len(columns))]
    cells = [[_inline(cell) for cell in row] for row in (columns, *rows)]
    lines = [cells[0], rule, *cells[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _chart(chart: Chart) -> str:
    places = sorted({x for line in chart.lines for x, _ in line.points})
    title = f"**{_inline(chart.title)}**: {_inline(describe_chart(chart))}"
    shared = [line for line in chart.lines if len(line.points) > 1]
    parts = [title]
    if places and shared and not chart.unit_square and not _bars(chart):
        if len(places) > MOST_SAMPLED:
            last = len(places) - 1
            places = [places[round(i * last / (MOST_SAMPLED - 1))] for i in range(MOST_SAMPLED)]
        rows = [(number(x), *(_at(line, x) for line in chart.lines)) for x in places]
        columns = (chart.x, *(line.name for line in chart.lines))
        parts.append(_table(columns, rows, range(len(columns))))
    if chart.caption:
        parts.append(_paragraph(chart.caption))
    return "\n\n".join(parts)


def _bars(chart: Chart) -> bool:
    """Return whether lines are upright bars at places of no meaning: told in words, they need no table."""
    return not chart.ticks and all(len({x for x, _ in line.points}) < 2 for line in chart.lines)


def _at(line: Line, x: float) -> str:
    """Return a line's value at a place, or from where to where it stands there: a bar has two ends."""
    values = [y for place, y in line.points if place == x]
    if not values:
        return NOTHING
    ends = [number(end) for end in (min(values), max(values))]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _matrix(matrix: Matrix) -> str:
    title = f"**{_inline(matrix.title)}**: {_inline(describe_matrix(matrix))}"
    parts = [title]
    if 0 < len(matrix.names) <= MOST_NUMBERED:
        rows = [
            (name, *(str(n) for n in row))
            for name, row in zip(matrix.names, matrix.counts, strict=True)
        ]
        parts.append(_table(("truth ↓ called →", *matrix.names), rows, range(1, len(rows) + 1)))
    if matrix.caption:
        parts.append(_paragraph(matrix.caption))
    return "\n\n".join(parts)


def _finding(finding: Finding) -> str:
    lines = [f"- **{finding.severity}** {_inline(finding.subject)} (`{finding.code}`)"]
    lines += [f"  - {_inline(line)}" for line in finding.evidence]
    if finding.hit_rate is not None:
        lines.append(f"  - {_inline(guess(finding))}")
    if finding.remedy:
        lines.append(f"  - → {_inline(finding.remedy)}")
    return "\n".join(lines)


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{visible(text).rstrip()}\n{fence}"


def _paragraph(text: str) -> str:
    return _LEADING.sub(_unlead, _inline(text))


def _unlead(match: re.Match[str]) -> str:
    space, mark = match.groups()
    return f"{space}{mark[:-1]}\\{mark[-1]}"


def _inline(text: str, line_end: str = "⏎") -> str:
    """Return text on one line in which no character is markup."""
    return _SPECIAL.sub(_escaped, one_line(text.replace("\n", line_end)))


def _escaped(match: re.Match[str]) -> str:
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(match[0], f"\\{match[0]}")
