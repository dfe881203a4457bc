"""Charts on the page: what a template needs of each, and the runtime that draws them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import vl_convert

from memstudy.report.chart import Chart, Drawn
from memstudy.report.page.safety import json_text

SNIPPET = "window.vegaEmbed = vegaEmbed;"
"""What the page's script needs of the runtime."""


@cache
def runtime() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, which asks for nothing."""
    return vl_convert.javascript_bundle(SNIPPET)


def explored(drawn: Drawn, log: bool = False) -> Drawn:
    """A chart whose horizontal axis can be zoomed in on the page; with `log` the other one can be logarithmic."""
    return drawn.properties(usermeta={"range": True, "log": log})


def element(chart: Chart) -> Mapping[str, Any]:
    """What the template shows of a chart: the declaration is data, and says in words what is drawn."""
    return {
        "kind": "chart",
        "id": f"chart-{chart.name}",
        "title": chart.title,
        "caption": chart.caption,
        "data": json_text(chart.spec() | {"description": f"{chart.title}. {chart.caption}"}),
    }
