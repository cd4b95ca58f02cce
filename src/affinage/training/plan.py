"""How many steps a fine-tuning takes: by the recipe, by the size of the data, by a budget."""

from dataclasses import dataclass

from affinage.errors import RecipeError
from affinage.records.settings.finetune import FinetuneSettings

IMAGES_BY_DEFAULT = 4_000
EPOCHS_AT_MOST = 20
EPOCHS_AT_LEAST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A fine-tuning's length.

    Attributes:
        steps: Number of optimizer steps.
        steps_per_epoch: Steps that see every training image once.
    """

    steps: int
    steps_per_epoch: int

    @property
    def epochs(self) -> float:
        """Passes over the training part."""
        return self.steps / self.steps_per_epoch


def make_plan(settings: FinetuneSettings, images: int) -> Plan:
    """Return the plan for so many training images.

    Without a word in the recipe, about 4,000 images are shown, in 2 to 20 epochs, so that a thousand
    photographs take two to three minutes on 2 cores; for large sets the least number of epochs decides.
    `steps` is exact; of `epochs` and `images` the one that ends first counts.

    Raises:
        RecipeError: If the batch size is still to be found.
    """
    if settings.batch_size == "auto":
        raise RecipeError(
            "finetune.batch_size=auto has not been settled: nothing was measured.",
            remedy="Settle the recipe first (affinage.training.settle), or give a number such as 32.",
        )
    per_epoch = max(1, -(-images // settings.batch_size))
    if settings.steps is not None:
        return Plan(steps=settings.steps, steps_per_epoch=per_epoch)
    epochs = settings.epochs
    if epochs is None and settings.images is None:
        epochs = min(EPOCHS_AT_MOST, max(EPOCHS_AT_LEAST, round(IMAGES_BY_DEFAULT / images)))
    limits = [] if epochs is None else [round(epochs * per_epoch)]
    if settings.images is not None:
        limits.append(round(settings.images / images * per_epoch))
    return Plan(steps=max(1, min(limits)), steps_per_epoch=per_epoch)
