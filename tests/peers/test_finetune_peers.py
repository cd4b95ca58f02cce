import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.finetune_peers import (
    RATES,
    SEEDS,
    SETS,
    TOOLS,
    TUNING_SEED,
    Cell,
    _both,
    _carve,
    chosen_rate,
    cut_anew,
    interval,
    kept_cells,
    next_cell,
    summary,
    time_allowed,
)
from scipy.stats import ttest_rel


def cell(data="malaria", seed=0, tool="affinage", right=150, **changes):
    return Cell(
        **{
            "data": data, "seed": seed, "tool": tool, "clock": "wall", "right": right, "n": 200,
            "seconds": 90.0, "processor": 150.0, "limit": 90.0,
        } | changes
    )  # fmt: skip


def test_the_interval_of_paired_differences_is_that_of_the_paired_t_test():
    ours, theirs = (
        np.array([91.0, 93.5, 90.0, 94.0, 92.5]),
        np.array([90.0, 92.0, 91.0, 90.5, 92.0]),
    )
    low, high = ttest_rel(ours, theirs).confidence_interval(0.95)
    mean = (ours - theirs).mean()
    assert interval((ours - theirs).tolist()) == f"{mean:+.2f} [{low:+.2f}, {high:+.2f}], n=5 seeds"


@pytest.mark.parametrize("gaps", [[], [1.0]])
def test_one_pair_says_nothing(gaps):
    assert interval(gaps) == f"not enough data to say: {len(gaps)} of 5 seeds"


def test_going_on_trains_every_cell_once_and_the_dear_peer_last():
    cells, seen = [], []
    while asked := next_cell(cells, "wall"):
        data, seed, tool = asked
        cells.append(cell(data, seed, tool))
        seen.append(asked)
    assert len(seen) == len(set(seen)) == len(SETS) * (len(SEEDS) * len(TOOLS) + len(RATES))
    assert [tool for _, seed, tool in seen if seed == TUNING_SEED] == len(SETS) * [
        f"plain@{rate:g}" for rate in RATES
    ]
    for data in SETS:
        own = [(seed, tool) for name, seed, tool in seen if name == data and seed in SEEDS]
        pairs = [(seed, tool) for seed in SEEDS for tool in ("affinage", "plain")]
        assert own == pairs + [(seed, "fastai") for seed in SEEDS]


def test_cells_of_another_clock_do_not_count():
    assert next_cell([cell(clock="processor")], "wall") == ("malaria", 0, "affinage")


def test_peers_have_the_time_that_was_taken_not_the_time_that_was_asked_for():
    cells = [cell(seconds=95.5), cell(seed=1, seconds=88.0), cell(tool="fastai", seconds=70.0)]
    assert time_allowed(cells, 1) == 88.0
    assert time_allowed(cells, TUNING_SEED) == 95.5
    assert time_allowed([cell(clock="processor", processor=151.0)], 0) == 151.0


def test_the_rate_is_that_of_the_best_trial():
    trials = [
        cell(seed=TUNING_SEED, tool=f"plain@{rate:g}", right=right)
        for rate, right in zip(RATES, (120, 131, 125), strict=True)
    ]
    assert chosen_rate([*trials, cell(tool="plain", right=200)]) == RATES[1]


def test_a_line_that_was_cut_off_is_trained_anew(tmp_path):
    file = tmp_path / "cells.jsonl"
    line = json.dumps(dataclasses.asdict(cell()))
    file.write_text(line + "\n" + line[:40])
    assert kept_cells(file) == [cell()]
    assert kept_cells(tmp_path / "none.jsonl") == []


def test_the_summary_pairs_by_seed_and_says_how_many():
    cells = [cell(seed=seed, tool=tool, right=right) for seed, tool, right in (
        (0, "affinage", 180), (0, "plain", 170), (1, "affinage", 182), (1, "plain", 176),
        (2, "affinage", 200),
    )]  # fmt: skip
    found = summary(cells)
    assert found["malaria affinage - plain, points (goal: at least 0)"].startswith("+4.00 [")
    assert "not enough data" in found["malaria affinage - fastai, points (goal: at least 0)"]
    assert "n=3 cuts" in found["malaria affinage"]


def test_a_cut_is_disjoint_by_bytes_stratified_and_the_same_every_time(digits, tmp_path):
    pooled = tmp_path / "pooled"
    copies = pooled / "part"
    for path in digits.rglob("*.png"):
        for part in ("train", "test"):  # Every image twice: one of them has to go.
            into = copies / part / path.parent.name / path.name
            into.parent.mkdir(parents=True, exist_ok=True)
            into.write_bytes(path.read_bytes())
    tables = [cut_anew(pooled, tmp_path / name, 30, seed=3) for name in ("one", "two")]
    assert tables[0].read_text() == tables[1].read_text()
    learnt, judged = _both(tables[0])
    contents = [{Path(path).read_bytes() for path, _ in rows} for rows in (learnt, judged)]
    assert not contents[0] & contents[1]
    assert len(contents[0] | contents[1]) == len(learnt) + len(judged) == 60
    assert {label: sum(row[1] == label for row in judged) for _, label in judged} == dict.fromkeys(
        {label for _, label in judged}, 10
    )
    train, validation = _carve(tables[0])
    assert sorted(train + validation) == sorted(learnt)
    with tables[0].open(newline="") as file:
        assert {row["split"] for row in csv.DictReader(file)} == {"train", "test"}
