"""Derived tables are read only here, and what they hold is checked against what their analysis declares."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from memstudy import files
from memstudy.derived import loadable
from memstudy.derived.columns import UNKNOWN, Columns
from memstudy.report.frames import Setting, groups, merged, suffixed
from memstudy.store.store import Selection


def read(path: Path) -> pd.DataFrame:
    """A derived table with its types; empty if it has not been made.

    A MemstudyError if a column is missing, a value in it is of another kind, or a row is there twice.
    """
    command, kind = declared(path.stem.partition("-")[0])
    cure = f"remove it; 'memstudy {command}' makes it anew"
    if not path.is_file():
        return pd.DataFrame()
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(kind.text.split(), str), low_memory=False)
    except (OSError, ValueError, OverflowError) as error:
        raise files.damaged(path, error, cure) from error
    for column in f"{kind.text} {kind.whole} {kind.numbers} {kind.gaps}".split():
        if column not in table:
            raise files.damaged(path, f"it has no column {column}", cure)
        if not _fits(table[column], kind):
            raise files.damaged(path, f"its column {column} has values that it cannot have", cure)
    if kind.key and (why := _odd(table, kind)):
        raise files.damaged(path, why, cure)
    return table


def each_group(selection: Selection, table: str) -> Iterator[tuple[Setting, pd.DataFrame, str]]:
    """Each group of comparable runs that has rows in a derived table, a file's name.

    Its setting; these rows, with `seed`, `seeds` and `label` of their runs (see `frames.groups`); and what names
    of its tables and figures end in.
    """
    found = read(selection.path / table)
    for (setting, labels), suffix in suffixed(groups(selection.runs)):
        if len(rows := merged(found, labels)):
            yield setting, rows, suffix


@cache
def declared(name: str) -> tuple[str, Columns]:
    """The command that writes a table of this name, and its columns; other packages' analyses come last."""
    for command, kind in loadable().items():
        if name in kind.columns:
            return command, kind.columns[name]
    return "study", UNKNOWN


def _odd(table: pd.DataFrame, kind: Columns) -> str | None:
    """What is wrong with the rows, each of which may be right; None if nothing is."""
    key = [*kind.text.split(), *kind.key.split()]
    if table.duplicated(key).any():
        return "it has rows twice"
    if kind.every:
        values = table.groupby([name for name in key if name != kind.every], dropna=False)[kind.every].nunique()
        if (values < table[kind.every].nunique()).any():
            return "rows are missing"
    return None


def _fits(column: pd.Series, kind: Columns) -> bool:
    name = str(column.name)
    if name in kind.text.split():
        return bool(column.notna().all())
    if name in kind.numbers.split():
        return _is_numeric(column) and bool((column.abs() <= kind.size)[np.isfinite(column)].all())
    there = column.dropna() if name in kind.gaps.split() else column
    if not _is_numeric(there):
        return name in kind.gaps.split() and bool(column.isna().all())
    return bool(((there % 1 == 0) & there.between(kind.low, kind.high)).all())


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
