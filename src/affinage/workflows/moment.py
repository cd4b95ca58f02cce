"""The time, as every log writes it."""

import datetime


def now() -> str:
    """Return the time, UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
