"""SourceReport: what one source of images is worth."""

from dataclasses import dataclass

from affinage.records.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTest:
    """One kind of fault, counted in one source and compared with the other sources.

    Attributes:
        fault: `wrong-label`, `off-topic` or `copy`.
        share: Of the source's images that show it, with its interval and n.
        expected: The share that images of the same labels show in other sources, 0 to 1.
        p: Chance of so many or more were the source like the others, 0 to 1.
        ids: Image ids that show it, sorted.
    """

    fault: str
    share: Estimate
    expected: float
    p: float
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """What the images of one source (web domain, camera, slide, uploader) are worth.

    Attributes:
        column: The column that names the sources.
        value: This source's name in it.
        images: How many different kept images came from it.
        labels: (label, images), the most frequent first.
        tests: One for each kind of fault that could be tested; empty where the source is too small.
        error: Share of its images that a head fitted without it gets wrong; None without features.
        p: Chance that a source like the others would stand out so in any test; None if untested.
        q: False-discovery rate at which it would just be reported; None if untested.
        suspicious: True where it stands out at the false-discovery bound, and by enough to matter.
        gain: How much more accurate a head is on the other sources' images when this one is left
            out of its training, in [-1, 1]; None where it was not measured.
    """

    column: str
    value: str
    images: int
    labels: tuple[tuple[str, int], ...]
    tests: tuple[SourceTest, ...] = ()
    error: Estimate | None = None
    p: float | None = None
    q: float | None = None
    suspicious: bool = False
    gain: Estimate | None = None

    @property
    def purity(self) -> float:
        """Share of its most frequent label, 0 to 1."""
        return self.labels[0][1] / sum(n for _, n in self.labels) if self.labels else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceJudgement:
    """What all sources of one column are worth.

    Attributes:
        column: The column that names them.
        reports: One for each source that is large enough to be judged, the worst first.
        gain: As `SourceReport.gain`, with all suspicious sources left out at once; None without any.
    """

    column: str
    reports: tuple[SourceReport, ...]
    gain: Estimate | None = None

    @property
    def suspicious(self) -> tuple[SourceReport, ...]:
        """The reports of the sources that stand out, the worst first."""
        return tuple(report for report in self.reports if report.suspicious)
