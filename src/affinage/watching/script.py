"""Run a training script of anyone's unmodified, under observation and bounded in time."""

import contextlib
import runpy
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from affinage.records.signals import Signals
from affinage.watching.keras import Fits, fits_watched
from affinage.watching.patches import patched
from affinage.watching.watch import Ended, Watched
from affinage.watching.watcher import Watcher

FAILED = 1


class TimeIsUpError(BaseException):
    """The time allowed is over; no `except Exception` of a script holds it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptEnd:
    """How a script ended.

    Attributes:
        ended: `finished`, `cut` by the limit of time or by Ctrl-C, or `failed`.
        code: The code with which it would have ended its process.
        error: What it failed of, in a line; empty where it did not.
    """

    ended: Ended
    code: int
    error: str = ""


def run_script(
    script: Path, arguments: Sequence[str], *, seconds: float
) -> tuple[Watched, ScriptEnd]:
    """Run a script as `python SCRIPT ARGUMENTS` would, and watch its training.

    Its working folder, outputs and files are its own affair. The process must be its own: a script may
    change anything in it.

    Args:
        script: The file.
        arguments: Its `sys.argv[1:]`.
        seconds: After which it is cut.
    """
    watcher = Watcher(discover=True)
    watched = Watched(watcher, origin="script", name=script.name)
    fits = Fits()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_as_main(script, arguments))
        if _speaks_of_keras(script):
            moment = watcher.moment
            fits = stack.enter_context(fits_watched(script.name, moment.at_work, moment.next_step))
        stack.enter_context(patched(watcher))
        end = _ended(script, seconds)
    watcher.roots.release()
    with _alarm(max(seconds / 4, 20.0)), contextlib.suppress(TimeIsUpError):
        watched.close(ended=end.ended, error=end.error)
    if fits.by_hand and not fits:
        watched.signals = _without_torch_s_losses(watched.signals)
    if fits:
        *earlier, last = fits
        watched.signals = replace(
            last, earlier=tuple(earlier), ended=end.ended, error=end.error or last.error
        )
    return watched, end


def _without_torch_s_losses(signals: Signals) -> Signals:
    """Return signals of a loop around a Keras model: Keras makes losses and steps of parts that torch shows.

    What they look like to torch says nothing of the loss that the script chose.
    """
    why = dict.fromkeys(
        ("objectives", "optimizers"), "the script steps through a Keras model by itself"
    )
    return replace(signals, objectives=None, optimizers=None, missing=signals.missing | why)


def _speaks_of_keras(script: Path) -> bool:
    return b"keras" in script.read_bytes()


def _ended(script: Path, seconds: float) -> ScriptEnd:
    try:
        with _alarm(seconds):
            runpy.run_path(str(script), run_name="__main__")
    except (TimeIsUpError, KeyboardInterrupt):
        return ScriptEnd(ended="cut", code=0)
    except SystemExit as error:
        code = _code(error.code)
        said = str(error.code) if isinstance(error.code, str) else f"it ended with code {code}"
        return ScriptEnd(
            ended="failed" if code else "finished", code=code, error=said if code else ""
        )
    except Exception as error:  # noqa: BLE001 - of anyone's script.
        _show(error, script)
        name = type(error).__name__
        return ScriptEnd(ended="failed", code=FAILED, error=f"{name}: {error}".splitlines()[0])
    return ScriptEnd(ended="finished", code=0)


def _code(code: object) -> int:
    if code is None:
        return 0
    return code if isinstance(code, int) else FAILED


def _show(error: BaseException, script: Path) -> None:
    """Print the traceback from the script's own first line on, as python would."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != str(script):
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace or error.__traceback__)


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise TimeIsUpError inside the block once the time is over, and every second from then on."""

    def ring(_: int, __: FrameType | None) -> None:
        raise TimeIsUpError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        _silence(before)


def _silence(before: Any) -> None:
    """End the alarm, also where it rings once more meanwhile: it must not ring after its block."""
    while True:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        except TimeIsUpError:
            continue
        return


@contextlib.contextmanager
def _as_main(script: Path, arguments: Sequence[str]) -> Iterator[None]:
    """Let the script see its own arguments and find the modules beside it."""
    argv, path = sys.argv, sys.path
    sys.argv, sys.path = [str(script), *arguments], [str(script.resolve().parent), *path]
    try:
        yield
    finally:
        sys.argv, sys.path = argv, path
