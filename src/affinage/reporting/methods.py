"""The methods paragraph: what a scientist can paste, said of the record and of nothing else."""

import math

from affinage.errors import RecipeError
from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.evaluation import Evaluation
from affinage.records.preprocessing import Preprocessing
from affinage.records.recipe import Recipe
from affinage.records.recipe_text import stored_recipe
from affinage.records.run import RunRecord
from affinage.reporting.methods_training import training_sentences
from affinage.reporting.verdict import METRICS, deciding, goal_clause, validation_chose
from affinage.reporting.voices import voice_of
from affinage.reporting.words import (
    count,
    estimated,
    interval,
    label,
    listed,
    millions,
    number,
    sentence,
)


def methods_paragraphs(run: RunRecord) -> tuple[str, ...]:
    """Return data and model, training, and evaluation, each as a paragraph of full sentences."""
    recipe = readable_recipe(run)
    return tuple(
        " ".join(sentence(part) for part in parts if part)
        for parts in (
            [_data(run), _parts(run, recipe), _backbone(run, recipe), _preprocessing(run)],
            [*training_sentences(run, recipe), run.choice, _calibration(run)],
            [*_evaluation(run), _software(run)],
        )
    )


def readable_recipe(run: RunRecord) -> Recipe | None:
    """Return the run's settings; None where they are of a format that this version cannot read."""
    try:
        return stored_recipe(run.recipe)
    except RecipeError:
        return None


def _data(run: RunRecord) -> str:
    train, test = run.split.get("train", 0), run.split.get("test", 0)
    classes = count(len(run.class_counts), "class", "classes")
    if run.closed_set:
        text = (
            f"The data set {label(run.data)} held {count(train + test, 'image')} of {classes}; "
            f"{count(train, 'image')} served both as training and, on purpose, as validation images"
        )
        return text + (f", and {count(test, 'image')} as test images" if test else "")
    words = [f"{count(run.split.get(part, 0))} {part}" for part in ("train", "validation", "test")]
    words = [word.replace("train", "training") for word in words if not word.startswith("0 ")]
    total = count(sum(run.split.values()), "image")
    return f"The data set {label(run.data)}, {total} of {classes}, was divided into {listed(words)} images"


def _parts(run: RunRecord, recipe: Recipe | None) -> str:
    if run.closed_set:
        return ""
    text = "No image, identified by the SHA-256 checksum of its file, was in more than one part"
    crossing = any(finding.code == "group-across-parts" for finding in run.findings)
    if recipe is not None and recipe.split.group and not crossing:
        text += f", nor was any value of '{label(recipe.split.group)}'"
    return text


def _backbone(run: RunRecord, recipe: Recipe | None) -> str:
    model, timm = run.model, run.environment.packages.get("timm")
    of = f"timm {timm}; " if timm else ""
    size = f"{of}{millions(model.parameters)} weights, the classification head included"
    name = f"The backbone was {label(model.backbone)} ({size})"
    if (recipe is not None and not recipe.model.pretrained) or not model.weights_sha256:
        return f"{name}, started from random weights"
    licence = f"licence {label(model.licence)}; " if model.licence else ""
    return (
        f"{name}, started from {label(model.weights)} "
        f"({licence}SHA-256 {model.weights_sha256[:12]}…)"
    )


def _preprocessing(run: RunRecord) -> str:
    view: Preprocessing = run.model.preprocessing
    if view.whole:
        return (
            f"Images were squeezed as a whole to {view.width} × {view.height} pixels with "
            f"{view.interpolation} interpolation and anti-aliasing, {_scaled(view)}"
        )
    if view.width == view.height:
        resized = f"to {math.floor(view.width / view.crop)} pixels on their shorter side"
    else:
        resized = f"so that the crop keeps {100 * view.crop:.4g} % of each side"
    return (
        f"Images were resized with {view.interpolation} interpolation and anti-aliasing {resized}, "
        f"cropped at the centre to {view.width} × {view.height} pixels, {_scaled(view)}"
    )


def _scaled(view: Preprocessing) -> str:
    means, deviations = (listed([f"{v:.4g}" for v in values]) for values in (view.mean, view.std))
    return (
        "scaled to 0–1, and standardised per channel "
        f"(means {means}; standard deviations {deviations})"
    )


def _calibration(run: RunRecord) -> str:
    parts = []
    if run.model.calibration.temperature != 1.0:
        parts.append(
            "probabilities were calibrated on the validation images by temperature scaling "
            f"(T = {run.model.calibration.temperature:.3g})"
        )
    if run.model.calibration.threshold is not None:
        parts.append(
            f"{label(run.model.calibration.positive)} was called from a probability of "
            f"{number(run.model.calibration.threshold)}"
        )
    return ", and ".join(parts)


def _evaluation(run: RunRecord) -> list[str]:
    evaluation = deciding(run)
    if evaluation is None:
        return []
    return [*_scored(evaluation), *_trust(run, evaluation)]


def _scored(evaluation: AnyEvaluation) -> list[str]:
    voice = voice_of(evaluation)
    if voice is not None:
        return voice.methods(evaluation)
    assert isinstance(evaluation, Evaluation)
    images = count(evaluation.n, f"{evaluation.part} image")
    opening = (
        f"On the same {count(evaluation.n, 'image')} that it was trained on"
        if evaluation.memory_test
        else f"On {images}"
    )
    scores = [
        f"{name} {estimated(getattr(evaluation, key), share=key != 'log_loss')} "
        f"({interval(getattr(evaluation, key), share=key != 'log_loss')})"
        for key, name in METRICS.items()
        if getattr(evaluation, key).value is not None
    ]
    intervals = (
        "Intervals in parentheses are 95 % intervals: Wilson's score interval for accuracy, "
        "precision and recall, percentile bootstrap for the other scores"
    )
    sentences = [f"{opening}, the model reached {listed(scores)}", intervals]
    if evaluation.baselines:
        names = {
            "largest_class": "always naming the largest training class",
            "nearest_neighbour": "naming the class of the nearest training image on frozen features",
        }
        rivals = [
            f"{names.get(key, key.replace('_', ' '))} scored {estimated(value)}"
            for key, value in evaluation.baselines.items()
            if value.value is not None
        ]
        sentences.append(f"On the same images, {listed(rivals)}" if rivals else "")
    return sentences


def _trust(run: RunRecord, evaluation: AnyEvaluation) -> list[str]:
    """Return how often these images were measured, and whether they had a say in the model."""
    sentences: list[str] = []
    if evaluation.part == "test":
        n = len(run.looks)
        if n == 1:
            sentences.append("The test images were measured once, after all choices had been made")
        elif n > 1:
            sentences.append(f"These test images had been measured {n} times, this time included")
    elif not evaluation.memory_test and validation_chose(run):
        sentences.append("The same images chose the model, so that these scores are optimistic")
    if run.goal is not None:
        sentences.append(f"Declared before training, {goal_clause(run.goal)}")
    return sentences


def _software(run: RunRecord) -> str:
    here = run.environment
    wanted = ("torch", "timm", "numpy", "scikit-learn", "opencv-python-headless")
    names = {"torch": "PyTorch", "numpy": "NumPy", "opencv-python-headless": "OpenCV"}
    versions = [
        f"{names.get(name, name)} {here.packages[name]}" for name in wanted if name in here.packages
    ]
    software = listed([f"Affinage {here.affinage}", f"Python {here.python}", *versions])
    place = f"{here.device} ({label(here.processor)}, {here.platform})"
    return f"Everything was computed with {software} on {place}, with the seed {run.seed}"
