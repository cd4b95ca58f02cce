"""Settings of how steps are taken."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from affinage.records.section import Section

OptimizerName = Literal[
    "sgd", "adam", "adamw", "adamax", "nadam", "nadamw", "radam", "rmsprop", "adagrad", "lion",
    "lamb", "lars", "adan", "adabelief", "adamp", "adopt", "laprop", "mars", "novograd", "sgdp", "sgdw",
]  # fmt: skip

WITH_MOMENTUM = ("sgd", "sgdp", "sgdw", "lars", "rmsprop")

WITHOUT_BETAS = ("sgd", "sgdp", "sgdw", "lars", "adagrad")

WITHOUT_EPS = ("sgd", "sgdw", "lion")

WITH_NESTEROV = ("sgd", "sgdp", "sgdw", "lars")

WITH_AMSGRAD = ("adam", "adamw")


class OptimizerSettings(Section):
    """How steps are taken in fine-tuning."""

    name: OptimizerName = Field("adamw", description="Optimizer.")
    lr: Annotated[float, Field(gt=0, le=10)] | Literal["auto"] = Field(
        3e-4, description="Highest learning rate (that of the head); auto = by a range test."
    )
    weight_decay: float = Field(0.01, ge=0, le=1, description="Off for biases and norms.")
    decay_norms: bool = Field(
        default=False, description="Weight decay on biases and norms too, as many scripts have it."
    )
    momentum: float = Field(0.9, ge=0, lt=1, description=f"For {', '.join(WITH_MOMENTUM)}.")
    nesterov: bool | None = Field(
        None, description="Nesterov's momentum; null = where the optimizer has it and momentum > 0."
    )
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], ...] | None = Field(
        None,
        min_length=2,
        max_length=3,
        description="Memory of the gradient and of its square (rmsprop uses the second; adan has "
        "three); null = the optimizer's own.",
    )
    eps: float | None = Field(
        None, gt=0, le=1, description="Added to the denominator; null = the optimizer's own."
    )
    amsgrad: bool = Field(default=False, description="AMSGrad; for adam and adamw.")
    clip: float | None = Field(1.0, gt=0, description="Largest gradient norm; null = no clipping.")
    accumulate: int = Field(
        1,
        ge=1,
        le=256,
        description="Pieces in which a step's images are worked on, to save memory.",
    )

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        problem = next(_optimizer_problems(self), None)
        if problem:
            raise ValueError(problem)
        return self


def _optimizer_problems(settings: OptimizerSettings) -> Iterator[str]:
    name = settings.name
    if settings.nesterov and name not in WITH_NESTEROV:
        yield (
            f"nesterov=true means nothing to {name}: give it to {', '.join(WITH_NESTEROV)}, or "
            "choose nadam, which is Adam with Nesterov's momentum"
        )
    if settings.nesterov and settings.momentum == 0:
        yield "nesterov=true needs momentum above 0, such as 0.9"
    if settings.amsgrad and name not in WITH_AMSGRAD:
        yield f"amsgrad=true means nothing to {name}: it goes with {', '.join(WITH_AMSGRAD)}"
    if settings.betas is not None and name in WITHOUT_BETAS:
        yield f"{name} has no betas: leave them out" + (
            ", and set momentum" if name in WITH_MOMENTUM else ""
        )
    elif settings.betas is not None and len(settings.betas) != (3 if name == "adan" else 2):
        yield f"{name} has {3 if name == 'adan' else 2} betas"
    if settings.eps is not None and name in WITHOUT_EPS:
        yield f"{name} divides by nothing, so it has no eps: leave it out"
