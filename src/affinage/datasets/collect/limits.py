"""How much is asked at once, how long is waited, and how much is taken."""

from dataclasses import dataclass

from affinage.errors import RecipeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a collection may cost its servers, this machine and its user's patience.

    Attributes:
        concurrency: Requests at once, over all hosts.
        per_host: Requests at once to one host name.
        rate: Requests begun per second to one host name; None for no limit.
        retries: How often a request is tried again after an answer that may pass (429, 5xx) or none.
        max_bytes: Largest file, as sent and as unpacked.
        connect: Seconds that a connection may take.
        read: Seconds between two pieces of an answer.
        total: Seconds that one answer may take in all.
        redirects: How many are followed for one row.
        backoff: Seconds before the first retry, at most; doubled each time.
        longest_wait: Seconds; a host that asks for more with Retry-After is asked again after these.
        patience: Connections of a host that may fail in a row before it rests, then is given up; half of
            these where it never answered.
        rest: Seconds of that rest.
        private: Whether addresses that are not of the public internet may be connected to.
        robots: Whether robots.txt is asked for and obeyed.

    Raises:
        RecipeError: If a number is out of range.
    """

    concurrency: int = 256
    per_host: int = 8
    rate: float | None = None
    retries: int = 3
    max_bytes: int = 32_000_000
    connect: float = 10.0
    read: float = 20.0
    total: float = 60.0
    redirects: int = 5
    backoff: float = 0.3
    longest_wait: float = 120.0
    patience: int = 8
    rest: float = 10.0
    private: bool = False
    robots: bool = False

    def __post_init__(self) -> None:
        whole = {"concurrency": (1, 10_000), "per_host": (1, 1_000), "retries": (0, 20)}
        for name, (low, high) in whole.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise RecipeError(
                    f"{name.replace('_', '-')} is {value}; it can be {low} to {high:,}.",
                    remedy=f"Give --{name.replace('_', '-')} a number in that range.",
                )
        flags = {"connect": "connect-timeout", "read": "read-timeout", "total": "timeout"}
        for name in ("rate", "max_bytes", "connect", "read", "total"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                flag = flags.get(name, name.replace("_", "-"))
                raise RecipeError(
                    f"{flag} is {value}; it must be more than 0.",
                    remedy=f"Give --{flag} a number above 0, or leave it out.",
                )
