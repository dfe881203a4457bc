"""How derived tables are read: only here, and checked against the columns that their analysis declares."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from memstudy import files, spreadsheet
from memstudy.derived import loadable
from memstudy.derived.columns import UNKNOWN, Columns
from memstudy.report.frames import Setting, comparable_runs, merged
from memstudy.store.pack import compressed, content
from memstudy.store.store import Selection

MOST_COLUMNS = 1000
"""Columns of a derived table; ours have 22 at most."""


def read(path: Path) -> pd.DataFrame:
    """A derived table, maybe packed, its columns of the declared types; empty if it has not been made.

    A MemstudyError if a column is missing or has a value of another kind, or if a row is there twice.
    """
    command, columns = declared(path.stem.partition("-")[0])
    cure = f"remove it; 'memstudy {command}' makes it anew"
    if not is_there(path):
        return pd.DataFrame()
    try:
        rows = content(path, cure)
        _check(rows)
        table = pd.read_csv(io.BytesIO(rows), dtype=dict.fromkeys(columns.text.split(), str), low_memory=False)
        table = spreadsheet.read_back(table)
    except (OSError, ValueError, OverflowError) as error:
        raise files.damaged(path, error, cure) from error
    for column in f"{columns.text} {columns.whole} {columns.numbers} {columns.gaps}".split():
        if column not in table:
            raise files.damaged(path, f"it has no column {column}", cure)
        if not _fits(table[column], columns):
            raise files.damaged(path, f"its column {column} has values that it cannot have", cure)
    if columns.key and (why := _odd(table, columns)):
        raise files.damaged(path, why, cure)
    return table


def _check(rows: bytes) -> None:
    """A ValueError for what pandas would not read as it is.

    It takes a minute for a million columns, far more than any table has; and before version 3.1 text ends for it
    at a NUL, so that two names would be one.
    """
    if b"\0" in rows:
        raise ValueError("it holds a byte that is no text")
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(rows), "utf-8", newline=""))
    try:  # more in the second line are taken for names of rows
        widest = max(map(len, itertools.islice(lines, 2)), default=0)
    except csv.Error as error:
        raise ValueError(error) from error
    if widest > MOST_COLUMNS:
        raise ValueError(f"it has {widest:,} columns")


def is_there(path: Path) -> bool:
    """Whether a derived table has been made, or is packed in its place."""
    return files.is_there(path) or files.is_there(compressed(path))


def each_group(selection: Selection, table: str) -> Iterator[tuple[Setting, pd.DataFrame, str]]:
    """Each group of comparable runs that has rows in a derived table (the name of its file).

    A group is its setting; these rows, with `seed`, `seeds`, `label` and `against` of their runs (see
    `frames.comparable_runs`); and the suffix of the names of its tables and figures.
    """
    measured = read(selection.path / table)
    for setting, members in comparable_runs(selection):
        if len(rows := merged(measured, members)):
            yield setting, rows, setting.suffix


@cache
def declared(name: str) -> tuple[str, Columns]:
    """The command that writes a table of this name, and its columns; other packages' analyses come last."""
    for command, kind in loadable().items():
        if name in kind.columns:
            return command, kind.columns[name]
    return "study", UNKNOWN


def _odd(table: pd.DataFrame, columns: Columns) -> str | None:
    """What is wrong with the rows as a whole (rows twice, or missing); None if nothing is."""
    key = [*columns.text.split(), *columns.key.split()]
    if table.duplicated(key).any():
        return "it has rows twice"
    if every := columns.every:
        values = table.groupby([name for name in key if name != every], dropna=False)[every].nunique()
        if (values < table[every].nunique()).any():
            return "rows are missing"
    return None


def _fits(column: pd.Series, columns: Columns) -> bool:
    name = str(column.name)
    if name in columns.text.split():
        return bool(column.notna().all())
    if name in columns.numbers.split():
        return _is_numeric(column) and bool((column.abs() <= columns.size)[np.isfinite(column)].all())
    present = column.dropna() if name in columns.gaps.split() else column
    if not _is_numeric(present):
        return name in columns.gaps.split() and bool(column.isna().all())
    return bool(((present % 1 == 0) & present.between(columns.low, columns.high)).all())


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
