"""Sources of scikit-learn's scanned digits, some of them spoilt on purpose."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_digits, load_sample_image

from affinage.auditing.evidence import Evidence, gather
from affinage.auditing.source_quality import judge_sources, source_reports, sources
from affinage.auditing.source_sample import sample_of_source
from affinage.auditing.source_tests import Counts, comparable, count_fault, p_values
from affinage.errors import DataError
from affinage.records.finding import Pair

from .samples import manifest_of

DIGITS = load_digits()
FEW = np.flatnonzero(DIGITS.target < 5)[:480]
PIXELS, DIGIT = DIGITS.data[FEW].astype(np.float32), DIGITS.target[FEW]
SOURCES, CLASSES = 16, 5


def dealt(seed: int) -> np.ndarray:
    """Return the source of each digit: few large ones, many small ones, some of one class only."""
    random = np.random.default_rng(seed)
    sizes = 1 / np.arange(1, SOURCES + 1)
    source = random.choice(SOURCES, size=len(DIGIT), p=sizes / sizes.sum())
    for pure in (7, 10, 13):
        own = np.flatnonzero(source == pure)
        label = DIGIT[own[0]]
        same = random.permutation(np.flatnonzero(label == DIGIT))[: 2 * len(own)]
        source[own] = 0
        source[same] = pure
    return source


def evidence_of(source, *, pixels=PIXELS, labels=DIGIT, near=None) -> Evidence:
    rows = [
        {"image": f"{n:05d}", "label": str(label), "domain": f"site{s:02d}.example"}
        for n, (label, s) in enumerate(zip(labels, source, strict=True))
    ]
    return replace(gather(manifest_of(*rows)), features=pixels, near=near, group="domain")


def spoilt(source, which: int, share: float) -> np.ndarray:
    own = np.flatnonzero(source == which)
    return np.random.default_rng(which).permutation(own)[: round(share * len(own))]


def suspects(evidence: Evidence) -> set[str]:
    return {report.value[4:6] for report in source_reports(evidence) if report.suspicious}


@pytest.mark.parametrize("seed", range(4))
def test_honest_sources_are_not_suspected(seed):
    assert list(sources(evidence_of(dealt(seed), near=()))) == []


def test_sources_with_wrong_labels_are_found_and_no_others():
    source, labels = dealt(0), DIGIT.copy()
    for which, share in ((1, 0.4), (4, 0.6), (9, 0.8)):
        hit = spoilt(source, which, share)
        labels[hit] = (labels[hit] + 2) % CLASSES
    evidence = evidence_of(source, labels=labels)
    assert suspects(evidence) == {"01", "04", "09"}
    worst = judge_sources(evidence).suspicious[0]
    clearest = min(worst.tests, key=lambda test: test.p)
    assert clearest.fault == "wrong-label"
    assert clearest.share.value > 10 * clearest.expected
    assert len(clearest.ids) == round(clearest.share.value * clearest.share.n)


def test_sources_with_images_of_something_else_are_found():
    source, pixels = dealt(1), PIXELS.copy()
    photo = load_sample_image("china.jpg").mean(axis=2)
    for which in (2, 5):
        for n in spoilt(source, which, 0.6):
            y, x = 8 * (n % 40), 8 * (n // 40)
            pixels[n] = photo[y : y + 8, x : x + 8].ravel() / 16
    assert suspects(evidence_of(source, pixels=pixels)) == {"02", "05"}


def test_a_source_of_copies_is_found_by_pairs_and_by_equal_bytes():
    source = dealt(2)
    again = [f"{n:05d}" for n in spoilt(source, 3, 0.7)]
    near = tuple(
        Pair(first=a, second=b, first_id=a, second_id=b)
        for a, b in zip(again[::2], again[1::2], strict=False)
    )
    assert suspects(evidence_of(source, near=near)) == {"03"}
    evidence = evidence_of(source, near=())
    kept = evidence.manifest.table.filter(pl.col("image").is_in(again))
    copies = kept.with_columns(pl.format("copy {}", "key").alias("key"))
    table = pl.concat([evidence.manifest.table, copies]).sort("key")
    assert suspects(replace(evidence, manifest=replace(evidence.manifest, table=table))) == {"03"}


def test_a_hard_class_does_not_make_its_sources_look_bad():
    source, labels = dealt(3), DIGIT.copy()
    fours = np.flatnonzero(labels == 4)
    labels[fours] = np.random.default_rng(0).choice([4, 1], size=len(fours))
    source[fours[:30]] = 14
    assert suspects(evidence_of(source, labels=labels)) == set()


def test_the_only_source_of_a_class_is_not_judged_by_it():
    source = dealt(0)
    source[DIGIT == 3] = 25
    source[(DIGIT != 3) & (source == 25)] = 0
    [report] = [r for r in source_reports(evidence_of(source)) if r.value == "site25.example"]
    assert all(test.share.n == 0 and test.p == 1 for test in report.tests)


def test_leaving_out_a_large_bad_source_helps_the_others():
    source, labels = dealt(0), DIGIT.copy()
    hit = np.flatnonzero(source == 0)
    labels[hit] = (labels[hit] + 1) % CLASSES
    judgement = judge_sources(evidence_of(source, labels=labels))
    [bad] = judgement.suspicious
    assert bad.gain.low > 0.05
    assert bad.gain.n == int((source != 0).sum())
    assert judgement.gain == bad.gain


def test_small_sources_are_not_judged_and_images_without_one_do_no_harm():
    source = dealt(0)
    source[:3] = 99
    evidence = evidence_of(source)
    images = evidence.images.with_columns(
        pl.when(pl.col("domain") == "site08.example").then(None).otherwise("domain").alias("domain")
    )
    reports = source_reports(replace(evidence, images=images))
    assert {"site08.example", "site99.example"}.isdisjoint(report.value for report in reports)
    assert sum(report.images for report in reports) < len(DIGIT)


def test_without_a_column_or_without_evidence_nothing_is_suspected():
    evidence = evidence_of(dealt(0))
    for less in ({"group": None}, {"group": "no such column"}, {"features": None}):
        assert list(sources(replace(evidence, **less))) == []
    [first, *_] = source_reports(replace(evidence, features=None))
    assert (first.q, first.tests, first.error) == (None, (), None)


def test_a_finding_has_its_numbers_a_command_and_the_images():
    source, labels = dealt(0), DIGIT.copy()
    hit = spoilt(source, 1, 0.7)
    labels[hit] = (labels[hit] + 2) % CLASSES
    evidence = evidence_of(source, labels=labels)
    [finding] = sources(evidence)
    own = int((source == 1).sum())
    assert finding.subject.startswith(f"'site01.example' (domain, {own} images): ")
    assert finding.remedy == (
        "affinage exclude DATA --where domain=site01.example --reason 'wrong labels'"
    )
    assert set(finding.ids) <= {f"{n:05d}" for n in np.flatnonzero(source == 1)}
    assert len(set(finding.ids) & {f"{n:05d}" for n in hit}) >= 0.9 * len(hit)
    assert finding.images == tuple(
        dict(zip(evidence.ids, evidence.paths, strict=True))[i] for i in finding.ids
    )
    assert finding.cost == pytest.approx(len(hit) / len(DIGIT), rel=0.3)
    assert finding.hit_rate.value > 0.95


def test_beyond_ten_bad_sources_share_a_finding():
    source, labels = np.arange(len(DIGIT)) % 32, DIGIT.copy()
    for which in range(13):
        hit = spoilt(source, which, 0.9)
        labels[hit] = (labels[hit] + 1 + hit % 4) % CLASSES
    found = list(sources(evidence_of(source, labels=labels)))
    assert len(found) == 11
    assert found[-1].subject.startswith("3 further sources of 'domain' stand out")
    assert found[-1].remedy == "affinage exclude DATA --finding bad-sources"


def test_the_same_evidence_gives_the_same_reports():
    source = dealt(0)
    labels = DIGIT.copy()
    labels[source == 2] = 0
    evidence = evidence_of(source, labels=labels)
    assert source_reports(evidence) == source_reports(evidence)


def test_what_is_expected_of_a_source_is_what_its_labels_show_elsewhere():
    random = np.random.default_rng(0)
    labels, source = random.integers(0, 3, 400), random.integers(-1, 6, 400)
    shows, judged = random.random(400) < 0.2 * labels, random.random(400) < 0.9
    trusted = source != 4
    counts = count_fault(shows, labels, source, judged=judged, trusted=trusted, sources=6)
    overall = ((shows & trusted).sum() + 0.5) / (trusted.sum() + 1)
    for which in range(6):
        own = np.flatnonzero(judged & (source == which))
        shares = []
        for n in own:
            others = trusted & (source != which) & (labels == labels[n])
            shares.append((shows[others].sum() + overall) / (others.sum() + 1))
        assert counts.shown[which] == shows[own].sum()
        assert counts.judged[which] == len(own)
        assert counts.expected[which] == pytest.approx(np.mean(shares))


def test_a_label_is_judged_where_other_sources_show_it_ten_times_and_half_as_often():
    labels = np.array([0] * 30 + [0] * 14 + [1] * 5 + [1] * 9)
    source = np.array([0] * 30 + [1] * 14 + [0] * 5 + [1] * 9)
    judged = comparable(labels, source, np.ones(len(labels), dtype=bool), sources=2)
    assert not judged[source == 0].any()
    assert judged[(source == 1) & (labels == 0)].all()
    assert not judged[(source == 1) & (labels == 1)].any()


def test_p_values_of_honest_sources_are_seldom_small():
    random = np.random.default_rng(0)
    small = []
    for _ in range(20):
        judged = random.integers(5, 60, 60)
        shown = random.binomial(judged, 0.1)
        expected, compared = np.full(60, 0.1), np.full(60, 1000.0)
        counts = Counts(shown=shown, judged=judged, expected=expected, compared=compared)
        small.append((p_values(counts) < 0.01).mean())
    assert np.mean(small) < 0.01


def test_a_sample_is_of_the_source_grows_with_n_and_depends_on_the_seed():
    evidence = evidence_of(dealt(0))
    own = set(evidence.images.filter(pl.col("domain") == "site01.example")["image"])
    few = sample_of_source(evidence, "domain", "site01.example", 5, seed=1)
    more = sample_of_source(evidence, "domain", "site01.example", 9, seed=1)
    assert more[:5] == few
    assert set(more) <= own
    assert sample_of_source(evidence, "domain", "site01.example", 5, seed=2) != few
    assert set(sample_of_source(evidence, "domain", "site01.example", 10**6)) == own


@pytest.mark.parametrize(
    ("column", "value", "n"), [("x", "a", 5), ("domain", "a", 5), ("domain", "site01.example", 0)]
)
def test_a_sample_that_cannot_be_is_refused(column, value, n):
    with pytest.raises(DataError):
        sample_of_source(evidence_of(dealt(0)), column, value, n)
