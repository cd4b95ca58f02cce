"""The first loss against that of a guess: a wrong output, target or scale shows before an epoch is spent."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from affinage.records.finding import Finding
from affinage.training.losses import Objective

WORSE = 0.5
"""A first loss that is more than half above the guess's is no start that a guess would make."""

ERRORS = 3.0
STEPS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLoss:
    """What a model loses before its first step, and what guesses lose on the same targets.

    Attributes:
        measured: Mean loss of the model on these images, without smoothing and weights.
        error: Standard error of that mean.
        images: How many images were measured.
        zeros: Mean loss where every raw output is 0; for classes that is ln(number of classes).
        constant: Mean loss of the best answer that is the same for every image; for classes that is
            the entropy of their shares.
        verdict: `as guessed`, `better` than the best constant answer, or `worse` than both guesses.
    """

    measured: float
    error: float
    images: int
    zeros: float
    constant: float
    verdict: Literal["as guessed", "better", "worse"]

    @property
    def guess(self) -> float:
        """The larger loss of the two guesses."""
        return max(self.zeros, self.constant)

    def findings(self) -> tuple[Finding, ...]:
        """Return a warning where the model starts worse than a guess."""
        if self.verdict != "worse":
            return ()
        return (
            Finding(
                code="first-loss",
                severity="warning",
                subject=(
                    f"Before the first step the model loses {self.measured:.3g} per image; a guess "
                    f"that knows nothing loses {self.guess:.3g}."
                ),
                evidence=(
                    f"{self.images} training images, standard error {self.error:.2g}.",
                    f"All outputs at 0 lose {self.zeros:.3g}; the best constant answer loses "
                    f"{self.constant:.3g}.",
                ),
                remedy="Check that labels and outputs are in one order, that pixels are scaled as the "
                "network wants them, and that the last layer starts near 0.",
            ),
        )


def check_first_loss(
    outputs: NDArray[np.float32], targets: NDArray[Any], objective: Objective
) -> FirstLoss:
    """Return what a model loses before its first step, beside what guesses lose.

    The model is `worse` where its loss is both half above and three standard errors above the larger of the
    two guesses; it is `better` where it is three standard errors below the smaller.

    Args:
        outputs: Raw outputs in evaluation mode, shape (n, outputs), n at least 1.
        targets: Of these images, as the objective takes them.
        objective: What will be made small.

    Source:
        The habit of checking the first loss: Karpathy, A Recipe for Training Neural Networks, 2019.
    """
    wanted = torch.from_numpy(targets)
    with torch.no_grad():
        losses = objective.plain(torch.from_numpy(outputs).float(), wanted).double()
    measured = float(losses.mean())
    error = float(losses.std() / len(losses) ** 0.5) if len(losses) > 1 else 0.0
    zeros, constant = guessed_losses(targets, objective)
    first = FirstLoss(
        measured=measured, error=error, images=len(losses), zeros=zeros, constant=constant,
        verdict="as guessed",
    )  # fmt: skip
    if exceeds(measured, first):
        return replace(first, verdict="worse")
    better = measured < min(zeros, constant) - ERRORS * error
    return replace(first, verdict="better") if better else first


def exceeds(loss: float, first: FirstLoss) -> bool:
    """Return whether a loss is half above, and three standard errors above, that of both guesses."""
    return not loss <= first.guess + max(WORSE * abs(first.guess), ERRORS * first.error)


def guessed_losses(targets: NDArray[Any], objective: Objective) -> tuple[float, float]:
    """Return the mean plain loss with all outputs at 0, and that of the best constant outputs.

    Args:
        targets: As the objective takes them, n at least 1.
        objective: Gives the losses.
    """
    wanted = torch.from_numpy(targets)

    def mean(outputs: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        constant = torch.from_numpy(outputs).requires_grad_()
        loss = objective.plain(constant.expand(len(wanted), -1), wanted).mean()
        torch.autograd.backward(loss)
        assert constant.grad is not None
        return float(loss.detach()), constant.grad.numpy()

    nothing = np.zeros(objective.outputs)
    zeros = mean(nothing)[0]
    best = minimize(mean, nothing, jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    return zeros, float(min(zeros, best.fun))
