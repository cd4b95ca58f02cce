"""Looking at results before the last: when, and how much error each look may spend."""

from affinage.errors import RecipeError

ERROR = 0.05
"""Of a whole study: share of studies without any true difference that name one all the same."""

WORTH = 0.75
"""A look before the last is worth its error up to this part of all repeats."""

EARLY = 0.2
"""Part of it that all looks before the last may spend."""


def planned_looks(repeats: int) -> tuple[int, ...]:
    """Return after how many repeats to look: 3, then each time about twice as many, then the last.

    Args:
        repeats: The most, at least 1. Fewer than 3 are looked at once.

    Raises:
        RecipeError: If repeats is below 1.
    """
    if repeats < 1:
        raise RecipeError(
            f"A study needs at least 1 repeat, not {repeats}.", remedy="Set --repeats to 3 or more."
        )
    looks, next_look = [], 3
    while next_look <= WORTH * repeats:
        looks.append(next_look)
        next_look = 2 * next_look - 1
    return (*looks, repeats)


def level_at(look: int, looks: tuple[int, ...], *, comparisons: int = 1) -> float:
    """Return the coverage of the intervals at one look, so that the whole study keeps its error.

    Looks before the last share a fifth of the error, the last has the rest, and comparisons share each
    look's equally. The sum of all bounds the study's error however looks and comparisons depend on
    each other, and images that all looks share make them depend strongly.

    Args:
        look: After so many repeats; one of `looks`, or the last one where a budget ended the study.
        looks: All that were planned.
        comparisons: How many arms are compared.

    Source:
        Bonferroni's inequality (Dunn, Multiple Comparisons among Means, 1961); strict early looks: Haybittle,
        Repeated Assessment of Results in Clinical Trials of Cancer Treatment, 1971.
    """
    early = looks[:-1]
    if look in early:
        return 1 - EARLY * ERROR / len(early) / max(1, comparisons)
    left = ERROR * (1 - EARLY) if early else ERROR
    return 1 - left / max(1, comparisons)
