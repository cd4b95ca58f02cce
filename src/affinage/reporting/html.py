"""A report as one HTML file that needs no network and no script."""

import base64
import functools
import hashlib
import importlib.resources
import re
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from affinage.records.report import (
    Block,
    Chart,
    Matrix,
    Parallel,
    Picture,
    Report,
    Section,
    Shaded,
    Space,
)
from affinage.reporting.charts.lines import line_chart
from affinage.reporting.charts.matrix import matrix_chart
from affinage.reporting.charts.parallel import parallel_chart
from affinage.reporting.charts.shaded import shaded_chart
from affinage.reporting.charts.space import space_chart
from affinage.reporting.words import guess, visible

_LONG_WORD = 24
_TOGETHER = re.compile(
    r"\d[\d.,–]* ×(?: 10[⁻⁰¹²³⁴-⁹]+| \d+(?: px)?)"
    r"|(?:\d[\d.,–]*|[nT] =) (?:%|s|min|h|px|ms|GiB|million|\d[\d.,]*)(?!\w)"
)
_TONES = {
    "good": "Verdict",
    "caution": "Verdict, with caution",
    "bad": "Verdict: not to be relied on yet",
    "neutral": "In short",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A section with its anchor and its drawable groups of blocks."""

    section: Section
    anchor: str
    groups: tuple[tuple[str, tuple[Block, ...]], ...]


def to_html(report: Report) -> str:
    """Return a self-contained page: styles, charts and pictures are in it; all text is escaped."""
    css = _read("report.css")
    style = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    sections = [_place(section, number) for number, section in enumerate(report.sections, start=1)]
    page = _environment().get_template("report.html.j2")
    return page.render(
        report=report,
        sections=sections,
        tone=_TONES[report.tone],
        css=Markup(css),  # noqa: S704 - our own file.
        style_hash=style,
    )


def _place(section: Section, number: int) -> _Placed:
    """Return a section whose neighbouring charts stand side by side."""
    groups: list[tuple[str, tuple[Block, ...]]] = []
    for block in section.blocks:
        kind = type(block).__name__.lower()
        kind = "chart" if kind in ("shaded", "space") else kind
        if kind == "chart" and groups and groups[-1][0] == "chart":
            groups[-1] = (kind, (*groups[-1][1], block))
        else:
            groups.append((kind, (block,)))
    return _Placed(section=section, anchor=f"s{number}", groups=tuple(groups))


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_seen,
    )
    environment.filters.update(
        tied=_tied, datauri=_data_uri, lined=_lined, breakable=_breakable, guess=guess
    )
    environment.tests.update(long=_is_long)
    environment.globals.update(draw=_draw)
    return environment


def _seen(value: Any) -> Any:
    """Make hidden characters visible in whatever is text and not yet markup."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _tied(text: str) -> Markup:
    """Return escaped text in which a number and its unit stay on one line."""
    safe = str(escape(visible(text)))
    return Markup(_TOGETHER.sub(r'<span class="nb">\g<0></span>', safe))  # noqa: S704 - escaped above.


def _is_long(text: str) -> bool:
    """Return whether a word is too long for a column and must be broken anywhere."""
    return max(map(len, text.split()), default=0) > _LONG_WORD


def _lined(text: str) -> Markup:
    """Return escaped text whose line ends are kept."""
    return Markup("<br>").join(_tied(line) for line in text.split("\n"))


def _breakable(markup: Markup) -> Markup:
    """Return text that may go on to the next line after an underscore."""
    return Markup(str(markup).replace("_", "_<wbr>"))  # noqa: S704 - `_tied` writes no underscore.


def _data_uri(picture: Picture) -> str:
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode()}"


def _draw(block: Chart | Matrix | Parallel | Shaded | Space, identity: str) -> Markup:
    match block:
        case Chart():
            drawn = line_chart(block, identity=identity)
        case Matrix():
            drawn = matrix_chart(block, identity=identity)
        case Parallel():
            drawn = parallel_chart(block, identity=identity)
        case Shaded():
            drawn = shaded_chart(block, identity=identity)
        case Space():
            drawn = space_chart(block, identity=identity)
    return Markup(drawn)  # noqa: S704 - charts/svg.py escapes every text.


@functools.cache
def _read(name: str) -> str:
    folder = importlib.resources.files("affinage.reporting") / "templates"
    return (folder / name).read_text(encoding="utf-8")
