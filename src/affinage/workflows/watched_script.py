"""The process in which a script runs under observation: python -m affinage.workflows.watched_script."""

import sys
from pathlib import Path

from affinage.records.signals import signals_to_json
from affinage.store.files import write_json
from affinage.watching.script import run_script


def main(arguments: list[str]) -> int:
    """Run the script and write its signals; return its exit code.

    Args:
        arguments: Result file, seconds, script, and the script's own arguments.
    """
    result, seconds, script, *own = arguments
    watched, end = run_script(Path(script), own, seconds=float(seconds))
    value = {"signals": signals_to_json(watched.signals), "code": end.code}
    write_json(Path(result), value)
    return end.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
