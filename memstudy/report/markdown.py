"""A table in Markdown, as GitHub and CommonMark read it: no text in it is markup, a link, HTML or math."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from memstudy.errors import plain

if TYPE_CHECKING:
    from memstudy.report.table import Table

_MARKUP = re.compile(
    r"[\\`$|]"  # escapes, code, math, and what parts cells
    r"|<(?=[A-Za-z/!?])|&(?=#?\w+;)"  # HTML: elements, comments, characters by name
    r"|!(?=\[)|\](?=[(\[:])|:(?=//)|(?<=www)\.|@(?=\S)"  # images, links, and addresses that become links
    r"|\*+(?=\w)|(?<![\w*])\*+(?=[^\s*\w])"  # what begins emphasis, unlike stars behind a number
    r"|~+(?=[^\s~])|(?<![^\W_])_(?=\S)"
)
_BEGINS = re.compile(r"^(\d*)([.)#>+=-])")
"""What could begin a heading, a quotation or a list."""


def document(table: Table) -> str:
    """A GitHub table under its title, with the notes below."""
    whole = [", ".join(filter(None, pair)) for pair in zip(table.upper, table.headings, strict=True)]
    ruler = ["---" if heading in table.words else "---:" for heading in table.headings]
    lines = [_row(map(escaped, whole)), _row(ruler), *(_row(map(escaped, row)) for row in table.rows)]
    notes = [f"{_paragraph(note)}\n" for note in table.notes]
    title = re.sub(r"(?<!\\)\*", r"\*", escaped(table.title).strip())  # it is within stars
    return "\n".join([f"**{title}**", "", *lines, "", *notes])


def escaped(text: str) -> str:
    """A text in one line, all of which is shown as it is."""
    return _MARKUP.sub(lambda found: "".join(f"\\{mark}" for mark in found[0]), plain(" ".join(text.splitlines())))


def _paragraph(text: str) -> str:
    return _BEGINS.sub(r"\1\\\2", escaped(text))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
