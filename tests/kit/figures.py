"""Figures are rendered once in tests, and not again in each format that they are written in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from matplotlib.figure import Figure

_render = Figure.savefig


def _render_once(figure: Figure, place: Any, **options: Any) -> None:
    if options.get("format") not in ("svg", "pdf"):
        _render(figure, place, **options)


@pytest.fixture(scope="session", autouse=True)
def rendered_once() -> Iterator[None]:
    """SVG and PDF are empty files: the three formats are one drawing, whose PNG is made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", _render_once)
        yield


@pytest.fixture
def every_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """All formats are made, as for a user: for tests of figures themselves."""
    monkeypatch.setattr(Figure, "savefig", _render)
