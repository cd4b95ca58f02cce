"""COCO: one JSON document with images, annotations and categories."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affinage.datasets.boxes.annotations import (
    Annotations,
    Listed,
    Problem,
    numbers,
    plain_text,
    truth,
    whole,
)
from affinage.datasets.boxes.json_stream import JsonStream
from affinage.datasets.folders import part_named
from affinage.errors import DataError
from affinage.records.box import Box

KEYS = ("images", "annotations", "categories")


@dataclass(slots=True)
class _Document:
    """The three lists of a document, in whatever order it has them."""

    images: dict[object, dict[str, Any]] = field(default_factory=dict)
    categories: dict[object, str] = field(default_factory=dict)
    annotations: list[tuple[object, object, Sequence[float] | None, bool, bool]] = field(
        default_factory=list
    )
    problems: list[Problem] = field(default_factory=list)


def read_coco(files: Sequence[Path], folder: Path) -> Annotations:
    """Return what COCO documents say of images and boxes.

    One document names no split; of several (`train/_annotations.coco.json` and `valid/…`) each gives
    its images the split in its name or its folder's.

    Args:
        files: The documents; images are looked for beside each.
        folder: The folder that images' paths start from where there are several documents.

    Raises:
        DataError: If a document is broken, or several hold the same images without a split.
    """
    listed: list[Listed] = []
    problems: list[Problem] = []
    classes: dict[str, None] = {}
    for file in files:
        document = _read(file)
        split = _split(file) if len(files) > 1 else None
        if len(files) > 1 and split is None:
            raise DataError(
                f"{len(files)} COCO documents, and {file.name} names no split:"
                f" {', '.join(one.name for one in files[:5])}.",
                remedy="Give the one that is meant.",
            )
        prefix = _prefix(file, folder) if len(files) > 1 else ""
        classes.update(dict.fromkeys(document.categories.values()))
        listed.extend(_images(document, split, prefix))
        problems.extend(document.problems)
    return Annotations(
        kind="coco",
        images=tuple(sorted(listed, key=lambda image: image.path)),
        classes=tuple(classes),
        folders=(folder,) if len(files) > 1 else _folders(files[0]),
        problems=tuple(problems),
    )


def _read(file: Path) -> _Document:
    document = _Document()
    missing = set(KEYS)
    with JsonStream(file) as stream:
        for key in stream.keys():  # noqa: SIM118 - no dictionary.
            missing.discard(key)
            if key == "images":
                for image in stream.items():
                    _add_image(document, image, file)
            elif key == "categories":
                for category in stream.items():
                    if isinstance(category, dict) and _plain(category.get("id")):
                        document.categories[category["id"]] = plain_text(category.get("name"))
            elif key == "annotations":
                for annotation in stream.items():
                    _add_annotation(document, annotation, file)
            else:
                stream.value()
        stream.finish()
    if missing:
        raise DataError(
            f"{file.name} has no {', '.join(sorted(missing))}: it is no COCO document with boxes.",
            remedy="Give the one with instances, such as instances_train2017.json.",
        )
    return document


def _plain(identity: object) -> bool:
    return isinstance(identity, int | str)


def _add_image(document: _Document, image: Any, file: Path) -> None:
    if not isinstance(image, dict) or not _plain(image.get("id")):
        document.problems.append(
            Problem(fault="malformed", where=file.name, detail="an image without an id")
        )
        return
    path = image.get("file_name") or str(image.get("coco_url") or "").rpartition("/")[2]
    document.images[image["id"]] = {
        "path": plain_text(path).replace("\\", "/"),
        "width": whole(image.get("width")),
        "height": whole(image.get("height")),
    }


def _add_annotation(document: _Document, annotation: Any, file: Path) -> None:
    known = isinstance(annotation, dict)
    image, category = (
        (annotation.get("image_id"), annotation.get("category_id")) if known else (None, None)
    )
    if not known or not _plain(image) or not _plain(category):
        document.problems.append(
            Problem(fault="malformed", where=file.name, detail="a box without an image or category")
        )
        return
    crowd, ignored = truth(annotation.get("iscrowd")), truth(annotation.get("ignore"))
    document.annotations.append(
        (image, category, numbers(annotation.get("bbox"), 4), crowd, ignored)
    )


def _images(document: _Document, split: str | None, prefix: str) -> Iterator[Listed]:
    boxes: defaultdict[object, list[Box]] = defaultdict(list)
    for image, category, sides, crowd, ignored in document.annotations:
        row = document.images.get(image)
        path = prefix + row["path"] if row else ""
        label = document.categories.get(category)
        if row is None:
            document.problems.append(
                Problem(fault="unknown-image", where=f"image {image!r}", detail="a box of it")
            )
        elif not label:
            document.problems.append(
                Problem(
                    fault="unknown-category",
                    where=path,
                    detail=f"category {category!r}",
                    image=path,
                )
            )
        elif sides is None:
            document.problems.append(
                Problem(
                    fault="malformed", where=path, detail=f"'{label}' without a bbox", image=path
                )
            )
        else:
            boxes[image].append(_box(label, sides, crowd=crowd, ignored=ignored))
    for identity, row in document.images.items():
        yield Listed(
            path=prefix + row["path"],
            width=row["width"],
            height=row["height"],
            boxes=tuple(boxes.get(identity, ())),
            split=split,
        )


def _box(label: str, sides: Sequence[float], *, crowd: bool, ignored: bool) -> Box:
    x, y, width, height = sides
    return Box(
        label=label,
        x1=x,
        y1=y,
        x2=x + width if math.isfinite(width) else math.nan,
        y2=y + height if math.isfinite(height) else math.nan,
        crowd=crowd,
        difficult=ignored,
    )


def _split(file: Path) -> str | None:
    words = [*re.split(r"[\W_\d]+", file.stem), file.parent.name]
    return next((part for word in words if (part := part_named(word))), None)


def _prefix(file: Path, folder: Path) -> str:
    """Return the folder of a document's images, from the folder of all documents."""
    inner = file.parent.relative_to(folder).as_posix()
    return "" if inner == "." else f"{inner}/"


def _folders(file: Path) -> tuple[Path, ...]:
    """Return where the images of `annotations/instances_val2017.json` may lie."""
    here, above, last = file.parent, file.parent.parent, re.split(r"[_\-]", file.stem)[-1]
    found = [here, here / "images", here / last, above, above / "images", above / last]
    return (*found, above / "images" / last)
