"""Run: a finished (or unfinished) training, as Python sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from affinage.records.run import RunRecord
from affinage.store.run_folder import RunFolder

if TYPE_CHECKING:
    from affinage.models.parts import Parts
    from affinage.records.any_evaluation import AnyEvaluation
    from affinage.records.prediction import Prediction


class Run:
    """A run's folder, with the verbs that go on from it.

    Args:
        path: The folder that `affinage train` wrote.

    Raises:
        RunError: If it is not one.
    """

    def __init__(self, path: str | Path) -> None:
        self._folder = RunFolder(Path(path))
        self._folder.state()

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self._folder.path

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self._folder.report

    @property
    def data(self) -> Path:
        """The data set's folder, where it was when the run began."""
        return Path(self._folder.state()["data_folder"])

    @property
    def record(self) -> RunRecord:
        """All results.

        Raises:
            RunError: If the run is not finished.
        """
        return self._folder.record()

    @property
    def evaluation(self) -> dict[str, AnyEvaluation]:
        """Scores by part: `validation`, and `test` where there is one."""
        return self.record.evaluations

    def predict(
        self, images: Sequence[str | Path] | str | Path, *, parts: Parts | None = None
    ) -> list[Prediction]:
        """Return what the model says of images; see `affinage.predict`."""
        from affinage.workflows.predict import predict  # noqa: PLC0415 - loads torch.

        return predict(self.path, images, parts=parts)

    def evaluate(self, source: str | Path, *, parts: Parts | None = None) -> AnyEvaluation:
        """Return the model's scores on other labelled images; see `affinage.evaluate`."""
        from affinage.workflows.evaluate import evaluate  # noqa: PLC0415 - loads torch.

        return evaluate(self.path, source, parts=parts).evaluation

    def __repr__(self) -> str:
        return f"Run('{self.path}')"
