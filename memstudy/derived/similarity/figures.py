"""Figures of similarity: sequences of canonical coefficients, heat maps epoch × epoch and run × run, convergence.

Each number is a mean over seeds. Pairs of the same seed share initial weights and are never averaged with pairs of
other seeds (see `plan`). Two references help to read a number: the uniform-random control says how similar
anything is with so few samples, and two seeds of one recipe say how similar two networks can be that began with
different weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from memstudy.derived.reading import read
from memstudy.derived.similarity import MEASURES, Similarity
from memstudy.derived.similarity.digest import ACROSS, by_setting
from memstudy.derived.similarity.maps import between_epochs, between_names, one_setting_a_side
from memstudy.derived.similarity.plan import (
    CONTROL,
    GRID,
    PAIR,
    PAST,
    SAME_SEED,
    SEED,
    TWIN,
    began,
    kind,
)
from memstudy.report.cells import span
from memstudy.report.color_scales import ramp, ramp_bar
from memstudy.report.frames import after_epochs, comparable_runs, is_last
from memstudy.report.heat_maps import HeatMap, epoch_maps, named_maps
from memstudy.report.marks import GRAY
from memstudy.report.panels import label_axes, legend, level, lines, over_seeds, panels
from memstudy.report.saving import Drawing
from memstudy.report.views import View, views
from memstudy.store.store import Selection

COLLAPSED = "Hatched: a network that collapsed, which is similar to nothing."
RANDOM = "uniform random numbers in place of one of both"
SEEDS_LEVEL, RANDOM_LEVEL = "two_seeds_last_epoch", "uniform_random"
"""Columns of data: what levels of reference are at."""


def figures(selection: Selection, similarity: Similarity) -> Iterator[Drawing]:
    """Whole sequences of coefficients, and the maps and curves of one measure."""
    groups = comparable_runs(selection)
    sequences = read(selection.path / similarity.coefficients)
    for title, rows, suffix in by_setting(sequences, groups):
        yield from _coefficients(rows, similarity, title, suffix)
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


def _coefficients(rows: pd.DataFrame, similarity: Similarity, title: str, suffix: str) -> Iterator[Drawing]:
    """Of two networks at equal epochs, and of a network and its own last epoch: its rows with the last one."""
    past = rows[rows["relation"] == PAST]
    past = past[is_last(past, "run_a", "epoch_b")]
    between = rows[rows["relation"].map(kind).isin([TWIN, PAIR])]
    for chosen, name, which, what in (
        (between, "cca_between", "two networks after equal epochs", "pairs of runs"),
        (past, "cca_past", "a network and its own last kept epoch", "runs"),
    ):
        if len(chosen):
            control = rows[rows["relation"] == CONTROL]
            yield _sequences(
                chosen, control, f"{name}{similarity.suffix}{suffix}",
                f"Canonical coefficients of {which}, sorted: {similarity.title} on test images.", what, title,
            )  # fmt: skip


def _sequences(
    chosen: pd.DataFrame, control: pd.DataFrame, name: str, which: str, what: str, title: str
) -> Drawing:
    """One panel a pair of labels that began alike, one line an epoch, the uniform-random control dashed."""
    how = chosen["relation"].map(began).map(lambda words: f", {words}" if words else "")
    both = chosen["a"] + " ~ " + chosen["b"] + how
    chosen = chosen.assign(panel=chosen["a"].where(chosen["relation"] == PAST, both))
    n = chosen.drop_duplicates(["panel", "run_a", "run_b"]).groupby("panel").size()
    means = chosen.groupby(["panel", "epoch_a", "index"], sort=False)["coefficient"].mean().reset_index()
    means = means.rename(columns={"epoch_a": "epoch"})
    noise = control.groupby("index")["coefficient"].mean()
    figure, axes = panels(list(dict.fromkeys(means["panel"])))
    epochs = ramp(means["epoch"])
    for panel, axis in axes.items():
        lines(axis, means[means["panel"] == panel], "index", "coefficient", epochs, by="epoch")
        axis.plot(noise.index, noise, color=GRAY, linestyle="--", linewidth=1)
        axis.set_ylim(0, 1.02)
    label_axes(figure, axes, "index", "CCA coefficient")
    ramp_bar(figure, epochs, "epoch")
    caption = f"{which} Each line is an epoch, a mean over n = {span(n)} {what}."
    if len(epochs) == 1:
        caption += f" {after_epochs(means['epoch'], 'After one epoch').strip()}"
    if len(noise):
        caption += f" Dashed: {RANDOM}."
    return Drawing(name, figure, means, f"{caption} {_sentence(title)}")


def _epochs(rows: pd.DataFrame, similarity: Similarity, title: str, suffix: str) -> Drawing | None:
    """Heat maps of every two epochs of a run, one panel a label; None for fewer than three epochs."""
    past, measure = rows[rows["relation"] == PAST], similarity.measured
    if past["epoch_b"].nunique() < 2:  # two epochs: a number, no map
        return None
    data = past.groupby(["a", "epoch_a", "epoch_b"], sort=False)[measure].mean().reset_index()
    maps = {str(label): HeatMap(between_epochs(cells, measure)) for label, cells in data.groupby("a", sort=False)}
    figure = epoch_maps(maps, MEASURES[measure])
    n = span(past.groupby("a")["run_a"].nunique())
    caption = (
        f"{_capital(MEASURES[measure])} between every two kept epochs of a network, from the first (top left) on; "
        f"{similarity.title} on test images. Means over n = {n} runs."
    )
    if data[measure].isna().any():
        caption += f" {COLLAPSED}"
    data = data.rename(columns={"a": "label"})
    name = f"similarity_epochs{similarity.suffix}{suffix}"
    return Drawing(name, figure, data, f"{caption} {_sentence(title)}")


def _runs(
    rows: pd.DataFrame, similarity: Similarity, title: str, suffix: str, settings: Sequence[str] = ()
) -> Drawing | None:
    """Heat maps of every two labels at their last common epoch; None if too few.

    settings: those that labels may end in.

    There is one panel for each way in which pairs began: equal seeds make two methods look more similar than two
    runs of one method with different seeds.
    """
    measure = similarity.measured
    pairs = rows[rows["relation"].map(kind).isin([GRID, PAIR]) & rows["relation"].map(began).ne("")]
    pairs = pairs[is_last(pairs, ["run_a", "run_b"], "epoch_a")]
    maps: dict[str, HeatMap] = {}
    parts = []
    for words, part in pairs.groupby(pairs["relation"].map(began), sort=True):
        found = between_names(part, measure)
        maps |= {
            f"{words} ({i + 1})" if i else str(words): one_setting_a_side(heat_map, settings)
            for i, heat_map in enumerate(found)
        }
        shown = {name for each in found for name in (*each.table.index, *each.table.columns)}
        means = part.groupby(["a", "b"], sort=False)[measure].agg(["mean", "count"]).reset_index()
        parts.append(means[means["a"].isin(shown) & means["b"].isin(shown)].assign(began=words))
    if not maps:
        return None
    data = pd.concat(parts, ignore_index=True).rename(columns={"mean": measure, "count": "n"})
    figure, columns = named_maps(maps, MEASURES[measure])
    at = after_epochs(pairs["epoch_a"], "after their last common epoch").strip()
    caption = (
        f"{_capital(MEASURES[measure])} of every two networks {at.rstrip('.')}; {similarity.title} on test images."
        f" Means over n = {span(data.loc[data['n'] > 0, 'n'])} pairs of runs a cell. "
        f"{columns}".strip()
    )
    if any(words.startswith(SAME_SEED) for words in maps):
        caption += " Runs of the same seed began with the same weights."
    if any(each.hatched.to_numpy().any() for each in maps.values()):
        collapsed = data[measure].isna().any()
        why = "there are no two such runs" + (", or one of them collapsed" if collapsed else "")
        caption += f" Hatched: not measured, as {why}."
    name = f"similarity_runs{similarity.suffix}{suffix}"
    return Drawing(name, figure, data, f"{caption} {_sentence(title)}")


def _convergence(pairs: pd.DataFrame, view: View, similarity: Similarity) -> Drawing | None:
    """Similarity of each epoch to the run's last one, a line a method, with both references (see the module)."""
    measure = similarity.measured
    past = pairs[pairs["relation"] == PAST]
    past = past[is_last(past, "run_a", "epoch_b")].dropna(subset=measure)
    data = view.of(past.rename(columns={"run_a": "run", "epoch_a": "epoch"}))
    if data["epoch"].nunique() < 2:
        return None
    data = data[["run", "seed", "panel", "line", "method", "epoch", measure]]
    shown = [panel for panel in view.panels if panel in set(data["panel"])]
    data = data.assign(**_levels(pairs, view, measure))
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
    known = {
        SEEDS_LEVEL: "dotted: two seeds of one recipe, after the last epoch",
        RANDOM_LEVEL: f"dashed: {RANDOM}",
    }
    references = "; ".join(words for column, words in known.items() if column in data)
    caption = (
        f"{_capital(MEASURES[measure])} of each kept epoch with the network's own last one; {similarity.title} on "
        f"test images. {over_seeds(data, ['panel', 'line', 'epoch'])}"
    )
    if references:
        caption += f" {_capital(references)}."
    caption += f" {view.title}." if view.title else ""
    return Drawing(f"convergence{similarity.suffix}{view.suffix}", figure, data, caption)


def _levels(pairs: pd.DataFrame, view: View, measure: str) -> dict[str, float]:
    """What two seeds of one recipe, and uniform random numbers, have after the last epoch: means over runs."""
    levels = {}
    for relation, column in ((SEED, SEEDS_LEVEL), (CONTROL, RANDOM_LEVEL)):
        rows = pairs[(pairs["relation"] == relation) & pairs["run_a"].isin(set(view.runs["run"]))]
        at_end = rows[rows["epoch_a"] == rows["epoch_a"].max()]
        if at_end[measure].notna().any():
            levels[column] = float(at_end[measure].mean())
    return levels


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _sentence(title: str) -> str:
    return f"{_capital(title) if title == ACROSS else title}."
