"""TensorBoard's event files, read by their own format: no TensorFlow, no TensorBoard."""

import math
import struct
from collections.abc import Iterator
from pathlib import Path

from affinage.logs.naming import named
from affinage.records.signals import Point

_HEADER, _FOOTER = 12, 4
_LONGEST = 64 * 1024 * 1024


def event_files(folder: Path) -> list[Path]:
    """Return all event files of a folder and the folders in it, by name."""
    return sorted(path for path in folder.rglob("*.tfevents.*") if path.is_file())


def points_of_events(path: Path) -> list[Point]:
    """Return the curves of an event file or of all in a folder.

    Keras writes training and validation into folders of these names: the folder belongs to the tag.
    Steps stand for epochs where a tag says so (`epoch_loss`), else for steps.

    Source:
        The record format: length (uint64), its checksum, an Event, its checksum
        (tensorflow/core/lib/io/record_writer.h); Event and Summary (tensorflow/core/framework).
    """
    files = event_files(path) if path.is_dir() else [path]
    found: dict[tuple[str, str, float], float] = {}
    for file in files:
        folder = file.parent.name if path.is_dir() and file.parent != path else ""
        for tag, step, value in scalars(file):
            name = named(
                f"{folder}_{tag}" if folder in {"train", "validation", "val", "test"} else tag
            )
            if name is not None:
                shift = 1.0 if tag.startswith("epoch_") else 0.0  # Keras counts epochs from 0.
                found[*name, step + shift] = value
    return [
        Point(stage="training", series=series, on=on, epoch=epoch, value=value)
        for (series, on, epoch), value in sorted(found.items(), key=lambda item: item[0][2])
    ]


def scalars(path: Path) -> Iterator[tuple[str, float, float]]:
    """Yield (tag, step, value) of every scalar; a file that breaks off ends there."""
    data = path.read_bytes()
    place = 0
    while place + _HEADER <= len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        begin = place + _HEADER
        if length > _LONGEST or begin + length > len(data):
            return
        yield from _event(data[begin : begin + length])
        place = begin + length + _FOOTER


def _event(message: bytes) -> Iterator[tuple[str, float, float]]:
    step, summary = 0, b""
    for number, value in _fields(message):
        if number == 2 and isinstance(value, int):
            step = value
        elif number == 5 and isinstance(value, bytes):
            summary = value
    for number, value in _fields(summary):
        if number == 1 and isinstance(value, bytes):
            yield from ((tag, float(step), scalar) for tag, scalar in _value(value))


def _value(message: bytes) -> Iterator[tuple[str, float]]:
    tag, scalar = "", None
    for number, value in _fields(message):
        if number == 1 and isinstance(value, bytes):
            tag = value.decode("utf-8", "replace")
        elif number == 2 and isinstance(value, bytes) and len(value) == 4:
            (scalar,) = struct.unpack("<f", value)
        elif number == 8 and isinstance(value, bytes):
            scalar = _tensor(value)
    if scalar is not None and math.isfinite(scalar):
        yield tag, scalar


def _tensor(message: bytes) -> float | None:
    """Return the one number of a tensor: Keras writes scalars so."""
    fields = dict(_fields(message))
    kind, content = fields.get(1), fields.get(4)
    formats = {1: "<f", 2: "<d"}
    if kind not in formats:
        return None
    numbers = content if isinstance(content, bytes) and content else fields.get(4 + int(kind))
    size = struct.calcsize(formats[kind])
    if not isinstance(numbers, bytes) or len(numbers) != size:
        return None
    (value,) = struct.unpack(formats[kind], numbers)
    return float(value)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (number, value) of a protocol buffer's fields; what is damaged ends it.

    Source:
        Protocol Buffers, Encoding: a key is `number << 3 | wire type`.
    """
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == 2:
            length, place = _varint(message, place)
        elif kind in {1, 5}:
            length = 8 if kind == 1 else 4
        else:
            return
        if place + length > len(message):
            return
        yield key >> 3, message[place : place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    result = shift = 0
    while place < len(message) and shift < 64:
        byte = message[place]
        place += 1
        result |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            break
    return result, place
