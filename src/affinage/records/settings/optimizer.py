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
        examples=[(0.9, 0.999)],
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
    if settings.betas is None or settings.name in WITHOUT_BETAS:
        return
    wanted, given = 3 if settings.name == "adan" else 2, len(settings.betas)
    if given != wanted:
        yield (
            f"{settings.name} has {wanted} betas, and {given} were given; for example "
            f"optimizer.betas={','.join(('0.9', '0.999', '0.99')[:wanted])}"
        )
