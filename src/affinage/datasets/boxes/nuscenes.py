"""nuScenes: its tables of boxes in space, and the list of projected boxes that its devkit exports."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affinage.datasets.boxes.annotations import (
    Annotations,
    Listed,
    Problem,
    numbers,
    plain_text,
    whole,
)
from affinage.datasets.boxes.json_stream import json_list
from affinage.datasets.boxes.projection import Boxes, Numbers, Pose, rotation_of, seen
from affinage.errors import DataError
from affinage.records.box import Box

TABLES = (
    "sample_data",
    "sample_annotation",
    "category",
    "instance",
    "calibrated_sensor",
    "ego_pose",
)
_HIDDEN = "1"  # Token of visibility "v0-40": at most 40 % of the object is seen by any camera.


@dataclass(frozen=True, slots=True)
class _Shot:
    """One annotated photo of a camera."""

    sample: str
    ego: str
    sensor: str
    path: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Object:
    """One annotated box in space."""

    label: str
    pose: Pose
    size: Numbers
    hidden: bool


@dataclass(frozen=True, slots=True)
class _Camera:
    """A camera as it is mounted."""

    pose: Pose
    intrinsic: Numbers
    channel: str


def read_nuscenes(folder: Path) -> Annotations:
    """Return the boxes of nuScenes's tables as each camera sees them in its annotated photos.

    A box counts for a photo where a part of its outline is in the frame; `visible` is the share of
    its volume that is in view, and `difficult` marks those of which at most 40 % can be seen
    (visibility `v0-40`). Photos carry their camera and, where the tables are there, their scene.

    Args:
        folder: With sample_data.json and the other tables; photos lie beside it.

    Raises:
        DataError: If a table is missing or broken, or an entry of one lacks what is needed.
    """
    problems: list[Problem] = []
    shots = dict(_shots(folder))
    objects = _objects(folder, {shot.sample for shot in shots.values()}, problems)
    cameras = _cameras(folder, {shot.sensor for shot in shots.values()})
    egos = _poses(folder, "ego_pose", {shot.ego for shot in shots.values()})
    scenes = _scenes(folder)
    listed = []
    for token in sorted(shots, key=lambda token: shots[token].path):
        shot = shots[token]
        if shot.sensor not in cameras:
            continue  # A lidar or radar: it has no intrinsic matrix.
        if shot.ego not in egos:
            problems.append(
                Problem(
                    fault="malformed", where=shot.path, detail="without ego pose", image=shot.path
                )
            )
            continue
        camera = cameras[shot.sensor]
        columns = {"camera": camera.channel, "scene": scenes.get(shot.sample, "")}
        listed.append(
            Listed(
                path=shot.path,
                width=shot.width,
                height=shot.height,
                boxes=tuple(_boxes(shot, objects.get(shot.sample, ()), egos[shot.ego], camera)),
                columns={name: value for name, value in columns.items() if value},
            )
        )
    labels = {plain_text(row.get("name")): None for row in _table(folder, "category")}
    return Annotations(
        kind="nuscenes",
        images=tuple(listed),
        classes=tuple(labels),
        folders=(folder.parent, folder),
        problems=tuple(problems),
    )


def read_nuscenes_2d(file: Path) -> Annotations:
    """Return the boxes of image_annotations.json, which the nuScenes devkit exports.

    Photos without a box are not in that file.

    Raises:
        DataError: If it is broken or no such list.
    """
    boxes: defaultdict[str, list[Box]] = defaultdict(list)
    problems: list[Problem] = []
    for number, row in enumerate(json_list(file), start=1):
        path = plain_text(row.get("filename")).replace("\\", "/")
        label, edges = plain_text(row.get("category_name")), numbers(row.get("bbox_corners"), 4)
        if not path or not label or edges is None:
            where = path or f"entry {number:,}"
            what = "a box without a filename, category_name or bbox_corners"
            problems.append(Problem(fault="malformed", where=where, detail=what, image=path))
            continue
        hidden = str(row.get("visibility_token")) == _HIDDEN
        x1, y1, x2, y2 = edges
        boxes[path].append(Box(label=label, x1=x1, y1=y1, x2=x2, y2=y2, difficult=hidden))
    return Annotations(
        kind="nuscenes2d",
        images=tuple(Listed(path=path, boxes=tuple(boxes[path])) for path in sorted(boxes)),
        classes=tuple(dict.fromkeys(box.label for path in sorted(boxes) for box in boxes[path])),
        folders=(file.parent, file.parent.parent),
        problems=tuple(problems),
    )


def nuscenes_folder(folder: Path) -> Path | None:
    """Return the folder with the tables: the one given, or its only `v1.0-…`; None for none."""
    found = [
        place
        for place in (folder, *sorted(folder.glob("v1.0-*")))
        if (place / "sample_data.json").is_file() and (place / "sample_annotation.json").is_file()
    ]
    if len(found) > 1 and found[0] != folder:
        names = ", ".join(place.name for place in found)
        raise DataError(
            f"'{folder}' has several sets of nuScenes tables: {names}.",
            remedy="Give the folder of the one that is meant.",
        )
    return found[0] if found else None


def _table(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    file = folder / f"{name}.json"
    if not file.is_file():
        raise DataError(
            f"nuScenes's table {name}.json is not in '{folder}'.",
            remedy="Give a folder with all of its tables, such as v1.0-mini.",
        )
    return json_list(file)


def _shots(folder: Path) -> Iterator[tuple[str, _Shot]]:
    """Yield (token, photo) of the annotated moments; the many between them have no boxes."""
    for row in _table(folder, "sample_data"):
        width, height = whole(row.get("width")), whole(row.get("height"))
        if row.get("is_key_frame") and width and height:
            path = plain_text(row.get("filename")).replace("\\", "/")
            ego, sensor = str(row.get("ego_pose_token")), str(row.get("calibrated_sensor_token"))
            shot = _Shot(str(row.get("sample_token")), ego, sensor, path, width, height)
            yield str(row.get("token")), shot


def _objects(
    folder: Path, samples: set[str], problems: list[Problem]
) -> Mapping[str, tuple[_Object, ...]]:
    """Return the boxes in space of each sample that has a photo."""
    names = {
        str(row.get("token")): plain_text(row.get("name")) for row in _table(folder, "category")
    }
    labels = {
        str(row.get("token")): names.get(str(row.get("category_token")), "")
        for row in _table(folder, "instance")
    }
    found: defaultdict[str, list[_Object]] = defaultdict(list)
    for row in _table(folder, "sample_annotation"):
        sample, instance = str(row.get("sample_token")), str(row.get("instance_token"))
        where = f"sample_annotation {row.get('token')}"
        pose, size = _pose(row), numbers(row.get("size"), 3)
        if sample not in samples:
            continue
        if not labels.get(instance):
            what = f"instance {instance}"
            problems.append(Problem(fault="unknown-category", where=where, detail=what))
        elif pose is None or size is None or not all(map(math.isfinite, size)):
            what = "translation, size or rotation is missing or not a number"
            problems.append(Problem(fault="malformed", where=where, detail=what))
        else:
            width, length, height = size  # As nuScenes orders them.
            hidden = str(row.get("visibility_token")) == _HIDDEN
            sides = np.array([length, width, height])
            found[sample].append(_Object(labels[instance], pose, sides, hidden))
    return {sample: tuple(items) for sample, items in found.items()}


def _cameras(folder: Path, wanted: set[str]) -> dict[str, _Camera]:
    channels: dict[str, str] = {}
    if (folder / "sensor.json").is_file():
        channels = {
            str(row.get("token")): plain_text(row.get("channel"))
            for row in _table(folder, "sensor")
        }
    cameras = {}
    for row in _table(folder, "calibrated_sensor"):
        token, matrix, pose = str(row.get("token")), row.get("camera_intrinsic"), _pose(row)
        rows = [numbers(one, 3) for one in matrix] if isinstance(matrix, list) else []
        if token in wanted and len(rows) == 3 and pose is not None:
            values = [value for one in rows for value in one or (math.nan,)]
            if len(values) == 9 and all(map(math.isfinite, values)):
                channel = channels.get(str(row.get("sensor_token")), "")
                cameras[token] = _Camera(pose, np.array(values).reshape(3, 3), channel)
    return cameras


def _poses(folder: Path, name: str, wanted: set[str]) -> dict[str, Pose]:
    rows = ((str(row.get("token")), row) for row in _table(folder, name))
    return {token: pose for token, row in rows if token in wanted and (pose := _pose(row))}


def _pose(row: Mapping[str, Any]) -> Pose | None:
    place, turn = numbers(row.get("translation"), 3), numbers(row.get("rotation"), 4)
    if place is None or turn is None or not all(map(math.isfinite, (*place, *turn))):
        return None
    if not any(turn):
        return None
    return Pose(
        rotation=rotation_of((turn[0], turn[1], turn[2], turn[3])), translation=np.array(place)
    )


def _scenes(folder: Path) -> dict[str, str]:
    """Return the scene of each sample, where the tables say it: photos of one scene are alike."""
    if not all((folder / f"{name}.json").is_file() for name in ("scene", "sample")):
        return {}
    names = {str(row.get("token")): plain_text(row.get("name")) for row in _table(folder, "scene")}
    return {
        str(row.get("token")): names.get(str(row.get("scene_token")), "")
        for row in _table(folder, "sample")
    }


def _boxes(shot: _Shot, objects: tuple[_Object, ...], ego: Pose, camera: _Camera) -> Iterator[Box]:
    if not objects:
        return
    boxes = Boxes(
        rotations=np.stack([item.pose.rotation for item in objects]),
        centres=np.stack([item.pose.translation for item in objects]),
        sizes=np.stack([item.size for item in objects]),
    )
    views = seen(boxes, ego, camera.pose, camera.intrinsic, (shot.width, shot.height))
    for item, view in zip(objects, views, strict=True):
        if view is not None:
            x1, y1, x2, y2 = view.edges
            yield Box(
                label=item.label,
                x1=x1,
                y1=y1,
                x2=x2,
                y2=y2,
                difficult=item.hidden,
                visible=view.visible,
            )
