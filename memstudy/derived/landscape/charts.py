"""Charts of importance landscapes: how they look, how flat they become, and accuracy under noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import altair as alt
import numpy as np
import pandas as pd

from memstudy.derived.kept import INITIAL
from memstudy.derived.landscape import FLATNESS, MAPS, NOISE, Landscape
from memstudy.derived.landscape.figures import (
    FLAT,
    LEFT_OUT,
    NOISES,
    OVER_TRAINING,
    UNDER_NOISE,
    flatness,
    pixel_means,
    under_noise,
)
from memstudy.derived.landscape.tables import AFTER, PANELS, panels
from memstudy.derived.reading import read
from memstudy.report.cells import span
from memstudy.report.chart import Chart
from memstudy.report.charting.choices import Choice, told
from memstudy.report.charting.data import of_runs, title_of
from memstudy.report.charting.lines import Quantity, over_runs
from memstudy.report.charting.maps import pixels, ramp_colors
from memstudy.report.color_scales import round_scale
from memstudy.report.frames import Groups, Setting, comparable_runs, methods_of
from memstudy.report.marks import Mark, marks
from memstudy.report.panels import over_seeds
from memstudy.store.store import Selection

IMPORTANCE = Quantity("importance", "importance, mean 1", ".3~g")
STRENGTH = Quantity("strength", "strength of the noise: σ, or the share of pixels", ".3~g")
ACCURACY = Quantity("accuracy", "accuracy, %", ".2f")


def charts(selection: Selection) -> Iterator[Chart]:
    """Landscapes of each setting; flatness and accuracy under noise of all together."""
    maps, flat, noise = (read(selection.path / name) for name in (MAPS, FLATNESS, NOISE))
    groups = comparable_runs(selection)
    of_methods = marks(methods_of(groups))
    for setting, members in groups:
        if len(rows := panels(maps, members)):
            yield _maps(setting, rows)
    if len(rows := of_runs(flat, groups)) and (rows["epoch"] != INITIAL).any():
        yield from _flatness(rows, groups, of_methods)
    if len(rows := of_runs(noise, groups)):
        yield _noise(under_noise(rows), groups, of_methods)


def _maps(setting: Setting, rows: pd.DataFrame) -> Chart:
    """Before training, as predicted, and after it, of a method that a list chooses."""
    means = pixel_means(rows)
    labels = list(dict.fromkeys(means["label"]))
    names = [panel for panel in PANELS.values() if panel in set(means["panel"])]
    by_map = {
        key: part.pivot(index="row", columns="column", values="importance").to_numpy()
        for key, part in means.groupby(["label", "panel"], sort=False)
    }
    blank = np.full(next(iter(by_map.values())).shape, np.nan)
    grids = [by_map.get((label, panel), blank) for label in labels for panel in names]
    method = Choice("label", "method", labels)
    when = Choice("panel", "landscape", names, names.index(AFTER) if AFTER in names else 0)
    most = round_scale([0, means["importance"].max()])[-1]
    scale = alt.Scale(type="sqrt", domain=[0, most], range=ramp_colors())
    n = span(rows.groupby(["label", "panel"])["run"].nunique())
    caption = (
        f"Importance of pixels, in units of its mean; means over n = {n} networks, colors by its square root, on "
        f"one scale for all that the lists have. {setting.title}."
    )
    drawn = pixels(grids, [method, when], IMPORTANCE, scale)
    return Chart(f"{Landscape.name}{setting.suffix}", "Importance landscapes", caption, drawn)


def _setting(groups: Groups) -> Choice:
    return Choice("setting", "runs", [setting.words for setting, _ in groups])


def _flatness(rows: pd.DataFrame, groups: Groups, of_methods: Mapping[str, Mark]) -> Iterator[Chart]:
    """A chart of cv, and one of the largest over the least importance."""
    measured, left_out, theory = flatness(rows.assign(panel=rows["setting"], line=rows["method"]))
    table = measured.rename(columns={"panel": "setting", "line": "method", "x": "epochs"})
    predicted = theory.groupby(["quantity", "line"], sort=False)["y"].mean()
    epochs = Quantity("epochs", "epochs trained", "d")
    for quantity, kind in FLAT.items():
        part = table[table["quantity"] == quantity]
        if part.empty:
            continue
        levels = _alike(predicted[quantity].dropna()) if quantity in predicted else {}
        log = kind.scale == "log"
        flat = Quantity("y", kind.y, ".3g", kind.scale, ticks=".0e" if log else None)
        drawn = over_runs(part, epochs, flat, of_methods, [_setting(groups)], levels=levels)
        dotted = f" Dotted: {'; '.join(levels)}." if levels else ""
        notes = f" {LEFT_OUT}" if left_out else ""
        spread = over_seeds(part, ["setting", "method"])
        caption = f"{OVER_TRAINING}{dotted}{notes} {spread} {title_of(groups)} {told(of_methods)}"
        yield Chart(f"{Landscape.name}_{quantity}", f"Flatness: {kind.y}", caption.strip(), drawn)


def _alike(predicted: pd.Series) -> dict[str, float]:
    """What is predicted before training, with the methods it is of: once where it is equal to a hundredth."""
    found: list[tuple[list[str], float]] = []
    for method, value in predicted.items():
        near = next((names for names, other in found if abs(value - other) <= 0.01 * abs(other)), None)
        if near is None:
            found.append(([str(method)], float(value)))
        else:
            near.append(str(method))
    if len(found) == 1:
        return {"predicted, before training": found[0][1]}
    return {f"predicted, before training: {', '.join(names)}": value for names, value in found}


def _noise(rows: pd.DataFrame, groups: Groups, of_methods: Mapping[str, Mark]) -> Chart:
    """Accuracy against strength, of a kind of noise that a list chooses."""
    noise = Choice("noise", "noise", [kind for kind in NOISES if kind in set(rows["noise"])])
    drawn = over_runs(rows, STRENGTH, ACCURACY, of_methods, [noise, _setting(groups)])
    spread = over_seeds(rows, ["setting", "method"])
    caption = f"{UNDER_NOISE} {spread} {title_of(groups)} {told(of_methods)}".strip()
    return Chart(f"{Landscape.name}_noise", "Accuracy under noise", caption, drawn)
