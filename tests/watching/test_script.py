"""A script is cut in time whatever it catches, and sees its own arguments."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import torch

from affinage.watching.script import run_script

ENDLESS = """
import sys
import torch
from sklearn.datasets import load_digits

digits = load_digits()
images = torch.tensor(digits.images / 16, dtype=torch.float32).flatten(1)
labels = torch.tensor(digits.target)
net = torch.nn.Linear(64, 10)
optimizer = torch.optim.SGD(net.parameters(), lr=float(sys.argv[1]))
while True:
    try:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
    except Exception:
        pass
"""


def cut(path):
    """Run a script for six seconds in a process of its own, as it must be, and return what was seen."""
    warm = torch.nn.Parameter(torch.ones(1))
    torch.optim.SGD([warm], lr=0.1).step()  # The first step of a process imports for seconds.
    before = list(sys.argv), list(sys.path)
    watched, end = run_script(path, ["0.25"], seconds=6)
    return watched.signals, end, before == (sys.argv, sys.path)


def test_a_script_that_takes_too_long_is_cut_and_judged_as_far_as_it_came(tmp_path):
    path = tmp_path / "endless.py"
    path.write_text(ENDLESS)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        signals, end, restored = pool.submit(cut, path).result(timeout=120)
    assert (end.ended, signals.ended) == ("cut", "cut")
    assert signals.steps > 0
    assert signals.optimizers[0].learning_rates == (0.25,)
    assert signals.feeding[0].sampler == ""
    assert restored


def test_a_script_that_exits_with_a_message_has_failed(tmp_path):
    path = tmp_path / "exits.py"
    path.write_text("import sys\nsys.exit('no data')\n")
    _, end = run_script(path, [], seconds=30)
    assert (end.ended, end.code, end.error) == ("failed", 1, "no data")
