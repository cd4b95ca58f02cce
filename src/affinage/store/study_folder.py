"""The folder of a study: the only place that knows its files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affinage.errors import RunError
from affinage.records.answer import Answer
from affinage.records.plain import from_plain, to_plain
from affinage.records.question import Question
from affinage.records.study import Announced, Job
from affinage.store.files import make_folder, read_json, write_atomically, write_json, write_text

FORMAT = 1


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """A study on disk.

    Args:
        path: Its folder.
    """

    path: Path

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.path.resolve().name

    @property
    def exists(self) -> bool:
        """Whether a question lies here."""
        return (self.path / "question.json").is_file()

    @property
    def begun(self) -> bool:
        """Whether trials were entered: there is something to go on with."""
        return (self.path / "journal.log").exists()

    @property
    def runs(self) -> Path:
        """Where trials that fine-tune have their folders."""
        return self.path / "runs"

    @property
    def parts(self) -> Path:
        """Where the parts of trials that fine-tune are kept, as tables."""
        return self.path / "parts"

    @property
    def page(self) -> Path:
        """The study's page, HTML."""
        return self.path / "study.html"

    @property
    def markdown(self) -> Path:
        """The study's page, Markdown."""
        return self.path / "study.md"

    @property
    def has_pages(self) -> bool:
        """Whether the page and the table of trials were written to the end."""
        return all(one.is_file() for one in (self.page, self.markdown, self._table))

    @property
    def _table(self) -> Path:
        return self.path / "trials.csv"

    def begin(self, question: Question, asked: str) -> None:
        """Write the question; it does not change afterwards.

        Raises:
            RunError: If there is another study here already.
        """
        if self.path.exists() and any(self.path.iterdir()):
            raise RunError(
                f"There is something in '{self.path}' already.",
                remedy="Choose another folder with --output, or go on with that study: "
                f"affinage study work '{self.path}'",
            )
        make_folder(self.path)
        document = {"format": FORMAT, "asked": asked, "question": to_plain(question)}
        write_json(self.path / "question.json", document)

    def question(self) -> Question:
        """Return what was asked.

        Raises:
            RunError: If there is no study here, or of a later version.
        """
        return from_plain(Question, self._document().get("question"))

    def asked(self) -> str:
        """Return when it was asked."""
        return str(self._document().get("asked", ""))

    def _document(self) -> dict[str, object]:
        if not self.exists:
            raise RunError(
                f"'{self.path}' is no study.",
                remedy="See which there are: affinage study list",
            )
        document = read_json(self.path / "question.json")
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise RunError(
                f"The study '{self.name}' is of another version, or damaged: this one reads format {FORMAT}.",
                remedy="Read it with the version of Affinage that wrote it.",
            )
        return document

    def announced(self) -> Announced | None:
        """Return what was said before the budget was spent, if it was."""
        path = self.path / "announced.json"
        return from_plain(Announced, read_json(path)) if path.exists() else None

    def save_announced(self, announced: Announced) -> Announced:
        """Keep what is said before the budget is spent; what is said already stays, and is returned."""
        said = self.announced()
        if said is None:
            write_json(self.path / "announced.json", to_plain(announced))
        return said or announced

    def answer(self) -> Answer | None:
        """Return the answer so far, if there is one."""
        path = self.path / "answer.json"
        return from_plain(Answer, read_json(path)) if path.exists() else None

    def save_answer(self, answer: Answer) -> None:
        """Write the answer in place of an earlier one."""
        write_json(self.path / "answer.json", to_plain(answer))

    def save_pages(self, html: str, markdown: str, trials: str) -> None:
        """Write the page, as HTML and as Markdown, and the table of trials as CSV."""
        write_text(self.page, html)
        write_text(self.markdown, markdown)
        write_text(self._table, trials)

    def save_scores(self, job: Job, scores: NDArray[np.float64]) -> None:
        """Keep a trial's score of each image, in the order of image ids."""

        def fill(aside: Path) -> None:
            with aside.open("wb") as file:
                np.save(file, scores.astype(np.float32))

        write_atomically(self.path / "scores" / f"{job.key}.npy", fill)

    def scores(self, job: Job) -> NDArray[np.float64]:
        """Return a trial's score of each image.

        Raises:
            RunError: If it is not there.
        """
        path = self.path / "scores" / f"{job.key}.npy"
        try:
            kept: NDArray[np.float64] = np.load(path).astype(np.float64)
        except (OSError, ValueError) as error:
            raise RunError(
                f"The scores of trial {job.key} cannot be read: {error}",
                remedy="Restore the study's folder from a copy, or ask the question again.",
            ) from None
        return kept


def studies_in(folder: Path) -> list[StudyFolder]:
    """Return the studies in a folder, the latest asked first."""
    found = [StudyFolder(path) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    return sorted((one for one in found if one.exists), key=_when, reverse=True)


def _when(study: StudyFolder) -> str:
    """Return when a study was asked; of a damaged one nothing."""
    try:
        return study.asked()
    except RunError:
        return ""
