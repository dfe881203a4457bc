"""Tables on the page: cells that lead to the numbers and the runs behind them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from memstudy.report.cells import interval, leading, number, p_value
from memstudy.report.differences import COLUMNS
from memstudy.report.page.parts import Source
from memstudy.report.page.safety import json_text
from memstudy.report.table import Table

Facts = list[tuple[str, str]]
"""What is told of a cell: terms and texts."""
ALIASES = {"method": "label"}
"""Headings of keys, and the columns of values that have another name for the same."""
NO_NAMES = {*COLUMNS, "mean", "sd", "n", "published"}
"""Columns of values that do not tell what a number is of."""
Row = dict[str, Any]


def element(table: Table, sources: Sequence[Source]) -> Mapping[str, Any]:
    """What the template shows of a table: rows of cells, what is told of each of them, and the formats to copy."""
    told: list[dict[str, Any]] = []
    values = [{str(name): value for name, value in row.items()} for row in table.values.to_dict("records")]
    rows = []
    for place, texts in enumerate(table.rows):
        here = _of_keys(table, texts, values)
        cells = []
        for column, text in enumerate(texts):
            cell: dict[str, Any] = {
                "text": text,
                "key": column < table.keys,
                "word": table.headings[column] in table.words,
                "best": (place, column) in table.best,
            }
            if not (cell["key"] or cell["word"]):
                facts = _facts(_value(table, column, text, here))
                runs = _runs(table, column, texts, sources)
                if facts or runs:
                    cell["told"] = len(told)
                    told.append({"facts": facts, "runs": runs})
            cells.append(cell)
        rows.append(cells)
    return {
        "kind": "table",
        "id": f"table-{table.name}",
        "title": table.title,
        "notes": table.notes,
        "upper": [(name, len(list(same))) for name, same in itertools.groupby(table.upper)],
        "headings": [
            {"text": heading, "word": heading in table.words, "whole": ", ".join(filter(None, (upper, heading)))}
            for upper, heading in zip(table.upper, table.headings, strict=True)
        ],
        "rows": rows,
        "data": json_text({
            "told": told, "name": table.name,
            "formats": {"Markdown": table.markdown(), "LaTeX": table.latex(), "CSV": table.csv()},
        }),
    }  # fmt: skip


def _of_keys(table: Table, texts: Sequence[str], values: Sequence[Row]) -> list[Row]:
    """The values that have all that a row's keys say."""
    keys = list(zip(table.headings, texts, strict=True))[: table.keys]
    return [row for row in values if all(_says(row, heading, text) for heading, text in keys)]


def _says(row: Row, heading: str, text: str) -> bool:
    column = heading if heading in row else ALIASES.get(heading, "")
    return str(row[column]) == text if column in row else text in _names(row)


def _names(row: Row) -> set[str]:
    return {value for name, value in row.items() if isinstance(value, str) and name not in NO_NAMES}


def _value(table: Table, column: int, text: str, values: Sequence[Row]) -> Row:
    """The one row of values that a cell shows; empty if that cannot be told for sure."""
    heads = {table.headings[column], table.upper[column]} - {""}
    shown = leading(text)
    of_cell = [
        row for row in values if heads <= _names(row) and "mean" in row and _shows(shown, row["mean"], text)
    ]
    return of_cell[0] if len(of_cell) == 1 else {}


def _shows(shown: float | None, mean: Any, text: str) -> bool:
    """Whether a number is this mean, rounded as the cell has it."""
    if shown is None or pd.isna(mean):
        return False
    decimals = len(text.split(" ")[0].strip("*").partition(".")[2])
    return abs(shown - float(mean)) <= 0.51 * 10.0**-decimals


def _facts(row: Row) -> Facts:
    """What is known of a mean over seeds, and how it was compared."""
    return [(term, text) for term, text in _each_fact(row) if text] if row else []


def _each_fact(row: Row) -> Iterator[tuple[str, str]]:
    yield "mean", number(row["mean"], ".6g")
    if _has(row, "sd"):
        yield "standard deviation", number(row["sd"], ".4g")
    yield "n, seeds", str(row.get("n", ""))
    if _has(row, "published"):
        yield "published", number(row["published"], "g")
    against = row.get("against")
    if not (_has(row, "difference") and isinstance(against, str) and against):
        return
    yield f"difference to {against}", interval(row["difference"], row["low"], row["high"], 3, "+")
    if not _has(row, "p"):
        yield "test", f"none: {row['test']}"
    else:
        yield "test", f"{row['test']} t-test, two-sided, {row['pairs'] or 'no'} pairs"
        yield "p", p_value(row["p"])
        yield "p, adjusted by Holm", p_value(row["p_holm"])
    if _has(row, "effect"):
        yield "effect, standard deviations", number(row["effect"], ".2f")
    if _has(row, "seeds_needed"):
        yield "seeds that a star would take", number(row["seeds_needed"], ".0f")


def _has(row: Row, name: str) -> bool:
    """Whether a row has a value under a name, which is not missing."""
    return not pd.isna(row.get(name))


def _runs(table: Table, column: int, texts: Sequence[str], sources: Sequence[Source]) -> list[int]:
    """The places of the runs that a cell's row and headings name; all, if they name none."""
    known = {word for source in sources for word in source.words}
    suffix = next((word for word in known if word.startswith("--") and table.name.endswith(word)), "")
    keys = [text for heading, text in zip(table.headings, texts, strict=True) if heading in table.words]
    named = {*keys, table.headings[column], table.upper[column], suffix} & known - {""}
    return [place for place, source in enumerate(sources) if named <= source.words]
