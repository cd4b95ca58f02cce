"""Everything that a watcher tallied becomes one record."""

from dataclasses import replace
from typing import Any, Literal

from torch import Tensor

from affinage.records.signals import Baseline, Signals
from affinage.records.training_facts import Feeding, Objective, Overlap, Part, TargetFacts
from affinage.watching.expected import expected_of
from affinage.watching.feeding import feeding_of
from affinage.watching.layers import layer_facts
from affinage.watching.moment import batches_of
from affinage.watching.overlap import overlap_of
from affinage.watching.probes import parts_of, same_twice
from affinage.watching.seeds import is_seeded, same_under_seed
from affinage.watching.watcher import Watcher
from affinage.watching.wholes import tensor_of, whole_sets

Task = Literal["classify", "multilabel", "count", "regress"]


def collect(watcher: Watcher, *, at_rest: bool) -> Signals:
    """Return the record of a training.

    Args:
        watcher: Who watched it.
        at_rest: Whether data may be read again to compare the parts: not while another training goes on.
    """
    moment, stage = watcher.moment, watcher.stage
    modules, asleep = stage.modules(), stage.asleep()
    held = stage.held()
    trainable = {id(p): path for path, p in stage.parameters().items() if p.requires_grad}
    loaders = loaders_of(watcher)
    for part, tally in stage.inputs.items() if at_rest else ():
        tally.same_twice = same_twice(getattr(loaders.get(part), "dataset", None))  # type: ignore[call-overload]
    objectives = stage.objectives.facts()
    targets = _facts(stage.targets)
    per_epoch = batches_of(moment.train_loader)
    seen = bool(modules)
    signals = Signals(
        points=tuple(stage.curves.points),
        task=task_of(objectives, targets),
        pretrained=stage.pretrained,
        layers=layer_facts(modules, stage.layer_order, held or None, asleep) if seen else None,
        batchnorms=stage.norms.facts(modules, stage.layer_order) if seen else None,
        objectives=objectives or None,
        outputs=_facts(stage.outputs) or None,
        targets=targets or None,
        inputs=_facts(stage.inputs) or None,
        expected=expected_of(stage.called),
        feeding=_feeding(watcher, loaders, at_rest=at_rest) or None,
        overlaps=_overlaps(loaders) if at_rest else None,
        whole=whole_sets(_in_memory(loaders)) if at_rest else None,
        earlier=tuple(watcher.earlier),
        optimizers=tuple(
            tally.facts(trainable, held) for tally in stage.optimizers.values() if tally.steps
        ) or None,
        comparisons=watcher.comparing.facts(),
        series=stage.book.facts() or None,
        histograms=tuple(stage.curves.histograms) or None,
        baselines=baselines_of(targets) or None,
        steps=moment.step,
        epochs=moment.epoch if moment.train_loader is not None else None,
        steps_per_epoch=float(per_epoch) if per_epoch else None,
        images={f.part: f.images for f in _feeding(watcher, loaders, at_rest=False) if f.images}
        or None,
    )  # fmt: skip
    return _with_reasons(signals, watcher)


def _with_reasons(signals: Signals, watcher: Watcher) -> Signals:
    reasons = {
        "feeding": "no batch came from a torch DataLoader",
        "overlaps": "only one part of the data came from a loader",
        "whole": "the images of two parts do not lie in memory as tensors",
        "expected": "the network is none whose pretraining is known",
        "inputs": "no image was seen on its way into the network",
        "objectives": "no loss function was seen",
        "optimizers": "no optimizer took a step",
        "layers": "no network computed while it was watched",
        "batchnorms": "no network computed while it was watched",
        "targets": "no targets were seen",
        "outputs": "no outputs were seen",
        "histograms": "targets are no classes",
        "baselines": "targets were not understood",
        "pretrained": "the network has no normalisation layer, whose state would tell",
        "one_batch": "it was not tried",
        "best_chosen_on": "it cannot be seen from outside",
    }
    missing = {name: why for name, why in reasons.items() if getattr(signals, name) is None}
    if not watcher.moment.step:
        missing["series"] = "no step was taken while it was watched"
    if watcher.troubles:
        missing["some steps"] = "watching failed there: " + next(iter(watcher.troubles))
    return replace(signals, missing=missing)


def _facts(tallies: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(fact for tally in tallies.values() if (fact := tally.facts()) is not None)


def loaders_of(watcher: Watcher) -> dict[Part, Any]:
    """Return the loaders by part; the training part's is the one that gradients came from."""
    loaders = dict(watcher.roots.loaders)
    trained = watcher.moment.train_loader
    if trained is not None:
        loaders = {part: loader for part, loader in loaders.items() if loader is not trained}
        loaders["train"] = trained
    parts: tuple[Part, ...] = ("train", "validation", "test")
    return {part: loaders[part] for part in parts if part in loaders}


def _feeding(watcher: Watcher, loaders: dict[Part, Any], *, at_rest: bool) -> tuple[Feeding, ...]:
    order = watcher.stage.order
    if not loaders:
        return (feeding_of("train", None, order),) if order.first else ()
    fed = tuple(
        feeding_of(part, loader, order if part == "train" else None)
        for part, loader in loaders.items()
    )
    if not at_rest or "train" not in loaders:
        return fed
    same = same_under_seed(loaders["train"])
    return tuple(
        replace(one, same_under_seed=same, seeded=is_seeded()) if one.part == "train" else one
        for one in fed
    )


def _in_memory(loaders: dict[Part, Any]) -> dict[Part, Tensor]:
    found = {part: tensor_of(getattr(loader, "dataset", None)) for part, loader in loaders.items()}
    return {part: tensor for part, tensor in found.items() if tensor is not None}


def _overlaps(loaders: dict[Part, Any]) -> tuple[Overlap, ...] | None:
    sets = {part: getattr(loader, "dataset", None) for part, loader in loaders.items()}
    found = [
        overlap_of(one, sets[one], other, sets[other])
        for one, other in parts_of(loaders)
        if sets[one] is not None and sets[other] is not None
    ]
    known = tuple(overlap for overlap in found if overlap is not None)
    return known or None


def task_of(objectives: tuple[Objective, ...], targets: tuple[TargetFacts, ...]) -> Task | None:
    """Return what is predicted, as targets and loss tell; None where they do not."""
    trained = next((t for t in targets if t.part == "train"), targets[0] if targets else None)
    if trained is None:
        names = {o.name for o in objectives}
        return "classify" if names & {"cross_entropy", "nll_loss"} else None
    tasks: dict[str, Task] = {
        "class indices": "classify", "one-hot": "classify", "probabilities": "classify",
        "multi-hot": "multilabel", "counts": "count", "real": "regress",
    }  # fmt: skip
    return tasks[trained.encoding]


def baselines_of(targets: tuple[TargetFacts, ...]) -> tuple[Baseline, ...]:
    """Return the accuracy of always saying the most frequent class, by part."""
    found: list[Baseline] = []
    for facts in targets:
        if not facts.by_class or not sum(facts.by_class) or facts.encoding == "multi-hot":
            continue
        on = "train (evaluation mode)" if facts.part == "train" else facts.part
        n = sum(facts.by_class)
        found.append(
            Baseline(
                series="accuracy", on=on, value=max(facts.by_class) / n,
                rule="the most frequent class", n=n,
            )
        )  # fmt: skip
    return tuple(found)
