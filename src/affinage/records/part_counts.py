"""How many images each part has, of which classes, and which were left out."""

import polars as pl

from affinage.records.manifest import COUNT, LABELS, TAG, Manifest, split_labels
from affinage.records.split import Split


def split_sizes(split: Split) -> dict[str, int]:
    """Return the number of images by part."""
    return {part: len(getattr(split, part)) for part in ("train", "validation", "test")}


def class_counts(manifest: Manifest, split: Split) -> dict[str, dict[str, int]]:
    """Return the number of images by class, then by part.

    Where images have counts or sets of labels, those are counted that show a class at all.
    """
    kept = manifest.kept.unique("image", keep="first", maintain_order=True)
    shown = _shown(kept, manifest)
    parts = ("train", "validation", "test")
    return {
        name: {part: len(images & getattr(split, part)) for part in parts}
        for name, images in shown.items()
    }


def _shown(kept: pl.DataFrame, manifest: Manifest) -> dict[str, set[str]]:
    """Return the images that show each class."""
    if manifest.label_order:
        shown: dict[str, set[str]] = {label: set() for label in manifest.label_order}
        for image, label in kept.select("image", "label").iter_rows():
            if label in shown:
                shown[label].add(image)
        return shown
    begin = COUNT if any(name.startswith(COUNT) for name in kept.columns) else TAG
    columns = [name for name in kept.columns if name.startswith(begin)]
    if columns:
        nothing = ("", "0", "0.0", "false", "no")
        return {
            name.removeprefix(begin): {
                image
                for image, value in kept.select("image", name).iter_rows()
                if (value or "").strip().lower() not in nothing
            }
            for name in columns
        }
    listed: dict[str, set[str]] = {}
    for image, text in kept.select("image", LABELS).iter_rows() if LABELS in kept.columns else ():
        for label in split_labels(text):
            listed.setdefault(label, set()).add(image)
    return dict(sorted(listed.items()))


def left_out(manifest: Manifest, split: Split) -> dict[str, int]:
    """Return the number of files by reason that are in no part."""
    used = split.train | split.validation | split.test
    reasons: dict[str, int] = {}
    for status, reason, image in manifest.table.select("status", "reason", "image").iter_rows():
        if status == "kept" and image in used:
            continue
        words = str(reason) if status != "kept" else "in no part of the split"
        reasons[words] = reasons.get(words, 0) + 1
    return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
