"""`affinage bench`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affinage.cli.recipe_options import recipe_option, set_option

if TYPE_CHECKING:
    from affinage.records.bench import Bench


def bench(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A folder of images, or a table.")
    ],
    *,
    recipe: Annotated[str | None, recipe_option("Its network and settings are measured")] = None,
    setting: Annotated[list[str] | None, set_option("compute.threads=4")] = None,
    images: Annotated[
        int, typer.Option(metavar="N", help="Images to measure at most, spread over the source.")
    ] = 192,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Measure which of read, decode, augment and compute holds a training up, and what would help.

    Your own files, disk, loader and network are measured; nothing is written.

    Examples:
      affinage bench photos/

      affinage bench photos/ --set model.backbone=resnet50
    """
    import affinage
    from affinage.cli.console import show_json

    found = affinage.bench(source, recipe=recipe, settings=setting or (), images=images)
    if json:
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": "bench", **to_plain(found)})
        return
    _print(found)


def _print(found: "Bench") -> None:
    from rich.table import Table

    from affinage.cli.console import show

    rates, table = found.rates, Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("alone, with all threads", "ms an image", "images/s"):
        table.add_column(heading, justify="left" if heading.startswith("alone") else "right")
    rows = {
        f"read from {'the disk' if found.from_disk else 'memory'}": rates.read,
        "decode": rates.decode,
        "augment": rates.augment,
        "compute": rates.compute,
    }
    for name, seconds in rows.items():
        table.add_row(name, f"{1000 * seconds:.2f}", f"{1 / seconds:,.0f}")
    show(
        f"{found.images} images of {_amount(found.megabytes)} on average, {found.threads} "
        f"thread{'s' * (found.threads != 1)}, {found.backbone} on {found.device}\n"
    )
    show(table)
    show(
        f"\nThe parts add up to {found.predicted:.3g} images/s of fine-tuning; "
        f"{found.measured:.3g} were measured (between {found.slowest:.3g} and {found.fastest:.3g} in "
        f"{found.steps} steps)."
    )
    if not found.agrees:
        show(
            "They do not agree, so gains below are rough: other programs are at work, or images are few or "
            "of very different sizes. Measure again, with more of them (--images)."
        )
    show(f"Bottleneck: {found.bottleneck}.")
    for remedy in found.remedies:
        show(f"  {remedy.times:.2f} ×  {remedy.what} ({remedy.images_per_second:.3g} images/s)")
    if not found.remedies:
        show("  Nothing that was tried would gain 2 % or more.")


def _amount(megabytes: float) -> str:
    return f"{megabytes:.2f} MB" if megabytes >= 0.1 else f"{1000 * megabytes:.1f} kB"
