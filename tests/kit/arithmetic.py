"""The arithmetic of `memstudy table --explain`, done again from what is printed, by libraries of others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from memstudy.analysis.significance import bootstrap_interval
from memstudy.report import explaining
from memstudy.report.table import Table
from memstudy.store.store import Selection

PLAIN = {"n", "γ", "layers", "filters", "weights", "mean r", "n: networks × kernels"}
"""Headings of columns that count, or tell of the runs; all others are computed or published."""


def rank(x, values):
    """As `origin.NOTATION` has it."""
    return 1 + sum(value > x for value in values) + (sum(value == x for value in values) - 1) / 2


NAMES: dict[str, Any] = {
    "sqrt": math.sqrt, "erfc": math.erfc, "rank": rank, "t": scipy.stats.t, "chi2": scipy.stats.chi2,
    "binomial": lambda k, n: scipy.stats.binomtest(k, n).pvalue, "bootstrap": bootstrap_interval,
    "min": min, "max": max, "abs": abs,
}  # fmt: skip


def again(facts: Mapping[str, Any]) -> dict[str, float]:
    """Every step's value, from its expression and those of the steps before it; all must be the program's."""
    found: dict[str, float] = {}
    for step in facts["arithmetic"]:
        assert step["name"] not in found, facts["cell"]
        value = eval(step["expression"], {"__builtins__": {}}, NAMES | found)
        assert np.isclose(value, step["value"], rtol=1e-9, atol=1e-12), (facts["cell"], step, value)
        found[step["name"]] = value
    return found


def shown(found: Mapping[str, float], digits: int) -> str:
    """What a cell with these steps must begin with, or have after its best value: rounded by Python."""
    name = next(name for name in ("effect", "fraction", "mean", "difference") if name in found)
    sign = "+" if name == "difference" else ""
    text = f"{round(found[name], digits) + 0.0:{sign}.{digits}f}"
    if name in ("fraction", "mean") and "sd" in found:
        return f"{text} ± {found['sd']:.{digits}f}"
    if name == "difference" or (name == "mean" and "rank_1" in found):
        ends = [f"{round(found[end], digits) + 0.0:{sign}.{digits}f}" for end in ("low", "high") if end in found]
        return f"{text} [{', '.join(ends)}]" if ends else text
    return text


def only(values: pd.Series) -> float:
    """The one value of a row that is there once."""
    (value,) = values
    return float(value)


@cache
def _rows(path: Path, names: tuple[str, ...]) -> dict[Any, pd.DataFrame]:
    """The rows of a file by their values of some columns."""
    table = pd.read_csv(path)
    return dict(list(table.groupby(list(names), sort=False))) if names else {(): table}


def read(store: Path, place: Mapping[str, Any]) -> float:
    """A run's value, read by pandas where it is said to stand."""
    row, how = dict(place["row"]), place["how"]
    last = int(row.pop("epoch").split()[-1]) if isinstance(row.get("epoch"), str) else None  # 0 to 9
    rows = _rows(store / place["file"], tuple(row))[tuple(row.values())]
    rows = rows if last is None else rows[rows["epoch"] <= last]
    if "Bernoulli" in how and (rows["protocol"] == "bernoulli").any():
        rows = rows[rows["protocol"] == "bernoulli"]
    values = rows[place["column"]]
    if "at least" in how:
        return 1 + float(rows.loc[values >= float(how.split()[-1]) - 1e-11, "epoch"].min())
    if "by count" in how:  # the number of epochs stands for never
        each = np.repeat(values.where((values < rows["epochs"]) | how.startswith("mean"), math.inf), rows["count"])
        return float(each.mean() if how.startswith("mean") else np.median(each))
    if "of group corrupted" in how:
        return float(100 * values[rows["group"] == "corrupted"].sum() / values.sum())
    if "the last" in how:
        values = values[rows["epoch"] == rows["epoch"].max()]
    number = values.max() if "largest" in how else values.sum() if "the sum" in how else only(values)
    if how.startswith("100 - 100"):
        return float(100 - 100 * number)
    return float(math.log10(number) if "log10" in how else 100 * number if "× 100" in how else number)


def traced(table: Table, selection: Selection) -> int:
    """How many numbers of a table were computed again from the values that are said to be in the runs' files."""
    store, count = selection.path.parent.parent, 0
    names = {run.name for run in selection.runs}
    for place in explaining.places([table]):
        facts = explaining.explained(place, selection, {})
        assert "\n".join(explaining.told(facts)).startswith(f"{place.address} = {place.text}\n")
        found = again(facts)
        if not found:
            heading = table.headings[place.column]
            assert heading in PLAIN or facts["published"] or place.text in ("–", "never"), place.address
            continue
        count += 1
        if facts["digits"] is not None:
            assert shown(found, facts["digits"]) in facts["shown"], (place.address, found)
        for member in (*facts["members"], *facts["reference"]):
            assert member["run"] in names
            assert math.isclose(read(store, member["read"]), member["value"], rel_tol=1e-9), member
        if (n := facts["numbers"].get("n")) is not None and "reached" not in facts["numbers"]:
            assert len({member["run"] for member in facts["members"]}) == len(facts["members"]) == n
    return count
