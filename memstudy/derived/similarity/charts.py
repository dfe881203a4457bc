"""Charts of similarity: sequences of coefficients and heat maps with a slider over epochs, and convergence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import altair as alt
import pandas as pd

from memstudy.derived.reading import read
from memstudy.derived.similarity import MEASURES, Similarity
from memstudy.derived.similarity.digest import by_setting
from memstudy.derived.similarity.maps import between_epochs
from memstudy.derived.similarity.shown import (
    RANDOM,
    REFERENCES,
    Sequences,
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
from memstudy.report.chart import Chart
from memstudy.report.charting.choices import Choice, Slider, told
from memstudy.report.charting.data import inlined, of_runs, title_of
from memstudy.report.charting.lines import EPOCH, Quantity, lines, over_runs
from memstudy.report.charting.maps import Names, heat_map
from memstudy.report.charting.marks import GRAY_WORDS
from memstudy.report.frames import Groups, comparable_runs, is_last, methods_of
from memstudy.report.heat_maps import HeatMap
from memstudy.report.marks import Mark, marks
from memstudy.report.panels import over_seeds
from memstudy.store.store import Selection

BETWEEN = "cca_between"
TITLES = {
    BETWEEN: "Canonical coefficients of two networks",
    "cca_past": "Canonical coefficients with the last epoch",
}
INDEX, COEFFICIENT = (
    Quantity("index", "index", "d"),
    Quantity("coefficient", "CCA coefficient", ".3f", ends=(0, 1)),
)


def charts(selection: Selection, similarity: Similarity) -> Iterator[Chart]:
    """Of each setting sequences of coefficients and heat maps; of all together the way to the last epoch."""
    groups = comparable_runs(selection)
    of_methods = marks(methods_of(groups))
    coefficients = read(selection.path / similarity.coefficients)
    for title, rows, suffix in by_setting(coefficients, groups):
        for found in sequences(rows, similarity, title):
            yield _coefficients(found, f"{found.name}{similarity.suffix}{suffix}", of_methods)
    pairs = read(selection.path / similarity.pairs)
    words = [setting.words for setting, _ in groups]
    for title, rows, suffix in by_setting(pairs, groups):
        ending = f"{similarity.suffix}{suffix}"
        yield from _epochs(rows, similarity, title, f"similarity_epochs{ending}")
        yield from _runs(rows, similarity, title, f"similarity_runs{ending}", words)
    if len(pairs):
        yield from _convergence(pairs, groups, similarity, of_methods)


def _coefficients(found: Sequences, name: str, of_methods: Mapping[str, Mark]) -> Chart:
    """All pairs in one view, at an epoch that a slider chooses."""
    means, seconds = found.means, found.methods
    unlike = len(set(seconds.values())) == len(seconds) and set(seconds.values()) <= set(of_methods)
    of_pairs = {pair: of_methods[label] for pair, label in seconds.items()} if unlike else marks(seconds)
    slider = Slider("epoch", "epoch", sorted(set(means["epoch"])))
    word = "pair" if found.name == BETWEEN else "method"
    rows = means.rename(columns={"panel": word})
    drawn = lines(rows, INDEX, COEFFICIENT, of_pairs, [slider], by=word, also=_noise(found.noise))
    steps = " The slider goes over the kept epochs." if slider.params else ""
    caption = f"{found.caption.replace('Each line is an epoch, a mean', 'Lines are means')}{steps}"
    return Chart(
        name,
        TITLES[found.name],
        " ".join(filter(None, (caption, told(of_pairs, f"{word}s")))),
        drawn,
    )


def _noise(noise: pd.Series) -> list[alt.Chart]:
    """The uniform-random control, dashed."""
    if noise.empty:
        return []
    data = inlined(noise.rename_axis("index").reset_index().assign(what=RANDOM))
    drawn = alt.Chart(data).mark_line(strokeDash=[5, 3], color=GRAY_WORDS, strokeWidth=1.2)
    words = [alt.Tooltip("what:N", title="dashed"), INDEX.tooltip(), COEFFICIENT.tooltip()]
    return [drawn.encode(x=alt.X(**INDEX.encoded()), y=alt.Y(**COEFFICIENT.encoded()), tooltip=words)]


def _measure(similarity: Similarity) -> Quantity:
    return Quantity(similarity.measured, MEASURES[similarity.measured], ".2f")


def _epochs(rows: pd.DataFrame, similarity: Similarity, title: str, name: str) -> Iterator[Chart]:
    """Epoch × epoch, of a method that a list chooses."""
    data, caption = epoch_pairs(rows, similarity)
    if data.empty:
        return
    method = Choice("label", "method", list(dict.fromkeys(data["label"])))
    parts = [
        _cells(between_epochs(cells, similarity.measured), similarity.measured).assign(label=label)
        for label, cells in data.groupby("label", sort=False)
    ]
    table = pd.concat(parts, ignore_index=True)
    kept = sorted(set(table["row"]))
    axes = Names("row", "epoch", kept), Names("column", "epoch", kept)
    drawn = heat_map(table, *axes, _measure(similarity), [method])
    missing = " Gray: a network that collapsed, which is similar to nothing." if data.isna().any(axis=None) else ""
    yield Chart(name, "Similarity of epochs", f"{caption}{missing} {sentence(title)}", drawn)


def _cells(table: pd.DataFrame, value: str) -> pd.DataFrame:
    """A table as one row a cell: `row`, `column` and the value."""
    named = table.rename_axis(index="row").reset_index()
    return named.melt("row", var_name="column", value_name=value).infer_objects()


def _runs(
    rows: pd.DataFrame, similarity: Similarity, title: str, name: str, settings: Sequence[str]
) -> Iterator[Chart]:
    """Label × label, for each way in which pairs began; a slider goes over epochs at which all were compared."""
    measure, pairs = similarity.measured, run_pairs(rows)
    at_end = pairs[is_last(pairs, ["run_a", "run_b"], "epoch_a")]
    counts = pairs.groupby("epoch_a").size()
    epochs = [int(epoch) for epoch in counts.index[counts == len(at_end)]]
    last = {str(map_title): each for map_title, each in name_maps(at_end, measure, settings)[0].items()}
    if not last:
        return
    slider = Slider("epoch", "epoch", epochs or [int(at_end["epoch_a"].max())])
    parts = []
    for epoch in slider.values:
        maps, data = name_maps(pairs[pairs["epoch_a"] == epoch] if epochs else at_end, measure, settings)
        parts += [_map(each, measure).assign(map=words, epoch=epoch) for words, each in maps.items()]
    for words, each in last.items():
        table = pd.concat([part for part in parts if part["map"].eq(words).all()], ignore_index=True)
        rows_there, columns_there = list(each.table.index), list(each.table.columns)
        axes = Names("row", each.rows, rows_there), Names("column", each.columns, columns_there)
        drawn = heat_map(table, *axes, _measure(similarity), [slider] if slider.params else [])
        at = "at the epoch that the slider chooses" if slider.params else "after their last common epoch"
        caption = runs_caption({words: each}, data, similarity, at).replace("Hatched", "Gray")
        ending = "" if len(last) == 1 else f"-{words.replace(' ', '-')}"
        yield Chart(f"{name}{ending}", f"Similarity of methods, {words}", f"{caption} {sentence(title)}", drawn)


def _map(each: HeatMap, measure: str) -> pd.DataFrame:
    """The cells of a map that are not blank."""
    cells = _cells(each.table, measure)
    blank = ~_cells(each.hatched, "hatched")["hatched"] & cells[measure].isna()
    return cells[~blank.to_numpy()]


def _convergence(
    pairs: pd.DataFrame, groups: Groups, similarity: Similarity, of_methods: Mapping[str, Mark]
) -> Iterator[Chart]:
    """All methods in one view."""
    measure = similarity.measured
    data = of_runs(to_last(pairs, measure), groups)
    if data.empty or data["epoch"].nunique() < 2:
        return
    setting = Choice("setting", "runs", [setting.words for setting, _ in groups])
    at = {REFERENCES[column]: value for column, value in levels(pairs, set(data["run"]), measure).items()}
    drawn = over_runs(data, EPOCH, _measure(similarity), of_methods, [setting], levels=at)
    caption = to_last_caption(similarity, over_seeds(data, ["setting", "method", "epoch"]))
    named = f" Dotted: {'; '.join(at)}." if at else ""
    text = " ".join(filter(None, (f"{caption}{named}", title_of(groups), told(of_methods))))
    yield Chart(f"convergence{similarity.suffix}", "Similarity to the last epoch", text, drawn)
