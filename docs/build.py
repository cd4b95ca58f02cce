"""Write docs/settings.md from the recipe: `python -m docs.build`, or `make docs`."""

from pathlib import Path

from affinage.records.recipe import Recipe
from affinage.records.settings_table import settings_table

SETTINGS = Path(__file__).parent / "settings.md"

_INTRODUCTION = """\
# Settings

Every setting of a recipe, with its default and the values that it takes. `affinage train --settings`
prints the same list. This page is written by `make docs` from `src/affinage/records/recipe.py` and
`src/affinage/records/settings/`; do not edit it by hand.

Give settings in a YAML file (`--recipe FILE`), one by one (`--set optimizer.lr=3e-4`), or by the flags
of [`affinage train`](commands/train.md). A flag wins over `--set`, `--set` wins over the file. The run
keeps the resolved recipe as `recipe.yaml`; given again with `--recipe` it makes the same run.
"""

_TOP = "These stand at the top of the recipe, outside any section."


def settings_page() -> str:
    """Return docs/settings.md as it should be."""
    sections: dict[str, list[tuple[str, str, str, str]]] = {}
    for row in settings_table():
        section = row[0].partition(".")[0] if "." in row[0] else ""
        sections.setdefault(section, []).append(row)
    parts = [_INTRODUCTION]
    for section, rows in sections.items():
        title = f"`{section}`" if section else "Top level"
        parts.append(f"## {title}\n\n{_meaning(section)}\n\n{_table(rows)}\n")
    return "\n".join(parts)


def _meaning(section: str) -> str:
    if not section:
        return _TOP
    annotation = Recipe.model_fields[section].annotation
    return (annotation.__doc__ or "").strip() if annotation is not None else ""


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    lines = ["| setting | default | values | meaning |", "| --- | --- | --- | --- |"]
    for name, default, kind, meaning in rows:
        cells = (f"`{name}`", f"`{default}`", _cell(kind), _cell(meaning))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def main() -> None:
    """Write the page."""
    SETTINGS.write_text(settings_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
