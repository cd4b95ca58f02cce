"""Scanned digits, and others moved half out of the frame; the 64 pixels of each serve as features."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from affinage.auditing.evidence import Evidence, gather
from affinage.auditing.off_topic import apartness, off_topic
from affinage.auditing.off_topic_tail import FAR, best_cut, expected_above
from affinage.records.finding import Pair

from .samples import manifest_of

DIGITS, PARTS = 500, 20


@pytest.fixture(scope="module")
def parts() -> np.ndarray:
    """Digits whose halves have changed places, as a scan of the gap between two digits has."""
    images = load_digits().images[DIGITS : DIGITS + PARTS]
    return np.roll(images, (4, 4), axis=(1, 2)).reshape(PARTS, 64)


def mixed(others: np.ndarray, near: tuple[tuple[int, int], ...] = ()) -> Evidence:
    """Digits, and other images that lie under the digits' labels in turn."""
    digits = load_digits()
    labels = [*digits.target[:DIGITS], *(np.arange(len(others)) % 10)]
    rows = [
        {"label": str(label), "image": f"{number:05d}", "path": f"{label}/{number}", "site": site}
        for number, label in enumerate(labels)
        for site in ["scanner" if number < DIGITS else "camera"]
    ]
    features = np.concatenate([digits.data[:DIGITS], others]).astype(np.float32)
    pairs = tuple(
        Pair(first="", second="", first_id=f"{one:05d}", second_id=f"{other:05d}")
        for one, other in near
    )
    return replace(gather(manifest_of(*rows), group="site"), features=features, near=pairs)


def test_digits_alone_are_all_on_topic():
    assert list(off_topic(mixed(np.zeros((0, 64))))) == []


def test_parts_of_two_digits_among_digits_are_found(parts):
    [finding] = off_topic(mixed(parts))
    planted = np.array([int(image) >= DIGITS for image in finding.ids])
    assert planted.mean() >= 0.9
    assert planted.sum() >= 0.8 * PARTS
    assert finding.hit_rate.low <= planted.mean() <= finding.hit_rate.high
    assert finding.cost == pytest.approx(len(planted) * finding.hit_rate.value / (DIGITS + PARTS))
    assert finding.images[0].split("/")[1] == str(int(finding.ids[0]))
    assert finding.evidence[1].startswith(f"by site: 'camera' {planted.sum()}")


def test_one_odd_image_is_not_a_kind(parts):
    assert list(off_topic(mixed(parts[:1]))) == []


def test_copies_of_one_odd_image_are_no_company(parts):
    copies = np.repeat(parts[:1], 8, axis=0)
    tied = tuple((DIGITS, DIGITS + number) for number in range(1, 8))
    alone = apartness(
        mixed(copies).features, mixed(copies).labels, blocks=[np.arange(DIGITS, DIGITS + 8)]
    )
    together = apartness(mixed(copies).features, mixed(copies).labels)
    assert (alone[DIGITS:] < together[DIGITS:]).all()
    assert list(off_topic(mixed(copies, tied))) == []
    assert len(next(off_topic(mixed(copies))).ids) >= 8


def test_nothing_is_said_where_nothing_can_be_known(parts):
    assert not list(off_topic(replace(mixed(parts), features=None)))
    few = gather(manifest_of(*({"label": label} for label in "ab" * 20)))
    assert not list(off_topic(replace(few, features=np.ones((40, 64), np.float32))))


def test_equal_images_are_all_on_topic():
    same = gather(manifest_of(*({"label": label} for label in "ab" * 200)))
    assert not list(off_topic(replace(same, features=np.ones((400, 64), np.float32))))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", ["normal", "exponential", "heavy"])
def test_a_crowd_that_thins_out_has_no_edge(shape, seed):
    random = np.random.default_rng(seed)
    draws = {
        "normal": random.normal(size=1000),
        "exponential": random.exponential(size=1000),
        "heavy": random.standard_t(4, size=1000),
    }
    assert best_cut(draws[shape]) is None


@pytest.mark.parametrize("apart", [10, 50, 150])
def test_a_gap_parts_a_crowd_from_what_lies_beyond(apart):
    random = np.random.default_rng(0)
    cut = best_cut(np.concatenate([random.normal(size=1000), random.normal(6, 0.5, apart)]))
    assert cut.above == pytest.approx(apart, abs=max(2, 0.05 * apart))
    assert cut.expected <= 0.05 * cut.above


def test_the_expectation_is_right_for_an_exponential_tail():
    # 1,000 values at the quantiles of an exponential: 50 lie above the 95 % point.
    crowd = -np.log((np.arange(1000) + 0.5) / 1000)
    threshold = (crowd[49] + crowd[50]) / 2
    assert expected_above(threshold - crowd[50 : 50 + FAR]) == pytest.approx(50, rel=0.15)
