"""The process in which a script runs under observation: python -m affinage.workflows.watched_script."""

import sys
from pathlib import Path

from affinage.diagnosis.diagnose import diagnose
from affinage.records.plain import to_plain
from affinage.records.signals import signals_to_json
from affinage.store.files import write_json
from affinage.watching.script import run_script
from affinage.workflows.prove import prove


def main(arguments: list[str]) -> int:
    """Run the script and write its signals; return its exit code.

    Args:
        arguments: Result file, seconds, seconds for experiments (0 = none), script, and the script's own.
    """
    result, seconds, proving, script, *own = arguments
    watched, end = run_script(Path(script), own, seconds=float(seconds))
    outcomes = {}
    if float(proving):
        signals = watched.signals
        proved = prove(diagnose(signals), watched.live, signals, seconds=float(proving))
        outcomes = {v.code: to_plain(v.outcome) for v in proved if v.outcome is not None}
    value = {"signals": signals_to_json(watched.signals), "code": end.code, "outcomes": outcomes}
    write_json(Path(result), value)
    return end.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
