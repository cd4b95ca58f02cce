"""The listener that turns what torch tells into tallies."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from affinage.records.signals import Signals
from affinage.watching.comparing import ComparisonTally
from affinage.watching.expected import looks_pretrained
from affinage.watching.graph import loss_of
from affinage.watching.inputs import InputTally
from affinage.watching.layers import Looker, Shown
from affinage.watching.memory import memory_mb
from affinage.watching.moment import Moment
from affinage.watching.outputs import OutputTally
from affinage.watching.passes import LossCall, Pass
from affinage.watching.roots import Roots
from affinage.watching.stage import Stage
from affinage.watching.targets import TargetTally, classes_of, encoding_of
from affinage.watching.unharmed import unharmed
from affinage.watching.weights import OptimizerTally, UpdateLook

_MOST_STAGES = 20
_STEPS_BETWEEN_WEIGHINGS = 8


class Watcher:
    """Hears of everything that a training does, and keeps what rules need.

    Attributes:
        moment: Where the training stands.
        roots: Its networks and loaders.
        stage: What was seen of the training under way.
        earlier: What was seen of those before it in the same script.
        troubles: What went wrong in watching, and how often.
        comparing: Comparisons of outputs with targets.
        close_stage: Makes a record of a stage that gives way to another.
    """

    def __init__(self, *, discover: bool, evaluations: bool = True) -> None:
        self.moment = Moment()
        self.roots = Roots(self, discover=discover)
        self.stage = Stage()
        self.earlier: list[Signals] = []
        self.comparing = ComparisonTally()
        self.close_stage: Callable[[], Signals] | None = None
        self._evaluations = evaluations
        self.troubles: dict[str, int] = {}
        self._made: list[Optimizer] = []
        self._schedules: dict[int, list[Any]] = {}
        self._clipped = False
        self._looker = Looker(self.moment.at_work)
        self._updates = UpdateLook()
        self._pending: list[Pass] = []
        self._fresh = True
        self._looked_step = False
        self._awaiting: Optimizer | None = None
        self._waiting = 0.0
        self._ended: tuple[Any, ...] = ()
        self._last_step: float | None = None

    def expect(self, optimizer: Optimizer) -> None:
        """Keep an optimizer's settings as they are before its first step."""
        rates = tuple(float(group["lr"]) for group in optimizer.param_groups)
        self.stage.optimizers[id(optimizer)] = OptimizerTally(optimizer, rates)

    @unharmed
    def optimizer_made(self, optimizer: Optimizer) -> None:
        """An optimizer was built: where one has taken steps before, another training may begin."""
        if not self.moment.busy and self.moment.step:
            self._made.append(optimizer)

    def _begin_stage(self) -> None:
        """Begin anew, unless the optimizer that was built moves the same parameters as before."""
        made, self._made = self._made, []
        moved = {id(p) for one in made for group in one.param_groups for p in group["params"]}
        if moved == self.stage.held() or len(self.earlier) >= _MOST_STAGES:
            return
        self._settle_evaluations()
        if self.close_stage is not None:
            self.earlier.append(self.close_stage())
        self.stage = Stage()
        self.moment.begin_again()
        self.roots.forget_loaders()
        self._fresh = True

    # Loaders.

    @unharmed
    def loader_begun(self, loader: Any) -> None:
        """A loader begins another pass."""
        if self.moment.busy:
            return
        with self.moment.at_work():
            self._settle_end()
            self._settle_evaluations()
            self.stage.curves.close_evaluations(self.moment.epoch)
            if loader is self.moment.train_loader and self.moment.is_through():
                self._end_epoch()  # Some frameworks count batches, and never ask for one too many.
            self.roots.loader_seen(loader, self.moment.train_loader)

    @unharmed
    def batch_given(self, loader: Any, batch: Any, seconds: float) -> None:
        """A loader gave a batch after so many seconds."""
        if self.moment.busy:
            return
        with self.moment.at_work():
            self._settle_end()
            self._settle_evaluations()
            self._waiting += seconds
            moment = self.moment
            moment.batch, moment.loader = batch, loader
            moment.batch_number += 1

    @unharmed
    def loader_ended(self, loader: Any) -> None:
        """A loader has given all batches of its pass; the last one may still be on its way."""
        if not self.moment.busy:
            self._ended = (loader,)

    def _settle_end(self) -> None:
        """Close the pass of the loader that has ended, now that its last batch has been computed."""
        ended, self._ended = self._ended, ()
        moment = self.moment
        for loader in ended:
            self._settle_evaluations()
            moment.batch = moment.loader = None
            if loader is not None and loader is moment.train_loader and moment.batches:
                self._end_epoch()
            elif loader is not None:
                self.stage.curves.close_evaluations(moment.epoch)

    def _is_another_pass(self, *, graph: bool) -> bool:
        """Return whether a network's pass cannot be the last one of the loader that has ended."""
        return any(graph != (loader is self.moment.train_loader) for loader in self._ended)

    def _end_epoch(self) -> None:
        self.moment.epochs += 1
        self.moment.batches = 0
        self.stage.curves.close("train (running)", self.moment.epoch)

    # Forward.

    @unharmed
    def module_called(self, module: nn.Module) -> None:
        """A module is about to compute; where it is a network not seen before, it is watched."""
        if not self.moment.busy:
            self.roots.called(module)

    @unharmed
    def pass_begun(self, root: nn.Module) -> None:
        """A network is about to compute a batch."""
        if self.moment.busy:
            return
        with self.moment.at_work():
            moment = self.moment
            graph = torch.is_grad_enabled()
            if self._is_another_pass(graph=graph):
                self._settle_end()
            if not graph and not self._evaluations:
                return
            if graph and self._made:
                self._begin_stage()
            name = self.stage.name_of(root)
            if graph:
                self.stage.trained[name] = root
            if graph and self._pending and self._pending[-1].batch_number != moment.batch_number:
                self._settle_evaluations()
            looked = moment.looking if graph else moment.looks_at_evaluation()
            self._pending.append(
                Pass(
                    loader=moment.loader, batch=moment.batch, batch_number=moment.batch_number,
                    looked=looked, graph=graph, training=_trains(root), root_trains=root.training,
                    name=name,
                )
            )  # fmt: skip
            if looked:
                if not moment.step and graph:
                    self._begin(name, root)
                self._looker.attach(name, root)

    def _begin(self, name: str, root: nn.Module) -> None:
        """Keep what the first steps will change."""
        if not self.stage.norms.starts:
            self.stage.pretrained = looks_pretrained(self.stage.called)
        self.stage.norms.begin(dict(root.named_modules(prefix=name)))
        self.stage.keep_start(name, root)

    @unharmed
    def pass_ended(self, root: nn.Module, result: Any) -> None:
        """A network has computed a batch."""
        if self.moment.busy or not self._pending:
            return
        with self.moment.at_work():
            current = self._pending[-1]
            current.outputs = first_tensor(result)
            if current.looked:
                current.shown = self._looker.detach()
            if not current.graph:
                self._bound_pending()

    @unharmed
    def activated(self, name: str, result: Tensor) -> None:
        """An activation function was called."""
        if not self.moment.busy:
            self._looker.activated(name, result)

    # Losses and gradients.

    @unharmed
    def loss_computed(
        self, name: str, outputs: Tensor, targets: Tensor, settings: dict[str, Any], loss: Tensor
    ) -> None:
        """A loss function of torch was called."""
        if not self.moment.busy and self._pending:
            call = LossCall(name, outputs, targets, settings, loss)
            self._pending[-1].losses.append(call)

    @unharmed
    def backward_begun(self, losses: Any) -> None:
        """Gradients are about to be computed: now the passes of this batch are known for training."""
        if self.moment.busy:
            return
        with self.moment.at_work():
            if self._fresh and self.moment.looking:
                for tally in self.stage.optimizers.values():
                    tally.look_for_old_gradients()
            self._fresh = False
            loss = losses[0] if isinstance(losses, tuple | list) and losses else losses
            self._commit_training(loss if isinstance(loss, Tensor) else None)

    @unharmed
    def backward_ended(self) -> None:
        """Gradients have been computed."""
        if not self.moment.busy:
            self.stage.backwards += 1
            for tally in self.stage.optimizers.values():
                tally.backwards += 1
            awaiting, self._awaiting = self._awaiting, None
            if awaiting is not None:
                with self.moment.at_work():
                    self._look_at_weights(awaiting)

    @unharmed
    def schedule_made(self, schedule: Any) -> None:
        """A schedule was built; a script may have forgotten it by the time that it ends."""
        self._schedules.setdefault(id(schedule.optimizer), []).append(schedule)

    def clipped(self) -> None:
        """Gradients were clipped."""
        self._clipped = True

    def _names(self) -> dict[int, str]:
        return {id(p): path for path, p in self.stage.parameters().items()}

    # Steps.

    @unharmed
    def step_begun(self, optimizer: Optimizer, *, closure: bool = False) -> None:
        """An optimizer is about to move the weights, with gradients that a closure computes first."""
        if self.moment.busy:
            return
        with self.moment.at_work():
            if id(optimizer) not in self.stage.optimizers:
                self.expect(optimizer)
                self.stage.optimizers[id(optimizer)].backwards = self.stage.backwards
            if closure:
                self._awaiting = optimizer
            else:
                self._look_at_weights(optimizer)

    def _look_at_weights(self, optimizer: Optimizer) -> None:
        """Keep the weights as they are before a step, and measure its gradients."""
        if self.moment.looking:
            self._looked_step = True
            self.stage.optimizers[id(optimizer)].look_for_gradients(self._names())
            modules, number = self.stage.modules(), self.moment.step + 1
            self.stage.book.add(number, self._updates.begin(modules))
            self.stage.book.add(number, self._updates.look_for_equals(modules, first=number == 1))

    @unharmed
    def step_ended(self, optimizer: Optimizer) -> None:
        """An optimizer has moved the weights."""
        tally, self._awaiting = self.stage.optimizers.get(id(optimizer)), None
        if self.moment.busy or tally is None:
            return
        with self.moment.at_work():
            number = self.moment.step + 1
            if self._looked_step:
                self.stage.book.add(number, self._updates.end())
                self._looked_step = False
            tally.steps += 1
            tally.schedules = self._schedules.get(id(optimizer), [])
            tally.clipped = tally.clipped or self._clipped
            self._fresh = True
            rate = float(optimizer.param_groups[-1]["lr"])
            self.stage.book.add(number, {("learning_rate", ""): rate, **self._times()})
            if number % _STEPS_BETWEEN_WEIGHINGS == 1 and (memory := memory_mb()) is not None:
                self.stage.book.add(number, {("memory_mb", ""): memory})
            self.moment.next_step()

    def _times(self) -> dict[tuple[str, str], float]:
        """Return waiting and computing seconds since the last step, evaluation left out."""
        now, before = time.perf_counter(), self._last_step
        self._last_step, waited = now, self._waiting
        self._waiting = 0.0
        if before is None:
            return {("waiting_seconds", ""): waited}
        computed = max(now - before - waited, 0.0)
        return {("waiting_seconds", ""): waited, ("computing_seconds", ""): computed}

    @unharmed
    def compared(self, first: Any, second: Any, where: tuple[str, int]) -> None:
        """Two tensors were compared for equality."""
        if not self.moment.busy and isinstance(first, Tensor):
            with self.moment.at_work():
                self.comparing.add(first, second, where)

    # Passes whose purpose is known.

    def _commit_training(self, loss: Tensor | None) -> None:
        """Enter the passes from which gradients come."""
        moment = self.moment
        own = [p for p in self._pending if p.batch_number == moment.batch_number or p.graph]
        self._pending.clear()
        if self._is_for_training(own) and self.roots.trains_from(moment.loader):
            if moment.train_loader is not None and moment.batches:
                self._end_epoch()
            moment.train_loader = moment.loader
        if moment.loader is not None and moment.loader is moment.train_loader:
            moment.batches += 1
        for each in own:
            self.stage.used[each.name] = self.stage.called[each.name]
            if each.shown:
                self._enter_shown(each.shown)
                self.stage.modes = {m: m.training for m in self.stage.modules().values()}
        judged = next((p for p in reversed(own) if p.outputs is not None), None)
        if judged is None:
            return
        self.stage.book.add(moment.step + 1, {("training_mode", ""): float(judged.root_trains)})
        if loss is not None and loss.numel() == 1:
            self.stage.book.add(moment.step + 1, {("loss", ""): float(loss.detach())})
        if not judged.losses and loss is not None:
            self.stage.objectives.add_unknown(*loss_of(loss), judged)
        self._enter(judged, "train", "train (running)", loss)

    def _is_for_training(self, own: list[Pass]) -> bool:
        """Return whether gradients of these passes are meant for steps: others are asked for saliency."""
        loader, known = self.moment.loader, self.moment.train_loader
        if loader is None or known is None or loader is known:
            return loader is not None
        same = getattr(loader, "dataset", None) is getattr(known, "dataset", loader)
        return same or any(each.training for each in own)

    def _enter_shown(self, shown: Shown) -> None:
        self.stage.norms.add(shown)
        self.stage.book.add(self.moment.step + 1, shown.numbers)
        if len(shown.order) > len(self.stage.layer_order):
            self.stage.layer_order = shown.order

    def _settle_evaluations(self) -> None:
        """Enter the passes that brought no gradient: they were evaluations."""
        pending, self._pending = self._pending, []
        for each in pending:
            if each.outputs is None or (each.graph and each.training and not self.moment.step):
                continue
            name = self.roots.part_of(each.loader, self.moment.train_loader)
            on = "train (evaluation mode)" if name == "train" else name
            if name == "train" and each.training:
                continue
            self._enter(each, name, on, each.losses[-1].value if each.losses else None)

    def _bound_pending(self) -> None:
        """Keep no more than a batch of evaluation alive: outputs can be large."""
        if len(self._pending) > 4 and self._pending[0].batch_number != self.moment.batch_number:
            self._settle_evaluations()

    def _enter(self, each: Pass, part: str, on: str, loss: Tensor | None) -> None:
        outputs, targets = each.judged(), each.targets()
        if outputs is None or not outputs.ndim:
            return
        name = each.losses[-1].name if each.losses else self.stage.objectives.usual()
        if each.losses:
            self.stage.objectives.add(each.losses[-1], part)
        self._enter_images(each, part)
        encoding = "real"
        if targets is not None and targets.ndim:
            tally = self.stage.targets.setdefault(part, TargetTally(part))  # type: ignore[arg-type]
            tally.add(targets, outputs, name)
            encoding = self.stage.targets["train"].settled() if "train" in self.stage.targets else (
                encoding_of(targets, outputs, name)
            )  # fmt: skip
            if part == "train":
                classes = classes_of(targets, encoding)
                if classes is not None:
                    self.stage.order.add(classes, completed=self.moment.epochs)
        self.stage.curves.add(
            on, outputs, targets, encoding=encoding, loss=loss,
            from_logits=self.stage.objectives.from_logits(),
        )  # fmt: skip

    def _enter_images(self, each: Pass, part: str) -> None:
        if each.shown is not None and each.shown.inputs is not None:
            tally = self.stage.inputs.setdefault(part, InputTally(part))  # type: ignore[arg-type]
            tally.add(each.shown.inputs, completed=self.moment.epochs)
        if each.looked and (outputs := each.judged()) is not None:
            self.stage.outputs.setdefault(part, OutputTally(part)).add(outputs)  # type: ignore[arg-type]

    def end(self) -> None:
        """Enter what is still pending."""
        with self.moment.at_work():
            self._settle_end()
            self._settle_evaluations()
            self._looker.detach()
            self.stage.curves.close("train (running)", self.moment.epoch)
            self.stage.curves.close_evaluations(self.moment.epoch)


def first_tensor(result: Any) -> Tensor | None:
    """Return the outputs among what a network returned."""
    if isinstance(result, Tensor):
        return result
    if hasattr(result, "logits"):
        return first_tensor(result.logits)
    values = result.values() if isinstance(result, dict) else result
    if isinstance(result, dict | tuple | list):
        return next((each for each in values if isinstance(each, Tensor)), None)
    return None


def _trains(root: nn.Module) -> bool:
    return any(module.training for module in root.modules())
