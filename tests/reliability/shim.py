"""A file layer that fails on order: of the calls below some folders, the n-th one ends with an error.

It stands where Python meets the operating system: `open` makes files whose raw part (`io.FileIO`) is ours, under
the buffers that are Python's own, so that an error comes when it would come, in a write or only as a file is
closed; and the functions of `os` and `fcntl` that name a path or a descriptor are wrapped. What libraries in
other languages open by themselves (SQLite, safetensors' `safe_open`) fails where it is called. Other paths are
left alone.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import fcntl
import io
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytest
import safetensors

MAKING = frozenset({"create", "write", "sync", "close", "rename", "mkdir", "resize", "copy"})
"""What needs room."""
CHANGING = MAKING | {"unlink", "touch"}
"""What is refused where nothing may be written."""
TEMPORARY = re.compile(r"\.tmp-[0-9a-f]+-[0-9]+-[0-9]*-[0-9]+-|\.lease\.[0-9a-f]+")
"""What of a name differs each time."""
EVERY = CHANGING | {"open", "read", "list", "look", "lock"}


@dataclass(frozen=True)
class Fault:
    """How a call goes wrong.

    Attributes:
        name: what it is called.
        number: the error's number.
        kinds: the kinds of calls that it happens to.
        lasting: whether all later calls of these kinds go wrong, too: a disk stays full until there is room.
        torn: whether half of what was to be written is written before.

    """

    name: str
    number: int
    kinds: frozenset[str] = EVERY
    lasting: bool = False
    torn: bool = False


FAULTS = (
    Fault("no space", errno.ENOSPC, MAKING, lasting=True),
    Fault("no space once", errno.ENOSPC, MAKING),
    Fault("quota", errno.EDQUOT, MAKING, lasting=True),
    Fault("torn", errno.EIO, frozenset({"write", "copy"}), torn=True),
    Fault("torn, no space", errno.ENOSPC, frozenset({"write", "copy"}), lasting=True, torn=True),
    Fault("I/O error", errno.EIO),
    Fault("permission", errno.EACCES, EVERY - {"read", "write", "sync", "close"}),
    Fault("read-only", errno.EROFS, CHANGING - {"write", "sync", "close"}, lasting=True),
    Fault("stale handle", errno.ESTALE),
)


@dataclass(frozen=True)
class Call:
    """A call of the operating system: its kind, the path, and the function of memstudy that it is made in."""

    kind: str
    path: str
    site: str

    @property
    def alike(self) -> Call:
        """What it has in common with other calls for the same: a temporary file's name differs each time."""
        return replace(self, path=TEMPORARY.sub(".tmp-", self.path))

    def __str__(self) -> str:
        return f"{self.kind} {self.path} in {self.site}"


@dataclass
class Layer:
    """Counts the calls below `roots`; from the `at`-th on (from 1) they go wrong as `fault` says."""

    roots: tuple[str, ...]
    fault: Fault | None = None
    at: int = 0
    calls: list[Call] = field(default_factory=list)
    failed: list[Call] = field(default_factory=list)

    def place(self, path: object, folder: int | None = None) -> str:
        """The path of a call, or of its descriptor; empty if it is in none of the roots."""
        try:
            if isinstance(path, int):
                name = os.readlink(f"/proc/self/fd/{path}")  # noqa: PTH115 (of a descriptor)
            else:
                name = os.fsdecode(cast("str", path))
                base = _cwd() if folder is None else os.readlink(f"/proc/self/fd/{folder}")  # noqa: PTH115
                name = os.path.normpath(f"{base}/{name}" if not name.startswith("/") else name)
        except (OSError, TypeError):
            return ""
        return name if any(name == root or name.startswith(f"{root}/") for root in self.roots) else ""

    def due(self, kind: str, path: str) -> Fault | None:
        """Count a call; how it is to go wrong, if it is."""
        call = Call(kind, path, _site(sys._getframe(1)))
        self.calls.append(call)
        number, fault = len(self.calls), self.fault
        if fault is None or kind not in fault.kinds:
            return None
        if number != self.at and not (fault.lasting and number > self.at):
            return None
        self.failed.append(call)
        return fault

    def check(self, kind: str, path: str) -> None:
        """Count a call, and raise its error if it is to go wrong."""
        if path and (fault := self.due(kind, path)):
            raise error_of(fault, path)


def error_of(fault: Fault, path: str | None = None) -> OSError:
    """What Python raises for it."""
    return OSError(fault.number, os.strerror(fault.number), *([path] if path else []))


def _cwd() -> str:
    return os.getcwd()  # noqa: PTH109


def _site(frame: FrameType | None) -> str:
    """The innermost function of memstudy on the way to a call."""
    while frame is not None:
        code = frame.f_code
        _, ours, rest = code.co_filename.rpartition("/memstudy/")
        if ours and "/site-packages/" not in rest:
            return f"{rest}:{code.co_name}"
        frame = frame.f_back
    return "elsewhere"


class _Raw(io.FileIO):
    """A file's raw part: each read, write and the closing after a write are calls."""

    layer: Layer
    place: str

    def prepared(self, layer: Layer, place: str) -> _Raw:
        self.layer, self.place = layer, place
        return self

    def write(self, data: Any, /) -> int:
        fault = self.layer.due("write", self.place)
        if fault is None:
            return super().write(data)
        if fault.torn:
            view = memoryview(data).cast("B")
            super().write(view[: len(view) // 2])
        raise error_of(fault)

    def _reading(self) -> None:
        if fault := self.layer.due("read", self.place):
            raise error_of(fault)

    def read(self, size: int | None = -1, /) -> bytes:
        self._reading()
        return super().read(size)

    def readall(self) -> bytes:
        self._reading()
        return super().readall()

    def readinto(self, buffer: Any, /) -> int:
        self._reading()
        return super().readinto(buffer)

    def truncate(self, size: int | None = None, /) -> int:
        self.layer.check("resize", self.place)
        return super().truncate(size)

    def close(self) -> None:
        was_open = not self.closed
        super().close()
        if (
            was_open
            and "layer" in self.__dict__
            and self.mode != "rb"
            and (fault := self.layer.due("close", self.place))
        ):
            raise error_of(fault)


def _opening(layer: Layer, usual: Callable[..., Any]) -> Callable[..., Any]:
    """`open`, with our raw part below the usual buffers."""

    def opened(
        file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None,
        newline: Any = None, closefd: bool = True, opener: Any = None,
    ) -> Any:  # fmt: skip
        place = "" if isinstance(file, int) else layer.place(file)
        if not place:
            return usual(file, mode, buffering, encoding, errors, newline, closefd, opener)
        layer.check("create" if set(mode) & set("wax") else "open", place)
        kind = mode.replace("b", "").replace("t", "")
        raw = _Raw(file, kind, closefd, opener).prepared(layer, place)
        if buffering == 0:
            return raw
        if "+" in mode:
            buffer: Any = io.BufferedRandom(raw)
        else:
            buffer = io.BufferedReader(raw) if "r" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffer
        return io.TextIOWrapper(buffer, encoding, errors, newline)

    return opened


def _wrapped(layer: Layer, kind: str, usual: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `os` that is given a path or a descriptor, counted as a call."""

    def called(path: Any = ".", *args: Any, **named: Any) -> Any:
        folder = named.get("dir_fd", named.get("src_dir_fd"))
        layer.check(kind, layer.place(path, folder))
        return usual(path, *args, **named)

    return called


def _os_open(layer: Layer, usual: Callable[..., int]) -> Callable[..., int]:
    def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        layer.check("create" if flags & os.O_CREAT else "open", layer.place(path, dir_fd))
        return usual(path, flags, mode, dir_fd=dir_fd)

    return opened


def _os_write(layer: Layer, usual: Callable[..., int]) -> Callable[..., int]:
    def written(handle: int, data: Any) -> int:
        place = layer.place(handle)
        if place and (fault := layer.due("write", place)):
            if fault.torn:
                usual(handle, bytes(data)[: len(data) // 2])
            raise error_of(fault)
        return usual(handle, data)

    return written


def _sendfile(layer: Layer, usual: Callable[..., int]) -> Callable[..., int]:
    def sent(out: int, source: int, offset: int | None, count: int, **named: Any) -> int:
        place = layer.place(out)
        if place and (fault := layer.due("copy", place)):
            if fault.torn and offset is not None:
                usual(out, source, offset, os.fstat(source).st_size // 2)
            raise error_of(fault)
        return usual(out, source, offset, count, **named)

    return sent


class _Base(sqlite3.Connection):
    """A connection whose statements are calls."""

    layer: Layer
    place: str

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        _in_sqlite(self.layer, "read" if sql.startswith("SELECT") else "write", self.place)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        _in_sqlite(self.layer, "write", self.place)
        return super().executemany(sql, parameters)


def _in_sqlite(layer: Layer, kind: str, place: str) -> None:
    if fault := layer.due(kind, place):
        full = fault.number in (errno.ENOSPC, errno.EDQUOT)
        raise sqlite3.OperationalError("database or disk is full" if full else "disk I/O error")


def _connecting(layer: Layer, usual: Callable[..., Any]) -> Callable[..., Any]:
    def connected(path: Any, *args: Any, **named: Any) -> Any:
        place = layer.place(path)
        if not place:
            return usual(path, *args, **named)
        if layer.due("create", place):
            raise sqlite3.OperationalError("unable to open database file")
        base = usual(path, *args, **named, factory=_Base)
        base.layer, base.place = layer, place
        return base

    return connected


FUNCTIONS = {
    "fsync": "sync", "replace": "rename", "rename": "rename", "unlink": "unlink", "remove": "unlink",
    "rmdir": "unlink", "mkdir": "mkdir", "listdir": "list", "scandir": "list", "stat": "look", "lstat": "look",
    "truncate": "resize", "utime": "touch", "chmod": "touch",
}  # fmt: skip


@contextlib.contextmanager
def failing(layer: Layer) -> Iterator[Layer]:
    """Within it, the file layer is this one."""
    with pytest.MonkeyPatch.context() as patch:
        opened = _opening(layer, io.open)
        patch.setattr(io, "open", opened)
        patch.setattr(builtins, "open", opened)
        for name, kind in FUNCTIONS.items():
            patch.setattr(os, name, _wrapped(layer, kind, getattr(os, name)))
        patch.setattr(os, "open", _os_open(layer, os.open))
        patch.setattr(os, "write", _os_write(layer, os.write))
        patch.setattr(os, "sendfile", _sendfile(layer, os.sendfile))
        patch.setattr(fcntl, "flock", _wrapped(layer, "lock", fcntl.flock))
        patch.setattr(sqlite3, "connect", _connecting(layer, sqlite3.connect))
        patch.setattr(safetensors, "safe_open", _wrapped(layer, "open", safetensors.safe_open))
        yield layer


def counted(roots: Iterable[Path], work: Callable[[], object]) -> list[Call]:
    """The calls that some work makes when nothing fails."""
    with failing(Layer(tuple(map(os.fspath, roots)))) as layer:
        work()
    return layer.calls
