"""Features of the frozen backbone: from the cache where they are, else computed and kept."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from affinage.imaging.batches import Item
from affinage.imaging.decode import DECODER_VERSION
from affinage.inference.forward import Engine, Progress, compute_features
from affinage.models.build import Backbone
from affinage.models.classifier import Classifier
from affinage.store.feature_cache import FeatureCache

CHUNK = 8  # Batches between two writes of the cache: what a crash can lose.


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFeatures:
    """Feature vectors of some images.

    Attributes:
        rows: Shape (n, features), in the order asked for.
        computed: How many of them were not in the cache.
    """

    rows: NDArray[np.float32]
    computed: int


def cache_facts(backbone: Backbone, engine: Engine, *, versions: dict[str, str]) -> dict[str, str]:
    """Return everything but the image that determines a feature."""
    return {
        "backbone": backbone.name,
        "weights": backbone.identity or backbone.weights.sha256,
        "preprocessing": str(sorted(asdict(backbone.preprocessing).items())),
        "decoder": DECODER_VERSION,
        **versions,
        **engine.facts,
    }


def cached_features(
    model: Classifier,
    items: Sequence[Item],
    engine: Engine,
    cache: FeatureCache | None,
    *,
    progress: Progress | None = None,
) -> CachedFeatures:
    """Return features of the images; those that the cache lacks are computed and kept in it.

    Args:
        model: Its backbone is used, frozen.
        items: The images, each id at most once.
        engine: How to compute.
        cache: Where features are kept; None computes all and keeps none.
        progress: Told (done, total) images.
    """
    known = cache.load(item.image for item in items) if cache is not None else {}
    missing = sorted(
        (item for item in items if item.image not in known), key=lambda item: item.image
    )
    size = engine.batch_size * CHUNK
    for start in range(0, len(missing), size):
        chunk = missing[start : start + size]
        rows = compute_features(
            model,
            chunk,
            engine,
            progress=_shifted(progress, len(items) - len(missing) + start, len(items)),
        )
        if cache is not None:
            cache.add([item.image for item in chunk], rows)
        known |= {item.image: row for item, row in zip(chunk, rows, strict=True)}
    length = model.head.in_features
    ordered = [known[item.image] for item in items]
    rows = np.stack(ordered) if ordered else np.zeros((0, length), dtype=np.float32)
    return CachedFeatures(rows=rows, computed=len(missing))


def _shifted(progress: Progress | None, offset: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, _: progress(offset + done, total)
