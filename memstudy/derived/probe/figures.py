"""Figure of linear probes: what layers know, beside what the network's own head makes of it."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from memstudy.derived.kept import INITIAL
from memstudy.derived.probe import Probe
from memstudy.derived.probe.measure import PIXELS, PROBES
from memstudy.derived.probe.tables import QUANTITIES
from memstudy.derived.reading import each_group
from memstudy.report.frames import Setting, evaluated, percent
from memstudy.report.marks import GRAY, Mark, marks
from memstudy.report.panels import label_axes, legend, lines, over_seeds, panels
from memstudy.report.saving import Drawing
from memstudy.store.store import Selection

HEAD_LINE, PIXEL_LINE, UNTRAINED = "network's own head", "probe, raw pixels", ", untrained"
HEAD, PIXEL = Mark(GRAY, "-", ""), Mark("#9A9A9A", (0, (3, 1, 1, 1)), "")


def figures(selection: Selection) -> Iterator[Drawing]:
    """Accuracy over epochs, a panel for each method."""
    for setting, rows, suffix in each_group(selection, PROBES):
        if (rows["epoch"] != INITIAL).any():
            yield _figure(probed(percent(rows, *QUANTITIES), setting), setting, f"{Probe.name}{suffix}")


def probed(rows: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Tidy: run, seed, label, epoch, line, accuracy.

    The head is there at every epoch that was trained, probes at those that were probed, and the controls, which
    have no epoch, at the latter, too.
    """
    columns = ["run", "seed", "label", "epoch", "line", "accuracy"]
    after = rows[rows["epoch"] != INITIAL]
    probed = after[["run", "epoch"]].drop_duplicates()
    own = setting.metrics()[["run", "epoch", "test_accuracy"]]
    own["accuracy"] = 100 * own.pop("test_accuracy")
    heads = rows[["run", "seed", "label"]].drop_duplicates().merge(own, on="run").assign(line=HEAD_LINE)
    heads = evaluated(heads, ["label"], "accuracy")
    before = rows[rows["epoch"] == INITIAL].drop(columns="epoch").merge(probed, on="run")
    names = ("probe, " + before["layer"] + UNTRAINED).where(before["layer"] != PIXELS, PIXEL_LINE)
    probes = after.assign(line="probe, " + after["layer"])
    return pd.concat([probes, heads, before.assign(line=names)], ignore_index=True)[columns]


def _figure(data: pd.DataFrame, setting: Setting, name: str) -> Drawing:
    """Probes are points at their epochs; untrained ones, in the same color, and raw pixels are levels."""
    of_probes, levels = line_marks(list(dict.fromkeys(data["line"])))
    figure, axes = panels(list(dict.fromkeys(data["label"])))
    for label, axis in axes.items():
        rows = data[data["label"] == label]
        lines(axis, rows, "epoch", "accuracy", {HEAD_LINE: HEAD}, by="line")
        lines(axis, rows, "epoch", "accuracy", of_probes, by="line", points=True)
        for line, mark in levels.items():
            if (control := rows.loc[rows["line"] == line, "accuracy"]).notna().any():
                axis.axhline(control.mean(), **mark.of_line, linewidth=1)
    label_axes(figure, axes, "epoch", "test accuracy, %")
    legend(figure, {HEAD_LINE: HEAD} | of_probes | levels, markers=True, columns=3)
    return Drawing(name, figure, data, caption(data, setting))


def caption(data: pd.DataFrame, setting: Setting) -> str:
    """Of what `probed` gives."""
    of_probes, _ = line_marks(list(dict.fromkeys(data["line"])))
    seeds = over_seeds(data[data["line"].isin(list(of_probes))], ["label", "line", "epoch"])
    return (
        "Test accuracy of the network's own head, trained on noisy labels, after every epoch, and of linear "
        f"probes of frozen layers, trained on true labels, at the epochs marked. {seeds} {setting.title}."
    )


def line_marks(names: list[str]) -> tuple[dict[str, Mark], dict[str, Mark]]:
    """Of probes after training, and of those that have no epoch, where there are any."""
    layers = [name for name in names if name not in (HEAD_LINE, PIXEL_LINE) and not name.endswith(UNTRAINED)]
    of_probes = {name: Mark(mark.color, "-", mark.marker) for name, mark in marks(layers).items()}
    levels = {f"{name}{UNTRAINED}": Mark(mark.color, ":", "") for name, mark in of_probes.items()}
    return of_probes, {name: mark for name, mark in (levels | {PIXEL_LINE: PIXEL}).items() if name in names}
