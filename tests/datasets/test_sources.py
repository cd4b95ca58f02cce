import os
import unicodedata
from pathlib import Path

import polars as pl
import pytest

from affinage.datasets import reading
from affinage.datasets.sources import Scan, list_images, scan
from affinage.errors import DataError

from .conftest import Draw
from .samples import picture


def by_path(found: Scan) -> dict[str, dict[str, object]]:
    return {row["path"]: row for row in found.manifest.table.iter_rows(named=True)}


def reasons(found: Scan) -> dict[str, str]:
    return {
        path: row["reason"] for path, row in by_path(found).items() if row["status"] == "failed"
    }


@pytest.fixture
def two(draw: Draw) -> Path:
    return draw("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png")


def test_a_folder_is_a_class(two):
    found = scan([two])
    assert found.manifest.label_order == ("cat", "dog")
    assert found.manifest.kept.height == 4
    assert found.manifest.table["part"].is_null().all()
    row = by_path(found)["cat/1.png"]
    assert (row["width"], row["height"], row["format"]) == (12, 12, "PNG")
    assert Path(found.manifest.sources["photos"]) / "cat/1.png" == two / "cat/1.png"


def test_deeper_folders_belong_to_the_class(draw):
    found = scan([draw("cat/indoors/day/1.png", "dog/1.png")])
    assert by_path(found)["cat/indoors/day/1.png"]["label"] == "cat"


@pytest.mark.parametrize("name", ["val", "Valid", "VALIDATION", "val_data"])
def test_part_folders_are_understood_in_any_case(draw, name):
    found = scan(
        [draw("Train/cat/1.png", "Train/dog/1.png", f"{name}/cat/2.png", "test/dog/3.png")]
    )
    parts = {path: row["part"] for path, row in by_path(found).items()}
    assert parts == {
        "Train/cat/1.png": "train",
        "Train/dog/1.png": "train",
        f"{name}/cat/2.png": "validation",
        "test/dog/3.png": "test",
    }
    assert found.manifest.label_order == ("cat", "dog")


def test_a_train_is_a_class_among_vehicles(draw):
    found = scan([draw("train/1.png", "bus/1.png", "test/1.png")])
    assert found.manifest.label_order == ("bus", "test", "train")
    assert found.manifest.table["part"].is_null().all()


def test_unlabelled_test_images_beside_train_are_left_out_with_a_reason(draw):
    rows = by_path(scan([draw("train/cat/1.png", "train/dog/1.png", "test/x.png", "more/y.png")]))
    assert rows["test/x.png"]["reason"] == "in no class folder"
    assert "outside" in str(rows["more/y.png"]["reason"])
    assert rows["test/x.png"]["status"] == rows["more/y.png"]["status"] == "excluded"


def test_several_sources_share_their_labels(draw):
    first, second = draw("cat/1.png", under="a/x"), draw("cat/2.png", "dog/3.png", under="b/x")
    found = scan([first, second, first])
    assert found.manifest.kept.height == 3
    assert set(found.manifest.sources) == {"a/x", "b/x"}
    assert found.manifest.table.equals(scan([second, first]).manifest.table)


def test_numbered_classes_stand_in_the_order_of_their_numbers(draw):
    found = scan([draw("class 10/1.png", "class 9/1.png", "Class 1/1.png")])
    assert found.manifest.label_order == ("Class 1", "class 9", "class 10")


def test_what_is_no_image_is_counted_and_gets_no_row(two):
    (two / "cat/notes.md").write_text("hello")
    (two / "cat/.DS_Store").write_bytes(b"x")
    (two / "Thumbs.db").write_bytes(b"x")
    (two / "__MACOSX").mkdir()
    (two / "__MACOSX/1.png").write_bytes(picture("x"))
    os.mkfifo(two / "cat/pipe.jpg")
    found = scan([two])
    assert found.manifest.table.height == 4
    assert sorted(sum(found.ignored.values(), ())) == [
        "Thumbs.db",
        "__MACOSX",
        "cat/.DS_Store",
        "cat/notes.md",
        "cat/pipe.jpg",
    ]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("1.CR2", b"II*\0\x10\0\0\0CR\2\0", "a camera's raw file (CR2)"),
        ("1.raf", b"FUJIFILMCCD-RAW 0201", "a camera's raw file (RAF)"),
        ("1.dcm", bytes(128) + b"DICM" + bytes(9), "a DICOM file, which is not read"),
    ],
)
def test_images_that_are_not_read_are_named_and_not_passed_over(two, name, data, reason):
    (two / "cat" / name).write_bytes(data)
    assert reasons(scan([two]))[f"cat/{name}"] == reason


@pytest.mark.parametrize("name", ["cat/no_extension", "cat/picture.dat", "cat/1.jpg.bak"])
def test_an_image_is_known_by_its_bytes(two, name):
    (two / name).write_bytes(picture("other", ".jpg"))
    row = by_path(scan([two]))[name]
    assert (row["status"], row["format"]) == ("kept", "JPEG")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html><html>404</html>",
        picture(1)[:80],
        picture(1, ".jpg", 64)[:300],
        b"\0" * 99,
    ],
    ids=["empty", "html", "cut PNG", "cut JPEG", "zeros"],
)
def test_damaged_files_fail_with_a_reason(two, data):
    (two / "cat/bad.jpg").write_bytes(data)
    found = scan([two])
    assert list(reasons(found)) == ["cat/bad.jpg"]
    assert reasons(found)["cat/bad.jpg"]
    assert found.manifest.kept.height == 4


def test_odd_names_are_read(draw):
    names = [
        "cat/a b.png",
        "cat/é ü 日本.png",
        "cat/line\nbreak.png",
        "dog/'\"%20\\;.png",
        "dog/-.png",
    ]
    found = scan([draw(*names)])
    assert set(by_path(found)) == set(names)
    assert found.manifest.kept.height == len(names)


def test_a_name_that_is_no_text_fails_by_name(two):
    try:
        (two / os.fsdecode(b"cat/caf\xe9.png")).write_bytes(picture("x"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (two / "cat/caf%E9.png").write_bytes(picture("y"))
    found = scan([two])
    failed = found.manifest.table.filter(pl.col("status") == "failed")
    assert failed["path"].to_list() == ["cat/caf%E9.png"]
    assert "UTF-8" in failed["reason"][0]


def test_links_are_followed_within_the_source_only(two, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.png").write_bytes(picture("secret"))
    (two / "cat/in.png").symlink_to(two / "cat/1.png")
    (two / "cat/out.png").symlink_to(outside / "x.png")
    (two / "cat/nothing.png").symlink_to(two / "cat/missing.png")
    (two / "cat/loop.png").symlink_to("loop.png")
    (two / "cat/folder").symlink_to(two)
    (two / "bird").symlink_to(outside)
    found = scan([two])
    rows = by_path(found)
    assert rows["cat/in.png"]["image"] == rows["cat/1.png"]["image"]
    assert {path: why.split()[-1] for path, why in reasons(found).items()} == {
        "cat/out.png": "folder",
        "bird": "folder",
        "cat/nothing.png": "nothing",
        "cat/loop.png": "nothing",
    }
    assert "cat/folder" in sum(found.ignored.values(), ())
    assert found.manifest.label_order == ("cat", "dog")


def test_a_file_or_folder_that_may_not_be_read_fails_by_name(two, monkeypatch):
    (two / "dog/locked").mkdir()
    real_scandir, real_open = os.scandir, open

    def scandir(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return real_scandir(path)

    def opening(path, *arguments, **options):
        if str(path).endswith("cat/1.png"):
            raise PermissionError(13, "Permission denied")
        return real_open(path, *arguments, **options)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr("builtins.open", opening)
    found = reasons(scan([two]))
    assert set(found) == {"dog/locked", "cat/1.png"}
    assert all("Permission denied" in why for why in found.values())


def test_spellings_of_a_label_become_the_most_frequent_one(draw):
    composed, split = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    root = draw(
        "Cat/1.png", "cat/2.png", "cat/3.png", "cat /4.png", f"{composed}/5.png", f"{split}/6.png"
    )
    found = scan([root])
    assert found.manifest.label_order == (composed, "cat")
    assert by_path(found)["cat /4.png"]["raw_label"] == "cat "


def test_letters_of_both_cases_stay_two_classes(draw):
    assert scan([draw("a/1.png", "A/2.png")]).manifest.label_order == ("A", "a")


def test_an_image_under_two_labels_is_left_out_everywhere(two):
    for path in ("cat/both.png", "cat/again.png", "dog/both.png"):
        (two / path).write_bytes(picture("both"))
    found = scan([two])
    excluded = found.manifest.table.filter(pl.col("status") == "excluded")
    assert sorted(excluded["path"]) == ["cat/again.png", "cat/both.png", "dog/both.png"]
    assert excluded["reason"].unique().to_list() == ["same bytes under labels cat, dog"]


def test_copies_within_a_label_share_their_image(two):
    (two / "cat/copy.png").write_bytes((two / "cat/1.png").read_bytes())
    kept = scan([two]).manifest.kept
    assert (kept.height, kept["image"].n_unique()) == (5, 4)


def test_a_second_scan_reads_only_what_changed(two, monkeypatch):
    (two / "cat/bad.png").write_bytes(b"no image")
    first = scan([two])
    read: list[int] = []
    examine = reading._examine

    def counted(data: bytes) -> reading.Facts:
        read.append(len(data))
        return examine(data)

    monkeypatch.setattr(reading, "_examine", counted)
    assert scan([two], known=first.manifest).manifest.table.equals(first.manifest.table)
    assert not read
    changed = two / "cat/1.png"
    changed.write_bytes(b"x" * changed.stat().st_size)
    os.utime(changed, ns=(0, 0))
    again = scan([two], known=first.manifest)
    assert len(read) == 1
    assert set(reasons(again)) == {"cat/1.png", "cat/bad.png"}


def test_a_manifest_of_another_folder_is_not_believed(two, draw):
    other = draw("cat/1.png", "dog/1.png", under="elsewhere/photos")
    (other / "cat/1.png").write_bytes(picture("another", size=30))
    assert by_path(scan([other], known=scan([two]).manifest))["cat/1.png"]["width"] == 30


def test_progress_ends_at_the_number_of_files(two):
    told: list[tuple[int, int | None]] = []
    scan([two], progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (4, 4)


def test_the_source_is_only_read(two):
    def state() -> list[tuple[str, int, int]]:
        return sorted((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in two.rglob("*"))

    before = state()
    scan([two])
    assert state() == before


def refusal(*sources: Path, **options: int) -> DataError:
    with pytest.raises(DataError) as caught:
        scan(sources, **options)
    return caught.value


def test_what_cannot_be_used_is_refused_with_a_remedy(draw, tmp_path):
    assert "does not exist" in refusal(tmp_path / "nowhere").problem
    (tmp_path / "archive.zip").write_bytes(b"PK")
    assert "neither a folder nor a table" in refusal(tmp_path / "archive.zip").problem
    (tmp_path / "sheet.xlsx").write_bytes(b"PK")
    assert "as CSV" in refusal(tmp_path / "sheet.xlsx").remedy
    flat = refusal(draw("1.png", "2.png", under="flat"))
    assert "2 images but no class folders" in flat.problem
    assert "folder per class" in flat.remedy
    (tmp_path / "empty").mkdir()
    assert "0 files" in refusal(tmp_path / "empty").problem
    assert "No source" in refusal().problem


def test_no_image_at_all_says_what_was_looked_at(draw):
    root = draw("cat/1.png")
    (root / "cat/1.png").write_bytes(b"")
    (root / "cat/readme.txt").write_text("x")
    problem = refusal(root).problem
    assert "2 files were looked at" in problem
    assert "not an image" in problem


def test_one_class_is_refused_unless_one_is_enough(draw):
    root = draw("cat/1.png", "cat/2.png")
    assert "'cat'" in refusal(root).problem
    assert scan([root], classes_needed=1).manifest.label_order == ("cat",)


def test_classes_one_level_too_deep_are_pointed_at(draw):
    error = refusal(draw("animals/cat/1.png", "animals/dog/2.png"))
    assert "give 'animals' itself" in error.remedy


def test_images_to_predict_are_files_as_named_and_folders_searched(two, tmp_path):
    (two / "cat/notes.txt").write_text("x")
    (two / "broken.jpg").write_bytes(b"")
    named = tmp_path / "named.txt"
    named.write_text("x")
    found = list_images([named, two])
    assert found[0] == named
    assert [str(path.relative_to(two)) for path in found[1:]] == [
        "broken.jpg",
        "cat/1.png",
        "cat/2.png",
        "dog/1.png",
        "dog/2.png",
    ]
    with pytest.raises(DataError, match="does not exist"):
        list_images([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image"):
        list_images([tmp_path / "empty"])


def test_mushrooms_keep_their_known_issues(shared_data):
    found = scan([shared_data / "mushrooms4"])
    assert found.manifest.table["status"].value_counts(sort=True).rows() == [
        ("kept", 796),
        ("excluded", 4),
    ]
    assert found.manifest.kept["part"].value_counts(sort=True)["count"].to_list() == [596, 200]


def test_a_table_names_what_folders_do_not(shared_data):
    found = scan([shared_data / "dirty_examples/labels.csv"])
    assert found.manifest.label_order == ("7", "amanita_muscaria", "ants", "boletus_edulis")
    assert found.manifest.kept.height == 9


def test_a_folder_around_the_classes_is_named_with_two_of_them(draw):
    with pytest.raises(DataError) as told:
        scan([draw("a/cat/1.png", "a/cat/2.png", "a/dog/1.png")])
    assert "If 'cat' and 'dog' are classes, give 'a' itself" in str(told.value)
