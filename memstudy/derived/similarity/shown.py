"""What figures and charts show of similarity: means over runs, and the sentences on them.

Each number is a mean over seeds. Pairs of the same seed share initial weights and are never averaged with pairs of
other seeds (see `plan`). Two references help to read a number: the uniform-random control says how similar
anything is with so few samples, and two seeds of one recipe say how similar two networks can be that began with
different weights.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from memstudy.derived.similarity import MEASURES, Similarity
from memstudy.derived.similarity.digest import ACROSS
from memstudy.derived.similarity.maps import between_names, one_setting_a_side
from memstudy.derived.similarity.plan import CONTROL, GRID, PAIR, PAST, SAME_SEED, SEED, TWIN, began, kind
from memstudy.report.cells import span
from memstudy.report.frames import after_epochs, is_last
from memstudy.report.heat_maps import HeatMap

RANDOM = "uniform random numbers in place of one of both"
SEEDS_LEVEL, RANDOM_LEVEL = "two_seeds_last_epoch", "uniform_random"
"""Columns of data: what levels of reference are at."""
REFERENCES = {SEEDS_LEVEL: "two seeds of one recipe, after the last epoch", RANDOM_LEVEL: RANDOM}


@dataclass(frozen=True)
class Sequences:
    """Canonical coefficients of some pairs of networks, over epochs.

    Attributes:
        name: of the figure, without suffixes.
        caption: what is shown.
        means: `panel` (the words of a pair), `epoch`, `index`, `coefficient`.
        noise: coefficients of the uniform-random control, by index; maybe empty.
        methods: of each panel, the label of its second network.

    """

    name: str
    caption: str
    means: pd.DataFrame
    noise: pd.Series
    methods: Mapping[str, str]


def sequences(rows: pd.DataFrame, similarity: Similarity, title: str) -> Iterator[Sequences]:
    """Of two networks at equal epochs, and of a network and its own last epoch: its rows with the last one."""
    past = rows[rows["relation"] == PAST]
    past = past[is_last(past, "run_a", "epoch_b")]
    between = rows[rows["relation"].map(kind).isin([TWIN, PAIR])]
    noise = rows[rows["relation"] == CONTROL].groupby("index")["coefficient"].mean()
    for chosen, name, which, what in (
        (between, "cca_between", "two networks after equal epochs", "pairs of runs"),
        (past, "cca_past", "a network and its own last kept epoch", "runs"),
    ):
        if len(chosen):
            of = f"Canonical coefficients of {which}, sorted: {similarity.title} on test images."
            yield _sequences(chosen, noise, name, of, what, title)


def _sequences(chosen: pd.DataFrame, noise: pd.Series, name: str, which: str, what: str, title: str) -> Sequences:
    how = chosen["relation"].map(began).map(lambda words: f", {words}" if words else "")
    both = chosen["a"] + " ~ " + chosen["b"] + how
    chosen = chosen.assign(panel=chosen["a"].where(chosen["relation"] == PAST, both))
    n = chosen.drop_duplicates(["panel", "run_a", "run_b"]).groupby("panel").size()
    means = chosen.groupby(["panel", "epoch_a", "index"], sort=False)["coefficient"].mean().reset_index()
    means = means.rename(columns={"epoch_a": "epoch"})
    caption = f"{which} Each line is an epoch, a mean over n = {span(n)} {what}."
    if means["epoch"].nunique() == 1:
        caption += f" {after_epochs(means['epoch'], 'After one epoch').strip()}"
    if len(noise):
        caption += f" Dashed: {RANDOM}."
    methods = dict(zip(chosen["panel"], chosen["b"], strict=True))
    return Sequences(name, f"{caption} {sentence(title)}", means, noise, methods)


def epoch_pairs(rows: pd.DataFrame, similarity: Similarity) -> tuple[pd.DataFrame, str]:
    """Every two epochs of a network: `label`, `epoch_a`, `epoch_b` and the measure; and a caption.

    Means over runs. Empty for fewer than three epochs: two are a number, no map.
    """
    past, measure = rows[rows["relation"] == PAST], similarity.measured
    if past["epoch_b"].nunique() < 2:
        return past.iloc[:0], ""
    data = past.groupby(["a", "epoch_a", "epoch_b"], sort=False)[measure].mean().reset_index()
    n = span(past.groupby("a")["run_a"].nunique())
    caption = (
        f"{capital(MEASURES[measure])} between every two kept epochs of a network, from the first (top left) on; "
        f"{similarity.title} on test images. Means over n = {n} runs."
    )
    return data.rename(columns={"a": "label"}), caption


def run_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of every two runs, with how they `began`: at the last common epoch, and all that was compared."""
    pairs = rows[rows["relation"].map(kind).isin([GRID, PAIR])]
    pairs = pairs.assign(began=pairs["relation"].map(began))
    return pairs[pairs["began"] != ""]


def name_maps(
    pairs: pd.DataFrame, measure: str, settings: Sequence[str]
) -> tuple[dict[str, HeatMap], pd.DataFrame]:
    """Heat maps of every two labels, by their titles, and their data; none if there are too few.

    There is one for each way in which pairs began: equal seeds make two methods look more similar than two runs of
    one method with different seeds. settings: those that labels may end in.
    """
    maps: dict[str, HeatMap] = {}
    parts = []
    for words, part in pairs.groupby("began", sort=True):
        found = between_names(part, measure)
        maps |= {
            f"{words} ({i + 1})" if i else str(words): one_setting_a_side(heat_map, settings)
            for i, heat_map in enumerate(found)
        }
        shown = {name for each in found for name in (*each.table.index, *each.table.columns)}
        means = part.groupby(["a", "b"], sort=False)[measure].agg(["mean", "count"]).reset_index()
        parts.append(means[means["a"].isin(shown) & means["b"].isin(shown)].assign(began=words))
    data = pd.concat(parts, ignore_index=True) if maps else pairs.iloc[:0]
    return maps, data.rename(columns={"mean": measure, "count": "n"})


def runs_caption(
    maps: Mapping[str, HeatMap], data: pd.DataFrame, similarity: Similarity, at: str, columns: str = ""
) -> str:
    """Of maps of every two labels. at: after which epochs. columns: a sentence on those without names."""
    measure = similarity.measured
    caption = (
        f"{capital(MEASURES[measure])} of every two networks {at}; {similarity.title} on test images."
        f" Means over n = {span(data.loc[data['n'] > 0, 'n'])} pairs of runs a cell. "
        f"{columns}".strip()
    )
    if any(words.startswith(SAME_SEED) for words in maps):
        caption += " Runs of the same seed began with the same weights."
    if any(each.hatched.to_numpy().any() for each in maps.values()):
        collapsed = data[measure].isna().any()
        why = "there are no two such runs" + (", or one of them collapsed" if collapsed else "")
        caption += f" Hatched: not measured, as {why}."
    return caption


def to_last(pairs: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Similarity of each kept epoch of a `run` with its last one: `epoch` and the measure, where there is one."""
    past = pairs[pairs["relation"] == PAST]
    past = past[is_last(past, "run_a", "epoch_b")].dropna(subset=measure)
    return past.rename(columns={"run_a": "run", "epoch_a": "epoch"})


def to_last_caption(similarity: Similarity, spread: str) -> str:
    """Of lines that come near the last epoch."""
    return (
        f"{capital(MEASURES[similarity.measured])} of each kept epoch with the network's own last one; "
        f"{similarity.title} on test images. {spread}"
    )


def levels(pairs: pd.DataFrame, runs: Collection[str], measure: str) -> dict[str, float]:
    """What two seeds of one recipe, and uniform random numbers, have after the last epoch, means over runs."""
    found = {}
    for relation, column in ((SEED, SEEDS_LEVEL), (CONTROL, RANDOM_LEVEL)):
        rows = pairs[(pairs["relation"] == relation) & pairs["run_a"].isin(list(runs))]
        at_end = rows[rows["epoch_a"] == rows["epoch_a"].max()]
        if at_end[measure].notna().any():
            found[column] = float(at_end[measure].mean())
    return found


def capital(words: str) -> str:
    """The words as the beginning of a sentence."""
    return words[:1].upper() + words[1:]


def sentence(title: str) -> str:
    """What the runs are, as a sentence."""
    return f"{capital(title) if title == ACROSS else title}."
