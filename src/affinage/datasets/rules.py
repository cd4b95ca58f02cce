"""Rules: `column=value` conditions that name rows of a manifest."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import polars as pl

from affinage.datasets.places import escape
from affinage.errors import DataError

HIDDEN = frozenset({"key", "image", "status", "reason", "bytes", "modified"})
"""Columns of the manifest's own that no rule speaks of: they change, or have a way of their own."""

_WRITTEN = re.compile(r"\s*(?P<column>[^=!]+?)\s*(?P<sign>!=|=)(?P<value>.*)", re.DOTALL)
_LOOKED_AT = 5000  # Values that the nearest name is sought among, the most frequent first.


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One `column=value` or `column!=value`.

    Attributes:
        column: Name of a column; compared without regard to case.
        value: The whole value. `*` stands for any characters and `?` for one; empty for no value.
        equal: False for `!=`.
    """

    column: str
    value: str
    equal: bool = True

    def __str__(self) -> str:
        return f"{self.column}{'=' if self.equal else '!='}{self.value}"

    @property
    def pattern(self) -> str | None:
        """The value as an anchored regular expression; None where it has no wildcard."""
        if not {"*", "?"} & set(self.value):
            return None
        wild = {"*": ".*", "?": "."}
        return "(?s)^" + "".join(wild.get(c) or re.escape(c) for c in self.value) + "$"


def parse_rule(texts: Iterable[str]) -> tuple[Condition, ...]:
    """Return the conditions of a rule as written.

    Raises:
        DataError: If one is not `column=value` or `column!=value`.
    """
    return tuple(_condition(escape(text)) for text in texts)


def _condition(text: str) -> Condition:
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise DataError(
            f"'{text}' is not column=value.",
            remedy="Write --where domain=example.org, or domain!=example.org, or 'domain=*.org'.",
        )
    return Condition(
        column=found["column"], value=found["value"].strip(), equal=found["sign"] == "="
    )


def meets(table: pl.DataFrame, rule: Sequence[Condition]) -> pl.Expr:
    """Return the expression that is true of the rows that a rule names.

    Several values of one column are alternatives; different columns, and all `!=`, hold at once. A
    column that the table lacks has no value anywhere.
    """
    names = {name.lower(): name for name in table.columns}
    wanted: dict[str, pl.Expr] = {}
    met = pl.lit(value=True)
    for condition in rule:
        one = _met(condition, names)
        if condition.equal:
            column = condition.column.lower()
            wanted[column] = wanted[column] | one if column in wanted else one
        else:
            met &= ~one
    for alternatives in wanted.values():
        met &= alternatives
    return met


def _met(condition: Condition, names: dict[str, str]) -> pl.Expr:
    name = names.get(condition.column.lower())
    values = pl.lit("") if name is None else pl.col(name).cast(pl.String).fill_null("")
    if condition.pattern is None:
        return values.str.strip_chars() == condition.value
    return values.str.contains(condition.pattern)


def check_rule(table: pl.DataFrame, rule: Sequence[Condition]) -> tuple[Condition, ...]:
    """Return the rule with the columns' own names, after making sure that it names some row.

    Raises:
        DataError: If a column or a value is unknown, with the nearest; or no row meets all of it.
    """
    own = tuple(replace(one, column=_column(table, one)) for one in rule)
    for condition in own:  # Also for !=: a value that is nowhere would name every row by mistake.
        if not _any(table, [replace(condition, equal=True)]):
            raise _unknown_value(table, condition)
    if not _any(table, own):
        raise DataError(
            f"No row meets all of {', '.join(map(str, own))}.",
            remedy="Give fewer conditions; several values of one column are alternatives.",
        )
    return own


def _any(table: pl.DataFrame, rule: Sequence[Condition]) -> bool:
    return bool(table.select(meets(table, rule).any()).item())


def _column(table: pl.DataFrame, condition: Condition) -> str:
    names = [name for name in table.columns if name not in HIDDEN]
    asked = condition.column.strip().lower()
    for name in names:
        if name.lower() == asked:
            return name
    near = nearest(asked, [name.lower() for name in names])
    listed = ", ".join(f"'{name}'" for name in names)
    raise DataError(
        f"There is no column '{condition.column}' to choose by; there are {listed}.",
        remedy=f"Use --where {near}={condition.value}" if near else "Name one of these.",
    )


def _unknown_value(table: pl.DataFrame, condition: Condition) -> DataError:
    frequent = (
        table.select(pl.col(condition.column).cast(pl.String).alias("value"))
        .drop_nulls()
        .group_by("value")
        .agg(pl.len().alias("n"))
        .sort("n", "value", descending=[True, False])
        .head(_LOOKED_AT)
    )
    values = frequent["value"].to_list()
    near = nearest(condition.value.replace("*", ""), values)
    some = ", ".join(f"'{value}'" for value in values[:5])
    sign = "like" if condition.pattern else "with"
    return DataError(
        f"No row has a {condition.column} {sign} '{condition.value}'"
        f" (there are {some or 'no values'}{' and others' if len(values) > 5 else ''}).",
        remedy=f"Do you mean {condition.column}={near}?" if near else "Check the value.",
    )


def nearest(asked: str, names: Sequence[str]) -> str | None:
    """Return the name that is most like what was asked for, whatever the case; None for none."""
    plain = {name.casefold(): name for name in reversed(names)}
    if asked.casefold() in plain:
        return plain[asked.casefold()]
    near = difflib.get_close_matches(asked.casefold(), list(plain), n=1, cutoff=0.5)
    return plain[near[0]] if near else None
