"""Which image an annotation file belongs to: the one of the same name, in folders side by side."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from affinage.datasets.folders import walk

_SIDES = frozenset(("images", "jpegimages", "labels", "annotations", "xml", "imgs"))
_FOR_IMAGES = ("images", "JPEGImages", "imgs")
_MASKS = re.compile(r"(^|/)Segmentation\w+/")  # PNGs of VOC that are named as the photos are.


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The images of a folder, found by the names of their annotations.

    Attributes:
        root: The folder.
        by_key: Relative path of each image by its `stem_key`.
        by_name: Relative path of each image by its file name; None where several have it.
    """

    root: Path
    by_key: Mapping[str, str]
    by_name: Mapping[str, str | None]

    def of(self, annotation: str) -> str | None:
        """Return the image of an annotation file by the file's relative path; None for none."""
        return self.by_key.get(stem_key(annotation))

    def named(self, name: str) -> str | None:
        """Return the only image that has a file name; None for none."""
        return self.by_name.get(PurePosixPath(name).name)


def stem_key(path: str) -> str:
    """Return what an image and its annotation have in common: `train/images/a.jpg` is `train/a`."""
    pure = PurePosixPath(path)
    folders = [part for part in pure.parts[:-1] if part.lower() not in _SIDES]
    return "/".join([*folders, pure.stem])


def pictures_near(folder: Path, images: Path | None) -> Pictures:
    """Return the images that belong to a folder of annotations.

    Args:
        folder: The annotations. Images are looked for in it; where it has none, in the folders
            beside it that are named for images.
        images: Folder of the images, where it is known.
    """
    for root in [images] if images else _candidates(folder):
        found = _index(root)
        if found.by_key:
            return found
    return Pictures(root=images or folder, by_key={}, by_name={})


def _candidates(folder: Path) -> Iterator[Path]:
    yield folder
    for name in _FOR_IMAGES:
        beside = [folder.parent / name]
        if folder.parent.name.lower() in _SIDES:  # labels/train lies beside images/train.
            beside.insert(0, folder.parent.parent / name / folder.name)
        yield from (path for path in beside if path.is_dir())


def _index(root: Path) -> Pictures:
    by_key: dict[str, str] = {}
    by_name: dict[str, str | None] = {}
    for place in walk(root):
        if place.status is None and not _MASKS.search(place.path):
            by_key.setdefault(stem_key(place.path), place.path)
            name = PurePosixPath(place.path).name
            by_name[name] = None if name in by_name else place.path
    return Pictures(root=root, by_key=by_key, by_name=by_name)
