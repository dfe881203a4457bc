"""Tables of importance landscapes: how flat they are, and accuracy under test noise."""

from __future__ import annotations

import numpy as np
import pandas as pd

from memstudy.derived.kept import INITIAL
from memstudy.derived.landscape import FLATNESS, MEASURED, NOISE, PREDICTED, Landscape
from memstudy.derived.reading import read
from memstudy.report.cells import frame, starred
from memstudy.report.differences import compared, star_notes
from memstudy.report.frames import Setting, after_epochs, comparable_runs, is_last, merged, percent
from memstudy.report.origin import Read, Row, derived
from memstudy.report.table import HIGH, Table
from memstudy.store.store import Selection

BEFORE, THEORY, AFTER = "before training", "before training, predicted", "after training"
PANELS = {(MEASURED, True): BEFORE, (PREDICTED, True): THEORY, (MEASURED, False): AFTER}
"""The landscapes that are shown, by (kind, whether the network is untrained), and their names."""
HEADINGS = {
    (BEFORE, "cv"): "cv before training",
    (THEORY, "cv"): "predicted",
    (THEORY, "correlation"): "correlation",
    (BEFORE, "log_ratio"): "log10 max/min before training",
    (AFTER, "cv"): "cv after training",
    (AFTER, "log_ratio"): "log10 max/min after training",
}


def tables(selection: Selection) -> list[Table]:
    """Flatness, and accuracy under noise, of every group of comparable runs."""
    flat, noise = read(selection.path / FLATNESS), read(selection.path / NOISE)
    made = []
    for setting, members in comparable_runs(selection):
        if len(rows := panels(flat, members)):
            made.append(_flatness(setting, rows))
        if len(rows := merged(noise, members)):
            made.append(_noise(setting, rows))
    return made


def panels(table: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """The rows that are shown, with their `panel`: before training, and at each run's last measured epoch."""
    rows = merged(table, members)
    if rows.empty:
        return rows
    rows = rows[(rows["epoch"] == INITIAL) | is_last(rows)]
    keys = zip(rows["kind"], rows["epoch"] == INITIAL, strict=True)
    rows = rows.assign(panel=[PANELS.get(key, "") for key in keys])
    return rows[rows["panel"] != ""]


def flatness_read(row: Row) -> Read:
    """Where a number of FLATNESS stands."""
    ratio = row["quantity"] == "log_ratio"
    column = "max_over_min" if ratio else "correlation" if row["quantity"] == "correlation" else "cv"
    return derived(FLATNESS, row, ("run", "epoch", "kind"), column, "log10 of" if ratio else "")


def noise_read(row: Row) -> Read:
    """Where an accuracy of NOISE stands."""
    return derived(NOISE, row, ("run", "epoch", "noise", "strength"), "accuracy", "× 100")


def epochs(rows: pd.DataFrame) -> str:
    """A sentence on the epochs after which trained networks are looked at; empty if there are none."""
    return after_epochs(rows.loc[rows["epoch"] != INITIAL, "epoch"], "After training: the last kept epoch")


def _flatness(setting: Setting, rows: pd.DataFrame) -> Table:
    rows = rows.assign(log_ratio=np.log10(rows["max_over_min"]))  # the ratio spans decades
    parts = [
        rows[rows["panel"] == panel].assign(quantity=quantity, value=rows[quantity])
        for panel, quantity in HEADINGS
    ]
    values = compared(pd.concat(parts), ["label", "panel", "quantity"], epoch="epoch", read=flatness_read)
    cells = [
        {"regularizers": str(name), "n": str(part["n"].max())}
        | {HEADINGS[row["panel"], row["quantity"]]: starred(row, 2) for row in part.to_dict("records")}
        for name, part in values.groupby("label", sort=False)
    ]
    notes = (
        "cv: standard deviation over mean of a pixel's importance, 0 if all are alike; max/min: the largest over "
        "the least, – where that is 0. Importance: squared gradients of the cross-entropy, summed over channels, "
        f"mean over at most {rows['images'].max():,} test images. Mean ± standard deviation over n seeds.",
        f"{epochs(rows)}Predicted: the cv that counting paths through the architecture gives (ours), and its "
        "landscape's correlation with the measured one, before training.",
        *star_notes(values),
    )
    title = f"Flatness of importance landscapes: {setting.title}"
    return Table(
        f"{Landscape.name}_flatness{setting.suffix}", title, notes, frame(cells), values, words=("regularizers",)
    )


def _noise(setting: Setting, rows: pd.DataFrame) -> Table:
    rows = percent(rows[is_last(rows)], "accuracy")
    again = (rows["strength"] == 0) & rows.duplicated(["run", "strength"], keep="last")
    rows = rows.assign(against=rows["against"].where(~again, ""))  # without noise it is one accuracy, tested once
    values = compared(rows, ["label", "noise", "strength"], "accuracy", epoch="epoch", read=noise_read)
    cells = []
    for name, part in values.groupby("label", sort=False):
        row = {"regularizers": str(name), "n": str(part["n"].max()), "none": ""}
        for entry in part.to_dict("records"):
            heading = f"{entry['noise'].capitalize()} {entry['strength']:g}" if entry["strength"] else "none"
            row[heading] = starred(entry, 1)
        cells.append(row)
    notes = (
        "Accuracy in % on true labels after the last kept epoch, mean ± standard deviation over n seeds, on "
        f"at most {rows['images'].max():,} test images; without noise, the test accuracy on these.",
        "Numbers are the standard deviation in units of pixel intensity (0 to 1, noisy images clipped to that), "
        "and the share of pixels made black or white. The noise is the same for all networks.",
        *star_notes(values),
    )
    title, shown = f"Accuracy under noise on test images: {setting.title}", frame(cells)
    return Table(
        f"{Landscape.name}_noise{setting.suffix}", title, notes, shown, values, words=("regularizers",),
        better=dict.fromkeys(shown.columns[2:], HIGH),
    )  # fmt: skip
