"""Drift while serving: every full window is judged in a thread of its own, one at a time."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from affinage.errors import AffinageError
from affinage.monitoring.accuracy import estimate_accuracy
from affinage.monitoring.baselines import Compared, compared_with
from affinage.monitoring.drift import alarming, differences
from affinage.monitoring.reading import given, right_on, seen_by_log
from affinage.monitoring.telling import UNKNOWABLE
from affinage.monitoring.unlike import loneliness, share_unlike
from affinage.records.bundle import Baseline, Bundle
from affinage.records.served import Served
from affinage.serving.counters import Counters
from affinage.store.bundle import BundleFolder

_FORMAT = 1

SHARE = 0.01
"""Of one processor that judging may cost, on average; windows that come faster are passed over."""


class Watched:
    """Collects what was answered and judges each full window against the bundle's baseline.

    Args:
        bundle: Folder of the bundle.
        window: Images of a window.
        rate: Share of windows without shift that may raise an alarm.
        counters: Told of every window.
    """

    def __init__(self, bundle: Path, *, window: int, rate: float, counters: Counters) -> None:
        self._path, self._window, self._rate, self._counters = bundle, window, rate, counters
        self._lock = threading.Lock()
        self._gathered: list[Served] = []
        self._number, self._judging, self._rest_until = 0, False, 0.0
        self._last: dict[str, Any] = {
            "format": _FORMAT,
            "windows": 0,
            "window": window,
            "alarm": None,
        }
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="affinage-drift")
        self._known: tuple[str, Bundle, Baseline, Compared] | None = None

    def take(self, served: Sequence[Served]) -> None:
        """Take what was answered; a window that is full is judged aside."""
        with self._lock:
            if self._gathered and served and served[-1].bundle != self._gathered[-1].bundle:
                self._gathered.clear()  # Another model: what the one before saw is not its window.
            self._gathered.extend(served)
            if len(self._gathered) < self._window:
                return
            full, self._gathered = self._gathered[: self._window], self._gathered[self._window :]
            if self._judging or time.monotonic() < self._rest_until:
                return  # Windows come faster than judging may cost: this one is passed over.
            self._judging = True
            self._number += 1
            number = self._number
        self._pool.submit(self._judge, full, number)

    def last(self) -> dict[str, Any]:
        """Return what the last window showed."""
        with self._lock:
            return dict(self._last, gathered=len(self._gathered))

    def _judge(self, served: list[Served], number: int) -> None:
        begun = time.thread_time()
        try:
            # An image that is sent again and again is one image: else it alone would be a shift.
            found = self._found(list({one.image: one for one in served}.values()), number)
            alarm = found["alarm"]
            self._counters.windows.labels("alarm" if alarm else "quiet").inc()
            self._counters.drift.set(found["p"])
            accuracy = found["accuracy_estimate"]
            self._counters.accuracy.set(float("nan") if accuracy is None else accuracy)
        except AffinageError as error:
            found = {"error": error.problem, "alarm": None}
            self._counters.windows.labels("failed").inc()
        finally:
            with self._lock:
                self._judging = False
                self._rest_until = time.monotonic() + (time.thread_time() - begun) / SHARE
        with self._lock:
            self._last = {"format": _FORMAT, "windows": number, "window": self._window, **found}

    def _found(self, served: list[Served], number: int) -> dict[str, Any]:
        _, record, baseline, compared = self._baseline(served[-1].bundle)
        seen = seen_by_log(served, exclusive=record.reading.task == "classify")
        found = differences(compared, seen, seed=number)
        loud = alarming(found, self._rate)
        accuracy = None
        if record.reading.task == "classify" and seen.probabilities is not None:
            validation = baseline.validation
            estimate = estimate_accuracy(
                given(record.reading, validation.outputs),
                right_on(record.reading, validation),
                given(record.reading, seen.probabilities),
            ).estimate
            known = compared.inputs.features
            assert known is not None
            assert seen.features is not None
            unlike = share_unlike(loneliness(known, seen.features)).value or 0.0
            accuracy = estimate.value if unlike <= UNKNOWABLE else None
        return {
            "until": served[-1].at,
            "alarm": bool(loud),
            "p": found[0].p,
            "false_alarm_rate": self._rate,
            "differs_in": [one.name for one in loud],
            "accuracy_estimate": accuracy,
            "mean_confidence": float(np.mean([one.outputs.max() for one in served])),
        }

    def _baseline(self, identity: str) -> tuple[str, Bundle, Baseline, Compared]:
        if self._known is None or self._known[0] != identity:
            folder = BundleFolder(self._path)
            baseline = folder.read_baseline()
            record = folder.read(verify=False)
            exclusive = record.reading.task == "classify"
            self._known = identity, record, baseline, compared_with(baseline, exclusive=exclusive)
        return self._known
