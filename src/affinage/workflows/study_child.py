"""Trainings in a process of their own, so that one that hangs or eats the memory can be stopped."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affinage.errors import AffinageError, RunError
from affinage.records.recipe import Recipe
from affinage.workflows.study_guard import held_memory, spare_memory, too_long, too_much

POLL = 0.25
"""Seconds between two looks at a training."""


class Child:
    """A process that trains what it is told, one training after another; a new one after each stop."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def train(
        self,
        *,
        dataset: Path,
        recipe: Recipe,
        output: Path,
        seconds: float | None,
        memory: int | None,
    ) -> None:
        """Train, or go on with what lies in `output`.

        Args:
            dataset: The data set's folder.
            recipe: What to train.
            output: The run's folder.
            seconds: It is stopped after so many; None for no limit.
            memory: It is stopped where it holds more bytes; None for what it holds now and nine tenths of
                what is free, 2 GiB at least.

        Raises:
            RunError: If it could not be trained so, or was stopped.
        """
        order = {
            "dataset": str(dataset.resolve()),
            "output": str(output.resolve()),
            "recipe": recipe.model_dump(mode="json", exclude_unset=True),
        }
        told = self._asked(order, seconds, memory if memory is not None else self._most())
        if told.get("error"):
            raise RunError(str(told["error"]), remedy=str(told.get("remedy", "")))

    def close(self) -> None:
        """End the process, and whatever it has started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process = None

    def _asked(
        self, order: Mapping[str, Any], seconds: float | None, memory: int | None
    ) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        said: list[str] = []
        reader = threading.Thread(target=lambda: said.append(process.stdout.readline()))  # type: ignore[union-attr]
        reader.daemon = True
        reader.start()
        try:
            self._watch(process, reader, seconds, memory)
        except BaseException:
            self.close()
            raise
        if not said or not said[0].strip():
            code = process.wait()
            self.close()
            raise RunError(
                f"The training's process ended without a word (code {code}): too little memory?",
                remedy="Use smaller batches or images.",
            )
        told: dict[str, Any] = json.loads(said[0])
        return told

    @staticmethod
    def _watch(
        process: "subprocess.Popen[str]",
        reader: threading.Thread,
        seconds: float | None,
        memory: int | None,
    ) -> None:
        """Wait for the answer.

        Raises:
            RunError: If the limit of time or memory is passed.
        """
        start = time.monotonic()
        while reader.is_alive():
            reader.join(POLL)
            held = held_memory(process.pid)
            if reader.is_alive() and memory is not None and held is not None and held > memory:
                raise too_much(memory)
            if reader.is_alive() and seconds is not None and time.monotonic() - start > seconds:
                raise too_long(seconds)

    def _most(self) -> int | None:
        """Return what the process may hold where nobody says: what it holds, and what is to spare."""
        spare = spare_memory()
        return None if spare is None else spare + (held_memory(self._running().pid) or 0)

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "affinage.workflows.study_child"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                start_new_session=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )  # fmt: skip
        return self._process


def main() -> None:
    """Train what comes in, one line of JSON each, until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Whatever a library prints is no answer.
    orders: list[str] = []
    came = threading.Semaphore(0)

    def listen() -> None:
        for line in sys.stdin:
            orders.append(line)
            came.release()
        os._exit(0)  # Whoever asked is gone: nobody waits for this training.

    threading.Thread(target=listen, daemon=True).start()
    while True:
        came.acquire()
        answers.write(json.dumps(_trained(json.loads(orders.pop(0)))) + "\n")
        answers.flush()


def _trained(order: Mapping[str, Any]) -> dict[str, str]:
    """Return what came of one training: nothing, or why it failed."""
    from affinage.workflows.reporter import Silent  # noqa: PLC0415 - torch loads here, in the child.
    from affinage.workflows.train import train  # noqa: PLC0415

    output = Path(order["output"])
    try:
        if output.exists():
            train(resume=output, reporter=Silent())
        else:
            recipe = Recipe.model_validate(order["recipe"])
            train(Path(order["dataset"]), recipe=recipe, output=output, reporter=Silent())
    except AffinageError as error:
        return {"error": error.problem, "remedy": error.remedy}
    except BaseException as error:  # noqa: BLE001 - a trial may fail in any way; the study says how.
        return {"error": f"{type(error).__name__}: {error}", "remedy": ""}
    return {}


if __name__ == "__main__":
    main()
