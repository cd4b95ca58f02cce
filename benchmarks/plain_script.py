"""The peer: a plain fine-tuning script of the usual kind, no longer than most.

EfficientNet-Lite0 with BatchNorm frozen, AdamW at 3e-4 with one cycle, random crop and flip, six
epochs; prints the accuracy on the owner's test part. Usage: plain_script.py FOLDER
"""

import sys
from pathlib import Path

import timm
import torch
from torch import nn
from torchvision import datasets, transforms

from affinage.models.build import build_backbone
from affinage.records.networks import ModelSettings

EPOCHS, RATE = 6, 3e-4


def loaders(folder: Path) -> tuple[torch.utils.data.DataLoader, torch.utils.data.DataLoader]:
    normalise = transforms.Normalize([0.5] * 3, [0.5] * 3)
    bicubic = transforms.InterpolationMode.BICUBIC
    train = transforms.Compose([
        transforms.RandomResizedCrop(224, scale=(0.5, 1), interpolation=bicubic),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        normalise,
    ])  # fmt: skip
    test = transforms.Compose([
        transforms.Resize(256, interpolation=bicubic),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        normalise,
    ])  # fmt: skip
    make = torch.utils.data.DataLoader
    return (
        make(datasets.ImageFolder(str(folder / "train"), train), 32, shuffle=True, num_workers=2),
        make(datasets.ImageFolder(str(folder / "test"), test), 32, num_workers=2),
    )


def main(folder: Path) -> None:
    torch.manual_seed(0)
    train, test = loaders(folder)
    model = timm.create_model("tf_efficientnet_lite0", num_classes=len(train.dataset.classes))
    state = build_backbone(ModelSettings()).module.state_dict()
    model.load_state_dict(state, strict=False)  # All but the new classifier.
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * len(train))
    for _ in range(EPOCHS):
        model.train()
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
        for images, labels in train:
            logits = model(images.to(memory_format=torch.channels_last))
            loss = nn.functional.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    right = 0
    with torch.inference_mode():
        for images, labels in test:
            right += int((model(images).argmax(1) == labels).sum())
    print(f"accuracy {right / len(test.dataset):.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
