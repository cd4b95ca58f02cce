"""The options `--recipe` and `--set`, the same in every command that takes a recipe."""

from typing import Any

import typer


def recipe_option(about: str = "", *, panel: str | None = None) -> Any:
    """Return the option `--recipe FILE`.

    Args:
        about: What the command does with it, as the beginning of a sentence.
        panel: Title under which the help lists it.
    """
    what = "recipe in YAML, or the name of a shipped one."
    return typer.Option(
        metavar="FILE",
        help=f"{about}: a {what}" if about else f"A {what}",
        rich_help_panel=panel,
        show_default=False,
    )


def set_option(example: str, *, more: str = "", panel: str | None = None) -> Any:
    """Return the option `--set KEY=VALUE`.

    Args:
        example: A setting that this command is about.
        more: A sentence to follow.
        panel: Title under which the help lists it.
    """
    return typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help=f"One setting, such as {example}; may be repeated. {more}".rstrip(),
        rich_help_panel=panel,
        show_default=False,
    )
