"""Functions of torch that tell a listener when they are called, until they are given back."""

import contextlib
import functools
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter

LOSSES = (
    "cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "poisson_nll_loss",
    "gaussian_nll_loss", "kl_div", "multilabel_soft_margin_loss", "multi_margin_loss",
    "soft_margin_loss",
)  # fmt: skip
ACTIVATIONS = ("relu", "sigmoid", "tanh")


class Listener(Protocol):
    """Who is told; every call must be cheap and must not touch the training."""

    def module_called(self, module: nn.Module) -> None:
        """A module, of any depth, is about to compute."""

    def loader_begun(self, loader: Any) -> None:
        """A loader begins another pass."""

    def batch_given(self, loader: Any, batch: Any, seconds: float) -> None:
        """A loader gave a batch after so many seconds."""

    def loader_ended(self, loader: Any) -> None:
        """A loader has given all batches of its pass."""

    def loss_computed(
        self, name: str, outputs: Tensor, targets: Tensor, settings: dict[str, Any], loss: Tensor
    ) -> None:
        """A loss function of torch was called."""

    def activated(self, name: str, result: Tensor) -> None:
        """An activation function was called, by itself or by its module."""

    def backward_begun(self, losses: Any) -> None:
        """Gradients are about to be computed."""

    def backward_ended(self) -> None:
        """Gradients have been computed."""

    def step_begun(self, optimizer: Optimizer, *, closure: bool) -> None:
        """An optimizer is about to move the weights, with gradients that a closure computes first."""

    def step_ended(self, optimizer: Optimizer) -> None:
        """An optimizer has moved the weights."""

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """An optimizer was built."""

    def schedule_made(self, schedule: Any) -> None:
        """A schedule of the learning rate was built."""

    def clipped(self) -> None:
        """Gradients were clipped."""

    def compared(self, first: Any, second: Any, where: tuple[str, int]) -> None:
        """Two tensors were compared for equality at a file's line."""


@contextlib.contextmanager
def patched(listener: Listener, *, modules: bool = True) -> Iterator[None]:
    """Tell the listener of everything until the block is left; then all is as it was.

    Args:
        listener: Who is told.
        modules: Whether of every call of a module too: dearer, and needed only to find the networks.
    """
    with contextlib.ExitStack() as stack:
        for name in LOSSES:
            _replace(stack, nn.functional, name, _loss(name, listener))
        for name in ACTIVATIONS:
            for owner in (nn.functional, torch, Tensor):
                if hasattr(owner, name):
                    _replace(stack, owner, name, _activation(name, listener))
        _replace(stack, torch.autograd, "backward", _backward(listener))
        for name in ("clip_grad_norm_", "clip_grad_value_"):
            _replace(stack, nn.utils, name, _clip(listener))
        for owner, name in ((Tensor, "__eq__"), (Tensor, "eq"), (torch, "eq")):
            _replace(stack, owner, name, _equality(listener))
        _replace(stack, Optimizer, "__init__", _making(listener))
        for kind in (LRScheduler, ReduceLROnPlateau):
            _replace(stack, kind, "__init__", _scheduling(listener))
        _patch_loaders(stack, listener)
        if modules:
            heard = register_module_forward_pre_hook(
                lambda module, _: listener.module_called(module)
            )
            stack.callback(heard.remove)
        for handle in (
            register_optimizer_step_pre_hook(
                lambda optimizer, args, kwargs: listener.step_begun(
                    optimizer, closure=_has_closure(args, kwargs)
                )
            ),
            register_optimizer_step_post_hook(lambda optimizer, *_: listener.step_ended(optimizer)),
        ):
            stack.callback(handle.remove)
        yield


def _has_closure(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return any(callable(each) for each in (*args[1:2], kwargs.get("closure")))


Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


def _replace(stack: contextlib.ExitStack, owner: Any, name: str, wrapper: Wrapper) -> None:
    original = getattr(owner, name)
    inherited = isinstance(owner, type) and name not in vars(owner)
    setattr(owner, name, functools.wraps(original)(wrapper(original)))
    if inherited:
        stack.callback(delattr, owner, name)
    else:
        stack.callback(setattr, owner, name, original)


def _loss(name: str, listener: Listener) -> Wrapper:
    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            loss = original(*args, **kwargs)
            pair = (*args, *(kwargs[k] for k in ("input", "target") if k in kwargs))[:2]
            if len(pair) == 2 and all(isinstance(each, Tensor) for each in pair):
                listener.loss_computed(name, pair[0], pair[1], kwargs, loss)
            return loss

        return called

    return wrapper


def _activation(name: str, listener: Listener) -> Wrapper:
    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            listener.activated(name, result)
            return result

        return called

    return wrapper


def _backward(listener: Listener) -> Wrapper:
    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            listener.backward_begun(args[0] if args else kwargs.get("tensors"))
            result = original(*args, **kwargs)
            listener.backward_ended()
            return result

        return called

    return wrapper


def _making(listener: Listener) -> Wrapper:
    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
            original(optimizer, *args, **kwargs)
            listener.optimizer_made(optimizer)

        return called

    return wrapper


def _scheduling(listener: Listener) -> Wrapper:
    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(schedule: Any, *args: Any, **kwargs: Any) -> None:
            original(schedule, *args, **kwargs)
            listener.schedule_made(schedule)

        return called

    return wrapper


def _clip(listener: Listener) -> Wrapper:
    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            listener.clipped()
            return original(*args, **kwargs)

        return called

    return wrapper


def _equality(listener: Listener) -> Wrapper:
    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            if len(args) > 1 and isinstance(args[1], Tensor):
                frame = sys._getframe(1)
                listener.compared(args[0], args[1], (frame.f_code.co_filename, frame.f_lineno))
            return original(*args, **kwargs)

        return called

    return wrapper


def _patch_loaders(stack: contextlib.ExitStack, listener: Listener) -> None:
    """Let every pass over a DataLoader be heard of, whichever kind of iterator it uses."""
    loaders: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def iterating(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(loader: DataLoader[Any]) -> Any:
            iterator = original(loader)
            loaders[iterator] = loader
            listener.loader_begun(loader)
            return iterator

        return called

    def giving(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(iterator: Any) -> Any:
            begun = time.perf_counter()
            try:
                batch = original(iterator)
            except StopIteration:
                listener.loader_ended(loaders.get(iterator))
                raise
            listener.batch_given(loaders.get(iterator), batch, time.perf_counter() - begun)
            return batch

        return called

    _replace(stack, DataLoader, "__iter__", iterating)
    _replace(stack, _BaseDataLoaderIter, "__next__", giving)
