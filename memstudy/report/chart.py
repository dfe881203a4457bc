"""A chart for the report page: what a reader can hover over, toggle and zoom, where a figure is for print.

It is declared in Vega-Lite, through Altair. The page gives it its size, fonts and theme; a chart says what is
drawn, and of which numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt

Drawn = (
    alt.Chart
    | alt.LayerChart
    | alt.FacetChart
    | alt.HConcatChart
    | alt.VConcatChart
    | alt.ConcatChart
    | alt.RepeatChart
)
"""What Altair's compositions are."""


@dataclass(frozen=True)
class Chart:
    """A chart that is declared, and not yet part of a page.

    Attributes:
        name: its own among the charts of a page, as a file name would be: letters, digits, `_` and `-`.
        title: a few words: the heading above it.
        caption: plain sentences: what is shown, of which runs, n, what bands are, and how it is read.
        drawn: the chart of Altair's, with its data.

    """

    name: str
    title: str
    caption: str
    drawn: Drawn

    def spec(self) -> dict[str, Any]:
        """Its declaration in Vega-Lite, its data under `datasets`; described for those who cannot see it."""
        with alt.data_transformers.enable("default", max_rows=None):
            declaration: dict[str, Any] = self.drawn.to_dict()
        return {"description": f"{self.title}. {self.caption}", **declaration}
