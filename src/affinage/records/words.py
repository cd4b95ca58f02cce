"""Numbers as people read them, for every room that puts a sentence together."""


def in_percent(share: float | None, digits: int = 0) -> str:
    """Return a share in 0..1 as percent, such as `17 %`; `—` where there is none."""
    return "—" if share is None else f"{100 * share:.{digits}f} %"
