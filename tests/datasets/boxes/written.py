"""The same boxes, written by hand in every format."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import cv2
import numpy as np

Plain = tuple[str, float, float, float, float]
Boxes = Mapping[str, Sequence[Plain]]
"""Label, x1, y1, x2, y2 of each box of each image, by its file name."""


def write_image(file: Path, width: int = 64, height: int = 48) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([across % 256, down % 256, (across + down) % 256], axis=-1).astype(np.uint8)
    file.write_bytes(cv2.imencode(file.suffix, pixels)[1].tobytes())
    return file


def classes_of(boxes: Boxes) -> list[str]:
    return sorted({label for row in boxes.values() for label, *_ in row}) or ["thing"]


def write_coco(root: Path, boxes: Boxes, size: tuple[int, int]) -> Path:
    numbers = {label: 10 + n for n, label in enumerate(classes_of(boxes))}
    document = {
        "annotations": [
            {"id": n, "image_id": image, "category_id": numbers[label], "iscrowd": 0,
             "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
            for image, row in boxes.items() for n, (label, x1, y1, x2, y2) in enumerate(row)
        ],
        "info": {"description": "[{"},
        "images": [
            {"id": name, "file_name": name, "width": size[0], "height": size[1]} for name in boxes
        ],
        "categories": [{"id": number, "name": label} for label, number in numbers.items()],
    }  # fmt: skip
    file = root / "annotations" / "instances_val.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document))
    return file


def voc_text(name: str, row: Sequence[Plain], size: tuple[int, int], more: str = "") -> str:
    objects = "".join(
        f"<object><name>{escape(label)}</name><pose>Unspecified</pose><truncated>0</truncated>"
        f"<difficult>0</difficult><bndbox><xmin>{x1!r}</xmin><ymin>{y1!r}</ymin><xmax>{x2!r}</xmax>"
        f"<ymax>{y2!r}</ymax></bndbox>{more}</object>\n"
        for label, x1, y1, x2, y2 in row
    )
    return (
        f"<annotation>\n<folder>images</folder><filename>{name}</filename>\n"
        f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>\n"
        f"{objects}</annotation>\n"
    )


def write_voc(root: Path, boxes: Boxes, size: tuple[int, int]) -> Path:
    folder = root / "Annotations"
    folder.mkdir(parents=True, exist_ok=True)
    for name, row in boxes.items():
        (folder / f"{Path(name).stem}.xml").write_text(voc_text(name, row, size))
    return folder


def write_yolo(root: Path, boxes: Boxes, size: tuple[int, int]) -> Path:
    folder = root / "labels"
    folder.mkdir(parents=True, exist_ok=True)
    names = classes_of(boxes)
    (root / "data.yaml").write_text(json.dumps({"names": names, "nc": len(names)}))
    width, height = size
    for name, row in boxes.items():
        lines = [
            f"{names.index(label)} {(x1 + x2) / 2 / width:.6f} {(y1 + y2) / 2 / height:.6f}"
            f" {(x2 - x1) / width:.6f} {(y2 - y1) / height:.6f}\n"
            for label, x1, y1, x2, y2 in row
        ]
        (folder / f"{Path(name).stem}.txt").write_text("".join(lines))
    return folder


def write_corners(root: Path, boxes: Boxes, _size: tuple[int, int]) -> Path:
    rows = [
        (f"images/{name}", *box)
        for name, row in boxes.items()
        for box in row or [("", "", "", "", "")]
    ]
    return _write_csv(root / "corners.csv", ("path", "label", "x1", "y1", "x2", "y2"), rows)


def write_sides(root: Path, boxes: Boxes, size: tuple[int, int]) -> Path:
    rows = [
        (f"images/{name}", *size, label, x1, y1, x2 - x1, y2 - y1)
        for name, row in boxes.items()
        for label, x1, y1, x2, y2 in row
    ]
    rows += [
        (f"images/{name}", *size, "", "", "", "", "") for name, row in boxes.items() if not row
    ]
    header = ("filename", "image_width", "image_height", "class", "x", "y", "w", "h")
    return _write_csv(root / "sides.csv", header, rows)


def _write_csv(file: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([header, *rows])
    return file


Writer = Callable[[Path, Boxes, tuple[int, int]], Path]
WRITERS: dict[str, Writer] = {
    "coco": write_coco,
    "voc": write_voc,
    "yolo": write_yolo,
    "table": write_corners,
    "table of sides": write_sides,
}
