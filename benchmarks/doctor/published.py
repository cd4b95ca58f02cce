"""Fault classes that published debuggers name, as small programs: `python -m benchmarks.doctor.published`."""

import argparse
import contextlib
import io
import warnings
from pathlib import Path

import torch

from affinage.diagnosis.diagnose import diagnose
from affinage.metrics.intervals import wilson
from affinage.watching.script import run_script

_WILD = "learning-rate-too-high loss-not-a-number exploding-gradient first-loss-too-high dead-units"

CLASSES: dict[str, tuple[str, str]] = {
    "vanishing gradient": ("AutoTrainer, DeepDiagnosis", "vanishing-gradient saturated-units"),
    "exploding gradient": ("AutoTrainer, DeepDiagnosis, TheDeepChecker", _WILD),
    "dead ReLU": ("AutoTrainer, DeepDiagnosis", "dead-units"),
    "rate too high": ("AutoTrainer (oscillating loss), UMLAUT, DeepFD", _WILD),
    "rate too low": ("AutoTrainer (slow convergence), UMLAUT, DeepFD", "learning-rate-too-low"),
    "overfitting": ("UMLAUT", "overfitting memorising"),
    "inputs not scaled": ("UMLAUT, TheDeepChecker", f"{_WILD} preprocessing-mismatch inputs-not-scaled"),
    "inputs constant": ("TheDeepChecker", "constant-inputs"),
    "logarithm of nothing": ("UMLAUT, DeepLocalize (numerical error)", "loss-not-a-number"),
    "dropout too strong": ("UMLAUT, TheDeepChecker", "too-much-dropout"),
    "missing activations": ("UMLAUT, NeuraLint, DeepFD", "no-activation-between-layers"),
    "logits under nll_loss": ("UMLAUT, NeuraLint, DeepFD", "loss-activation-mismatch"),
    "softmax before cross-entropy": ("UMLAUT, NeuraLint", "loss-activation-mismatch"),
    "sigmoid before cross-entropy": ("NeuraLint, DeepFD", "loss-activation-mismatch"),
    "ReLU at the output": ("NeuraLint, DeepLocalize, DeepFD", "loss-activation-mismatch dead-units"),
    "softmax under squared error": (
        "DeepDiagnosis (out of range), DeepFD", "loss-activation-mismatch",
    ),
    "one output for ten classes": ("NeuraLint", "outputs-do-not-fit-classes"),
    "saturated activations": ("DeepDiagnosis", "saturated-units vanishing-gradient"),
    "weights never change": ("DeepDiagnosis, TheDeepChecker", "nothing-trainable learning-rate-too-low"),
    "weights begin at one value": ("NeuraLint, TheDeepChecker", "weights-begin-equal"),
    "gradients not zeroed": ("NeuraLint", "gradients-not-zeroed"),
    "sum in place of mean": ("TheDeepChecker", _WILD),
    "decay too strong": ("TheDeepChecker", "weight-decay-too-strong"),
    "labels torn from inputs": ("TheDeepChecker", "memorising no-better-than-baseline"),
    "not shuffled": ("TheDeepChecker", "unshuffled-training"),
    "squared error on one output of two axes": ("DeepLocalize (wrong shape)", "broadcast-in-loss"),
    "too few epochs": ("DeepFD", "not-converged learning-rate-too-low"),
}  # fmt: skip
"""By fault: the tools whose papers describe it, and the codes that name it rightly."""


def main() -> None:
    """Run programs under observation, as `affinage doctor SCRIPT` does, and print what was named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.doctor.published")
    parser.add_argument("--first", type=int, default=0, help="number of the first class")
    parser.add_argument("--count", type=int, default=len(CLASSES) + 1, help="how many of them")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = ["", *CLASSES][arguments.first : arguments.first + arguments.count]
    named = [_named(fault) for fault in rows]
    told = [hit for fault, hit in zip(rows, named, strict=True) if fault]
    share = wilson(sum(told), len(told))
    print(f"named {sum(told)} of {len(told)} ({share.low or 0:.2f} to {share.high or 0:.2f})")


def _named(fault: str) -> bool:
    program = Path(__file__).with_name("published_program.py")
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seen, _ = run_script(program, [fault] if fault else [], seconds=120.0)
    findings = [v.finding for v in diagnose(seen.signals) if v.finding is not None]
    loud = [f.code for f in findings if f.severity != "note"]
    notes = [f.code for f in findings if f.severity == "note"]
    tools, right = CLASSES.get(fault, ("", ""))
    hit = any(code in right.split() for code in (*loud, *notes))
    word = "healthy" if not fault else "named " if hit else "MISSED"
    print(
        f"{word} {fault or 'no fault'} [{tools}]: {', '.join(loud) or '-'}; notes {notes}",
        flush=True,
    )
    return hit


if __name__ == "__main__":
    main()
