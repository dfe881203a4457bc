"""Table and figure of linear probes: what layers know, beside what the network's own head makes of it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from memstudy import files
from memstudy.derived.columns import read
from memstudy.derived.landscape.measure import INITIAL
from memstudy.derived.probe.measure import PIXELS, PROBES
from memstudy.regularizers import BARE
from memstudy.report.cells import DASH, frame, noted, starred
from memstudy.report.differences import compared, meaning
from memstudy.report.frames import Setting, groups, is_last, merged, suffixed
from memstudy.report.lettering import style
from memstudy.report.saving import save
from memstudy.report.table import Table
from memstudy.store.store import Selection

NAME = "probe"
OWN, RAW = "network's own head", "probe, raw pixels"
UNTRAINED, FIRST, BEST, LAST = "untrained", "first", "best", "last"
QUANTITIES = {"accuracy": "probe", "head_accuracy": "own"}
HEIGHT = 2.9  # inches, of one panel


def write(selection: Selection, found: Sequence[Table]) -> list[Path]:
    """Write tables as Markdown, LaTeX and CSV; those of an earlier selection go."""
    folder = selection.path / "tables"
    written = [path for sheet in found for path in sheet.write(folder)]
    _remove(folder, written)
    return written


def sheets(selection: Selection) -> list[Table]:
    """One table for each group of comparable runs that was probed."""
    found = []
    for (setting, rows), suffix in suffixed(_groups(selection)):
        if len(rows):
            found.append(_table(setting, rows, f"{NAME}{suffix}"))
    return found


def draw(selection: Selection) -> list[Path]:
    """Accuracy over epochs, a panel for each combination of regularizers; earlier figures go."""
    folder = selection.path / "figures"
    written: list[Path] = []
    for index, (setting, rows) in enumerate(_groups(selection)):
        if len(rows) and (rows["epoch"] != INITIAL).any():
            data = _lines(rows)
            written += save(folder, f"{NAME}-{index + 1}" if index else NAME, _figure(data, setting), data)
    _remove(folder, written)
    return written


def _groups(selection: Selection) -> list[tuple[Setting, pd.DataFrame]]:
    """Each group of comparable runs with its rows, in percent."""
    table = read(selection.path / PROBES)
    if len(table):
        table[list(QUANTITIES)] *= 100
    return [(setting, merged(table, labels)) for setting, labels in groups(selection.runs)]


def _table(setting: Setting, rows: pd.DataFrame, name: str) -> Table:
    before, after = rows[rows["epoch"] == INITIAL], rows[rows["epoch"] != INITIAL]
    pixels = before[before["layer"] == PIXELS].assign(label="none: raw pixels", layer=DASH)
    pixels = pixels.drop_duplicates("accuracy")  # one measurement, repeated for each run on the same images
    parts = {UNTRAINED: before[before["layer"] != PIXELS]} | _chosen(after)
    long = [_long(part, at) for at, part in [*parts.items(), (UNTRAINED, pixels)]]
    values = _over_seeds(pd.concat(long, ignore_index=True))
    cells = [_cells(str(label), str(layer), part) for (label, layer), part in _ordered(values)]
    epochs = {at: sorted(set(chosen["epoch"])) for at, chosen in _chosen(after).items()}
    notes = (
        "Test accuracy in %, mean ± standard deviation over n seeds. Probe: a logistic regression with true "
        f"labels on the frozen layer, standardized, from {_counts(rows)} training images; own: the network's own "
        "head, which was trained on the noisy labels.",
        f"First and last: the first and the last kept epoch that was probed ({_words(epochs.get(FIRST, []))}; "
        f"{_words(epochs.get(LAST, []))}; counted from 0). Best: the one, in parentheses, with the highest mean "
        "of the probe, chosen on the test images. Untrained: before training.",
        *meaning(values, BARE),
    )
    title = f"Linear probes: {setting.title}"
    return Table(name, title, notes, frame(cells), values, words=("regularizers", "layer"))


def _chosen(after: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of each run's first and last epochs, and of each label's and layer's best one."""
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
    """A row a run, layer and value `of` the probe or its own head, of which there is none before training."""
    ids = ["run", "seeds", "label", "layer", "epoch"]
    parts = [rows[ids].assign(at=at, of=name, value=rows[column]) for column, name in QUANTITIES.items()]
    return parts[0] if at == UNTRAINED else pd.concat(parts)


def _over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """By label, layer, at and of, with the epoch (the last, if runs differ); best epochs need not be equal."""
    by = ["label", "layer", "at", "of"]
    rows = rows.assign(against=BARE, equal=rows["epoch"].where(rows["at"] != BEST, 0))
    epochs = rows.groupby(by, sort=False)["epoch"].max().reset_index(drop=True)
    values = compared(rows, by, epoch="equal")
    values.insert(len(by), "epoch", epochs)
    return values


def _ordered(values: pd.DataFrame) -> Any:
    return values.groupby(["label", "layer"], sort=False)


def _cells(label: str, layer: str, part: pd.DataFrame) -> dict[str, str]:
    found = {"regularizers": label, "layer": layer, "n": str(part["n"].max()), "probe, untrained": ""}
    for row in part.to_dict("records"):
        epoch = str(row["epoch"]) if row["at"] == BEST and row["of"] == "probe" else ""
        found[f"{row['of']}, {row['at']}"] = noted(starred(row, 1), epoch)
    return found


def _counts(rows: pd.DataFrame) -> str:
    return _words([f"{count:,}" for count in sorted(set(rows["samples"]))])


def _words(values: Sequence[object]) -> str:
    return " or ".join(map(str, values))


def _lines(rows: pd.DataFrame) -> pd.DataFrame:
    """Tidy: run, seed, label, epoch, line, accuracy; the controls at every epoch of their runs."""
    columns = ["run", "seed", "label", "epoch", "line", "accuracy"]
    after = rows[rows["epoch"] != INITIAL]
    own = after.drop_duplicates(["run", "epoch"])
    own = own.assign(line=OWN, accuracy=own["head_accuracy"])
    before = rows[rows["epoch"] == INITIAL].drop(columns="epoch").merge(own[["run", "epoch"]], on="run")
    names = ("probe, " + before["layer"] + ", untrained").where(before["layer"] != PIXELS, RAW)
    probes = after.assign(line="probe, " + after["layer"])
    return pd.concat([probes, own, before.assign(line=names)], ignore_index=True)[columns]


def _figure(data: pd.DataFrame, setting: Setting) -> Figure:
    """Probes solid, controls dotted in the same color, the network's own head dashed."""
    colors, layers = sns.color_palette("colorblind"), [line for line in data["line"].unique() if _is_layer(line)]
    palette: dict[str, Any] = {}
    dashes: dict[str, Any] = {}
    for index, line in enumerate(layers):
        palette |= {line: colors[index % len(colors)], f"{line}, untrained": colors[index % len(colors)]}
        dashes |= {line: "", f"{line}, untrained": (1, 1.5)}
    palette |= {OWN: "0.15", RAW: "0.55"}
    dashes |= {OWN: (4, 1.5), RAW: (1, 1.5)}
    order = [line for line in palette if line in set(data["line"])]
    labels = list(dict.fromkeys(data["label"]))
    with style("ticks"):
        grid = sns.relplot(
            data=data, kind="line", x="epoch", y="accuracy", hue="line", hue_order=order, palette=palette,
            style="line", style_order=order, dashes=dashes, errorbar="sd", col="label", col_order=labels,
            col_wrap=min(4, len(labels)), height=HEIGHT, aspect=1.05,
            markers=dict.fromkeys(order, "o") if data["epoch"].nunique() == 1 else None,  # no line is seen there
        )  # fmt: skip
    for label, axis in grid.axes_dict.items():
        axis.set_title(textwrap.fill(str(label), 32))
    if grid.legend is not None:
        grid.legend.set_title(None)
    grid.set_axis_labels("epoch", "test accuracy, %")
    width = max(48, 34 * min(4, len(labels)))
    grid.figure.suptitle(textwrap.fill(setting.title, width), y=1.02, va="bottom", fontsize="medium")
    return grid.figure


def _is_layer(line: str) -> bool:
    return line not in (OWN, RAW) and not line.endswith(", untrained")


def _remove(folder: Path, written: Sequence[Path]) -> None:
    """Remove this module's files that were not written now."""
    files.remove(set(folder.glob(f"{NAME}*")) - set(written))
