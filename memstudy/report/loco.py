"""LOCO-Reg's table: accuracy by η and λ, with stars where it differs from η = 1 at the same λ.

Stars are a two-sided t-test of the test accuracies over seeds against the runs with η = 1, equal in all else:
* p < .05, ** p < .01, *** p < .001, not adjusted for the number of rows (ours: the paper does not name its test).
It is paired over seeds where both have them, as runs of one seed share initial weights, labels and batches;
see `analysis.significance.compare`. The CSV has Holm's adjusted p-values, over all rows of the table, beside them.

The published accuracy and stars stand beside a row of the same data set, kind of network, η and λ; as the paper's
optimizer, epochs and number of runs are not known, they are context and no target.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from memstudy.analysis.significance import PAIRED, WELCH, compare, holm, stars
from memstudy.recipe import Recipe, Regularizer
from memstudy.regularizers import BARE, label
from memstudy.report import published
from memstudy.report.frames import shared
from memstudy.report.sheet import Sheet
from memstudy.store import RunDirectory
from memstudy.store.store import Selection

METHOD = "loco"
NAME = "loco_reg"
FAMILIES = {"vgg": "vgg", "resnet": "resnet", "mobilenet": "mobilenet"}
"""The paper's names of networks, by how ours begin."""


def sheets(selection: Selection) -> list[Sheet]:
    """The table of all runs with LOCO-Reg; none if their η and λ never differ, and there is nothing to compare."""
    rows = pd.DataFrame([_row(run) for run in selection.runs if run.recipe.options(METHOD) is not None])
    if rows.empty or len(rows[["eta", "lambda"]].drop_duplicates()) < 2:
        return []
    by = ["setting", "dataset", "network", "besides", "lambda", "eta", "gamma"]
    found = pd.DataFrame(
        [dict(zip(by, key, strict=True)) | _summary(group, rows) for key, group in rows.groupby(by, sort=False)]
    )
    found.insert(list(found.columns).index("p") + 1, "p_holm", holm(found["p"]))
    found = _with_published(found).sort_values(
        ["dataset", "network", "setting", "eta", "lambda"], ignore_index=True
    )
    notes = (
        "Test accuracy after the last epoch, %: mean ± standard deviation over n seeds. Stars: two-sided t-test "
        f"{_tests(found)}against η = 1 at the same λ; * p < .05, ** .01, *** .001, not adjusted for the number of "
        "rows. With n = 1 there is none.",
        "In parentheses, where there is one, LOCO-Reg's own mean accuracy and stars for that kind of network and "
        "data set; its optimizer, epochs and number of runs are not known, so it is context and no target.",
    )
    return [Sheet(NAME, "LOCO-Reg: accuracy by η and λ", notes, _cells(found), found.drop(columns="setting"), 2)]


def _row(run: RunDirectory) -> dict[str, object]:
    options, metrics = run.recipe.options(METHOD) or {}, run.metrics()
    return {
        "setting": _setting(run.recipe),
        "besides": _besides(run.recipe),
        "dataset": run.recipe.dataset,
        "network": run.recipe.network,
        "lambda": options["weight"],
        "eta": options["eta"],
        "gamma": options["gamma"],
        "seed": (run.recipe.seed, run.recipe.corruption.seed),
        "accuracy": 100 * metrics["test_accuracy"].iloc[-1],
    }


def _setting(recipe: Recipe) -> str:
    """What runs must share to be compared: all but seeds, η, γ and λ."""
    others = [r if r.name != METHOD else Regularizer(METHOD) for r in recipe.regularizers]
    mean_one = (recipe.options(METHOD) or {}).get("mean_one")
    return f"{replace(shared(recipe), regularizers=tuple(others)).id}-{mean_one}"


def _besides(recipe: Recipe) -> str:
    """What the network's name leaves open, in words."""
    others = label(r for r in recipe.regularizers if r.name != METHOD)
    mean_one = (recipe.options(METHOD) or {}).get("mean_one")
    return (f", {others}" if others != BARE else "") + (", mean r 1" if mean_one else "")


def _summary(group: pd.DataFrame, rows: pd.DataFrame) -> dict[str, object]:
    accuracy = group["accuracy"]
    same = (rows["setting"] == group["setting"].iloc[0]) & (rows["lambda"] == group["lambda"].iloc[0])
    plain = rows[same & (rows["eta"] == 1) & (group["eta"].iloc[0] != 1)]
    found = compare(accuracy, plain["accuracy"], seeds_a=list(group["seed"]), seeds_b=list(plain["seed"]))
    return {
        "n": len(accuracy),
        "mean": accuracy.mean(),
        "sd": accuracy.std(),
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "test": found.test,
        "p": found.p,
    }


def _tests(found: pd.DataFrame) -> str:
    """Which tests the table's are, in words."""
    words = {PAIRED: "paired over seeds", WELCH: "Welch's, where too few seeds are shared to pair them"}
    used = [words[test] for test in (PAIRED, WELCH) if test in set(found["test"])]
    return f"({'; '.join(used)}) " if used else ""


def _with_published(found: pd.DataFrame) -> pd.DataFrame:
    paper = published.table("loco_reg").rename(columns={"accuracy": "published", "stars": "published_stars"})
    paper = paper.assign(published=100 * paper["published"]).drop(columns="gamma")
    family = found["network"].map(lambda name: next((f for f in FAMILIES if str(name).startswith(f)), ""))
    joined = found.assign(architecture=family).merge(
        paper, on=["dataset", "architecture", "eta", "lambda"], how="left"
    )
    return joined.drop(columns="architecture")


def _cells(found: pd.DataFrame) -> pd.DataFrame:
    """As the paper lays it out: η down, λ across; published numbers in parentheses."""
    rows = []
    for _, group in found.groupby(["dataset", "network", "setting", "eta", "gamma"], sort=False):
        first = group.iloc[0]
        n = "–".join(map(str, sorted({group["n"].min(), group["n"].max()})))
        words = {"data set": first["dataset"], "network": f"{first['network']}{first['besides']}"}
        numbers = {"η": f"{first['eta']:g}", "γ": f"{first['gamma']:g}", "n": n}
        rows.append(words | numbers | {f"λ = {row['lambda']:g}": _cell(row) for _, row in group.iterrows()})
    columns = [f"λ = {value:g}" for value in sorted(set(found["lambda"]))]
    return pd.DataFrame(rows)[["data set", "network", "η", "γ", "n", *columns]].fillna("–")


def _cell(row: pd.Series) -> str:
    spread = "" if np.isnan(row["sd"]) else f" ± {row['sd']:.2f}"
    paper = "" if np.isnan(row["published"]) else f" ({row['published']:.2f}{'*' * int(row['published_stars'])})"
    return f"{row['mean']:.2f}{spread}{stars(row['p'])}{paper}"
