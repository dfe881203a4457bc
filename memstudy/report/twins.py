"""Baselines without and with AL2 side by side, as AL2's tables and figures have them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns

from memstudy.report.frames import BASELINES, WITH, WITHOUT, Setting, settings, suffixed
from memstudy.report.lettering import style
from memstudy.report.saving import HEIGHT
from memstudy.store.store import Selection

SIDES = (WITHOUT, WITH)


def baseline_order(name: str) -> tuple[int, str]:
    """The paper's order, then the alphabet."""
    known = list(BASELINES.values())
    return (known.index(name) if name in known else len(known), name)


def each_setting(selection: Selection) -> list[tuple[Setting, str]]:
    """Each group of runs with twins, and what names of its files end in."""
    return list(suffixed(settings(selection.runs)))


def lines(data: pd.DataFrame, **choices: Any) -> sns.FacetGrid:
    """Lines in one panel a baseline, without and with AL2 in the same two colors everywhere."""
    present = [side for side in SIDES if side in set(data["al2"])]
    columns = sorted(data["baseline"].unique(), key=baseline_order)
    standard: dict[str, Any] = {
        "kind": "line", "x": "epoch", "col": "baseline", "col_order": columns,
        "hue": "al2", "hue_order": present, "palette": _palette(),
        "style": "al2", "style_order": present, "errorbar": "sd", "height": HEIGHT, "aspect": 1.05,
    }  # fmt: skip
    with style("ticks"):
        grid = sns.relplot(data=data, **(standard | choices))
    grid.set_titles("{col_name}")
    if grid.legend is not None:
        grid.legend.set_title(None)
    return grid


def _palette() -> dict[str, Any]:
    colors = sns.color_palette("colorblind")
    return {WITHOUT: colors[3], WITH: colors[0]}
