"""One small trained-like model and its export, which many tests look at."""

import pytest

from affinage.exporting.graph import onnx_graph
from affinage.exporting.parity import Original
from affinage.imaging.batches import Item
from affinage.imaging.hashing import content_id
from small_bundles import LABELS, activate, answer, network


@pytest.fixture(scope="session")
def model():
    return network()


@pytest.fixture(scope="session")
def graph(model):
    return onnx_graph(model, activate)


@pytest.fixture(scope="session")
def raw_graph(model):
    """The same without its activation, for plants that need another one."""
    return onnx_graph(model, lambda raw: raw)


@pytest.fixture(scope="session")
def original(model):
    return Original(model=model, answer=answer, labels=LABELS)


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Twelve real photographs (scikit-learn's two, cut into pieces), as JPEG and PNG."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    folder = tmp_path_factory.mktemp("photos")
    items = []
    for number, image in enumerate(load_sample_images().images):
        for place in range(6):
            top, left = 30 * place, 60 * place
            piece = Image.fromarray(
                image[top : top + 170 + 20 * place, left : left + 250 - 15 * place]
            )
            path = folder / f"{number}-{place}.{'png' if place % 2 else 'jpg'}"
            piece.save(path)
            items.append(Item(image=content_id(path.read_bytes()), path=path))
    return items
