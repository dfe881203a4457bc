"""The color and line of each method in charts, as in figures, and the legend that tells them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import altair as alt

from memstudy.report.marks import Mark

NARROW = 340  # pixels that a legend has on a phone
LETTER, SYMBOL = 6.5, 34  # pixels of a legend: a letter, and what stands before a name
GRAY_WORDS, BLANK = "#767676", "#C8C8C8"  # of references, and of cells without a number: on white and on black


def color(marks: Mapping[str, Mark], column: str = "method", symbol: str = "stroke") -> alt.Color:
    """The color of each label, in the figures of a study and in all charts of its page.

    symbol: of the legend, where it is no line; no legend at all, if it is empty.
    """
    scale = alt.Scale(domain=list(marks), range=[mark.color for mark in marks.values()])
    legend = _legend(marks, symbol) if symbol else None
    return alt.Color(field=column, type="nominal", scale=scale, legend=legend, title=None)


def dash(marks: Mapping[str, Mark], column: str = "method") -> alt.StrokeDash:
    """The line of each label, which tells apart those that share a color, and all of them in gray."""
    scale = alt.Scale(domain=list(marks), range=[_dashes(mark) for mark in marks.values()])
    return alt.StrokeDash(field=column, type="nominal", scale=scale, legend=_legend(marks), title=None)


def _dashes(mark: Mark) -> list[float]:
    """Of a line 1.5 pixels wide; matplotlib's are in widths of the line."""
    named: dict[Any, list[float]] = {"-": [1, 0], ":": [1.8, 3], "--": [6.6, 2.8]}
    return named[mark.line] if isinstance(mark.line, str) else [round(1.8 * length, 1) for length in mark.line[1]]


def _legend(labels: Collection[str], symbol: str = "stroke") -> alt.Legend | None:
    """Beneath the chart, in as many columns as a phone has room for; none of a single label."""
    if len(labels) < 2:
        return None
    columns = max(1, int(NARROW / (SYMBOL + LETTER * max(map(len, labels)))))
    return alt.Legend(
        orient="bottom", columns=min(columns, len(labels)), labelLimit=NARROW - SYMBOL, labelOpacity=1,
        symbolType=symbol, symbolOpacity=1, symbolStrokeWidth=2, symbolSize=300 if symbol == "stroke" else 100,
    )  # fmt: skip
