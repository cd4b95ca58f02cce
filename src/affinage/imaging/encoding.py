"""How an image was saved, read from its header: a shortcut that a model may learn by."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from affinage.imaging.parts import parts_of

_TABLES, _LAST_FRAME = 0xDB, 0xCF
_NO_FRAMES = frozenset((0xC4, 0xC8, 0xCC))  # Among the markers 0xC0 to 0xCF.
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_SAMPLING = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1"}
_PNG_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey and alpha", 6: "RGB and alpha"}

# fmt: off
_LUMA_50 = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
])
# fmt: on
"""The luma table of ITU-T T.81, annex K.1, which libjpeg scales by its quality; row by row."""


def encoding_of(data: bytes, kind: str) -> str:
    """Return how a file was saved, such as "JPEG quality 85 4:2:0 progressive" or "PNG 8-bit grey".

    Equal words mean equal settings. Only headers are read.

    Args:
        data: The whole file, readable.
        kind: Its format, as `imaging.sniff.kind_of` names it; of other formats than JPEG, PNG and
            WebP that name is all that is said.
    """
    say = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp}.get(kind)
    return " ".join((kind, *say(data))) if say else kind


def jpeg_quality(table: NDArray[np.integer]) -> tuple[int, bool]:
    """Return the libjpeg quality whose luma table is nearest, 1 to 100, and whether it is that one.

    Args:
        table: Quantisation steps, shape (64,), in any order that is the same for all JPEGs' tables
            once sorted: only the sorted steps are compared.

    Source:
        libjpeg's `jpeg_quality_scaling`: s = 5000 / q below 50, else 200 - 2 q; a step is
        (base × s + 50) / 100, whole, within 1 to 255.
    """
    distance = np.abs(_SORTED - np.sort(table)).sum(axis=1)
    best = int(distance.argmin())
    return best + 1, bool(distance[best] == 0)


def _scaled(quality: int) -> NDArray[np.int64]:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.sort(np.clip((_LUMA_50 * scale + 50) // 100, 1, 255))


_SORTED = np.stack([_scaled(quality) for quality in range(1, 101)])


def _jpeg(data: bytes) -> Iterator[str]:
    steps: NDArray[np.integer] | None = None
    frame = ""
    for name, start, stop in parts_of(data, "JPEG"):
        marker = name[0]
        if marker == _TABLES and steps is None:
            steps = _first_table(data[start:stop])
        elif 0xC0 <= marker <= _LAST_FRAME and marker not in _NO_FRAMES:
            frame = _sampling(data[start:stop])
            frame += " progressive" if marker in _PROGRESSIVE else ""
    if steps is not None:
        quality, exact = jpeg_quality(steps)
        yield f"quality {quality}" if exact else f"quality about {quality}"
    if frame:
        yield frame


def _first_table(content: bytes) -> NDArray[np.integer] | None:
    """Return the steps of the table with number 0, which is luma's, if it comes first."""
    if not content or content[0] & 15:
        return None
    wide = content[0] >> 4
    steps = np.frombuffer(content[1 : 1 + 64 * (1 + wide)], dtype=">u2" if wide else "u1")
    return steps.astype(np.int64) if len(steps) == 64 else None


def _sampling(frame: bytes) -> str:
    """Return "grey" or how much coarser the colours are sampled than the luma."""
    count = frame[5] if len(frame) > 5 else 0
    factors = [(factor >> 4, factor & 15) for factor in frame[7 : 6 + 3 * count : 3]]
    if count == 1:
        return "grey"
    if count == 4:
        return "CMYK"
    if len(factors) != 3 or not all(factors[1]) or factors[1] != factors[2]:
        return "odd sampling"
    across, down = factors[0][0] / factors[1][0], factors[0][1] / factors[1][1]
    return _SAMPLING.get((int(across), int(down)), "odd sampling")


def _png(data: bytes) -> Iterator[str]:
    yield f"{data[24]}-bit {_PNG_COLOURS.get(data[25], 'of unknown colours')}"
    if data[28]:
        yield "interlaced"


def _webp(data: bytes) -> Iterator[str]:
    names = {name for name, _, _ in parts_of(data, "WEBP")}
    if b"ANIM" in names:
        yield "animated"
    elif b"VP8L" in names:
        yield "lossless"
    else:
        yield "lossy" + (" and alpha" if b"ALPH" in names else "")
