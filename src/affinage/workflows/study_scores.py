"""A trial's score of each image, from its table of predictions."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.errors import RunError


def image_scores(table: pl.DataFrame, metric: str) -> NDArray[np.float64]:
    """Return the metric of each image, shape (n,), in the order of image ids.

    Args:
        table: As `TaskWork.table` gives it: predictions of the images to be scored.
        metric: One of `studies.scoring.METRICS`.

    Raises:
        RunError: If a score is not finite: the training went astray.
    """
    rows = table.sort("image")
    match metric:
        case "accuracy":
            scores = (rows["label"] == rows["predicted"]).to_numpy().astype(np.float64)
        case "log_loss":
            scores = _log_loss(rows)
        case "label_accuracy":
            scores = _label_accuracy(rows)
        case "mae":
            scores = _absolute_error(rows)
        case _:
            raise RunError(f"There is no metric '{metric}'.", remedy="Use accuracy.")
    if not np.isfinite(scores).all():
        raise RunError(
            f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are not finite: it diverged.",
            remedy="Lower the learning rate.",
        )
    return scores


def _log_loss(rows: pl.DataFrame) -> NDArray[np.float64]:
    names = [name.removeprefix("p:") for name in rows.columns if name.startswith("p:")]
    table = rows.select([f"p:{name}" for name in names]).to_numpy()
    truth = [names.index(label) for label in rows["label"]]
    likely = table[np.arange(len(table)), truth]
    losses: NDArray[np.float64] = -np.log(np.clip(likely, 1e-12, 1.0))
    return losses


def _label_accuracy(rows: pl.DataFrame) -> NDArray[np.float64]:
    names = [name.removeprefix("p:") for name in rows.columns if name.startswith("p:")]
    truth, called = ([set(cell.split("; ")) for cell in rows[c]] for c in ("labels", "predicted"))
    right = [
        np.mean([(name in given) == (name in said) for name in names])
        for given, said in zip(truth, called, strict=True)
    ]
    return np.array(right, dtype=np.float64)


def _absolute_error(rows: pl.DataFrame) -> NDArray[np.float64]:
    names = [name.removeprefix("count:") for name in rows.columns if name.startswith("count:")]
    errors = [(rows[f"count:{n}"] - rows[f"expected:{n}"]).abs().to_numpy() for n in names]
    mean: NDArray[np.float64] = np.mean(errors, axis=0)
    return mean
