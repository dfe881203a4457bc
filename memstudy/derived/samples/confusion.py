"""Confusion of given, true and predicted classes, as a chart with a slider over epochs (ours)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from memstudy.derived.samples.recorded import Recorded, classes_of
from memstudy.report.chart import Chart, Drawn
from memstudy.report.charting.choices import Choice, Slider
from memstudy.report.charting.data import inlined
from memstudy.report.frames import Groups
from memstudy.report.page.parts import Prose

MOST_EPOCHS, MOST_CELLS = 6, 40_000
"""Epochs that can be chosen, and cells of all their matrices: a page is to stay small."""
DECIMALS = 1
"""Of a share in percent, as it is shown."""
KINDS = (
    "corrupted samples: predicted (across) of the given, wrong label (down)",
    "corrupted samples: predicted (across) of the true class (down)",
    "samples with true labels: predicted (across) of the class (down)",
    "all samples: given label (across) of the true class (down)",
)
SIZE = 440  # pixels, of a side


def confusion(runs: Sequence[Recorded], groups: Groups) -> Iterator[Chart | Prose]:
    """One chart, if there are records of one set of classes; a sentence if it would have too many cells."""
    classes = {tuple(classes_of(one.labels)) for one in runs}
    if len(classes) != 1:
        return
    (names,) = classes
    methods = list(dict.fromkeys(one.method for one in runs))
    settings = sorted({one.setting for one in runs})
    cells = len(names) ** 2 * len(KINDS) * len(methods) * len(settings)
    if cells > MOST_CELLS:
        yield Prose(
            (
                f"Matrices of given, true and predicted classes are not on this page: those of {len(names):,} "
                f"classes, {len(methods):,} method{'s' * (len(methods) > 1)} and {len(settings):,} "
                f"setting{'s' * (len(settings) > 1)} have {cells:,} cells, and a page holds {MOST_CELLS:,}; "
                "name fewer runs to see them.",
            )
        )
        return
    rows = _rows(runs, min(MOST_EPOCHS, MOST_CELLS // cells), methods)
    yield Chart(
        "confusion", "Given, true and predicted classes",
        "Of the samples of each class (a row) the share that is predicted as each class (a column), mean over "
        "runs; rows add up to 100 %. Memorization is a diagonal of the given labels, recovery one of the true "
        "classes. From the records of training, in evaluation mode.",
        _drawn(rows, names, methods, [groups[place][0].words for place in settings], settings),
    )  # fmt: skip


def _rows(runs: Sequence[Recorded], most: int, methods: Sequence[str]) -> pd.DataFrame:
    """`share` by kind, method, setting, epoch, row and column: percent, mean over runs; no row where it is 0."""
    shares: dict[tuple[int, int, int, int], list[NDArray[np.float64]]] = {}
    for one in runs:
        mask, noisy, clean = one.labels.mask, one.labels.noisy, one.labels.clean
        for epoch in one.epochs(most):
            predicted = np.asarray(one.predictions[epoch]).astype(int)
            pairs = ((noisy[mask], predicted[mask]), (clean[mask], predicted[mask]),
                     (clean[~mask], predicted[~mask]), (clean, noisy))  # fmt: skip
            for kind, (down, across) in enumerate(pairs):
                key = kind, methods.index(one.method), one.setting, epoch
                shares.setdefault(key, []).append(_shares(down, across, len(one.labels.class_names)))
    rows = []
    for key, of_runs in shares.items():
        mean = np.mean(of_runs, axis=0)
        places = np.argwhere(mean)
        rows.append(np.column_stack([np.tile(key, (len(places), 1)), places, mean[mean > 0]]))
    columns = ["kind", "method", "setting", "epoch", "row", "column"]
    return pd.DataFrame(np.concatenate(rows), columns=[*columns, "share"]).astype(dict.fromkeys(columns, int))


def _shares(down: NDArray[np.int64], across: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Percent of the samples of each row's class, (K, K); rows without samples are 0."""
    counts = np.zeros((classes, classes))
    np.add.at(counts, (down, across), 1)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(100 * counts, total, out=np.zeros_like(counts), where=total > 0)


def _drawn(
    rows: pd.DataFrame, names: Sequence[str], methods: Sequence[str], words: Sequence[str], settings: Sequence[int]
) -> Drawn:
    kind, method = (
        Choice("kind", "counted", KINDS, by_number=True),
        Choice("method", "method", methods, by_number=True),
    )
    setting = Choice("setting", "runs", words, by_number=True)
    rows = rows.assign(setting=rows["setting"].map({place: at for at, place in enumerate(settings)}))
    epoch = Slider("epoch", "epoch", sorted(map(int, rows["epoch"].unique())))
    chosen = (kind, method, setting, epoch)
    rows = rows.assign(
        down=rows["row"].map(dict(enumerate(names))), across=rows["column"].map(dict(enumerate(names)))
    )
    idle = [one.column for one in chosen if not one.params]  # one option: nothing chooses by it
    base = alt.Chart(inlined(rows.drop(columns=["row", "column", *idle]).round({"share": DECIMALS})))
    for one in chosen:
        base = one.of(base)
    order = list(names)
    place = base.encode(
        x=alt.X("across:N", sort=order, title=None, scale=alt.Scale(domain=order),
              axis=alt.Axis(orient="top", labelAngle=0)),
        y=alt.Y("down:N", sort=order, title=None, scale=alt.Scale(domain=order)),
    )  # fmt: skip
    tiles = place.mark_rect().encode(
        color=alt.Color(
            "share:Q", title="%", scale=alt.Scale(domain=[0, 100], scheme="blues"),
            legend=alt.Legend(orient="bottom"),
        ),
        tooltip=[
            alt.Tooltip("down:N", title="row"), alt.Tooltip("across:N", title="column"),
            alt.Tooltip("share:Q", format=".1f", title="share, %"),
        ],
    )  # fmt: skip
    texts = place.mark_text(fontSize=10).encode(
        text=alt.Text("share:Q", format=".0f"),
        color=alt.condition("datum.share > 55", alt.value("#ffffff"), alt.value("#1b1d21")),
    )
    layers = [tiles, texts] if len(names) <= 12 else [tiles]
    params = [param for one in chosen for param in one.params]
    return alt.layer(*layers).add_params(*params).properties(width="container", height=SIZE, title=epoch.title)
