"""Files of labels as arrays by name, whatever their form. Nothing in a file is ever run.

.npz        arrays by name
.npy        one array
.csv .tsv   columns; the first line names them, unless it is numbers like the others
.json       a list; a dictionary of columns, or of labels by file or index; records, as pandas writes them, too
.txt        one label a line, or a file and its label
.pt .pth    what torch.save wrote: any of these as tensors, arrays or lists
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memstudy.data import npy, pickled
from memstudy.errors import quoted

Columns = dict[str, NDArray[Any]]

MOST_COLUMNS = 30_000
"""Of a table: soft labels have one a class, and no set has more."""
NAMELESS = ""
"""The name of the one array in a file that names none."""
NUMBER = re.compile(r"\s*[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?\s*", re.ASCII)
"""Text that is a number."""
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
"""Byte-order marks, and the encodings that they tell."""


def decoded(content: bytes) -> str:
    """The text in a file: UTF-8, or whatever its byte-order mark says. Raises a ValueError for anything else."""
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8")
    text = content.decode(encoding)
    if "\0" in text:
        raise ValueError("it has NUL characters: UTF-16 without a byte-order mark, or no text")
    return text


def column(values: Sequence[Any]) -> NDArray[Any]:
    """A list as an array: numbers as (N,), lists of equally many numbers as (N, A, …), else (N,) objects."""
    if all(type(value) in (int, float) for value in values):
        numbers = np.asarray(values)
        if numbers.dtype.kind in "if":
            return numbers
    elif values and all(isinstance(value, list | tuple | np.ndarray) and len(value) for value in values):
        rows = [column(list(value)) for value in values]
        if len({row.shape for row in rows}) == 1 and all(row.dtype.kind in "if" for row in rows):
            return np.stack(rows)
    objects = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        objects[row] = value.tolist() if isinstance(value, np.ndarray) else value
    return objects


def from_values(value: Any) -> Columns:
    """The columns in plain values: a list, a dictionary, an array, or these in one another.

    Raises a ValueError for a form that has no meaning as labels.
    """
    if isinstance(value, np.ndarray):
        return {NAMELESS: value}
    if isinstance(value, Mapping):
        return _from_mapping({str(key): inner for key, inner in value.items()})
    if isinstance(value, list | tuple):
        return _from_list(list(value))
    raise ValueError(f"it holds {quoted(value)}, which is no list of labels")


def _from_list(values: list[Any]) -> Columns:
    if values and all(isinstance(value, Mapping) for value in values):
        return _from_records(values)
    if _are_pairs(values):
        return {"file": column([name for name, _ in values]), "label": column([label for _, label in values])}
    return {NAMELESS: column(values)}


def _are_pairs(values: Any) -> bool:
    """Whether these are pairs of a file's name and its label."""
    if not isinstance(values, list | tuple) or not values:
        return False
    return all(isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in values)


def _from_records(records: Sequence[Mapping[str, Any]]) -> Columns:
    names = list(records[0])
    if not names:
        raise ValueError("its records are empty")
    for row, record in enumerate(records):
        if list(record) != names and set(record) != set(names):
            raise ValueError(f"record {row} has {quoted(list(record))}, but the first has {quoted(names)}")
    return {str(name): column([record[name] for record in records]) for name in names}


def _from_mapping(values: dict[str, Any]) -> Columns:
    inner = [value for value in values.values() if isinstance(value, Mapping)]
    arrays = {name: value for name, value in values.items() if isinstance(value, list | tuple | np.ndarray)}
    if not values:
        raise ValueError("it is empty")
    if len(inner) == len(values) > 1 and len({tuple(map(str, value)) for value in inner}) == 1:
        return _from_table(values)
    if len(inner) == 1 and not arrays:  # {"labels": {"a.png": 3, ...}}
        return from_values(inner[0])
    if len(arrays) == 1 and _are_pairs(*arrays.values()):  # {"labels": [["a.png", 3], ...]}
        return from_values(*arrays.values())
    if arrays:  # other values are about the whole file
        return {name: value if isinstance(value, np.ndarray) else column(value) for name, value in arrays.items()}
    return _row_keys(list(values)) | {"label": column(list(values.values()))}


def _from_table(values: dict[str, Any]) -> Columns:
    """A dictionary of dictionaries with the same keys.

    These are columns by index, as pandas writes them, or records by file. A table is taken to have fewer columns
    than rows.
    """
    inner_keys = [str(key) for key in next(iter(values.values()))]
    inner = [dict(zip(inner_keys, value.values(), strict=True)) for value in values.values()]
    if len(values) > len(inner_keys):
        return _row_keys(list(values)) | _from_records(inner)
    columns = {name: column(list(rows.values())) for name, rows in zip(values, inner, strict=True)}
    return _row_keys(inner_keys) | columns


def _row_keys(keys: Sequence[str]) -> Columns:
    """The keys of a dictionary as the column `index` if all are numbers of samples, else as the column `file`."""
    if all(key.isdecimal() for key in keys):
        return {"index": column([int(key) for key in keys])}
    return {"file": column(keys)}


# The forms


def _npz(content: bytes) -> Columns:
    if content.startswith(np.lib.format.MAGIC_PREFIX):
        raise ValueError("it holds a single array; name it .npy")
    with npy.opened(io.BytesIO(content)) as archive:
        arrays = {name: npy.array_in(archive, name) for name in npy.names(archive)}
    if not arrays:
        raise ValueError("it holds nothing")
    return arrays if len(arrays) > 1 else {NAMELESS: next(iter(arrays.values()))}


def _npy(content: bytes) -> Columns:
    return {NAMELESS: npy.read(content)}


def _json(content: bytes) -> Columns:
    return from_values(json.loads(decoded(content)))


def _table(content: bytes) -> Columns:
    text = decoded(content)
    first_line = text.split("\n", 1)[0]
    separator = next((mark for mark in ",\t;" if mark in first_line), ",")
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True) if row]
    if not rows:
        raise ValueError("it is empty")
    header = [name.strip() for name in rows[0]]
    if len(header) > MOST_COLUMNS:
        raise ValueError(f"it has {len(header):,} columns")
    if all(NUMBER.fullmatch(name) for name in header) and not _counts_classes(header, rows[1:]):  # no names
        names = [f"column {place + 1}" for place in range(len(header))] if len(header) > 1 else [NAMELESS]
    else:
        names, rows = _distinct(header), rows[1:]
    for place, row in enumerate(rows):
        if len(row) != len(names):
            raise ValueError(f"row {place} has {len(row)} fields, but the first line has {len(names)}")
    return {name: column([row[place] for row in rows]) for place, name in enumerate(names)}


def _counts_classes(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the names of columns are 0, 1, 2, …, over rows of fractions, as soft labels may have them."""
    return list(header) == [str(place) for place in range(len(header))] and any(
        "." in field for row in rows[:1] for field in row
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """Names made distinct as pandas does: a second `label` is `label.1`, an empty name `Unnamed: 0`."""
    distinct: dict[str, None] = {}
    for place, name in enumerate(names):
        stem, count = name or f"Unnamed: {place}", 0
        while (numbered := f"{stem}.{count}" if count else stem) in distinct:
            count += 1
        distinct[numbered] = None
    return [*distinct]


def _txt(content: bytes) -> Columns:
    lines = [line for line in decoded(content).splitlines() if line.strip()]
    pairs = [line.split() for line in lines]
    if pairs and all(len(pair) == 2 and not NUMBER.fullmatch(pair[0]) for pair in pairs):
        return {"file": column([pair[0] for pair in pairs]), "label": column([pair[1] for pair in pairs])}
    if any(NUMBER.fullmatch(pair[0]) for pair in pairs):
        return {NAMELESS: column([word for pair in pairs for word in pair])}
    return {NAMELESS: column([line.strip() for line in lines])}  # names of classes, which may have spaces


def _pt(content: bytes) -> Columns:
    return from_values(pickled.read(content))


READERS: dict[str, Callable[[bytes], Columns]] = {
    ".npz": _npz, ".npy": _npy, ".json": _json, ".csv": _table, ".tsv": _table, ".txt": _txt,
    ".pt": _pt, ".pth": _pt,
}  # fmt: skip
