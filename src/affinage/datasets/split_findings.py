"""What to know about a split: leaks, images left out, classes that lack a part."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from affinage.datasets.allotting import Targets
from affinage.records.finding import Finding
from affinage.records.manifest import PARTS
from affinage.records.split import Folds, Split

Paths = Mapping[str, tuple[str, ...]]
_SHOWN = 5
_TOLERABLE = (
    0.02  # Share of the test part that may have near-duplicates elsewhere: as for an audit.
)


def crosses_parts(
    given: Mapping[str, Collection[str]], paths: Paths, *, closed_set: bool
) -> Iterator[Finding]:
    """Yield which images the user gave to several parts."""
    crossing = sorted(
        image
        for image, parts in given.items()
        if len(parts) > 1 and ("test" in parts or not closed_set)
    )
    if not crossing:
        return
    pairs = Counter(" and ".join(p for p in PARTS if p in given[image]) for image in crossing)
    lines = [f"{count:,} in {pair}" for pair, count in sorted(pairs.items())]
    yield Finding(
        code="crosses-parts",
        severity="warning",
        subject=f"The same bytes lie in several of your parts: {_images(len(crossing))}. Each"
        " counts once: in test if it is there, else in validation.",
        evidence=(*lines, *(" = ".join(paths[image]) for image in crossing[:_SHOWN])),
        remedy="Delete the copies from the train folder, so that others do not learn from them.",
        images=_all(crossing, paths),
    )


def links_two_parts(left_out: Collection[str], paths: Paths) -> Iterator[Finding]:
    """Yield which new images were left out because they tie two parts together."""
    if not left_out:
        return
    ids = sorted(left_out)
    yield Finding(
        code="links-two-parts",
        severity="warning",
        subject=f"{_images(len(ids))} left out: a group of theirs, or the groups together, are in"
        " several parts of the earlier split already.",
        evidence=tuple(paths[image][0] for image in ids[:_SHOWN]),
        remedy="Leave them out, or cut all parts anew with another --data folder.",
        images=_all(ids, paths),
    )


def group_across_parts(
    split: Split, groups: Mapping[str, Collection[str]], paths: Paths, column: str | None
) -> Iterator[Finding]:
    """Yield how many images are judged whose group was learnt from."""
    if split.closed_set:
        pairs = [("test", split.test, "train", split.train)]
    else:
        learnt = (
            "train or validation" if split.carved else "train"
        )  # A cut part is learnt from too.
        known = split.train | (split.validation if split.carved else frozenset())
        pairs = [
            ("test", split.test, learnt, known),
            ("validation", split.validation, "train", split.train),
        ]
    lines: list[str] = []
    leaking: set[str] = set()
    for judge, judged, source, seen in pairs:
        there = {group for image in seen for group in groups.get(image, ())}
        hit = {image for image in judged if not there.isdisjoint(groups.get(image, ()))}
        if hit:
            leaking |= hit
            lines.append(
                f"{len(hit):,} of {len(judged):,} {judge} images share their {column} with {source}"
            )
    if lines:
        shared = Counter(group for image in leaking for group in groups[image])
        most = [f"'{group}': {_images(n)}" for group, n in sorted(shared.items(), key=_by_size)]
        yield Finding(
            code="group-across-parts",
            severity="blocking",
            subject=f"{lines[0]}: the score may reward memory of the {column}.",
            evidence=(*lines, *most[:3]),
            remedy=f"Cut all parts by {column}: affinage split DATA --recut --group {column}",
            images=_all(sorted(leaking), paths),
        )


def twins_across_parts(
    split: Split, together: Mapping[str, str], paths: Paths, *, given: bool
) -> Iterator[Finding]:
    """Yield the near-duplicates that lie in two parts: these were given, or cut earlier."""
    if split.closed_set:
        return
    parts: defaultdict[str, set[str]] = defaultdict(set)
    for image, group in together.items():
        part = split.part_of(image)
        if part is not None:
            parts[group].add(part)
    parted = sorted(image for image, group in together.items() if len(parts[group]) > 1)
    there = [image for image in parted if image in paths and split.part_of(image)]
    if not there:
        return
    judged = sum(image in split.test for image in there)
    by_group: defaultdict[str, list[str]] = defaultdict(list)
    for image in there:
        by_group[together[image]].append(image)
    lines = [
        " ≈ ".join(f"{paths[image][0]} ({split.part_of(image)})" for image in images[:4])
        for images in by_group.values()
    ]
    yield Finding(
        code="twins-across-parts",
        severity="warning" if judged <= _TOLERABLE * len(split.test) else "blocking",
        subject=f"{_images(len(there))} with near-duplicates in another part, {judged:,} of them in"
        " test: these parts were given, or cut before anyone knew.",
        evidence=_first(lines),
        remedy=f"Cut anew: affinage split DATA {'--recut' if given else '--seed 1'}",
        images=_all(there, paths),
        ids=tuple(there),
    )


def classes_that_lack_folds(folds: Folds, labels: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the classes that are missing from a fold."""
    has = [Counter(labels[image] for image in ids) for ids in folds.folds]
    lacking = []
    for label in sorted({name for counts in has for name in counts}):
        missing = [str(n) for n, counts in enumerate(has, start=1) if not counts[label]]
        if missing:
            n = sum(counts[label] for counts in has)
            lacking.append(f"'{label}': {_images(n)}, none in fold {', '.join(missing)}")
    if lacking:
        yield Finding(
            code="class-lacks-fold",
            severity="warning",
            subject=f"{_classes(len(lacking))} missing from a fold: it is not judged there.",
            evidence=_first(lacking),
            remedy=f"Ask for fewer than {len(folds)} folds, or add images of these classes.",
        )


def ties_across_folds(
    folds: Folds, ties: Mapping[str, Collection[str]], paths: Paths, reason: str | None
) -> Iterator[Finding]:
    """Yield the images of earlier folds that are tied to another fold by what is known only now."""
    there: defaultdict[str, set[int]] = defaultdict(set)
    fold_of = {image: number for number, ids in enumerate(folds.folds, start=1) for image in ids}
    for image, number in fold_of.items():
        for tie in ties.get(image, ()):
            there[tie].add(number)
    shared = sorted(i for i in fold_of if any(len(there[tie]) > 1 for tie in ties.get(i, ())))
    if shared:
        yield Finding(
            code="ties-across-folds",
            severity="warning",
            subject=f"{_images(len(shared))} that {reason} tie to another fold: they were dealt before"
            " anyone knew.",
            evidence=tuple(f"{paths[i][0]} (fold {fold_of[i]})" for i in shared[:_SHOWN]),
            remedy="Deal anew: affinage split DATA --folds K --seed 1",
            images=_all(shared, paths),
            ids=tuple(shared),
        )


def folds_uneven(folds: Folds, reason: str | None) -> Iterator[Finding]:
    """Yield how large the folds became where what ties images makes them uneven."""
    sizes = [len(ids) for ids in folds.folds]
    even = sum(sizes) / len(sizes)
    if reason is None or max(sizes) - min(sizes) <= 0.1 * even + 2:
        return
    yield Finding(
        code="folds-uneven",
        severity="warning",
        subject=f"The {reason} are too few or too large for {len(sizes)} even folds.",
        evidence=tuple(f"fold {n}: {_images(size)}" for n, size in enumerate(sizes, start=1)),
        remedy="Ask for fewer folds, or accept that some judge fewer images.",
    )


def classes_that_lack_parts(
    part_of: Mapping[str, str], labels: Mapping[str, str], aims: Targets
) -> Iterator[Finding]:
    """Yield the classes that cannot be learnt, chosen by or judged, with their sizes."""
    has = {part: Counter(labels[i] for i, p in part_of.items() if p == part) for part in PARTS}
    wanted = [part for part in PARTS if has[part] or any(aims[part].values())]
    unlearnt: list[str] = []
    tiny: list[str] = []
    lacking: list[str] = []
    for label in sorted(set(labels.values())):
        missing = [part for part in wanted if not has[part][label]]
        n = sum(has[part][label] for part in PARTS)
        line = f"'{label}': {_images(n)}, none in {' or '.join(missing)}"
        if "train" in missing:
            unlearnt.append(line)
        elif missing:
            (tiny if n < len(wanted) else lacking).append(line)
    if unlearnt:
        yield Finding(
            code="class-not-in-train",
            severity="blocking",
            subject=f"{_classes(len(unlearnt))} without any image to learn from.",
            evidence=_first(unlearnt),
            remedy="Add images of these classes to train, or take them out of the other parts.",
        )
    if tiny:
        yield Finding(
            code="tiny-class",
            severity="warning",
            subject=f"{_classes(len(tiny))} with too few images for every part.",
            evidence=_first(tiny),
            remedy=f"Add images until each class has at least {10 * len(wanted)}.",
        )
    if lacking:
        yield Finding(
            code="class-lacks-part",
            severity="warning",
            subject=f"{_classes(len(lacking))} missing from a part.",
            evidence=_first(lacking),
            remedy="Add images of these classes there (or further groups that have them).",
        )


def shares_not_reached(
    part_of: Mapping[str, str], pool: Collection[str], aims: Targets, reason: str | None
) -> Iterator[Finding]:
    """Yield how large the parts became where groups are too few or too large to cut as asked."""
    if reason is None or not pool:
        return
    has = Counter(part_of[image] for image in pool)
    lines = [
        f"{part}: {has[part]:,} of {len(pool):,} images ({100 * has[part] / len(pool):.0f} %),"
        f" {aimed:,} were asked for"
        for part in ("validation", "test")
        if (aimed := sum(aims[part].values())) and abs(has[part] - aimed) > 0.05 * len(pool)
    ]
    if lines:
        yield Finding(
            code="shares-not-reached",
            severity="warning",
            subject=f"The {reason} are too few or too large to cut the shares asked for.",
            evidence=tuple(lines),
            remedy=f"Add images with further {reason}, or accept these shares.",
        )


def test_cut_from_train(split: Split, *, given: Collection[str]) -> Iterator[Finding]:
    """Yield that a test part was cut from train although the user gave a validation part."""
    if "validation" in given and "test" not in given and split.test:
        yield Finding(
            code="test-cut-from-train",
            severity="note",
            subject=f"No test part was given: {_images(len(split.test))} of train serve as one.",
            remedy="Add a test folder to judge by your own, or do without: --set split.test=0",
        )


def _first(lines: list[str]) -> tuple[str, ...]:
    more = len(lines) - 2 * _SHOWN
    return (*lines[: 2 * _SHOWN], *([f"and {more:,} more"] if more > 0 else []))


def _by_size(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _classes(count: int) -> str:
    return "1 class" if count == 1 else f"{count:,} classes"


def _all(ids: Iterable[str], paths: Paths) -> tuple[str, ...]:
    return tuple(path for image in ids for path in paths[image])
