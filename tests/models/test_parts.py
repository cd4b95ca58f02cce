import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import affinage
from affinage.errors import ModelError, RunError
from affinage.models.build import stack
from affinage.models.contracts.checking import CONTRACTS, check_parts
from affinage.models.freeze import layer_groups, set_modes, set_trainable
from affinage.models.parts import Parts, fingerprint, own_backbone, require_parts
from affinage.models.small_networks import SMALL
from affinage.records.networks import ModelSettings
from affinage.records.preprocessing import Preprocessing
from affinage.records.recipe_text import parse_recipe
from affinage.training.losses import make_objective


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=4)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 12, 3, stride=2)

    def forward(self, images):
        return self.second(torch.relu(self.norm(self.first(images))))


def loss(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets, reduction="none")


def accuracy(predictions, targets):
    return float((predictions.argmax(1) == targets).mean())


def mirror_at_random(pixels, generator):
    return pixels[:, ::-1].copy() if generator.random() < 0.5 else pixels


WHOLE = Parts(model=Network(), loss=loss, metrics={"hits": accuracy}, transform=mirror_at_random)


# Parts that hold.


def test_good_parts_hold_all_of_their_contract():
    reports = check_parts(WHOLE, task="classify", classes=3, outputs=3)
    assert {report.kind: len(report.held) for report in reports} == {
        kind: len(checks) for kind, checks in CONTRACTS.items()
    }
    assert all(claim[0].isupper() for report in reports for claim in report.held)


@pytest.mark.parametrize("network", SMALL, ids=lambda network: network.name)
def test_our_own_networks_hold_it(network):
    settings = ModelSettings(backbone=network.name, pretrained=False)
    affinage.check_part("model", network.build(settings, 64, 64, None))


@pytest.mark.parametrize(
    "settings",
    [
        (), ("loss.name=focal",), ("task=multilabel",), ("task=count",),
        ("task=count", "loss.name=negative_binomial"), ("task=count", "loss.name=mse"),
    ],
)  # fmt: skip
def test_our_own_losses_hold_it(settings):
    recipe = parse_recipe(None, settings)
    label = recipe.task == "classify"
    targets = np.arange(3) if label else np.eye(3, dtype=np.float32)
    objective = make_objective(recipe, classes=3, targets=targets)
    affinage.check_part(
        "loss", objective.loss, task=recipe.task, classes=3, outputs=objective.outputs
    )


def test_the_examples_of_the_page_run_and_hold_it(capsys):
    page = Path(__file__).parents[2] / "docs" / "own-parts.md"
    names = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(block, names)
    assert "Pixels" in capsys.readouterr().out
    affinage.check_part("model", names["Network"]())
    affinage.check_part("loss", names["loss"])
    affinage.check_part("metric", names["second_guess"], classes=4)
    affinage.check_part("transform", names["salt"])


def test_a_check_leaves_the_module_as_it_was():
    module = Network().train()
    before = fingerprint(module)
    affinage.check_part("model", module)
    assert module.training
    assert fingerprint(module) == before


# Parts that don't, each broken in one way.


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Network()

    def forward(self, images):
        return self.inner(images)


class NoTensor(Wrapped):
    def forward(self, images):
        return (super().forward(images),)


class OneNumber(Wrapped):
    def forward(self, images):
        return super().forward(images).mean()


class Undefined(Wrapped):
    def forward(self, images):
        return super().forward(images) / 0.0 * 0.0


class AlwaysDrops(Wrapped):
    def forward(self, images):
        return nn.functional.dropout(super().forward(images), 0.5)


class SeesTheBatch(Wrapped):
    def forward(self, images):
        maps = super().forward(images)
        return maps - maps.mean(0)


class WritesIntoImages(Wrapped):
    def forward(self, images):
        return super().forward(images.mul_(2))


class CutsGradients(Wrapped):
    def forward(self, images):
        return super().forward(images).detach().requires_grad_()


class HoldsATensor(Wrapped):
    def __init__(self):
        super().__init__()
        self.scale = torch.ones(1)


class Raises(Wrapped):
    def forward(self, images):
        raise KeyError("weights")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Network, "not an nn.Module"),
        (NoTensor(), "a tuple, not a float tensor"),
        (OneNumber(), r"the shape \(\)"),
        (Undefined(), "undefined"),
        (AlwaysDrops(), "something else each time"),
        (SeesTheBatch(), "other images of its batch"),
        (WritesIntoImages(), "writes into its input"),
        (CutsGradients(), "no gradient reaches"),
        (HoldsATensor(), "'scale' is a plain tensor"),
        (Raises(), "it raised KeyError: 'weights'"),
    ],
)
def test_a_broken_model_is_told_in_words(part, said):
    with pytest.raises(ModelError, match=said):
        affinage.check_part("model", part)


def averaged(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets)


def overflowing(outputs, targets):
    return outputs.pow(2).exp().sum(1) + loss(outputs, targets)


def over_the_batch(outputs, targets):
    return loss(outputs - outputs.mean(0), targets)


def upward(outputs, targets):
    return (2 * outputs.detach() - outputs).sum(1)  # Its gradient has the wrong sign.


def no_gradient(outputs, targets):
    return loss(outputs.detach(), targets)


def writing(outputs, targets):
    targets.zero_()
    return loss(outputs, targets)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (averaged, "do not average"),
        (overflowing, "not finite at outputs around ±30"),
        (over_the_batch, "other images' outputs"),
        (upward, "does not lower it"),
        (no_gradient, "no gradient leads back"),
        (writing, "writes into its input"),
    ],
)
def test_a_broken_loss_is_told_in_words(part, said):
    with pytest.raises(ModelError, match=said):
        affinage.check_part("loss", part)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (lambda predictions, targets: float("nan"), "it gives nan"),
        (lambda predictions, targets: float(predictions[0, 0] + 0 * targets[0]), "reversed"),
        (lambda predictions, targets: 1.0, "for the truth and for its opposite"),
        (
            lambda predictions, targets: predictions.sort(0) or accuracy(predictions, targets),
            "writes",
        ),
    ],
)
def test_a_broken_metric_is_told_in_words(part, said):
    with pytest.raises(ModelError, match=said):
        affinage.check_part("metric", part)


def noise_of_its_own(pixels, generator):
    noise = np.random.randint(0, 9, pixels.shape, dtype=np.uint8)
    return pixels // 2 + noise


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (lambda pixels, generator: pixels / 255, "float64 instead of uint8"),
        (lambda pixels, generator: pixels[..., 0], r"it makes \(64, 48\)"),
        (lambda pixels, generator: pixels[16:, 16:], r"from the shape \(8, 8, 3\)"),
        (noise_of_its_own, "take all random numbers from it"),
        (lambda pixels, generator: np.add(pixels, 1, out=pixels), "writes into its input"),
    ],
)
def test_a_broken_transform_is_told_in_words(part, said):
    with pytest.raises(ModelError, match=said):
        affinage.check_part("transform", part)


def test_everything_that_is_broken_is_told_at_once():
    class Worse(AlwaysDrops, WritesIntoImages):
        pass

    with pytest.raises(ModelError) as caught:
        affinage.check_part("model", Worse())
    assert "something else each time" in caught.value.problem
    assert "writes into its input" in caught.value.problem


def test_an_unknown_kind_is_refused():
    with pytest.raises(ModelError, match="no part of the kind 'head'"):
        affinage.check_part("head", None)


# In a training.


def test_a_module_becomes_a_backbone_and_is_itself_left_alone():
    module = Network()
    before = fingerprint(module)
    built = own_backbone(module, ModelSettings(width=64, height=48))
    model = stack(built, classes=2)
    assert (built.features, built.weights.origin, built.weights.sha256) == (12, "own", before)
    groups = layer_groups(model)
    set_trainable(model, groups)
    set_modes(model, batchnorm="adapt")
    images = torch.randint(0, 256, (4, 48, 64, 3), dtype=torch.uint8)
    torch.nn.init.normal_(model.last.weight)
    loss(model(images), torch.tensor([0, 1, 0, 1])).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert fingerprint(model.backbone) != before
    assert fingerprint(module) == before


def test_its_maps_are_pooled_as_the_recipe_says():
    head = parse_recipe(None, ["model.head.pooling=flatten"]).model.head
    built = own_backbone(Network(), ModelSettings(width=64, height=48, head=head))
    assert built.features == 12 * 5 * 7


def test_a_module_says_what_it_wants_to_see():
    module = Network()
    module.preprocessing = Preprocessing(width=100, height=80)
    assert own_backbone(module, ModelSettings()).preprocessing == module.preprocessing


def test_other_weights_are_another_identity():
    identities = {own_backbone(Network(), ModelSettings()).identity for _ in range(2)}
    assert len(identities) == 2


def test_a_module_that_gives_no_tensor_is_refused():
    with pytest.raises(ModelError, match="gives a tuple"):
        own_backbone(NoTensor(), ModelSettings())


# In a run that goes on.


def test_a_run_names_its_parts_and_asks_for_them_again():
    needed = WHOLE.names
    assert needed["model"] == "test_parts.Network"
    assert needed["metric hits"] == "test_parts.accuracy"
    require_parts(needed, WHOLE, to="go on")
    require_parts({}, None, to="predict")
    with pytest.raises(
        RunError, match=r"your own, 'test_parts.Network', and it was not given.*go on"
    ):
        require_parts(needed, None, to="go on")
    with pytest.raises(RunError, match=r"'test_parts.averaged' was given"):
        require_parts(needed, Parts(model=Network(), loss=averaged), to="go on")
