"""A command that was typed wrongly: what is wrong with it, and what was probably meant, in our words."""

from collections.abc import Sequence
from typing import Any

import typer

from affinage.errors import AffinageError

WRONGLY_TYPED: type[Exception] = typer.BadParameter.__mro__[1]
"""What the parser of the command line raises: the exception of which a bad parameter is one kind."""

_SHORT = {"lr": "optimizer.lr", "learning_rate": "optimizer.lr", "momentum": "optimizer.momentum",
          "batch": "finetune.batch_size", "bs": "finetune.batch_size", "model": "model.backbone",
          "optimizer": "optimizer.name", "loss": "loss.name", "schedule": "schedule.name",
          "scheduler": "schedule.name", "device": "compute.device", "workers": "compute.threads",
          "num_workers": "compute.threads", "image_size": "model.width", "imgsz": "model.width",
          "img_size": "model.width", "size": "model.width"}  # fmt: skip
"""What other tools call a setting."""


def in_our_words(error: Exception, typed: Sequence[str] = ()) -> AffinageError:
    """Return a mistake in the command as an error with a remedy.

    Args:
        error: One that is `WRONGLY_TYPED`.
        typed: The words after `affinage`; the parser does not always say which verb it was at.
    """
    found: Any = error
    verb = f"affinage {typed[0]}" if typed and not typed[0].startswith("-") else "affinage"
    if found.ctx is not None:
        verb = found.ctx.command_path
    if found.ctx is not None and hasattr(found, "possibilities"):
        problem = f"{verb} has no option {found.option_name}."
        return AffinageError(problem, remedy=_meant(found.option_name, found, verb))
    problem = " ".join(str(found.format_message()).split())
    return AffinageError(problem, remedy=f"See how it is written: {verb} --help")


def _meant(wrong: str, error: Any, verb: str) -> str:
    """Return what an option that does not exist was probably meant to be."""
    takes_settings = any("--set" in parameter.opts for parameter in error.ctx.command.params)
    if takes_settings and (told := _settings_like(wrong.lstrip("-").replace("-", "_"))):
        return (
            f"It is a setting, such as {' or '.join(told)}. All of them: affinage train --settings"
        )
    if error.possibilities:
        return f"Did you mean {' or '.join(sorted(error.possibilities))}? See: {verb} --help"
    return f"See which there are: {verb} --help"


def _settings_like(name: str) -> list[str]:
    """Return how to set what is called so, here or by other tools, each with an example's value."""
    from affinage.records.settings_table import example_of, setting_names

    known = setting_names()
    if name in known:
        found = [name]
    elif name in _SHORT:
        found = [_SHORT[name]]
    else:
        found = [full for full in known if full.rpartition(".")[2] == name][:3]
    return [f"--set {full}={example_of(full).replace('null', '…')}" for full in found]
