"""Placing: annotated images are found on disk, and their boxes put into the frames as shown."""

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from affinage.datasets.boxes.annotations import Annotations, Listed
from affinage.datasets.boxes.frames import Fit, Frame, fitted, frame_of
from affinage.datasets.folders import inside
from affinage.datasets.places import looks_like_image
from affinage.errors import DataError, ImageError
from affinage.records.box import BoxedImage

Lack = Literal["missing", "outside the folder", "unreadable", "of unknown size", "of another size"]
_DRIVE = re.compile(r"^[A-Za-z]:[\\/]")
_PROBED = 200  # Paths that are tried in each folder to find the one that holds the images.


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """An annotated image that cannot be used.

    Attributes:
        path: As the annotations write it; of an absolute path, the name alone.
        lack: Why, in one word or two.
        detail: With its values.
    """

    path: str
    lack: Lack
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Annotated images, found or not.

    Attributes:
        images: Those with a frame, sorted by path (relative to the table's folder).
        left: The others.
        fits: (path, fit, detail) of those whose boxes had to be turned or scaled.
        again: Paths that the annotations list more than once; their boxes are united.
        unmentioned: Paths of images beside them that the annotations do not mention.
        paths: Path of each image by the path that the annotations write.
    """

    images: tuple[BoxedImage, ...]
    left: tuple[Left, ...]
    fits: tuple[tuple[str, Fit, str], ...]
    again: tuple[str, ...]
    unmentioned: tuple[str, ...]
    paths: dict[str, str]


def images_folder(annotations: Annotations, images: Path | None) -> Path:
    """Return the folder that the annotations' paths start from: where most of them are found.

    Args:
        annotations: With the folders where images may lie.
        images: The one that the user named; paths that begin with its name are understood too.
    """
    folders = (images, images.parent) if images else annotations.folders
    step = max(1, len(annotations.images) // _PROBED)
    probed = [image.path for image in annotations.images[::step]]

    def found(folder: Path) -> int:
        return sum(_target(folder, path, images or folder)[0] is not None for path in probed)

    existing = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
    return max(existing, key=found, default=annotations.folders[0])


def place(
    annotations: Annotations,
    folder: Path,
    *,
    table_folder: Path,
    fence: Path | None = None,
    keep_missing: bool = False,
    zero_unmentioned: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Placed:
    """Return every annotated image with its boxes in its frame, or why it has none.

    Args:
        annotations: What was read.
        folder: Where their paths start from.
        table_folder: Folder of the table to be; paths become relative to it.
        fence: No path may lead out of this folder; None takes `folder`.
        keep_missing: Whether images that are not there are kept, where the annotations state their
            size.
        zero_unmentioned: Whether images beside the annotated ones are taken for images without boxes.
        progress: Called with (done, total).

    Raises:
        DataError: If the images do not lie below the table's folder.
    """
    fence = fence or folder
    prefix = _prefix(folder, table_folder)
    images: dict[str, BoxedImage] = {}
    left: list[Left] = []
    fits: list[tuple[str, Fit, str]] = []
    again: list[str] = []
    paths: dict[str, str] = {}
    for number, listed in enumerate(annotations.images, start=1):
        if number % 100 == 0 or number == len(annotations.images):
            progress(number, len(annotations.images))
        found = _place_one(
            listed, folder, fence, shares=annotations.shares, keep_missing=keep_missing
        )
        if isinstance(found, Left):
            left.append(found)
            continue
        image, fit, detail = found
        path = posixpath.normpath(f"{prefix}/{image.path}")
        paths[listed.path] = path
        if path in images:
            again.append(path)
            united = images[path].boxes + image.boxes
            images[path] = replace(images[path], boxes=united)
            continue
        images[path] = replace(image, path=path)
        if fit != "as it is":
            fits.append((path, fit, detail))
    mentioned = {posixpath.normpath(listed.path) for listed in annotations.images}
    unmentioned = _unmentioned(mentioned, paths, folder, prefix)
    if zero_unmentioned:
        images |= _empty(unmentioned, table_folder, left)
        unmentioned = []
    return Placed(
        images=tuple(images[path] for path in sorted(images)),
        left=tuple(left),
        fits=tuple(sorted(fits)),
        again=tuple(sorted(set(again))),
        unmentioned=tuple(unmentioned),
        paths=paths,
    )


def _place_one(
    listed: Listed, folder: Path, fence: Path, *, shares: bool, keep_missing: bool
) -> Left | tuple[BoxedImage, Fit, str]:
    file, problem = _target(folder, listed.path, fence)
    if problem == "missing" and keep_missing:
        if listed.width is None or listed.height is None:
            return Left(path=listed.path, lack="of unknown size")
        frame = Frame(width=listed.width, height=listed.height)
    elif file is None:
        return Left(path=_shown(listed.path), lack=problem or "missing")
    else:
        try:
            frame = frame_of(file)
        except ImageError as error:
            return Left(path=listed.path, lack="unreadable", detail=error.problem.rstrip("."))
    fit = fitted(listed, frame, shares=shares)
    sizes = f"{listed.width} × {listed.height} annotated, {frame.width} × {frame.height} shown"
    if fit is None:
        return Left(path=listed.path, lack="of another size", detail=sizes)
    boxes, how = fit
    image = BoxedImage(
        path=posixpath.normpath(listed.path),
        width=frame.width,
        height=frame.height,
        boxes=boxes,
        split=listed.split,
        columns=listed.columns,
    )
    return image, how, sizes if listed.width else f"boxes fit {frame.height} × {frame.width} only"


def _target(folder: Path, path: str, fence: Path) -> tuple[Path | None, Lack | None]:
    """Return the file that a path means, or why there is none."""
    plain = posixpath.normpath(path)
    absolute = path.startswith(("/", "\\")) or _DRIVE.match(path) or "://" in path
    if not path or plain in (".", "..") or absolute or plain.startswith("../") or "\0" in path:
        return None, "outside the folder" if path else "missing"
    file = folder / plain
    try:
        if not file.exists():
            return None, "missing"
        if not inside(os.path.realpath(file), os.path.realpath(fence)):
            return None, "outside the folder"
    except (OSError, ValueError):
        return None, "missing"
    return file, None


def _shown(path: str) -> str:
    """Return a path for people: of an absolute one, the name alone."""
    return (
        path if not _DRIVE.match(path) and path[:1] not in "/\\" else re.split(r"[\\/]", path)[-1]
    )


def _prefix(folder: Path, table_folder: Path) -> str:
    """Return the way from the table's folder to the images'.

    Raises:
        DataError: If it does not lead downwards.
    """
    real, table = os.path.realpath(folder), os.path.realpath(table_folder)
    if not inside(real, table):
        raise DataError(
            f"The images lie in '{folder}', which is not below the table's folder '{table_folder}':"
            " no path of a table may leave its folder.",
            remedy=f"Write the table beside or above the images: --into {Path(folder).parent}/counts.csv",
        )
    return Path(os.path.relpath(real, table)).as_posix()


def _unmentioned(mentioned: set[str], found: Iterable[str], folder: Path, prefix: str) -> list[str]:
    """Return the images that lie in the folders of those that were found, and are not annotated.

    Args:
        mentioned: Every path of the annotations, also those that cannot be used.
        found: Paths of the annotations that lead to an image.
        folder: Where they start from.
        prefix: The way there from the table's folder.
    """
    unmentioned = []
    for inner in sorted({posixpath.dirname(posixpath.normpath(path)) for path in found}):
        try:
            entries = sorted(os.scandir(folder / inner), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            path = posixpath.normpath(f"{inner}/{entry.name}" if inner else entry.name)
            regular = not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)
            if path not in mentioned and regular and looks_like_image(entry.path):
                unmentioned.append(posixpath.normpath(f"{prefix}/{path}"))
    return unmentioned


def _empty(paths: Sequence[str], table_folder: Path, left: list[Left]) -> dict[str, BoxedImage]:
    """Return images without boxes; those that cannot be read are added to `left`."""
    images = {}
    for path in paths:
        try:
            frame = frame_of(table_folder / path)
        except ImageError as error:
            left.append(Left(path=path, lack="unreadable", detail=error.problem.rstrip(".")))
            continue
        images[path] = BoxedImage(path=path, width=frame.width, height=frame.height, boxes=())
    return images
