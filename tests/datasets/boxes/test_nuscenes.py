import json

import pytest

from affinage.datasets.boxes.formats import read_annotations
from affinage.errors import DataError

from .written import write_image

FORWARD = [0.5, -0.5, 0.5, -0.5]
STRAIGHT = [1, 0, 0, 0]
LEFT = [0.7071067811865476, 0, 0, 0.7071067811865476]


def tables():
    """One moment of a vehicle at (100, 50) that looks along y, seen by one camera.

    A car 12 m ahead; a cone 9.5 m ahead and 7.5 m to the left; a child behind.
    """
    annotation = {"sample_token": "moment", "rotation": LEFT, "visibility_token": "4"}
    return {
        "sample_data": [
            {"token": "photo", "sample_token": "moment", "ego_pose_token": "ego", "width": 1600,
             "height": 900, "calibrated_sensor_token": "camera", "is_key_frame": True,
             "filename": "samples/CAM_FRONT/a.jpg"},
            {"token": "between", "sample_token": "moment", "ego_pose_token": "ego", "width": 1600,
             "height": 900, "calibrated_sensor_token": "camera", "is_key_frame": False,
             "filename": "sweeps/CAM_FRONT/b.jpg"},
            {"token": "sweep", "sample_token": "moment", "ego_pose_token": "ego", "width": 0,
             "height": 0, "calibrated_sensor_token": "lidar", "is_key_frame": True,
             "filename": "samples/LIDAR_TOP/a.bin"},
        ],
        "ego_pose": [{"token": "ego", "translation": [100, 50, 0], "rotation": LEFT}],
        "calibrated_sensor": [
            {"token": "camera", "sensor_token": "front", "translation": [0, 0, 1.5],
             "rotation": FORWARD,
             "camera_intrinsic": [[1000, 0, 800], [0, 1000, 450], [0, 0, 1]]},
            {"token": "lidar", "sensor_token": "top", "translation": [0, 0, 2],
             "rotation": STRAIGHT, "camera_intrinsic": []},
        ],
        "sensor": [{"token": "front", "channel": "CAM_FRONT"}],
        "category": [
            {"token": "c1", "name": "vehicle.car"},
            {"token": "c2", "name": "movable_object.trafficcone"},
            {"token": "c3", "name": "human.pedestrian.child"},
        ],
        "instance": [
            {"token": "i1", "category_token": "c1"}, {"token": "i2", "category_token": "c2"},
            {"token": "i3", "category_token": "c3"}, {"token": "i4", "category_token": "gone"},
        ],
        "sample_annotation": [
            {**annotation, "token": "a1", "instance_token": "i1", "translation": [100, 62, 1.5],
             "size": [2, 4, 2]},
            {**annotation, "token": "a2", "instance_token": "i2", "translation": [92.5, 59.5, 0.5],
             "size": [1, 1, 1], "visibility_token": "1"},
            {**annotation, "token": "a3", "instance_token": "i3", "translation": [100, 40, 1],
             "size": [1, 1, 1]},
            {**annotation, "token": "a4", "instance_token": "i4", "translation": [100, 62, 1.5],
             "size": [2, 4, 2]},
            {**annotation, "token": "a5", "instance_token": "i1", "translation": [100, 62],
             "size": [2, 4, 2]},
        ],
        "sample": [{"token": "moment", "scene_token": "s"}],
        "scene": [{"token": "s", "name": "scene-0061"}],
    }  # fmt: skip


def write(root, content):
    folder = root / "v1.0-mini"
    folder.mkdir()
    for name, rows in content.items():
        (folder / f"{name}.json").write_text(json.dumps(rows, indent=0))
    write_image(root / "samples/CAM_FRONT/a.jpg", 160, 90)
    return folder


def test_boxes_in_space_are_seen_where_they_are_by_hand(tmp_path):
    folder = write(tmp_path, tables())
    for source in (folder, tmp_path):
        (image,) = read_annotations(source).images
        car, cone = image.boxes
        # Its front is 10 m ahead, 1 m to each side: 1000 px * 1 / 10.
        assert (car.label, car.difficult, car.visible) == ("vehicle.car", False, 1.0)
        assert (car.x1, car.y1, car.x2, car.y2) == pytest.approx((700, 350, 900, 550))
        # From 7 to 8 m left and 9 to 10 m ahead: 800 - 1000 * 7 / 10 at the right; at the left
        # 800 - 1000 * 8 / 9 = -89, cut off. From 0.5 to 1.5 m below: 450 + 500 / 10, 450 + 1500 / 9.
        assert cone.label == "movable_object.trafficcone"
        assert cone.difficult
        assert (cone.x1, cone.x2, cone.y1) == pytest.approx((0, 100, 500))
        assert cone.y2 <= 450 + 1500 / 9
        assert 0.25 < cone.visible < 1
        assert image.columns == {"camera": "CAM_FRONT", "scene": "scene-0061"}
        assert (image.path, image.width) == ("samples/CAM_FRONT/a.jpg", 1600)


def test_entries_that_lack_something_are_told(tmp_path):
    read = read_annotations(write(tmp_path, tables()))
    assert [(problem.fault, problem.where) for problem in read.problems] == [
        ("unknown-category", "sample_annotation a4"),
        ("malformed", "sample_annotation a5"),
    ]
    assert read.classes == (
        "vehicle.car",
        "movable_object.trafficcone",
        "human.pedestrian.child",
    )


@pytest.mark.parametrize("name", ["ego_pose", "category", "calibrated_sensor"])
def test_a_table_that_is_missing_or_broken_is_named(tmp_path, name):
    file = write(tmp_path, tables()) / f"{name}.json"
    file.write_text(file.read_text()[:-3])
    with pytest.raises(DataError, match=rf"{name}\.json is not whole JSON: line \d+"):
        read_annotations(tmp_path)
    file.unlink()
    with pytest.raises(DataError, match=rf"{name}\.json is not in"):
        read_annotations(tmp_path)


def test_several_versions_are_not_guessed_at(tmp_path):
    folder = write(tmp_path, tables())
    other = tmp_path / "v1.0-trainval"
    other.mkdir()
    for file in folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    with pytest.raises(DataError, match=r"v1\.0-mini, v1\.0-trainval"):
        read_annotations(tmp_path)


def test_the_list_that_the_devkit_exports(tmp_path):
    box = {
        "filename": "samples/CAM_FRONT/a.jpg", "category_name": "vehicle.car",
        "bbox_corners": [1.5, 2, 30, 40], "visibility_token": "4", "sample_data_token": "photo",
    }  # fmt: skip
    rows = [box, {**box, "visibility_token": "1"}, {**box, "bbox_corners": None}]
    (tmp_path / "image_annotations.json").write_text(json.dumps(rows))
    read = read_annotations(tmp_path / "image_annotations.json")
    assert read.kind == "nuscenes2d"
    (image,) = read.images
    assert [(b.x1, b.y2, b.difficult) for b in image.boxes] == [(1.5, 40, False), (1.5, 40, True)]
    assert [problem.fault for problem in read.problems] == ["malformed"]
