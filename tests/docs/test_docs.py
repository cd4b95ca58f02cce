import ast
import dataclasses
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
import typer.main
import yaml

import affinage
from affinage.cli.main import COMMANDS, app
from affinage.models.catalogue import Entry
from affinage.records.audit import AuditResult
from affinage.records.augmentation import AugmentationsResult, AugmentationTrial
from affinage.records.box import ClassCounts, CountsResult
from affinage.records.bundle import Bundle, Latency, Loss, Parity, Quantised, Speed
from affinage.records.decision import Decision, DecisionResult, NumberedDecision
from affinage.records.evaluation import Evaluation, Look
from affinage.records.feedback import FeedbackAdded, FeedbackCompared
from affinage.records.finding import Finding
from affinage.records.layers import Layer, LayerTable
from affinage.records.monitored import MonitorResult, ToLabel, WindowJudged
from affinage.records.prediction import Prediction
from affinage.records.run import Calibration, Environment, ModelCard, RunRecord, StageResult
from affinage.records.shipped import Expected, ShippedRecipe
from affinage.records.source import SourceReport
from affinage.records.split import SplitResult
from affinage.records.study import StudyRecord
from affinage.workflows.collect import CollectResult
from affinage.workflows.evaluate import EvaluationResult
from affinage.workflows.export import ExportResult
from affinage.workflows.sample import Sample, SampledImage

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PAGES = ROOT / "docs" / "commands"
VERBS = [command.__name__.replace("_", "-") for command in COMMANDS]

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"`([^`\n]+)`")
PATH = re.compile(
    r"(?:src|tests|docs|benchmarks)/[\w./-]*|[A-Z]+\.md|pyproject\.toml|constraints\.txt"
)


def name(path):
    return str(path.relative_to(ROOT))


each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=name)
each_verb = pytest.mark.parametrize("verb", VERBS)


def prose(text):
    """A document without its blocks of code."""
    return FENCE.sub("", text)


def blocks(text, language):
    return [body for kind, body in FENCE.findall(text) if kind == language]


def anchors(text):
    titles = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def rows(text):
    """The cells of every row of every table, without the heads' lines."""
    split = re.compile(r"(?<!\\)\|")
    for line in prose(text).splitlines():
        if line.startswith("|") and not re.fullmatch(r"[|\s:-]+", line):
            yield [cell.strip() for cell in split.split(line)[1:-1]]


def table(page, head):
    """The quoted names in the first column of the table whose first head is given, in order."""
    found = []
    inside = False
    for line in prose((PAGES / page).read_text()).splitlines():
        if line.startswith(f"| {head} |"):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside:
            found.extend(QUOTED.findall(line.split("|")[1]))
    return found


def fields(record):
    return [field.name for field in dataclasses.fields(record)]


def command(verb):
    group = typer.main.get_command(app)
    return group.get_command(click.Context(group), verb)


def flags(verb):
    own = [option for parameter in command(verb).params for option in parameter.opts]
    return {option for option in own if option.startswith("--")} | {"--help"}


# Links and paths.


@each_document
def test_every_relative_link_leads_somewhere(document):
    for target in LINK.findall(prose(document.read_text())):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (document.parent / path).resolve() if path else document
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there.read_text()), target


@each_document
def test_every_path_that_is_named_exists(document):
    for quoted in QUOTED.findall(prose(document.read_text())):
        if PATH.fullmatch(quoted) and "NAME" not in quoted:
            assert (ROOT / quoted).exists(), quoted


def test_the_table_of_places_leads_to_files():
    text = (ROOT / "ARCHITECTURE.md").read_text().partition("## Where is …?")[2]
    places = [cells[1] for cells in rows(text) if cells[0] != "question"]
    assert len(places) > 20
    for cell in places:
        paths = QUOTED.findall(cell)
        assert paths, cell
        assert all((ROOT / path).exists() for path in paths), cell


def test_every_room_is_described_and_every_wall_is_the_linters():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    packages = {path.parent.name for path in (ROOT / "src" / "affinage").glob("*/__init__.py")}
    described = {
        room for cells in rows(text) if len(cells) == 3 for room in QUOTED.findall(cells[0])
    }
    assert described == packages | {"errors"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = project["tool"]["importlinter"]["contracts"][0]
    assert "\n".join(contract["layers"]) + "\n" in blocks(text, "text")


def test_decisions_are_numbered_without_gaps():
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [page.name[:4] for page in pages]
    assert numbers == [f"{number:04d}" for number in range(1, len(pages) + 1)]
    assert all(page.read_text().startswith(f"# {page.name[:4]}. ") for page in pages)


# Commands.


@each_verb
def test_every_command_has_a_page_that_names_its_flags(verb):
    text = (PAGES / f"{verb}.md").read_text()
    named = {flag for cells in rows(text) for flag in re.findall(r"^`(--[\w-]+)", cells[0])}
    assert named == flags(verb)
    assert "## Examples" in text
    assert "## Exit codes" in text


@each_document
def test_every_example_of_a_command_could_be_given(document):
    for block in blocks(document.read_text(), "sh"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if len(words) > 1 and words[0] == "affinage" and words[1] in VERBS:
                used = {word for word in words[2:] if word.startswith("--")}
                assert used <= flags(words[1]), line


@each_document
def test_python_examples_compile_and_name_what_is_public(document):
    for block in blocks(document.read_text(), "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert node.value.id != "affinage" or node.attr in affinage.__all__, node.attr


# What is documented is what there is.


def test_settings_are_those_of_the_recipe():
    place = ROOT / "docs" / "build.py"
    spec = importlib.util.spec_from_file_location("docs_build", place)
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    assert (ROOT / "docs" / "settings.md").read_text() == build.settings_page(), "Run: make docs"


def test_the_json_of_a_run_is_documented_key_by_key():
    keys = [{"evaluations": "evaluation"}.get(field, field) for field in fields(RunRecord)]
    assert set(table("show.md", "key")) == {"format", "command", *keys}


@pytest.mark.parametrize(
    ("page", "head", "record", "more"),
    [
        ("show.md", "key of `stages[]`", StageResult, ()),
        ("show.md", "key of `evaluation.PART`", Evaluation, ()),
        ("show.md", "key of `model`", ModelCard, ()),
        ("show.md", "key of `calibration`", Calibration, ()),
        ("show.md", "key of `findings[]`", Finding, ()),
        ("show.md", "key of `looks[]`", Look, ()),
        ("predict.md", "key", Prediction, ("format",)),
        ("evaluate.md", "key", EvaluationResult, ("format", "command")),
        ("env.md", "key", Environment, ("format", "command")),
        ("models.md", "key of `models[]`", Entry, ()),
        ("recipes.md", "key of `recipes[]`", ShippedRecipe, ()),
        ("recipes.md", "key of `expected[]`", Expected, ()),
        ("augmentations.md", "key", AugmentationsResult, ("format", "command")),
        ("augmentations.md", "key of `trials[]`", AugmentationTrial, ()),
        ("layers.md", "key", LayerTable, ("format", "command")),
        ("layers.md", "key of `layers[]`", Layer, ()),
        ("audit.md", "key", AuditResult, ("format", "command")),
        ("audit.md", "key of `source_reports[]`", SourceReport, ()),
        ("collect.md", "key", CollectResult, ("format", "command")),
        ("counts.md", "key", CountsResult, ("format", "command")),
        ("counts.md", "key of `classes[]`", ClassCounts, ()),
        ("exclude.md", "key", DecisionResult, ("format", "command")),
        ("exclude.md", "key of `decision`", Decision, ()),
        ("include.md", "key of `decisions[]`", NumberedDecision, ()),
        ("export.md", "key", ExportResult, ("format", "command")),
        ("export.md", "key of `bundle`", Bundle, ()),
        ("export.md", "key of `parity`", Parity, ()),
        ("export.md", "key of `loss`", Loss, ()),
        ("export.md", "key of `quantised`", Quantised, ()),
        ("bench-bundle.md", "key", Speed, ("format", "command")),
        ("bench-bundle.md", "key of `latencies[]`", Latency, ()),
        ("split.md", "key", SplitResult, ("format", "command")),
        ("feedback.md", "key", FeedbackAdded, ("format", "command")),
        ("feedback.md", "key of the comparison", FeedbackCompared, ("format", "command")),
        ("monitor.md", "key", MonitorResult, ("format", "command")),
        ("monitor.md", "key of `windows[]`", WindowJudged, ()),
        ("monitor.md", "key of `to_label[]`", ToLabel, ()),
        ("study.md", "key", StudyRecord, ("format", "command")),
        ("sample.md", "key", Sample, ("format", "command")),
        ("sample.md", "key of `images[]`", SampledImage, ()),
    ],
)
def test_json_is_documented_key_by_key(page, head, record, more):
    assert table(page, head) == [*more, *fields(record)]


def test_every_file_of_a_run_is_named_where_files_are_named():
    sources = [
        ROOT / "src" / "affinage" / "store" / "run_folder.py",
        ROOT / "src" / "affinage" / "training" / "finetune.py",
    ]
    code = "".join(path.read_text() for path in sources)
    listed = table("train.md", "file")
    assert len(listed) > 15
    for file in listed:
        stem = Path(file).name.replace("finetune", "{phase}").replace("refit", "{phase}")
        assert f'"{stem}"' in code or f'/ f"{stem}"' in code, file


def test_every_finding_is_documented_with_its_severity():
    pattern = re.compile(r'code="([a-z-]+)",\s+severity="([a-z]+)"')
    sources = (ROOT / "src").rglob("*.py")
    told = {found for path in sources for found in pattern.findall(path.read_text())}
    text = (ROOT / "docs" / "findings.md").read_text()
    documented = {(cells[0].strip("`"), cells[1]) for cells in rows(text) if cells[0] != "code"}
    assert documented == told


def test_the_citation_has_the_version_and_the_licence_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == affinage.__version__
    assert citation["license"] == "Apache-2.0"
    assert f"## [{affinage.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


# Whom the documents speak to.


@each_document
def test_documents_speak_of_the_product_only(document):
    text = document.read_text().replace("Ort::Session", "")  # A class of ONNX Runtime in C++.
    assert not re.search(r"\b(sessions?|agents?|prompts?)\b", QUOTED.sub("", text), re.IGNORECASE)
    assert not re.search(r"(?<![\w.…])/(home|root|tmp|work|usr|mnt|Users)/", text)


def test_the_first_screen_of_the_readme_has_the_two_commands():
    first = "\n".join((ROOT / "README.md").read_text().splitlines()[:25])
    assert "make demo" in first
    assert "make test" in first
    assert "pip install ." in first
