"""Curves of training: accuracy, losses with the floor, what corrupted samples are taken for, and L_r."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from memstudy.derived.methods.by_value import by_rate, by_strength
from memstudy.report.frames import comparable_runs, each_epoch, evaluated
from memstudy.report.marks import DASHES, GRAY, Mark
from memstudy.report.panels import fits_page, label_axes, legend, level, lines, over_seeds, panels
from memstudy.report.saving import Drawing
from memstudy.report.views import View, views
from memstudy.store.store import Selection

COLUMNS = ["run", "seed", "panel", "line", "method", "epoch"]
ANSWERS = {
    "memorized": ("memorized (noisy label)", Mark("#D55E00", DASHES[0], "o")),
    "recovered": ("recovered (true label)", Mark("#009E73", DASHES[1], "s")),
    "other": ("other class", Mark(GRAY, DASHES[2], "^")),
}
"""What a corrupted sample can be taken for: columns of metrics.csv, their words and marks."""


def figures(selection: Selection) -> Iterator[Drawing]:
    """Accuracy, losses with the floor, memorized / recovered / other, activation loss; by rate and strength."""
    groups = comparable_runs(selection)
    for view in views(groups):
        yield from map(_accuracy, view.parts())
        yield from map(_losses, view.parts())
        yield from filter(None, map(_memorization, view.parts(partial(_memorization_fits, view))))
        yield from map(_activation, view.parts())
    yield from chain(by_rate(selection, groups), by_strength(selection, groups))


def _curves(view: View, name: str, column: str, words: str, what: str, scale: float = 1) -> Drawing:
    """One line a method in each panel; `words` label the y axis, `what` begins the caption."""
    data = evaluated(view.metrics()[[*COLUMNS, column]], ["panel", "line"], column)
    data[column] *= scale
    figure, axes = panels(view.panels)
    for panel, axis in axes.items():
        lines(axis, data[data["panel"] == panel], "epoch", column, view.marks, by="line")
    label_axes(figure, axes, "epoch", words)
    legend(figure, view.marks)
    caption = f"{what} {over_seeds(data, ['panel', 'line'])}{_told(view)}"
    return Drawing(name + view.suffix, figure, data, caption)


def _told(view: View) -> str:
    return f" {view.title}." if view.title else ""


def _accuracy(view: View) -> Drawing:
    what = f"Test accuracy after {each_epoch(view.settings)}."
    return _curves(view, "accuracy", "test_accuracy", "test accuracy, %", what, 100)


def _losses(view: View) -> Drawing:
    """Training cross-entropy; below the floor, it is memorization. Without corruption the floor is 0: no line."""
    what = "Training cross-entropy of each epoch."
    floors = view.floors()
    if any(floor > 0 for floor in floors.values()):
        what += " Dotted: the floor, the lowest that it can be on these labels without memorization."
    drawn = _curves(view, "losses", "train_cross_entropy", "training loss $L_c$, nats", what)
    for axis, floor in zip(drawn.figure.axes, floors.values(), strict=False):
        if floor > 0:
            level(axis, floor)
    return replace(drawn, data=drawn.data.assign(floor=drawn.data["panel"].map(floors)))


def _activation(view: View) -> Drawing:
    what = "Activation loss (AL2's penalty before its weight) of each epoch, whether it is trained on or not."
    drawn = _curves(view, "activation_loss", "train_activation_loss", "activation loss $L_r$, unscaled", what)
    for axis in drawn.figure.axes:
        axis.set_yscale("log")
    return drawn


def _memorization(view: View) -> Drawing | None:
    """What corrupted training samples are taken for (ELR's figure); None if no sample is corrupted."""
    metrics = evaluated(view.metrics(), ["panel", "line"])
    long = metrics.melt(COLUMNS, list(ANSWERS), "answer", "share").dropna(subset="share")
    if view.apart:  # the reference has a panel of its own here
        reference = next(iter(view.marks))
        first = long["panel"] == view.panels[0]
        long = long[(long["line"] != reference) | first]
    if long.empty:
        return None
    pairs = long[["line", "panel"]].drop_duplicates().itertuples(index=False, name=None)
    titles = {(line, panel): _title(line, panel, view) for line, panel in pairs}
    data = long.assign(answer=long["answer"].map({name: words for name, (words, _) in ANSWERS.items()}))
    data["share"] *= 100
    of_answers = dict(ANSWERS.values())
    order = sorted(titles, key=lambda pair: (list(view.marks).index(pair[0]), view.panels.index(pair[1])))
    across = len(view.panels) if not view.apart and len(view.panels) > 1 else 4
    figure, axes = panels([titles[pair] for pair in order], most=min(4, across))
    for line, panel in order:
        rows = data[(data["line"] == line) & (data["panel"] == panel)]
        axis = axes[titles[line, panel]]
        lines(axis, rows, "epoch", "share", of_answers, by="answer")
        axis.set_ylim(0, 100)
    label_axes(figure, axes, "epoch", "corrupted samples, %")
    legend(figure, of_answers)
    when = each_epoch(view.settings)
    caption = (
        f"What the corrupted training samples are taken for after {when}, in evaluation mode. "
        f"{over_seeds(data, ['panel', 'line', 'answer'])}{_told(view)}"
    )
    return Drawing(f"memorization{view.suffix}", figure, data, caption)


def _memorization_fits(view: View, panels: Sequence[str]) -> bool:
    """Whether what `_memorization` draws of these panels is no higher than a page."""
    if view.apart:
        return fits_page([*list(view.marks)[:1], *panels])
    return fits_page([_title(line, panel, view) for line in view.marks for panel in panels])


def _title(line: str, panel: str, view: View) -> str:
    if view.apart:
        return line if line == next(iter(view.marks)) else panel
    return ", ".join(filter(None, (panel, line)))
