"""Affinage: from a folder of images to a vision model you can trust.

    import affinage

    run = affinage.train("photos/")
    run.evaluation["test"].accuracy
    run.predict(["new.jpg"])

Names are loaded at their first use, so that `import affinage` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from affinage.errors import (
        AffinageError,
        DataError,
        ImageError,
        ModelError,
        RecipeError,
        RunError,
    )
    from affinage.records.recipe import Recipe
    from affinage.workflows.demo import demo
    from affinage.workflows.env import env
    from affinage.workflows.evaluate import evaluate
    from affinage.workflows.models import list_models
    from affinage.workflows.predict import predict
    from affinage.workflows.run import Run
    from affinage.workflows.show import show
    from affinage.workflows.train import train

__version__ = "0.1.0"

_HOMES = {
    "AffinageError": "errors",
    "DataError": "errors",
    "ImageError": "errors",
    "ModelError": "errors",
    "RecipeError": "errors",
    "RunError": "errors",
    "Recipe": "records.recipe",
    "Run": "workflows.run",
    "demo": "workflows.demo",
    "env": "workflows.env",
    "evaluate": "workflows.evaluate",
    "list_models": "workflows.models",
    "predict": "workflows.predict",
    "show": "workflows.show",
    "train": "workflows.train",
}

__all__ = [
    "AffinageError",
    "DataError",
    "ImageError",
    "ModelError",
    "Recipe",
    "RecipeError",
    "Run",
    "RunError",
    "__version__",
    "demo",
    "env",
    "evaluate",
    "list_models",
    "predict",
    "show",
    "train",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module 'affinage' has no attribute '{name}'"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"affinage.{home}"), name)


def __dir__() -> list[str]:
    return __all__
