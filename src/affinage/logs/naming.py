"""What the columns and tags of other people's logs are called here."""

import re

_SERIES = (
    (r"(^|_)(loss|cost|objective)$", "loss"),
    (r"(acc|accuracy|top1|acc1|top_1)$", "accuracy"),
    (r"(^|_)(mae|mean_absolute_error)$", "mae"),
    (r"(^|_)(lr|learning_rate)([-_].*)?$|^lr[-_]", "learning_rate"),
    (r"grad(ient)?_norm$", "gradient_norm"),
)
_PARTS = (
    (r"(^|_)(val|valid|validation|eval|dev)(_|$)", "validation"),
    (r"(^|_)test(_|$)", "test"),
)


def named(column: str) -> tuple[str, str] | None:
    """Return the series and the part of a column or tag; None where it is neither.

    Lightning writes a metric as `train_loss_epoch`, Keras as `val_loss`, TensorBoard as `Loss/train` or
    `epoch_loss`: order and case differ, the words do not.

    Returns:
        (series, `on` of a Point).
    """
    words = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")
    on = next((part for pattern, part in _PARTS if re.search(pattern, words)), "train (running)")
    bare = "_".join(
        word
        for word in words.split("_")
        if word
        not in {"val", "valid", "validation", "eval", "dev", "test", "train", "training", "epoch"}
    )
    bare = re.sub(r"^(sparse|categorical|binary|top1)_", "", bare)
    bare = re.sub(r"^(sparse|categorical|binary)_", "", bare)
    for pattern, series in _SERIES:
        if re.search(pattern, bare):
            return series, "" if series in {"learning_rate", "gradient_norm"} else on
    return None
