"""Figures of an analysis, drawn and written as commands do."""

from __future__ import annotations

from pathlib import Path

from memstudy.derived.analysis import Analysis
from memstudy.derived.deriving import write_figures
from memstudy.store.store import Selection


def draw(analysis: Analysis, selection: Selection) -> list[Path]:
    """The paths of the figures and their data."""
    return list(map(Path, write_figures(analysis, selection)))
