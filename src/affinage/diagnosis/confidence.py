"""How often a finding names a fault that is there, as the fault benchmark's tuning part says."""

RIGHT_BY_CODE: dict[str, tuple[int, int]] = {
    "accuracy-on-counts": (1, 1),
    "augmentation-in-evaluation": (2, 2),
    "class-not-in-training": (2, 2),
    "dead-units": (1, 1),
    "decayed-too-soon": (3, 3),
    "first-loss-too-high": (2, 2),
    "label-order-mismatch": (1, 1),
    "learning-rate-too-low": (2, 2),
    "loss-activation-mismatch": (2, 2),
    "metric-rounded-too-late": (1, 1),
    "nothing-trainable": (1, 1),
    "outputs-do-not-fit-classes": (1, 1),
    "parameters-without-gradient": (2, 2),
    "parts-scaled-differently": (2, 2),
    "preprocessing-mismatch": (1, 1),
    "repeated-inputs": (1, 1),
    "too-much-dropout": (2, 2),
    "unshuffled-training": (1, 1),
    "validation-is-training": (2, 2),
    "vanishing-gradient": (3, 3),
    "weight-decay-too-strong": (1, 1),
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
