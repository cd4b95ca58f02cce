"""Pascal VOC: an XML file for each image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from xml.parsers import expat

from affinage.datasets.boxes.annotations import (
    Annotations,
    Listed,
    Problem,
    plain_text,
    real,
    truth,
    whole,
)
from affinage.datasets.boxes.pairing import Pictures, pictures_near, stem_key
from affinage.datasets.folders import part_named
from affinage.errors import DataError
from affinage.records.box import Box

_LARGEST = 64 << 20  # Bytes of one XML file; real ones have a few thousand.
_DEEPEST = 32
_EDGES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(slots=True)
class _Annotation:
    """What one XML file says."""

    filename: str = ""
    width: str = ""
    height: str = ""
    objects: list[dict[str, str]] = field(default_factory=list)


class _Refused(Exception):  # noqa: N818 - says why, and never leaves this file.
    """An XML that is well formed, and still not to be read."""


def read_voc(files: Sequence[Path], folder: Path, images: Path | None) -> Annotations:
    """Return what a folder of Pascal VOC files says of images and boxes.

    An XML file belongs to the image of the same name; where there is none, to the one that its
    `filename` names, because copied files often keep the `filename` of another. Coordinates are
    taken for the edges of the box as they stand. Splits come from `ImageSets/Main`, else from a
    folder named train, val or test.

    Args:
        files: The XML files, under `folder`.
        folder: The source.
        images: Folder of the images; None looks in the source and beside it.

    Raises:
        DataError: If no file can be read.
    """
    pictures = pictures_near(folder, images)
    splits = _image_sets(folder)
    listed: list[Listed] = []
    problems: list[Problem] = []
    for file in files:
        name = file.relative_to(folder).as_posix()
        try:
            annotation = _parse(file)
        except (expat.ExpatError, _Refused, OSError, ValueError) as error:
            problems.append(Problem(fault="broken", where=name, detail=_why(error)))
            continue
        listed.append(_listed(annotation, name, pictures, splits, problems))
    if not listed:
        first = f": {problems[0].where}: {problems[0].detail}" if problems else ""
        raise DataError(
            f"None of the {len(files):,} XML files in '{folder}' can be read as Pascal VOC{first}.",
            remedy="Export the annotations again.",
        )
    return Annotations(
        kind="voc",
        images=tuple(sorted(listed, key=lambda image: image.path)),
        classes=tuple(dict.fromkeys(box.label for image in listed for box in image.boxes)),
        folders=(pictures.root,),
        problems=tuple(problems),
    )


def is_voc(file: Path) -> bool:
    """Return whether an XML file is a VOC annotation, by its outermost element."""
    try:
        with file.open("rb") as opened:
            return b"<annotation" in opened.read(2048)
    except OSError:
        return False


def _parse(file: Path) -> _Annotation:
    """Return what an XML file says; entities and other documents are refused unread."""
    if file.stat().st_size > _LARGEST:
        raise _Refused(f"a file of {file.stat().st_size / 1e6:.0f} MB: no annotation is that large")
    found = _Annotation()
    path: list[str] = []
    text: list[str] = []

    def start(name: str, _attributes: dict[str, str]) -> None:
        if not path and name != "annotation":
            raise _Refused(f"line {parser.CurrentLineNumber}: <{name}> is no VOC annotation")
        if len(path) >= _DEEPEST:
            raise _Refused(f"line {parser.CurrentLineNumber}: nested more than {_DEEPEST} deep")
        path.append(name)
        text.clear()
        if path == ["annotation", "object"]:
            found.objects.append({})

    def end(_name: str) -> None:
        _keep(found, tuple(path), "".join(text).strip())
        text.clear()
        path.pop()

    def refuse(*_: object) -> bool:
        raise _Refused(f"line {parser.CurrentLineNumber}: an XML entity, which is never expanded")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text.append
    parser.EntityDeclHandler = parser.ExternalEntityRefHandler = refuse
    parser.Parse(file.read_bytes(), True)  # noqa: FBT003 - expat's signature.
    return found


def _keep(found: _Annotation, path: tuple[str, ...], text: str) -> None:
    """Keep what stands at a known place; a person's parts have boxes too, which are not objects."""
    match path[1:]:
        case ("filename",):
            found.filename = text
        case ("size", "width"):
            found.width = text
        case ("size", "height"):
            found.height = text
        case ("object", "name" | "difficult" | "truncated" as name):
            found.objects[-1][name] = text
        case ("object", "bndbox", name) if name in _EDGES:
            found.objects[-1][name] = text


def _listed(
    annotation: _Annotation,
    name: str,
    pictures: Pictures,
    splits: dict[str, str],
    problems: list[Problem],
) -> Listed:
    file = plain_text(annotation.filename).replace("\\", "/")
    path = pictures.of(name) or pictures.named(file) or file or name
    boxes = []
    for item in annotation.objects:
        label = plain_text(item.get("name"))
        if not label or not any(edge in item for edge in _EDGES):
            what = "a box without a name" if not label else f"'{label}' without a bndbox"
            problems.append(Problem(fault="malformed", where=name, detail=what, image=path))
            continue
        edges = [real(item[edge]) if edge in item else math.nan for edge in _EDGES]
        boxes.append(
            Box(
                label=label,
                x1=edges[0],
                y1=edges[1],
                x2=edges[2],
                y2=edges[3],
                difficult=truth(item.get("difficult")),
                truncated=truth(item.get("truncated")),
            )
        )
    parts = (part_named(one) for one in PurePosixPath(name).parts[:-1])
    return Listed(
        path=path,
        width=whole(annotation.width),
        height=whole(annotation.height),
        boxes=tuple(boxes),
        split=splits.get(PurePosixPath(stem_key(name)).name) or next(filter(None, parts), None),
    )


def _image_sets(folder: Path) -> dict[str, str]:
    """Return the split of each image's name, by ImageSets/Main/train.txt and its fellows."""
    splits: dict[str, str] = {}
    for above in (folder, folder.parent):
        for name in ("train", "val", "test"):
            file = above / "ImageSets" / "Main" / f"{name}.txt"
            if file.is_file():
                words = file.read_text(encoding="utf-8", errors="replace").split()
                splits.update(dict.fromkeys(words, part_named(name) or name))
        if splits:
            return splits
    return splits


def _why(error: Exception) -> str:
    if isinstance(error, expat.ExpatError):
        return f"line {error.lineno}: {expat.ErrorString(error.code)}"
    return getattr(error, "strerror", None) or str(error)
