"""What to know about annotated images: those not found, not annotated, or annotated in part."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from affinage.datasets.boxes.annotations import Problem
from affinage.datasets.boxes.counted import SHOWN, Counted, several, some
from affinage.datasets.boxes.missing import lacking
from affinage.datasets.boxes.placing import Lack
from affinage.records.finding import Finding

_AGAIN = "Export the annotations again, or mend these places by hand."


def broken_annotations(counted: Counted) -> Iterator[Finding]:
    """Yield files of annotations that cannot be read."""
    found = _problems(counted, "broken")
    if found:
        yield Finding(
            code="broken-annotations",
            severity="warning",
            subject=f"{several(len(found), 'file')} of annotations cannot be read; what they say is"
            " left out.",
            evidence=some(f"{problem.where}: {problem.detail}" for problem in found),
            remedy=_AGAIN,
            images=tuple(problem.where for problem in found),
            cost=counted.share(len(found)),
        )


def malformed_boxes(counted: Counted) -> Iterator[Finding]:
    """Yield entries that lack what makes a box."""
    found = _problems(counted, "malformed")
    if found:
        yield Finding(
            code="malformed-boxes",
            severity="warning",
            subject=f"{several(len(found), 'entry', 'entries')} of the annotations lacking what"
            " makes a box; left out.",
            evidence=some(f"{problem.where}: {problem.detail}" for problem in found),
            remedy=_AGAIN,
            images=_paths(counted, found),
            ids=counted.ids_of(_paths(counted, found)),
            cost=counted.share(len(_paths(counted, found))),
        )


def unknown_categories(counted: Counted) -> Iterator[Finding]:
    """Yield boxes of a category that the annotations do not name."""
    found = _problems(counted, "unknown-category")
    if found:
        numbers: defaultdict[str, int] = defaultdict(int)
        for problem in found:
            numbers[problem.detail] += 1
        yield Finding(
            code="unknown-category",
            severity="warning",
            subject=f"{several(len(found), 'box', 'boxes')} of a category that has no name; not"
            " counted.",
            evidence=some(
                f"{name}: {several(number, 'box', 'boxes')}" for name, number in numbers.items()
            ),
            remedy="Add the names to the annotations' list of categories.",
            images=_paths(counted, found),
            ids=counted.ids_of(_paths(counted, found)),
            cost=counted.share(len(_paths(counted, found))),
        )


def unknown_images(counted: Counted) -> Iterator[Finding]:
    """Yield boxes of images that the annotations do not list."""
    found = _problems(counted, "unknown-image")
    if found:
        yield Finding(
            code="unknown-image",
            severity="warning",
            subject=f"{several(len(found), 'box', 'boxes')} of images that the annotations do not"
            " list; not counted.",
            evidence=some(dict.fromkeys(problem.where for problem in found)),
            remedy=_AGAIN,
        )


def images_not_usable(counted: Counted) -> Iterator[Finding]:
    """Yield annotated images that are not there, cannot be read, or are of another size."""
    missing = _left(counted, "missing")
    if missing:
        yield Finding(
            code="missing-images",
            severity="warning",
            subject=f"{several(len(missing), 'annotated image')} not found; left out.",
            evidence=some(missing),
            remedy="Fetch them, or say where they are: affinage counts ANNOTATIONS --into TABLE"
            " --images FOLDER",
            images=tuple(missing),
            cost=counted.share(len(missing)),
        )
    outside = _left(counted, "outside the folder")
    if outside:
        yield Finding(
            code="path-leaves-folder",
            severity="warning",
            subject=f"{several(len(outside), 'path')} of the annotations leading out of the images'"
            " folder; left out.",
            evidence=some(outside),
            remedy="Write paths relative to the images' folder, and name it with --images FOLDER.",
            images=tuple(outside),
            cost=counted.share(len(outside)),
        )
    unreadable = _left(counted, "unreadable")
    if unreadable:
        yield Finding(
            code="unreadable-images",
            severity="warning",
            subject=f"{several(len(unreadable), 'annotated image')} cannot be read; left out.",
            evidence=some(f"{path}: {why}" for path, why in unreadable.items()),
            remedy="Replace them by intact copies, or delete them.",
            images=tuple(unreadable),
            cost=counted.share(len(unreadable)),
        )
    yield from _sizes(counted)


def _sizes(counted: Counted) -> Iterator[Finding]:
    unknown = _left(counted, "of unknown size")
    if unknown:
        yield Finding(
            code="size-unknown",
            severity="warning",
            subject=f"{several(len(unknown), 'image')} not there, and the annotations do not state"
            " their size; left out.",
            evidence=some(unknown),
            remedy="Fetch the images: their boxes cannot be measured without.",
            images=tuple(unknown),
            cost=counted.share(len(unknown)),
        )
    other = _left(counted, "of another size")
    if other:
        yield Finding(
            code="size-disagrees",
            severity="warning",
            subject=f"{several(len(other), 'image')} of another shape than the annotations state:"
            " they may be of other images; left out.",
            evidence=some(f"{path}: {why}" for path, why in other.items()),
            remedy="Put the images that were annotated in their place.",
            images=tuple(other),
            cost=counted.share(len(other)),
        )


def frames_turned(counted: Counted) -> Iterator[Finding]:
    """Yield images that were annotated lying on their side, or in another size."""
    turned = [fit for fit in counted.placed.fits if fit[1] != "scaled"]
    if turned:
        guessed = sum(fit[1] == "turned" for fit in turned)
        unsure = (
            f" For {several(guessed, 'image')} nothing says which way; that changes places, not"
            " counts."
            if guessed
            else ""
        )
        yield Finding(
            code="frame-turned",
            severity="warning",
            subject=f"{several(len(turned), 'image')} annotated without the EXIF rotation that shows"
            f" them upright; the boxes were turned.{unsure}",
            evidence=some(f"{path}: {detail}" for path, _, detail in turned),
            remedy="Annotate with a program that respects EXIF, or save the images upright.",
            images=tuple(path for path, _, _ in turned),
            ids=counted.ids_of([path for path, _, _ in turned]),
        )
    scaled = [fit for fit in counted.placed.fits if fit[1] == "scaled"]
    if scaled:
        yield Finding(
            code="frame-scaled",
            severity="note",
            subject=f"{several(len(scaled), 'image')} annotated in another size of the same shape;"
            " the boxes were scaled.",
            evidence=some(f"{path}: {detail}" for path, _, detail in scaled),
            images=tuple(path for path, _, _ in scaled),
        )


def listed_twice(counted: Counted) -> Iterator[Finding]:
    """Yield images that several entries are about."""
    again = counted.placed.again
    if again:
        yield Finding(
            code="image-listed-twice",
            severity="warning",
            subject=f"{several(len(again), 'image')} listed more than once; their boxes were put"
            " together.",
            evidence=some(again),
            remedy="Delete the entries that are too many, or count copies of a box once: affinage"
            " counts ANNOTATIONS --into TABLE --duplicates once",
            images=again,
            ids=counted.ids_of(again),
            cost=counted.share(len(again)),
        )


def not_annotated(counted: Counted) -> Iterator[Finding]:
    """Yield images beside the annotated ones that the annotations do not mention."""
    paths = counted.placed.unmentioned
    if paths:
        yield Finding(
            code="images-not-annotated",
            severity="note",
            subject=f"{several(len(paths), 'image')} beside the annotated ones not mentioned in the"
            " annotations; left out, for nobody said that they show nothing.",
            evidence=some(paths),
            remedy="If they do show nothing: affinage counts ANNOTATIONS --into TABLE --unmentioned zero",
            images=paths,
        )


def without_boxes(counted: Counted) -> Iterator[Finding]:
    """Yield annotated images without a single box."""
    paths = tuple(image.path for image in counted.images if not image.boxes)
    if paths:
        share = len(paths) / len(counted.images)
        yield Finding(
            code="images-without-boxes",
            severity="note",
            subject=f"{several(len(paths), 'image')} without any box ({100 * share:.1f} %): they count as"
            " images that show none, or nobody has annotated them yet.",
            evidence=some(paths),
            remedy="Look at them; if they were forgotten: affinage counts ANNOTATIONS --into TABLE"
            " --leave-out images-without-boxes",
            images=paths,
        )


def boxes_missing(counted: Counted) -> Iterator[Finding]:
    """Yield, as a guess, images that lack the boxes of a class that nearly every other has."""
    column = {name: number for number, name in enumerate(counted.classes)}
    annotated = np.zeros_like(counted.counts)
    row = {image.path: number for number, image in enumerate(counted.images)}
    for image, box, fate in counted.boxes():
        if fate not in ("not a number", "empty"):
            annotated[row[image.path], column[counted.spelling[box.label]]] += 1
    for lack in lacking(annotated):
        name = counted.classes[lack.column]
        paths = tuple(counted.images[number].path for number in lack.rows)
        yield Finding(
            code="boxes-missing",
            severity="warning",
            subject=f"{several(len(paths), 'image')} probably lacking the boxes of '{name}':"
            f" {100 * lack.present:.0f} % of the images have some, half of those {lack.typical:g} or more.",
            evidence=(
                f"{_chance(lack.expected)} would show none by chance, given the counts of the others",
                *some(paths, SHOWN - 1),
            ),
            remedy="Look at them; leave them out until they are annotated: affinage counts"
            " ANNOTATIONS --into TABLE --leave-out boxes-missing",
            images=paths,
            ids=counted.ids_of(paths),
            hit_rate=lack.hit_rate,
            cost=counted.share(len(paths)),
        )


def label_variants(counted: Counted) -> Iterator[Finding]:
    """Yield labels that differ only by case, and were taken as one class."""
    ways: defaultdict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for image in counted.images:
        for box in image.boxes:
            ways[counted.spelling[box.label]][box.label].append(image.path)
    varied = {name: ways[name] for name in counted.classes if len(ways[name]) > 1}
    if varied:
        rare = [
            path for name, by in varied.items() for way in by if way != name for path in by[way]
        ]
        yield Finding(
            code="label-variants",
            severity="warning",
            subject=f"{several(len(varied), 'label')} written in several ways that differ only by"
            " case; each was taken as one class.",
            evidence=some(
                ", ".join(f"'{way}' ({len(paths):,})" for way, paths in sorted(by.items()))
                + f" → '{name}'"
                for name, by in varied.items()
            ),
            remedy="Use one spelling; different classes need clearly different names.",
            images=tuple(dict.fromkeys(rare)),
            ids=counted.ids_of(tuple(dict.fromkeys(rare))),
        )


def _problems(counted: Counted, fault: str) -> list[Problem]:
    return [problem for problem in counted.annotations.problems if problem.fault == fault]


def _paths(counted: Counted, problems: list[Problem]) -> tuple[str, ...]:
    paths = counted.placed.paths
    return tuple(dict.fromkeys(paths[one.image] for one in problems if one.image in paths))


def _left(counted: Counted, lack: Lack) -> dict[str, str]:
    return {left.path: left.detail for left in counted.placed.left if left.lack == lack}


def _chance(expected: float) -> str:
    return "Less than 0.1 images" if expected < 0.1 else f"About {expected:.1f} images"
