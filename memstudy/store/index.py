"""What the runs of a store were found to be, kept so that a list of ten thousand is there at once.

An SQLite file a store, under `files.cache_directory()`/stores. A run's entry counts while the files that it was
made of are as they were (time of change, size, inode). It has two parts: what is of this run, and what many have
in common word for word, which is read once. All of it is derived and never needed: the file may be deleted at any
time, and one that is damaged, locked, of another format or not writable is as none. Whatever goes wrong here costs
time, nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memstudy import files
from memstudy.store import stamps
from memstudy.store.layout import LOG, METRICS, RECIPE, RESUME, STATE

SOURCES = (RECIPE, STATE, METRICS, LOG, RESUME)
"""What is known of a run comes from these; the directory's own time of change tells what else came or went."""
DAMAGED = (sqlite3.Error, ValueError, MemoryError)
"""What comes of a file that is none: its schema may be no text, or claim more memory than there is."""
PATIENCE = 0.2
"""Seconds to wait for another process that writes to the index."""


def stamp(path: Path) -> str:
    """Equal for two looks at a run directory if nothing in it changed that an entry is made of."""
    folder = os.fspath(path)
    return stamps.stamp((folder, *(f"{folder}/{name}" for name in SOURCES)))


def _checksum(content: str, common: str) -> str:
    """CRC-32 of an entry: SQLite notices damage of its structure alone, and this takes no time."""
    return f"{zlib.crc32((content + common).encode(errors='surrogatepass')):08x}"


Content = tuple[dict[str, Any], dict[str, Any]]
"""What was found of a run, and what many have in common: one and the same object for all of these."""


@dataclass(frozen=True)
class Entries:
    """What an index held: by a run's name its stamp, both parts of its content, in JSON, and their check sum."""

    rows: Mapping[str, tuple[str, str, str, str]] = field(default_factory=dict)
    _read: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """The runs that it knew."""
        return set(self.rows)

    def get(self, name: str, now: str) -> Content | None:
        """What is kept of a run, if its stamp is still the one it has now."""
        before, content, common, checksum = self.rows.get(name, ("", "", "", ""))
        if not now or before != now or checksum != _checksum(content, common):
            return None
        with contextlib.suppress(ValueError, RecursionError):
            found, shared = self.read(content, common)
            if isinstance(found, dict) and isinstance(shared, dict) and found.get("name") == name:
                return found, shared
        return None

    def read(self, content: str, common: str) -> Content:
        """The two parts of an entry's content; the second is read once for all that have it in common."""
        if common not in self._read:
            self._read[common] = json.loads(common)
        return json.loads(content), self._read[common]


@dataclass(frozen=True)
class Index:
    """The index of the store at a root, in a format: entries of another one are none."""

    root: Path
    format: int

    @property
    def path(self) -> Path:
        """Its file: one place for each store."""
        where = os.fsencode(self.root.resolve())
        return files.cache_directory() / "stores" / f"{files.digest(where)[:16]}.sqlite"

    def entries(self) -> Entries:
        """All that is kept; nothing is made."""
        if not self.path.is_file():
            return Entries()
        with contextlib.suppress(*DAMAGED, OSError), self._opened() as base:
            if base.execute("PRAGMA user_version").fetchone() == (self.format,):
                rows = base.execute("SELECT name, stamp, content, common, checksum FROM runs").fetchall()
                if all(isinstance(value, str) for row in rows for value in row):
                    return Entries({name: tuple(found) for name, *found in rows})
        return Entries()

    def keep(self, found: Mapping[str, tuple[str, str, str]], gone: Collection[str] = ()) -> None:
        """Keep of runs the stamp from before they were read, and both parts of their content, in JSON.

        Those that are gone are forgotten.
        """
        settled = {name: entry for name, entry in found.items() if stamps.settled(entry[0])}
        rows = [(name, *entry, _checksum(*entry[1:])) for name, entry in settled.items()]
        if not (rows or gone):
            return
        try:
            self._write(rows, gone)
        except (sqlite3.OperationalError, OSError):  # it is in use, or may not be written
            return
        except DAMAGED:  # made anew the next time
            files.tidy([self.path])

    def _write(self, rows: Collection[tuple[str, ...]], gone: Collection[str]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._opened() as base:
            base.execute("BEGIN IMMEDIATE")
            if base.execute("PRAGMA user_version").fetchone() != (self.format,):
                base.execute("DROP TABLE IF EXISTS runs")
                columns = "name TEXT PRIMARY KEY, stamp TEXT, content TEXT, common TEXT, checksum TEXT"
                base.execute(f"CREATE TABLE runs ({columns}) WITHOUT ROWID")
                base.execute(f"PRAGMA user_version = {self.format}")
            base.executemany("DELETE FROM runs WHERE name = ?", [(name,) for name in gone])
            base.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)", rows)
            base.execute("COMMIT")

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        base = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        try:
            base.execute("PRAGMA synchronous = OFF")  # what a crash loses is derived again
            yield base
        finally:
            base.close()
