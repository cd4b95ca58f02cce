from dataclasses import replace
from pathlib import Path

import pytest

from affinage.auditing.checks import CHECKS, audit
from affinage.auditing.evidence import gather
from affinage.auditing.groups import suggested_group
from affinage.datasets.sources import scan
from affinage.records.finding import Finding

from .samples import healthy, manifest_of


def found(*rows: dict[str, object]) -> dict[str, Finding]:
    return {finding.code: finding for finding in audit(gather(manifest_of(*healthy(), *rows)))}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_check_is_silent_on_a_healthy_set(check):
    assert list(check(gather(manifest_of(*healthy())))) == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_check_bears_an_empty_manifest(check):
    assert list(check(gather(manifest_of()))) == []


def test_unreadable_images_are_listed_by_reason():
    bad = [
        {"label": "a", "status": "failed", "reason": "cut off", "path": f"a/x{n}"}
        for n in range(12)
    ]
    finding = found(*bad, {"label": "b", "status": "failed", "reason": "empty", "path": "b/y"})[
        "unreadable-images"
    ]
    assert finding.subject.startswith("13 files of 37")
    ten = "a/x0, a/x1, a/x10, a/x11, a/x2, a/x3, a/x4, a/x5, a/x6, a/x7"
    assert finding.evidence == (f"12 × cut off: {ten} and 2 more", "1 × empty: b/y")
    assert len(finding.images) == 13
    assert "intact copies" in finding.remedy


def test_each_of_some_dozen_damaged_files_is_named_with_its_own_reason():
    bad = [
        {"label": "a", "status": "failed", "reason": f"odd {n}", "path": f"x{n}"} for n in range(36)
    ]
    evidence = found(*bad)["unreadable-images"].evidence
    assert sorted(evidence) == sorted(f"1 × odd {n}: x{n}" for n in range(36))


def test_what_was_not_downloaded_is_to_be_tried_again():
    row = {"status": "failed", "reason": "answered 503", "path": "", "url": "http://a.example/1"}
    finding = found(row)["unreadable-images"]
    assert finding.evidence == ("1 × answered 503: http://a.example/1",)
    assert "--retry-failed" in finding.remedy


def test_an_image_under_two_labels_is_listed_with_both():
    why = "same bytes under labels rose, tulip"
    conflict = {"image": "same", "status": "excluded", "reason": why}
    rows = [{**conflict, "label": n, "path": n} for n in ("rose", "tulip")]
    finding = found(*rows)["conflicting-labels"]
    assert finding.evidence == ("rose = tulip (under rose, tulip)",)
    assert finding.remedy.endswith("affinage relabel DATA --image PATH --label LABEL")
    assert "1 image under several labels at once (2 files)" in finding.subject


def test_copies_within_a_label_are_a_note():
    rows = [{"label": "a", "image": "same", "path": f"a/{n}"} for n in "xyz"]
    finding = found(*rows)["exact-duplicates"]
    assert finding.severity == "note"
    assert finding.evidence == ("a/x = a/y = a/z",)
    assert finding.subject == "1 image stored more than once (3 files); each counts once."


def test_rows_that_name_one_file_are_no_copies_to_delete():
    rows = [{"label": "a", "image": "same", "path": "a/x"}] * 1200
    finding = found(*rows)["exact-duplicates"]
    assert finding.subject == "1 image named more than once (1,200 rows, 1 file); each counts once."
    assert (finding.evidence, finding.images) == (("a/x (1,200 rows)",), ("a/x",))
    assert "deleting" not in finding.remedy


def test_of_a_thousand_copies_a_few_are_named():
    rows = [{"label": "a", "image": "same", "path": f"a/{n:04d}"} for n in range(1000)]
    finding = found(*rows)["exact-duplicates"]
    assert finding.evidence == (" = ".join(f"a/{n:04d}" for n in range(6)) + " and 994 more",)
    assert len(finding.images) == 1000


def test_label_variants_are_listed_with_their_counts():
    finding = found({"label": "a", "raw_label": "a "}, {"label": "a", "raw_label": "a "})[
        "label-variants"
    ]
    assert finding.evidence == ("'a' (12), 'a ' (2) → 'a'",)
    assert len(finding.images) == 2


def test_images_without_a_class_are_listed_by_reason():
    row = {"status": "excluded", "image": None, "reason": "in no class folder", "path": "x.png"}
    assert found(row)["unlabelled-images"].evidence == ("1 in no class folder: x.png",)


def test_rows_that_collect_left_out_are_no_images_without_a_class():
    row = {"status": "excluded", "image": None, "label": "a", "path": ""}
    one, other = "blocked: huh.example", "not sampled: 2,000 images of its class are enough"
    told = found({**row, "reason": one}, {**row, "reason": other}, {**row, "reason": other})
    assert "unlabelled-images" not in told
    finding = told["not-collected"]
    assert (finding.severity, finding.images) == ("note", ())
    assert finding.subject.startswith("3 rows of the table left out on purpose")
    assert finding.evidence == (f"2 × {other}", f"1 × {one}")


def test_a_class_of_nine_is_small_and_one_of_ten_is_not():
    assert found(*[{"label": "c"}] * 9)["small-classes"].evidence == ("'c': 9 images",)
    assert "small-classes" not in found(*[{"label": "c"}] * 10)


def test_a_class_that_lost_every_file_is_told_and_one_that_lost_some_is_not():
    bad = {"status": "failed", "reason": "cut off"}
    rows = [{**bad, "label": label, "path": f"{label}/{n}"} for label in "ac" for n in "xy"]
    finding = found(*rows)["class-without-images"]
    assert finding.evidence == ("'c': 2 files not read",)
    assert finding.images == ("c/x", "c/y")
    assert "class-without-images" not in found(*rows[:2])


def test_imbalance_is_told_above_ten_to_one():
    assert "class-imbalance" not in found(*[{"label": "c"}] * 120)
    assert found(*[{"label": "c"}] * 121)["class-imbalance"].severity == "note"


@pytest.mark.parametrize("column", ["slide", "Patient", "patient_id", "camera", "site"])
def test_a_column_that_looks_like_a_group_is_suggested(column):
    rows = [{"label": "a", column: f"v{n // 3}"} for n in range(12)]
    assert f"--group {column}" in found(*rows)["suggested-group"].remedy


def test_a_column_that_is_judged_already_is_not_suggested():
    rows = [{"label": "a", "slide": f"v{n // 3}", "site": f"v{n // 3}"} for n in range(12)]
    evidence = replace(gather(manifest_of(*healthy(), *rows)), group="slide")
    assert ["'site'" in finding.subject for finding in suggested_group(evidence)] == [True]


@pytest.mark.parametrize(
    ("column", "values"),
    [("slide", range(12)), ("slide", [1] * 12), ("resized", [1, 2] * 6), ("outside", [1, 2] * 6)],
    ids=["unique", "constant", "another word", "a word within a word"],
)
def test_other_columns_are_not_suggested(column, values):
    assert "suggested-group" not in found(*[{"label": "a", column: str(v)} for v in values])


def test_a_wrong_extension_is_a_note_and_a_usual_one_is_not():
    rows = [
        {"label": "a", "path": "a/x.jpg", "format": "WEBP"},
        {"label": "a", "path": "a/y.JPEG", "format": "JPEG"},
        {"label": "a", "path": "a/z", "format": "JPEG"},
    ]
    assert found(*rows)["wrong-extension"].images == ("a/x.jpg", "a/z")


def test_special_pixels_are_listed_by_how_they_were_read():
    rows = [{"label": "a", "path": f"a/{n}", "notes": "CMYK; turned by EXIF"} for n in "xy"]
    finding = found(*rows, {"label": "a", "path": "a/z", "notes": "CMYK"})["read-specially"]
    assert finding.evidence == ("3 × CMYK: a/x, a/y, a/z", "2 × turned by EXIF: a/x, a/y")
    assert finding.images == ("a/x", "a/y", "a/z")


def test_a_huge_photo_among_small_ones_is_odd():
    finding = found({"label": "a", "path": "a/big", "width": 3024, "height": 3024})[
        "one-size-among-others"
    ]
    assert finding.evidence == ("a/big: 3024 × 3024 (1 image of that size)",)


def test_the_same_folders_in_every_class_may_be_the_classes():
    rows = [{"label": n, "path": f"{n}/{k}/1.png"} for n in ("good", "old") for k in ("cat", "dog")]
    [finding] = [
        f for f in audit(gather(manifest_of(*rows))) if f.code == "folders-look-like-parts"
    ]
    assert "(cat, dog)" in finding.subject


def test_files_that_are_no_images_are_counted():
    [finding] = audit(
        gather(
            manifest_of(*healthy()),
            ignored={"not an image": ("a.md", "b.md"), "hidden": (".x",)},
        )
    )
    assert finding.subject.startswith("3 files or folders")
    assert finding.evidence == ("1 hidden: .x", "2 not an image: a.md, b.md")


def test_every_finding_says_what_to_do_and_tells_no_absolute_path(shared_data):
    for name in ("mushrooms4", "dirty_examples", "malaria/labels.csv"):
        result = scan([shared_data / name])
        for finding in audit(gather(result.manifest, ignored=result.ignored)):
            assert finding.remedy or finding.severity == "note"
            assert str(shared_data) not in repr(finding)


def test_mushrooms_have_two_conflicts_and_nine_wrong_names(shared_data):
    findings = {f.code: f for f in audit(gather(scan([shared_data / "mushrooms4"]).manifest))}
    assert findings["conflicting-labels"].subject.startswith("2 images")
    assert findings["wrong-extension"].subject.startswith("9 images")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).resolve().parents[2].parent / "shared/data"
    if not folder.is_dir():
        pytest.skip("the sample image sets are not on this machine")
    return folder
