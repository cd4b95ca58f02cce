"""Words that findings share: counts with their noun, and the first few of many."""

from collections.abc import Iterable, Sequence

from affinage.records.estimate import Estimate

SHOWN = 5


def count(number: int, one: str, many: str | None = None) -> str:
    """Return `1 image` or `1,200 images`."""
    return f"1 {one}" if number == 1 else f"{number:,} {many or one + 's'}"


def first(items: Sequence[str], shown: int = SHOWN) -> str:
    """Return the first few items, and how many more there are."""
    more = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {more:,} more" if more > 0 else "")


def lines(items: Iterable[str], *, shown: int = SHOWN) -> tuple[str, ...]:
    """Return the first few lines of evidence, the last one saying how many more there are."""
    listed = list(items)
    more = len(listed) - shown
    return (*listed[:shown], *([f"and {more:,} more"] if more > 0 else []))


def share_in_words(share: Estimate) -> str:
    """Return an estimated share with its interval: `80 % (61 to 99 %)`."""
    if share.value is None or share.low is None or share.high is None:
        return "nobody knows how many"
    low, high = round(100 * share.low), round(100 * share.high)
    return f"{round(100 * share.value)} % ({low} to {high} %)"
