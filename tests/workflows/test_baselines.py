"""Classical baselines, in real trainings from the images to an answer."""

import numpy as np
import pytest

import affinage
from affinage.errors import RecipeError, RunError
from affinage.heads.nearest import nearest_neighbour
from affinage.workflows.recipes import resolve_recipe
from affinage.workflows.reporter import Silent
from real_digits import SMALL

WORDS = ("model.backbone=sift_words", "model.sift_words.words=30", "model.width=64",
         "model.height=64")  # fmt: skip
FROZEN = (*SMALL[:2], "stages=features")

BASELINES = {
    "words and planes": (*WORDS, "features.head=svm"),
    "words and neighbours": (*WORDS, "features.head=nearest"),
    "words and logistic regression": WORDS,
    "nearest on frozen features": (*FROZEN, "features.head=nearest"),
    "planes on frozen features": (*FROZEN, "features.head=svm"),
    "logistic regression on frozen features": FROZEN,
}


@pytest.fixture(scope="module", params=BASELINES, ids=lambda name: name.replace(" ", "-"))
def run(request, digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("baseline")
    return affinage.train(
        digits, data=folder / "data", output=folder / "run", settings=BASELINES[request.param],
        reporter=Silent(),
    )  # fmt: skip


def test_a_baseline_goes_from_images_to_answers(run, digits):
    test = run.evaluation["test"]
    assert test.accuracy.low <= test.accuracy.value <= test.accuracy.high
    assert test.accuracy.value > test.baselines["largest_class"].value
    assert (run.path / "report.html").stat().st_size > 10_000
    images = sorted(digits.glob("*/*.png"))[::7]
    answers = run.predict(images)
    assert {answer.label for answer in answers} <= {"0", "1", "2"}
    right = [
        answer.label == image.parent.name for answer, image in zip(answers, images, strict=True)
    ]
    assert np.mean(right) > 0.8


def test_a_baseline_that_is_loaded_again_scores_as_it_did(run, digits):
    again = affinage.evaluate(run.path, digits, reporter=Silent()).evaluation
    assert again.n == run.evaluation["test"].n  # What it learnt from is left out.
    assert again.accuracy == run.evaluation["test"].accuracy
    assert again.log_loss.value == pytest.approx(run.evaluation["test"].log_loss.value, abs=1e-4)


def test_the_nearest_head_answers_as_the_nearest_image_does(digits, tmp_path):
    run = affinage.train(
        digits, data=tmp_path / "data", output=tmp_path / "run",
        settings=[*BASELINES["nearest on frozen features"], "features.refit=false"],
        reporter=Silent(),
    )  # fmt: skip
    test = run.evaluation["test"]
    assert test.accuracy.value == test.baselines["nearest_neighbour"].value
    assert nearest_neighbour([[1.0, 0.0]], [2], [[0.5, 0.1]]).tolist() == [2]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ((*WORDS, "stages=features,finetune"), "no weights that could be fine-tuned"),
        ((*WORDS, "model.pretrained=true"), "no pretrained weights of sift_words"),
        ((*WORDS, "model.normalise=zca"), "plain pixels"),
        ((*WORDS, "model.head.pooling=max"), "no maps to pool"),
        ((*WORDS, "model.dropout=0.5"), "no layers that are trained"),
        (("features.head=svm",), "no start for fine-tuning"),
        (("features.head=nearest", "stages=finetune"), "there is no stage 'features'"),
        (("features.head=svm", "task=count", "stages=features"), "asks for more"),
        (("features.costs=1,2",), "Set features.head=svm"),
        (("model.sift_words.words=30",), "Set model.backbone=sift_words"),
        (("features.costs=0", "features.head=svm", "stages=features"), "greater than 0"),
    ],
)
def test_what_a_baseline_cannot_be_is_refused_with_the_reason(settings, reason):
    with pytest.raises(RecipeError, match=reason):
        resolve_recipe(None, settings)


def test_a_bag_of_words_goes_on_from_nothing(trained, digits, tmp_path):
    with pytest.raises(RunError, match="learns its vocabulary anew"):
        affinage.train(
            digits, data=tmp_path / "data", output=tmp_path / "run", settings=WORDS,
            start=trained.path, reporter=Silent(),
        )  # fmt: skip
