"""Files that are either wholly there or not at all, and checked when read back. No pickle."""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import io
import json
import os
import re
import shutil
import socket
import stat
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from memstudy import processes
from memstudy.errors import MemstudyError, Unreadable, reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEMPORARY = ".tmp-"
MARK = re.compile(r"\.tmp-((?P<here>[0-9a-f]{8})-)?(?P<pid>[0-9]+)-((?P<start>[0-9]*)-[0-9]+-)?")
"""Whose a temporary name is. Earlier versions wrote the process' number alone."""
KEPT_OF_NAME = 150
"""Bytes: file systems allow 255 of a name."""
DAY = 86_400.0
"""Seconds."""
_NUMBERS = count()
_SWEPT: set[Path] = set()

UNANSWERED = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT}
"""What a disk or a file server says that does not do its work; it may the next time."""
ANOTHER_STORE = "with --runs-dir (or MEMSTUDY_RUNS)"


@contextlib.contextmanager
def explained(path: Path, how: str = ANOTHER_STORE) -> Iterator[None]:
    """Turn a refusal to write at `path` into a MemstudyError; `how` says how to choose another place."""
    try:
        yield
    except OSError as error:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        named = path if not names or any(TEMPORARY in name for name in names) else names[0]
        cure = "try again when its disk answers" if error.errno in UNANSWERED else "make room there"
        raise MemstudyError(
            f"cannot write {named}: {error.strerror or error}; choose another place {how}, or {cure}."
        ) from error


@contextlib.contextmanager
def answered() -> Iterator[None]:
    """Turn the system's refusal of any file, which it names, into an Unreadable."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise
        raise unusable("use", error.filename, error) from error


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the system's refusal to read `path` into an Unreadable."""
    try:
        yield
    except OSError as error:
        raise unusable("read", path, error) from error


def unusable(verb: str, path: object, error: OSError) -> Unreadable:
    """The answer to the system's refusal of a file."""
    cure = "try again when its disk answers" if error.errno in UNANSWERED else "allow it, and try again"
    if isinstance(error, ABSENT) or not error.errno:
        cure = "check its path"
    return Unreadable(f"cannot {verb} {path}: {error.strerror or error}; {cure}.")


def refusal(path: object, error: Exception) -> Unreadable | None:
    """The answer to an error that is the system's refusal to read; None if it says that the content is wrong.

    Readers take one for the other, so what an error came of counts, too.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno not in (None, errno.EINVAL):
            return unusable("read", path, cause)
        cause = cause.__cause__ or cause.__context__
    return None


ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
"""What the system says of a file that is not there."""
RUN_AGAIN = "restore it, or remove its run directory and run it again"


def damaged(path: Path, why: object, cure: str = RUN_AGAIN) -> MemstudyError:
    """The answer to a file that cannot be trusted."""
    return MemstudyError(f"{path} is damaged or was changed ({reason(why)}); {cure}.")


@contextlib.contextmanager
def blamed(path: Path, cure: str = RUN_AGAIN) -> Iterator[None]:
    """Around the use of a file's content: a MemstudyError gets the file's name, and what to do."""
    try:
        yield
    except MemstudyError as error:
        raise damaged(path, str(error).rstrip("."), cure) from error


def now() -> str:
    """The time, as files have it: ISO 8601 to the second, in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def write(path: Path, content: bytes | str, how: str = ANOTHER_STORE, earlier: Path | None = None) -> None:
    """Write a file as `writing` does."""
    with writing(path, how, earlier) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def writing(path: Path, how: str = ANOTHER_STORE, earlier: Path | None = None) -> Iterator[BinaryIO]:
    """Write atomically: a temporary file in the same directory, flushed to disk, then renamed.

    What was there before is kept under the name `earlier`, if one is given, in place of what had that name. If the
    block raises, it stays in its place, and nothing is written.
    """
    temporary = beside(path)
    with explained(path, how):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep_once(path.parent)
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if earlier is not None and is_there(path):
                path.replace(earlier)
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """A temporary name beside `path` that no other process uses, on this machine or another, and nobody twice."""
    mark = f"{_here()}-{os.getpid()}-{processes.start(os.getpid())}-{next(_NUMBERS)}"
    return path.with_name(f"{TEMPORARY}{mark}-{path.name.encode()[:KEPT_OF_NAME].decode(errors='ignore')}")


def sweep(folder: Path) -> None:
    """Remove what killed processes left in a folder under such names, if that is allowed.

    Of a process of another machine it cannot be asked whether it lives: what is a day old is taken for left.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 (of a store with ten thousand runs)
            if name.startswith(TEMPORARY) and (mark := MARK.match(name)) and _is_left(folder / name, mark):
                _remove_whole(folder / name)


def _is_left(path: Path, mark: re.Match[str]) -> bool:
    if mark["here"] == _here():
        return not processes.lives(int(mark["pid"]), mark["start"])
    try:
        return time.time() - path.lstat().st_mtime > DAY
    except OSError:
        return False


def sweep_once(folder: Path) -> None:
    """Look for what others left before this process first writes to a folder."""
    if folder not in _SWEPT:
        _SWEPT.add(folder)
        sweep(folder)


def _remove_whole(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, as far as that is allowed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        tidy([path])


@cache
def _here() -> str:
    """Eight digits that are this machine's, since it was started."""
    return digest(f"{socket.gethostname()}/{processes.machine()}".encode())[:8]


def cache_directory() -> Path:
    """MEMSTUDY_CACHE, else the user's cache. What is in it may be removed at any time."""
    import platformdirs

    return Path(os.environ.get("MEMSTUDY_CACHE") or platformdirs.user_cache_path("memstudy"))


def remove(paths: Iterable[Path]) -> None:
    """Remove files, such as those that the newest derivation did not write again; one that is gone is no error."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise MemstudyError(
                f"cannot remove {path}: {error.strerror or error}; remove it yourself, or allow it, and try again."
            ) from error


def discard(folder: Path) -> None:
    """Remove a folder: renamed first, so that at every moment it is there wholly or not at all.

    Of a link to a folder the link alone is removed. A MemstudyError if something in it could not be.
    """
    aside = beside(folder)
    folder.rename(aside)
    try:
        if aside.is_symlink():
            aside.unlink()
        else:
            shutil.rmtree(aside)
    except OSError as error:
        raise MemstudyError(
            f"{folder} is removed, but not all that was in it: cannot remove {error.filename or aside}: "
            f"{error.strerror or error}; remove {aside} yourself."
        ) from error


def copy(source: Path, place: Path) -> None:
    """Copy a file and its times, flushed to disk; an OSError if that cannot be done."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as content, place.open("wb") as file:
        shutil.copyfileobj(content, file)
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(OSError):
        shutil.copystat(source, place)


def check_writable(folder: Path, how: str = ANOTHER_STORE) -> None:
    """Raise a MemstudyError if nothing can be written to a folder, before hours are spent on what should be."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())  # nothing is made yet
    probe = beside(there / "room")
    with explained(folder, how):
        try:
            probe.touch()
        finally:
            tidy([probe])


def sync(path: Path) -> None:
    """Flush to disk what was written to a file."""
    with explained(path), path.open("r+b") as file:
        os.fsync(file.fileno())


def tidy(paths: Iterable[Path]) -> None:
    """Remove files that a killed process left, if that is allowed; nothing depends on it."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def is_locked(path: Path) -> bool:
    """Whether a process of this machine holds a file locked by the kernel. It is never created."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:  # it is not there; or in a store we may only read, where nobody here can write
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # closing it lets it go
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON atomically, indented, keys in their order."""
    write(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read(path: Path, cure: str = RUN_AGAIN) -> bytes:
    """The content of a file that must be there; a MemstudyError if it is not, or cannot be read."""
    with reading(path):
        try:
            return content(path)
        except ABSENT as error:
            raise damaged(path, error.strerror, cure) from error


def content(path: Path) -> bytes:
    """The bytes of a file; an OSError of a pipe or device, of which nothing may come, or something without end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise IsADirectoryError(0, "it is no file")
    return path.read_bytes()


def is_there(path: Path | str) -> bool:
    """Whether a file is there. Unlike `Path.is_file`, an OSError if the system does not say: it may be there."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 (of ten thousand runs)
    except ABSENT:
        return False


def read_json(path: Path, cure: str = RUN_AGAIN) -> dict[str, Any]:
    """Read a JSON object; a MemstudyError if the file is damaged."""
    try:
        value = json.loads(read(path, cure))
    except (ValueError, RecursionError) as error:  # bad JSON, bad UTF-8, too many digits, nested too deeply
        raise damaged(path, error, cure) from error
    if not isinstance(value, dict):
        raise damaged(path, "no JSON object", cure)
    return value


def npz(**arrays: NDArray[Any]) -> bytes:
    """Arrays as the bytes of an uncompressed .npz that `numpy.load` reads.

    Equal arrays give equal bytes on every system and with every version of numpy and Python: what those choose
    in an archive (times, systems, the padding of a header) is fixed here.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, _npy(array))
    return buffer.getvalue()


def _npy(array: NDArray[Any]) -> bytes:
    """An array in numpy's format, version 1.0: little-endian, C order. Text and numbers, no objects."""
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    if little.dtype.hasobject:
        raise TypeError("objects are not written: reading them back would run a pickle")
    header = f"{{'descr': {little.dtype.str!r}, 'fortran_order': False, 'shape': {little.shape!r}, }}"
    padding = " " * (-(10 + len(header) + 1) % 64)
    text = (header + padding + "\n").encode("latin1")
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + little.tobytes()


def digest(content: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_of(path: Path, called: Path | None = None) -> str:
    """The same of a file's content, however large it is; an Unreadable, which may call it otherwise."""
    with reading(called or path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
