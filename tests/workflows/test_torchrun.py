"""Two processes train one run: the first writes, and the scores are those of one process."""

import json
import subprocess
import sys

import affinage
from affinage.workflows.reporter import Silent
from real_digits import SMALL

PLAIN = (*SMALL, "finetune.epochs=1", "finetune.refit=false")


def test_two_processes_end_with_the_scores_of_one(digits, tmp_path):
    settings = [part for setting in PLAIN for part in ("--set", setting)]
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "-m", "affinage", "train", str(digits), "--data", "data", "--output", "run", "--json", *settings,
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(
        done.stdout[done.stdout.index("{") :]
    )  # One document: the first speaks for all.
    alone = affinage.train(
        digits,
        data=tmp_path / "data-2",
        output=tmp_path / "alone",
        settings=PLAIN,
        reporter=Silent(),
    )
    together, single = told["stages"][1], alone.record.stages[1]
    assert together["name"] == single.name == "finetune"
    loss = together["validation"]["log_loss"]["value"]
    assert abs(loss - single.validation.log_loss.value) < 1e-3
    assert together["facts"]["steps"] == single.facts["steps"]
