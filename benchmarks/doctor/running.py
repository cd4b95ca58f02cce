"""Run one case under observation."""

import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import affinage
from affinage.records.signals import Signals
from affinage.watching.watch import Watched
from benchmarks.doctor.cases import Case
from benchmarks.doctor.data import Images, images
from benchmarks.doctor.networks import Pretrained, build

_COUNTS = {
    "softmax under squared error on counts", "rounded too late", "accuracy on counts",
    "stretched in the loss", "softmax left out",
}  # fmt: skip


class Changing(Dataset[tuple[Tensor, Tensor]]):
    """Images with random noise, or that come slowly, or again and again."""

    def __init__(
        self, data: TensorDataset, *, noise: float = 0.0, seconds: float = 0.0, only: int = 0,
        unseeded: float = 0.0,
    ) -> None:  # fmt: skip
        self.data, self.noise, self.seconds, self.only = data, noise, seconds, only
        self.unseeded = unseeded

    @property
    def generator(self) -> torch.Generator:
        """A generator that the system's entropy begins, whatever seeds are set."""
        generator = torch.Generator()
        generator.seed()
        return generator

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        x, y = self.data[index % self.only if self.only else index]
        if self.seconds:
            time.sleep(self.seconds)
        if self.unseeded:
            x = x + self.unseeded * torch.randn(x.shape, generator=self.generator)
        return x + self.noise * torch.randn_like(x) if self.noise else x, y


class Before(nn.Module):
    """A network and what its outputs go through."""

    def __init__(self, network: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.network, self.after = network, after

    def forward(self, x: Tensor) -> Tensor:
        """Return one row of outputs per image."""
        return self.after(self.network(x))


class Detached(nn.Module):
    """Features that are cut off from the loss by mistake."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return one row of outputs per image."""
        net = self.network
        for convolution, norm in zip(net.convolutions, net.norms, strict=True):
            x = nn.functional.max_pool2d(torch.relu(norm(convolution(x))), 2)
        return net.head(torch.relu(net.hidden(x.mean((2, 3)).detach())))


def run(case: Case, samples: Path, cache: Path) -> Signals:
    """Train as the case says, and return what was seen."""
    return watched(case, samples, cache).signals


def watched(case: Case, samples: Path, cache: Path) -> Watched:
    """Train as the case says, and return the training at rest."""
    torch.manual_seed(case.seed)
    data = prepared(
        case, images(case.data, samples, cache, size=64 if case.network == "lite0" else 32)
    )
    network = network_of(case, data)
    train, validation = loaders(case, data)
    optimizer = optimizer_of(case, network)
    schedule = schedule_of(case, optimizer, len(train))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with affinage.watch(
            network, optimizer=optimizer, train_loader=train, val_loader=validation, name=case.fault
        ) as seen:
            for _ in range(case.epochs):
                _epoch(case, network, optimizer, train, schedule)
                score = _evaluate(case, network, validation)
                if (
                    schedule is not None
                    and case.schedule == "plateau"
                    and case.fault != "schedule never stepped"
                ):
                    schedule.step(score)
    return seen


def prepared(case: Case, data: Images) -> Images:
    """Return the images of a case, with the faults that lie in the data."""
    x, y, v, w = (
        data.train[: case.images],
        data.train_labels[: case.images],
        data.validation,
        data.validation_labels,
    )
    fault, strong = case.fault, case.level == 1
    if case.network == "lite0":
        x, v, w = 2 * x - 1, 2 * v[:96] - 1, w[:96]
    if fault == "sorted images":
        order = y.argsort()
        x, y = x[order], y[order]
    elif fault == "leak":
        n = len(v) // (2 if strong else 12)
        x, y = torch.cat((x, v[:n])), torch.cat((y, w[:n]))
    elif fault == "validation is training":
        v, w = x, y
    elif fault == "other order of labels":
        w = (w + 1) % data.classes if strong else torch.where(w < 2, 1 - w, w)
    elif fault == "wrong preprocessing":
        x, v = ((a + 1) / 2 * (255 if strong else 1) for a in (x, v))
    elif fault == "parts scaled differently":
        v = v * 255 if strong else (v - v.mean()) / v.std()
    elif fault == "images not scaled":
        x, v = (a * (255 if strong else 100) for a in (x, v))
    elif fault == "flat images":
        x = x.clone()
        x[:: 2 if strong else 5] = 0.5
    elif fault == "labels torn from images":
        y = y[torch.randperm(len(y))]
    x, y, v, w = _chosen(case, x, y, v, w)
    if fault == "statistics of all parts" or case.standard:
        x, v = _standardised(x, v, by=torch.cat((x, v)) if fault else x)
    return Images(x, y, v, w)


def _chosen(
    case: Case, x: Tensor, y: Tensor, v: Tensor, w: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the images whose classes the case keeps."""
    fault = case.fault
    if fault == "class missing from training":
        keep = y != 0
        x, y = x[keep], y[keep]
    elif fault in {"other shares of classes", "rare classes"} or case.imbalance:
        keep = (y == 0) | (torch.rand(len(y)) < (0.03 if fault else 0.3))
        x, y = x[keep], y[keep]
        if fault != "other shares of classes":
            keep = (w == 0) | (torch.rand(len(w)) < (0.1 if fault else 0.3))
            v, w = v[keep], w[keep]
    return x, y, v, w


def _standardised(*parts: Tensor, by: Tensor) -> tuple[Tensor, ...]:
    mean, std = by.mean((0, 2, 3), keepdim=True), by.std((0, 2, 3), keepdim=True)
    return tuple((part - mean) / std for part in parts)


def network_of(case: Case, data: Images) -> nn.Module:
    """Return the network of a case, with the faults that lie in it."""
    channels, size = data.train.shape[1:3]
    outputs = _outputs(case, data)
    network = _special(case, channels * size**2, outputs) or build(
        case.network, channels, size, outputs, dropout=_dropout(case)
    )
    fault = case.fault
    ends: dict[str, nn.Module] = {
        "softmax twice": nn.Softmax(1), "sigmoid before softmax loss": nn.Sigmoid(),
        "relu before softmax loss": nn.ReLU(), "softmax under squared error on counts": nn.Softmax(1),
    }  # fmt: skip
    if fault == "all frozen":
        network.requires_grad_(requires_grad=False)
        network.eval()
    elif fault == "dead units":
        layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        nn.init.constant_(layers[-2].bias, -30.0 if case.level == 1 else -8.0)
    elif fault == "units begin equal":
        for layer in network.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.constant_(layer.weight, 0.0 if case.level == 1 else 0.02)
    elif fault == "head starts too large":
        last = [m for m in network.modules() if isinstance(m, nn.Linear)][-1]
        last.weight.data *= 300
    elif fault == "softmax between layers":
        assert isinstance(network, nn.Sequential)
        for place in [k for k, layer in enumerate(network) if isinstance(layer, nn.ReLU)][
            -case.level :
        ]:
            network[place] = nn.Softmax(1)
    elif fault == "detached":
        return Detached(network)
    return Before(network, ends[fault]) if fault in ends else network


def _special(case: Case, inputs: int, outputs: int) -> nn.Module | None:
    if case.network == "bottleneck":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, 1), nn.Sigmoid(), nn.Linear(1, outputs)
        )
    if case.network == "linear_stack":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, 64), nn.Linear(64, 32), nn.Linear(32, outputs)
        )
    if case.network not in {"deep_sigmoid", "deep_wild"}:
        return None
    layers: list[nn.Module] = [nn.Flatten()]
    width = inputs
    for _ in range(8):
        layers += [
            nn.Linear(width, 64),
            nn.Sigmoid() if case.network == "deep_sigmoid" else nn.ReLU(),
        ]
        width = 64
    network = nn.Sequential(*layers, nn.Linear(64, outputs))
    if case.network == "deep_wild":
        for layer in network:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=1.0 if case.level == 1 else 0.6)
    return network


def _outputs(case: Case, data: Images) -> int:
    classes = int(max(data.train_labels.max(), data.validation_labels.max())) + 1
    if case.fault in _COUNTS:
        return 3 if case.fault.startswith("softmax") else 1
    return 1000 if case.fault == "outputs of another set" else classes


def _dropout(case: Case) -> float:
    return {1: 0.98, 2: 0.93}[case.level] if case.fault == "dropout too strong" else case.dropout


def loaders(case: Case, data: Images) -> tuple[Any, Any]:
    """Return loaders, with the faults that lie in them."""
    train: Any = TensorDataset(data.train, _targets(case, data.train, data.train_labels))
    validation: Any = TensorDataset(
        data.validation, _targets(case, data.validation, data.validation_labels)
    )
    fault = case.fault
    if case.noise:
        train = Changing(train, noise=case.noise)
    if fault == "augmentation in evaluation":
        validation = Changing(validation, noise=0.3 if case.level == 1 else 0.05)
    if fault == "few images again and again":
        train = Changing(train, only=16 if case.level == 1 else 64)
    if fault == "slow loader":
        train = Changing(train, seconds=0.003 if case.level == 1 else 0.001)
    if fault == "noise that no seed governs":
        train = Changing(train, unseeded=0.1 if case.level == 1 else 0.02)
    generator = torch.Generator().manual_seed(case.seed)
    batch = 2 if fault == "batches of two" else case.batch
    shuffle = fault != "sorted images"
    return (
        DataLoader(
            train, batch, shuffle=shuffle, generator=generator if shuffle else None, drop_last=True
        ),
        DataLoader(validation, 64),
    )


def _targets(case: Case, x: Tensor, labels: Tensor) -> Tensor:
    if case.fault not in _COUNTS:
        return labels
    if case.fault.startswith("softmax"):
        return torch.stack((labels, labels + 1, 2 * labels), 1).float()
    counts = labels.float()
    return counts if case.fault == "stretched in the loss" else counts[:, None]


def optimizer_of(case: Case, network: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer, with the faults that lie in it."""
    parameters = list(network.parameters())
    rate, decay, fault = case.rate, case.decay, case.fault
    strong = case.level == 1
    rate = {
        "rate of zero": 0.0, "rate too high": 1.0 if strong else 0.2,
        "rate too low": 1e-7 if strong else 1e-6,
    }.get(fault, rate)  # fmt: skip
    if fault == "head not in optimizer":
        parameters = parameters[: -4 if strong else -2]
    if fault == "weight decay too strong":
        return torch.optim.AdamW(parameters, lr=0.01, weight_decay=10.0 if strong else 4.0)
    if case.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=decay)
    return (torch.optim.AdamW if case.optimizer == "adamw" else torch.optim.Adam)(
        parameters, lr=rate, weight_decay=decay
    )


def schedule_of(case: Case, optimizer: Any, steps: int) -> Any:
    """Return the schedule of a case; None where it has none."""
    schedulers = torch.optim.lr_scheduler
    if case.fault == "schedule never stepped":
        return schedulers.CosineAnnealingLR(optimizer, T_max=case.epochs)
    if case.fault == "decayed too soon":
        return schedulers.ExponentialLR(optimizer, gamma=0.3 if case.level == 1 else 0.6)
    if case.schedule == "cosine":
        return schedulers.CosineAnnealingLR(optimizer, T_max=case.epochs * steps)
    if case.schedule == "steps":
        return schedulers.StepLR(optimizer, step_size=max(1, case.epochs * steps // 2), gamma=0.1)
    return (
        schedulers.ReduceLROnPlateau(optimizer, patience=2) if case.schedule == "plateau" else None
    )


def _epoch(case: Case, network: nn.Module, optimizer: Any, train: Any, schedule: Any) -> None:
    _training_mode(case, network)
    for number, (x, y) in enumerate(train, start=1):
        loss = _loss(case, network(x), y) / case.accumulate
        if case.fault != "gradients not zeroed" and (number - 1) % case.accumulate == 0:
            optimizer.zero_grad()
        if loss.requires_grad:
            loss.backward()
        if number % case.accumulate:
            continue
        if case.clip:
            nn.utils.clip_grad_norm_(network.parameters(), case.clip)
        optimizer.step()
        if (
            schedule is not None
            and case.schedule != "plateau"
            and case.fault != "schedule never stepped"
        ):
            schedule.step()


def _training_mode(case: Case, network: nn.Module) -> None:
    if case.fault == "all frozen":
        return
    network.train()
    if isinstance(network, Pretrained) and case.fault != "frozen norms in training mode":
        network.rest()


def _loss(case: Case, outputs: Tensor, y: Tensor) -> Tensor:
    if case.fault in _COUNTS:
        return nn.functional.mse_loss(outputs, y)
    return nn.functional.cross_entropy(outputs, y, label_smoothing=case.smoothing)


def _evaluate(case: Case, network: nn.Module, validation: Any) -> float:
    network.eval()
    total, n = 0.0, 0
    with torch.no_grad():
        for x, y in validation:
            outputs = network(x)
            total += float(_loss(case, outputs, y)) * len(x)
            n += len(x)
            _score(case, outputs, y)
    return total / n


def _score(case: Case, outputs: Tensor, y: Tensor) -> Tensor:
    if case.fault == "rounded too late":
        right = (outputs == y).float().mean()
        return right.round()
    if case.fault == "accuracy on counts":
        return (outputs.round() == y).float().mean()
    if case.fault in _COUNTS:
        return (outputs - y).abs().mean()
    return (outputs.argmax(1) == y).float().mean()
