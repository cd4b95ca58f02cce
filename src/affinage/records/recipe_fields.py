"""RecipeFields: the settings of a recipe, each right by itself; `Recipe` says which go together."""

from typing import Literal

from pydantic import Field

from affinage.records.networks import ModelSettings
from affinage.records.pairings import Chosen, TaskName
from affinage.records.section import Section
from affinage.records.settings.augment import AugmentSettings
from affinage.records.settings.compute import ComputeSettings
from affinage.records.settings.count import CountSettings
from affinage.records.settings.features import FeaturesSettings
from affinage.records.settings.finetune import FinetuneSettings
from affinage.records.settings.loss import LossSettings
from affinage.records.settings.optimizer import OptimizerSettings
from affinage.records.settings.schedule import ScheduleSettings
from affinage.records.settings.split import SplitSettings

Stage = Literal["features", "finetune"]


class RecipeFields(Section):
    """Every setting of a recipe with its range and default."""

    format: Literal[1] = Field(1, description="Version of this file's format.")
    task: TaskName = Field("classify", description="What is predicted.")
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of every random number.")
    stages: tuple[Stage, ...] = Field(
        ("features", "finetune"), min_length=1, description="In order."
    )
    force: bool = Field(
        default=False, description="Train with settings that contradict each other; marks the run."
    )
    budget: float | None = Field(None, gt=0, description="Seconds that the whole run may take.")
    goal: str | None = Field(None, description='Declared beforehand, such as "accuracy >= 0.95".')
    sensitivity: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Two classes: share of `positive` to find; sets the threshold.",
    )
    miss_cost: float | None = Field(
        None, gt=0, description="Two classes: a missed `positive` costs so many false alarms."
    )
    positive: str | None = Field(
        None, description="Two classes: the one to find; null = the second."
    )
    model: ModelSettings = ModelSettings()
    split: SplitSettings = SplitSettings()
    features: FeaturesSettings = FeaturesSettings()
    finetune: FinetuneSettings = FinetuneSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    augment: AugmentSettings = AugmentSettings()
    loss: LossSettings = LossSettings()
    count: CountSettings = CountSettings()
    compute: ComputeSettings = ComputeSettings()

    def chosen_loss(self) -> Chosen:
        """Return what this recipe asks of its loss."""
        return Chosen(
            task=self.task,
            target=self.count.target,
            loss=self.loss.name,
            output=self.loss.output,
            labels=self.loss.labels,
            balance=self.loss.balance,
            soft=self.augment.mixup > 0 or self.augment.cutmix > 0,
        )
