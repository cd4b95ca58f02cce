"""What is particular to each format."""

import json
import math

import pytest

from affinage.datasets.boxes.formats import read_annotations
from affinage.errors import DataError

from .written import voc_text, write_image


def faults(read):
    return [(problem.fault, problem.detail) for problem in read.problems]


def edges(image):
    return [(box.label, box.x1, box.y1, box.x2, box.y2) for box in image.boxes]


# COCO.


def coco(tmp_path, annotations, name="a.json"):
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
        "annotations": annotations,
        "categories": [{"id": 7, "name": "car"}, {"id": 8, "name": "dog"}],
    }
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(json.dumps(document))
    return tmp_path / name


def test_coco_keeps_flags_and_tells_what_hangs_in_the_air(tmp_path):
    read = read_annotations(
        coco(
            tmp_path,
            [
                {"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]},
                {"image_id": 1, "category_id": 7, "bbox": [0, 0, 60, 40], "iscrowd": 1},
                {"image_id": 1, "category_id": 8, "bbox": [0, 0, math.nan, 4], "ignore": 1},
                {"image_id": 1, "category_id": 99, "bbox": [1, 2, 3, 4]},
                {"image_id": 55, "category_id": 7, "bbox": [1, 2, 3, 4]},
                {"image_id": 1, "category_id": 7, "keypoints": []},
                {"image_id": [1], "category_id": 7, "bbox": [1, 2, 3, 4]},
                "nothing",
            ],
        )
    )
    (image,) = read.images
    assert edges(image)[:2] == [("car", 1, 2, 4, 6), ("car", 0, 0, 60, 40)]
    assert [(box.crowd, box.difficult) for box in image.boxes] == [
        (False, False),
        (True, False),
        (False, True),
    ]
    assert math.isnan(image.boxes[2].x2)
    assert sorted(fault for fault, _ in faults(read)) == [
        "malformed", "malformed", "malformed", "unknown-category", "unknown-image",
    ]  # fmt: skip
    assert read.classes == ("car", "dog")


def test_several_coco_documents_are_the_parts_that_their_names_say(tmp_path):
    box = [{"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]}]
    coco(tmp_path, box, "train/_annotations.coco.json")
    coco(tmp_path, box, "valid/_annotations.coco.json")
    read = read_annotations(tmp_path)
    assert [(image.path, image.split) for image in read.images] == [
        ("train/a.jpg", "train"),
        ("valid/a.jpg", "validation"),
    ]
    coco(tmp_path, box, "extra/captions.json")
    with pytest.raises(DataError, match=r"captions\.json names no split"):
        read_annotations(tmp_path)


def test_a_coco_document_cut_off_is_refused_with_the_line(tmp_path):
    file = coco(tmp_path, [{"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]}])
    text = json.dumps(json.loads(file.read_text()), indent=1)
    file.write_text(text[: text.index('"bbox"')])
    line = text[: text.index('"bbox"')].count("\n") + 1
    with pytest.raises(DataError, match=f"line {line}:"):
        read_annotations(file)


# Pascal VOC.


def voc(tmp_path, **texts):
    for name, text in texts.items():
        file = tmp_path / "Annotations" / f"{name}.xml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        write_image(tmp_path / "JPEGImages" / f"{name}.jpg")
    return tmp_path / "Annotations"


ROW = [("dog", 3.0, 4.0, 30.0, 40.0)]


def test_parts_of_a_person_are_no_objects(tmp_path):
    edges_of_part = "<xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
    part = f"<part><name>head</name><bndbox>{edges_of_part}</bndbox></part>"
    read = read_annotations(voc(tmp_path, a=voc_text("a.jpg", ROW, (64, 48), part)))
    assert edges(read.images[0]) == ROW


def test_voc_flags_are_kept(tmp_path):
    text = voc_text("a.jpg", ROW, (64, 48)).replace("<difficult>0", "<difficult>1")
    read = read_annotations(voc(tmp_path, a=text.replace("<truncated>0", "<truncated>1")))
    (box,) = read.images[0].boxes
    assert box.difficult
    assert box.truncated


def test_an_annotation_belongs_to_the_image_of_its_own_name(tmp_path):
    folder = voc(
        tmp_path, a=voc_text("a.jpg", ROW, (64, 48)), b=voc_text("a.jpg", [], (64, 48))
    )  # Copied, and its filename never changed.
    (tmp_path / "JPEGImages/a.jpg").rename(tmp_path / "JPEGImages/other.jpg")
    (folder / "c.xml").write_text(voc_text("other.jpg", ROW, (64, 48)))
    read = read_annotations(folder)
    assert sorted((image.path, len(image.boxes)) for image in read.images) == [
        ("a.jpg", 1),
        ("b.jpg", 0),
        ("other.jpg", 1),
    ]


def test_broken_and_hostile_xml_is_told_with_its_line(tmp_path):
    bomb = (
        '<!DOCTYPE a [\n<!ENTITY x "boom">\n<!ENTITY y "&x;&x;&x;&x;">\n]>\n'
        "<annotation><filename>&y;</filename></annotation>"
    )
    outside = (
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        "<annotation><filename>&x;</filename></annotation>"
    )
    deep = "<annotation>" + "<a>" * 5000
    read = read_annotations(
        voc(
            tmp_path,
            bomb=bomb,
            cut=voc_text("a.jpg", ROW, (64, 48))[:200],
            deep=deep,
            fine=voc_text("fine.jpg", ROW, (64, 48)),
            kml="<kml/>",
            outside=outside,
        )
    )
    assert [image.path for image in read.images] == ["fine.jpg"]
    assert {(problem.where, problem.detail.split(":")[0]) for problem in read.problems} == {
        ("bomb.xml", "line 2"),
        ("cut.xml", "line 4"),
        ("deep.xml", "line 1"),
        ("kml.xml", "line 1"),
        ("outside.xml", "line 1"),
    }


def test_objects_without_a_box_or_name_are_told(tmp_path):
    text = voc_text("a.jpg", ROW, (64, 48))
    text = text.replace(
        "</annotation>",
        "<object><name>cat</name><polygon/></object>"
        "<object><bndbox><xmin>1</xmin></bndbox></object></annotation>",
    )
    read = read_annotations(voc(tmp_path, a=text))
    assert faults(read) == [
        ("malformed", "'cat' without a bndbox"),
        ("malformed", "a box without a name"),
    ]


def test_image_sets_name_the_split(tmp_path):
    folder = voc(tmp_path, a=voc_text("a.jpg", ROW, (64, 48)), b=voc_text("b.jpg", ROW, (64, 48)))
    sets = tmp_path / "ImageSets/Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("a\n")
    (sets / "val.txt").write_text("b\n")
    read = read_annotations(folder)
    assert [image.split for image in read.images] == ["train", "validation"]


# YOLO.


def yolo(tmp_path, yaml, **texts):
    (tmp_path / "data.yaml").write_text(yaml)
    for name, text in texts.items():
        part, _, stem = name.rpartition("_")
        file = tmp_path / "labels" / part / f"{stem}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        write_image(tmp_path / "images" / part / f"{stem}.jpg")
    return tmp_path


def test_lines_of_boxes_and_of_outlines(tmp_path):
    read = read_annotations(
        yolo(
            tmp_path,
            "names: {0: car, 3: dog}",
            a="0 .5 .5 .5 .25\n\n3 .1 .2 .4 .2 .4 .6\n5 .1 .1 .1 .1\n0 .5 .5\n0.5 .1 .1 .1 .1\n",
            b="",
        )
    )
    first, second = read.images
    assert edges(first) == [("car", 0.25, 0.375, 0.75, 0.625), ("dog", 0.1, 0.2, 0.4, 0.6)]
    assert (second.path, second.boxes) == ("images/b.jpg", ())
    assert faults(read) == [
        ("unknown-category", "class 5"),
        ("malformed", "3 words: 0 .5 .5"),
        ("unknown-category", "class 0.5"),
    ]
    assert read.problems[0].where == "labels/a.txt, line 4"
    assert read.shares


def test_key_points_are_not_taken_for_outlines(tmp_path):
    line = "0 .5 .5 .2 .2 .9 .9 1 .1 .1 1\n"
    read = read_annotations(yolo(tmp_path, "names: [face]\nkpt_shape: [2, 3]", a=line))
    assert edges(read.images[0]) == [("face", 0.4, 0.4, 0.6, 0.6)]


def test_parts_of_data_yaml_are_matched_by_their_ends(tmp_path):
    root = yolo(
        tmp_path,
        "path: ../datasets/mine\ntrain: images/one\nval: ../images/two\ntest: three.txt\nnames: [car]",
        one_a="0 .5 .5 .1 .1", two_b="0 .5 .5 .1 .1", other_c="0 .5 .5 .1 .1",
        four_d="0 .5 .5 .1 .1",
    )  # fmt: skip
    (root / "three.txt").write_text("./images/other/c.jpg\n")
    read = read_annotations(root)
    assert {image.path: image.split for image in read.images} == {
        "images/one/a.jpg": "train",
        "images/two/b.jpg": "validation",
        "images/other/c.jpg": "test",
        "images/four/d.jpg": None,
    }


def test_a_classes_file_serves_as_well_and_notes_are_passed_over(tmp_path):
    write_image(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text("1 .5 .5 .5 .5")
    (tmp_path / "classes.txt").write_text("car\ndog\n")
    (tmp_path / "LICENCE.txt").write_text("Do with it what you like.")
    read = read_annotations(tmp_path)
    assert [edges(image) for image in read.images] == [[("dog", 0.25, 0.25, 0.75, 0.75)]]
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(DataError, match="names of the classes") as caught:
        read_annotations(tmp_path, kind="yolo")
    assert "classes.txt" in caught.value.remedy


def test_labels_that_are_links_to_elsewhere_are_not_read(tmp_path):
    (tmp_path / "in").mkdir()
    root = yolo(tmp_path / "in", "names: [car]", a="0 .5 .5 .1 .1")
    (tmp_path / "secret.txt").write_text("a b c d e f g h")
    write_image(root / "images/b.jpg")
    (root / "labels/b.txt").symlink_to(tmp_path / "secret.txt")
    read = read_annotations(root)
    assert [image.path for image in read.images] == ["images/a.jpg"]
    assert read.problems == ()


def test_names_that_swell_are_refused(tmp_path):
    layers = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    layers += [
        f"{b}: &{b} [*{a}{f', *{a}' * 8}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    with pytest.raises(DataError, match="neither a list of names"):
        read_annotations(yolo(tmp_path, "\n".join([*layers, "names: *i"]), a="0 .5 .5 .1 .1"))


# Tables.


def table(tmp_path, text, name="boxes.csv"):
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_annotations(file)


@pytest.mark.parametrize(
    "text",
    [
        "path,label,x1,y1,x2,y2\na.jpg,dög,1,2,11,22\n",
        "image;label;xmin;ymin;xmax;ymax\na.jpg;dög;1;2;11;22\n",
        "Filename\tWidth\tHeight\tClass\tXMin\tYMin\tXMax\tYMax\na.jpg\t64\t48\tdög\t1\t2\t11\t22\n",
        "path,category,x,y,w,h\na.jpg,dög,1,2,10,20\n",
        "file_name,name,left,top,width,height\n.\\a.jpg,dög,1,2,10,20\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_columns_are_known_by_their_usual_names(tmp_path, text, encoding):
    read = table(tmp_path, text.encode(encoding))
    (image,) = read.images
    assert edges(image) == [("dög", 1, 2, 11, 22)]
    assert image.width == (64 if "Width" in text else None)


def test_flags_splits_and_images_without_boxes(tmp_path):
    read = table(
        tmp_path,
        "path,label,x1,y1,x2,y2,split,iscrowd,difficult\n"
        "a.jpg,dog,1,2,11,22,train,1,no\na.jpg,cat,1,2,wrong,22,train,0,Yes\nb.jpg,,,,,,val,,\n"
        "c.jpg,,1,2,3,4,test,,\n,dog,1,2,3,4,test,,\n",
    )
    assert [(image.path, image.split) for image in read.images] == [
        ("a.jpg", "train"),
        ("b.jpg", "validation"),
        ("c.jpg", "test"),
    ]
    crowd, other = read.images[0].boxes
    assert crowd.crowd
    assert not crowd.difficult
    assert other.difficult
    assert math.isnan(other.x2)
    assert read.images[1].boxes == ()
    assert sorted(faults(read)) == [
        ("malformed", "a box without a label"),
        ("malformed", "without a path"),
    ]


def test_coordinates_between_0_and_1_are_shares(tmp_path):
    header = "path,label,x1,y1,x2,y2\n"
    assert table(tmp_path, f"{header}a.jpg,dog,0,0.25,1,0.5\n").shares
    assert not table(tmp_path, f"{header}a.jpg,dog,0,0,1,1\n").shares
    assert not table(tmp_path, f"{header}a.jpg,dog,0,0.25,1,1.5\n").shares


def test_a_row_of_too_many_fields_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        table(tmp_path, "path,label,x1,y1,x2,y2\na.jpg,dog,1,2,3,4,5,6\n")
