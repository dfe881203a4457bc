"""A page as one HTML file: the same page has the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import jinja2

from memstudy.report.chart import Chart
from memstudy.report.page import charts, gallery, tables
from memstudy.report.page.gallery import Gallery
from memstudy.report.page.parts import Command, Heading, Page, Part, Prose, Sources
from memstudy.report.page.safety import json_text, policy
from memstudy.report.table import Table


def html(page: Page) -> str:
    """The whole file. All texts are escaped where the page has them; none is taken for markup or a script."""
    return _rendered(page, _text("script.js"), charts.runtime(), _text("style.css"))


def served(page: Page) -> str:
    """As `html`, with a script that asks the page's server what is new."""
    return _rendered(page, f"{_text('live.js')}\n{_text('script.js')}", charts.runtime(), _text("style.css"), True)


def content(page: Page) -> str:
    """The page without scripts and style: what a served one takes over when it is new."""
    return _rendered(page)


def _rendered(page: Page, script: str = "", runtime: str = "", style: str = "", served: bool = False) -> str:
    sections = [
        {"name": section.name, "title": section.title, "parts": [_element(part, page) for part in section.parts]}
        for section in page.sections
    ]
    return _template().render(
        page=page,
        sections=sections,
        style=style,
        script=script,
        runtime=runtime,
        policy=policy([script, runtime], [style], served),
        runs=json_text([{"name": source.run, "seed": source.seed} for source in page.sources]),
    )


def _element(part: Part, page: Page) -> Mapping[str, Any]:
    """What the template shows of a part."""
    match part:
        case Table():
            return tables.element(part, page.sources)
        case Chart():
            return charts.element(part)
        case Gallery():
            return gallery.element(part)
        case Prose():
            return {"kind": "prose", "paragraphs": part.paragraphs, "emphasis": part.emphasis}
        case Command():
            return {"kind": "command", "words": part.words, "line": part.line}
        case Heading():
            return {"kind": "heading", "text": part.text}
        case Sources():
            return {"kind": "sources", "sources": page.sources}


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_text("page.html"))


def _text(name: str) -> str:
    return resources.files("memstudy.report.page").joinpath(name).read_text(encoding="utf-8")
