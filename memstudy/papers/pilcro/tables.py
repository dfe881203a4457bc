"""PILCRO's tables: flatness, robustness to test noise, and speed, with it and without. Of our reconstruction.

That networks trained with it have flat landscapes, train faster, and are more accurate and more robust to noise is
stated in the paper's abstract. Its formula, protocol and numbers could not be had: what is measured here is ours.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from memstudy.derived.landscape import FLATNESS, NOISE
from memstudy.derived.landscape.tables import AFTER, BEFORE, epochs, flatness_read, noise_read, panels
from memstudy.derived.reading import read
from memstudy.papers.pilcro import PilcroTables
from memstudy.recipe import RegularizerSpec
from memstudy.report.cells import frame, noted, starred
from memstudy.report.differences import COLUMNS, compared, differences, star_notes
from memstudy.report.frames import Setting, comparable_runs, evaluated, evaluation_notes, is_last, merged
from memstudy.report.origin import BEHIND, Read, Row, of_metrics
from memstudy.report.table import HIGH, LOW, Table
from memstudy.store import RunDirectory
from memstudy.store.layout import METRICS
from memstudy.store.store import Selection

PILCRO = "pilcro"
TARGETS = (*range(10, 100, 10), 95, 97, 99)
"""Test accuracies in percent. Speed is the number of epochs until some of them are reached."""
SHOWN_TARGETS = 4
SHOWN_STRENGTHS = {"gaussian": 0.2, "salt-and-pepper": 0.1}
"""The strengths of noise in the table, in the middle of those measured; landscape_noise has all of them."""
REFERENCE = "the same without PILCRO"
OURS = "PILCRO here is our reconstruction: nothing in this table confirms or refutes the paper."


def tables(selection: Selection) -> list[Table]:
    """Both tables of every group of runs with PILCRO among them; the first one once there are landscapes."""
    flat, noise = read(selection.path / FLATNESS), read(selection.path / NOISE)
    made = []
    for setting, members in _with_pilcro(selection):
        if len(rows := panels(flat, members)):
            made.append(_robustness(setting, members, rows, merged(noise, members)))
        made.append(_speed(setting, members))
    return made


def why_none(selection: Selection) -> str:
    """Why there is no table of this selection."""
    return "none of these runs uses PILCRO"


def _with_pilcro(selection: Selection) -> Iterator[tuple[Setting, pd.DataFrame]]:
    """Each group's runs with PILCRO, behind those without it that are equal in all else (`against`)."""
    for setting, members in comparable_runs(selection):
        others = pd.Series([_others(run) for run in setting.runs])
        uses = pd.Series([run.recipe.options(PILCRO) is not None for run in setting.runs])
        rows = []
        for same in dict.fromkeys(others[uses]):
            without, with_it = (members[(others == same) & (uses == use)] for use in (False, True))
            rows.append(pd.concat([without, with_it]).assign(against=next(iter(without["label"]), "")))
        if rows:
            yield setting, pd.concat(rows, ignore_index=True)


def _others(run: RunDirectory) -> tuple[RegularizerSpec, ...]:
    return tuple(r for r in run.recipe.regularizers if r.name != PILCRO)


def _robustness(setting: Setting, members: pd.DataFrame, flat: pd.DataFrame, noise: pd.DataFrame) -> Table:
    """A row a combination of regularizers: flatness before and after training, accuracy without and with noise."""
    parts = {f"cv {panel}": (flat[flat["panel"] == panel], "cv", 3) for panel in (BEFORE, AFTER)}
    metrics = evaluated(setting.metrics()).merge(members[["run", "label", "against"]], on="run")
    last = metrics[is_last(metrics)]
    parts["test accuracy, %"] = last.assign(accuracy=100 * last["test_accuracy"]), "accuracy", 1
    for kind, strength in SHOWN_STRENGTHS.items():
        if len(noise):
            rows = noise[(noise["noise"] == kind) & (noise["strength"] == strength)]
            parts[f"{kind.capitalize()} {strength:g}, %"] = (
                rows.assign(accuracy=100 * rows["accuracy"]),
                "accuracy",
                1,
            )
    long = [rows.assign(quantity=name, value=rows[column]) for name, (rows, column, _) in parts.items()]
    values = compared(pd.concat(long, ignore_index=True), ["label", "quantity"], epoch="epoch", read=_read)
    cells = []
    for name, n in members.groupby("label", sort=False).size().items():
        row = {"regularizers": str(name), "n": str(n)}
        for entry in values[values["label"] == name].to_dict("records"):
            row[entry["quantity"]] = starred(entry, parts[entry["quantity"]][2])
        cells.append(row)
    notes = (
        f"{OURS} Mean ± standard deviation over n seeds.",
        "cv: standard deviation over mean of the importance of pixels, measured on test images; 0 is flat. "
        f"{epochs(flat)}Test accuracy after the last epoch; under noise after the last kept one, on up to "
        f"{flat['images'].max():,} test images. Gaussian: standard deviation in units of pixel intensity; "
        "salt-and-pepper: share of pixels.",
        *star_notes(values, REFERENCE),
    )
    title = f"PILCRO, flatness and robustness: {setting.title}"
    better = {name: HIGH for name, (_, column, _) in parts.items() if column == "accuracy"}
    return Table(
        f"{PilcroTables.name}{setting.suffix}",
        title,
        notes,
        frame(cells),
        values,
        words=("regularizers",),
        better=better,
    )


def _read(row: Row) -> Read:
    """Where a number of the table of robustness stands."""
    if "cv" in str(row["quantity"]):
        return flatness_read(row)
    if pd.notna(row.get("noise")):
        return noise_read(row)
    return of_metrics(row, "test_accuracy", "× 100")


def _first_read(row: Row) -> Read:
    """Where it stands that an accuracy is reached."""
    how = f"1 + the first epoch at which it is at least {row['accuracy'] / 100:g}"
    return Read(f"{row['run']}/{METRICS}", {}, "test_accuracy", how)


def _speed(setting: Setting, members: pd.DataFrame) -> Table:
    """One row a combination of regularizers: epochs until the test accuracy first reaches each target."""
    runs = {run.name: run for run in setting.runs}
    rows = pd.DataFrame(
        row | {"accuracy": target, "epochs": _first(runs[row["run"]], target)}
        for row in members.to_dict("records")
        for target in TARGETS
    )
    reached = rows.dropna(subset="epochs")["accuracy"].unique()
    shown = sorted(reached)[-SHOWN_TARGETS:] or list(TARGETS[:1])
    rows, by = rows[rows["accuracy"].isin(shown)], ["label", "accuracy"]
    reached_epochs = rows.groupby(by, sort=False)["epochs"]
    values = reached_epochs.agg(mean="mean", sd="std", reached="count", n="size").reset_index()
    rows = rows.assign(value=rows["epochs"].fillna(np.inf))  # never is no number to be tested
    tested = differences(rows, by, read=_first_read)
    behind = [replace(one, ours=replace(one.ours, column="epochs")) for one in tested[BEHIND]]
    values = values.join(tested[COLUMNS]).assign(**{BEHIND: pd.Series(behind, index=values.index, dtype=object)})
    cells = [
        {"regularizers": str(name), "n": str(part["n"].iloc[0])}
        | {f"epochs to {row['accuracy']} %": _reached(row) for row in part.to_dict("records")}
        for name, part in values.groupby("label", sort=False)
    ]
    notes = (
        f"{OURS} Epochs trained (1 is the first) until the test accuracy, measured after each epoch, first "
        "reaches a value: mean ± standard deviation over seeds; where not all ever do, over those, and how many.",
        f"Values are the {SHOWN_TARGETS} highest of {', '.join(map(str, TARGETS))} % that any of these runs "
        "reaches. An epoch with PILCRO takes longer: it differentiates twice.",
        *star_notes(values, REFERENCE),
        *evaluation_notes(setting.runs),
    )
    title = f"PILCRO, speed: {setting.title}"
    return Table(
        f"{PilcroTables.name}_speed{setting.suffix}", title, notes, frame(cells), values, words=("regularizers",),
        better={f"epochs to {target} %": LOW for target in shown},
    )  # fmt: skip


def _first(run: RunDirectory, target: int) -> float:
    """Epochs trained until the test accuracy is at least the target, in percent; NaN if it never is."""
    metrics = run.metrics()
    epochs = metrics.loc[
        100 * metrics["test_accuracy"] >= target - 1e-9, "epoch"
    ]  # .97 · 100 is 97, less rounding
    return float(epochs.min()) + 1 if len(epochs) else np.nan


def _reached(row: Mapping[Hashable, Any]) -> str:
    text = starred(row, 1) if row["reached"] else "never"
    return noted(text, f"{row['reached']} of {row['n']}" if row["reached"] < row["n"] else "")
