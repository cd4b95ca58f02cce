"""Which format annotations have, by their content, and the reader for it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from affinage.datasets.boxes.annotations import KINDS, Annotations, Kind
from affinage.datasets.boxes.coco import KEYS, read_coco
from affinage.datasets.boxes.json_stream import JsonStream
from affinage.datasets.boxes.nuscenes import nuscenes_folder, read_nuscenes, read_nuscenes_2d
from affinage.datasets.boxes.table import is_table_of_boxes, read_table, table_header
from affinage.datasets.boxes.voc import is_voc, read_voc
from affinage.datasets.boxes.yolo import label_files, names_file, read_yolo
from affinage.datasets.folders import inside
from affinage.datasets.tables import TABLE_SUFFIXES
from affinage.errors import DataError, RecipeError

FORMATS = (
    "Give a COCO document (.json), a folder of Pascal VOC files (.xml), a YOLO folder (.txt with"
    " data.yaml or classes.txt), a folder of nuScenes tables, the devkit's image_annotations.json, or"
    " a table path,label,x1,y1,x2,y2."
)


def read_annotations(
    source: Path, *, kind: Kind | None = None, images: Path | None = None
) -> Annotations:
    """Return what annotations say, whatever their format.

    Args:
        source: A file or folder.
        kind: Its format; None finds out by its content.
        images: Folder of the images, where it is known.

    Raises:
        DataError: If it does not exist, is of no known format or of several, or is broken.
    """
    if not source.exists():
        raise DataError(f"'{source}' does not exist.", remedy="Check the path.")
    files = _files(source) if source.is_dir() else []
    reader = _READERS[kind or _recognise(source, files)]
    return reader(source, files, images)


def kind_named(name: str | None) -> Kind | None:
    """Return the format that a word means; None for None.

    Raises:
        RecipeError: With the words that are known.
    """
    for kind in KINDS:
        if name == kind:
            return kind
    if name is not None:
        raise RecipeError(f"--format '{name}' is none.", remedy=f"Say {', '.join(KINDS)}.")
    return None


def _files(folder: Path) -> list[Path]:
    """Return the files under a folder in order of their paths.

    Links to folders are not entered, and links to files elsewhere passed over: a finding could show
    what is in them.
    """
    found: list[Path] = []
    real = os.path.realpath(folder)
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files = (Path(place, name) for name in names if not name.startswith("."))
        found.extend(
            file for file in files if not file.is_symlink() or inside(os.path.realpath(file), real)
        )
    return sorted(found)


def _recognise(source: Path, files: list[Path]) -> Kind:
    """Return the format of a file or folder.

    Raises:
        DataError: If it is none that is known, or could be several.
    """
    kinds = list(_kinds_of_folder(source, files)) if source.is_dir() else [_kind_of_file(source)]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise DataError(
            f"'{source}' holds annotations of several formats: {', '.join(kinds)}.",
            remedy=f"Say which is meant: --format {kinds[0]}.",
        )
    raise DataError(f"'{source}' holds no annotations of boxes that are known.", remedy=FORMATS)


def _kind_of_file(file: Path) -> Kind:
    suffix = file.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return "yolo"
    with file.open("rb") as opened:
        start = opened.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    first: dict[bytes, Kind] = {b"{": "coco", b"[": "nuscenes2d", b"<": "voc"}
    if start in first and suffix not in TABLE_SUFFIXES:
        return first[start]
    if suffix in TABLE_SUFFIXES:
        return "table"
    raise DataError(f"'{file}' is of no format of boxes that is known.", remedy=FORMATS)


def _kinds_of_folder(folder: Path, files: list[Path]) -> Iterator[Kind]:
    if nuscenes_folder(folder):
        yield "nuscenes"
        return
    if any(is_voc(file) for file in _with(files, ".xml")[:20]):
        yield "voc"
    if label_files(folder, _with(files, ".txt")) and names_file(folder):
        yield "yolo"
    if any(map(_is_coco, _with(files, ".json"))):
        yield "coco"
    if _tables(files):
        yield "table"


def _with(files: list[Path], suffix: str) -> list[Path]:
    return [file for file in files if file.suffix.lower() == suffix]


def _tables(files: list[Path]) -> list[Path]:
    tables = [file for file in files if file.suffix.lower() in (".csv", ".tsv", ".parquet", ".pq")]
    return [file for file in tables if is_table_of_boxes(table_header(file))]


def _is_coco(file: Path) -> bool:
    """Return whether a JSON file has a member of COCO's; it is read up to there only."""
    try:
        with JsonStream(file, chunk=1 << 14) as stream:
            if stream.peek() != "{":
                return False
            for key in stream.keys():  # noqa: SIM118 - no dictionary.
                if key in KEYS:
                    return stream.peek() == "["
                stream.value()
    except DataError:
        return False
    return False


def _coco(source: Path, files: list[Path], _images: Path | None) -> Annotations:
    if source.is_dir():
        return read_coco([file for file in _with(files, ".json") if _is_coco(file)], source)
    return read_coco([source], source.parent)


def _voc(source: Path, files: list[Path], images: Path | None) -> Annotations:
    if not source.is_dir():
        return read_voc([source], source.parent, images)
    return read_voc(_with(files, ".xml"), source, images)


def _yolo(source: Path, files: list[Path], images: Path | None) -> Annotations:
    folder = source if source.is_dir() else source.parent
    listed = files or _files(folder)
    return read_yolo(label_files(folder, _with(listed, ".txt")), folder, images)


def _nuscenes(source: Path, _files: list[Path], _images: Path | None) -> Annotations:
    return read_nuscenes(nuscenes_folder(source) or source)


def _nuscenes_2d(source: Path, files: list[Path], _images: Path | None) -> Annotations:
    inside = [file for file in files if file.name == "image_annotations.json"]
    return read_nuscenes_2d(inside[0] if inside else source)


def _table(source: Path, files: list[Path], _images: Path | None) -> Annotations:
    if not source.is_dir():
        return read_table(source)
    tables = _tables(files)
    if len(tables) != 1:
        names = ", ".join(file.name for file in tables) or "none"
        raise DataError(
            f"'{source}' has {len(tables)} tables of boxes: {names}.",
            remedy="Give the one that is meant.",
        )
    return read_table(tables[0])


_READERS: dict[Kind, Callable[[Path, list[Path], Path | None], Annotations]] = {
    "coco": _coco,
    "voc": _voc,
    "yolo": _yolo,
    "nuscenes": _nuscenes,
    "nuscenes2d": _nuscenes_2d,
    "table": _table,
}
