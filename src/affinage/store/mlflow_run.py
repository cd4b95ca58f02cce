"""A training's curves, settings and scores as a run of an MLflow server or database."""

import functools
import importlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from affinage.errors import RecipeError
from affinage.records.signals import Point

STEPS_PER_EPOCH = 1000
"""MLflow's steps are whole numbers: a thousandth of an epoch each, as in TensorBoard's curves."""

_PARAMS_AT_ONCE = 100
_LONGEST_VALUE = 500
_NOT_IN_NAMES = re.compile(r"[^\w\-./: ]")
_WAIT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""A server that is away must not hold a training up for minutes; the user's own values win."""


class MlflowRun:
    """One run of MLflow that a training tells what it sees; the training never ends for MLflow's sake.

    Args:
        address: Where MLflow keeps its runs, such as `http://127.0.0.1:5000` or `sqlite:///mlflow.db`.
        experiment: Its name there; made where it is missing.
        name: Of the run.
        run: Id of an earlier sitting's run to go on with; None for a new one.
        say: Told once where MLflow cannot be reached any more.

    Raises:
        RecipeError: If MLflow is not installed or cannot be reached, before any time is spent on training.
    """

    def __init__(
        self,
        address: str,
        *,
        experiment: str,
        name: str,
        run: str | None,
        say: Callable[[str], None],
    ) -> None:
        for key, value in _WAIT.items():
            os.environ.setdefault(key, value)
        self.address, self._say, self._away = address, say, False
        try:
            self._entities = importlib.import_module("mlflow.entities")  # An optional part.
            tracking = importlib.import_module("mlflow.tracking")
            self._client = tracking.MlflowClient(tracking_uri=address)
            self.run = run or self._begin(experiment, name)
            self._client.update_run(self.run, status="RUNNING")
        except ImportError as error:
            raise RecipeError(
                f"--mlflow needs a package that is not installed: {error}.",
                remedy='Install it: pip install "affinage[mlflow]"',
            ) from None
        except Exception as error:  # noqa: BLE001 - MLflow's stores have exceptions of their own.
            raise RecipeError(
                f"MLflow at '{address}' cannot be used: {_first_sentence(error)}",
                remedy="Give the address of a running server or of a database, such as "
                "--mlflow sqlite:///mlflow.db",
            ) from None

    def settings(self, values: Mapping[str, Any]) -> None:
        """Enter the recipe, one parameter a setting; what is there already stays as it is."""
        make = self._entities.Param
        params = [
            make(key, str(value)[:_LONGEST_VALUE])
            for key, value in flat(values)
            if value is not None
        ]
        there = self._try(lambda: self._client.get_run(self.run).data.params) or {}
        new = [param for param in params if param.key not in there]
        for start in range(0, len(new), _PARAMS_AT_ONCE):
            part = functools.partial(
                self._client.log_batch, self.run, params=new[start : start + _PARAMS_AT_ONCE]
            )
            self._try(part)

    def observe(self, point: Point) -> None:
        """Enter a point of a curve."""
        step = round(point.epoch * STEPS_PER_EPOCH)
        self._number(metric_name(point.stage, point.series, point.on), point.value, step)

    def score(
        self, part: str, name: str, value: float, low: float | None, high: float | None
    ) -> None:
        """Enter a score of the kept model with the ends of its interval."""
        ends = {"": value, "/low": low, "/high": high}
        for end, number in ends.items():
            if number is not None:
                self._number(metric_name(part, name) + end, number, 0)

    def keep(self, file: Path) -> None:
        """Hand a file over."""
        self._try(lambda: self._client.log_artifact(self.run, str(file)))

    def keep_text(self, text: str, name: str) -> None:
        """Hand a text over as a file of a name."""
        self._try(lambda: self._client.log_text(self.run, text, name))

    def end(self, *, finished: bool) -> None:
        """Say whether the training came to its end; one that did not can be gone on with."""
        status = "FINISHED" if finished else "KILLED"
        self._try(lambda: self._client.set_terminated(self.run, status=status))

    def _begin(self, experiment: str, name: str) -> str:
        found = self._client.get_experiment_by_name(experiment)
        place = found.experiment_id if found else self._client.create_experiment(experiment)
        return str(self._client.create_run(place, run_name=name).info.run_id)

    def _number(self, name: str, value: float, step: int) -> None:
        metric = self._entities.Metric(name, float(value), round(time.time() * 1000), step)
        self._try(lambda: self._client.log_batch(self.run, metrics=[metric]))

    def _try(self, work: Callable[[], Any]) -> Any:
        """Do what MLflow is asked for, unless it went away; then say so, once, and go on without."""
        if self._away:
            return None
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - A training never ends for MLflow's sake.
            self._away = True
            self._say(
                f"MLflow at '{self.address}' does not take any more: {_first_sentence(error)}"
                " The training goes on; its own folder has everything."
            )
            return None


def kept_address(address: str) -> str:
    """Return an address as a run's folder keeps it: a database beside the work by its whole path.

    Raises:
        RecipeError: If there is a password in it.
    """
    try:
        password = urlsplit(address).password
    except ValueError as error:
        raise RecipeError(
            f"'{address}' is no address of MLflow: {error}.",
            remedy="Write it as http://127.0.0.1:5000 or sqlite:///mlflow.db",
        ) from None
    if password:
        raise RecipeError(
            "The address of MLflow has a password in it, and a run's folder keeps the address.",
            remedy="Leave it out, and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.",
        )
    scheme, _, path = address.partition(":///")
    if scheme == "sqlite" and path and not path.startswith("/"):
        return f"sqlite:///{Path(path).absolute()}"
    return address


def metric_name(*parts: str) -> str:
    """Return a name that MLflow takes: `finetune/loss/train running` for `train (running)`."""
    return "/".join(_NOT_IN_NAMES.sub("", part) for part in parts if part)


def flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Return every value under the path of its keys, as `--set` writes it."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _first_sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(". ")[0][:200].rstrip(".") + "."
