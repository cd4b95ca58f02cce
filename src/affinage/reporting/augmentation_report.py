"""The page of `augmentations`: which changes keep the label, and what training images look like."""

from collections.abc import Iterator
from dataclasses import dataclass

from affinage.records.augmentation import AugmentationsResult, AugmentationTrial
from affinage.records.report import Block, Code, Gallery, Picture, Report, Section, Table, Text
from affinage.records.settings.augment import AugmentSettings
from affinage.reporting.words import NOTHING, count, estimated, label, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One image of the sheet, as JPEG bytes.

    Attributes:
        name: Its label and path.
        before: As it is.
        views: As a training would see it, in several epochs.
    """

    name: str
    before: bytes
    views: tuple[bytes, ...]


def augmentation_report(
    result: AugmentationsResult, shown: tuple[Shown, ...], settings: AugmentSettings
) -> Report:
    """Return the report of `affinage augmentations`.

    Args:
        result: What was tried.
        shown: Images for the sheet.
        settings: Of the views that are shown.
    """
    changing = [trial for trial in result.trials if trial.verdict == "mixes classes up"]
    if changing:
        named = listed([trial.change for trial in changing])
        verdict = f"On these images, {named} {'makes' if len(changing) == 1 else 'make'} one class of another"
    elif result.trials:
        unsettled = sum(trial.verdict != "keeps the label" for trial in result.trials)
        verdict = f"None of {len(result.trials)} changes is shown to turn one class into another"
        if unsettled:
            verdict += f"; of {unsettled}, these images cannot say that they keep the label"
    else:
        verdict = "No change was tried: that takes images with one label each"
    sections = [
        Section(title="What keeps the label", blocks=tuple(_trials(result))),
        Section(title="Before and after", blocks=tuple(_sheet(shown))),
        Section(
            title="Settings of these views", blocks=(Code(text=_settings(settings)),), folded=True
        ),
    ]
    return Report(
        title=f"{label(result.data)} · augmentations",
        verdict=f"{verdict}.",
        tone="caution" if changing else "neutral",
        sections=tuple(section for section in sections if section.blocks),
    )


def points(trial: AugmentationTrial) -> str:
    """Return the change of accuracy with its interval, such as `-31.2 [-38.0, -24.1]`."""
    ends = (trial.difference.value, trial.difference.low, trial.difference.high)
    value, low, high = (100 * (end or 0.0) for end in ends)
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]".replace("-", "−")


def turns(trial: AugmentationTrial, most: int = 3) -> str:
    """Return which classes become which, such as `6 → 9 (31 of 40)`."""
    parts = [
        f"{label(one.label)} → {label(one.called)} ({one.images} of {one.of})"
        for one in trial.turned
    ]
    more = f" and {len(parts) - most} more" if len(parts) > most else ""
    return (", ".join(parts[:most]) + more) or NOTHING


def _trials(result: AugmentationsResult) -> Iterator[Block]:
    if not result.trials:
        return
    yield Table(
        columns=(
            "Change", "Verdict", "Before", "Taught", "Cost in points, 95 % interval", "Mixed up",
            "Right when changed", "Setting",
        ),
        rows=tuple(
            (
                trial.change,
                trial.verdict,
                estimated(trial.before),
                estimated(trial.taught),
                points(trial),
                turns(trial),
                estimated(trial.changed),
                trial.setting.removeprefix("augment."),
            )
            for trial in result.trials
        ),
        caption=f"Accuracy of {label(result.judge)} on {count(result.images, 'image')} as they are: before, "
        "and once the change was taught too. No image was judged by what had learnt from it.",
        numeric=(2, 3, 4, 6),
    )  # fmt: skip
    yield Text(
        paragraphs=(
            "That images are not recognised once they are changed says little: the judge may just not be "
            "used to them. So it was taught with them, under their old labels. Where a change keeps the "
            "label, both can be learnt; where it makes a 9 of a 6, the lesson contradicts itself, and "
            "images as they are get mixed up.",
        )
    )


def _sheet(shown: tuple[Shown, ...]) -> Iterator[Block]:
    for image in shown:
        pictures = [
            Picture(
                data=image.before, media_type="image/jpeg", caption="before",
                alternative=f"{label(image.name)} as it is",
            ),
            *(
                Picture(
                    data=view, media_type="image/jpeg", caption=f"epoch {epoch}",
                    alternative=f"{label(image.name)} as a training sees it in epoch {epoch}",
                )
                for epoch, view in enumerate(image.views, start=1)
            ),
        ]  # fmt: skip
        yield Gallery(pictures=tuple(pictures), caption=label(image.name))


def _settings(settings: AugmentSettings) -> str:
    return "\n".join(f"augment.{name}: {value}" for name, value in settings)
