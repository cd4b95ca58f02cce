import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from affinage.errors import DataError
from affinage.metrics.intervals import (
    bootstrap,
    paired_difference,
    percentile_estimate,
    resample,
    wilson,
    wilson_bounds,
)

shares = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (1, 1), (7, 10), (81, 263), (999, 1000)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_agrees_with_its_definition(successes, n, confidence):
    """Its ends are the shares p at which |observed - p| is z standard errors of p itself."""
    z = norm.ppf((1 + confidence) / 2)
    found = wilson(successes, n, confidence)
    share = successes / n
    for p in (found.low, found.high):
        assert abs(share - p) == pytest.approx(z * math.sqrt(p * (1 - p) / n), abs=1e-9)


def test_wilson_gives_the_published_numbers():
    """Newcombe 1998 (single proportion), table I, method 3."""
    for successes, n, low, high in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605),
                                    (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]:  # fmt: skip
        found = wilson(successes, n)
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_of_no_image_nothing_is_known():
    for found in (wilson(0, 0), bootstrap(lambda rows: 1.0, 0), paired_difference([], [])):
        assert (found.value, found.low, found.high, found.n) == (None, None, None, 0)
    assert wilson_bounds(0, 0) == (0.0, 1.0)


@given(shares)
def test_wilson_holds_its_share_and_stays_within_0_and_1(share):
    found = wilson(*share)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


@given(shares)
def test_wilson_of_the_failures_is_the_mirror(share):
    successes, n = share
    a, b = wilson(successes, n), wilson(n - successes, n)
    assert (a.low, a.high) == pytest.approx((1 - b.high, 1 - b.low))


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_wilson_covers_about_95_percent(share):
    n = 60
    counts = np.random.default_rng(0).binomial(n, share, size=4000)
    bounds = {count: wilson_bounds(int(count), n) for count in set(counts.tolist())}
    covered = np.mean([bounds[c][0] <= share <= bounds[c][1] for c in counts.tolist()])
    assert 0.93 <= covered <= 0.98


@pytest.mark.parametrize("wrong", [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(wrong):
    with pytest.raises(DataError, match="successes"):
        wilson(*wrong)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_impossible_confidence_is_refused(confidence):
    with pytest.raises(DataError, match="confidence"):
        wilson(1, 2, confidence)


def test_bootstrap_of_a_mean_agrees_with_the_normal_interval():
    values = np.random.default_rng(1).normal(size=400)
    found = bootstrap(lambda rows: float(values[rows].mean()), 400, seed=2, draws=2000)
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.015)
    assert found.high == pytest.approx(values.mean() + half, abs=0.015)


def test_bootstrap_repeats_itself_and_differs_by_seed():
    values = np.arange(30.0) ** 2

    def mean(rows):
        return float(values[rows].mean())

    assert bootstrap(mean, 30, seed=1) == bootstrap(mean, 30, seed=1)
    assert bootstrap(mean, 30, seed=1) != bootstrap(mean, 30, seed=2)


def test_bootstrap_of_one_row_has_no_width():
    found = bootstrap(lambda rows: float(len(rows)), 1)
    assert found.low == found.value == found.high == 1.0


def test_draws_without_a_value_are_left_out():
    assert percentile_estimate(2.0, [math.nan, 2.0, 2.0], 5).low == 2.0
    found = percentile_estimate(2.0, [math.nan], 5)
    assert (found.low, found.high) == (2.0, 2.0)
    assert percentile_estimate(math.nan, [1.0], 5).value is None


def test_resampling_draws_every_row_about_equally():
    drawn = resample(10, seed=0, draws=5000)
    assert drawn.shape == (5000, 10)
    assert np.abs(np.bincount(drawn.ravel()) / 5000 - 1).max() < 0.05


@pytest.mark.parametrize(("n", "draws"), [(-1, 10), (5, 0)])
def test_impossible_resampling_is_refused(n, draws):
    with pytest.raises(DataError, match="bootstrap"):
        resample(n, draws=draws)


def pairs(both, only_a, only_b, neither):
    a = [True] * both + [True] * only_a + [False] * only_b + [False] * neither
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return a, b


@pytest.mark.parametrize(
    "table", [(36, 12, 2, 0), (20, 12, 2, 16), (53, 0, 1, 0), (30, 0, 0, 0), (0, 30, 0, 0)]
)
def test_paired_difference_agrees_with_a_second_way_to_write_it(table):
    """The second way is Newcombe's own notation with counts e, f, g, h."""
    e, f, g, h = table
    n = e + f + g + h
    l2, u2 = wilson_bounds(e + f, n)
    l3, u3 = wilson_bounds(e + g, n)
    product = (e + f) * (g + h) * (e + g) * (f + h)
    cross = e * h - f * g
    corrected = max(cross - n / 2, 0) if cross > 0 else cross
    phi = corrected / math.sqrt(product) if product else 0.0
    p2, p3 = (e + f) / n, (e + g) / n
    delta = math.sqrt((p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u3 - p3) + (u3 - p3) ** 2)
    epsilon = math.sqrt((u2 - p2) ** 2 - 2 * phi * (u2 - p2) * (p3 - l3) + (p3 - l3) ** 2)
    found = paired_difference(*pairs(*table))
    assert found.value == pytest.approx((f - g) / n)
    assert found.low == pytest.approx((f - g) / n - delta)
    assert found.high == pytest.approx(min(1.0, (f - g) / n + epsilon))


def test_paired_difference_gives_the_published_numbers():
    """Newcombe 1998 (paired), table II, method 10."""
    for table, low, high in [((36, 12, 2, 0), 0.0569, 0.3404), ((20, 12, 2, 16), 0.0562, 0.3290)]:
        found = paired_difference(*pairs(*table))
        assert (found.low, found.high) == pytest.approx((low, high), abs=3e-4)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_paired_difference_is_antisymmetric_and_holds_its_value(answers):
    a, b = zip(*answers, strict=True)
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert -1 <= there.low <= there.value <= there.high <= 1
    assert (there.value, there.low) == pytest.approx((-back.value, -back.high))


def test_paired_difference_refuses_unequal_lengths():
    with pytest.raises(DataError, match="one length"):
        paired_difference([True], [True, False])


def test_paired_difference_covers_95_percent_or_somewhat_more():
    random = np.random.default_rng(3)
    a = random.random((1500, 100)) < 0.9
    b = np.where(random.random((1500, 100)) < 0.8, a, random.random((1500, 100)) < 0.8)
    truth = 0.9 - (0.8 * 0.9 + 0.2 * 0.8)
    found = [paired_difference(x, y) for x, y in zip(a, b, strict=True)]
    assert 0.94 <= np.mean([one.low <= truth <= one.high for one in found]) <= 0.995
