"""`python -m benchmarks [SECTION...]`: figures to results.jsonl, and docs/benchmarks.md anew.

Sections need the sample image sets (AFFINAGE_SAMPLES, or shared/data beside the checkout), but for
`startup`. AFFINAGE_CUTS sets the number of re-cuts of `quality` (10 by default; an hour each way).
"""

import datetime
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.audit import whole_audit
from benchmarks.collect import collect, collect_memory
from benchmarks.epoch import epoch
from benchmarks.features import features
from benchmarks.finetune_peers import finetune_peers
from benchmarks.frozen_epochs import frozen_epochs
from benchmarks.heads import heads
from benchmarks.labels import label_promises, off_topic, wrong_labels
from benchmarks.ladder import ladder
from benchmarks.loader import loader
from benchmarks.near_duplicates import near_clean, near_duplicates, near_scale
from benchmarks.overhead import overhead
from benchmarks.page import write_page
from benchmarks.quality import quality
from benchmarks.recipes import recipes
from benchmarks.sources import sources
from benchmarks.speed import cache, flowers, plain, scan, startup

SECTIONS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "startup": startup,
    "scan": scan,
    "cache": cache,
    "flowers": flowers,
    "plain": plain,
    "overhead": overhead,
    "features": features,
    "heads": heads,
    "quality": quality,
    "finetune_peers": finetune_peers,
    "recipes": recipes,
    "ladder": ladder,
    "loader": loader,
    "epoch": epoch,
    "frozen_epochs": frozen_epochs,
    "audit": whole_audit,
    "near_duplicates": near_duplicates,
    "near_clean": near_clean,
    "near_scale": near_scale,
    "wrong_labels": wrong_labels,
    "label_promises": label_promises,
    "off_topic": off_topic,
    "sources": sources,
    "collect": collect,
    "collect_memory": collect_memory,
}


def samples() -> Path:
    """Return the folder of sample image sets."""
    beside = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("AFFINAGE_SAMPLES", beside))
    if not folder.is_dir():
        sys.exit("The sample image sets are not here: set AFFINAGE_SAMPLES to their folder.")
    return folder


def main() -> None:
    """Run the sections asked for, or all."""
    asked = sys.argv[1:] or list(SECTIONS)
    unknown = [name for name in asked if name not in SECTIONS]
    if unknown:
        sys.exit(f"No section {', '.join(unknown)}; there are {', '.join(SECTIONS)}.")
    for name in asked:
        print(f"\n## {name}", flush=True)
        figures = SECTIONS[name](samples())
        for key, value in figures.items():
            print(f"{key}: {value}", flush=True)
        line = {
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "section": name,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "figures": figures,
        }
        with (Path(__file__).parent / "results.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        write_page()


if __name__ == "__main__":
    main()
