"""SVG as text: elements with escaped attributes and content."""

import html

from affinage.reporting.words import shortened, visible

Value = str | float | int | None


def element(name: str, *children: str, **attributes: Value) -> str:
    """Return an element around markup; `_` in an attribute's name means `-`, None leaves it out.

    The attribute `class` is written `css`.
    """
    written = "".join(
        f' {"class" if key == "css" else key.replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(children)
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"


def words(text: str) -> str:
    """Return text as markup."""
    return html.escape(visible(text))


def text(content: str, x: float, y: float, **attributes: Value) -> str:
    """Return a text element; nothing for no text."""
    return element("text", words(content), x=x, y=y, **attributes) if content else ""


def picture(
    *children: str,
    width: float,
    height: float,
    title: str,
    description: str,
    identity: str,
    css: str,
) -> str:
    """Return an SVG picture that a screen reader announces by title and description."""
    return element(
        "svg",
        element("title", words(title), id=f"{identity}-title"),
        element("desc", words(description), id=f"{identity}-desc"),
        *children,
        viewBox=f"0 0 {coordinate(width)} {coordinate(height)}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=f"{identity}-title {identity}-desc",
        css=css,
    )


def coordinate(value: float) -> str:
    """Return a number with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def text_width(content: str, size: float) -> float:
    """Return about how wide a text is in a sans-serif face; wide scripts count double."""
    units = sum(1.0 if ord(character) > 0x2E7F else 0.6 for character in content)
    return units * size


def fitted(content: str, width: float, size: float) -> str:
    """Return the text, its middle left out where it is wider than there is room."""
    if text_width(content, size) <= width:
        return content
    most = len(content)
    while most > 3 and text_width(shortened(content, most), size) > width:
        most -= 1
    return shortened(content, most)


def _value(value: Value) -> str:
    if isinstance(value, float):
        return coordinate(value)
    return html.escape(visible(str(value)))
