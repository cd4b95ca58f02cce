"""A small program with one fault of the published debuggers of deep learning: python FILE FAULT."""

import sys

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

fault = sys.argv[1] if len(sys.argv) > 1 else ""
torch.manual_seed(0)
digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
y = torch.tensor(digits.target)
if fault == "inputs not scaled":
    x = x * 255 * 16
if fault == "inputs constant":
    x[:900] = 0.5
if fault == "labels torn from inputs":
    y = y[torch.randperm(len(y))]
if fault == "not shuffled":
    order = y[:1200].argsort()
    x[:1200], y[:1200] = x[:1200][order], y[:1200][order]
images = 60 if fault == "overfitting" else 1200
train_set = TensorDataset(x[:images], y[:images])
train_loader = DataLoader(train_set, 32, shuffle=fault != "not shuffled")
val_loader = DataLoader(TensorDataset(x[1200:], y[1200:]), 64)

deep = fault in {"vanishing gradient", "exploding gradient", "saturated activations"}
unit = nn.Sigmoid if deep and fault != "exploding gradient" else nn.ReLU
layers = [nn.Flatten()]
width = 64
for _ in range(8 if deep else 2):
    layers += [nn.Linear(width, 64)]
    if fault != "missing activations":
        layers += [unit()]
    if fault == "dropout too strong":
        layers += [nn.Dropout(0.97)]
    width = 64
layers += [nn.Linear(64, 1 if fault == "one output for ten classes" else 10)]
ends = {
    "softmax before cross-entropy": nn.Softmax(1), "ReLU at the output": nn.ReLU(),
    "sigmoid before cross-entropy": nn.Sigmoid(), "softmax under squared error": nn.Softmax(1),
}  # fmt: skip
if fault in ends:
    layers += [ends[fault]]
model = nn.Sequential(*layers)
linear = [m for m in model if isinstance(m, nn.Linear)]
for layer in linear:
    if fault == "exploding gradient":
        nn.init.normal_(layer.weight, std=1.0)
    if fault == "saturated activations":
        nn.init.normal_(layer.weight, std=20.0)
    if fault == "weights begin at one value":
        nn.init.constant_(layer.weight, 0.01)
        nn.init.zeros_(layer.bias)
if fault == "dead ReLU":
    nn.init.constant_(linear[1].bias, -30.0)
if fault == "weights never change":
    model.requires_grad_(requires_grad=False)
    model[-1].requires_grad_(requires_grad=True)

rates = {
    "rate too high": 3.0, "rate too low": 1e-6, "weights never change": 0.0, "too few epochs": 1e-4,
}  # fmt: skip
rate = rates.get(fault, 1e-3)
decay = 5.0 if fault == "decay too strong" else 0.0
kind = torch.optim.AdamW if decay else torch.optim.Adam
optimizer = kind(model.parameters(), lr=0.05 if decay else rate, weight_decay=decay)
if fault == "sum in place of mean":
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def loss_of(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the loss, with the faults that lie in it."""
    if fault == "softmax under squared error":
        return nn.functional.mse_loss(outputs, torch.stack((labels, 2 * labels) * 5, 1).float())
    if fault == "logits under nll_loss":
        return nn.functional.nll_loss(outputs, labels)
    if fault == "logarithm of nothing":
        chosen = (outputs * 40).softmax(1)[torch.arange(len(labels)), labels]
        return -torch.log(chosen - chosen.detach().clamp_max(1e-3)).mean()
    if fault == "squared error on one output of two axes":
        return nn.functional.mse_loss(outputs[:, :1], labels.float())
    reduction = "sum" if fault == "sum in place of mean" else "mean"
    return nn.functional.cross_entropy(outputs, labels, reduction=reduction)


for _epoch in range({"overfitting": 150, "too few epochs": 8}.get(fault, 12)):
    model.train()
    for inputs, labels in train_loader:
        if fault != "gradients not zeroed":
            optimizer.zero_grad()
        loss = loss_of(model(inputs), labels)
        loss.backward()
        optimizer.step()
    model.eval()
    right = 0
    with torch.no_grad():
        for inputs, labels in val_loader:
            outputs = model(inputs)
            loss_of(outputs, labels)
            right += int((outputs.argmax(1) == labels).sum())
