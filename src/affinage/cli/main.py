"""The command `affinage`: its verbs, and how mistakes and interruptions end."""

import contextlib
import errno
import inspect
import os
import re
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from affinage.cli.audit import audit
from affinage.cli.augmentations import augmentations
from affinage.cli.bench import bench
from affinage.cli.bench_bundle import bench_bundle
from affinage.cli.collect import collect
from affinage.cli.counts import counts
from affinage.cli.demo import demo
from affinage.cli.doctor import doctor
from affinage.cli.env import env
from affinage.cli.evaluate import evaluate
from affinage.cli.exclude import exclude
from affinage.cli.export import export
from affinage.cli.feedback import feedback
from affinage.cli.include import include
from affinage.cli.layers import layers
from affinage.cli.models import models
from affinage.cli.monitor import monitor
from affinage.cli.predict import predict
from affinage.cli.recipes import recipes
from affinage.cli.relabel import relabel
from affinage.cli.sample import sample
from affinage.cli.serve import serve
from affinage.cli.show import show
from affinage.cli.split import split
from affinage.cli.study import study
from affinage.cli.train import train
from affinage.cli.usage import WRONGLY_TYPED, in_our_words
from affinage.errors import AffinageError

MISTAKE, INTERRUPTED = 2, 130

PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Model": (
        train,
        doctor,
        study,
        predict,
        evaluate,
        export,
        serve,
        monitor,
        feedback,
        show,
        augmentations,
    ),
    "Data": (collect, counts, audit, sample, exclude, include, relabel, split),
    "About": (bench, bench_bundle, models, recipes, layers, env, demo),
}
"""As `--help` lists them."""

COMMANDS = tuple(command for commands in PANELS.values() for command in commands)

app = typer.Typer(
    name="affinage",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help=(
        "From a folder of images to a vision model you can trust.\n\n"
        "Start with [bold]affinage train photos/[/bold], where photos/ has a folder per class. "
        "Every verb teaches itself: affinage VERB --help."
    ),
)


def _version(asked: bool) -> None:  # noqa: FBT001 - typer's signature.
    if asked:
        from affinage import __version__

        print(f"affinage {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _flowing(text: str) -> str:
    """Return a docstring whose paragraphs are one line each, for the terminal to wrap."""
    return re.sub(r"(?<=\S)\n(?=\S)", " ", inspect.cleandoc(text))


for _panel, _commands in PANELS.items():
    for _command in _commands:
        app.command(
            rich_help_panel=_panel,
            help=_flowing(_command.__doc__ or ""),
            context_settings={"ignore_unknown_options": _command is doctor},  # Those of a script.
        )(_command)


def main() -> None:
    """Run the command; a user's mistake ends with exit code 2, an interruption with 130."""
    try:
        _run()
    except AffinageError as error:
        from affinage.cli.console import complain

        complain(error)
        sys.exit(MISTAKE)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `affinage models | head`
        _no_more_output()
        sys.exit(0)


def _run() -> None:
    """Run the command, and write all of what it prints.

    Raises:
        AffinageError: A user's mistake; or standard output goes to a full disk.
        BrokenPipeError: If nobody reads on.
    """
    try:
        try:
            sys.exit(app(standalone_mode=False))
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except WRONGLY_TYPED as error:
        if _asks_for_help(error):
            sys.exit(MISTAKE)
        raise in_our_words(error, sys.argv[1:]) from None
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # typer ends with 1: a finding's code.
            raise ended.__context__ from None
        raise
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _no_more_output()
        raise AffinageError(
            "The disk is full: what was to be printed could not be written.",
            remedy="Free some room. What was kept is there: affinage show RUN prints a run anew.",
        ) from None


def _asks_for_help(error: Exception) -> bool:
    """Show the help where a verb stands without all that it needs, and return whether it did."""
    if type(error).__name__ != "NoArgsIsHelpError":
        return False
    print(str(error), end="")
    return True


def _no_more_output() -> None:
    """Let nothing be written to standard output at the end, where it could not be written before."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
