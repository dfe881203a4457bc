"""Tables of the ranking of all methods under label noise: the ranking, and what was measured at each rate."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from memstudy.analysis.significance import stars
from memstudy.derived.ranking import Ranking
from memstudy.derived.ranking.methods import (
    COMPARED,
    LEAST_SETS,
    QUANTITIES,
    Group,
    each_ranking,
    most_sets,
    of_measure,
)
from memstudy.errors import quoted
from memstudy.report.arithmetic import average, difference_cell, mean_cell, missing, of_bootstrap
from memstudy.report.cells import DASH, frame, interval, mean, starred
from memstudy.report.differences import COLUMNS, STARS_NOTE, compared, star_notes, untested_notes
from memstudy.report.origin import BEHIND, Cell, Origin, Row, Step
from memstudy.report.table import HIGH, LOW, Table
from memstudy.store.store import Selection

BETTER = {"final": HIGH, "best": HIGH, "memorized": LOW, "area": HIGH}
"""Which of QUANTITIES are better high or low; the others are neither."""


def tables(selection: Selection) -> list[Table]:
    """For every group the ranking, then a table for each rate, with methods in the ranking's order."""
    made = []
    for group, suffix in each_ranking(selection):
        made.append(_ranking(group, suffix))
        made += [_rate(group, corruption, suffix) for corruption in group.corruptions]
    return made


def why_none(selection: Selection) -> str:
    """Why there is no table of this selection."""
    return (
        f"it takes {LEAST_SETS} sets of regularizers, trained to the end with all else equal, and these runs have "
        f"{most_sets(selection.runs)}"
    )


def _ranking(group: Group, suffix: str) -> Table:
    table = group.ranking
    cells = pd.DataFrame(
        {
            "place": [str(place + 1) for place in range(len(table))],
            "method": table["method"],
            "n": table["n"].astype(str),
            "mean rank": [_rank(group, row) for row in table.to_dict("records")],
            "accuracy, %": [_accuracy(row) for row in table.to_dict("records")],
        }
        | {
            name: [_difference(row, quantity) for row in table.to_dict("records")]
            for quantity, name in group.headings.items()
        },
        dtype=object,
    )
    title = f"Methods under label noise: {group.title}"
    cells = cells.drop(columns=[name for name in group.headings.values() if (cells[name] == DASH).all()])
    better = {"mean rank": LOW, "accuracy, %": HIGH} | dict.fromkeys(group.headings.values(), HIGH)
    return Table(
        f"{Ranking.name}{suffix}", title, _notes(group), cells, table, words=("place", "method"), better=better
    )


def _interval(row: Mapping[Hashable, Any], quantity: str, sign: str = "+") -> str:
    """`+1.2 [+0.3, +2.1]*`, stars by the adjusted p-value."""
    text = interval(row[quantity], row[f"{quantity}_low"], row[f"{quantity}_high"], 1, sign)
    return text + stars(row.get(f"{quantity}_p_holm", 1))


def _accuracy(row: Row) -> str:
    text = mean(row["accuracy"], row["accuracy_sd"], 1)
    return mean_cell(
        text, {"mean": row["accuracy"], "sd": row["accuracy_sd"], BEHIND: row[f"accuracy_{BEHIND}"]}, 1
    )


def _difference(row: Row, quantity: str) -> str:
    names = {name: f"{quantity}_{name}" for name in COLUMNS} | {"difference": quantity}
    return difference_cell(_interval(row, quantity), row, 1, f"{quantity}_{BEHIND}", names)


def _rank(group: Group, row: Row) -> str:
    """A mean rank, with the ranks that it is of."""
    text = _interval(row, "rank", "")
    if missing(row["rank"]):
        return text
    method = str(row["method"])
    return Cell.made(
        text,
        Origin(
            lambda: [member for _, member in group.ranked_runs(method)],
            lambda: _ranked(group, method, row),
            {name: row[name] for name in ("rank", "rank_low", "rank_high", "rank_n")},
            digits=1,
        ),
    )


def _ranked(group: Group, method: str, row: Row) -> list[Step]:
    """A method's rank at each seed and corruption, the mean of each seed, and that over seeds."""
    steps: list[Step] = []
    of_seeds: dict[str, list[Step]] = {}
    for (seeds, corruption), member in group.ranked_runs(method):
        others = group.shared.xs(seeds, level="seeds")[corruption]
        expression = f"rank({member.value!r}, [{', '.join(map(repr, others.tolist()))}])"
        how = f"seeds {seeds}, {corruption}: among {len(others)} methods, 1 the best; equal ones share their mean"
        step = Step(f"rank_{len(steps) + 1}", expression, float(others.rank(ascending=False)[method]), how)
        steps.append(step)
        of_seeds.setdefault(seeds, []).append(step)
    means = []
    for number, (seeds, ranks) in enumerate(of_seeds.items(), 1):
        terms = average([(step.name, step.value) for step in ranks])
        means.append(Step(f"seed_{number}", terms, float(group.ranks[method][seeds]), f"seeds {seeds}"))
    over_seeds = average([(step.name, step.value) for step in means])
    interval_steps = of_bootstrap([step.value for step in means], row["rank_low"], row["rank_high"])
    return [*steps, *means, Step("mean", over_seeds, row["rank"]), *interval_steps]


def _notes(group: Group) -> tuple[str, ...]:
    table = group.ranking
    few = " (of three seeds or fewer, their range)" if table["rank_n"].max() <= 3 else ""
    gain = f"Gain: difference to {group.reference} at the same rates, in percentage points. "
    gain *= bool(group.reference)
    notes = [
        f"Test accuracy after the last epoch, mean over {', '.join(group.ranked)}, ± standard deviation over n "
        f"seeds. {gain}Rank: among all methods at one rate and seed, 1 the best. Brackets: 95 %, over seeds: by "
        f"t, and of the rank by bootstrap{few}."
    ]
    if table["synergy"].notna().any():
        notes.append(
            "Synergy: a pair's accuracy minus that of the better of its two methods alone, better in the mean "
            "over the same seeds."
        )
    tested = {quantity: table[table[f"{quantity}_p"].notna()] for quantity in COMPARED}
    counts = [
        f"{len(rows)} in {quoted(group.headings[quantity])}" for quantity, rows in tested.items() if len(rows)
    ]
    if counts:
        tests = sorted({test for quantity, rows in tested.items() for test in rows[f"{quantity}_test"]})
        notes.append(
            f"Stars: {STARS_NOTE}, t-tests ({' or '.join(tests)}), adjusted by Holm's method for "
            f"the number of tests in a column: {', '.join(counts)}."
        )
    return (*notes, *untested_notes(_differences(table)), *_left_out(group))


def _differences(table: pd.DataFrame) -> pd.DataFrame:
    """The differences of all columns of COMPARED below each other, with the columns of `differences`."""
    parts = [table.rename(columns={quantity: "difference"} | {f"{quantity}_{name}": name for name in COLUMNS})
             for quantity in COMPARED]  # fmt: skip
    return pd.concat([part[COLUMNS] for part in parts], ignore_index=True)


def _rate(group: Group, corruption: str, suffix: str) -> Table:
    rows = group.runs[group.runs["corruption"] == corruption]
    measures = [name for name in QUANTITIES if name in rows and rows[name].notna().any()]
    by = ["method", "measure"]
    ids = ["run", "epoch", "method", "seeds"]
    long = rows.melt(ids, measures, var_name="measure").assign(against=group.reference)
    order = pd.MultiIndex.from_product([group.ranking["method"], measures], names=by)
    values = compared(long, by, method="method", read=of_measure).set_index(by).reindex(order).dropna(subset=["n"])
    values = values.reset_index().astype({"n": int})
    cells = []
    for method, part in values.groupby("method", sort=False):
        numbers = {QUANTITIES[row["measure"]][0]: _cell(row) for row in part.to_dict("records")}
        cells.append({"method": str(method), "n": str(part["n"].max())} | numbers)
    flat = " Landscape cv: of pixels' importance, 0 is flat." if "flatness" in measures else ""
    notes = (
        "After the last epoch, mean ± standard deviation over n seeds, in the ranking's order. Best epoch: the "
        "highest test accuracy of any epoch, chosen on the test set, so an upper bound. Memorized: of the "
        f"corrupted samples. L_r: mean square of the trunk's output in training.{flat}",
        *star_notes(values, group.reference),
        *group.notes,
        *_left_out(group),
    )
    name = re.sub(r"[^\w.]+", "_", f"{Ranking.name}_{corruption}").strip("_")
    title = f"{corruption} corruption: {group.title}"
    better = {QUANTITIES[measure][0]: direction for measure, direction in BETTER.items()}
    return Table(f"{name}{suffix}", title, notes, frame(cells), values, words=("method",), better=better)


def _cell(row: Mapping[Hashable, Any]) -> str:
    return starred(row, QUANTITIES[str(row["measure"])][1])


def _left_out(group: Group) -> list[str]:
    return [f"Not finished, left out: {group.unfinished} runs."] if group.unfinished else []
