"""What a study's [report] chooses: which analyses and tables, and their options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from memstudy.derived import analysis
from memstudy.derived.analysis import Analysis, configured
from memstudy.registry import Registry
from memstudy.store.store import STUDY, Selection


def chosen(selection: Selection, key: str, usual: Iterable[str]) -> list[str]:
    """The study's choice of analyses or tables, or the usual ones."""
    names = selection.settings().get(key, usual)
    return list(map(str, names)) if isinstance(names, list | tuple) else list(usual)


def configured_of(
    registry: Registry, name: str, selection: Selection, given: Mapping[str, Any] | None = None
) -> Analysis:
    """An analysis by its name, with its options from the study's [report]; `given` ones go before these."""
    return configured(analysis(name, registry), selection.settings(), given, str(selection.path / STUDY))
