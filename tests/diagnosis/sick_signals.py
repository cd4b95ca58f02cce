"""For each question of the doctor, signals of a training that has the fault."""

from dataclasses import replace

from affinage.records.signals import Baseline, Histogram, Point, Series, Signals
from affinage.records.training_facts import (
    BatchNorm,
    Comparison,
    Expected,
    Feeding,
    InputFacts,
    Layer,
    Objective,
    Optimizer,
    OutputFacts,
    Overlap,
    TargetFacts,
    WholeSets,
)

STEPS = tuple(range(1, 41))


def curve(series, on, values):
    return tuple(
        Point(stage="training", series=series, on=on, epoch=float(i), value=v)
        for i, v in enumerate(values, start=1)
    )


def line(name, values, layer=""):
    return Series(name=name, layer=layer, steps=STEPS[: len(values)], values=tuple(values))


def layered(name, **by_layer):
    return [line(name, [value] * 40, layer) for layer, value in by_layer.items()]


TRAIN = TargetFacts(part="train", encoding="class indices", dtype="int64", n=400, minimum=0, maximum=3,
                    by_class=(100, 100, 100, 100))  # fmt: skip
VALIDATION = replace(TRAIN, part="validation", n=100, by_class=(25, 25, 25, 25))
IMAGES = InputFacts(part="train", n=64, shape=(3, 224, 224), minimum=-1.0, maximum=1.0,
                    mean=(-0.1, -0.1, -0.1), std=(0.5, 0.5, 0.5), same_twice=True)  # fmt: skip
FED = Feeding(part="train", images=100, batch_size=32, sampler="RandomSampler", shuffled=True, n=99,
              neighbours_equal=0.26, neighbours_expected=0.25, same_order=False,
              same_under_seed=True, seeded=True)  # fmt: skip
WHOLE = WholeSets(parts=("train", "validation"), train_images=100, images=200, train_mean=(0.0,) * 3,
                  train_std=(1.0,) * 3, mean=(0.02,) * 3, std=(0.98,) * 3)  # fmt: skip
SGD = Optimizer(name="SGD", learning_rates=(0.01,), weight_decays=(1e-4,), steps=40,
                backwards_per_step=1.0, zeroed_share=1.0)  # fmt: skip
LOSS = Objective(name="cross_entropy", activation="none", outputs=4, shapes=((32, 4), (32,)))
OUTPUTS = OutputFacts(
    part="train", n=1000, minimum=-5, maximum=5, rows_sum_to_one=0, at_zero=0, constant=0
)
NORM = BatchNorm(
    name="bn", steps=10, steps_by_batch=0, trainable=False, below_frozen=True, values=900
)
LAYERS = (
    Layer(name="0", kind="Conv2d", parameters=100, trainable=100, optimized=100),
    Layer(name="1", kind="ReLU", parameters=0, trainable=0, optimized=0),
    Layer(name="2", kind="Conv2d", parameters=100, trainable=100, optimized=100),
    Layer(name="3", kind="Linear", parameters=100, trainable=100, optimized=100),
)
FALLING = [1.4 * 0.93**i for i in range(40)]
SERIES = (
    line("loss", FALLING), line("learning_rate", [0.01] * 40), line("gradient_norm", [1.0] * 40),
    line("waiting_seconds", [0.01] * 40), line("computing_seconds", [0.1] * 40),
    line("memory_mb", [500.0] * 40), line("training_mode", [1.0] * 40),
    *layered("weight_norm", **{"0": 5.0, "2": 5.0, "3": 5.0}),
    *layered("gradient_norm", **{"0": 0.5, "2": 0.6, "3": 0.7}),
    *layered("update_ratio", **{"0": 1e-3, "2": 1e-3, "3": 1e-3}),
    *layered("dead_units", **{"1": 0.1}), *layered("saturation", **{"4": 0.2}),
    *layered("zero_fraction", **{"1": 0.5}),
)  # fmt: skip
SAME = Overlap(first="train", second="validation", shared=0, n=100, same_set=False, by="pixels")

HEALTHY = Signals(
    origin="watch", framework="torch 2", task="classify", pretrained=True, layers=LAYERS,
    batchnorms=(NORM,), objectives=(LOSS,), outputs=(OUTPUTS,), targets=(TRAIN, VALIDATION),
    inputs=(IMAGES, replace(IMAGES, part="validation")),
    expected=Expected(backbone="lite0", mean=(0.5,) * 3, std=(0.5,) * 3, size=(224, 224), source="timm"),
    feeding=(FED, replace(FED, part="validation", shuffled=False)),
    whole=WHOLE, overlaps=(SAME, replace(SAME, first="validation", second="test")), optimizers=(SGD,),
    comparisons=(Comparison(where="t.py:1", times=4, of="class indices", whole=1.0),),
    series=SERIES, best_chosen_on="validation", steps=40, epochs=8.0, planned_epochs=8.0,
    images={"train": 100, "validation": 100, "test": 100}, ended="finished",
    baselines=tuple(
        Baseline(series="accuracy", on=on, value=0.25, rule="the most frequent class", n=100)
        for on in ("validation", "train (evaluation mode)")
    ),
    histograms=(
        Histogram(on="train (running)", epoch=8, predicted=(100,) * 4, true=(100,) * 4, hits=(90,) * 4),
        Histogram(on="validation", epoch=8, predicted=(25,) * 4, true=(25,) * 4, hits=(21,) * 4),
    ),
    points=(
        *curve("loss", "train (running)", (1.2, 0.8, 0.6, 0.5, 0.45, 0.42, 0.41, 0.40)),
        *curve("loss", "validation", (1.2, 0.8, 0.65, 0.58, 0.56, 0.55, 0.55, 0.55)),
        *curve("accuracy", "train (running)", (0.5, 0.7, 0.8, 0.85, 0.87, 0.88, 0.89, 0.9)),
        *curve("accuracy", "train (evaluation mode)", (0.91,)),
        *curve("accuracy", "train (training mode)", (0.9,)),
        *curve("accuracy", "validation", (0.5, 0.7, 0.78, 0.8, 0.82, 0.83, 0.84, 0.84)),
    ),
)  # fmt: skip


def sick(**changes):
    return replace(HEALTHY, **changes)


def series(*changed):
    names = {(s.name, s.layer) for s in changed}
    return (*(s for s in SERIES if (s.name, s.layer) not in names), *changed)


def points(**curves):
    """Points with some curves replaced; names such as `loss__validation`."""
    on = {"validation": "validation", "running": "train (running)", "evaluation": "train (evaluation mode)",
          "training": "train (training mode)"}  # fmt: skip
    keys = {(k.split("__")[0], on[k.split("__")[1]]): v for k, v in curves.items()}
    kept = tuple(p for p in HEALTHY.points if (p.series, p.on) not in keys)
    return kept + tuple(p for (name, part), v in keys.items() for p in curve(name, part, v))


def changed(record, **changes):
    return (replace(record, **changes),)


POOR = points(
    accuracy__evaluation=(0.3,), accuracy__training=(0.3,), accuracy__running=(0.3,) * 8,
    accuracy__validation=(0.26,) * 8, loss__running=(1.38,) * 8, loss__validation=(1.39,) * 8,
)  # fmt: skip
STUCK = sick(
    points=points(
        accuracy__evaluation=(0.3,), accuracy__running=(0.3,) * 16, accuracy__validation=(0.26,) * 16,
        loss__running=(1.40, 1.38) * 8, loss__validation=(1.39,) * 16,
    ),
    steps=4000, epochs=16.0, images={"train": 400, "validation": 400, "test": 100},
)  # fmt: skip
"""Old enough to be blamed: 4,000 steps of a thousandth of the weights, flat for 8 of 16 epochs."""
COUNTS = replace(TRAIN, encoding="counts", maximum=9, mean=3.0, std=2.0, by_class=None)
FLAT = [1.4] * 40

SICK = {
    "nothing-trainable": sick(layers=tuple(replace(layer, trainable=0, optimized=0) for layer in LAYERS)),
    "loss-activation-mismatch": sick(objectives=changed(LOSS, activation="softmax")),
    "label-encoding-mismatch": sick(targets=(replace(TRAIN, encoding="multi-hot"), VALIDATION)),
    "broadcast-in-loss": sick(
        objectives=changed(LOSS, name="mse_loss", shapes=((32, 1), (32,)), shapes_differ=True)
    ),
    "outputs-do-not-fit-classes": sick(objectives=changed(LOSS, outputs=1000)),
    "frozen-batchnorm-in-training-mode": sick(batchnorms=changed(NORM, steps_by_batch=10, drift=0.4)),
    "left-in-evaluation-mode": sick(
        layers=(*LAYERS, Layer(name="4", kind="Dropout", parameters=0, trainable=0)),
        series=series(line("training_mode", [1.0] * 8 + [0.0] * 32)),
    ),
    "batchnorm-tiny-batches": sick(
        batchnorms=changed(NORM, steps_by_batch=10, below_frozen=False), feeding=changed(FED, batch_size=2)
    ),
    "preprocessing-mismatch": sick(inputs=changed(IMAGES, minimum=0.0, maximum=1.0)),
    "inputs-not-scaled": sick(
        pretrained=False, points=POOR, batchnorms=(),
        inputs=changed(IMAGES, minimum=0.0, maximum=255.0, mean=(110.0,) * 3, std=(60.0,) * 3),
    ),
    "parts-scaled-differently": sick(
        inputs=(IMAGES, replace(IMAGES, part="validation", mean=(90.0,) * 3, std=(60.0,) * 3))
    ),
    "statistics-of-all-parts": sick(
        whole=replace(WHOLE, train_mean=(0.05,) * 3, mean=(0.0,) * 3, std=(1.0,) * 3)
    ),
    "small-inputs": sick(inputs=changed(IMAGES, shape=(3, 64, 64))),
    "augmentation-in-evaluation": sick(
        inputs=(IMAGES, replace(IMAGES, part="validation", same_twice=False))
    ),
    "constant-inputs": sick(inputs=changed(IMAGES, constant_images=32)),
    "repeated-inputs": sick(inputs=changed(IMAGES, repeated_images=40)),
    "label-order-mismatch": sick(
        feeding=(replace(FED, classes=("a", "b")), replace(FED, part="validation", classes=("b", "a")))
    ),
    "split-leak": sick(overlaps=changed(SAME, shared=20)),
    "validation-is-training": sick(overlaps=changed(SAME, shared=100, same_set=True)),
    "test-is-validation": sick(
        overlaps=(SAME, replace(SAME, first="validation", second="test", shared=100))
    ),
    "class-not-in-training": sick(targets=(replace(TRAIN, by_class=(0, 200, 100, 100)), VALIDATION)),
    "class-shares-differ": sick(targets=(TRAIN, replace(VALIDATION, by_class=(91, 3, 3, 3)))),
    "too-few-images-to-tell": sick(images={"train": 100, "validation": 20}),
    "unshuffled-training": sick(
        feeding=changed(FED, shuffled=False, sampler="SequentialSampler", neighbours_equal=0.97)
    ),
    "results-change-with-seed-kept": sick(feeding=changed(FED, same_under_seed=False)),
    "same-order-every-epoch": sick(feeding=changed(FED, same_order=True)),
    "parameters-not-in-optimizer": sick(layers=(*LAYERS[:3], replace(LAYERS[3], optimized=0))),
    "parameters-without-gradient": sick(optimizers=changed(SGD, without_gradient=("0.weight",))),
    "gradients-not-zeroed": sick(optimizers=changed(SGD, zeroed_share=0.02)),
    "no-activation-between-layers": sick(
        layers=(LAYERS[0], LAYERS[2], LAYERS[3]), series=(line("loss", FALLING),)
    ),
    "softmax-between-layers": sick(
        points=POOR, layers=(LAYERS[0], replace(LAYERS[1], kind="Softmax"), *LAYERS[2:])
    ),
    "weights-begin-equal": sick(points=POOR, series=series(*layered("equal_units", **{"0": 1.0}))),
    "schedule-idle": sick(optimizers=changed(SGD, scheduler="StepLR", scheduler_steps=0)),
    "metric-rounded-too-late": sick(
        task="count",
        comparisons=(Comparison(where="t.py:9", times=3, of="raw", whole=0.0, rounded_after=True),),
    ),
    "accuracy-on-counts": sick(
        task="count", comparisons=(Comparison(where="t.py:9", times=3, of="rounded", whole=1.0),)
    ),
    "best-chosen-on-test": sick(best_chosen_on="test"),
    "loss-not-a-number": sick(series=series(line("loss", [1.4, None, None]))),
    "learning-rate-too-high": sick(
        points=POOR,
        series=series(line("loss", [1.4 + i for i in range(40)]),
                      *layered("update_ratio", **{"0": 0.5, "2": 0.5, "3": 0.5})),
    ),
    "pretrained-weights-wrecked": sick(
        points=POOR, series=series(*layered("update_ratio", **{"0": 0.05, "2": 0.05, "3": 0.05}))
    ),
    "learning-rate-too-low": sick(
        points=POOR,
        series=series(line("loss", FLAT), *layered("update_ratio", **{"0": 1e-7, "2": 1e-7, "3": 1e-7})),
    ),
    "decayed-too-soon": sick(
        points=POOR, series=series(line("learning_rate", [0.01 * 0.4**i for i in range(40)]))
    ),
    "weight-decay-too-strong": sick(
        points=POOR, optimizers=changed(SGD, weight_decays=(5.0,)),
        series=series(*(line("weight_norm", [5 * 0.9**i for i in range(40)], x) for x in "023")),
    ),
    "too-much-dropout": sick(
        points=POOR,
        layers=(*LAYERS, Layer(name="4", kind="Dropout", parameters=0, trainable=0, settings={"p": 0.95})),
    ),
    "first-loss-too-high": sick(points=POOR, series=series(line("loss", [40.0, *FALLING[1:]]))),
    "exploding-gradient": sick(series=series(line("gradient_norm", [1.0] * 20 + [1e6] * 20))),
    "vanishing-gradient": sick(points=POOR, series=series(*layered("gradient_norm", **{"0": 1e-8}))),
    "dead-units": sick(points=POOR, series=series(*layered("dead_units", **{"1": 1.0}))),
    "saturated-units": sick(points=POOR, series=series(*layered("saturation", **{"4": 0.99}))),
    "outputs-collapsed": sick(outputs=changed(OUTPUTS, constant=1.0)),
    "memorising": sick(points=points(accuracy__evaluation=(1.0,), accuracy__validation=(0.26,) * 8)),
    "no-better-than-baseline": STUCK,
    "overfitting": sick(
        points=points(
            loss__validation=(1.2, 0.8, 0.7, 0.8, 0.9, 1.1, 1.2, 1.3),
            loss__running=(1.2, 0.8, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02),
            accuracy__validation=(0.5, 0.6, 0.65, 0.6, 0.6, 0.6, 0.6, 0.6), accuracy__evaluation=(1.0,),
        )
    ),
    "underfitting": replace(STUCK, points=tuple(
        replace(p, value=0.4) if (p.series, p.on) == ("accuracy", "validation") else p for p in STUCK.points
    )),
    "not-converged": sick(
        points=points(loss__validation=(2.0, 1.7, 1.4, 1.1, 0.9, 0.7, 0.5, 0.35))
    ),
    "rare-classes-lost": sick(
        histograms=(
            Histogram(on="validation", epoch=8, predicted=(100, 0), true=(90, 10), hits=(90, 0)),
        )
    ),
    "loss-falls-metric-stands": sick(
        points=points(
            accuracy__validation=(0.7,) * 8, loss__validation=(1.2, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
        )
    ),
    "modes-measured-differently": sick(points=points(accuracy__training=(0.4,))),
    "data-starved": sick(
        series=series(line("waiting_seconds", [0.5] * 40), line("computing_seconds", [0.1] * 40))
    ),
    "memory-grows": sick(series=series(line("memory_mb", [500.0 + 50 * i for i in range(40)]))),
}  # fmt: skip
