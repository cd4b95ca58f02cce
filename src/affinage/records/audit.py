"""AuditResult: what an audit of a data set found, and what it looked at."""

from dataclasses import dataclass, field

from affinage.records.finding import Finding
from affinage.records.source import SourceReport


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What the owner of a data set should know before any training.

    Attributes:
        data: Name of the data set's folder.
        images: Different kept images.
        rows: Rows of the manifest, the excluded and the failed too.
        classes: Kept images of each class, in the order of the classes.
        findings: The gravest and costliest first.
        group: The column of sources; None where none was named.
        source_reports: One for each source of `group`, the worst first.
        looked_at: What the checks could see: `manifest`, `pixels`, `features`, `near-duplicates`.
        seconds: Time of each phase.
        report: Where the report lies.
        folder: Where the data set's folder lies: what `DATA` in a remedy stands for.
    """

    data: str
    images: int
    rows: int
    classes: dict[str, int]
    findings: tuple[Finding, ...]
    group: str | None = None
    source_reports: tuple[SourceReport, ...] = ()
    looked_at: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    report: str = ""
    folder: str = ""
