"""What can go wrong, as one tree.

AffinageError
├── DataError      the images, tables or labels
│   └── ImageError one image that cannot be read
├── RecipeError    the settings
├── ModelError     a backbone or its weights
├── RunError       a run's folder or its state
└── Interrupted    the user stopped the work
"""


class AffinageError(Exception):
    """A problem that its reader can mend: what is wrong, then one thing to do.

    Attributes:
        problem: What is wrong, with the offending value.
        remedy: One thing to do about it.
    """

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n  → {self.remedy}"


class DataError(AffinageError):
    """The images, tables or labels cannot be used as they are."""


class ImageError(DataError):
    """One image cannot be read; `problem` is the reason, without the file's name."""


class RecipeError(AffinageError):
    """A setting is unknown, ill-typed or contradicts another."""


class ModelError(AffinageError):
    """A backbone or its weights cannot be had or do not fit."""


class RunError(AffinageError):
    """A run's folder is missing, damaged, busy or of another format."""


class Interrupted(AffinageError):  # noqa: N818 - it is a state, not an error of anyone's.
    """The user stopped the work; the remedy is the command that goes on."""
