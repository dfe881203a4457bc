"""A study's results without its networks: what tables and figures are made from, as a store of its own."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import Path

from memstudy import files
from memstudy.errors import MemstudyError
from memstudy.store import sums
from memstudy.store.layout import METRICS, RECIPE, STATE
from memstudy.store.run import RunDirectory
from memstudy.store.store import Selection, Store

LARGEST = 1_500_000
"""Bytes of a derived file; larger ones (every pixel of every landscape) are compressed, or else left out."""
MOST = 2**26
"""Bytes of a derived file that is compressed: a stranger's may claim any number."""


LOOKS = 3
"""How often a file and its check sum are read: another process may replace one between the two."""


def compressed(path: Path) -> Path:
    """Where a derived file is in a packed study if it is large: NAME.csv.gz for NAME.csv."""
    return path.with_name(f"{path.name}.gz")


def content(path: Path, cure: str = files.RUN_AGAIN) -> bytes:
    """What a derived file holds, or its compressed one; a MemstudyError if neither is there or it is damaged."""
    place = path
    for _ in range(LOOKS):
        place = path if files.is_there(path) or not files.is_there(compressed(path)) else compressed(path)
        rows = files.read(path, cure) if place == path else _unpacked(place, cure)
        if sums.fits(path, rows, cure):
            return rows
    raise files.damaged(place, "its checksum does not match", cure)


def _unpacked(packed: Path, cure: str) -> bytes:
    """What a compressed file holds."""
    try:
        with gzip.open(io.BytesIO(files.read(packed, cure))) as file:
            rows: bytes = file.read(MOST + 1)
        if len(rows) > MOST:
            raise OSError(f"it unpacks to more than {MOST:,} bytes")
        return rows
    except (OSError, EOFError, zlib.error) as error:
        raise files.damaged(packed, error, cure) from error


def pack(selection: Selection, target: Store) -> tuple[list[Path], list[Path]]:
    """Copy a selection's results to a store, and make that study its newest; what was copied and what left out.

    A MemstudyError if the target is the selection's own store.
    """
    if target.root.resolve() == selection.path.parent.parent.resolve():
        raise MemstudyError(f"{target.root} is where these runs are; choose another directory.")
    files.sweep(target.root)
    copied, left_out = [], []
    packed = {run.name: target.place(run) for run in selection.runs}
    for run in selection.runs:
        for name, content_now in _as_it_is(run).items():
            files.write(place := packed[run.name].path / name, content_now)
            copied.append(place)
    renamed = {name: run.name for name, run in packed.items() if run.name != name}
    packed_before = (path.with_suffix("") for path in selection.path.glob("[!.]*.csv.gz"))
    for path in sorted({*selection.path.glob("[!.]*.csv"), *packed_before}):
        place = target.folder(selection.name) / path.name
        sums.remove(place)
        files.remove([compressed(place)])
        if (written := _written(place, _renamed(content(path), renamed))) is None:
            left_out.append(path)
        else:
            copied.append(written)
    target.record_study(selection.name, list(packed.values()), selection.settings())
    return copied, left_out


def _as_it_is(run: RunDirectory) -> dict[str, bytes]:
    """A run's small files, all of one moment, by their names; of metrics.csv the rows that are whole."""
    names = (RECIPE, STATE, METRICS)
    _, _, found = run.at_one_moment(lambda: {name: files.read(run.path / name) for name in names})
    return found | {METRICS: found[METRICS][: found[METRICS].rfind(b"\n") + 1]}


def _written(place: Path, rows: bytes) -> Path | None:
    """Write a derived file, compressed if it is large; None if it is too large even so."""
    kept, packed = place, rows
    if MOST >= len(rows) > LARGEST:
        kept, packed = compressed(place), gzip.compress(rows, mtime=0)  # the same bytes at any time
    if len(packed) > LARGEST:
        return None
    sums.seal(place, rows)
    files.write(kept, packed)
    return kept


def _renamed(rows: bytes, names: Mapping[str, str]) -> bytes:
    """A file's content with the names that runs have in the other store."""
    for here, there in names.items():
        rows = rows.replace(here.encode(), there.encode())
    return rows
