"""The head on features and the stacked model are one model: built, and proved."""

import copy

import numpy as np
import torch

from affinage.errors import RunError
from affinage.heads.linear import LinearHead
from affinage.heads.nearest import NearestHead
from affinage.inference.forward import compute_features, compute_logits
from affinage.models.classifier import Classifier
from affinage.models.nearest_head import nearest_layer
from affinage.workflows.session import Session, TrainingData
from affinage.workflows.train_features import FrozenFeatures
from affinage.workflows.work import FeatureHead

PARITY_IMAGES = 64

PARITY_LIMIT, PARITY_SHARE = 1e-3, 1e-4
"""Largest difference that is rounding: this, or this share of the largest logit where that is more. A loss
that is forced on targets which it is not for may have no optimum, and logits of any size."""


def stacked(frozen: FrozenFeatures, head: FeatureHead | None) -> Classifier:
    """Return a copy of the frozen backbone with the head on it; with zeros where there is none."""
    model = copy.deepcopy(frozen.model)
    if isinstance(head, NearestHead):
        model.head = nearest_layer(head)
        return model
    if head is not None:
        with torch.no_grad():
            model.last.weight.copy_(torch.from_numpy(np.asarray(head.weight, dtype=np.float32)))
            model.last.bias.copy_(torch.from_numpy(np.asarray(head.bias, dtype=np.float32)))
    return model


def parity(session: Session, data: TrainingData, frozen: FrozenFeatures, head: LinearHead) -> float:
    """Return the largest difference between head-on-features and the stacked model, in fp32 logits.

    Raises:
        RunError: If they are not one model: fine-tuning would start from something else.
    """
    model = stacked(frozen, head)
    part = data.validation
    items = part.items[:PARITY_IMAGES]
    exact = session.engine.exact
    features = frozen.validation[: len(items)]
    if session.engine != exact:  # An engine's rounding says nothing of whether they are one model.
        features = compute_features(frozen.model, items, exact)
    expected = head.logits(features)
    given = compute_logits(model, items, exact)
    difference = float(np.max(np.abs(expected - given)))
    limit = max(PARITY_LIMIT, PARITY_SHARE * float(np.max(np.abs(expected))))
    if not difference <= limit:
        raise RunError(
            f"The head on features and the stacked model differ by {difference:.2g} in their logits "
            f"on {len(items)} validation images; at most {limit:.2g} is rounding.",
            remedy="The features are not of this backbone, these images or this preprocessing: "
            f"delete '{frozen.cache.folder}' and train again.",
        )
    return difference
