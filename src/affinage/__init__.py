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
    from affinage.models.contracts.checking import check_part
    from affinage.models.parts import Parts
    from affinage.records.recipe import Recipe
    from affinage.watching.callbacks import (
        fastai_callback,
        huggingface_callback,
        lightning_callback,
    )
    from affinage.watching.keras import keras_callback
    from affinage.watching.watch import watch
    from affinage.workflows.audit import audit
    from affinage.workflows.augmentations import augmentations
    from affinage.workflows.bench import bench
    from affinage.workflows.bench_bundle import bench_bundle
    from affinage.workflows.collect import collect
    from affinage.workflows.counts import counts
    from affinage.workflows.demo import demo
    from affinage.workflows.doctor import doctor
    from affinage.workflows.env import env
    from affinage.workflows.evaluate import evaluate
    from affinage.workflows.exclude import exclude
    from affinage.workflows.export import export
    from affinage.workflows.feedback import feedback_add, feedback_compare
    from affinage.workflows.include import decisions, include
    from affinage.workflows.layers import layers
    from affinage.workflows.models import list_models
    from affinage.workflows.monitor import monitor
    from affinage.workflows.predict import predict
    from affinage.workflows.recipes import list_recipes
    from affinage.workflows.relabel import relabel
    from affinage.workflows.run import Run
    from affinage.workflows.sample import sample
    from affinage.workflows.serve import ServeSettings, serve
    from affinage.workflows.show import show
    from affinage.workflows.split import split
    from affinage.workflows.study import list_studies, study
    from affinage.workflows.study_import import study_import
    from affinage.workflows.study_record import Study
    from affinage.workflows.study_work import study_work
    from affinage.workflows.train import train

__version__ = "0.1.0"

_HOMES = {
    "AffinageError": "errors",
    "DataError": "errors",
    "ImageError": "errors",
    "ModelError": "errors",
    "RecipeError": "errors",
    "RunError": "errors",
    "ServeSettings": "workflows.serve",
    "Parts": "models.parts",
    "Recipe": "records.recipe",
    "Run": "workflows.run",
    "Study": "workflows.study_record",
    "audit": "workflows.audit",
    "augmentations": "workflows.augmentations",
    "bench": "workflows.bench",
    "bench_bundle": "workflows.bench_bundle",
    "check_part": "models.contracts.checking",
    "collect": "workflows.collect",
    "counts": "workflows.counts",
    "decisions": "workflows.include",
    "demo": "workflows.demo",
    "doctor": "workflows.doctor",
    "env": "workflows.env",
    "evaluate": "workflows.evaluate",
    "exclude": "workflows.exclude",
    "export": "workflows.export",
    "fastai_callback": "watching.callbacks",
    "feedback_add": "workflows.feedback",
    "feedback_compare": "workflows.feedback",
    "huggingface_callback": "watching.callbacks",
    "include": "workflows.include",
    "keras_callback": "watching.keras",
    "layers": "workflows.layers",
    "lightning_callback": "watching.callbacks",
    "list_models": "workflows.models",
    "list_recipes": "workflows.recipes",
    "list_studies": "workflows.study",
    "monitor": "workflows.monitor",
    "predict": "workflows.predict",
    "relabel": "workflows.relabel",
    "sample": "workflows.sample",
    "serve": "workflows.serve",
    "show": "workflows.show",
    "split": "workflows.split",
    "study": "workflows.study",
    "study_import": "workflows.study_import",
    "study_work": "workflows.study_work",
    "train": "workflows.train",
    "watch": "watching.watch",
}

__all__ = [
    "AffinageError",
    "DataError",
    "ImageError",
    "ModelError",
    "Parts",
    "Recipe",
    "RecipeError",
    "Run",
    "RunError",
    "ServeSettings",
    "Study",
    "__version__",
    "audit",
    "augmentations",
    "bench",
    "bench_bundle",
    "check_part",
    "collect",
    "counts",
    "decisions",
    "demo",
    "doctor",
    "env",
    "evaluate",
    "exclude",
    "export",
    "fastai_callback",
    "feedback_add",
    "feedback_compare",
    "huggingface_callback",
    "include",
    "keras_callback",
    "layers",
    "lightning_callback",
    "list_models",
    "list_recipes",
    "list_studies",
    "monitor",
    "predict",
    "relabel",
    "sample",
    "serve",
    "show",
    "split",
    "study",
    "study_import",
    "study_work",
    "train",
    "watch",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module 'affinage' has no attribute '{name}'"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"affinage.{home}"), name)


def __dir__() -> list[str]:
    return __all__
