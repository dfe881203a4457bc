"""Means over seeds, and how surely methods differ: one way to test, used by every table of several methods.

A method is held against its reference, by `analysis.significance.compare`: paired over the seeds that both have,
where enough are shared, else by Welch's test, with the interval of that test. All p-values of one table are
adjusted together by Holm's method, and stars are by the adjusted ones; LOCO-Reg's table, whose stars are not
adjusted, says so. All of this is ours.

Rows of a table's frame are single runs. They have the columns of `frames.groups` or `Setting.labels`, of which
`seeds` says what makes a pair, and `against`: the method that theirs is compared with, or none ("").
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from memstudy.analysis.significance import PAIRED, WELCH, compare, holm, stars
from memstudy.report.sheet import cell

TYPES = {
    "against": "object", "difference": "float", "low": "float", "high": "float", "test": "object", "p": "float",
    "p_holm": "float", "pairs": "Int64",
}  # fmt: skip
COLUMNS = list(TYPES)
"""Of `differences`."""
LEVELS = "* p < .05, ** .01, *** .001"
WORDS = {PAIRED: "paired over seeds", WELCH: "Welch's, where too few seeds are shared to pair them"}


def summary(rows: pd.DataFrame, by: Sequence[str], value: str = "value") -> pd.DataFrame:
    """Mean, sd and n of a column over runs, one row for each value of `by`, in the order of the rows.

    n counts the runs that have a number. A mean of which one value is infinite is none.
    """
    found = rows.groupby(list(by), sort=False)[value].agg(mean="mean", sd="std", n="count").reset_index()
    return found.replace([np.inf, -np.inf], np.nan)


def differences(
    rows: pd.DataFrame, by: Sequence[str], value: str = "value", method: str = "label", epoch: str = ""
) -> pd.DataFrame:
    """One row for each value of `by`, in the order of `summary`: how far a method's mean is from its reference's.

    by: the columns that tell means apart, `method` among them; the reference has equal values in all others.
    epoch: the column of the epoch after which a run was looked at, where runs may differ in it; sides are then
        compared at the last epoch that both have.

    COLUMNS are `against`, the `difference` (this minus the reference, in the unit of the values), its 95 %
    interval `low` to `high`, the `test`, or why there is none, `p`, `p_holm`, adjusted over all rows, and over
    how many `pairs` of seeds all that is (0: unpaired). All are missing where there is no reference.
    """
    place = list(by).index(method)
    sides = dict(list(rows.groupby(list(by), sort=False)))
    found = []
    for key, ours in sides.items():
        reference = ours["against"].iloc[0]
        theirs = sides.get((*key[:place], reference, *key[place + 1 :]))
        tested = {} if theirs is None or theirs is ours else _tested(ours, theirs, value, epoch)
        found.append(dict(zip(by, key, strict=True)) | tested)
    table = pd.DataFrame(found, columns=[*by, *COLUMNS])
    table["p_holm"] = holm(table["p"])
    return table.astype(TYPES)


def _tested(ours: pd.DataFrame, theirs: pd.DataFrame, value: str, epoch: str) -> dict[str, object]:
    against = ours["against"].iloc[0]
    if epoch:
        last = max({*ours[epoch]} & {*theirs[epoch]}, default=None)
        ours, theirs = ours[ours[epoch] == last], theirs[theirs[epoch] == last]
    ours, theirs = ours.dropna(subset=value), theirs.dropna(subset=value)
    found = compare(ours[value], theirs[value], seeds_a=list(ours["seeds"]), seeds_b=list(theirs["seeds"]))
    return {
        "against": against,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "test": found.test or found.reason,
        "p": found.p,
        "pairs": found.pairs,
    }


def compared(
    rows: pd.DataFrame, by: Sequence[str], value: str = "value", method: str = "label", epoch: str = ""
) -> pd.DataFrame:
    """`summary`, and beside it `differences`."""
    return summary(rows, by, value).join(differences(rows, by, value, method, epoch)[COLUMNS])


def starred(row: Mapping[Hashable, Any], digits: int) -> str:
    """`0.85 ± 0.02*`: mean, spread, and stars by the adjusted p-value."""
    return cell(row["mean"], row["sd"], digits) + stars(row["p_holm"])


def meaning(values: pd.DataFrame, against: str) -> tuple[str, ...]:
    """What the stars of a table mean, in a sentence; none where nothing could be tested."""
    count = int(values["p"].notna().sum())
    if not count:
        return ()
    return (
        f"Stars: two-sided t-test ({tests(values)}) against {against}; {LEVELS}, adjusted by Holm's method "
        f"for {count} test{'s' if count > 1 else ''}. A mean without one may differ all the same. "
        "The CSV has the differences and their 95 % intervals.",
    )


def tests(values: pd.DataFrame) -> str:
    """Which tests a table's are, in words."""
    used = set(values.loc[values["p"].notna(), "test"])
    return "; ".join(words for test, words in WORDS.items() if test in used)
