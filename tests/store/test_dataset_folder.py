import dataclasses
import json
import threading
from pathlib import Path

import polars as pl
import pytest

from affinage.errors import DataError
from affinage.records.decision import Decision
from affinage.records.evaluation import Look
from affinage.records.finding import Finding
from affinage.records.manifest import SCHEMA, Manifest
from affinage.records.split import Folds, Split
from affinage.store.dataset_folder import FORMAT, DatasetFolder


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    return DatasetFolder(tmp_path / "data")


@pytest.fixture
def manifest() -> Manifest:
    row = dict.fromkeys(SCHEMA) | {
        "key": "k",
        "path": "katze/1\n.png",
        "label": "Käse",
        "status": "kept",
    }
    table = pl.DataFrame([row | {"slide": "S1"}], schema={**SCHEMA, "slide": pl.String()})
    return Manifest(table=table, sources={"s": "/somewhere"}, label_order=("Käse", "b"))


SPLIT = Split(train=frozenset("ab"), validation=frozenset("c"), test=frozenset("d"), carved=False)
LOOK = Look(at="2026-01-01T00:00:00Z", run="r1", command="train", images=3, fingerprint="f")


def test_a_manifest_comes_back_as_it_was(folder, manifest):
    assert folder.load_manifest() is None
    folder.save_manifest(manifest)
    loaded = folder.load_manifest()
    assert loaded is not None
    assert loaded.table.equals(manifest.table)
    assert (loaded.sources, loaded.label_order) == (manifest.sources, manifest.label_order)


@pytest.mark.parametrize(
    "split", [SPLIT, Split(train=frozenset("ab"), validation=frozenset("ab"), closed_set=True)]
)
def test_a_split_comes_back_as_it_was(folder, split):
    assert folder.load_split("default") is None
    folder.save_split("default", split)
    assert folder.load_split("default") == split


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden"])
def test_a_split_cannot_be_named_out_of_its_folder(folder, name):
    with pytest.raises(DataError, match="cannot be the name"):
        folder.save_split(name, SPLIT)


def test_looks_add_up_by_fingerprint(folder):
    other = dataclasses.replace(LOOK, fingerprint="g")
    for look in (LOOK, other, LOOK):
        folder.enter_look(look)
    assert folder.looks("f") == [LOOK, LOOK]
    assert folder.looks() == [LOOK, other, LOOK]


def test_a_look_cut_by_a_crash_costs_no_other(folder):
    folder.enter_look(LOOK)
    with (folder.path / "ledger.jsonl").open("a") as file:
        file.write('[]\n{"at": "20')
    folder.enter_look(LOOK)
    assert folder.looks("f") == [LOOK, LOOK]


DECISION = Decision(
    action="relabel",
    at="2026-01-01T00:00:00+00:00",
    by="ann",
    reason="two\u2028lines and a tab\t",
    where=("domain=*.example",),
    images=("a", "b"),
    labels=(("a", "Käse"),),
    label="Käse",
)


def test_decisions_come_back_in_their_order(folder):
    undo = Decision(action="include", undoes=1)
    assert folder.decisions() == []
    for decision in (DECISION, undo):
        folder.enter_decision(decision)
    assert folder.decisions() == [DECISION, undo]


def test_a_decision_cut_by_a_crash_was_never_made(folder):
    folder.enter_decision(DECISION)
    log = folder.path / "decisions.jsonl"
    log.write_bytes(log.read_bytes() + log.read_bytes()[:40])
    folder.enter_decision(DECISION)
    assert folder.decisions() == [DECISION, DECISION]


@pytest.mark.parametrize(
    "line",
    ["[]", '"x"', "{}", '{"format": 1}', '{"format": 1, "action": "delete", "images": ["a"]}'],
)
def test_a_line_that_is_no_decision_is_not_passed_over(folder, line):
    folder.enter_decision(DECISION)
    with (folder.path / "decisions.jsonl").open("a") as log:
        log.write(f"{line}\n")
    with pytest.raises(DataError, match="is no decision") as caught:
        folder.decisions()
    assert caught.value.remedy


def test_a_decision_of_a_newer_format_is_refused(folder):
    folder.path.mkdir()
    line = {"format": FORMAT + 1, "action": "burn"}
    (folder.path / "decisions.jsonl").write_text(json.dumps(line))
    with pytest.raises(DataError, match=f"format {FORMAT + 1}"):
        folder.decisions()


def test_folds_come_back_as_they_were(folder):
    folds = Folds(folds=(frozenset("ab"), frozenset("c"), frozenset()), test=frozenset("d"))
    assert folder.load_folds("k") is None
    folder.save_folds("k", folds)
    assert folder.load_folds("k") == folds


def test_folds_and_parts_are_not_taken_for_each_other(folder):
    folder.save_folds("k", Folds(folds=(frozenset("a"), frozenset("b"))))
    folder.save_split("default", SPLIT)
    with pytest.raises(DataError, match="one of folds"):
        folder.load_split("k")
    with pytest.raises(DataError, match="not of folds"):
        folder.load_folds("default")


def test_a_folder_is_a_data_set_where_affinage_keeps_a_manifest(folder, manifest):
    assert not folder.exists
    folder.path.mkdir()
    manifest.table.write_parquet(folder.path / "manifest.parquet")
    assert not folder.exists
    folder.save_manifest(manifest)
    assert folder.exists
    assert not folder.audited


def test_a_quick_look_is_no_audit_and_undoes_none(folder):
    folder.keep_findings([], deeper=())
    assert not folder.audited
    folder.save_findings([])
    assert folder.audited
    folder.keep_findings([], deeper=())
    assert folder.audited


def test_findings_come_back_as_they_were(folder):
    findings = [Finding(code="c", severity="note", subject="s", evidence=("é",), images=("a", "b"))]
    assert folder.load_findings() == []
    folder.save_findings(findings)
    assert folder.load_findings() == findings


@pytest.mark.parametrize("data", [b"", b"junk", b"PAR1" * 9, b"{}", b'{"format": "1"}'])
def test_damaged_files_are_refused_with_a_remedy(folder, manifest, data):
    folder.save_manifest(manifest)
    folder.save_split("default", SPLIT)
    folder.save_findings([])
    for name in ("manifest.parquet", "splits/default.parquet", "findings.json"):
        (folder.path / name).write_bytes(data)
    for load in (folder.load_manifest, folder.load_findings, lambda: folder.load_split("default")):
        with pytest.raises(DataError) as caught:
            load()
        assert caught.value.remedy


def test_a_parquet_of_another_program_is_refused(folder, manifest):
    folder.path.mkdir()
    manifest.table.write_parquet(folder.path / "manifest.parquet")
    with pytest.raises(DataError, match="affinage did not write it"):
        folder.load_manifest()


def test_a_newer_format_is_refused_with_the_way_out(folder, manifest):
    facts = {"format": FORMAT + 1, "sources": {}, "label_order": []}
    folder.path.mkdir()
    manifest.table.write_parquet(
        folder.path / "manifest.parquet", metadata={"affinage": json.dumps(facts)}
    )
    with pytest.raises(DataError, match=f"format {FORMAT + 1}") as caught:
        folder.load_manifest()
    assert "Upgrade" in caught.value.remedy


def test_writers_at_once_leave_one_whole_state(folder):
    def write(number: int) -> None:
        for _ in range(10):
            folder.save_split(
                "default", Split(train=frozenset([f"{number}"]), validation=frozenset())
            )
            folder.enter_look(LOOK)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    split = folder.load_split("default")
    assert split is not None
    assert split.train in [{f"{number}"} for number in range(4)]
    assert len(folder.looks()) == 40
    assert [path.name for path in (folder.path / "splits").iterdir()] == ["default.parquet"]
