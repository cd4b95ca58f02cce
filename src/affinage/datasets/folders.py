"""Folders of images: which files there are, and which label and part each folder's name gives.

A *class* is the first folder level under the source, or under its train/validation/test folders;
deeper folders belong to that class. A link to a file inside the source is read like a copy of it;
a link to a folder is never entered (inside the source, its images are read where they lie).
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from affinage.datasets.places import (
    LEAVES,
    NO_TARGET,
    NOT_AN_IMAGE,
    UNDECODABLE,
    Place,
    is_utf8,
    looks_like_image,
)
from affinage.errors import DataError

LAYOUTS = (
    "Give a folder per class (photos/cat/1.jpg), train/ and test/ folders of these, or a table"
    " (.csv, .tsv, .txt, .parquet) with the columns path and label."
)
HIDDEN = "hidden or a system's own"
_SYSTEM = frozenset(
    ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "@eadir")
)
_PART_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_PART_SUFFIX = re.compile(r"[ _-]?(data|set|images|split)$")


def part_named(name: str) -> str | None:
    """Return the part that a folder's name or a `split` field means (`Valid_set`), or None."""
    plain = name.strip().lower()
    return _PART_NAMES.get(plain) or _PART_NAMES.get(_PART_SUFFIX.sub("", plain))


def folder_places(root: Path, *, seen: Callable[[int], None] = lambda _: None) -> list[Place]:
    """Return every file under a folder with the label and part that its folders give it.

    Args:
        root: The source; only read.
        seen: Called now and then with the number of files found so far.

    Raises:
        DataError: If the folder cannot be opened, or images lie in it without any class folder.
    """
    places = list(walk(root, seen=seen))
    images = [place for place in places if place.status is None]
    in_parts = _has_parts(images)
    labelled = [
        _labelled(place, in_parts=in_parts) if place.status is None else place for place in places
    ]
    if images and all(place.label is None for place in labelled):
        raise DataError(
            f"'{root}' has {len(images):,} images but no class folders: what do they show?",
            remedy=LAYOUTS,
        )
    return labelled


def walk(root: Path, *, seen: Callable[[int], None] = lambda _: None) -> Iterator[Place]:
    """Yield what lies under a folder, in order of names: files to read, and what is passed over.

    Raises:
        DataError: If the folder itself cannot be opened.
    """
    real = os.path.realpath(root)
    pending, count = [""], 0
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as listing:  # noqa: PTH118 - see below.
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise DataError(
                    f"'{root}' cannot be opened: {error.strerror}.",
                    remedy="Check the path, and that you may read it.",
                ) from None
            yield Place(
                path=folder,
                status="failed",
                reason=f"a folder that cannot be opened: {error.strerror}",
            )
            continue
        folders = []
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if _enters(entry):
                folders.append(path)
                continue
            yield _file(entry, path, real)
            count += 1
            if count % 1000 == 0:
                seen(count)
        pending.extend(reversed(folders))
    seen(count)


def _enters(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False) and not _hidden(entry.name)
    except OSError:
        return False


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEM


def _file(entry: "os.DirEntry[str]", path: str, real: str) -> Place:
    """Judge one entry that is not a folder to enter, without reading more than its first bytes."""
    if _hidden(entry.name):
        return Place(path=path, status="ignored", reason=HIDDEN)
    if entry.is_symlink() and (place := _bad_link(entry.path, path, real)):
        return place
    try:
        regular = stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        regular = True  # Reading it will say why it cannot be read.
    if not regular:
        return Place(path=path, status="ignored", reason="a pipe, socket or device, not a file")
    if not looks_like_image(entry.path):
        return Place(path=path, status="ignored", reason=NOT_AN_IMAGE)
    if not is_utf8(path):
        return Place(path=path, status="failed", reason=UNDECODABLE)
    return Place(path=path)


def _bad_link(link: str, path: str, real: str) -> Place | None:
    """Return what is wrong with a link, or None if it leads to a file of the same source."""
    target = os.path.realpath(link)
    if not inside(target, real):
        return Place(path=path, status="failed", reason=LEAVES)
    if not os.path.exists(target):  # noqa: PTH110 - a name may hold bytes that are no text.
        return Place(path=path, status="failed", reason=NO_TARGET)
    if os.path.isdir(target):  # noqa: PTH112
        reason = "a link to a folder of this source, whose images are read where they lie"
        return Place(path=path, status="ignored", reason=reason)
    return None


def inside(path: str, root: str) -> bool:
    """Return whether a resolved path is a resolved folder or lies under it."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def _has_parts(images: list[Place]) -> bool:
    """Return whether the top folders are parts (train, test...), not classes of those names.

    They are where a `train` folder, or every folder with images, has a part's name and holds its
    images in folders of its own: vehicles/{train,bus}/1.jpg are classes.
    """
    direct: set[str] = set()
    nested: set[str] = set()
    for place in images:
        folders = place.path.split("/")[:-1]
        if folders:
            (direct if len(folders) == 1 else nested).add(folders[0])
    parts = {name for name in nested - direct if part_named(name)}
    trains = any(part_named(name) == "train" for name in parts)
    return trains or (bool(parts) and all(part_named(name) for name in direct | nested))


def _labelled(place: Place, *, in_parts: bool) -> Place:
    folders = place.path.split("/")[:-1]
    part = part_named(folders[0]) if in_parts and folders else None
    if in_parts and part is None:
        reason = "outside the train, validation and test folders"
        return Place(path=place.path, status="excluded", reason=reason)
    classes = folders[1:] if in_parts else folders
    if not classes:
        return Place(path=place.path, part=part, status="excluded", reason="in no class folder")
    return Place(path=place.path, part=part, label=classes[0])
