"""Settings of the head on frozen features."""

from typing import Annotated, Literal

from pydantic import Field

from affinage.records.section import Section


class FeaturesSettings(Section):
    """The frozen backbone with a linear head fitted on its features."""

    head: Literal["logistic", "svm", "nearest"] = Field(
        "logistic",
        description="Logistic regression, a linear support vector machine for each class, or the label "
        "of the most similar training image.",
    )
    penalties: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0),
        min_length=1,
        description="L2 penalties to choose from by cross-validation on the training part.",
    )
    costs: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.1, 1.0, 10.0),
        min_length=1,
        description="For svm: values of C to choose from by cross-validation on the training part.",
    )
    folds: int = Field(5, ge=2, le=20, description="Folds of that cross-validation.")
    refit: bool = Field(
        default=True, description="Refit the chosen head on train + validation when it was cut."
    )
