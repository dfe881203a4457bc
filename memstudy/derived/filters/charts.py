"""Charts of kernels: where small and large weights are found, and the kernels of the first layer themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt
import numpy as np
import pandas as pd

from memstudy.derived.filters.figures import DISTANCE, Distribution, distributions
from memstudy.derived.filters.measure import first_kernels
from memstudy.report.cells import span
from memstudy.report.chart import Chart
from memstudy.report.charting.choices import Choice, Slider, told
from memstudy.report.charting.lines import Quantity, lines
from memstudy.report.charting.maps import pixels
from memstudy.report.color_scales import ramp
from memstudy.report.description import kept_epochs
from memstudy.report.frames import Setting, comparable_runs
from memstudy.report.marks import marks
from memstudy.store.store import Selection

MAGNITUDE = Quantity("magnitude", "|w|", ".3~g", "log")
RATIO = Quantity("ratio", "relative density", ".3f")
MOST_KERNELS, ACROSS = 32, 8  # kernels of a layer that are shown, and in a row
MOST_EPOCHS = 5
SIGNED = ["#2166AC", "#F7F7F7", "#B2182B"]  # negative, 0, positive


def charts(selection: Selection) -> Iterator[Chart]:
    """Distributions of weights, and kernels where networks are kept."""
    for found in distributions(selection):
        yield _distribution(found)
    for setting, members in comparable_runs(selection):
        yield from _kernels(setting, members, f"filters_kernels{setting.suffix}")


def _distribution(found: Distribution) -> Chart:
    """A line a place, of networks that a list chooses."""
    shown = found.shown
    of_places = marks(dict.fromkeys(shown["place"]))
    if found.by_distance:
        places = {place: float(place.removeprefix(DISTANCE)) for place in of_places}
        of_distances = ramp(places.values())
        of_places = {place: of_distances[distance] for place, distance in places.items()}
    networks = Choice("label", "networks", list(dict.fromkeys(shown["label"])))
    drawn = lines(shown, MAGNITUDE, RATIO, of_places, [networks], by="place", levels={"as anywhere": 1.0})
    caption = f"{found.caption} {told(of_places, 'places')}".strip()
    return Chart(found.name, "Where weights are", caption, drawn)


# The kernels themselves


def _kernels(setting: Setting, members: pd.DataFrame, name: str) -> Iterator[Chart]:
    """The first layer's kernels of the first seed of each method; none where no networks are kept."""
    runs = {run.name: run for run in setting.runs}
    first = members.sort_values("seed", kind="stable").drop_duplicates("label").set_index("label")["run"]
    methods = {label: runs[first[label]] for label in dict.fromkeys(members["label"])}
    kept = [set(kept_epochs(run)) for run in methods.values()]
    epochs = _some(sorted(set.intersection(*kept)))
    found = {
        label: [first_kernels(run.load_checkpoint(epoch)) for epoch in epochs] for label, run in methods.items()
    }
    layers = {label: of_epochs for label, of_epochs in found.items() if of_epochs and None not in of_epochs}
    kinds = {(layer, weights.shape) for each in layers.values() for layer, weights in filter(None, each)}
    if len(kinds) != 1:  # none, or of other networks
        return
    (layer, shape) = kinds.pop()
    method, slider = Choice("label", "method", list(layers)), Slider("epoch", "epoch", epochs)
    grids = [
        _side_by_side(weights.float().numpy()) for each in layers.values() for _, weights in filter(None, each)
    ]
    most = float(np.nanmax(np.abs(grids))) or 1.0
    scale = alt.Scale(domain=[-most, 0, most], range=SIGNED)
    drawn = pixels(grids, [method, slider], Quantity("weight", "weight", ".3~g"), scale)
    count = shape[0] * shape[1]
    which = f"all {count}" if count <= MOST_KERNELS else f"the first {MOST_KERNELS} of {count}"
    few = (
        "" if len(epochs) == len(set.intersection(*kept)) else f" The slider goes over {len(epochs)} kept epochs."
    )
    seeds = span(methods[label].recipe.seed for label in layers)
    caption = (
        f"Kernels of the first convolution ({layer}): {which}, a {shape[2]}×{shape[3]} square each, blue "
        "negative and red positive, on one scale for all. One run of each method (n = 1, "
        f"seed {seeds}).{few} {setting.title}."
    )
    yield Chart(name, "Kernels of the first layer", caption, drawn)


def _some(epochs: Sequence[int]) -> list[int]:
    """At most MOST_EPOCHS of them, evenly, with the first and the last."""
    places = np.linspace(0, len(epochs) - 1, min(MOST_EPOCHS, len(epochs))).round().astype(int)
    return [epochs[place] for place in places]


def _side_by_side(weights: np.ndarray) -> np.ndarray:
    """Kernels (O, I, k, k) in rows of ACROSS, a gap of NaN between them."""
    kernels = weights.reshape(-1, *weights.shape[2:])[:MOST_KERNELS]
    high, wide = (side + 1 for side in kernels.shape[1:])
    grid = np.full((-(-len(kernels) // ACROSS) * high - 1, min(ACROSS, len(kernels)) * wide - 1), np.nan)
    for place, kernel in enumerate(kernels):
        row, column = place // ACROSS * high, place % ACROSS * wide
        grid[row : row + high - 1, column : column + wide - 1] = kernel
    return grid
