"""LOCO-Reg's table: accuracy by η and λ, with stars where it differs from η = 1 at the same λ.

Stars are a two-sided t-test of the test accuracies over seeds against the runs with η = γ = 1, equal in all else
(see `report.differences`): * p < .05, ** p < .01, *** p < .001. Unlike other tables' they are not adjusted for the
number of tests (ours: the paper names neither its test nor an adjustment); the CSV has Holm's p-values, too.

The published accuracy and stars stand beside a row of the same data set, kind of network, η and λ; as the paper's
optimizer, epochs and number of runs are not known, they are context and no target.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pandas as pd

from memstudy.analysis.significance import stars
from memstudy.papers.loco_reg import LocoRegTable
from memstudy.recipe import Recipe, RegularizerSpec
from memstudy.regularizers import BARE, label
from memstudy.report import published
from memstudy.report.arithmetic import mean_cell
from memstudy.report.cells import frame, mean, noted, number, span
from memstudy.report.differences import STARS_NOTE, compared, untested_notes, used_tests
from memstudy.report.frames import circumstances, editions, evaluated, is_trained, seeds, shared
from memstudy.report.origin import of_metrics
from memstudy.report.table import HIGH, Table
from memstudy.store import RunDirectory
from memstudy.store.store import Selection

LOCO, REFERENCE = "loco", "eta 1.0, gamma 1.0"
WORD_COLUMNS = ("data set", "network")
FAMILIES = {"vgg": "vgg", "resnet": "resnet", "mobilenet": "mobilenet"}
"""The paper's names of networks, by how ours begin."""


def tables(selection: Selection) -> list[Table]:
    """The table of all runs with LOCO-Reg; none if their η and λ never differ, and there is nothing to compare."""
    by = ["setting", "dataset", "network", "besides", "method", "lambda"]
    finished = _finished(selection)
    marks = editions(finished)
    rows = pd.DataFrame([_row(run, marks[run.name]) for run in finished])
    if rows.empty or len(rows[["eta", "lambda"]].drop_duplicates()) < 2:
        return []
    rows = rows.drop_duplicates([*by, "seeds"], ignore_index=True)  # the same training, with other epochs kept
    values = compared(
        rows.assign(against=REFERENCE), by, "accuracy", "method", "epoch", adjusted=False,
        read=partial(of_metrics, column="test_accuracy", how="× 100"),
    )  # fmt: skip
    values = rows[["method", "eta", "gamma"]].drop_duplicates().merge(values, on="method")
    values = _with_published(values.drop(columns="method")).sort_values(
        ["dataset", "network", "setting", "eta", "gamma", "lambda"], ignore_index=True
    )
    notes = (
        "Test accuracy after the last epoch, %: mean ± standard deviation over n seeds.",
        *_stars(values),
        "In parentheses, where there is one, LOCO-Reg's own mean accuracy and stars for that kind of network and "
        "data set; its optimizer, epochs and number of runs are not known, so it is context and no target.",
    )
    title, shown = "LOCO-Reg: accuracy by η and λ", values.drop(columns=["setting", "architecture"])
    cells = _cells(values)
    better = {heading: HIGH for heading in map(str, cells) if heading.startswith("λ = ")}
    among = WORD_COLUMNS
    return [Table(LocoRegTable.name, title, notes, cells, shown, WORD_COLUMNS, better=better, among=among)]


def why_none(selection: Selection) -> str:
    """Why there is no table of this selection."""
    if all(run.recipe.options(LOCO) is None for run in selection.runs):
        return "none of these runs uses LOCO-Reg"
    if not _finished(selection):
        return "no run with LOCO-Reg is finished"
    return "all runs with LOCO-Reg have the same η and λ, so there is nothing to compare"


def _finished(selection: Selection) -> list[RunDirectory]:
    """The runs with LOCO-Reg that are trained to their end: a mean is over equally many epochs."""
    return [run for run in selection.runs if run.recipe.options(LOCO) is not None and is_trained(run)]


def _row(run: RunDirectory, mark: str) -> dict[str, object]:
    options, metrics = run.recipe.options(LOCO) or {}, evaluated(run.metrics())
    return {
        "run": run.name,
        "setting": f"{_setting(run.recipe)}-{circumstances(run)}",
        "besides": f"{_besides(run.recipe)}{mark}",
        "dataset": run.recipe.dataset,
        "network": run.recipe.network,
        "lambda": options["weight"],
        "eta": options["eta"],
        "gamma": options["gamma"],
        "method": f"eta {options['eta']}, gamma {options['gamma']}",
        "seeds": seeds(run.recipe),
        "epoch": metrics["epoch"].iloc[-1],
        "accuracy": 100 * metrics["test_accuracy"].iloc[-1],
    }


def _setting(recipe: Recipe) -> str:
    """An identity of what runs must share to be compared: all but seeds, η, γ and λ."""
    others = [r if r.name != LOCO else RegularizerSpec(LOCO) for r in recipe.regularizers]
    mean_one = (recipe.options(LOCO) or {}).get("mean_one")
    return f"{replace(shared(recipe), regularizers=tuple(others)).id}-{mean_one}"


def _besides(recipe: Recipe) -> str:
    """What else the runs of a row have, in words: other regularizers, and the option mean_one."""
    others = label(r for r in recipe.regularizers if r.name != LOCO)
    mean_one = (recipe.options(LOCO) or {}).get("mean_one")
    return (f", {others}" if others != BARE else "") + (", mean r 1" if mean_one else "")


def _stars(values: pd.DataFrame) -> tuple[str, ...]:
    """Notes: what stars mean, if anything was tested, and how many seeds a test would take where none was made."""
    not_tested = untested_notes(values, adjusted=False)
    if values["p"].isna().all():
        return not_tested
    return (
        f"Stars: two-sided t-test ({used_tests(values)}) against η = 1 at the same λ; {STARS_NOTE}, not adjusted "
        "for the number of tests, as the paper names no adjustment. The CSV has the differences, their 95 % "
        f"intervals, and p-values adjusted by Holm's method for {values['p'].count()} tests.",
        *not_tested,
    )


def _with_published(values: pd.DataFrame) -> pd.DataFrame:
    paper = published.table("loco_reg").rename(columns={"accuracy": "published", "stars": "published_stars"})
    paper = paper.assign(published=100 * paper["published"]).drop(columns="gamma")
    family = values["network"].map(lambda name: next((f for f in FAMILIES if str(name).startswith(f)), ""))
    return values.assign(architecture=family).merge(
        paper, on=["dataset", "architecture", "eta", "lambda"], how="left"
    )


def _cells(values: pd.DataFrame) -> pd.DataFrame:
    """As the paper lays it out: η down, λ across; published numbers in parentheses."""
    rows = []
    for _, group in values.groupby(["dataset", "network", "setting", "eta", "gamma"], sort=False):
        first = group.iloc[0]
        words = {"data set": first["dataset"], "network": f"{first['network']}{first['besides']}"}
        numbers = {"η": f"{first['eta']:g}", "γ": f"{first['gamma']:g}", "n": span(group["n"])}
        rows.append(words | numbers | {f"λ = {row['lambda']:g}": _cell(row) for _, row in group.iterrows()})
    columns = [f"λ = {value:g}" for value in sorted(set(values["lambda"]))]
    return frame(rows)[[*WORD_COLUMNS, "η", "γ", "n", *columns]]


def _cell(row: pd.Series) -> str:
    ours = mean_cell(mean(row["mean"], row["sd"], 2) + stars(row["p"]), dict(row), 2)
    if pd.isna(row["published"]):
        return ours
    place = {name: row[name] for name in ("dataset", "architecture", "eta", "lambda")}
    cited = published.cited("loco_reg", place, "accuracy")
    return noted(ours, number(row["published"], ".2f") + "*" * int(row["published_stars"]), cited)
