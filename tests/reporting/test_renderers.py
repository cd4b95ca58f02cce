"""Every kind of block through every renderer, with ordinary and with hostile text."""

import itertools
import re
from io import StringIO

import pytest
from rich.console import Console

from affinage.records.finding import Finding
from affinage.records.report import (
    Block,
    Chart,
    Code,
    Fact,
    Facts,
    Findings,
    Gallery,
    Line,
    Matrix,
    Picture,
    Report,
    Section,
    Table,
    Text,
)
from affinage.reporting.html import to_html
from affinage.reporting.markdown import to_markdown
from affinage.reporting.terminal import findings_to_terminal, to_terminal

PLAIN = ("rose",)
NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>x</script>",
    "[bold red]markup[/bold red] [/] [link=x]",
    "{{ 7 * 7 }} {% raw %}",
    "\x1b[31mred\x1b[0m \x00 \x9b2J",
    "lone\udcffsurrogate",
    "two\nlines | pipe",
    "evil\u202eexe",
    "w" * 300,
    "",
    "ورد جوري",
)


def blocks(text: str, png: bytes) -> dict[str, Block]:
    """Return every kind of block, and its empty form, with a text wherever one can stand."""
    finding = Finding(
        code="code", severity="warning", subject=text, evidence=(text, text), remedy=text
    )
    picture = Picture(data=png, media_type="image/png", caption=text, alternative=text)
    line = Line(name=text, points=((0.0, 1.0), (1.0, 0.5)))
    return {
        "text": Text(paragraphs=(text, text)),
        "no text": Text(paragraphs=()),
        "facts": Facts(items=(Fact(name=text, value=text, detail=text),)),
        "no facts": Facts(items=()),
        "table": Table(columns=(text, text), rows=((text, text),), caption=text, numeric=(1,)),
        "no rows": Table(columns=(text, text), rows=(), caption=text),
        "no columns": Table(columns=(), rows=()),
        "chart": Chart(title=text, x=text, y=text, lines=(line, line), caption=text),
        "no lines": Chart(title=text, x=text, y=text, lines=()),
        "square": Chart(title=text, x=text, y=text, lines=(line,), unit_square=True),
        "matrix": Matrix(title=text, names=(text, text), counts=((3, 1), (0, 2)), caption=text),
        "large matrix": Matrix(
            title=text, names=(text,) * 40, counts=((1,) * 40,) * 40, caption=text
        ),
        "no matrix": Matrix(title=text, names=(), counts=()),
        "gallery": Gallery(pictures=(picture, picture), caption=text),
        "no pictures": Gallery(pictures=()),
        "findings": Findings(items=(finding,)),
        "no findings": Findings(items=()),
        "code": Code(text=text, caption=text),
    }


KINDS = tuple(blocks("", b""))


def report_of(block: Block, text: str, *, folded: bool = False) -> Report:
    section = Section(title=text, blocks=(block, block), folded=folded)
    return Report(
        title=text, verdict=text, tone="neutral", sections=(section, section, section), footer=text
    )


def shown(renderable, *, width: int = 80, soft_wrap: bool = False) -> str:
    out = StringIO()
    Console(file=out, width=width, highlight=False, soft_wrap=soft_wrap).print(
        renderable, crop=False
    )
    return out.getvalue()


@pytest.mark.parametrize("text", [*PLAIN, *NASTY], ids=range(len(NASTY) + 1))
@pytest.mark.parametrize("kind", KINDS)
def test_html_of_every_block_is_balanced_and_runs_nothing(kind, text, png_picture, read_page):
    page = to_html(report_of(blocks(text, png_picture)[kind], text))
    page.encode("utf-8")
    read = read_page(page)
    assert not read.all("script")
    names = {name for _, attributes in read.tags for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert not {"srcset", "background", "action", "xlink:href"} & names
    assert all((image["src"] or "").startswith("data:image/") for image in read.all("img"))
    assert all((link["href"] or "").startswith("#") for link in read.all("a"))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", page)


@pytest.mark.parametrize("text", [*PLAIN, *NASTY], ids=range(len(NASTY) + 1))
@pytest.mark.parametrize("kind", KINDS)
def test_markdown_of_every_block_holds_no_markup_of_the_users(kind, text, png_picture):
    page = to_markdown(report_of(blocks(text, png_picture)[kind], text))
    page.encode("utf-8")
    outside = re.sub(r"^(`{3,})\n.*?^\1$", "", page, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in outside
    assert "<img" not in outside
    assert "\x1b" not in page
    if "rose" in text or not text:
        assert "\\" not in outside


@pytest.mark.parametrize("soft_wrap", [False, True])
@pytest.mark.parametrize("text", [*PLAIN, *NASTY], ids=range(len(NASTY) + 1))
@pytest.mark.parametrize("kind", KINDS)
def test_terminal_of_every_block_obeys_no_text(kind, text, soft_wrap, png_picture):
    report = report_of(blocks(text, png_picture)[kind], text)
    printed = shown(to_terminal(report, full=True), soft_wrap=soft_wrap)
    printed.encode("utf-8")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", printed)
    if "[bold red]" in text:
        assert "[bold red]markup" in printed


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_is_lost_on_a_narrow_terminal(kind, png_picture):
    text = "w" * 300
    report = report_of(blocks(text, png_picture)[kind], "short")
    for soft_wrap in (False, True):
        printed = shown(to_terminal(report, full=True, width=60), width=60, soft_wrap=soft_wrap)
        letters = printed.count("w")
        expected = {"findings": 4, "text": 2, "code": 1, "facts": 3}.get(kind, 0)
        assert letters >= 2 * expected * 300


def test_a_long_finding_keeps_all_its_text_where_lines_may_run_on():
    finding = Finding(
        code="c", severity="note", subject="s", evidence=("e " * 200 + "END",), remedy="r " * 200
    )
    assert "END" in shown(findings_to_terminal([finding]), soft_wrap=True)


@pytest.mark.parametrize("soft_wrap", [False, True])
def test_a_command_is_one_line_so_that_it_can_be_pasted(soft_wrap):
    remedy = "Look at them, then: affinage exclude DATA --finding off-topic --reason 'no mushroom'"
    finding = Finding(code="c", severity="note", subject="s", remedy=remedy)
    printed = shown(findings_to_terminal([finding]), width=40, soft_wrap=soft_wrap)
    assert f"  → {remedy}" in printed.splitlines()


@pytest.mark.parametrize(
    ("lines", "last", "said"),
    [
        (5, "", None),
        (7, "", "and 2 more, all in the report"),
        (5, "and 1,067 more", "and 1,067 more"),
        (8, "and 67 more", "and 70 more"),
    ],
)
def test_what_is_not_shown_is_counted_with_what_the_evidence_leaves_out(lines, last, said):
    evidence = (*(f"line {n}" for n in range(lines)), *([last] if last else []))
    finding = Finding(code="c", severity="note", subject="s", evidence=evidence)
    told = [line.strip() for line in shown(findings_to_terminal([finding])).splitlines()]
    assert [line for line in told if line.startswith("and ")] == ([said] if said else [])


def test_a_terminal_shows_no_more_columns_than_asked(png_picture):
    report = report_of(blocks("some words " * 30, png_picture)["table"], "t")
    printed = shown(to_terminal(report, width=50), width=120)
    assert max(map(len, printed.splitlines())) <= 50


@pytest.mark.parametrize("folded", [False, True])
def test_headings_come_in_order_and_sections_can_be_reached(folded, png_picture, read_page):
    read = read_page(to_html(report_of(blocks("rose", png_picture)["chart"], "t", folded=folded)))
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    ids = {attributes.get("id") for _, attributes in read.tags}
    assert all((link["href"] or "")[1:] in ids for link in read.all("a"))
    assert (len(read.all("details")) > 0) == folded
    assert read.all("html")[0]["lang"] == "en"
    assert any(meta.get("name") == "viewport" for meta in read.all("meta"))


def test_the_page_allows_itself_nothing_but_its_own_style_and_pictures(png_picture, read_page):
    page = to_html(report_of(blocks("rose", png_picture)["gallery"], "t"))
    policy = next(
        meta["content"]
        for meta in read_page(page).all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.findall(r"\sstyle=", page)
    css = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert css is not None
    assert "url(" not in css[1]
    assert "@import" not in css[1]


def test_every_picture_has_words_instead(png_picture, read_page):
    read = read_page(to_html(report_of(blocks("a rose", png_picture)["gallery"], "t")))
    assert [image["alt"] for image in read.all("img")] == ["a rose"] * 12


def test_markdown_tables_have_the_columns_that_they_announce(png_picture):
    page = to_markdown(report_of(blocks("a | b", png_picture)["table"], "t"))
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}


def test_markdown_does_not_take_a_name_for_a_list_or_a_heading():
    text = Text(paragraphs=("# 1", "- a", "1. b", "+ c"))
    page = to_markdown(report_of(text, "t"))
    for line in ("\\# 1", "\\- a", "1\\. b", "\\+ c"):
        assert line in page.splitlines()


def test_code_with_fences_stays_code():
    page = to_markdown(report_of(Code(text="a\n```\nb"), "t"))
    assert "````\na\n```\nb\n````" in page


def test_a_severity_is_written_and_not_only_coloured():
    finding = Finding(code="leak", severity="blocking", subject="It leaks.", remedy="Mend it.")
    report = report_of(Findings(items=(finding,)), "t")
    for text in (to_html(report), to_markdown(report), shown(findings_to_terminal([finding]))):
        assert "blocking" in text
        assert "Mend it." in text
