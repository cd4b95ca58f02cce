"""What lay in the source beside images, and folders that may mean something else."""

from collections import defaultdict
from collections.abc import Iterator

from affinage.auditing.evidence import Evidence
from affinage.auditing.words import SHOWN, count, first
from affinage.records.finding import Finding


def ignored_files(evidence: Evidence) -> Iterator[Finding]:
    """Yield how many files were passed over because they are no images."""
    ignored = evidence.ignored
    total = sum(map(len, ignored.values()))
    if total:
        yield Finding(
            code="ignored-files",
            severity="note",
            subject=f"{count(total, 'file')} or folders passed over: no images."
            if total > 1
            else "1 file or folder passed over: no image.",
            evidence=tuple(
                f"{len(paths):,} {reason}: {first(paths)}"
                for reason, paths in sorted(ignored.items())[:SHOWN]
            ),
            images=tuple(sorted(path for paths in ignored.values() for path in paths)),
        )


def folders_look_like_parts(evidence: Evidence) -> Iterator[Finding]:
    """Yield that every class folder holds the same folders, which may be the true classes."""
    inner: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    kept = evidence.manifest.kept
    for source, label, part, path in kept.select("source", "raw_label", "part", "path").iter_rows():
        folders = path.split("/")[:-1]
        depth = 1 if part is None else 2
        if folders[depth - 1 : depth] != [label]:
            return  # The label came from a table.
        inner[source, label].add("/".join(folders[depth : depth + 1]))
    sets = list(inner.values())
    if len(sets) < 2 or any(names != sets[0] for names in sets) or len(sets[0]) < 2:
        return
    if "" not in sets[0]:
        names = sorted(sets[0])
        labels = sorted(label for _, label in inner)
        yield Finding(
            code="folders-look-like-parts",
            severity="warning",
            subject=f"All {len(sets)} class folders hold the same folders ({first(names)}):"
            " these may be the true classes.",
            evidence=(f"taken as classes: {first(labels)}",),
            remedy=f"If so, give '{labels[0]}' and its like as sources, or rename them.",
        )
