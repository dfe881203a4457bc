"""A table as HTML: plain elements that a page's own style applies to, and that a screen reader can read aloud."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memstudy.report.table import Table


def document(table: Table) -> str:
    """The `<table>`: title as its caption, notes in its foot, and a scope for each heading, of rows too."""
    wide = len(table.headings)
    notes = [f'    <tr><td colspan="{wide}">{html.escape(note)}</td></tr>' for note in table.notes]
    foot = ["  <tfoot>", *notes, "  </tfoot>"] if notes else []
    return "\n".join(
        [
            f'<table id="{html.escape(table.name)}">', f"  <caption>{html.escape(table.title)}</caption>",
            "  <thead>", *_upper(table), f"    <tr>{''.join(_heading(name) for name in table.headings)}</tr>",
            "  </thead>", "  <tbody>", *(f"    <tr>{''.join(_row(table, row))}</tr>" for row in table.rows),
            "  </tbody>", *foot, "</table>", "",
        ]
    )  # fmt: skip


def _upper(table: Table) -> Iterator[str]:
    """The row of upper headings, if there are any."""
    if any(table.upper):
        spans = [(name, len(list(same))) for name, same in itertools.groupby(table.upper)]
        yield f"    <tr>{''.join(_over(name, columns) for name, columns in spans)}</tr>"


def _over(name: str, columns: int) -> str:
    span = f' colspan="{columns}"' if columns > 1 else ""
    return f'<th scope="colgroup"{span}>{html.escape(name)}</th>' if name else f"<td{span}></td>"


def _heading(name: str) -> str:
    return f'<th scope="col">{html.escape(name)}</th>'


def _row(table: Table, row: list[str]) -> Iterator[str]:
    """Cells; those that tell rows apart are the row's headings."""
    for place, (heading, cell) in enumerate(zip(table.headings, row, strict=True)):
        text = html.escape(cell)
        if place < table.keys:
            yield f'<th scope="row">{text}</th>'
        else:
            yield f"<td>{text}</td>" if heading in table.words else f'<td style="text-align: right">{text}</td>'
