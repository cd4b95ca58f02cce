"""Small real trainings to watch: scikit-learn's digits and a network of two layers."""

import torch
from torch import nn


class Net(nn.Module):
    """Two weighted layers, a normalisation and functions between them."""

    def __init__(self, outputs=10):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8 * 16, outputs)

    def forward(self, images):
        hidden = nn.functional.relu(self.norm(self.conv(images)))
        return self.fc(nn.functional.max_pool2d(hidden, 2).flatten(1))


def run(net, optimizer, train_loader, val_loader, *, epochs=2, criterion=None, zero=True):
    """Train plainly, as a script does."""
    criterion = criterion or nn.CrossEntropyLoss()
    for _ in range(epochs):
        net.train()
        for images, labels in train_loader:
            if zero:
                optimizer.zero_grad()
            criterion(net(images), labels).backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            for images, labels in val_loader:
                criterion(net(images), labels)
