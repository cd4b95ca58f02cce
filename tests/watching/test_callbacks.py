"""Trainings of other frameworks are watched through their callbacks, where these are installed."""

import importlib.util
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import affinage
from affinage.errors import AffinageError
from small_trainings import Net

ADAPTERS = {
    "lightning": affinage.lightning_callback,
    "transformers": affinage.huggingface_callback,
    "fastai": affinage.fastai_callback,
}


def installed(name):
    return importlib.util.find_spec(name) is not None


@pytest.fixture
def quiet(monkeypatch):
    if installed("transformers"):  # It takes the folder of our own tests for the package datasets.
        monkeypatch.setattr("transformers.trainer.is_datasets_available", lambda: False)
    with warnings.catch_warnings():  # Of the frameworks' own.
        warnings.simplefilter("ignore")
        yield


def fit_lightning(digits, callback, folder):
    import lightning.pytorch as pl

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = Net()

        def training_step(self, batch, _):
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def validation_step(self, batch, _):
            nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)

    trainer = pl.Trainer(
        max_epochs=2, callbacks=[callback], logger=False, accelerator="cpu", enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False, default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(Module(), DataLoader(digits[0], 32, shuffle=True), DataLoader(digits[1], 32))


def fit_transformers(digits, callback, folder):
    from transformers import Trainer, TrainingArguments

    class Classified(Net):
        def forward(self, images, labels):
            logits = super().forward(images)
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    def together(rows):
        images, labels = zip(*rows, strict=True)
        return {"images": torch.stack(images), "labels": torch.stack(labels)}

    arguments = TrainingArguments(
        str(folder), num_train_epochs=2, per_device_train_batch_size=32, eval_strategy="epoch",
        per_device_eval_batch_size=32, learning_rate=1e-3, report_to="none", save_strategy="no",
        use_cpu=True, disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    Trainer(
        Classified(), arguments, data_collator=together, train_dataset=digits[0],
        eval_dataset=digits[1], callbacks=[callback],
    ).train()  # fmt: skip


def fit_fastai(digits, callback, folder):
    import fastai.callback.progress  # noqa: F401 - gives learners `no_bar`.
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader as Loader
    from fastai.learner import Learner

    dls = DataLoaders(
        Loader(digits[0], bs=32, shuffle=True, num_workers=0), Loader(digits[1], bs=32, num_workers=0)
    )  # fmt: skip
    learner = Learner(dls, Net(), loss_func=nn.CrossEntropyLoss(), path=folder, cbs=[callback])
    with learner.no_bar(), learner.no_logging():
        learner.fit(2, lr=1e-2)


FITS = {"lightning": fit_lightning, "transformers": fit_transformers, "fastai": fit_fastai}


@pytest.mark.parametrize("name", FITS)
def test_a_fit_is_described_truly(name, digits, tmp_path, quiet):
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    callback = ADAPTERS[name]()
    FITS[name](digits, callback, tmp_path)
    signals = callback.signals
    assert (signals.origin, signals.task, signals.steps, signals.epochs) == (
        "callback", "classify", 20, 2.0,
    )  # fmt: skip
    (loss,) = [o for o in signals.objectives if o.part_of == "training"]
    assert (loss.name, loss.activation, loss.outputs) == ("cross_entropy", "none", 10)
    (norm,) = signals.batchnorms
    assert norm.steps == norm.steps_by_batch > 2
    assert signals.feeding[0].shuffled
    assert [f.images for f in signals.feeding] == [320, 160]
    (optimizer,) = signals.optimizers
    assert (optimizer.missing, optimizer.without_gradient) == ((), ())
    assert len(signals.curve("accuracy", "validation")) == 2
    gradients = signals.series_of("gradient_norm")
    assert gradients.steps[:3] == (1, 2, 3)
    assert all(gradients.values)
    assert nn.functional.cross_entropy.__module__ == "torch.nn.functional"


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_framework_that_is_missing_is_named_with_how_to_get_it(name):
    if installed(name):
        pytest.skip(f"{name} is installed")
    with pytest.raises(AffinageError, match="is not installed") as error:
        ADAPTERS[name]()
    assert f"pip install '{name}" in error.value.remedy


def test_gradients_that_a_closure_computes_are_those_of_their_step(training):
    net, optimizer, train_loader, _ = training
    norms = []
    with affinage.watch(net, optimizer=optimizer) as seen:
        for images, labels in train_loader:

            def closure(images=images, labels=labels):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(net(images), labels)
                loss.backward()
                norms.append(float(nn.utils.get_total_norm(p.grad for p in net.parameters())))
                return loss

            optimizer.step(closure)
    series = seen.signals.series_of("gradient_norm")
    assert series.values == pytest.approx([norms[step - 1] for step in series.steps])
    assert seen.signals.optimizers[0].zeroed_share == 1.0


def test_a_loader_that_is_never_asked_once_too_often_still_ends_its_epochs(training):
    net, optimizer, train_loader, _ = training
    with affinage.watch(net, optimizer=optimizer, train_loader=train_loader) as seen:
        for _ in range(2):
            for _, (images, labels) in zip(range(len(train_loader)), train_loader, strict=False):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(images), labels).backward()
                optimizer.step()
    assert [p.epoch for p in seen.signals.curve("loss", "train (running)")] == [1.0, 2.0]
