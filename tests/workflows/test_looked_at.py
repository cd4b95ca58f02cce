"""Images that are kept between looks give the same numbers as images that are read again."""

import shutil

import numpy as np
import pytest
import torch

from affinage.errors import ImageError
from affinage.imaging.batches import Item
from affinage.imaging.hashing import content_id
from affinage.inference.forward import Engine, compute_logits
from affinage.models.build import build_backbone, stack
from affinage.records.networks import ModelSettings
from affinage.workflows.looked_at import LookedAt
from affinage.workflows.session import Part

ENGINE = Engine(device=torch.device("cpu"), threads=1, batch_size=8)
SIDE = 32


@pytest.fixture(scope="module")
def model():
    return stack(build_backbone(ModelSettings(width=SIDE, height=SIDE)), classes=3)


def part_of(folder, name="validation"):
    items = tuple(
        Item(content_id(path.read_bytes()), path) for path in sorted(folder.glob("*/*.png"))[:11]
    )
    return Part(name=name, items=items, targets=np.zeros(len(items), dtype=np.int64))


@pytest.mark.parametrize("room", [0, 11 * 3 * SIDE**2 - 1, 11 * 3 * SIDE**2, 10**9])
def test_logits_are_those_of_images_read_again(digits, model, room):
    part, looked_at = part_of(digits), LookedAt(room)
    plain = compute_logits(model, part.items, ENGINE)
    for _ in range(2):
        assert np.array_equal(looked_at.logits(model, part, ENGINE), plain)


@pytest.mark.parametrize(("room", "reads"), [(10**9, False), (0, True)])
def test_a_second_look_reads_only_what_does_not_fit(digits, model, tmp_path, room, reads):
    shutil.copytree(digits, tmp_path / "images")
    part, looked_at = part_of(tmp_path / "images"), LookedAt(room)
    first = looked_at.logits(model, part, ENGINE)
    shutil.rmtree(tmp_path / "images")
    if reads:
        with pytest.raises(ImageError, match="vanished"):
            looked_at.logits(model, part, ENGINE)
    else:
        assert np.array_equal(looked_at.logits(model, part, ENGINE), first)


def test_parts_are_told_apart_and_none_is_empty(digits, model):
    looked_at, whole = LookedAt(), part_of(digits)
    some = Part(name="train sample", items=whole.items[:3], targets=whole.targets[:3])
    none = Part(name="test", items=(), targets=whole.targets[:0])
    shapes = [len(looked_at.logits(model, part, ENGINE)) for part in (whole, some, none, some)]
    assert shapes == [11, 3, 0, 3]
