import pytest
import torch

from affinage.errors import ModelError, RecipeError
from affinage.imaging.resize import prepare
from affinage.models.build import build_backbone, preprocessing_of, stack
from affinage.models.catalogue import catalogue
from affinage.models.freeze import frozen_state, layer_groups, set_modes, set_trainable
from affinage.models.small_networks import SMALL
from affinage.records.networks import SMALL_NETWORKS
from affinage.records.recipe import Recipe
from affinage.records.recipe_text import dump_recipe, load_recipe, parse_recipe

VARIANTS = (
    (),
    ("model.head.pooling=max",),
    ("model.head.pooling=flatten", "model.head.hidden=8"),
    ("model.width=50", "model.height=36"),
)
XCEPTIONS = (
    ("stem=inception",), ("kernel=2",), ("convolution=plain",), ("activation=selu", "batch_norm=false"),
    ("activation=prelu", "bias=true"), ("modules=1",), ("modules=4", "filters=8,12,16,20"),
)  # fmt: skip


def recipe(name, *given):
    small = ["model.width=40", "model.height=40"]
    if name == "mini_xception":
        small.append("model.mini_xception.filters=8,12,16,20,24")
    return parse_recipe(None, [f"model.backbone={name}", *small, *given])


def model_of(name, *given, seed=0):
    return stack(build_backbone(recipe(name, *given).model, seed=seed), classes=3)


def pixels(model, n=4):
    torch.manual_seed(1)
    height, width = model.preprocessing.height, model.preprocessing.width
    return torch.randint(0, 256, (n, height, width, 3), dtype=torch.uint8)


def weights(model):
    return sum(parameter.numel() for parameter in model.parameters())


def learn(model, steps, rate=0.02):
    groups = layer_groups(model, unfreeze="all")
    set_trainable(model, groups)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    images, targets = pixels(model), torch.tensor([0, 1, 2, 0])
    losses = []
    for _ in range(steps):
        set_modes(model, batchnorm="adapt")
        loss = torch.nn.functional.cross_entropy(model(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# Contract of every small network.

each = pytest.mark.parametrize("name", SMALL_NETWORKS)


def test_every_name_of_a_recipe_can_be_built():
    assert tuple(network.name for network in SMALL) == SMALL_NETWORKS


@each
@pytest.mark.parametrize("given", VARIANTS)
def test_it_gives_as_many_features_as_it_says_and_starts_at_the_random_guess(name, given):
    built = build_backbone(recipe(name, *given).model)
    model = stack(built, classes=3).eval()
    images = pixels(model)
    assert model.features(images).shape == (4, built.features)
    assert torch.equal(model(images), torch.zeros(4, 3))


@each
def test_it_learns_a_few_images_by_heart(name):
    losses = learn(model_of(name), 80, rate=0.003)
    assert losses[0] == pytest.approx(torch.log(torch.tensor(3.0)).item(), abs=1e-6)
    assert losses[-1] < 0.1


@each
def test_its_groups_hold_every_weight_once_from_stem_to_head(name):
    model = model_of(name)
    groups = layer_groups(model)
    names = [member for group in groups for member in group.names]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert len(groups) == (6 if name == "mini_xception" else 5)
    order = [name.split(".")[1:3] for name in (group.names[0] for group in groups[1:-1])]
    assert order == sorted(order)


@each
def test_what_is_frozen_in_it_does_not_move(name):
    model = model_of(name)
    learn(model, 1)
    groups = layer_groups(model, unfreeze=1)
    set_trainable(model, groups)
    fixed = frozen_state(model, batchnorm="adapt")
    assert fixed
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    for _ in range(2):
        set_modes(model, batchnorm="adapt")
        model(pixels(model)).square().sum().backward()
        optimizer.step()
    state = model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in fixed.items())


@each
def test_its_random_weights_follow_their_seed(name):
    first, second, other = (model_of(name, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@each
def test_another_seed_or_another_setting_is_another_identity(name):
    def identity(*given, seed=0):
        return build_backbone(recipe(name, *given).model, seed=seed).identity

    assert identity() == identity()
    key, value = ("modules", 1) if name == "mini_xception" else ("dense", 7)
    assert len({identity(), identity(seed=1), identity(f"model.{name}.{key}={value}")}) == 3


@each
def test_images_of_its_size_are_not_resampled(name):
    preprocessing = preprocessing_of(name, width=37, height=21)
    image = torch.randint(0, 256, (21, 37, 3), dtype=torch.uint8).numpy()
    assert (prepare(image, preprocessing) == image).all()


@each
def test_it_is_in_the_catalogue(name):
    entry = next(entry for entry in catalogue(name) if entry.name == name)
    assert entry.available == "random only"
    assert entry.parameters > 1_000_000


# Each of them.


def test_three_conv_by_default_has_the_weights_that_a_hand_counts():
    model = stack(
        build_backbone(parse_recipe(None, ["model.backbone=three_conv"]).model), classes=10
    )
    by_hand = (
        (3 * 25 * 32 + 32) + (32 * 25 * 64 + 64) + (64 * 25 * 64 + 64)
        + (4 * 4 * 64 * 1000 + 1000) + (1000 * 10 + 10)
    )  # fmt: skip
    assert weights(model) == by_hand == 1_191_170


@pytest.mark.parametrize("given", XCEPTIONS)
def test_every_setting_of_mini_xception_changes_it_and_it_still_learns(given):
    settings = [f"model.mini_xception.{one}" for one in given]
    model, plain = model_of("mini_xception", *settings), model_of("mini_xception")
    assert repr(model) != repr(plain)
    losses = learn(model, 40, rate=0.003)
    assert losses[-1] < 0.6 * losses[0]


def test_modules_beyond_the_chain_repeat_its_last_filters_and_keep_the_size():
    model = model_of("mini_xception", "model.mini_xception.modules=6")
    out = [block.first[1].out_channels for block in model.backbone.blocks]
    assert out == [12, 16, 20, 20, 20, 20]
    maps = model.backbone.forward_features(model.normalise(pixels(model, 1)))
    assert maps.shape == (1, 24, 3, 3)  # 40 px halved by the stem and three modules, rounded up.


def test_separable_convolutions_are_fewer_weights_than_plain_ones():
    plain = model_of("mini_xception", "model.mini_xception.convolution=plain")
    assert weights(model_of("mini_xception")) < 0.5 * weights(plain)


def test_an_image_that_pooling_leaves_nothing_of_is_refused():
    with pytest.raises(ModelError, match="Nothing is left of 16 × 16 px after 5"):
        model_of(
            "three_conv", "model.width=16", "model.height=16", "model.three_conv.filters=8,8,8,8,8"
        )


# The recipe around them.


@each
def test_the_defaults_of_a_recipe_follow_random_weights(name):
    chosen = parse_recipe(None, [f"model.backbone={name}"])
    assert chosen.stages == ("finetune",)
    assert not chosen.model.pretrained
    assert chosen.finetune.unfreeze == "all"
    assert chosen.finetune.batchnorm == "adapt"
    assert (chosen.finetune.epochs, chosen.optimizer.lr) == (20, 2e-3)
    assert load_recipe(dump_recipe(chosen)) == chosen
    assert Recipe(model={"backbone": name}) == chosen
    asked = parse_recipe(None, [f"model.backbone={name}", "finetune.unfreeze=1"])
    assert asked.finetune.unfreeze == 1


@pytest.mark.parametrize(
    ("setting", "epochs", "rate"),
    [
        ("finetune.steps=7", None, 2e-3),
        ("finetune.minutes=5", None, 2e-3),
        ("finetune.epochs=3", 3, 2e-3),
        ("optimizer.lr=0.1", 20, 0.1),
        ("optimizer.name=sgd", 20, Recipe().optimizer.lr),
    ],
)
def test_what_is_asked_for_wins_over_the_defaults_from_scratch(setting, epochs, rate):
    chosen = parse_recipe(None, ["model.backbone=three_conv", setting])
    assert (chosen.finetune.epochs, chosen.optimizer.lr) == (epochs, rate)


@pytest.mark.parametrize("section", ["finetune", "optimizer", "model"])
def test_a_section_that_is_none_is_refused_from_scratch_too(section):
    with pytest.raises(RecipeError, match=section):
        parse_recipe({"model": {"backbone": "three_conv"}, section: 3})


def test_a_timm_backbone_without_pretrained_weights_gets_the_same_defaults():
    chosen = parse_recipe(None, ["model.backbone=resnet18", "model.pretrained=false"])
    assert (chosen.stages, chosen.finetune.batchnorm) == (("finetune",), "adapt")
    assert chosen.optimizer.lr == 1e-3
    assert chosen.model.normalise == "backbone"


def test_the_recipe_of_a_pretrained_backbone_is_as_it_was():
    recipe = Recipe()
    assert recipe.stages == ("features", "finetune")
    assert (recipe.finetune.batchnorm, recipe.finetune.unfreeze) == ("frozen", None)
    assert recipe.model.normalise == "backbone"


@pytest.mark.parametrize(
    ("given", "pairing"),
    [
        (["model.backbone=three_conv", "model.pretrained=true"], "model.pretrained=false"),
        (["model.backbone=three_conv", "model.drop_path=0.1"], "model.dropout"),
        (["model.head.hidden=8"], "stages=finetune"),
        (["model.head.bias=false"], "stages=finetune"),
        (["model.three_conv.dense=8"], "model.backbone=three_conv"),
        (["model.whitening.patch=3"], "model.normalise=zca"),
        (["model.head.dropout=0.5", "stages=finetune"], "model.head.hidden"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(given, pairing):
    with pytest.raises(RecipeError, match=pairing):
        parse_recipe(None, given)
