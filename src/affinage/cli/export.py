"""`affinage export`."""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from affinage.records.bundle import Bundle, Speed


class ModelFormats(StrEnum):
    """What reads the bundle."""

    onnx = "onnx"
    openvino = "openvino"
    torch = "torch"


class Precisions(StrEnum):
    """What the model computes in."""

    fp32 = "fp32"
    bf16 = "bf16"
    int8 = "int8"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    *,
    format_: Annotated[
        ModelFormats, typer.Option("--format", help="What reads it.")
    ] = ModelFormats.onnx,
    precision: Annotated[
        Precisions, typer.Option(help="What it computes in; bf16 wants --format openvino.")
    ] = Precisions.fp32,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="The bundle's folder; affinage-bundles/RUN by default.",
            show_default=False,
        ),
    ] = None,
    max_loss: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            min=0,
            max=100,
            help="What bf16 and int8 may cost, points of 100; 0.5 by default.",
            show_default=False,
        ),
    ] = None,
    surely: Annotated[
        bool,
        typer.Option("--surely", help="Hold the upper end of the loss's interval to --max-loss."),
    ] = False,
    images: Annotated[
        int, typer.Option(metavar="N", min=1, help="Validation images to prove it on at most.")
    ] = 500,
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=1024,
            help="Fix the shape to N views a pass, for devices; any number by default.",
            show_default=False,
        ),
    ] = None,
    speed: Annotated[
        bool, typer.Option(help="Measure size, memory and latency on this machine too.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Write a run's model as a bundle, proved on real images to answer as the trained model.

    The bundle holds the model with its preprocessing, the labels in order, thresholds, a model card,
    the licence of the weights, a baseline for monitoring, and checksums. Without the proof nothing is
    written.

    Examples:
      affinage export affinage-runs/photos-1

      affinage export affinage-runs/photos-1 --precision int8 --into photos-int8
    """
    from affinage.cli.console import reporter, show_json

    with reporter() as told:
        import affinage

        done = affinage.export(
            run,
            into=into,
            model_format=format_.value,
            precision=precision.value,
            max_loss=max_loss,
            surely=surely,
            images=images,
            batch=batch,
            speed=speed,
            reporter=told,
        )
    if json:
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": "export", **to_plain(done)})
        return
    _print(done.path, done.bundle)


def _print(path: str, bundle: "Bundle") -> None:
    from rich.table import Table

    from affinage.cli.console import show
    from affinage.exporting.card import allowed_in_words, lost_in_words

    parity = bundle.parity
    show(
        f"{bundle.model_format} {bundle.precision}, beside {parity.against}, on {parity.images:,} validation "
        f"images: {parity.changed_top1:,} get another answer.\n"
    )
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("stage")
    table.add_column("largest difference", justify="right")
    table.add_column("allowed", justify="right")
    for stage in parity.stages:
        table.add_row(
            stage.name, f"{stage.max_abs_difference:.3g}", allowed_in_words(bundle, stage)
        )
    show(table)
    if bundle.loss:
        show(f"\n{lost_in_words(bundle.loss)}")
    if bundle.quantised and bundle.quantised.kept:
        kept, layers = len(bundle.quantised.kept), bundle.quantised.layers
        show(f"{kept} of {kept + layers} layers are left in fp32: int8 cost too much there.")
    if bundle.speed:
        show("")
        print_speed(bundle.speed)
    show(f"\nbundle   {path}")
    if bundle.model_format == "torch":  # Neither the reader nor the server has PyTorch.
        model = shlex.quote(f"{path}/{bundle.model_file}")
        show(f"read     torch.export.load({model!r}) in Python; docs/export.md shows how")
        return
    shown = shlex.quote(path)
    show(f"read     python -m affinage.bundle {shown} IMAGE...")
    show(f"serve    affinage serve {shown}")


def print_speed(speed: "Speed") -> None:
    """Print what a bundle costs on this machine."""
    from rich.table import Table

    from affinage.cli.console import show

    peak = "" if speed.peak_mb is None else f", {speed.peak_mb:,.0f} MB of memory at most"
    show(
        f"{speed.size_mb:.1f} MB{peak}; one image of {speed.frame[0]} × {speed.frame[1]} at a time, "
        f"{speed.runtime}, {speed.processor}:"
    )
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for heading in ("threads", "median ms", "95 % ms", "99 % ms", "images"):
        table.add_column(heading, justify="right")
    for one in speed.latencies:
        milliseconds = (one.median_ms, one.p95_ms, one.p99_ms)
        table.add_row(str(one.threads), *(f"{ms:.1f}" for ms in milliseconds), str(one.images))
    show(table)
