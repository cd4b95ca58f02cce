"""What the sections of a recipe cannot be told together, each with the reason and the right pairing."""

from collections.abc import Iterator

from affinage.records.networks import SIFT_WORDS
from affinage.records.pairings import impossible, problems
from affinage.records.recipe_fields import RecipeFields

ORDERS = (("features",), ("finetune",), ("features", "finetune"))


def contradictions(recipe: RecipeFields) -> Iterator[str]:
    """Yield what of a recipe cannot be trained, the first of which is enough to refuse it."""
    yield from _training_problems(recipe)
    yield from _stage_problems(recipe)
    yield from _features_problems(recipe)
    if recipe.sensitivity is not None and recipe.miss_cost is not None:
        yield "sensitivity and miss_cost both choose the threshold: give one"
    unfit, never = problems(recipe.chosen_loss()), impossible(recipe.chosen_loss())
    if unfit and (never or not recipe.force):
        last = "Not even --force can." if never else "--force trains all the same."
        yield f"{' '.join(unfit)} {last}"


def _stage_problems(recipe: RecipeFields) -> Iterator[str]:
    """Yield which stages cannot be had, or not with this model."""
    asked = recipe.model.head.beyond_linear
    if asked and "features" in recipe.stages:
        yield (
            f"the stage 'features' fits a linear head with biases, model.head asks for {asked}: "
            "set stages=finetune (and finetune.unfreeze=0 to train the head alone)"
        )
    if recipe.stages not in ORDERS:
        yield "stages must be 'features', 'finetune' or 'features,finetune', in this order"
    words = recipe.model.backbone == SIFT_WORDS
    if not recipe.model.pretrained and not words and "finetune" not in recipe.stages:
        yield "features of random weights mean nothing: add the stage 'finetune'"


def _features_problems(recipe: RecipeFields) -> Iterator[str]:
    """Yield why a classical head or backbone cannot be had as asked."""
    settings = recipe.features
    if recipe.model.backbone == SIFT_WORDS and "finetune" in recipe.stages:
        yield "sift_words has no weights that could be fine-tuned: set stages=features"
    if settings.head == "logistic" or "features" not in recipe.stages:
        return
    if recipe.task != "classify":
        yield (
            f"features.head={settings.head} tells classes apart, and task={recipe.task} asks for more: "
            "set features.head=logistic"
        )
    if "finetune" in recipe.stages:
        yield (
            f"features.head={settings.head} is no start for fine-tuning: set stages=features, or "
            "features.head=logistic"
        )


def _training_problems(recipe: RecipeFields) -> Iterator[str]:
    """Yield what the sections of a training cannot be told together."""
    settings, augment = recipe.finetune, recipe.augment
    if recipe.task == "count" and (augment.mixup or augment.cutmix):
        yield (
            "augment.mixup and augment.cutmix blend two images, and half an object is not half a "
            "count: leave them at 0 for task=count"
        )
    yield from _moved_counts(recipe)
    pieces = recipe.optimizer.accumulate
    if settings.batch_size != "auto" and pieces > settings.batch_size:
        yield (
            f"optimizer.accumulate={pieces} pieces cannot be made of finetune.batch_size="
            f"{settings.batch_size} images: batch_size is the whole step's, so raise it"
        )
    if settings.batch_size != "auto" and settings.batch_size // pieces < 2 and _adapts(recipe):
        yield (
            f"finetune.batchnorm={settings.batchnorm} normalises by one image at a time: set it to frozen, "
            "raise finetune.batch_size, or lower optimizer.accumulate"
        )
    sizes, shares = settings.sizes or (), settings.size_shares or ()
    if list(sizes) != sorted(set(sizes)):
        yield "finetune.sizes must grow: small images first, such as 128,160,224"
    if shares and sizes and len(shares) != len(sizes):
        yield (
            f"finetune.size_shares has {len(shares)} numbers for {len(sizes)} sizes: give one each"
        )
    if shares and abs(sum(shares) - 1) > 1e-6:
        yield f"finetune.size_shares add up to {sum(shares):g}: they must give 1"


def _adapts(recipe: RecipeFields) -> bool:
    """Return whether BatchNorm learns from batches; `three_conv` may be without."""
    bare = recipe.model.backbone == "three_conv" and not recipe.model.three_conv.batch_norm
    return recipe.finetune.batchnorm != "frozen" and not bare


def _moved_counts(recipe: RecipeFields) -> Iterator[str]:
    """Yield what would give a view other objects than those that it is told to show."""
    augment, count = recipe.augment, recipe.count
    if recipe.task != "count" or "finetune" not in recipe.stages:
        return
    if augment.policy != "none":
        yield (
            f"augment.policy={augment.policy} moves objects, and the counts would be those of the "
            "whole image: leave it at none for task=count"
        )
    if count.recount:
        return
    right = "or set count.recount=true where the table has a column of boxes"
    if augment.crop < 1:
        yield (
            f"augment.crop={augment.crop:g} cuts objects out of the image, and the counts would be those of "
            f"the whole one: leave it at 1 for task=count, {right}"
        )
    if augment.erase:
        yield (
            "augment.erase covers objects, and the counts would be those of the whole image: leave it at 0 "
            f"for task=count, {right}"
        )
    if augment.rotation:
        yield (
            f"augment.rotation={augment.rotation:g} turns objects out of the frame, and the counts would be "
            f"those of the whole one: leave it at 0 for task=count, {right}"
        )
