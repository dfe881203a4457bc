"""Charts of per-sample dynamics: what tells corrupted samples, when samples are learned, and their losses."""

from __future__ import annotations

from collections.abc import Iterator

import altair as alt
import pandas as pd

from memstudy.analysis.dynamics import SCORES
from memstudy.derived.dynamics import Dynamics
from memstudy.derived.dynamics.figures import (
    KINDS,
    OF_GROUPS,
    OF_SCORES,
    OF_SERIES,
    TELLING,
    aucs,
    ends,
    learned,
    losses,
)
from memstudy.derived.dynamics.measure import AUCS, COUNTS, LOSSES, MIXTURE
from memstudy.derived.reading import each_group
from memstudy.report.chart import Chart
from memstudy.report.charting.choices import Choice, Slider, toggle, told
from memstudy.report.charting.data import inlined
from memstudy.report.charting.lines import EPOCH, SIZE, Quantity, lines, over_runs
from memstudy.report.charting.marks import color
from memstudy.report.frames import Setting
from memstudy.report.marks import Mark
from memstudy.report.panels import over_seeds
from memstudy.store.store import Selection

NEVER = "never"
OF_PARTS = {name: Mark(shade) for name, shade in OF_GROUPS.items()} | {
    MIXTURE[name]: Mark(shade, (0, (4, 1.4))) for name, shade in OF_GROUPS.items()
}


def charts(selection: Selection) -> Iterator[Chart]:
    """Three charts of each setting; a list chooses the method."""
    for table, make in ((AUCS, _aucs), (COUNTS, _learned), (LOSSES, _losses)):
        for setting, rows, suffix in each_group(selection, table):
            yield from make(rows, setting, suffix)


def _method(data: pd.DataFrame) -> Choice:
    """A list of the methods of some rows."""
    return Choice("label", "method", list(dict.fromkeys(data["label"])))


def _aucs(rows: pd.DataFrame, setting: Setting, suffix: str) -> Iterator[Chart]:
    """A line a score: its AUC, or its difference to the loss's."""
    data = aucs(rows)
    if data.empty:
        return
    method, words = _method(data), {name: kind.y for name, kind in KINDS.items()}
    shown = Choice("shown", "shown", list(words.values()))
    table = data.assign(score=data["score"].map(SCORES)).rename(columns=words)
    long = table.melt(["run", "seed", "label", "epoch", "score"], shown.options, "shown", "value")
    drawn = over_runs(
        long, EPOCH, Quantity("value", "ROC AUC, or its difference", ".4f"), OF_SCORES, [method, shown], by="score"
    )
    caption = (
        f"{TELLING} or their difference to the AUC of the same run's loss at the same epoch. "
        f"{over_seeds(data, ['label', 'epoch'])} {setting.title}. {told(OF_SCORES, 'scores')}"
    )
    yield Chart(f"{Dynamics.name}_auc{suffix}", "What tells corrupted samples", caption, drawn)


def _learned(rows: pd.DataFrame, setting: Setting, suffix: str) -> Iterator[Chart]:
    """Shares of samples by the epoch that first predicts them, and of those that none does."""
    data, caption = learned(rows, setting)
    method, table = _method(data), data.copy()
    epochs = int(table["epochs"].max())
    first = table["value"].where(table["value"] < table["epochs"])
    table["epoch"] = first.map(lambda epoch: NEVER if pd.isna(epoch) else f"{epoch:.0f}")
    table = table.rename(columns={"series": "group"})
    of_groups = {name: Mark(shade) for name, shade in OF_SERIES.items() if name in set(table["group"])}
    clicks = toggle(of_groups, "group")
    order = [*map(str, range(epochs)), NEVER]
    share = Quantity("percent", "samples, %", ".2f")
    words = [alt.Tooltip("group:N"), alt.Tooltip("epoch:O", title="first predicted after epoch")]
    base = alt.Chart(inlined(table[["label", "group", "epoch", "percent", "count"]])).encode(
        x=alt.X(
            "epoch:O", scale=alt.Scale(domain=order), title="epoch", axis=alt.Axis(labelAngle=0, labelOverlap=True)
        ),
        xOffset=alt.XOffset("group:N", scale=alt.Scale(domain=list(of_groups))),
        y=alt.Y(**share.encoded()).stack(None),
        color=color(of_groups, "group", "square"),
        opacity=alt.when(clicks).then(alt.value(0.9)).otherwise(alt.value(0.06)),
        tooltip=[*words, share.tooltip(), alt.Tooltip("count:Q", title="samples", format=",d")],
    )
    drawn = method.of(base).mark_bar().add_params(clicks, *method.params).properties(**SIZE)
    text = f"{caption} {told(of_groups, 'groups')}"
    yield Chart(f"{Dynamics.name}_learned{suffix}", "When samples are learned", text, drawn)


def _losses(rows: pd.DataFrame, setting: Setting, suffix: str) -> Iterator[Chart]:
    """Densities at an epoch that a slider chooses."""
    data, caption = losses(rows, setting)
    method, table = _method(data), data.copy()
    low, high = ends(data)
    slider = Slider("epoch", "epoch", sorted(set(table["epoch"])))
    sampled = table["part"].isin(list(OF_GROUPS))
    table["density"] = table["density"].where(table["density"] > 0)  # a line is broken where there are no samples
    drawn = lines(
        table[sampled | (table["density"] >= low)],
        Quantity("loss", "loss, nats", ".3f"),
        Quantity("density", "density, per nat", ".3~g", "log", (low, high)),
        OF_PARTS,
        [method, slider],
        by="part",
        interpolate="step",
        clip=True,
    )
    text = f"{caption} Densities below {low:.2g} are not shown. {told(OF_PARTS, 'parts')}"
    yield Chart(f"{Dynamics.name}_losses{suffix}", "Training losses", text, drawn)
