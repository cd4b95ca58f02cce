"""`affinage serve`."""

from pathlib import Path
from typing import Annotated

import typer


def serve(
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="The folder that `affinage export` wrote.")
    ],
    *,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; beyond this machine a token is asked.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="0 takes any that is free.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN", envvar="AFFINAGE_TOKEN", help="Asked of everyone.",
            show_default="none on this machine, elsewhere a new one",
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keep features and scores of what is answered.",
                     show_default="none"),
    ] = None,
    log_mb: Annotated[int, typer.Option(metavar="MB", help="Bound of the log.")] = 256,
    keep_pictures: Annotated[
        bool, typer.Option("--keep-pictures", help="Keep the images too, within the same bound.")
    ] = False,
    allow_url: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Fetch addresses of this host; * for any.", show_default="none"),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="That compute.", show_default="one per processor")
    ] = None,
    batch: Annotated[
        int, typer.Option(metavar="N", help="Images computed together, at most; 0 measures it.")
    ] = 0,
    linger_ms: Annotated[
        float, typer.Option(metavar="MS", help="How long an image may wait for others.")
    ] = 0.0,
    queue: Annotated[
        int, typer.Option(metavar="N", help="Images that may wait; one more is refused with 503.")
    ] = 64,
    timeout: Annotated[float, typer.Option(metavar="S", help="Of a body, and of an answer.")] = 10.0,
    max_mb: Annotated[int, typer.Option(metavar="MB", help="Of one request's body.")] = 20,
    max_pixels: Annotated[int, typer.Option(metavar="N", help="Of one image.")] = 50_000_000,
    max_images: Annotated[int, typer.Option(metavar="N", help="In one request.")] = 32,
    window: Annotated[int, typer.Option(metavar="N", help="Images that drift is judged on.")] = 200,
    false_alarms: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Windows without shift that may raise an alarm."),
    ] = 0.01,
) -> None:  # fmt: skip
    """Answer over HTTP what a bundle's model sees in images.

    POST /predict takes an image as the body, or several as files of a form; / is a page to drop
    images on; /health, /ready, /metrics, /drift, /model and /openapi.json say the rest. SIGHUP or
    POST /reload serves the bundle as it lies there now. Ctrl-C answers what was accepted, and ends.

    Examples:
      affinage serve mushrooms.bundle

      affinage serve mushrooms.bundle --host 0.0.0.0 --log served/ --log-mb 500
    """
    from affinage.cli.console import reporter

    with reporter() as told:
        import affinage
        from affinage.serving.limits import Limits
        from affinage.workflows.serve import ServeSettings

        settings = ServeSettings(
            host=host,
            port=port,
            token=token or None,
            log=log,
            log_megabytes=log_mb,
            keep_pictures=keep_pictures,
            allow_urls=tuple(allow_url or ()),
            threads=threads,
            window=window,
            false_alarms=false_alarms,
            limits=Limits(
                megabytes=max_mb,
                pixels=max_pixels,
                images=max_images,
                seconds=timeout,
                waiting=queue,
                batch=batch,
                linger_ms=linger_ms,
            ),
        )
        affinage.serve(bundle, settings, reporter=told)
