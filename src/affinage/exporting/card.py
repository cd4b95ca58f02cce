"""The model card and the note on the weights' licence, which travel with a bundle."""

from affinage.records.bundle import Bundle, Loss, Reading, Stage
from affinage.records.preprocessing import Preprocessing

_ANSWERS = {
    "probability": "`outputs` are calibrated probabilities of the labels, in this order",
    "count": "`outputs` are expected numbers of objects of each label, in this order",
    "share": "`outputs` are the labels' expected shares of the objects, in this order",
}
_PERMISSIVE = ("apache-2.0", "mit", "bsd-3-clause")


def model_card(bundle: Bundle) -> str:
    """Return the card of a bundle as Markdown: what it is for, what it is worth, and how it was proved."""
    origin, reading = bundle.origin, bundle.reading
    blocks = [
        f"# {origin.run}",
        f"{_TASKS[reading.task]} Made by affinage {origin.affinage} on {origin.created[:10]} "
        f"from the run `{origin.run}` on the data `{origin.data}`.",
        f"## Answers\n\n{_ANSWERS[reading.kind]}:\n\n"
        + "\n".join(f"{number}. {name}" for number, name in enumerate(reading.labels)),
        _rule(reading),
        f"## Input\n\n{_input(bundle)}",
        f"## What it is worth\n\n{_scores(bundle)}",
        f"## Proof\n\n{_proof(bundle)}",
        f"## Where it comes from\n\n{origin.backbone}, {origin.parameters:,} weights, from "
        f"{origin.weights}; licence of these: {origin.licence} (LICENCE-OF-WEIGHTS.txt).",
        "## Limits\n\nA probability says how sure the model is among the labels that it knows, not "
        "whether the image shows one of them. Images from another camera, place or time than the "
        "training images can be answered wrongly and surely; `affinage monitor` compares them with "
        "the baseline that lies in this folder.",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def licence_note(bundle: Bundle) -> str:
    """Return what to know of the licence before the weights are passed on."""
    origin = bundle.origin
    known = origin.licence.lower()
    if known == "none":
        what = "The training started from random weights: nobody else's licence is on them."
    elif known in _PERMISSIVE:
        what = (
            f"The starting weights are under {origin.licence}: they may be used and passed on, "
            "changed or not, with this notice."
        )
    else:
        what = (
            f"The starting weights are under '{origin.licence}': read it before you pass this on or "
            "sell what it does."
        )
    return (
        f"Network: {origin.backbone}\nStarting weights: {origin.weights}\n"
        f"Licence of the starting weights: {origin.licence}\n\n{what}\n"
        "The images that the model learnt from may carry conditions of their own.\n"
    )


_TASKS = {
    "classify": "Gives each image one label.",
    "multilabel": "Gives each image any number of labels.",
    "count": "Counts the objects of each label in an image.",
}


def _rule(reading: Reading) -> str:
    if reading.threshold is not None:
        return (
            f"`{reading.positive}` is called from a probability of {reading.threshold:.4g} on "
            f"({reading.rule})."
        )
    if reading.thresholds:
        cuts = zip(reading.labels, reading.thresholds, strict=True)
        return (
            "A label is given from: " + ", ".join(f"{name} {cut:.4g}" for name, cut in cuts) + "."
        )
    return "The label is the most probable one." if reading.kind == "probability" else ""


def _input(bundle: Bundle) -> str:
    steps = described(bundle.preprocessing)
    if bundle.any_size:
        return (
            "`images`: uint8, RGB, shape (batch, height, width, 3), any size, the right way up. The model "
            f"itself then: {steps}. With the optional input `prepared` true, images are taken as "
            f"views of {bundle.preprocessing.height} × {bundle.preprocessing.width} already."
        )
    batch = bundle.batch or "batch"
    return (
        f"`images`: uint8, RGB, shape ({batch}, {bundle.preprocessing.height}, "
        f"{bundle.preprocessing.width}, 3). Before that: {steps} (the model normalises by itself)."
    )


def described(preprocessing: Preprocessing) -> str:
    """Return the way from a frame to the tensor in words."""
    kind = preprocessing
    covering = int(kind.height / kind.crop), int(kind.width / kind.crop)
    if kind.whole:
        cut = f"the whole frame is squeezed to {kind.height} × {kind.width}"
    elif covering[0] == covering[1]:
        cut = f"the shorter side is resized to {covering[0]}, the centre {kind.height} × {kind.width} cut"
    else:
        cut = (
            f"the frame is resized to cover {covering[0]} × {covering[1]}, "
            f"the centre {kind.height} × {kind.width} cut"
        )
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (kind.mean, kind.std))
    white = ", then whitened by a convolution" if kind.whitening else ""
    normal = f"divided by 255, less mean ({mean}), by std ({std})"
    return f"{cut} ({kind.interpolation}, anti-aliased), {normal}{white}"


def _scores(bundle: Bundle) -> str:
    lines = ["| part | score | value | 95 % interval | images |", "| --- | --- | --- | --- | --- |"]
    for part, scores in bundle.origin.scores.items():
        lines += [
            f"| {part} | {name.replace('_', ' ')} | {_number(one.value)} | "
            f"{_number(one.low)} to {_number(one.high)} | {one.n:,} |"
            for name, one in scores.items()
        ]
    sizes = bundle.origin
    learnt = f"Learnt from {sizes.train:,} images, chosen on {sizes.validation:,}, tested on {sizes.test:,}."
    if sizes.choice:
        learnt += f" {sizes.choice}"
    loss = f"\n\n{lost_in_words(bundle.loss)}" if bundle.loss else ""
    return f"{learnt} These are the scores of the trained model:\n\n" + "\n".join(lines) + loss


def lost_in_words(loss: Loss) -> str:
    """Return what a lower precision costs, as a sentence."""
    unit = "% of it" if loss.metric == "mae" else "points"
    name = loss.metric.replace("_", " ")
    held = " at the upper end" if loss.surely else ""
    return (
        f"{name}: {_number(loss.before.value)} before, {_number(loss.after.value)} after; lost "
        f"{_signed(loss.lost.value)} {unit} ({_signed(loss.lost.low)} to {_signed(loss.lost.high)}, "
        f"paired, {loss.lost.n:,} images; {loss.allowed:g} allowed{held})."
    )


def _proof(bundle: Bundle) -> str:
    parity = bundle.parity
    rows = [
        f"| {stage.name} | {stage.max_abs_difference:.3g} | {allowed_in_words(bundle, stage)} |"
        for stage in parity.stages
    ]
    return (
        f"{bundle.model_format}, {bundle.precision}, compared with {parity.against} on {parity.images:,} "
        f"images of the validation part: {parity.changed_top1:,} get another answer.\n\n"
        "| stage | largest difference | allowed |\n| --- | --- | --- |\n" + "\n".join(rows)
    )


def allowed_in_words(bundle: Bundle, stage: Stage) -> str:
    """Return how far a stage of the proof may be off, for a table."""
    if stage.allowed is not None:
        return f"{stage.allowed:.3g}"
    exact = stage.name == "answers" and bundle.precision == "fp32"
    return "no other answer" if exact else "told only"


def _number(value: float | None) -> str:
    return "not enough data to say" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.2f}"
