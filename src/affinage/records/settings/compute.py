"""Settings of where and how it is computed."""

from typing import Literal

from pydantic import Field

from affinage.records.engine import EngineName
from affinage.records.section import Section


class ComputeSettings(Section):
    """Where and how it is computed."""

    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps...")
    threads: int | None = Field(
        None,
        ge=1,
        description="Threads that decode, augment and compute; null = processors this process may use.",
    )
    engine: Literal["auto"] | EngineName = Field(
        "auto",
        description="What computes the features of the frozen backbone; auto = the one that is through "
        "first here, measured where that pays, if it changes at most 1 % of predictions against fp32. "
        "onnxruntime and openvino are extras.",
    )
    precision: Literal["fp32", "bf16", "fp16", "auto"] = Field(
        "fp32", description="Of the training steps; auto = the fastest here, measured."
    )
    batch_size: int = Field(
        32, ge=1, le=4096, description="Images per forward pass without training."
    )
    reduce: bool = Field(
        default=True,
        description="Read big training photos at a half, a quarter or an eighth of their sides, as "
        "long as every view has a pixel of theirs for each of its own.",
    )
    frozen_cache: float | None = Field(
        None,
        ge=0,
        le=100_000,
        description="Most gigabytes of memory for the output of frozen layers, which is kept where views "
        "of training images repeat (augment.views, or nothing drawn at all); 0 = off; null = a quarter "
        "of this machine's memory.",
    )
    feature_cache: float | None = Field(
        None,
        ge=0,
        le=100_000,
        description="Most gigabytes of features kept with the data set, those of other backbones included: "
        "what was not asked for longest makes way; 0 = off; null = a quarter of the disk's free room.",
    )
    image_cache: float | None = Field(
        None,
        ge=0,
        le=100_000,
        description="Most gigabytes of decoded training images kept beside the features; 0 = off; "
        "null = half of this machine's memory, and at most a quarter of the disk's free room.",
    )
