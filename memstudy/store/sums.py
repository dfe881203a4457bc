"""Tables that are derived from runs, each with its check sum beside it: what was changed since is noticed.

`.NAME.csv.sha256` has the SHA-256 of NAME.csv, also where that is packed as NAME.csv.gz. It is written twice: with
the old and the new sum before the table is replaced, and with the new one after it, so that a process may be
killed in between. Tables of earlier versions have none and are read as they are.
"""

from __future__ import annotations

from pathlib import Path

from memstudy import files


def write(path: Path, content: bytes) -> None:
    """Write a table and its check sum."""
    new = files.digest(content)
    old = files.digest_of(path) if files.is_there(path) else new
    files.write(_sum(path), f"{old}\n{new}\n" if old != new else f"{new}\n")
    if old != new or not files.is_there(path):
        files.write(path, content)
    seal(path, content)


def seal(path: Path, content: bytes) -> None:
    """Write the check sum of a table whose content this is, be it kept in another form."""
    files.write(_sum(path), f"{files.digest(content)}\n")


def fits(path: Path, content: bytes, cure: str) -> bool:
    """Whether a table's content is what was written; one without a check sum is taken for that."""
    beside = _sum(path)
    return not files.is_there(beside) or files.digest(content) in files.read(beside, cure).decode("latin1").split()


def remove(path: Path) -> None:
    """Remove a table, and its check sum."""
    files.remove([path, _sum(path)])


def _sum(path: Path) -> Path:
    """Where the check sum of a table is."""
    return path.with_name(f".{path.name}.sha256")
