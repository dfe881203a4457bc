"""A study's results without its networks: what tables and figures are made from, as a store of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from memstudy import files
from memstudy.errors import MemstudyError
from memstudy.store.run import METRICS, RECIPE, STATE
from memstudy.store.store import Selection, Store

LARGEST = 1_500_000
"""Bytes of a derived file; larger ones (every pixel of every landscape) are left out."""


def pack(selection: Selection, target: Store) -> tuple[list[Path], list[Path]]:
    """Copy a selection's results to a store, and make that study its newest; what was copied and what left out.

    A MemstudyError if the target is the selection's own store.
    """
    if target.root.resolve() == selection.path.parent.parent.resolve():
        raise MemstudyError(f"{target.root} is where these runs are; choose another directory.")
    left_out = []
    packed = {run.name: target.place(run) for run in selection.runs}
    copied = [
        _copy(run.path / name, packed[run.name].path / name)
        for run in selection.runs
        for name in (RECIPE, STATE, METRICS)
    ]
    renamed = {name: run.name for name, run in packed.items() if run.name != name}
    for path in sorted(selection.path.glob("*.csv")):
        if path.stat().st_size > LARGEST:
            left_out.append(path)
        else:
            copied.append(_copy(path, target.folder(selection.name) / path.name, renamed))
    target.record_study(selection.name, list(packed.values()), selection.settings())
    return copied, left_out


def _copy(source: Path, target: Path, renamed: Mapping[str, str] | None = None) -> Path:
    """Copy a file, with the names that runs have in the other store."""
    content = source.read_bytes()
    for here, there in (renamed or {}).items():
        content = content.replace(here.encode(), there.encode())
    files.write(target, content)
    return target
