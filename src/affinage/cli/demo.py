"""`affinage demo`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer


def demo(
    into: Annotated[Path, typer.Option("--into", help="Where to write the images.")] = Path(
        "affinage-demo/digits"
    ),
    *,
    run: Annotated[
        bool, typer.Option("--train", help="Train on them too, as the printed command would.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="With --train: the run's folder.", show_default=False),
    ] = None,
) -> None:
    """Write real images that came with the installation, to try everything on.

    Example:
      affinage demo --train
    """
    from affinage.cli.console import reporter, show

    with reporter() as told:
        import affinage

        written = affinage.demo(into, reporter=told)
    settings = " ".join(f"--set {setting}" for setting in written.settings)
    show(f"{written.images:,} images in {written.folder}: {written.description}.")
    show(
        "Flips are off, because a flipped digit is another sign; a small input is enough for 8 × 8."
    )
    command = f"affinage train {shlex.quote(str(written.folder))} {settings}"
    if not run:
        show(f"\nNow train on them:\n  {command}")
        return
    show(f"\n$ {command}\n")
    from affinage.cli.train import train

    train([written.folder], setting=list(written.settings), output=output)
