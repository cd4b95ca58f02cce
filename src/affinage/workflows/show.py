"""The verb `show`: the results of a run, read from its folder."""

from pathlib import Path
from typing import Any

from affinage.records.plain import to_plain
from affinage.records.run import RunRecord
from affinage.store.run_folder import RunFolder

JSON_FORMAT = 1


def show(run: str | Path) -> RunRecord:
    """Return the results of a finished run.

    Raises:
        RunError: If the folder is no run, or the run is not finished.
    """
    return RunFolder(Path(run)).record()


def show_json(record: RunRecord, *, command: str = "show") -> dict[str, Any]:
    """Return the results as the documented JSON of `affinage show --json`.

    Metrics are objects `{value, low, high, n}`: `evaluation.test.accuracy`, for example.
    """
    plain: dict[str, Any] = to_plain(record)
    plain["evaluation"] = plain.pop("evaluations")
    return {"format": JSON_FORMAT, "command": command, **plain}
