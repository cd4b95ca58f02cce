"""`docs/benchmarks.md`, written from the last figures of each section in `benchmarks/results.jsonl`."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results.jsonl")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"

_GOAL = re.compile(r"\s*\(goal: (at least|at most) ([\d.]+)([^)]*)\)")
_INTERVAL = re.compile(r"\[([+-]?[\d.]+), ([+-]?[\d.]+)\]")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")

HEAD = """# Benchmarks

What was measured, when, and how to measure it again. `python -m benchmarks SECTION` (or `make bench
SECTION=SECTION`) prints a section's figures, appends them to `benchmarks/results.jsonl`, and writes this
page anew; without a section it runs all. The last figures of each section count. Most sections need the
sample image sets (`AFFINAGE_SAMPLES`); peers from the package index get a virtual environment each under
`~/.cache/affinage-bench` (`AFFINAGE_BENCH_CACHE`). What was tried on the way, and what failed, is in the
[log](log.md).

Ratios to a peer in the same interleaved run hold better than times; a machine with other work on it
stretches wall time, less so processor time.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a figure should be.

    Attributes:
        least: True where the figure should be at least `bound`, else at most.
        bound: In the figure's own unit.
        note: What the goal adds in words.
    """

    least: bool
    bound: float
    note: str = ""

    def holds(self, value: float) -> bool:
        """Whether a value meets it."""
        return value >= self.bound if self.least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.least else '≤'} {self.bound:g}{self.note}"


def write_page(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Write the page from the results."""
    page.write_text(rendered(latest(results.read_text().splitlines())), encoding="utf-8")


def latest(lines: Sequence[str]) -> list[dict[str, Any]]:
    """Return the last entry of each section, in the order in which sections first came."""
    entries: dict[str, dict[str, Any]] = {}
    for line in lines:
        entry = json.loads(line)
        entries[entry["section"]] = entry
    return list(entries.values())


def rendered(entries: Sequence[dict[str, Any]]) -> str:
    """Return the page: figures with a goal first, then all figures of each section."""
    lines = [HEAD, "## Figures with a goal", ""]
    lines += [
        "| what | measured | goal | met | section | on |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for entry in entries:
        for name, value in flat(entry["figures"]):
            found = goal_of(name)
            if found:
                row = (_GOAL.sub("", name), shown(value), str(found), answer(value, found),
                       f"[{entry['section']}](#{entry['section']})", entry["at"][:10])  # fmt: skip
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    for entry in entries:
        lines += ["", *_section(entry)]
    return "\n".join(lines) + "\n"


def _section(entry: dict[str, Any]) -> Iterator[str]:
    yield f"## {entry['section']}"
    yield ""
    command = f"python -m benchmarks {entry['section']}"
    yield f"`{command}`, {entry['at'][:16].replace('T', ' ')} UTC, {entry['machine']}."
    yield ""
    yield "| figure | value |"
    yield "| --- | --- |"
    for name, value in flat(entry["figures"]):
        yield f"| {_GOAL.sub('', name)} | {shown(value)} |".replace("\n", " ")


def flat(figures: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Return every figure with its name, those of a group under `group: name`; empty groups left out."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}: ")
        else:
            yield before + name, value


def goal_of(name: str) -> Goal | None:
    """Return the goal that a figure's name states, if it does."""
    found = _GOAL.search(name)
    if found is None:
        return None
    return Goal(least=found[1] == "at least", bound=float(found[2]), note=found[3])


def answer(value: Any, goal: Goal) -> str:
    """Return whether a figure meets its goal; one with an interval does where the whole interval does.

    A text without an interval is answered by all numbers before its first `n=`.
    """
    if isinstance(value, (int, float)):
        return "yes" if goal.holds(value) else "no"
    text = str(value)
    if "not enough data" in text:
        return "not enough data"
    if ends := _INTERVAL.search(text):
        holds = [goal.holds(float(end)) for end in ends.groups()]
        return "yes" if all(holds) else "not shown" if any(holds) else "no"
    holds = [goal.holds(float(number)) for number in _NUMBER.findall(text.partition("n=")[0])]
    if not holds:
        return "not enough data"
    return "yes" if all(holds) else "in part" if any(holds) else "no"


def shown(value: Any) -> str:
    """Return a figure as people read it."""
    if isinstance(value, list):
        return ", ".join(shown(one) for one in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("|", "\\|")


if __name__ == "__main__":
    write_page()
