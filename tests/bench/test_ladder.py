"""What the ladder says of its rungs, from runs whose answer is known."""

import json

import numpy as np
import pytest
from benchmarks import ladder
from benchmarks.ladder import chosen_rungs, effect, finished, rung_below, summary

RUNGS = {rung.name: rung for rung in chosen_rungs("")}


def marks(share, seeds=3, images=1000, seed=0):
    return np.random.default_rng(seed).random((seeds, images)) < share


def test_every_rung_but_the_first_is_compared_with_one_that_there_is():
    assert len(RUNGS) == 15
    assert all(rung_below(rung) in RUNGS for name, rung in RUNGS.items() if "-1-" not in name)


def test_one_run_each_is_the_paired_interval_over_images():
    above, below = marks(0.7, seeds=1), marks(0.6, seeds=1, seed=1)
    found = effect(above, below)
    gaps = 100.0 * (above[0].astype(float) - below[0])
    half = 1.962 * gaps.std(ddof=1) / np.sqrt(1000)
    assert found.value == pytest.approx(gaps.mean())
    assert found.high - found.value == pytest.approx(half, rel=1e-3)


def test_seeds_that_disagree_widen_the_interval():
    below = marks(0.5)
    same, other = below.copy(), below.copy()
    for row, change in enumerate((0, 100, 200)):
        other[row, np.flatnonzero(~below[row])[:change]] = True
        same[row, np.flatnonzero(~below[row])[:100]] = True
    steady, wild = effect(same, below), effect(other, below)
    assert steady.value == pytest.approx(wild.value)
    assert steady.verdict == "helps"
    assert wild.high - wild.low > 2 * (steady.high - steady.low)


def test_nothing_changed_cannot_be_told_and_a_loss_hurts():
    one = marks(0.6)
    assert effect(one, one).verdict == "cannot tell yet"
    assert effect(marks(0.4), marks(0.7, seed=1)).verdict == "hurts"


def test_runs_of_the_same_recipe_are_taken_up_and_those_of_another_are_not(tmp_path, monkeypatch):
    rung = RUNGS["ladder-1-plain"]
    lines = [
        {"rung": rung.name, "seed": seed, "recipe": recipe, "right": "101"}
        for seed, recipe in ((0, ladder._checksum(rung)), (1, "another"))
    ]
    results = tmp_path / "ladder.jsonl"
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.setattr(ladder, "RESULTS", results)
    done = finished([rung])
    assert {key: right.tolist() for key, right in done.items()} == {
        (rung.name, 0): [True, False, True]
    }


def test_the_summary_names_the_effect_over_the_rung_below():
    first, second = RUNGS["ladder-1-plain"], RUNGS["ladder-2-standardised"]
    done = {(first.name, seed): marks(0.4, seed=seed)[0] for seed in range(3)}
    done |= {(second.name, seed): marks(0.6, seed=9 + seed)[0] for seed in range(2)}
    said = summary([first, second], done)
    assert "3 seeds" in said[first.name]
    assert "over ladder-1-plain (2 seeds, 1,000 images): helps" in said[second.name]
    assert summary([first], {})[first.name] == "not run yet"
