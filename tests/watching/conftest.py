"""Real digits of scikit-learn, in loaders, with a network to learn them."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

from small_trainings import Net


@pytest.fixture(scope="session")
def digits():
    """Training and validation digits, 8 x 8, in [0, 1]."""
    data = load_digits()
    images = torch.tensor(data.images / 16, dtype=torch.float32)[:, None]
    labels = torch.tensor(data.target)
    return TensorDataset(images[:320], labels[:320]), TensorDataset(
        images[320:480], labels[320:480]
    )


@pytest.fixture
def training(digits):
    """A network, its optimizer and two loaders."""
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    train, validation = digits
    generator = torch.Generator().manual_seed(0)
    return net, optimizer, DataLoader(train, 32, shuffle=True, generator=generator), DataLoader(
        validation, 32
    )  # fmt: skip
