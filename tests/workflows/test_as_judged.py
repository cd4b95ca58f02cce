import numpy as np
import polars as pl

from affinage.exporting.baseline import as_judged
from affinage.records.bundle import MEASURES, BaselinePart

PART = BaselinePart(
    images=("b", "a"),
    measures=np.zeros((2, len(MEASURES)), np.float32),
    features=np.zeros((2, 4), np.float16),
    outputs=np.array([[1, 0], [0, 1]], np.float32),
    targets=np.array([0, 1]),
)
TABLE = pl.DataFrame(
    {
        "image": ["a", "b", "b"],
        "part": ["validation", "validation", "test"],
        "p:x": [0.2, 0.7, 0.0],
        "p:y": [0.8, 0.3, 1.0],
    }
)


def test_validation_is_as_surely_answered_as_before_it_was_learnt():
    found = as_judged(PART, TABLE, ("x", "y"))
    assert np.allclose(found.outputs, [[0.7, 0.3], [0.2, 0.8]])
    assert found.images == PART.images


def test_a_table_without_these_labels_or_images_changes_nothing():
    assert as_judged(PART, TABLE, ("x", "z")) is PART
    assert as_judged(PART, TABLE.filter(pl.col("image") == "a"), ("x", "y")) is PART
