"""`affinage env`."""

from typing import Annotated

import typer


def env(*, json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False) -> None:
    """Print versions, processors, accelerators seen and, where one is not used, why."""
    import affinage
    from affinage.cli.console import show, show_json

    found = affinage.env()
    if json:
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": "env", **to_plain(found)})
        return
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    rows = {
        "affinage": found.affinage,
        "python": found.python,
        "platform": found.platform,
        "processor": f"{found.processor}, {found.cores} usable core{'s' * (found.cores != 1)}",
        "memory": f"{found.memory_gib:g} GiB",
        "accelerators": ", ".join(found.accelerators) or "none seen",
        "computes on": f"{found.device}: {found.device_reason}",
        **found.packages,
    }
    for name, value in rows.items():
        table.add_row(name, value)
    show(table)
