"""Images that reach the network otherwise than it, or the other part, expects."""

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked, otherwise
from affinage.diagnosis.reading import inputs_of
from affinage.records.signals import Signals
from affinage.records.training_facts import Expected, InputFacts

_KNOWN = {"[0, 255]": (0.0, 255.0), "[0, 1]": (0.0, 1.0), "[-1, 1]": (-1.0, 1.0)}
_FEW = 8


def mismatch(signals: Signals) -> Answered:
    """The range of the images is not that of the backbone's training.

    A finding is certain where values lie outside the range that the backbone knows, or where they fill
    another usual range exactly; a narrow range within the right one may be dull photographs.
    """
    seen, expected = inputs_of(signals), signals.expected
    if expected is None or seen is None:
        return Unchecked("the backbone or its inputs are not known")
    if signals.pretrained is False:
        return Fine("the network was not trained before, so no preprocessing is owed to it")
    if seen.n < _FEW:
        return Unchecked(f"only {seen.n} images were looked at")
    low, high = _range(expected)
    usual = _usual(seen)
    width = high - low
    outside = max(low - seen.minimum, seen.maximum - high) > 0.35 * width
    other = usual is not None and _differs(_KNOWN[usual], (low, high))
    if not outside and not other:
        return Fine(
            f"values from {seen.minimum:.2f} to {seen.maximum:.2f} fit {low:.2f} to {high:.2f}"
        )
    found = f"from {seen.minimum:.2f} to {seen.maximum:.2f}"
    mean, std = (
        ", ".join(f"{m:g}" for m in expected.mean),
        ", ".join(f"{s:g}" for s in expected.std),
    )
    return Found(
        subject=f"Images reach {expected.backbone} with values {found}; it was trained on "
        f"{low:.2f} to {high:.2f}.",
        evidence=(
            f"mean by channel {tuple(round(m, 2) for m in seen.mean)} over {seen.n} images",
            f"expected: (x - ({mean})) / ({std}) of values in [0, 1], from {expected.source}",
        ),
        remedy=f"Normalise by the backbone's own statistics: Normalize(mean=({mean}), std=({std})).",
        grade="measured",
        where=("train",),
        alternatives=otherwise(
            "dark or dull photographs",
            "the values fill another usual range, or leave the expected one",
        ),
    )


def _range(expected: Expected) -> tuple[float, float]:
    if expected.inside:
        return 0.0, 255.0
    pairs = list(zip(expected.mean, expected.std, strict=True))
    return min(-m / s for m, s in pairs), max((1 - m) / s for m, s in pairs)


def _usual(seen: InputFacts) -> str | None:
    """Return the usual range that the values fill to its ends."""
    for name, (low, high) in _KNOWN.items():
        slack = 0.04 * (high - low)
        if abs(seen.minimum - low) < slack and abs(seen.maximum - high) < 2 * slack:
            return name
    return None


def _differs(one: tuple[float, float], other: tuple[float, float]) -> bool:
    width = other[1] - other[0]
    return abs(one[0] - other[0]) > 0.25 * width or abs(one[1] - other[1]) > 0.25 * width


def differs_between_parts(signals: Signals) -> Answered:
    """Training and validation images are scaled differently."""
    train, validation = inputs_of(signals), inputs_of(signals, "validation")
    if train is None or validation is None:
        return Unchecked("images of only one part were seen")
    if min(train.n, validation.n) < _FEW or len(train.mean) != len(validation.mean):
        return Unchecked("too few images of both parts were seen")
    spread = sum(train.std) / len(train.std) or 1.0
    shift = max(abs(a - b) for a, b in zip(train.mean, validation.mean, strict=True)) / spread
    ratio = sum(validation.std) / (sum(train.std) or 1.0)
    if shift < 1.0 and 0.4 < ratio < 2.5:
        return Fine(
            f"means differ by {shift:.2f} standard deviations, spreads by a factor {ratio:.2f}"
        )
    return Found(
        subject="Validation images are scaled otherwise than training images: their mean "
        f"lies {shift:.1f} "
        f"standard deviations away, their spread is {ratio:.2g} times as large.",
        evidence=(
            f"train: mean {train.mean[0]:.3g}, std {train.std[0]:.3g} (n = {train.n})",
            f"validation: mean {validation.mean[0]:.3g}, std {validation.std[0]:.3g} (n = "
            f"{validation.n})",
        ),
        remedy="Use the same Normalize (and the same rescaling) in both transforms.",
        grade="measured",
        where=("train", "validation"),
        alternatives=otherwise(
            "photographs of another kind",
            "other photographs rarely change the scale of the numbers that much",
        ),
    )


def too_small(signals: Signals) -> Answered:
    """Images are far smaller than those that the backbone learnt from."""
    seen, expected = inputs_of(signals), signals.expected
    if seen is None or expected is None or expected.size is None or len(seen.shape) < 3:
        return Unchecked("the size that the backbone wants is not known")
    got, wanted = min(seen.shape[-2:]), min(expected.size)
    if 2 * got > wanted or signals.pretrained is False:
        return Fine(f"images of {got} pixels for a backbone trained at {wanted}")
    return Found(
        subject=f"Images are {got} pixels wide; {expected.backbone} learnt from {wanted}.",
        remedy=f"Resize to {wanted} pixels, or expect the pretrained features to be worth less.",
        grade="fact",
    )


def augmented_evaluation(signals: Signals) -> Answered:
    """Validation images change at random."""
    seen = inputs_of(signals, "validation") or inputs_of(signals, "test")
    if seen is None or seen.same_twice is None:
        return Unchecked("no validation image was asked for twice")
    if seen.same_twice:
        return Fine("the same validation image comes out the same twice")
    return Found(
        subject=f"The same {seen.part} image comes out different each time: augmentation is "
        "on in evaluation.",
        evidence=("4 images were asked for twice",),
        remedy="Give validation and test a transform of its own, without random parts.",
        grade="measured",
        where=(seen.part,),
    )


def constant(signals: Signals) -> Answered:
    """Many images are one flat colour."""
    seen = inputs_of(signals)
    if seen is None or seen.n < _FEW:
        return Unchecked("too few images were looked at")
    share = seen.constant_images / seen.n
    if share < 0.1:
        return Fine(f"{seen.constant_images} of {seen.n} images are one flat colour")
    return Found(
        subject=f"{seen.constant_images} of {seen.n} training images are one flat colour "
        "when they reach the network.",
        remedy="Show one batch as pictures after all transforms: look for a wrong scale, and for "
        "files that could not "
        "be read.",
        grade="measured",
        where=("train",),
    )


def repeats(signals: Signals) -> bool:
    """Return whether a few images come again and again, so that others may never come."""
    return isinstance(repeated(signals), Found)


def repeated(signals: Signals) -> Answered:
    """The same images come again and again within an epoch."""
    seen = inputs_of(signals)
    if seen is None or seen.n < 32:
        return Unchecked("too few images were looked at")
    fed = next((f for f in signals.feeding or () if f.part == "train"), None)
    if fed is None or fed.images is None:
        return Unchecked("batches came from no loader, so where an epoch ends is not known")
    if "Weighted" in fed.sampler:
        return Fine("a weighted sampler repeats images on purpose")
    if 0 < seen.repeated_images <= seen.constant_images:
        return Fine("only flat images are alike, which another rule judges")
    share = seen.repeated_images / seen.n
    if share < 0.2:
        return Fine(f"{seen.repeated_images} of {seen.n} images came twice within an epoch")
    return Found(
        subject=f"{seen.repeated_images} of {seen.n} training images looked at came more "
        "than once within an epoch.",
        remedy="Check that the data set returns the image of the index that it is asked for.",
        grade="measured",
        where=("train",),
        alternatives=otherwise("copies among the files", "an audit of the folder would list them"),
    )


def statistics_of_all(signals: Signals) -> Answered:
    """Images were standardised by statistics that validation or test had a part in.

    Told by what such statistics leave behind: all parts together have mean 0 and deviation 1 to a
    thousandth, and the training part alone has not.
    """
    whole = signals.whole
    if whole is None:
        return Unchecked("the images of two parts were not seen as a whole")
    others = " and ".join(whole.parts[1:])
    own, all_ = (
        _off_standard(mean, std)
        for mean, std in ((whole.train_mean, whole.train_std), (whole.mean, whole.std))
    )
    if all_ > _EXACT or own < 3 * _EXACT:
        return Fine(
            f"training images are {own:.3f} off mean 0 and deviation 1, with {others} {all_:.3f}"
        )
    return Found(
        subject=f"Images were standardised by the statistics of training and {others} together: "
        f"over all {whole.images:,} images mean and deviation are 0 and 1 to {all_:.4f}, over the "
        f"{whole.train_images:,} training images only to {own:.3f}.",
        evidence=(
            f"training alone: mean {_few(whole.train_mean)}, deviation {_few(whole.train_std)}",
            f"with {others}: mean {_few(whole.mean)}, deviation {_few(whole.std)}",
        ),
        remedy="Compute mean and deviation on the training part only, and use them for all parts.",
        grade="measured",
        where=whole.parts[1:],
        alternatives=otherwise(
            "chance", "the parts would have to balance to a thousandth of a deviation"
        ),
    )


_EXACT = 1e-3
"""How near to 0 and 1 statistics come when they are the images' own, in single precision."""


def _off_standard(mean: tuple[float, ...], std: tuple[float, ...]) -> float:
    """Return how far values are from mean 0 and deviation 1: by channel, or over all channels."""
    by_channel = max(*map(abs, mean), *(abs(s - 1) for s in std))
    middle = sum(mean) / len(mean)
    spread = (
        sum(s**2 + m**2 for m, s in zip(mean, std, strict=True)) / len(mean) - middle**2
    ) ** 0.5
    return float(min(by_channel, max(abs(middle), abs(spread - 1))))


def _few(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.3f}" for value in values[:4]) + (", …" if len(values) > 4 else "")
