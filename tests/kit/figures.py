"""Figures are rendered once in tests, and not again in each format that they are written in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from matplotlib.figure import Figure

_render = Figure.savefig
COARSE = 30
"""Dots an inch: enough for a file that nobody looks at."""


def _render_once(figure: Figure, place: Any, **options: Any) -> None:
    if options.get("format") not in ("svg", "pdf"):
        _render(figure, place, **options, dpi=COARSE)


@pytest.fixture(scope="session", autouse=True)
def rendered_once() -> Iterator[None]:
    """SVG and PDF are empty files: the three formats are one drawing, whose PNG is made, and coarse."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", _render_once)
        yield


@pytest.fixture
def every_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """All formats are made, as for a user: for tests of figures themselves."""
    monkeypatch.setattr(Figure, "savefig", _render)
