"""BatchNorm in a mode, or with batches, that it cannot work with."""

from statistics import median

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked, otherwise
from affinage.diagnosis.reading import feeding_of, last
from affinage.records.signals import Signals

_TINY = 4
_LOOKS = 6


def frozen_in_training_mode(signals: Signals) -> Answered:
    """Frozen, pretrained layers normalised by the batch while the rest learnt.

    Source: Ioffe and Szegedy, Batch Normalization, 2015, section 3.1 (two modes of one layer).
    """
    norms = signals.batchnorms or ()
    if signals.framework.startswith(("keras", "tensorflow")):
        return Fine("Keras uses moving statistics in a frozen BatchNorm, whatever the mode")
    if not norms:
        return Fine("the network has no BatchNorm")
    if signals.pretrained is False:
        return Fine("the network was not trained before, so its BatchNorm has nothing to lose")
    hurt = [n for n in norms if n.below_frozen and n.steps and n.steps_by_batch > n.steps / 2]
    if not hurt:
        return Fine(f"none of {len(norms)} BatchNorm layers was frozen and normalised by the batch")
    drifts = [n.drift for n in hurt if n.drift is not None]
    names = tuple(n.name for n in hurt)
    evidence = [f"{len(hurt)} of {len(norms)} layers, the first: {', '.join(names[:3])}"]
    evidence += (
        [f"their moving means went {median(drifts):.2f} standard deviations away"] if drifts else []
    )
    modes = ("train (training mode)", "train (evaluation mode)")
    scores = [last(signals.curve("accuracy", on)) for on in modes]
    if scores[0] is not None and scores[1] is not None:
        evidence.append(
            f"accuracy on the same training images: {scores[0]:.3f} in training mode, "
            f"{scores[1]:.3f} in evaluation mode"
        )
    return Found(
        subject=f"{len(hurt)} frozen BatchNorm layers normalised by the batch during training: "
        "frozen weights saw other inputs in training than in evaluation.",
        evidence=tuple(evidence),
        remedy="After every model.train(), put the frozen ones to rest: for each m of model.modules(), "
        "if isinstance(m, nn.BatchNorm2d): m.eval().",
        grade="fact",
        where=names,
        alternatives=otherwise(
            "dropout, which also acts in training mode only",
            "dropout does not move a layer's statistics; these layers are frozen and moved",
        ),
        changes=(("finetune.batchnorm", "frozen"),),
    )


def left_in_evaluation_mode(signals: Signals) -> Answered:
    """The network was evaluated, and trained on without being put back into training mode.

    Source: PyTorch's documentation of nn.Module.train: what dropout and BatchNorm do in each mode.
    """
    series = signals.series_of("training_mode")
    if series is None or len(series.values) < _LOOKS:
        return Unchecked(f"the mode of fewer than {_LOOKS} steps was seen")
    acting = [
        layer.name
        for layer in signals.layers or ()
        if layer.kind.startswith(("Dropout", "AlphaDropout", "BatchNorm", "SyncBatchNorm"))
    ]
    changed = next((i for i, value in enumerate(series.values) if value == 0.0), None)
    if (
        not acting
        or not changed
        or len(series.values) - changed < 2
        or any(series.values[changed:])
    ):
        return Fine("no layer that acts in training only was left at rest half-way")
    return Found(
        subject=f"From step {series.steps[changed]} on the network was trained in evaluation "
        f"mode, where dropout and BatchNorm are at rest; it began in training mode.",
        evidence=(f"{len(acting)} such layers, the first: {', '.join(acting[:3])}",),
        remedy="Call model.train() at the beginning of every epoch: model.eval() holds until then.",
        grade="fact",
        where=tuple(acting),
        alternatives=otherwise(
            "a BatchNorm that is put to rest late on purpose",
            "then the layer itself is put to rest, not the whole network",
        ),
    )


def tiny_batches(signals: Signals) -> Answered:
    """BatchNorm estimated means from a handful of images.

    Source: Wu and He, Group Normalization, 2018, figure 1 (error rises below 8 images per batch).
    """
    own = [n for n in signals.batchnorms or () if n.steps_by_batch]
    fed = feeding_of(signals)
    if not own:
        return Fine("no BatchNorm normalised by the batch")
    size = fed.batch_size if fed else None
    if size is None or size > _TINY:
        return Fine(f"batches have {size or 'more than a few'} images")
    return Found(
        subject=f"{len(own)} BatchNorm layers normalise by batches of {size} images: too "
        "few to know a mean.",
        evidence=(f"smallest number of values per channel: {min(n.values or 0 for n in own)}",),
        remedy="Use batches of 16 or more, or keep BatchNorm in evaluation mode, or use GroupNorm.",
        grade="fact",
        where=tuple(n.name for n in own),
        severity="warning" if size < _TINY else "note",
        changes=(("finetune.batch_size", "16"),),
    )
