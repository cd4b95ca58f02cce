"""First phase of a training: from sources to parts."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from affinage.auditing.checks import audit
from affinage.auditing.evidence import gather
from affinage.datasets.split import make_split, split_name
from affinage.datasets.targets import for_task
from affinage.errors import DataError
from affinage.imaging.measuring import FACTS, measure_all
from affinage.records.finding import Finding
from affinage.records.settings.split import SplitSettings
from affinage.records.split import Split
from affinage.records.task import Task
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.measure_cache import MeasureCache
from affinage.workflows.opened import Opened, items_of, open_data
from affinage.workflows.session import Session, TrainingData, training_data
from affinage.workflows.split import near_groups


def read_data(session: Session, sources: Sequence[Path], task: Task) -> TrainingData:
    """Scan, audit and split; or take what an earlier sitting of this run had found.

    Raises:
        DataError: If there is nothing to learn from.
    """
    saved = session.folder.data()
    if saved is not None:
        session.findings.extend(session.folder.findings_so_far())
        return training_data(*saved, task, group=session.recipe.split.group)
    with session.phase("scan"):
        opened = open_data(
            sources,
            session.dataset.path,
            reporter=session.reporter,
            threads=session.engine.threads,
            beside=Path(),
            counts=session.recipe.count.columns,
        )
        manifest = for_task(opened.manifest, task)
    with session.phase("audit"):
        session.findings.extend([*opened.findings, *quick_audit(session, opened)])
    with session.phase("split"):
        recut = not session.recipe.split.given or cut_anew(session.dataset, session.recipe.split)
        name = split_name(session.recipe.split, recut=recut)
        earlier = session.dataset.load_split(name)
        split, findings = make_split(
            manifest,
            session.recipe.split,
            earlier=earlier,
            together=near_groups(session.dataset),
            recut=recut,
        )
        session.dataset.save_split(name, split.remembering(earlier))
        session.findings.extend(findings)
        if recut and session.recipe.split.given:
            session.findings.append(_cut_anew_finding())
    _check(split, session.recipe.split.group)
    _tell(session)
    return training_data(manifest, split, task, group=session.recipe.split.group)


def cut_anew(dataset: DatasetFolder, settings: SplitSettings) -> bool:
    """Return whether the owner's last word on these parts was `affinage split --recut`."""
    plain = settings.model_copy(update={"given": True})
    return dataset.is_newer_split(split_name(plain, recut=True), than=split_name(plain))


def _cut_anew_finding() -> Finding:
    return Finding(
        code="parts-cut-anew",
        severity="note",
        subject="The parts are those that `affinage split --recut` cut, not those that the source gives.",
        remedy="To have the source's own parts again: affinage split DATA",
    )


IMAGES_MEASURED = 20_000
"""A training looks at the pixels of no more images than these before it begins: about 15 s."""


def quick_audit(session: Session, opened: Opened) -> list[Finding]:
    """Return what the checks say that need no features, in a few seconds.

    Pixels are looked at where there are at most 20,000 images and the budget, if any, is two minutes or
    more; `affinage audit` looks at everything.
    """
    evidence = gather(opened.manifest, ignored=opened.ignored)
    budget = session.recipe.budget
    if len(evidence.ids) <= IMAGES_MEASURED and (budget is None or budget >= 120):
        measured = measure_all(
            items_of(opened.manifest, evidence.images),
            threads=session.engine.threads,
            cache=MeasureCache(session.dataset.cache, FACTS),
            progress=lambda done, total: session.reporter.phase("quick audit", done, total),
        )
        evidence = dataclasses.replace(evidence, measures=measured.table, thumbs=measured.thumbs)
    moot = {"suggested-group"} if session.recipe.split.group is not None else set()
    if session.recipe.split.closed_set:
        moot |= {"small-classes", "tiny-class"}  # One image per class is what it is for.
    return [finding for finding in audit(evidence) if finding.code not in moot]


def _tell(session: Session) -> None:
    """Say what may spoil the training before any time is spent on it."""
    for finding in session.findings:
        if finding.severity == "blocking":
            session.reporter.say(f"blocking: {finding.subject}")
        elif finding.code == "suggested-group":
            session.reporter.say(f"{finding.subject} {finding.remedy}")


def within(data: TrainingData, share: float, task: Task) -> TrainingData:
    """Return the same data with only a share of each part, for a budget that allows no more.

    The images are those whose ids come first; ids are hashes, so this is a fair sample. At least two
    images of each class stay in train.
    """

    def chosen(name: str) -> frozenset[str]:
        part = getattr(data, name)
        taken: list[str] = []
        labels = part.targets.tolist() if part.targets.ndim == 1 else [0] * len(part)
        per_class: dict[int, int] = {}
        for label in labels:
            per_class[label] = per_class.get(label, 0) + 1
        seen: dict[int, int] = {}
        for image, label in zip(part.images, labels, strict=True):
            seen[label] = seen.get(label, 0) + 1
            least = 2 if name == "train" else 1
            if seen[label] <= max(least, round(share * per_class[label])):
                taken.append(image)
        return frozenset(taken)

    train = chosen("train")
    split = dataclasses.replace(
        data.split,
        train=train,
        validation=train if data.split.closed_set else chosen("validation"),
        test=chosen("test"),
    )
    return training_data(data.manifest, split, task)


def _check(split: Split, group: str | None) -> None:
    if not split.train:
        raise DataError(
            "No image is left to learn from.",
            remedy="Put labelled images into the training part, or lower split.test.",
        )
    if group is not None and not (split.train and split.validation):
        raise DataError(
            f"The groups of '{group}' are too few for the parts: {len(split.train)} images would be in "
            f"train, {len(split.validation)} in validation, {len(split.test)} in test.",
            remedy="Use a column with more groups, or no test part: --set split.test=0"
            if split.test
            else "Copies and groups tie the images together: use a column with more groups, or none.",
        )
    if not split.validation:
        raise DataError(
            f"No image is left to validate on: {len(split.train)} in train.",
            remedy="Add images; with one image per class on purpose, say --closed-set.",
        )


def budget_finding(used: int, total: int, seconds: float) -> Finding:
    """Return the finding that a budget left images out."""
    return Finding(
        code="budget-subset",
        severity="warning",
        subject=f"The budget of {seconds:g} s allowed for {used:,} of {total:,} images.",
        evidence=(
            "A fair sample of each part was used; the scores hold for a model of so little.",
        ),
        remedy="Give a longer --budget, or none.",
    )
