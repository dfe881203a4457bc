"""Table of linear probes: what layers know, beside what the network's own head makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from memstudy.derived.kept import INITIAL
from memstudy.derived.probe import Probe
from memstudy.derived.probe.measure import PIXELS, PROBES
from memstudy.derived.reading import each_group
from memstudy.report.cells import DASH, frame, noted, starred
from memstudy.report.differences import compared, star_notes
from memstudy.report.frames import Setting, is_last, percent
from memstudy.report.origin import Read, Row
from memstudy.report.table import HIGH, Table
from memstudy.store.store import Selection

UNTRAINED, FIRST, BEST, LAST = "untrained", "first", "best", "last"
QUANTITIES = {"accuracy": "probe", "head_accuracy": "own"}


def tables(selection: Selection) -> list[Table]:
    """One table for each group of comparable runs that was probed."""
    return [
        _table(setting, percent(rows, *QUANTITIES), f"{Probe.name}{suffix}")
        for setting, rows, suffix in each_group(selection, PROBES)
    ]


def _table(setting: Setting, rows: pd.DataFrame, name: str) -> Table:
    before, after = rows[rows["epoch"] == INITIAL], rows[rows["epoch"] != INITIAL]
    pixels = before[before["layer"] == PIXELS].assign(label="none: raw pixels", layer=DASH)
    pixels = pixels.drop_duplicates("accuracy")  # one measurement, repeated for each run on the same images
    parts = {UNTRAINED: before[before["layer"] != PIXELS]} | _chosen(after)
    values_long = [_long(part, at) for at, part in [*parts.items(), (UNTRAINED, pixels)]]
    values = _over_seeds(pd.concat(values_long, ignore_index=True))
    cells = [_cells(str(label), str(layer), part) for (label, layer), part in _ordered(values)]
    epochs = {at: sorted(set(chosen["epoch"])) for at, chosen in _chosen(after).items()}
    notes = (
        "Test accuracy in %, mean ± standard deviation over n seeds. Probe: a logistic regression with true "
        f"labels on the frozen layer, standardized, from {_counts(rows)} training images; own: the network's own "
        "head, which was trained on the noisy labels.",
        f"First and last: the first and the last kept epoch that was probed ({_words(epochs.get(FIRST, []))}; "
        f"{_words(epochs.get(LAST, []))}; counted from 0). Best: the one, in parentheses, with the highest mean "
        "of the probe, chosen on the test images. Untrained: before training.",
        *star_notes(values),
    )
    title = f"Linear probes: {setting.title}"
    shown = frame(cells)
    better = {heading: HIGH for heading in map(str, shown) if heading.startswith(("probe, ", "own, "))}
    return Table(name, title, notes, shown, values, ("regularizers", "layer"), better=better, among=("layer",))


def _chosen(after: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of each run's first and last epoch, and of the epoch that is best for a label and a layer."""
    if after.empty:
        return {}
    by = ["label", "layer"]
    means = after.groupby([*by, "epoch"])["accuracy"].mean().reset_index()
    best = means.loc[means.groupby(by)["accuracy"].idxmax(), [*by, "epoch"]]
    return {
        FIRST: after[after["epoch"] == after.groupby("run")["epoch"].transform("min")],
        BEST: after.merge(best, on=[*by, "epoch"]),
        LAST: after[is_last(after)],
    }


def _long(rows: pd.DataFrame, at: str) -> pd.DataFrame:
    """One row a run, layer and accuracy: `of` the probe, or of the network's own head (not before training)."""
    ids = ["run", "seeds", "label", "against", "layer", "epoch"]
    parts = [rows[ids].assign(at=at, of=name, value=rows[column]) for column, name in QUANTITIES.items()]
    return parts[0] if at == UNTRAINED else pd.concat(parts)


def _over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over runs by label, layer, `at` and `of`, tested against bare.

    `epoch` is the last one, if runs differ. First and last epochs must be equal to be compared, best ones need
    not.
    """
    by = ["label", "layer", "at", "of"]
    rows = rows.assign(equal=rows["epoch"].where(rows["at"] != BEST, 0))
    epochs = rows.groupby(by, sort=False)["epoch"].max().reset_index(drop=True)
    values = compared(rows, by, epoch="equal", read=_read)
    values.insert(len(by), "epoch", epochs)
    return values


def _read(row: Row) -> Read:
    column = {name: column for column, name in QUANTITIES.items()}[row["of"]]
    layer = PIXELS if row["layer"] == DASH else row["layer"]
    return Read(PROBES, {"run": row["run"], "epoch": row["epoch"], "layer": layer}, column, "× 100")


def _ordered(values: pd.DataFrame) -> Any:
    return values.groupby(["label", "layer"], sort=False)


def _cells(label: str, layer: str, part: pd.DataFrame) -> dict[str, str]:
    cells = {"regularizers": label, "layer": layer, "n": str(part["n"].max()), "probe, untrained": ""}
    for row in part.to_dict("records"):
        epoch = str(row["epoch"]) if row["at"] == BEST and row["of"] == "probe" else ""
        cells[f"{row['of']}, {row['at']}"] = noted(starred(row, 1), epoch)
    return cells


def _counts(rows: pd.DataFrame) -> str:
    return _words([f"{count:,}" for count in sorted(set(rows["samples"]))])


def _words(values: Sequence[object]) -> str:
    return " or ".join(map(str, values))
