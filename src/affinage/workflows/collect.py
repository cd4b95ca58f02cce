"""The verb `collect`: a table of addresses becomes a data set, and can stop and go on at any time."""

import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import affinage
from affinage.datasets.collect.blocking import Blocklist, read_patterns
from affinage.datasets.collect.collecting import LEDGER, Collecting, FailedFor, Running
from affinage.datasets.collect.limits import Limits
from affinage.datasets.collect.tally import Standing
from affinage.errors import DataError, Interrupted, RecipeError
from affinage.workflows.reporter import Reporter, Silent, duration

_EVERY = 15.0  # Seconds between two sentences on how it goes.
_UPLOADS = 32  # Files put on an object store at once: each waits for its answer.
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(k|m|g)?b?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectResult:
    """What a collection has brought, over all its sittings.

    Attributes:
        data: The data set's folder, as given.
        rows: Different rows (address and label) of all tables that were given.
        repeated: Rows of the last table that say again what another row of it says.
        kept: Rows with an image that is used.
        failed: Rows without an image, or not fetched yet; each has its reason.
        excluded: Rows left out on purpose: blocked, not drawn, or of bytes under several labels.
        waiting: Of the failed, rows that were not fetched yet; 0 unless it was interrupted.
        images: Different images kept.
        per_class: Different images kept of each class, in the order of the labels.
        failures: Rows that failed, by reason, the most frequent first.
        seconds: How long this sitting took.
        images_per_second: Images that this sitting fetched, per second of fetching.
    """

    data: str
    rows: int
    repeated: int
    kept: int
    failed: int
    excluded: int
    waiting: int
    images: int
    per_class: Mapping[str, int]
    failures: tuple[FailedFor, ...]
    seconds: float
    images_per_second: float


def collect(
    table: str | Path,
    into: str | Path,
    *,
    per_class: int | None = None,
    concurrency: int = 256,
    per_host: int = 8,
    rate: float | None = None,
    retries: int = 3,
    retry_failed: bool = False,
    block: Iterable[str] = (),
    block_file: str | Path | None = None,
    allow_private: bool = False,
    robots: bool = False,
    max_bytes: int | str = "32MB",
    timeout: float = 60.0,
    connect_timeout: float = 10.0,
    read_timeout: float = 20.0,
    target: str | None = None,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> CollectResult:
    """Download the images of a table of addresses into a data set.

    What was fetched before is not fetched again: the same call goes on where an earlier one ended,
    however it ended, and rows that were added to the table are added.

    Args:
        table: CSV, TSV or Parquet with the columns `url` and `label`; further columns are kept.
        into: The data set's folder: ledger, manifest and images.
        per_class: Different images wanted of each class; all by default.
        concurrency: Requests at once, over all hosts.
        per_host: Requests at once to one host name.
        rate: Requests begun per second to one host name; no limit by default.
        retries: How often a request is tried again after an answer that may pass, or none.
        retry_failed: Try the rows again that failed in earlier calls.
        block: Domains (with their subdomains) and paths that are not asked for.
        block_file: A file of such patterns, one a line.
        allow_private: Whether loopback, private and link-local addresses may be connected to.
        robots: Whether robots.txt is obeyed.
        max_bytes: Largest file: bytes, or such as `20MB`.
        timeout: Seconds that one answer may take in all.
        connect_timeout: Seconds that a connection may take.
        read_timeout: Seconds between two pieces of an answer.
        target: Where images go instead of the folder, such as `s3://bucket/prefix`.
        seed: Decides which rows `per_class` draws.
        reporter: Told of progress.

    Raises:
        DataError: If the table, the folder or the target cannot be used.
        RecipeError: If a setting is out of range.
        Interrupted: After Ctrl-C; all that arrived is kept, and the manifest is written.
    """
    told = reporter or Silent()
    started = time.monotonic()
    limits = Limits(
        concurrency=concurrency,
        per_host=per_host,
        rate=rate,
        retries=retries,
        max_bytes=_bytes(max_bytes),
        connect=connect_timeout,
        read=read_timeout,
        total=timeout,
        private=allow_private,
        robots=robots,
    )
    if per_class is not None and per_class < 1:
        raise RecipeError(
            f"per-class is {per_class}; it must be at least 1.",
            remedy="Give --per-class the number of images wanted of each class.",
        )
    blocklist = Blocklist([*block, *(read_patterns(Path(block_file)) if block_file else [])])
    folder = Path(into)
    _check_folder(folder)
    with Collecting.opened(folder, target) as work:
        _read(work, Path(table), told, seed=seed, sampled=per_class is not None)
        running = work.download(
            limits=limits,
            blocklist=blocklist,
            per_class=per_class,
            seed=seed,
            retry_failed=retry_failed,
            user_agent=f"affinage/{affinage.__version__} (image data sets)",
            threads=_UPLOADS if target else max(2, _cores()),
        )
        begun = time.monotonic()
        finished = _watch(running, told)
        fetching = max(time.monotonic() - begun, 1e-3)
        told.say("writing the manifest")
        written = work.write_manifest(folder / "manifest.parquet", per_class=per_class)
        rows, repeated = work.counts()
        result = CollectResult(
            data=str(into),
            rows=rows,
            repeated=repeated,
            kept=written.kept,
            failed=written.failed,
            excluded=written.excluded,
            waiting=written.waiting,
            images=written.images,
            per_class=written.per_class,
            failures=work.failures(),
            seconds=round(time.monotonic() - started, 3),
            images_per_second=round(running.download.tally.kept / fetching, 1),
        )
    if not finished:
        raise Interrupted(
            f"Stopped with {result.waiting:,} of {result.rows:,} rows still to fetch;"
            " the others are in the manifest.",
            remedy="Go on by the same command.",
        )
    return result


def _read(work: Collecting, table: Path, told: Reporter, *, seed: int, sampled: bool) -> None:
    try:
        work.read(
            table,
            seed=seed,
            sampled=sampled,
            progress=lambda rows: told.phase("reading the table", rows, None),
        )
    except KeyboardInterrupt:
        raise Interrupted(
            "Stopped while the table was read.", remedy="Go on by the same command."
        ) from None


def _watch(running: Running, told: Reporter) -> bool:
    """Show progress until the download ends; return whether it ended by itself."""
    spoken = time.monotonic()
    try:
        while not running.wait(0.2):
            standing = running.download.standing()
            known = standing.per_second > 0 or not standing.resting
            total = standing.done + standing.waiting if known else None
            told.phase("collecting", standing.done, total)
            if time.monotonic() - spoken > _EVERY:
                spoken = time.monotonic()
                told.say(sentence(standing))
    except BaseException as error:
        told.say("stopping: what is on its way is written down")
        running.stop()
        if isinstance(error, KeyboardInterrupt):
            return False
        raise
    standing = running.download.standing()
    told.phase("collecting", standing.done, standing.done)
    return True


def sentence(standing: Standing) -> str:
    """Return how a collection is going: speed, time left, failures by reason, slowest hosts."""
    parts = [f"{standing.per_second:,.0f} images/s"]
    if standing.per_second > 0 and standing.waiting:
        share = standing.kept / max(1, standing.done)
        left = standing.waiting * max(share, 0.01) / standing.per_second
        parts.append(f"about {duration(left)} left")
    if standing.failures:
        most = ", ".join(f"{reason} {rows:,}" for reason, rows in standing.failures[:3])
        parts.append(f"failed: {most}")
    if standing.slowest:
        hosts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in standing.slowest)
        parts.append(f"slowest: {hosts}")
    if standing.resting:
        rest = f"{standing.resting} host{'s rest' if standing.resting > 1 else ' rests'}"
        parts.append(f"{rest}, for {duration(standing.rest)} more")
    return "; ".join(parts)


def _check_folder(folder: Path) -> None:
    if (folder / "manifest.parquet").exists() and not (folder / LEDGER).exists():
        raise DataError(
            f"'{folder}' is the folder of a data set that was not collected.",
            remedy="Give another folder with --into.",
        )
    if folder.exists() and not folder.is_dir():
        raise DataError(f"'{folder}' is a file.", remedy="Give a folder with --into.")


def _cores() -> int:
    """Return the cores that this process may use (without torch's room, which keeps memory)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bytes(size: int | str) -> int:
    """Return a number of bytes from one, or from such as `20MB`."""
    found = _SIZE.fullmatch(str(size).strip())
    if found is None:
        raise RecipeError(
            f"max-bytes is '{size}', which is no size.", remedy="Write it as 20MB, or in bytes."
        )
    return int(float(found[1]) * _FACTORS[(found[2] or "").lower()])
