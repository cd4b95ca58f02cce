"""Ways to mend what was proved, compared on images that no copy was trained on."""

import time

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from affinage.records.finding import Finding
from affinage.records.verdict import Verdict
from affinage.watching.changes import Change
from affinage.watching.copies import copied
from affinage.watching.pools import pool_of
from affinage.watching.watch import watch
from affinage.workflows.changes_told import told
from affinage.workflows.experiments import changes_for
from affinage.workflows.measuring import Bench
from affinage.workflows.outcomes import shown
from affinage.workflows.prove import _with_remedies
from affinage.workflows.remedies import (
    _VARIANTS,
    REPEATS,
    contest_of,
    mend,
    mended,
    with_rate,
)
from small_trainings import Net, run


def watched(*, validation=True, decay=0.0):
    torch.manual_seed(0)
    data = load_digits()
    images = torch.tensor(data.images / 16, dtype=torch.float32)[:240, None]
    labels = torch.tensor(data.target)[:240]
    train = DataLoader(TensorDataset(images[:160], labels[:160]), 32, shuffle=True)
    rest = DataLoader(TensorDataset(images[160:], labels[160:]), 32)
    network = Net()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=decay)
    with watch(
        network,
        optimizer=optimizer,
        train_loader=train,
        val_loader=rest if validation else None,
    ) as seen:
        run(network, optimizer, train, rest if validation else [], epochs=4)
    return seen


@pytest.fixture(scope="module")
def decayed():
    return watched(decay=30.0)


def bench_of(seen, seconds=600.0):
    train = pool_of(seen.live)
    return Bench(
        live=seen.live, train=train, validation=pool_of(seen.live, "validation"), signals=seen.signals,
        deadline=time.monotonic() + seconds, pairs=2,
    )  # fmt: skip


def finding(code):
    return Verdict(
        code=code, answer="finding", said="",
        finding=Finding(code=code, severity="warning", subject="", remedy=""),
    )  # fmt: skip


def test_a_decay_that_is_too_strong_is_mended_by_leaving_it_out(decayed):
    remedy = mend(finding("weight-decay-too-strong"), bench_of(decayed))
    assert remedy.said.startswith("no weight decay")
    assert remedy.after > remedy.before + 0.2
    assert (remedy.images, remedy.on, remedy.steps) == (40, "validation", 20)
    assert remedy.ways == 5
    assert remedy.trainings <= remedy.ways + 4 * (REPEATS - 1) + REPEATS


def test_the_chosen_change_scores_at_least_as_well_as_the_plain_one(decayed):
    verdict, bench = finding("weight-decay-too-strong"), bench_of(decayed)
    change, faulty, contest = mended(verdict, bench)
    plain = changes_for(verdict, bench.live, bench.signals)[1]
    known = contest.trainings
    assert contest.score(change, REPEATS) >= contest.score(plain, REPEATS)
    assert contest.trainings == known  # What was trained is not trained again.
    assert faulty not in contest.scores


def test_without_validation_a_quarter_of_training_is_held_out():
    seen = watched(validation=False)
    contest = contest_of(bench_of(seen), "weight-decay-too-strong")
    assert (len(contest.train.images), len(contest.judged.images)) == (120, 40)
    held = {image.numpy().tobytes() for image in contest.judged.images}
    assert not held & {image.numpy().tobytes() for image in contest.train.images}


def test_where_time_has_ended_nothing_is_chosen(decayed):
    assert mend(finding("weight-decay-too-strong"), bench_of(decayed, seconds=-1.0)) is None


def test_what_no_change_mends_has_no_remedy(decayed):
    assert mend(finding("split-leak"), bench_of(decayed)) is None


def test_only_what_was_proved_is_mended(decayed):
    from dataclasses import replace

    verdicts = [
        replace(finding("weight-decay-too-strong"), outcome=shown("so it is", holds=holds))
        for holds in (True, False)
    ]
    bench = bench_of(decayed)
    refuted = _with_remedies(verdicts[1:], bench)
    proved = _with_remedies(verdicts[:1], bench)
    assert refuted[0].outcome.remedy is None
    assert proved[0].outcome.remedy.said.startswith("no weight decay")


@pytest.mark.parametrize("code", sorted(_VARIANTS))
def test_every_variant_is_told_in_words_and_can_be_trained(code, decayed):
    bench = bench_of(decayed)
    faulty, plain = changes_for(finding(code), bench.live, bench.signals)
    for change in (*_VARIANTS[code](plain), with_rate(plain, 3.0)):
        assert told(change, faulty) != "nothing else"
        network, optimizers = copied(bench.live, bench.train, change, seed=0)
        loss = network(bench.train.images[:8]).square().mean()
        loss.backward()
        optimizers[-1].step()
        assert torch.isfinite(loss)


def test_words_name_what_differs_from_the_faulty_training():
    assert told(Change(zero=True), Change(zero=False)) == "gradients set to zero before each step"
    assert (
        told(Change(decay=0.0, rate=0.3), Change()) == "no weight decay, learning rates times 0.3"
    )
    assert told(Change(), Change()) == "nothing else"


def test_layers_begin_as_pytorch_begins_them(decayed):
    bench = bench_of(decayed)
    network, _ = copied(bench.live, bench.train, Change(reset="all"), seed=3)
    torch.manual_seed(3)
    fresh = Net()
    fresh_layers = [m for m in fresh.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    for own, wanted in zip(layers, fresh_layers, strict=True):
        assert float(own.weight.detach().std()) == pytest.approx(
            float(wanted.weight.detach().std()), rel=0.2
        )
    kept, _ = copied(bench.live, bench.train, Change(reset="last"), seed=3)
    assert torch.equal(kept.conv.weight, bench.live.start["conv.weight"])
    assert not torch.equal(kept.fc.weight, bench.live.start["fc.weight"])


def test_normalised_layers_bear_any_start(decayed):
    bench = bench_of(decayed)
    network, _ = copied(bench.live, bench.train, Change(normed=True), seed=0)
    network.train()
    seen = []
    network.norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        network.conv.weight.mul_(1e4)
        network(bench.train.images[:32])
    assert float(seen[0].std()) == pytest.approx(1.0, abs=0.05)
