import pytest

from affinage.datasets.boxes.annotations import Annotations, Listed
from affinage.datasets.boxes.placing import images_folder, place
from affinage.errors import DataError
from affinage.records.box import Box

from .written import write_image

BOX = Box(label="car", x1=1, y1=1, x2=20, y2=20)


def annotated(folder, *paths, width=64, height=48):
    listed = [Listed(path=path, width=width, height=height, boxes=(BOX,)) for path in paths]
    return Annotations(
        kind="coco", images=tuple(listed), classes=("car",), folders=(folder, folder / "images")
    )


@pytest.mark.parametrize(
    ("path", "lack"),
    [
        ("../secret.jpg", "outside the folder"),
        ("a/../../secret.jpg", "outside the folder"),
        ("/etc/secret.jpg", "outside the folder"),
        ("C:\\x\\secret.jpg", "outside the folder"),
        ("https://data.example/secret.jpg", "outside the folder"),
        ("way/secret.jpg", "outside the folder"),
        (".", "outside the folder"),
        ("nul\0.jpg", "outside the folder"),
        ("nothing.jpg", "missing"),
        ("", "missing"),
        ("x" * 5000, "missing"),
        ("broken.jpg", "unreadable"),
        ("folder.jpg", "unreadable"),
    ],
)
def test_paths_that_lead_elsewhere_or_nowhere_are_left(tmp_path, path, lack):
    root = tmp_path / "images"
    write_image(root / "a.jpg")
    write_image(tmp_path / "secret.jpg")
    write_image(tmp_path / "other/secret.jpg")
    (root / "way").symlink_to(tmp_path / "other")
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "folder.jpg").mkdir()
    placed = place(annotated(root, "a.jpg", path), root, table_folder=tmp_path)
    assert [image.path for image in placed.images] == ["images/a.jpg"]
    (left,) = placed.left
    assert left.lack == lack
    assert "etc" not in left.path


def test_the_folder_is_where_most_images_are_found(tmp_path):
    write_image(tmp_path / "a.jpg")
    for name in "bcd":
        write_image(tmp_path / f"images/{name}.jpg")
    read = annotated(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    assert images_folder(read, None) == tmp_path / "images"
    named = annotated(tmp_path, "images/b.jpg")
    assert images_folder(named, tmp_path / "images") == tmp_path
    assert images_folder(read, tmp_path / "images") == tmp_path / "images"


def test_a_table_elsewhere_than_above_the_images_is_refused(tmp_path):
    write_image(tmp_path / "images/a.jpg")
    (tmp_path / "beside").mkdir()
    with pytest.raises(DataError, match="not below the table's folder") as caught:
        place(annotated(tmp_path, "a.jpg"), tmp_path / "images", table_folder=tmp_path / "beside")
    assert f"--into {tmp_path}/counts.csv" in caught.value.remedy


def test_missing_images_are_kept_where_asked_if_their_size_is_known(tmp_path):
    read = annotated(tmp_path, "gone.jpg")
    assert place(read, tmp_path, table_folder=tmp_path).images == ()
    (image,) = place(read, tmp_path, table_folder=tmp_path, keep_missing=True).images
    assert (image.path, image.width, image.height) == ("gone.jpg", 64, 48)
    unknown = annotated(tmp_path, "gone.jpg", width=None, height=None)
    (left,) = place(unknown, tmp_path, table_folder=tmp_path, keep_missing=True).left
    assert left.lack == "of unknown size"


def test_an_image_listed_twice_gets_all_of_its_boxes(tmp_path):
    write_image(tmp_path / "a.jpg")
    placed = place(annotated(tmp_path, "a.jpg", "./a.jpg"), tmp_path, table_folder=tmp_path)
    assert placed.again == ("a.jpg",)
    assert len(placed.images[0].boxes) == 2


def test_images_that_nobody_mentions_are_told_or_taken_for_empty(tmp_path):
    for name in ("x/a.jpg", "x/b.jpg", "elsewhere/c.jpg"):
        write_image(tmp_path / name)
    (tmp_path / "x/notes.txt").write_text("no image")
    read = annotated(tmp_path, "x/a.jpg")
    assert place(read, tmp_path, table_folder=tmp_path).unmentioned == ("x/b.jpg",)
    placed = place(read, tmp_path, table_folder=tmp_path, zero_unmentioned=True)
    assert [(image.path, len(image.boxes)) for image in placed.images] == [
        ("x/a.jpg", 1),
        ("x/b.jpg", 0),
    ]


def test_a_size_that_fits_no_way_leaves_the_image_out(tmp_path):
    write_image(tmp_path / "a.jpg")
    placed = place(annotated(tmp_path, "a.jpg", width=640), tmp_path, table_folder=tmp_path)
    assert placed.left[0].detail == "640 × 48 annotated, 64 × 48 shown"


def test_paths_are_relative_to_the_table_also_through_links(tmp_path):
    write_image(tmp_path / "deep/images/a.jpg")
    (tmp_path / "short").symlink_to(tmp_path / "deep/images")
    placed = place(annotated(tmp_path, "a.jpg"), tmp_path / "short", table_folder=tmp_path)
    assert [image.path for image in placed.images] == ["deep/images/a.jpg"]
    assert (tmp_path / placed.images[0].path).exists()
