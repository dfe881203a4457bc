"""What is behind cells of the tables of filters: counts pooled over networks, and means of networks' numbers."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from memstudy.derived.filters.measure import RINGS, SIZES, TALLIES
from memstudy.report.arithmetic import average, missing, numbers_of, of_difference, of_mean, values
from memstudy.report.origin import BEHIND, Cell, Members, Origin, Read, Row, Step, derived

SQUARES = "the sum over filters of ((larger - smaller) / 2)²"


def tally_read(row: Row, column: str = "fraction") -> Read:
    """Where a number of a comparison stands."""
    keys = ("network", "epoch", "size", "part", "comparison", "weights", "draw")
    return derived(TALLIES, row, keys, column)


def ring_read(row: Row, column: str = "relative") -> Read:
    """Where a number of the weights at a distance stands."""
    return derived(RINGS, row, ("network", "epoch", "size", "part", "distance"), column)


def pooled(text: str, row: Row) -> Cell:
    """A fraction of all networks' pairs, and the standard deviation over networks.

    row: of the means, with BEHIND.
    """
    behind, numbers = row[BEHIND], {"fraction": row["fraction"], "sd": row["sd"], "networks": row["networks"]}

    def steps() -> list[Step]:
        if missing(row["fraction"]):
            return []
        each = values(behind.ours)
        made = _sums(behind.ours.frame, "larger", "smaller")
        how = "pooled; ties are left out"
        made.append(Step("fraction", "larger / (larger + smaller)", float(row["fraction"]), how))
        if not missing(row["sd"]):
            made += of_mean(each, sum(number for _, number in each) / len(each), row["sd"])
        return [*made, *of_difference(behind, numbers_of(row))]

    return Cell.made(text, Origin(behind.ours.each, steps, numbers, behind.reference, digits=3))


def p_values(text: str, row: Row) -> Cell:
    """Both p-values of a pooled fraction: by filters, and by kernels."""
    behind = row[BEHIND]

    def steps() -> list[Step]:
        made = _sums(behind.ours.frame, "larger", "smaller", "squares")
        if row["squares"]:
            expression = "erfc(abs((larger - smaller) / 2 / sqrt(squares)) / sqrt(2))"
            made.append(Step("p_filters", expression, row["p_filters"], "filters taken for independent"))
        if not missing(row["p_kernels"]):
            expression = "binomial(larger, larger + smaller)"
            made.append(Step("p_kernels", expression, row["p_kernels"], "kernels taken for independent"))
        return made

    return Cell.made(
        text, Origin(behind.ours.each, steps, {name: row[name] for name in ("p_filters", "p_kernels")})
    )


def counts(text: str, row: Row) -> Cell:
    """How many kernels, filters and layers one network has, and how many networks there are."""
    behind, n = row[BEHIND], int(row["networks"])

    def steps() -> list[Step]:
        named = [(name, partial(_total, behind.ours.frame, name)) for name in ("kernels", "filters", "layers")]
        each = [Step(name, f"{total()} // {n}", row[name] // n, "of one network") for name, total in named]
        return [Step("networks", str(n), n), *each]

    return Cell.made(text, Origin(behind.ours.each, steps))


def _sums(frame: pd.DataFrame, *names: str) -> list[Step]:
    how = {"larger": "pairs", "smaller": "pairs", "squares": SQUARES}
    return [Step(name, _total(frame, name), float(frame[name].sum()), how[name]) for name in names]


def _total(frame: pd.DataFrame, name: str) -> str:
    return f"({' + '.join(repr(value) for value in frame[name].tolist())})"


def mean_of(text: str, frame: pd.DataFrame, column: str, scale: float = 1) -> Cell:
    """A mean of networks' numbers, each the sum of a column over a network's rows, maybe scaled; and its sd."""
    networks, several = frame.groupby("network", sort=False), frame["distance"].nunique() > 1
    summed = networks[["seeds", "epoch", "kernel", "distance"]].first().reset_index()
    summed["value"] = scale * networks[column].sum().to_numpy()
    keys = ("network", "epoch", "kernel", *([] if several else ["distance"]))
    how = " ".join(["the sum"] * several + [f"× {scale:g}"] * (scale != 1))
    members = Members(summed, np.arange(len(summed)), "value", lambda row: derived(SIZES, row, keys, column, how))
    mean, sd = summed["value"].mean(), summed["value"].std()
    return Cell.made(
        text, Origin(members.each, lambda: of_mean(values(members), mean, sd), {"mean": mean, "sd": sd})
    )


def magnitude(text: str, frame: pd.DataFrame, overall: float) -> Cell:
    """The mean |w| of all positions: that at each distance, by its positions.

    frame: the rows of the networks, one a distance.
    """
    members = Members(frame, np.arange(len(frame)), "mean_abs", partial(ring_read, column="mean_abs"))

    def steps() -> list[Step]:
        made, weighted = [], []
        for number, (distance, ring) in enumerate(frame.groupby("distance", sort=False), 1):
            of_ring = values(Members(ring, np.arange(len(ring)), "mean_abs"))
            how = f"at distance {distance}, of {len(of_ring)} networks"
            made.append(Step(f"ring_{number}", average(of_ring), float(ring["mean_abs"].mean()), how))
            weighted.append((f"ring_{number}", int(ring["positions"].iloc[0])))
        products = " + ".join(f"{name} * {positions}" for name, positions in weighted)
        positions = " + ".join(str(count) for _, count in weighted)
        return [*made, Step("mean", f"({products}) / ({positions})", float(overall), "by positions")]

    return Cell.made(text, Origin(members.each, steps, {"mean": overall}))
