"""YOLO: a text file for each image, a box a line in shares of the frame, and the names in a file."""

import math
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import yaml

from affinage.datasets.boxes.annotations import Annotations, Listed, Problem, plain_text, real
from affinage.datasets.boxes.pairing import Pictures, pictures_near
from affinage.datasets.folders import part_named
from affinage.errors import DataError
from affinage.records.box import Box

NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt")
_NO_LABELS = frozenset((*NAME_FILES, "train.txt", "val.txt", "valid.txt", "test.txt"))
_LARGEST = 16 << 20  # Bytes of a file of names or boxes; real ones have a few thousand.


@dataclass(slots=True)
class _Names:
    """What data.yaml or a file of names says.

    Attributes:
        classes: Name of each class by its number.
        keypoints: Whether lines end in key points, not in an outline.
        parts: Folder or list of images of each split, as written.
    """

    classes: dict[int, str] = field(default_factory=dict)
    keypoints: bool = False
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_yolo(files: Sequence[Path], folder: Path, images: Path | None) -> Annotations:
    """Return what a folder of YOLO text files says of images and boxes.

    A line is `class x y w h` (centre and sides), or `class x1 y1 x2 y2 x3 y3 …`, an outline whose
    box is taken; all are shares of the frame. An empty file is an image without boxes. Splits are
    those of data.yaml, else of folders named train, val or test.

    Args:
        files: The text files with boxes, under `folder`.
        folder: The source.
        images: Folder of the images; None looks in the source and beside it.

    Raises:
        DataError: If the names of the classes are nowhere, or no file can be read.
    """
    pictures = pictures_near(folder, images)
    names = _names(folder)
    splits = _splits(names, folder, pictures)
    listed: list[Listed] = []
    problems: list[Problem] = []
    for file in files:
        name = file.relative_to(folder).as_posix()
        path = pictures.of(name)
        lines = _lines(file, name, problems)
        if lines is None or (path is None and not _looks_like_boxes(lines)):
            continue  # A note or licence among the labels.
        boxes = tuple(_boxes(lines, name, path or name, names, problems))
        part = splits.get(path or name) or _folders_part(path or name)
        listed.append(Listed(path=path or name, boxes=boxes, split=part))
    if not listed:
        raise DataError(
            f"No YOLO file of boxes in '{folder}' can be read, or belongs to an image.",
            remedy="Say where the images are with --images FOLDER.",
        )
    return Annotations(
        kind="yolo",
        images=tuple(sorted(listed, key=lambda image: image.path)),
        classes=tuple(names.classes[number] for number in sorted(names.classes)),
        folders=(pictures.root,),
        shares=True,
        problems=tuple(problems),
    )


def label_files(folder: Path, files: Sequence[Path]) -> list[Path]:
    """Return those of a folder's text files that may hold boxes."""
    return [file for file in files if file.name.lower() not in _NO_LABELS]


def names_file(folder: Path) -> Path | None:
    """Return the file with the names of the classes, in the folder or above it; None for none."""
    for place in (folder, folder / "labels", folder.parent):
        try:
            settings = sorted(place.glob("*.yaml")) + sorted(place.glob("*.yml"))
        except OSError:
            continue
        preferred = sorted(settings, key=lambda file: file.stem not in ("data", "dataset"))
        for file in preferred:
            if "names" in _settings(file):
                return file
        for name in NAME_FILES:
            if (place / name).is_file():
                return place / name
    return None


def _settings(file: Path) -> Mapping[str, object]:
    try:
        if file.stat().st_size > _LARGEST:
            return {}
        found = yaml.safe_load(file.read_text(encoding="utf-8", errors="replace"))
    except (yaml.YAMLError, OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _names(folder: Path) -> _Names:
    file = names_file(folder)
    if file is None:
        raise DataError(
            f"The names of the classes are not in '{folder}': a YOLO file knows only their numbers.",
            remedy="Put a data.yaml with `names:`, or a classes.txt with a name a line, into it.",
        )
    if file.suffix in (".yaml", ".yml"):
        return _from_settings(_settings(file), file)
    lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return _Names(classes={n: plain_text(line) for n, line in enumerate(lines) if line.strip()})


def _from_settings(settings: Mapping[str, object], file: Path) -> _Names:
    names = settings.get("names")
    listed = dict(enumerate(names)) if isinstance(names, list) else names
    try:
        # A name must be one word or number: an alias may stand for a text of gigabytes.
        if not isinstance(listed, dict) or not all(map(_scalar, listed.values())):
            raise TypeError
        classes = {int(number): plain_text(name) for number, name in listed.items()}
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"`names` in {file.name} is neither a list of names nor numbers with names.",
            remedy="Write it as `names: [car, child]`.",
        ) from None
    parts: dict[str, tuple[str, ...]] = {}
    for name in ("train", "val", "valid", "test"):
        given = settings.get(name)
        several = given if isinstance(given, list) else [given]
        texts = tuple(str(one) for one in several if isinstance(one, str))
        if texts:
            parts[part_named(name) or name] = texts
    return _Names(classes=classes, keypoints="kpt_shape" in settings, parts=parts)


def _scalar(value: object) -> bool:
    return isinstance(value, str | int | float)


def _splits(names: _Names, folder: Path, pictures: Pictures) -> dict[str, str]:
    """Return the split of each image by the folders and lists in data.yaml.

    These are written relative to places that differ from program to program, so they are matched by
    their ends: `../train/images` is the folder whose path ends so.
    """
    ends: list[tuple[str, str]] = []
    files: dict[str, str] = {}
    for part, given in names.parts.items():
        for text in given:
            plain = _inner(text)
            lists = [place / plain for place in (folder, folder.parent) if plain.endswith(".txt")]
            for file in lists:
                if file.is_file() and file.stat().st_size <= _LARGEST:
                    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
                    files.update((_inner(line), part) for line in lines if line.strip())
            if not lists:
                ends.append((plain, part))
    found: dict[str, str] = {}
    for path in pictures.by_key.values():
        whole = f"/{pictures.root.name}/{path}"
        parts = [part for end, part in ends if f"/{end}/" in whole]
        listed = files.get(path) or files.get(f"{pictures.root.name}/{path}")
        if listed or len(set(parts)) == 1:
            found[path] = listed or parts[0]
    return found


def _inner(text: str) -> str:
    plain = posixpath.normpath(text.strip().replace("\\", "/"))
    return "/".join(part for part in plain.split("/") if part not in ("..", ".", ""))


def _folders_part(path: str) -> str | None:
    return next(filter(None, map(part_named, PurePosixPath(path).parts[:-1])), None)


def _lines(file: Path, name: str, problems: list[Problem]) -> list[list[str]] | None:
    try:
        if file.stat().st_size > _LARGEST:
            problems.append(Problem(fault="broken", where=name, detail="too large to be boxes"))
            return None
        text = file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        detail = error.strerror or "cannot be read"
        problems.append(Problem(fault="broken", where=name, detail=detail))
        return None
    return [line.split() for line in text.splitlines()]


def _looks_like_boxes(lines: Sequence[Sequence[str]]) -> bool:
    first = next((line for line in lines if line), ())
    return len(first) >= 5 and all(math.isfinite(real(word)) for word in first)


def _boxes(
    lines: Sequence[Sequence[str]], name: str, image: str, names: _Names, problems: list[Problem]
) -> Iterator[Box]:
    for number, words in enumerate(lines, start=1):
        if not words:
            continue
        where = f"{name}, line {number}"
        edges = _edges(words, names)
        index = real(words[0])
        if edges is None:
            what = f"{len(words)} words: {' '.join(words)[:60]}"
            problems.append(Problem(fault="malformed", where=where, detail=what, image=image))
        elif not index.is_integer() or int(index) not in names.classes:
            what = f"class {words[0][:20]}"
            problems.append(
                Problem(fault="unknown-category", where=where, detail=what, image=image)
            )
        else:
            x1, y1, x2, y2 = edges
            yield Box(label=names.classes[int(index)], x1=x1, y1=y1, x2=x2, y2=y2)


def _edges(words: Sequence[str], names: _Names) -> tuple[float, float, float, float] | None:
    """Return the box of a line in shares of the frame; None where it is none."""
    if len(words) == 5 or (names.keypoints and len(words) > 5):
        x, y, w, h = map(real, words[1:5])
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2
    if len(words) < 7 or len(words) % 2 == 0:
        return None
    across, down = [real(word) for word in words[1::2]], [real(word) for word in words[2::2]]
    if not all(map(math.isfinite, (*across, *down))):
        return math.nan, math.nan, math.nan, math.nan
    return min(across), min(down), max(across), max(down)
