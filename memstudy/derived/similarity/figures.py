"""Figures of similarity: sequences of canonical coefficients, heat maps epoch × epoch and run × run, convergence.

What they show is in `shown`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from memstudy.derived.reading import read
from memstudy.derived.similarity import MEASURES, Similarity
from memstudy.derived.similarity.digest import ACROSS, by_setting
from memstudy.derived.similarity.maps import between_epochs
from memstudy.derived.similarity.shown import (
    RANDOM_LEVEL,
    REFERENCES,
    SEEDS_LEVEL,
    Sequences,
    capital,
    epoch_pairs,
    levels,
    name_maps,
    run_pairs,
    runs_caption,
    sentence,
    sequences,
    to_last,
    to_last_caption,
)
from memstudy.report.color_scales import ramp, ramp_bar
from memstudy.report.frames import after_epochs, comparable_runs, is_last
from memstudy.report.heat_maps import HeatMap, epoch_maps, named_maps
from memstudy.report.marks import GRAY
from memstudy.report.panels import label_axes, legend, level, lines, over_seeds, panels
from memstudy.report.saving import Drawing
from memstudy.report.views import View, views
from memstudy.store.store import Selection

COLLAPSED = "Hatched: a network that collapsed, which is similar to nothing."
LINES = {SEEDS_LEVEL: "dotted", RANDOM_LEVEL: "dashed"}


def figures(selection: Selection, similarity: Similarity) -> Iterator[Drawing]:
    """Whole sequences of coefficients, and the maps and curves of one measure."""
    groups = comparable_runs(selection)
    coefficients = read(selection.path / similarity.coefficients)
    for title, rows, suffix in by_setting(coefficients, groups):
        for found in sequences(rows, similarity, title):
            yield _coefficients(found, f"{found.name}{similarity.suffix}{suffix}")
    pairs = read(selection.path / similarity.pairs)
    for title, rows, suffix in by_setting(pairs, groups):
        if (drawn := _epochs(rows, similarity, title, suffix)) is not None:
            yield drawn
        of_all = [setting.words for setting, _ in groups] if title == ACROSS else []
        if (drawn := _runs(rows, similarity, title, suffix, of_all)) is not None:
            yield drawn
    if len(pairs):
        for view in views(groups):
            if (drawn := _convergence(pairs, view, similarity)) is not None:
                yield drawn


def _coefficients(found: Sequences, name: str) -> Drawing:
    """One panel a pair of labels that began alike, one line an epoch, the uniform-random control dashed."""
    means, noise = found.means, found.noise
    figure, axes = panels(list(dict.fromkeys(means["panel"])))
    epochs = ramp(means["epoch"])
    for panel, axis in axes.items():
        lines(axis, means[means["panel"] == panel], "index", "coefficient", epochs, by="epoch")
        axis.plot(noise.index, noise, color=GRAY, linestyle="--", linewidth=1)
        axis.set_ylim(0, 1.02)
    label_axes(figure, axes, "index", "CCA coefficient")
    ramp_bar(figure, epochs, "epoch")
    return Drawing(name, figure, means, found.caption)


def _epochs(rows: pd.DataFrame, similarity: Similarity, title: str, suffix: str) -> Drawing | None:
    """Heat maps of every two epochs of a run, one panel a label; None for fewer than three epochs."""
    measure = similarity.measured
    data, caption = epoch_pairs(rows, similarity)
    if data.empty:
        return None
    by_label = data.groupby("label", sort=False)
    maps = {str(label): HeatMap(between_epochs(cells, measure)) for label, cells in by_label}
    figure = epoch_maps(maps, MEASURES[measure])
    if data[measure].isna().any():
        caption += f" {COLLAPSED}"
    name = f"similarity_epochs{similarity.suffix}{suffix}"
    return Drawing(name, figure, data, f"{caption} {sentence(title)}")


def _runs(
    rows: pd.DataFrame, similarity: Similarity, title: str, suffix: str, settings: Sequence[str] = ()
) -> Drawing | None:
    """Heat maps of every two labels at their last common epoch; None if too few (see `name_maps`)."""
    measure = similarity.measured
    pairs = run_pairs(rows)
    pairs = pairs[is_last(pairs, ["run_a", "run_b"], "epoch_a")]
    maps, data = name_maps(pairs, measure, settings)
    if not maps:
        return None
    figure, columns = named_maps(maps, MEASURES[measure])
    at = after_epochs(pairs["epoch_a"], "after their last common epoch").strip()
    caption = runs_caption(maps, data, similarity, at.rstrip("."), columns)
    name = f"similarity_runs{similarity.suffix}{suffix}"
    return Drawing(name, figure, data, f"{caption} {sentence(title)}")


def _convergence(pairs: pd.DataFrame, view: View, similarity: Similarity) -> Drawing | None:
    """Similarity of each epoch to the run's last one, a line a method, with both references (see the module)."""
    measure = similarity.measured
    data = view.of(to_last(pairs, measure))
    if data["epoch"].nunique() < 2:
        return None
    data = data[["run", "seed", "panel", "line", "method", "epoch", measure]]
    shown = [panel for panel in view.panels if panel in set(data["panel"])]
    data = data.assign(**levels(pairs, set(view.runs["run"]), measure))
    figure, axes = panels(shown)
    for panel, axis in axes.items():
        rows = data[data["panel"] == panel]
        lines(axis, rows, "epoch", measure, view.marks, by="line", points=True)
        for column, line in ((SEEDS_LEVEL, ":"), (RANDOM_LEVEL, "--")):
            if column in rows:
                level(axis, float(rows[column].iloc[0]), line=line)
        axis.set_ylim(min(0.0, float(data[measure].min())), 1.02)
    label_axes(figure, axes, "epoch", MEASURES[measure])
    legend(figure, view.marks, markers=True)
    caption = to_last_caption(similarity, over_seeds(data, ["panel", "line", "epoch"]))
    references = "; ".join(f"{LINES[column]}: {words}" for column, words in REFERENCES.items() if column in data)
    if references:
        caption += f" {capital(references)}."
    caption += f" {view.title}." if view.title else ""
    return Drawing(f"convergence{similarity.suffix}{view.suffix}", figure, data, caption)
