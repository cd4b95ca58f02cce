"""What an evaluation relies on in a user's own metric."""

import numpy as np

from affinage.models.contracts.trial import Check, Trial


def _is_a_number(trial: Trial) -> str | None:
    """Predictions (n, labels) and targets give a finite number."""
    value = float(trial.part(trial.predictions(), trial.targets()))
    return None if np.isfinite(value) else f"it gives {value}"


def _leaves_its_input(trial: Trial) -> str | None:
    """It gives the same for the same, and does not write into what it is given."""
    predictions, targets = trial.predictions(), trial.targets()
    first, second = (float(trial.part(predictions, targets)) for _ in range(2))
    if not (
        np.array_equal(predictions, trial.predictions())
        and np.array_equal(targets, trial.targets())
    ):
        return "it writes into its input"
    return None if first == second else "it gives something else each time"


def _does_not_know_the_order(trial: Trial) -> str | None:
    """The order of the images does not matter."""
    predictions, targets = trial.predictions(), trial.targets()
    first = float(trial.part(predictions, targets))
    second = float(trial.part(predictions[::-1].copy(), targets[::-1].copy()))
    close = np.isclose(first, second, rtol=1e-6, atol=1e-9)
    return None if close else f"it gives {first:g}, and {second:g} for the same images reversed"


def _tells_good_from_bad(trial: Trial) -> str | None:
    """The truth and the opposite of it get different values."""
    targets = trial.targets()
    truth = (
        np.eye(trial.classes)[targets] if trial.task == "classify" else targets.astype(np.float64)
    )
    worst = np.roll(truth, 1, axis=1) if trial.task == "classify" else truth.max() + 1 - truth
    good, bad = (float(trial.part(table, targets)) for table in (truth, worst))
    return None if good != bad else f"it gives {good:g} for the truth and for its opposite"


CONTRACT: tuple[Check, ...] = (
    _is_a_number,
    _leaves_its_input,
    _does_not_know_the_order,
    _tells_good_from_bad,
)
