"""The doctor reads scripts, runs, logs and saved signals, and refuses everything else in words."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from affinage.errors import RunError
from affinage.workflows.doctor import doctor, doctor_json
from affinage.workflows.failing import hint
from affinage.workflows.train import train

SCRIPT = """
import sys
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.images / 16, dtype=torch.float32).flatten(1)
labels = torch.tensor(digits.target)
train_loader = DataLoader(TensorDataset(images[:640], labels[:640]), 32, shuffle=True)
val_loader = DataLoader(TensorDataset(images[640:960], labels[640:960]), 64)
net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
print("arguments", *sys.argv[1:])
for epoch in range(int(sys.argv[sys.argv.index("--epochs") + 1])):
    net.train()
    for batch, target in train_loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(batch), target).backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        hits = sum((net(batch).argmax(1) == target).sum().item() for batch, target in val_loader)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def test_a_healthy_script_is_run_unmodified_and_found_healthy(script, tmp_path, capfd):
    kept = tmp_path / "signals.json"
    diagnosis = doctor(script, ["--epochs", "3"], minutes=2, keep=kept)
    assert "arguments --epochs 3" in capfd.readouterr().out
    assert (diagnosis.code, diagnosis.signals.ended, diagnosis.signals.steps) == (0, "finished", 60)
    assert [f.code for f in diagnosis.findings if f.severity != "note"] == []
    again = doctor(kept)
    assert again.verdicts == diagnosis.verdicts
    assert json.dumps(doctor_json(again), allow_nan=False)


def test_a_script_that_fails_is_judged_as_far_as_it_came(script):
    script.write_text(SCRIPT + "\nraise ValueError('no room')\n")
    diagnosis = doctor(script, ["--epochs", "1"], minutes=2)
    assert (diagnosis.code, diagnosis.signals.ended) == (1, "failed")
    assert diagnosis.signals.error == "ValueError: no room"
    assert diagnosis.signals.steps == 20


def test_a_script_without_a_training_is_refused(tmp_path):
    path = tmp_path / "hello.py"
    path.write_text("print('hello')\n")
    with pytest.raises(RunError, match="no optimizer took a step"):
        doctor(path, minutes=1)


@pytest.mark.parametrize("name", ["nothing", "a.txt"])
def test_what_is_no_training_is_refused(tmp_path, name):
    if name == "a.txt":
        (tmp_path / name).write_text("text")
    with pytest.raises(RunError):
        doctor(tmp_path / name)


def test_arguments_without_a_script_are_refused(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss\n0,1\n")
    with pytest.raises(RunError, match="nowhere to go"):
        doctor(path, ["--epochs", "3"])


def test_a_log_shows_curves_and_says_what_it_cannot(tmp_path):
    path = Path(tmp_path) / "log.csv"
    path.write_text("epoch,loss,val_loss\n" + "".join(f"{i},{1 / (i + 1)},0.9\n" for i in range(8)))
    diagnosis = doctor(path)
    assert diagnosis.signals.origin == "logs"
    assert sum(v.answer == "unchecked" for v in diagnosis.verdicts) > 20


def test_a_healthy_run_of_ours_is_found_healthy(trained):
    diagnosis = doctor(trained.path)
    assert diagnosis.signals.origin == "run"
    assert [f.code for f in diagnosis.findings if f.severity != "note"] == []
    assert sum(v.answer == "fine" for v in diagnosis.verdicts) > 25


def test_images_that_a_balanced_run_draws_again_are_no_fault(digits, tmp_path):
    folder = tmp_path / "run"
    train(
        digits, data=tmp_path / "data", output=folder, stages="finetune",
        settings=["model.backbone=three_conv", "model.pretrained=false", "model.width=16",
                  "model.height=16", "loss.balance=sampler", "finetune.epochs=2"],
    )  # fmt: skip
    verdicts = {v.code: v for v in doctor(folder).verdicts}
    assert verdicts["repeated-inputs"].said == "a weighted sampler repeats images on purpose"


def test_a_script_that_is_interrupted_is_judged_as_far_as_it_came(script):
    interrupt = "        import os, signal; os.kill(os.getpid(), signal.SIGINT)\n"
    lines = SCRIPT.splitlines(keepends=True)
    place = lines.index("    net.eval()\n")
    script.write_text("".join([*lines[:place], "    if epoch == 1:\n", interrupt, *lines[place:]]))
    diagnosis = doctor(script, ["--epochs", "5"], minutes=2)
    assert (diagnosis.signals.ended, diagnosis.signals.steps) == ("cut", 40)


def test_the_whole_data_in_every_step_is_no_repetition(script):
    whole = SCRIPT.replace(
        "for batch, target in train_loader:", "for batch, target in [(images, labels)]:"
    )
    script.write_text(whole)
    diagnosis = doctor(script, ["--epochs", "40"], minutes=2)
    assert [f.code for f in diagnosis.findings if f.severity != "note"] == []


def zero(shape, kind=torch.float32):
    return torch.zeros(shape, dtype=kind)


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        (lambda: nn.functional.cross_entropy(zero((2, 3)), torch.tensor([0, 3])), "label is 3"),
        (lambda: nn.Linear(5, 2)(zero((4, 7))), "nn.Linear(7, ...)"),
        (lambda: nn.Conv2d(3, 4, 3)(zero((1, 1, 8, 8))), "made for 3 channels and images have 1"),
        (lambda: nn.functional.mse_loss(zero(3), zero(3)).backward(), "hangs on no weight"),
        (lambda: nn.BatchNorm1d(3)(zero((1, 3))), "drop_last=True"),
        (lambda: torch.optim.SGD([], lr=0.1), "nn.ModuleList"),
        (lambda: nn.functional.binary_cross_entropy(zero(2) + 2, zero(2)), "BCEWithLogitsLoss"),
        (lambda: nn.functional.binary_cross_entropy(zero((2, 1)), zero(2)), "different shapes"),
        (lambda: nn.functional.cross_entropy(zero((2, 3)), zero((2, 3), torch.int64)), "labels.long()"),
        (lambda: nn.Linear(2, 2)(zero((1, 2), torch.int64)), "images.float()"),
    ],
)  # fmt: skip
def test_what_torch_refuses_is_told_with_what_to_do(fails, words):
    with pytest.raises((RuntimeError, ValueError, IndexError)) as refused:
        fails()
    assert words in hint(str(refused.value))


def test_unknown_errors_get_no_hint():
    assert hint("KeyError: 'x'") == hint("") == ""


def test_a_script_that_fails_before_its_first_step_is_told_what_to_do(script):
    script.write_text(SCRIPT.replace("nn.Linear(32, 10)", "nn.Linear(32, 2)"))
    with pytest.raises(RunError) as refused:
        doctor(script, ["--epochs", "1"], minutes=2)
    assert "one output per class" in refused.value.remedy


def test_logs_are_judged_without_loading_torch(tmp_path):
    log = tmp_path / "history.csv"
    rows = [f"{epoch},{1 / (epoch + 1):.3f},{0.5 / (epoch + 1):.3f}" for epoch in range(8)]
    log.write_text("\n".join(["epoch,loss,val_loss", *rows]))
    code = (
        f"import sys, affinage; affinage.doctor({str(log)!r});"
        "print([name for name in ('torch', 'torchvision', 'timm', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
