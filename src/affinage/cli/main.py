"""The command `affinage`: its verbs, and how mistakes and interruptions end."""

import contextlib
import os
import sys
from typing import Annotated

import typer

from affinage.cli.audit import audit
from affinage.cli.augmentations import augmentations
from affinage.cli.collect import collect
from affinage.cli.counts import counts
from affinage.cli.demo import demo
from affinage.cli.env import env
from affinage.cli.evaluate import evaluate
from affinage.cli.exclude import exclude
from affinage.cli.include import include
from affinage.cli.layers import layers
from affinage.cli.models import models
from affinage.cli.predict import predict
from affinage.cli.relabel import relabel
from affinage.cli.sample import sample
from affinage.cli.show import show
from affinage.cli.split import split
from affinage.cli.train import train
from affinage.errors import AffinageError

MISTAKE, INTERRUPTED = 2, 130

PANELS = {
    "Model": (train, predict, evaluate, show, augmentations),
    "Data": (collect, counts, audit, sample, exclude, include, relabel, split),
    "About": (models, layers, env, demo),
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


for _panel, _commands in PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)


def main() -> None:
    """Run the command; a user's mistake ends with exit code 2, an interruption with 130."""
    try:
        app(standalone_mode=True)
    except AffinageError as error:
        from affinage.cli.console import complain

        complain(error)
        sys.exit(MISTAKE)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `affinage models | head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
