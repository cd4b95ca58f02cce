"""The networks of a training and the loaders that feed it, given or found."""

import sys
import weakref
from typing import Any, Protocol

from torch import nn

from affinage.records.training_facts import Part
from affinage.watching.moment import part_named

_MOST_ROOTS = 64
_MOST_FRAMES = 12


class Passes(Protocol):
    """Who wants to know when a network computes."""

    def pass_begun(self, root: nn.Module) -> None:
        """A network is about to compute."""

    def pass_ended(self, root: nn.Module, result: Any) -> None:
        """A network has computed."""


class Roots:
    """Outermost modules with weights, and the parts that loaders stand for.

    Attributes:
        loaders: By part.
    """

    def __init__(self, passes: Passes, *, discover: bool) -> None:
        self.loaders: dict[Part, Any] = {}
        self._passes = passes
        self._discover = discover
        self._known: dict[int, nn.Module] = {}
        self._given: dict[Part, Any] = {}
        self._trainers: weakref.WeakSet[Any] = weakref.WeakSet()
        self._depth = 0
        self._handles: list[Any] = []

    def watch(self, root: nn.Module) -> None:
        """Hear of every pass of a network."""
        self._known[id(root)] = root

        def before(*_: Any) -> None:
            self._depth += 1
            if self._depth == 1:
                self._passes.pass_begun(root)

        def after(_: nn.Module, __: Any, result: Any) -> None:
            self._depth = max(self._depth - 1, 0)
            if self._depth == 0:
                self._passes.pass_ended(root, result)

        self._handles.append(root.register_forward_pre_hook(before))
        self._handles.append(root.register_forward_hook(after, always_call=True))

    def called(self, module: nn.Module) -> None:
        """A module is about to compute: where no network is at work, it may be one."""
        if not self._discover or self._depth or id(module) in self._known:
            return
        if len(self._known) >= _MOST_ROOTS or next(module.parameters(), None) is None:
            return
        self.watch(module)
        self._depth += 1  # Its own hooks are heard from its next pass on.
        self._passes.pass_begun(module)

    def release(self) -> None:
        """Hear of nothing any more."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def give(self, loaders: dict[Part, Any]) -> None:
        """Take loaders whose parts are known for certain."""
        self._given = loaders
        self.loaders = dict(loaders)

    def forget_loaders(self) -> None:
        """Another training begins: what its loaders stand for is found anew."""
        self.loaders = dict(self._given)
        self._trainers.clear()

    def trains_from(self, loader: Any) -> bool:
        """Take note that gradients come from a loader; return whether it is the first one, or a new one.

        Many scripts build a loader anew for every epoch: the name of none of them is known, and only now is
        it clear that it is not validation's.
        """
        if loader in self._trainers:
            return False
        self._trainers.add(loader)
        for part in [part for part, known in self.loaders.items() if known is loader]:
            if self._given.get(part) is not loader:
                del self.loaders[part]
        return True

    def loader_seen(self, loader: Any, train_loader: Any) -> None:
        """Give a loader the part that its variable's name speaks of."""
        if loader is train_loader or any(loader is known for known in self.loaders.values()):
            return
        part = part_named(_variable(loader))
        if part == "test" and self.loaders.get("validation", train_loader) is train_loader:
            part = "validation"  # Watched as validation is, whatever it is called.
        if self.loaders.get(part, train_loader) is train_loader:
            self.loaders[part] = loader

    def part_of(self, loader: Any, train_loader: Any) -> Part:
        """Return the part that a loader stands for."""
        if loader is not None and (loader is train_loader or loader in self._trainers):
            return "train"
        known: list[Part] = [part for part, value in self.loaders.items() if value is loader]
        if loader is None or not known or (known[0] == "train" and train_loader is not None):
            return "validation"
        return known[0]


def _variable(value: Any) -> str:
    """Return the name under which a caller knows a value, in the frame farthest out; or nothing."""
    name = ""
    frame = sys._getframe(1)
    for _ in range(_MOST_FRAMES):
        found = [key for key, each in [*frame.f_locals.items()] if each is value and key != "self"]
        name = next((key for key in found if key not in {"loader", "value", "_"}), name)
        if frame.f_back is None:
            break
        frame = frame.f_back
    return name
