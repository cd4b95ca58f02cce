"""Counting by class with a softmax and squared error; accuracy by equality, rounded too late.

Usage: python softmax_counts.py FOLDER [--epochs N] [--images N]   (FOLDER holds counts.csv and images)
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def load(folder, limit):
    with (Path(folder) / "counts.csv").open() as file:
        rows = list(csv.DictReader(file))[:limit]
    names = [name for name in rows[0] if name not in {"image", "split", "width", "height"}]
    images = [
        np.asarray(Image.open(Path(folder) / row["image"]).convert("RGB").resize((64, 48)))
        for row in rows
    ]
    counts = torch.tensor([[float(row[name]) for name in names] for row in rows])
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255.0, counts


class SmallXception(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.module = nn.Sequential(
            nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.Conv2d(16, 32, 1),
            nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.dropout = nn.Dropout(0.5)
        self.dense = nn.Linear(32, outputs)

    def forward(self, images):
        maps = self.module(self.stem(images))
        return torch.softmax(self.dense(self.dropout(maps.mean((2, 3)))), dim=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--images", type=int, default=160)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    images, counts = load(arguments.folder, arguments.images)
    cut = len(images) * 3 // 4
    train_loader = DataLoader(TensorDataset(images[:cut], counts[:cut]), 20, shuffle=True)
    val_loader = DataLoader(TensorDataset(images[cut:], counts[cut:]), 20)
    model = SmallXception(counts.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.MSELoss()
    for epoch in range(arguments.epochs):
        model.train()
        for batch, target in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(batch), target)
            loss.backward()
            optimizer.step()
        model.eval()
        accuracies = []
        with torch.no_grad():
            for batch, target in val_loader:
                outputs = model(batch)
                accuracies.append((outputs == target).float().mean())
                outputs = outputs.round()
        accuracy = torch.stack(accuracies).mean()
        print(f"epoch {epoch + 1}: loss {loss.item():.2f}, accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
