"""Code that is not memstudy's but enters a run: what it consists of, and where in it something went wrong.

Such code is a user's network, named `package.module:function`, or what another package registers through an entry
point. It consists of files, compared by content: the module's own and those of all users' modules that it imports,
directly or not. A module is a user's if its file is not in Python's library, not in a `site-packages` and not
memstudy's; of an installed package its own modules count, too, and so does its version.
Imports are read from the text of the files (nothing is run for it), so a module that is imported under a computed
name is not found, nor is a file that the code reads.
"""

from __future__ import annotations

import ast
import importlib
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from memstudy import files
from memstudy.errors import MemstudyError, quoted, shortened

OURS = __name__.partition(".")[0]
LIBRARY = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")})
INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class Code:
    """What some code consists of: the SHA-256 of each module's file, and the installed distribution it is of.

    Equal code has an equal `sha256`, wherever its files lie.
    """

    modules: Mapping[str, str]
    distribution: str | None = None

    @property
    def sha256(self) -> str:
        """One checksum of all."""
        lines = [self.distribution or "", *(f"{name} {self.modules[name]}" for name in sorted(self.modules))]
        return files.digest("\n".join(lines).encode())

    def as_dict(self) -> dict[str, Any]:
        """The form in which it is recorded with a run."""
        distribution = {} if self.distribution is None else {"distribution": self.distribution}
        return {"sha256": self.sha256, **distribution, "modules": dict(self.modules)}


_entered: dict[str, str] = {}
"""The module of each subject that was loaded in this process, such as `network 'nets:wide'`."""
_loaded: dict[str, tuple[object, Code]] = {}
"""By module, its specification and its code as they were when it was loaded; files may have been edited since."""


@contextmanager
def loading(subject: str, module: str) -> Iterator[None]:
    """Around the import of a subject's code: if it fails, a MemstudyError says where in the user's file."""
    try:
        yield
    except MemstudyError:
        raise
    except (Exception, SystemExit) as error:
        raise MemstudyError(
            f"cannot import {quoted(module)} for {subject}: {told(error)}; a module is looked for among the "
            "installed ones and in the directories of PYTHONPATH."
        ) from error
    if module.partition(".")[0] != OURS:
        _entered[subject] = module


def code(subject: str, module: str, distribution: str | None = None) -> Code | None:
    """What a subject's code, which is in a module, consists of; None if it is memstudy's. Imports the module.

    Files are read at the first call after the module was loaded. Then the answer stays, whatever becomes of the
    files: what runs is what was loaded. A MemstudyError if the module cannot be imported, or is in no file.
    """
    if module.partition(".")[0] == OURS:
        return None
    with loading(subject, module):
        loaded = importlib.import_module(module)
    version = getattr(loaded, "__spec__", None) or loaded  # a reloaded module has another specification
    kept = _loaded.get(module)
    if kept is None or kept[0] is not version:
        if not getattr(loaded, "__file__", None):
            raise MemstudyError(
                f"{subject} is in no file, so what a run is made of cannot be recorded: put it in one."
            )
        spec = getattr(loaded, "__spec__", None)
        kept = _loaded[module] = version, _consists_of(module, spec, Path(loaded.__file__ or ""))
    return Code(kept[1].modules, distribution)


def found(module: str) -> tuple[str, Code] | None:
    """Where the code is that importing a module would run, in words, and what it consists of. Nothing is imported.

    The innermost package's, if there is no such module in it: that is run before it shows. None if nothing is run.
    """
    specs = {name: _spec(name) for name in _with_parents(module)}
    there = {name: spec for name, spec in specs.items() if spec is not None}
    if not there:
        return None
    name, spec = list(there.items())[-1]
    path = _file(spec)
    places = list(spec.submodule_search_locations or ()) or [spec.origin or "an unknown place"]
    return str(places[0] if path is None else path), _consists_of(name, spec, path)


# Which modules


def _consists_of(module: str, module_spec: ModuleSpec | None, module_path: Path | None) -> Code:
    """The checksum of each of a user's modules that a module, found there, is made of, itself included."""
    checksums: dict[str, str] = {}
    family = module.partition(".")[0]
    waiting = [*_with_parents(module)]
    seen = set(waiting)
    while waiting:
        name = waiting.pop()
        spec = module_spec if name == module else _spec(name)
        path = module_path if name == module else _file(spec)
        if path is None or not (name.partition(".")[0] == family or _is_users(name, path)):
            continue
        content = _read(path, spec)
        if content is None:
            continue
        checksums[name] = files.digest(content)
        package = name if path.name.startswith("__init__.") else name.rpartition(".")[0]
        for other in _imported(content if path.suffix == ".py" else b"", package):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return Code(dict(sorted(checksums.items())))


def _is_users(name: str, path: Path) -> bool:
    if name.partition(".")[0] == OURS or INSTALLED & set(path.parts):
        return False
    return not any(path.resolve().is_relative_to(library) for library in LIBRARY)


def _file(spec: ModuleSpec | None) -> Path | None:
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def _read(path: Path, spec: ModuleSpec | None) -> bytes | None:
    """A module's file, wherever its loader finds it (in an archive, say); None if there is none."""
    with suppress(OSError):
        get = getattr(getattr(spec, "loader", None), "get_data", None)
        content: bytes = get(str(path)) if get else path.read_bytes()
        return content
    return None


def _spec(name: str) -> ModuleSpec | None:
    """Where a module would be imported from. Unlike `importlib.util.find_spec`, it imports no package for that."""
    spec: ModuleSpec | None = None
    for known in _with_parents(name):
        path = None if spec is None else spec.submodule_search_locations
        if spec is not None and path is None:
            return None
        spec = None
        for finder in sys.meta_path:
            with suppress(Exception):  # another's finder, or a folder that cannot be read
                spec = spec or finder.find_spec(known, path)
        if spec is None:
            return None
    return spec


def _with_parents(name: str) -> list[str]:
    """`a.b.c` → a, a.b, a.b.c: importing a module runs its packages, too."""
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def _imported(text: bytes, package: str) -> Iterator[str]:
    """What may be a module among the names that a module's text imports, relative ones resolved."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            if source:
                yield from _with_parents(source)
                yield from (f"{source}.{alias.name}" for alias in node.names)


# What went wrong, and where


def told(error: BaseException) -> str:
    """An exception in one line, with its place in the user's file: `ValueError: no (nets.py:12)`."""
    place = _place(error)
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    line = _line(error, message)
    return line if place is None else f"{line} ({place})"


def _line(error: BaseException, message: str) -> str:
    """An exception's kind and what it says, in one line: `ValueError: no`."""
    return f"{type(error).__name__}: {shortened(' '.join(message.split()))}".rstrip(".: ")


def _place(error: BaseException) -> str | None:
    """The innermost line of a user's on an exception's way; else of an installed package other than PyTorch."""
    if isinstance(error, SyntaxError) and error.filename:
        return located(error.filename, error.lineno or 0)
    users, packages = [], []
    for frame, line in traceback.walk_tb(error.__traceback__):
        name, path = str(frame.f_globals.get("__name__")), Path(frame.f_code.co_filename)
        if path.is_file() and _is_users(name, path):
            users.append((str(path), line))
        elif INSTALLED & set(path.parts) and name.partition(".")[0] not in (OURS, "torch", "click"):
            packages.append((str(path), line))
    lines = users or packages
    return located(*lines[-1]) if lines else None


def located(file: str, line: int) -> str:
    """`nets.py:12`, from the working directory on if it is below."""
    path = Path(file)
    with suppress(ValueError, OSError):
        path = path.relative_to(Path.cwd())
    return f"{path}:{line}"


def defined(function: object) -> str:
    """Where a function or method is defined, ` (nets.py:12)`; nothing if that is unknown."""
    body = getattr(getattr(function, "__func__", function), "__code__", None)
    return f" ({located(body.co_filename, body.co_firstlineno)})" if isinstance(body, CodeType) else ""


def is_ours(function: object) -> bool:
    """Whether a function is memstudy's own."""
    return str(getattr(function, "__module__", "")).partition(".")[0] == OURS


def blame(error: BaseException) -> str | None:
    """Which foreign code raised an exception, and where, as the start of a sentence; None if none was on its way.

    `regularizer 'mine' raised ZeroDivisionError: by zero in penalty (mine.py:12)`. Short
    memory is nobody's fault.
    """
    if isinstance(error, MemstudyError | MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return None
    way = list(traceback.walk_tb(error.__traceback__))
    frames: dict[str, list[tuple[FrameType, int]]] = {}
    for subject, module in _entered.items():
        modules = _loaded[module][1].modules if module in _loaded else {module: ""}
        if passed := [(frame, line) for frame, line in way if frame.f_globals.get("__name__") in modules]:
            frames[subject] = passed
    if not frames:
        return None
    passed = max(frames.values(), key=len)
    (outermost, _), (innermost, line) = passed[0], passed[-1]
    place = located(innermost.f_code.co_filename, line)
    return f"{' or '.join(frames)} raised {_line(error, str(error))} in {outermost.f_code.co_name} ({place})"


@contextmanager
def blamed() -> Iterator[None]:
    """Around what calls foreign code: its exceptions become MemstudyErrors that name it."""
    try:
        yield
    except (Exception, SystemExit) as error:
        sentence = blame(error)
        if sentence is None:
            raise
        raise MemstudyError(f"{sentence}.") from error
