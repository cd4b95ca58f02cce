import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from affinage.models.build import build_backbone, stack
from affinage.models.receptive_field import UNKNOWN, WHOLE, Part, Span, reshaped
from affinage.models.tracing import trace
from affinage.records.recipe_text import parse_recipe

SMALL_XCEPTION = "model.mini_xception.filters=8,12,16,20,24"
FAMILIES = (
    ("resnet18",), ("mobilenetv3_small_050",), ("tf_efficientnet_lite0",), ("efficientnet_b0",),
    ("vit_tiny_patch16_224",), ("convnext_atto",), ("densenet121",), ("regnety_002",),
    ("mixer_s32_224",),
    ("three_conv",), ("three_conv", "model.head.pooling=gem", "model.head.hidden=8"),
    ("mini_xception", SMALL_XCEPTION),
    ("mini_xception", SMALL_XCEPTION, "model.mini_xception.stem=inception"),
    ("mini_xception", SMALL_XCEPTION, "model.mini_xception.kernel=2"),
    ("resnet18", "model.head.pooling=flatten"),
)  # fmt: skip
each_family = pytest.mark.parametrize("given", FAMILIES, ids=" ".join)

HEIGHT, WIDTH = 64, 96


def model_of(given, height=HEIGHT, width=WIDTH):
    name, *settings = given
    if name == "mixer_s32_224":
        height = width = 224
    recipe = parse_recipe(
        None,
        [f"model.backbone={name}", "model.pretrained=false", f"model.height={height}",
         f"model.width={width}", *settings],
    )  # fmt: skip
    model = stack(build_backbone(recipe.model), classes=5).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim <= 1:  # Some norms begin at 0, which cuts their branch off.
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def traced(given, **size):
    model = model_of(given, **size)
    return trace(model, height=model.preprocessing.height, width=model.preprocessing.width)


def pixels(model, n=1):
    height, width = model.preprocessing.height, model.preprocessing.width
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, height, width, 3), dtype=torch.uint8, generator=generator)


def hooked(model, names, run):
    """Return what the named layers gave in a real pass."""
    modules, seen = dict(model.named_modules()), {}
    handles = [
        modules[name].register_forward_hook(
            lambda _, taken, given, name=name: seen.__setitem__(name, (taken, given))
        )
        for name in names
    ]
    run()
    for handle in handles:
        handle.remove()
    return seen


# What layers give, weigh and cost, against a real pass.


@each_family
def test_outputs_and_weights_are_those_of_a_real_pass(given):
    rows, model = traced(given), model_of(given)
    used = [row for row in rows if row.calls]
    seen = hooked(model, [row.name for row in used], lambda: model(pixels(model)))
    for row in used:
        output = seen[row.name][1]
        assert row.output == tuple(output.shape[1:]), row.name
    weights = [sum(p.numel() for p in row.module.parameters(recurse=False)) for row in rows]
    assert sum(weights) == sum(p.numel() for p in model.parameters())


@each_family
def test_multiply_adds_are_half_the_operations_that_torch_counts_in_a_real_pass(given):
    rows, model = traced(given), model_of(given)
    plain = sdpa_kernel(SDPBackend.MATH)  # The counter does not know the processor's fused one.
    with FlopCounterMode(display=False) as counter, torch.no_grad(), plain:
        model(pixels(model))
    assert 2 * sum(row.multiply_adds for row in rows) == counter.get_total_flops()
    counts = counter.get_flop_counts()
    for row in rows:
        if row.multiply_adds and not [*row.module.children()]:
            assert 2 * row.multiply_adds == sum(counts[f"Classifier.{row.name}"].values()), row.name


@each_family
def test_multiply_adds_of_convolutions_and_linear_layers_are_what_a_hand_counts(given):
    rows, model = traced(given), model_of(given)
    kinds = nn.Conv2d | nn.Linear
    layers = [name for name, module in model.named_modules() if isinstance(module, kinds)]
    costs = {row.name: row.multiply_adds for row in rows}
    for name, (taken, output) in hooked(model, layers, lambda: model(pixels(model))).items():
        weight = model.get_submodule(name).weight
        if weight.ndim == 4:  # Each output is a sum over a window of its group's channels.
            by_hand = output.numel() * weight.shape[1] * weight.shape[2] * weight.shape[3]
        else:
            by_hand = taken[0].numel() * weight.shape[0]
        assert costs[name] == by_hand, name


# What layers see, against gradients.


def gradient(model, name, places, draws=3):
    """Where the image moves a place of a layer's output, shape (height, width), in a real pass."""
    moved = np.zeros((model.preprocessing.height, model.preprocessing.width), dtype=bool)
    for draw in range(draws):
        generator = torch.Generator().manual_seed(draw)
        shape = (1, 3, *moved.shape)
        image = torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
        seen = hooked(model, [name], lambda image=image: model.backbone(image))
        output = seen[name][1]
        centre = output[(0, slice(None), *places)] if len(places) == 2 else output[0, places[0]]
        weights = torch.randn(centre.shape, dtype=torch.float64, generator=generator)
        (slope,) = torch.autograd.grad((centre * weights).sum(), image)
        moved |= (slope[0] != 0).any(0).numpy()
    return moved


def box(moved):
    rows, columns = np.flatnonzero(moved.any(1)), np.flatnonzero(moved.any(0))
    return (rows[0], rows[-1]), (columns[0], columns[-1])


def clipped(span, place, length):
    start = span.start + span.jump * place
    return max(0, start), min(length - 1, start + span.size - 1)


def sample(rows, most=9):
    return rows[:: max(1, len(rows) // most)]


@each_family
def test_layers_see_what_gradients_of_their_centre_reach(given):
    rows, model = traced(given), model_of(given).double()
    height, width = model.preprocessing.height, model.preprocessing.width
    local = [
        row for row in rows
        if isinstance(row.sees, Part) and row.sees.dims == ("", "", "y", "x") and row.calls
        and row.name.startswith("backbone.")
    ]  # fmt: skip
    assert local
    for row in sample(local):
        y, x = row.output[1] // 2, row.output[2] // 2
        expected = clipped(row.sees.y, y, height), clipped(row.sees.x, x, width)
        assert box(gradient(model, row.name, (y, x))) == expected, row.name


@pytest.mark.parametrize("name", ["efficientnet_b0", "regnety_002", "vit_tiny_patch16_224"])
def test_squeeze_and_excitation_and_attention_see_the_whole_image(name):
    rows, model = traced((name,)), model_of((name,)).double()
    whole = [
        row for row in rows
        if row.sees == WHOLE and row.calls and len(row.output) == (2 if "vit" in name else 3)
    ]  # fmt: skip
    first = next(row for row in rows if row.sees == WHOLE)
    assert ("attn" if "vit" in name else ".se.") in first.name
    for row in sample(whole, 3):
        places = tuple(size // 2 for size in row.output[-2:]) if "vit" not in name else (3,)
        moved = gradient(model, row.name, places, draws=1)
        assert moved[[0, 0, -1, -1], [0, -1, 0, -1]].all(), row.name


def test_tokens_before_attention_see_their_patch():
    given = ("vit_tiny_patch16_224",)
    row = next(row for row in traced(given) if row.name == "backbone.blocks.0.attn.qkv")
    assert (row.sees.y.size, row.sees.x.size) == (16, 16)
    moved = gradient(model_of(given).double(), row.name, (1 + 1 * 6 + 2,))  # Row 1, column 2.
    assert box(moved) == ((16, 31), (32, 47))


def test_windows_that_no_span_describes_are_called_unknown_and_the_pooled_vector_whole():
    rows = traced(("swin_tiny_patch4_window7_224",), height=224, width=224)
    assert UNKNOWN in {row.sees for row in rows if "layers.0" in row.name}
    assert rows[-1].sees == WHOLE


def test_whitening_is_a_layer_of_the_model_itself():
    model = model_of(("three_conv",))
    model.whitening = torch.zeros((3, 3, 5, 5))
    first = trace(model, height=HEIGHT, width=WIDTH)[0]
    assert first.name == ""
    assert first.multiply_adds == HEIGHT * WIDTH * 9 * 25
    assert (first.sees.y, first.sees.x) == (Span(start=-2, size=5), Span(start=-2, size=5))


def test_a_layer_that_is_never_used_is_listed_with_its_weights():
    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(3, 2), nn.Linear(4, 4)

        def forward(self, images):
            return self.used(images.float().mean((1, 2)))

    rows = trace(Lazy(), height=8, width=8)
    assert [(row.name, row.calls, row.output) for row in rows] == [
        ("used", 1, (2,)), ("idle", 0, ()),
    ]  # fmt: skip


# Spans.


def test_spans_of_convolutions_compose_as_by_hand():
    span = Span()
    for kernel, stride, padding in ((7, 2, 3), (3, 2, 1), (3, 1, 1), (3, 1, 1)):  # ResNet's begin.
        span = span.window(kernel=kernel, stride=stride, padding=padding)
    assert span == Span(start=-13, jump=4, size=27)


def test_dilation_widens_and_a_slice_shifts():
    assert Span().window(kernel=3, stride=1, padding=2, dilation=2).size == 5
    assert Span(start=0, jump=2, size=3).shifted(1, 2) == Span(start=2, jump=4, size=3)


@pytest.mark.parametrize(
    ("old", "dims", "new", "expected"),
    [
        ((1, 8, 4, 6), ("", "", "y", "x"), (1, 8, 24), ("", "", "yx")),
        ((1, 24, 8), ("", "yx", ""), (1, 4, 6, 8), ("", "y", "x", "")),
        ((1, 24, 8), ("", "yx", ""), (1, 24, 2, 4), ("", "yx", "", "")),
        ((1, 8, 4, 6), ("", "", "y", "x"), (1, 192), ("", "mixed")),
        ((1, 8, 1, 1), ("", "", "y", "x"), (1, 8), ("", "")),
        ((1, 8, 4, 6), ("", "", "y", "x"), (1, 2, 4, 4, 6), ("", "", "", "y", "x")),
    ],
)
def test_another_shape_of_the_same_numbers_goes_along_the_same_axes(old, dims, new, expected):
    assert reshaped(Part(dims=dims, row=6), old, new).dims == expected


def test_a_shape_that_cuts_rows_into_windows_has_no_name():
    assert reshaped(Part(dims=("", "y", "x"), row=6), (1, 4, 6), (1, 2, 2, 3, 2)) == UNKNOWN
