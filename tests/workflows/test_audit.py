import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import affinage
from affinage.cli.main import app
from affinage.errors import DataError
from affinage.records.finding import Finding
from affinage.store.dataset_folder import DatasetFolder
from affinage.workflows.reporter import Silent
from real_digits import write_digits


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """60 real digits of 3 classes, with faults: a copy, a damaged file, a page named .png."""
    folder = tmp_path_factory.mktemp("été 2026") / "digits"
    write_digits(folder, per_class=20, classes=3)
    first = sorted((folder / "0").iterdir())[0]
    shutil.copy(first, folder / "0" / "copy.png")
    (folder / "1" / "cut.png").write_bytes(first.read_bytes()[:-40])
    (folder / "2" / "page.png").write_text("<html>not found</html>")
    return folder


@pytest.fixture(scope="module")
def audited(digits, tmp_path_factory) -> tuple[affinage.audit, Path]:
    data = tmp_path_factory.mktemp("work") / "data"
    return affinage.audit(digits, data=data, reporter=Silent()), data


def test_it_sees_pixels_features_and_pairs(audited):
    result, _ = audited
    assert result.looked_at == ("manifest", "pixels", "features", "near-duplicates")
    assert result.classes == {"0": 20, "1": 20, "2": 20}
    assert result.images == 60


def test_faults_are_told_by_path(audited):
    result, _ = audited
    findings = {finding.code: finding for finding in result.findings}
    assert set(findings["unreadable-images"].images) == {"1/cut.png", "2/page.png"}
    assert "0/copy.png" in findings["exact-duplicates"].images


def test_the_report_is_one_page_without_the_network_or_absolute_paths(audited, digits):
    result, data = audited
    page = Path(result.report).read_text()
    assert Path(result.report) == data / "audit.html"
    assert "http" not in page.replace("http-equiv", "")
    assert str(digits) not in page
    assert "unreadable-images" in page


def test_findings_are_kept_for_the_verbs_that_decide(audited):
    result, data = audited
    kept = DatasetFolder(data).load_findings()
    assert [finding.code for finding in kept] == [finding.code for finding in result.findings]


def test_the_users_folder_is_only_read(audited, digits):
    assert {path.name for path in digits.iterdir()} == {"0", "1", "2"}


def test_a_second_audit_computes_nothing_anew_and_says_the_same(audited, digits):
    result, data = audited
    again = affinage.audit(data, reporter=Silent())
    assert again.findings == tuple(f for f in result.findings if f.code != "ignored-files")


def test_quick_leaves_features_out(digits, tmp_path):
    result = affinage.audit(digits, data=tmp_path / "data", quick=True, reporter=Silent())
    assert result.looked_at == ("manifest", "pixels")
    assert not DatasetFolder(tmp_path / "data").audited


def test_a_quick_audit_keeps_the_near_duplicates_that_a_full_one_found(digits, tmp_path):
    data = DatasetFolder(tmp_path / "data")
    affinage.audit(digits, data=data.path, quick=True, reporter=Silent())
    twins = Finding(code="near-duplicates", severity="note", subject="s")
    data.save_findings([twins])
    affinage.audit(data.path, quick=True, reporter=Silent())
    assert data.audited
    assert twins in data.load_findings()


def test_the_gravest_comes_first_whatever_was_decided(digits, tmp_path):
    data = tmp_path / "data"
    affinage.audit(digits, data=data, quick=True, reporter=Silent())
    affinage.exclude(data, images=["0/copy.png"], reason="twice")
    result = affinage.audit(data, quick=True, reporter=Silent())
    graver = [("blocking", "warning", "note").index(one.severity) for one in result.findings]
    assert "left-out-by-decision" in [one.code for one in result.findings]
    assert graver == sorted(graver)


def test_an_unknown_column_is_a_mistake_that_names_the_columns(digits, tmp_path):
    with pytest.raises(DataError, match="no column 'domain'"):
        affinage.audit(
            digits, data=tmp_path / "data", group="domain", quick=True, reporter=Silent()
        )


def test_every_source_of_a_column_is_reported(digits, tmp_path):
    rows = [
        {"path": str(path.relative_to(digits)), "label": path.parent.name, "site": f"s{n % 4}"}
        for n, path in enumerate(sorted(digits.rglob("*.png")))
        if path.name not in ("cut.png", "page.png", "copy.png")
    ]
    table = digits.parent / "digits.csv"
    pl.DataFrame(rows).with_columns((pl.lit("digits/") + pl.col("path")).alias("path")).write_csv(
        table
    )
    result = affinage.audit(table, data=tmp_path / "data", group="SITE", reporter=Silent())
    assert result.group == "site"
    assert sorted(report.value for report in result.source_reports) == ["s0", "s1", "s2", "s3"]
    assert not any(report.suspicious for report in result.source_reports)


def test_the_command_prints_what_matters_and_where_the_report_is(audited):
    _, data = audited
    done = CliRunner().invoke(app, ["audit", str(data), "--quick"])
    assert done.exit_code == 0
    assert "could not be read" in done.stdout
    assert "audit.html" in done.stdout


def test_the_command_as_json_fails_on_warnings_where_asked(audited):
    _, data = audited
    done = CliRunner().invoke(
        app, ["audit", str(data), "--quick", "--json", "--fail-on", "warning"]
    )
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["format"] == 1
    assert document["command"] == "audit"
    assert document["classes"] == {"0": 20, "1": 20, "2": 20}


def test_a_training_on_the_data_folder_keeps_what_the_audit_found(audited, tmp_path):
    _, data = audited
    before = {f.code for f in DatasetFolder(data).load_findings()}
    run = affinage.train(data, output=tmp_path / "run", stages="features", reporter=Silent())
    assert {f.code for f in DatasetFolder(data).load_findings()} >= before - {"ignored-files"}
    assert sum(run.record.split.values()) == 60
