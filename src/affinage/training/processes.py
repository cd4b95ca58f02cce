"""Several processes that train one model together, started by torchrun or the like."""

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from affinage.errors import RunError

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """Which of how many processes this is.

    Attributes:
        rank: From 0; only rank 0 writes and speaks.
        world: Number of processes.
        local: Rank among those on this machine: which accelerator is this one's.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """True in the one process that writes."""
        return self.rank == 0

    def share(self, things: Sequence[Thing]) -> Sequence[Thing]:
        """Return every `world`-th of the things, from number `rank` on."""
        return things[self.rank :: self.world]


ALONE = Processes()

PATIENCE = datetime.timedelta(days=1)
"""How long a process waits for the others: rank 0 may audit and compute features for hours."""


@contextlib.contextmanager
def joined(device_type: str = "cpu") -> Iterator[Processes]:
    """Join the group that torchrun or `accelerate launch` started; alone where there is none.

    Args:
        device_type: `cuda` lets gradients travel by NCCL, all else by gloo.

    Raises:
        RunError: If the environment names a group that cannot be joined.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield ALONE
        return
    backend = "nccl" if device_type == "cuda" else "gloo"
    try:
        distributed.init_process_group(backend, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise RunError(
            f"The group of {world} processes could not be joined: {str(error).splitlines()[0]}",
            remedy="Start them with torchrun --nproc-per-node N, or unset WORLD_SIZE for one process.",
        ) from None
    try:
        yield Processes(
            rank=distributed.get_rank(),
            world=world,
            local=int(os.environ.get("LOCAL_RANK", "0")),
        )
    finally:
        distributed.destroy_process_group()


def sum_gradients(parameters: Sequence[nn.Parameter], sums: Tensor, processes: Processes) -> Tensor:
    """Add gradients, and a few sums, over all processes in place; return the sums.

    All travel as one vector. A parameter without a gradient in every process keeps none; one that only
    some have (the last batch of an epoch may leave a process without an image) has the others' sum.

    Args:
        parameters: What is trained, in the same order in every process.
        sums: Further numbers to add up, shape (k,).
        processes: Of this group.
    """
    if processes.world == 1:
        return sums
    had = torch.tensor([float(p.grad is not None) for p in parameters], device=sums.device)
    pieces = [sums.float(), had]
    pieces.extend(
        torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters
    )
    whole = torch.cat([piece.float() for piece in pieces])
    distributed.all_reduce(whole)
    place = len(sums) + len(parameters)
    present = whole[len(sums) : place].tolist()
    for parameter, count in zip(parameters, present, strict=True):
        piece = whole[place : place + parameter.numel()]
        place += parameter.numel()
        if count:
            parameter.grad = piece.view_as(parameter).to(parameter.dtype).clone()
    return whole[: len(sums)]


def agreed(thing: Thing, processes: Processes) -> Thing:
    """Return what rank 0 has, in every process: a decision by the clock must be the same everywhere."""
    if processes.world == 1:
        return thing
    box: list[Any] = [thing]
    distributed.broadcast_object_list(box, src=0)
    return box[0]  # type: ignore[no-any-return]


def same_start(model: nn.Module, processes: Processes) -> None:
    """Copy the weights of rank 0 into the model of every other process."""
    if processes.world > 1:
        for tensor in model.state_dict().values():
            distributed.broadcast(tensor, src=0)


def wait(processes: Processes) -> None:
    """Wait until all processes are here."""
    if processes.world > 1:
        distributed.barrier()


def in_shares(
    items: Sequence[Thing],
    compute: Callable[[Sequence[Thing]], NDArray[np.float32]],
    processes: Processes,
) -> NDArray[np.float32]:
    """Return what `compute` gives for all items, each process having done its share.

    No item is computed twice or filled up, so that scores of the whole are exact for any number.

    Args:
        items: In the same order in every process; at least as many as there are processes.
        compute: Returns a row for each of its items, shape (n, ...).
        processes: Of this group.
    """
    if processes.world == 1:
        return compute(items)
    own = compute(processes.share(items))
    rows: list[Any] = [None] * processes.world
    distributed.all_gather_object(rows, own)
    whole = np.empty((len(items), *own.shape[1:]), dtype=own.dtype)
    for rank, part in enumerate(rows):
        whole[rank :: processes.world] = part
    return whole
