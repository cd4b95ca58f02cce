"""What was measured of engines, kept beside the features that they compute."""

import hashlib
import json
from pathlib import Path

from affinage.errors import RunError
from affinage.records.engine import EngineTrial
from affinage.records.plain import from_plain, to_plain
from affinage.store.files import write_json

FORMAT = 1


class EngineTrials:
    """Trials of engines by machine, versions and backbone.

    They are kept with the data set, because how many predictions an engine changes depends on the images.

    Args:
        root: Folder of all caches of the data set's features; this one stands in it.
        facts: Everything that a measurement depends on: another value is another measurement.
    """

    def __init__(self, root: Path, facts: dict[str, str]) -> None:
        text = json.dumps({"format": FORMAT, **facts}, sort_keys=True)
        self.facts = facts
        self.path = root / "engines" / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"

    def load(self) -> tuple[EngineTrial, ...]:
        """Return what was measured; nothing where it was not, or where the file is damaged."""
        try:
            plain = json.loads(self.path.read_text(encoding="utf-8"))
            return tuple(from_plain(EngineTrial, trial) for trial in plain["trials"])
        except (OSError, ValueError, KeyError, TypeError, RunError):
            return ()

    def save(self, trials: tuple[EngineTrial, ...]) -> None:
        """Keep what was measured."""
        write_json(
            self.path, {"facts": self.facts, "trials": [to_plain(trial) for trial in trials]}
        )
