"""First phase of a training: from sources to parts."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from affinage.auditing.checks import audit
from affinage.auditing.evidence import gather
from affinage.datasets.sources import scan
from affinage.datasets.split import make_split
from affinage.errors import DataError
from affinage.records.finding import Finding
from affinage.records.recipe import SplitSettings
from affinage.records.split import Split
from affinage.workflows.session import Session, TrainingData, training_data


def read_data(session: Session, sources: Sequence[Path]) -> TrainingData:
    """Scan, audit and split; or take what an earlier sitting of this run had found.

    Raises:
        DataError: If there is nothing to learn from.
    """
    saved = session.folder.data()
    if saved is not None:
        session.findings.extend(session.folder.findings_so_far())
        return training_data(*saved, group=session.recipe.split.group)
    with session.phase("scan"):
        known = session.dataset.load_manifest()
        found = scan(
            sources,
            known=known,
            threads=session.engine.threads,
            progress=lambda done, total: session.reporter.phase("reading images", done, total),
        )
        session.dataset.save_manifest(found.manifest)
        grouped = session.recipe.split.group is not None
        session.findings.extend(
            finding
            for finding in audit(gather(found.manifest, ignored=found.ignored))
            if not (grouped and finding.code == "suggested-group")
        )
    with session.phase("split"):
        name = split_name(session.recipe.split)
        split, findings = make_split(
            found.manifest,
            session.recipe.split,
            earlier=session.dataset.load_split(name),
        )
        session.dataset.save_split(name, split)
        session.findings.extend(findings)
    _check(split, session.recipe.split.group)
    return training_data(found.manifest, split, group=session.recipe.split.group)


def split_name(settings: SplitSettings) -> str:
    """Return the name under which a data set keeps the split of these settings."""
    changed = {
        key: value
        for key, value in settings.model_dump().items()
        if value != SplitSettings.model_fields[key].default
    }
    if not changed:
        return "default"
    text = json.dumps(changed, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def within(data: TrainingData, share: float) -> TrainingData:
    """Return the same data with only a share of each part, for a budget that allows no more.

    The images are those whose ids come first; ids are hashes, so this is a fair sample. At least two
    images of each class stay in train.
    """

    def chosen(name: str) -> frozenset[str]:
        part = getattr(data, name)
        taken: list[str] = []
        per_class: dict[int, int] = {}
        for label in part.labels.tolist():
            per_class[label] = per_class.get(label, 0) + 1
        seen: dict[int, int] = {}
        for image, label in zip(part.images, part.labels.tolist(), strict=True):
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
    return training_data(data.manifest, split)


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
            remedy="Use a column with more groups, or no test part: --set split.test=0",
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
