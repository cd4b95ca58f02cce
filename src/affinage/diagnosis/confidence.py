"""How often a finding names a fault that is there, as the fault benchmark's tuning part says."""

RIGHT_BY_CODE: dict[str, tuple[int, int]] = {
    "accuracy-on-counts": (1, 1),
    "augmentation-in-evaluation": (4, 4),
    "class-not-in-training": (6, 6),
    "class-shares-differ": (2, 2),
    "dead-units": (2, 2),
    "decayed-too-soon": (3, 3),
    "exploding-gradient": (1, 1),
    "first-loss-too-high": (3, 3),
    "frozen-batchnorm-in-training-mode": (2, 2),
    "inputs-not-scaled": (1, 1),
    "label-order-mismatch": (2, 2),
    "learning-rate-too-high": (4, 4),
    "learning-rate-too-low": (2, 2),
    "loss-activation-mismatch": (11, 11),
    "metric-rounded-too-late": (2, 2),
    "nothing-trainable": (2, 2),
    "outputs-do-not-fit-classes": (3, 3),
    "overfitting": (1, 1),
    "parameters-not-in-optimizer": (2, 2),
    "parameters-without-gradient": (2, 2),
    "parts-scaled-differently": (3, 3),
    "preprocessing-mismatch": (2, 2),
    "rare-classes-lost": (2, 2),
    "repeated-inputs": (2, 2),
    "softmax-between-layers": (8, 8),
    "statistics-of-all-parts": (1, 1),
    "too-much-dropout": (3, 3),
    "unshuffled-training": (2, 2),
    "validation-is-training": (3, 3),
    "vanishing-gradient": (3, 3),
    "weight-decay-too-strong": (2, 2),
    "weights-begin-equal": (6, 6),
}
"""By code: how many findings above "note" were right, of how many; printed by
`python -m benchmarks.doctor fit --store FOLDER` for the tuning part."""

_WEIGHT = 4.0
"""What the mean of all codes counts for beside a code's own cases, in cases; assumed."""


def confidence(code: str) -> tuple[float, int]:
    """Return the share of such findings that are right, and how many cases of this code it rests on.

    A code with few cases borrows from all others: the posterior mean of a beta distribution around their
    mean, which itself has one right and one wrong case in advance.

    Source:
        Gelman et al., Bayesian Data Analysis, 2013, section 5.3 (shrinkage of rates); Laplace's rule.
    """
    right, cases = (sum(column) for column in zip((1, 2), *RIGHT_BY_CODE.values(), strict=True))
    hits, n = RIGHT_BY_CODE.get(code, (0, 0))
    return (hits + _WEIGHT * right / cases) / (n + _WEIGHT), n
