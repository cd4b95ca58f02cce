"""The verb `doctor`: name what is wrong with a training; without torch where nothing has to be tried."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from affinage.diagnosis.diagnose import diagnose
from affinage.errors import AffinageError, RunError
from affinage.logs.reading import looks_like_logs, signals_of_logs
from affinage.records.diagnosis import Diagnosis
from affinage.records.plain import from_plain, to_plain
from affinage.records.signals import Signals, signals_from_json, signals_to_json
from affinage.records.verdict import Outcome, Verdict, verdict_to_json
from affinage.store.files import read_json, write_json
from affinage.store.run_folder import RunFolder
from affinage.workflows.earlier_stages import with_earlier
from affinage.workflows.failing import hint
from affinage.workflows.outcomes import SECONDS

JSON_FORMAT = 1
MINUTES = 10.0
_GRACE = 60.0


def doctor(
    target: str | Path | Signals,
    arguments: Sequence[str] = (),
    *,
    minutes: float = MINUTES,
    quiet: bool = False,
    keep: Path | None = None,
    prove: bool = False,
) -> Diagnosis:
    """Return what is wrong with a training, what was checked and is fine, and what could not be checked.

    Args:
        target: A run's folder; a training script; logs (a folder of TensorBoard events, a CSV file or the
            JSON of a history); saved signals; or the signals of a watched training.
        arguments: Of a script.
        minutes: After which a script is cut; its training is judged as far as it came. Of reruns, all.
        quiet: Whether a script's output goes to standard error, to keep standard output for results.
        keep: File to which signals are saved, to be judged again later.
        prove: Whether findings are put to the test: by experiments on copies of a script's training, for at
            most two minutes more; by reruns of a run of ours, as many as `minutes` allow; findings of
            anything else are marked as unconfirmed.

    Raises:
        RunError: If the target is none of these, or nothing of a training was seen in it.
    """
    begun = time.monotonic()
    signals, code, outcomes = _signals_of(
        target, arguments, minutes=minutes, quiet=quiet, proving=SECONDS if prove else 0.0
    )
    if keep is not None:
        write_json(keep, {"format": JSON_FORMAT, "signals": signals_to_json(signals)})
    verdicts = with_earlier(diagnose(signals), signals)
    if prove and not isinstance(target, Signals) and RunFolder(Path(target)).exists:
        from affinage.workflows.prove_run import prove_run  # noqa: PLC0415 - loads torch.

        verdicts = prove_run(verdicts, RunFolder(Path(target)), signals, seconds=60 * minutes)
    elif prove:
        verdicts = _with_outcomes(verdicts, signals, outcomes)
    return Diagnosis(
        signals=signals,
        verdicts=verdicts,
        code=code,
        seconds=time.monotonic() - begun,
    )


def doctor_json(diagnosis: Diagnosis, *, fixes: Sequence[str] = ()) -> dict[str, Any]:
    """Return a diagnosis, and what was changed for it, as the documented JSON of `affinage doctor --json`."""
    signals = diagnosis.signals
    return {
        "format": JSON_FORMAT,
        "command": "doctor",
        "name": signals.name,
        "origin": signals.origin,
        "framework": signals.framework,
        "task": signals.task,
        "ended": signals.ended,
        "error": signals.error,
        "exit_code": diagnosis.code,
        "steps": signals.steps,
        "epochs": signals.epochs,
        "seconds": round(diagnosis.seconds, 3),
        "findings": [to_plain(finding) for finding in diagnosis.findings],
        "verdicts": [verdict_to_json(verdict) for verdict in diagnosis.verdicts],
        "fixes": list(fixes),
        "missing": signals.missing,
    }


def _with_outcomes(
    verdicts: tuple[Verdict, ...], signals: Signals, outcomes: dict[str, Outcome]
) -> tuple[Verdict, ...]:
    from affinage.workflows.prove import prove  # noqa: PLC0415 - loads torch.

    return tuple(
        replace(v, outcome=outcomes.get(v.code, v.outcome)) for v in prove(verdicts, None, signals)
    )


def _signals_of(
    target: str | Path | Signals, arguments: Sequence[str], *, minutes: float, quiet: bool, proving: float
) -> tuple[Signals, int | None, dict[str, Outcome]]:  # fmt: skip
    if isinstance(target, Signals):
        return target, None, {}
    path = Path(target)
    if not path.exists():
        raise RunError(
            f"'{path}' does not exist.",
            remedy="Give a run's folder, a training script or its logs: affinage doctor train.py",
        )
    if path.suffix == ".py" and path.is_file():
        return watch_script(path, arguments, minutes=minutes, quiet=quiet, proving=proving)
    if arguments:
        raise RunError(
            f"'{path}' is no script, so the arguments {' '.join(arguments)} have nowhere to go.",
            remedy="Leave them out, or name the script first: affinage doctor train.py --epochs 3",
        )
    return _read(path), None, {}


def _read(path: Path) -> Signals:
    readers: tuple[tuple[Callable[[Path], bool], Callable[[Path], Signals]], ...] = (
        (lambda place: RunFolder(place).exists, _signals_of_run),
        (_is_saved, lambda place: signals_from_json(read_json(place)["signals"])),
        (looks_like_logs, signals_of_logs),
    )
    for fits, read in readers:
        if fits(path):
            return read(path)
    raise RunError(
        f"'{path}' is no run, no script and no log that is known.",
        remedy="Give a run's folder, a .py file, a folder of TensorBoard events, a .csv of epochs, or "
        "a .json of a history.",
    )


def _is_saved(path: Path) -> bool:
    if path.suffix != ".json" or not path.is_file():
        return False
    value = read_json(path)
    return isinstance(value, dict) and isinstance(value.get("signals"), dict)


def _signals_of_run(path: Path) -> Signals:
    folder = RunFolder(path)
    folder.state()
    return folder.watched()


def watch_script(
    script: Path, arguments: Sequence[str], *, minutes: float, quiet: bool = False, proving: float = 0.0
) -> tuple[Signals, int, dict[str, Outcome]]:  # fmt: skip
    """Run a script unmodified in a process of its own; return its signals, exit code and what was proved.

    It runs where the caller stands, with the caller's Python, as `python SCRIPT ARGUMENTS` would.

    Raises:
        RunError: If its process died before anything could be kept, or no training was seen.
    """
    with tempfile.TemporaryDirectory(prefix="affinage-doctor-") as place:
        result = Path(place) / "signals.json"
        command = [
            sys.executable, "-m", "affinage.workflows.watched_script",
            str(result), str(60 * minutes), str(proving), str(script), *arguments,
        ]  # fmt: skip
        code = _run(command, limit=60 * minutes * 1.25 + 1.5 * proving + _GRACE, quiet=quiet)
        if not result.exists():
            raise RunError(
                f"The process of '{script}' ended with code {code} before anything was seen.",
                remedy=f"See that it runs by itself first: python {script}",
            )
        value = read_json(result)
    signals = signals_from_json(value["signals"])
    if not signals.steps and not signals.points:
        failed = f" It failed: {signals.error}" if signals.error else ""
        raise RunError(
            f"No training was seen in '{script}': no optimizer took a step.{failed}",
            remedy=hint(signals.error)
            or "Give the script that trains, with its arguments; allow it more --minutes if it was cut.",
        )
    outcomes = {code: from_plain(Outcome, plain) for code, plain in value["outcomes"].items()}
    return signals, int(value["code"]), outcomes


def _run(command: list[str], *, limit: float, quiet: bool) -> int:
    """Run a process, its output passed on, and kill it where it outlives the limit."""
    environment = {"MPLBACKEND": "Agg", **os.environ}
    output = sys.stderr.fileno() if quiet else None
    try:
        with subprocess.Popen(command, stdout=output, env=environment) as process:  # noqa: S603 - the user's own script.
            return _outlived(process, limit)
    except OSError as error:
        raise AffinageError(
            f"No process could be started: {error.strerror}.",
            remedy="Free some memory, and try again.",
        ) from None


def _outlived(process: "subprocess.Popen[bytes]", limit: float) -> int:
    """Return a process's code; it is killed after so many seconds, and at the second Ctrl-C.

    At the first one, which reaches it too, it ends the script and keeps what was seen.
    """
    try:
        return process.wait(timeout=limit)
    except KeyboardInterrupt:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=_GRACE)
        return -9
    except subprocess.TimeoutExpired:
        return -9
    finally:
        process.kill()
