"""Means over seeds, and how surely methods differ: one way to test, used by every table of several methods.

A method is compared with its reference by `analysis.significance.compare`: by a test paired over seeds, if enough
seeds are shared, else by Welch's test. With fewer than three pairs, or three values a side, nothing is tested and
there is no star; the table says how many seeds it would take. All p-values of a table are adjusted together by
Holm's method, and stars follow the adjusted ones. LOCO-Reg's table, whose stars are not adjusted, says so. All of
this is ours.

A data frame of values has one row a run. It has the columns of `frames.comparable_runs` or `Setting.labels`, of
which `seeds` says which runs make a pair, and a column `against`: the method to compare with, or "" for none.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from memstudy.analysis.significance import (
    LEAST_VALUES,
    MOST_SEEDS,
    PAIRED,
    POWER,
    WELCH,
    compare,
    holm,
    seeds_needed,
    stars,
)
from memstudy.report.origin import BEHIND, Behind, Reader, members

TYPES = {
    "against": "object", "difference": "float", "low": "float", "high": "float", "test": "object", "p": "float",
    "p_holm": "float", "effect": "float", "pairs": "Int64", "seeds_needed": "Int64",
}  # fmt: skip
COLUMNS = list(TYPES)
"""The columns that `differences` adds."""
FEW = "fewer than"  # how a reason of `compare` begins if there are too few seeds
STARS_NOTE = "* p < .05, ** .01, *** .001"
TEST_WORDS = {PAIRED: "paired over seeds", WELCH: "Welch's, where too few seeds are shared to pair them"}


def mean_over_runs(rows: pd.DataFrame, by: Sequence[str], value: str = "value") -> pd.DataFrame:
    """Mean, sd and n of a column over runs, one row for each value of `by`, in the order of the rows.

    n counts the runs that have a number. A mean over an infinite value is NaN.
    """
    means = rows.groupby(list(by), sort=False)[value].agg(mean="mean", sd="std", n="count").reset_index()
    return means.replace([np.inf, -np.inf], np.nan)


def differences(
    rows: pd.DataFrame,
    by: Sequence[str],
    value: str = "value",
    method: str = "label",
    epoch: str = "",
    adjusted: bool = True,
    read: Reader | None = None,
) -> pd.DataFrame:
    """How far each method's mean is from its reference's: one row a value of `by`, ordered as in `mean_over_runs`.

    by: the columns that tell means apart, `method` among them; the reference has equal values in all others.
    epoch: the column of the epoch after which a run was looked at, if runs may differ in it; both sides are then
        compared at the last epoch that they have in common.
    adjusted: whether stars will follow `p_holm`.
    read: where the value of a row stands.

    COLUMNS are `against`; the `difference`, method minus reference, in the unit of the values; its 95 % interval
    `low` to `high`; the `test`, or why there is none; `p`; `p_holm`, adjusted over all rows; the `effect`, the
    size of the difference in standard deviations (see `significance.Comparison`); and the number of `pairs` of
    seeds (0: unpaired). All are missing where there is no reference. A difference without a star has
    `seeds_needed`, an estimate of the seeds that a star would take. It is missing if that is more than MOST_SEEDS,
    or if values do not vary. BEHIND beside them is what each mean and difference is of.
    """
    place = list(by).index(method)
    sides = dict(list(rows.groupby(list(by), sort=False)))
    rows_tested: list[Mapping[str, object]] = []
    other: dict[tuple[Hashable, ...], tuple[Hashable, ...]] = {}  # each mean's reference; itself if it has none
    for key, ours in sides.items():
        reference = (*key[:place], ours["against"].iloc[0], *key[place + 1 :])
        other[key] = reference
        theirs = sides.get(reference)
        tested = {} if theirs is None or reference == key else _tested(ours, theirs, value, epoch)
        rows_tested.append(dict(zip(by, key, strict=True)) | tested)
    table = pd.DataFrame(rows_tested, columns=[*by, *COLUMNS])
    table["p_holm"] = holm(table["p"])
    count = int(table["effect"].notna().sum()) if adjusted else 1
    effects = table["effect"].astype(float).mask(table["p_holm" if adjusted else "p"].map(stars) != "")
    table["seeds_needed"] = [seeds_needed(effect, count) for effect in effects]
    of_means = dict(zip(sides, members(rows, by, value, read), strict=True))
    p_values = table["p"].to_list()
    behind = [
        Behind(ours, None if other[key] == key else of_means.get(other[key]), epoch, p_values)
        for key, ours in of_means.items()
    ]
    return table.astype(TYPES).assign(**{BEHIND: pd.Series(behind, index=table.index, dtype=object)})


def _tested(ours: pd.DataFrame, theirs: pd.DataFrame, value: str, epoch: str) -> dict[str, object]:
    against = ours["against"].iloc[0]
    if epoch:
        last = max({*ours[epoch]} & {*theirs[epoch]}, default=None)
        ours, theirs = ours[ours[epoch] == last], theirs[theirs[epoch] == last]
    ours, theirs = ours.dropna(subset=value), theirs.dropna(subset=value)
    seeds_a, seeds_b = ours["seeds"].tolist(), theirs["seeds"].tolist()
    comparison = compare(ours[value], theirs[value], seeds_a=seeds_a, seeds_b=seeds_b)
    return {
        "against": against,
        "difference": comparison.difference,
        "low": comparison.low,
        "high": comparison.high,
        "test": comparison.test or comparison.reason,
        "p": comparison.p,
        "pairs": comparison.pairs,
        "effect": comparison.effect,
    }


def compared(
    rows: pd.DataFrame,
    by: Sequence[str],
    value: str = "value",
    method: str = "label",
    epoch: str = "",
    adjusted: bool = True,
    read: Reader | None = None,
) -> pd.DataFrame:
    """`mean_over_runs`, and beside it `differences`."""
    tested = differences(rows, by, value, method, epoch, adjusted, read)
    return mean_over_runs(rows, by, value).join(tested[[*COLUMNS, BEHIND]])


def star_notes(values: pd.DataFrame, against: str = "") -> tuple[str, ...]:
    """Notes for a table: what its stars mean, and what was not tested for lack of seeds.

    against: what was compared with, in words; by default the methods of the column `against`.
    """
    against = against or " or ".join(dict.fromkeys(values.loc[values["p"].notna(), "against"]))
    count = int(values["p"].notna().sum())
    if not count:
        return untested_notes(values)
    return (
        f"Stars: two-sided t-test ({used_tests(values)}) against {against}; {STARS_NOTE}, adjusted by Holm's "
        f"method for {count} test{'s' if count > 1 else ''}. {_what_it_takes(values)}"
        "The CSV has the differences, their 95 % intervals and effects.",
        *untested_notes(values),
    )


def _what_it_takes(values: pd.DataFrame) -> str:
    """A sentence on the differences that were tested and have no star: how many seeds would show them."""
    unstarred = values[values["p"].notna() & (values["p_holm"].map(stars) == "")]
    if unstarred.empty:
        return ""
    which = f"half of the {len(unstarred)} without one" if len(unstarred) > 1 else "the one without"
    return (
        "A mean without one may differ all the same: if differences are of the size seen, "
        f"{which} would have one at n = {_seeds_for_half(unstarred)}. "
    )


def _seeds_for_half(values: pd.DataFrame) -> str:
    """The seeds that a star would take for half of some differences, and how to ask a study for them."""
    needed = values["seeds_needed"].astype(float).fillna(np.inf)
    half = np.quantile(needed, 0.5, method="inverted_cdf")
    return f"{half:.0f} seeds (--seeds {half:.0f})" if np.isfinite(half) else f"more than {MOST_SEEDS:,} seeds"


def untested_notes(values: pd.DataFrame, adjusted: bool = True) -> tuple[str, ...]:
    """Notes on what was not tested for lack of seeds, and how many it would take; none if all was tested."""
    few = values[values["test"].fillna("").str.startswith(FEW) & values["difference"].notna()]
    if few.empty:
        return ()
    if values["p"].notna().any():
        return (f"Not tested, as there are fewer than {LEAST_VALUES} seeds: {len(few)} of these differences.",)
    start = f"No stars: with fewer than {LEAST_VALUES} seeds nothing is tested"
    spread = few[few["low"].notna()]
    if spread.empty:
        return (f"{start}, and one seed has no spread by which to estimate how many it would take.",)
    family = " after Holm's adjustment" if adjusted and len(spread) > 1 else ""
    which = f"half of these {len(spread)}" if len(spread) > 1 else "this difference"
    return (
        f"{start}. If differences and spreads are as seen, {which} would have p < .05{family}, with a chance of "
        f"{100 * POWER:.0f} %, at n = {_seeds_for_half(spread)}: a rough estimate, as two seeds say little of the "
        "spread. The CSV has it for each, the differences, and their 95 % intervals.",
    )


def used_tests(values: pd.DataFrame) -> str:
    """The kinds of tests in a table, in words."""
    used = set(values.loc[values["p"].notna(), "test"])
    return "; ".join(words for test, words in TEST_WORDS.items() if test in used)
