"""Numbers and names in words: the one place where they get their form."""

import math
import unicodedata

from affinage.records.estimate import Estimate
from affinage.records.finding import Finding

NOTHING = "–"
"""What stands where there is no number to show."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_ISOLATE, _RELEASE = "\u2068", "\u2069"
_FAITHFUL = frozenset({"\n", "\t", _ISOLATE, _RELEASE, "\u200c", "\u200d"})


def decimals(n: int) -> int:
    """Return how many decimals a percentage of `n` images deserves: one image is at least a digit."""
    if n < 100:
        return 0
    return 1 if n < 10_000 else 2


def percent(value: float | None, n: int) -> str:
    """Return a share in 0..1 as percent, such as `98.3 %`, with the digits that `n` images carry.

    What is not all does not read `100 %`, and what is not nothing does not read `0 %`.
    """
    return NOTHING if value is None else f"{_share(value, decimals(n))} %"


def _share(value: float, digits: int) -> str:
    if value in (0.0, 1.0):
        return f"{100 * value:.0f}"
    for places in range(digits, digits + 4):
        text = f"{100 * value:.{places}f}"
        if 0 < float(text) < 100:
            return text
    return f"{100 * value:.{digits}f}"


def interval(estimate: Estimate, *, share: bool = True) -> str:
    """Return the ends of a 95 % interval: `95.8–99.4 %`, or `0.041–0.093` where it is no share."""
    if estimate.low is None or estimate.high is None:
        return NOTHING
    if not share:
        return f"{estimate.low:.3f}–{estimate.high:.3f}"
    digits = decimals(estimate.n)
    ends = [_end(value, digits) for value in (estimate.low, estimate.high)]
    return f"{ends[0]}–{ends[1]} %"


def _end(value: float, digits: int) -> str:
    text = f"{100 * min(1.0, max(0.0, value)):.{digits}f}"
    return {0.0: "0", 100.0: "100"}.get(float(text), text)


def estimated(estimate: Estimate, *, share: bool = True) -> str:
    """Return the value alone: `98.3 %`, or `0.062` where it is no share."""
    if estimate.value is None:
        return NOTHING
    return percent(estimate.value, estimate.n) if share else f"{estimate.value:.3f}"


def number(value: float) -> str:
    """Return a number with three digits that matter: `0.0003`, `1.43 × 10⁻⁶`, `12.5`, `4,021`."""
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "not a number")
    if value == 0:
        return "0"
    size = abs(value)
    if float(value).is_integer() and size < 1e9:
        return f"{int(value):,}".replace("-", "−")
    if 1e-4 <= size < 1e6:
        text = f"{value:.3g}" if size < 1000 else f"{value:,.0f}"
        return (
            f"{float(value):.{_places(value)}f}".replace("-", "−") if "e" in text else _minus(text)
        )
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    return _minus(power if mantissa == "1" else f"{mantissa} × {power}")


def _places(value: float) -> int:
    return max(0, 2 - math.floor(math.log10(abs(value))))


def _minus(text: str) -> str:
    return text.replace("-", "−")


def count(value: int, noun: str = "", plural: str = "") -> str:
    """Return a count with its noun: `1 image`, `1,424 images`, `12 classes`."""
    if not noun:
        return f"{value:,}"
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def millions(value: int) -> str:
    """Return a number of weights: `3.39 million`, `41,000`."""
    return f"{value / 1e6:.3g} million" if value >= 1e6 else f"{value:,}"


def duration(seconds: float) -> str:
    """Return seconds as people say them: `0.4 s`, `42 s`, `1 min 24 s`, `2 h 5 min`."""
    if not math.isfinite(seconds) or seconds < 0:
        return NOTHING
    if seconds < 0.05:
        return "under 0.1 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    large, small, names = (
        (whole // 60, whole % 60, ("min", "s"))
        if whole < 3600
        else (round(whole / 60) // 60, round(whole / 60) % 60, ("h", "min"))
    )
    return f"{large} {names[0]} {small} {names[1]}" if small else f"{large} {names[0]}"


def moment(iso: str) -> str:
    """Return an ISO 8601 UTC time as `2026-03-01 14:05 UTC`; anything else as it is."""
    date, _, time = iso.partition("T")
    return f"{date} {time[:5]} UTC" if len(date) == 10 and len(time) >= 5 else iso


def listed(items: list[str] | tuple[str, ...]) -> str:
    """Return `a`, `a and b` or `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def sentence(text: str) -> str:
    """Return the text with a capital at its start and a full stop at its end."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?…" else ".")


def visible(text: str) -> str:
    """Return text in which nothing hides: control characters and bidi overrides become visible.

    Line ends and tabs stay. Bytes that were no text (lone surrogates) become `�`, so that the result
    can always be written as UTF-8; a terminal gets no escape sequence.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_seen(character) for character in text)


def _seen(character: str) -> str:
    if character in _FAITHFUL:
        return character
    category = unicodedata.category(character)
    if category == "Cs":
        return "�"
    if category in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp"):
        return f"⟨{ord(character):02X}⟩"
    return character


def one_line(text: str) -> str:
    """Return text on one line: a line end shows as `⏎`."""
    return visible(text).replace("\n", "⏎").replace("\t", " ")


def part_title(part: str) -> str:
    """Return the name of a part or a source as it begins a line; no other letter changes."""
    return one_line(part[:1].upper() + part[1:])


def label(text: str) -> str:
    """Return the name of a class or a file for use within a sentence.

    A name that is written from right to left is isolated, so that it doesn't turn its neighbours.
    """
    bare = one_line(text.replace(_ISOLATE, "").replace(_RELEASE, ""))
    if not bare.strip():
        return "(empty)" if not bare else "(blank)"
    if any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in bare):
        return f"{_ISOLATE}{bare}{_RELEASE}"
    return bare


def shortened(text: str, most: int) -> str:
    """Return at most so many characters, the middle left out where there are more."""
    if len(text) <= most:
        return text
    head = (most - 1 + 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def guess(finding: Finding) -> str:
    """Return how often a guess of a finding's kind is right; empty where it is a fact."""
    rate = finding.hit_rate
    if rate is None:
        return ""
    if rate.value is None:
        return "A guess; not enough data to say how often such a guess is right."
    return (
        f"A guess: {estimated(rate)} of such guesses are right"
        f" (95 % interval {interval(rate)}, n = {rate.n:,})."
    )
