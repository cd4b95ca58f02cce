"""`affinage bench-bundle`."""

from pathlib import Path
from typing import Annotated

import typer


def bench_bundle(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle's folder.")],
    *,
    images: Annotated[
        int, typer.Option(metavar="N", min=20, help="Images to time for each number of threads.")
    ] = 200,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="The most to compute with; all by default.", show_default=False
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Measure size, memory and latency of a bundle on this machine; needs no PyTorch.

    One image at a time goes from its pixels to its answer, with 1, 2, 4… threads.

    Examples:
      affinage bench-bundle affinage-bundles/photos-1
    """
    from affinage.cli.console import reporter, show_json
    from affinage.cli.export import print_speed

    with reporter() as told:
        import affinage

        speed = affinage.bench_bundle(bundle, images=images, threads=threads, reporter=told)
    if json:
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": "bench-bundle", **to_plain(speed)})
        return
    print_speed(speed)
