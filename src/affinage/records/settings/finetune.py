"""Settings of training the backbone itself."""

from typing import Annotated, Literal

from pydantic import Field

from affinage.records.section import Section


class FinetuneSettings(Section):
    """Training the backbone itself, from the features stage's head on."""

    epochs: float | None = Field(
        None, gt=0, le=1000, description="Passes over the training part; null = about 4,000 images."
    )
    steps: int | None = Field(
        None, ge=1, description="Exact number of steps; set by a budget's plan."
    )
    images: int | None = Field(
        None, ge=1, description="Images shown at most, an image counted each time; null = no limit."
    )
    minutes: float | None = Field(
        None, gt=0, description="Minutes of training at most, over all sittings; null = no limit."
    )
    evaluate_every: int | None = Field(
        None, ge=1, description="Look at validation after so many images; null = after every epoch."
    )
    batch_size: Annotated[int, Field(ge=1, le=4096)] | Literal["auto"] = Field(
        32,
        description="Images per step, over all pieces and processes; auto = the largest that pays.",
    )
    unfreeze: Annotated[int, Field(ge=0)] | Literal["all"] | None = Field(
        None, description="How many of the last blocks are trained; null = about half, or `all`."
    )
    gradual: float | None = Field(
        None, gt=0, description="Head first, then one more block every so many epochs; null = off."
    )
    batchnorm: Literal["frozen", "adapt", "recompute"] = Field(
        "frozen",
        description="BatchNorm statistics: kept as pretrained, adapted to your batches, or adapted "
        "and at the end measured anew on training images.",
    )
    start_penalty: float = Field(
        0.1,
        gt=0,
        description="Least L2 penalty of the head that it starts from: a mild head is moved gently.",
    )
    layer_decay: float = Field(
        0.85, gt=0, le=1, description="Learning rate of a block relative to the one after it."
    )
    stop_on: str | None = Field(
        None,
        description="Validation score that keeps the best weights and stops; null = the loss at its "
        "best temperature.",
    )
    patience: int | None = Field(
        5, ge=1, description="Stop after so many looks without a better one; null = never."
    )
    ema: float = Field(
        0.0, ge=0, lt=1, description="Decay of a moving average of the weights; 0 = none."
    )
    sizes: tuple[Annotated[int, Field(ge=16, le=2048)], ...] | None = Field(
        None,
        min_length=1,
        description="Input widths, px, one after the other, growing; null = the model's own.",
    )
    size_shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] | None = Field(
        None, description="Share of the steps for each of `sizes`; null = equal shares."
    )
    size_strength: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Strength of augmentation at the first of `sizes`; it grows evenly to 1.",
    )
    label_smoothing: float = Field(
        0.1, ge=0, lt=1, description="Share of the target given to all classes; 0 = none."
    )
    always: bool = Field(
        default=False,
        description="Keep the fine-tuned model even where validation prefers the head.",
    )
    refit: bool = Field(
        default=True,
        description="Where it is kept and validation was cut: train again on train + validation.",
    )
