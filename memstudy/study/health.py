"""What of memstudy works here: versions, device, image sets, store, and what is missing and how to get it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires
from pathlib import Path

from packaging.requirements import Requirement

import memstudy
from memstudy import files
from memstudy.data import own_sets, room, sources
from memstudy.errors import MemstudyError, reason
from memstudy.store import Store
from memstudy.study.environment import git_commit, installed

LEAST_FREE = 10**9
"""Bytes of disk: with less, the store may be full before a study is finished."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        part: `versions`, `extras`, `device`, `data`, `store` or `cache`.
        name: what it is; `found`: how it was found to be.
        problem: what is wrong with it, a clause; empty if nothing is.
        cure: what to do about the problem, or how to get what is missing; may be empty.

    """

    part: str
    name: str
    found: str
    problem: str = ""
    cure: str = ""


def findings(store: Store, data_dir: Path | None = None) -> list[Finding]:
    """All of them, in the order of their parts. Nothing is written but a file that is removed at once."""
    parts: tuple[Callable[[], Iterator[Finding]], ...] = (
        _versions, _extras, _device, lambda: _data(data_dir), lambda: _store(store), _cache,
    )  # fmt: skip
    return [finding for part in parts for finding in part()]


def _versions() -> Iterator[Finding]:
    commit = git_commit()
    yield Finding("versions", "memstudy", memstudy.__version__ + (f", commit {commit[:12]}" if commit else ""))
    yield Finding("versions", "Python", f"{platform.python_version()} ({sys.executable})")
    yield Finding("versions", "system", f"{platform.system()} {platform.release()} {platform.machine()}")
    for need in _needs():
        yield _package("versions", need, f"pip install '{need.name}{need.specifier}'")


def _extras() -> Iterator[Finding]:
    """What more can be installed: it is no problem that it is not."""
    for extra in _extra_names():
        get = f"pip install 'memstudy[{extra}]'"
        for need in _needs(extra):
            name = f"{extra}: {need.name}"
            if installed(need.name) is None:
                yield Finding("extras", name, "not installed", cure=get)
            else:
                yield _package("extras", need, get, name)


def _package(part: str, need: Requirement, cure: str, name: str = "") -> Finding:
    """A package that is needed, and whether its version will do."""
    version, name = installed(need.name), name or need.name
    if version is None:
        return Finding(part, name, "not installed", "it is needed", cure)
    if not need.specifier.contains(version, prereleases=True):
        return Finding(part, name, version, f"memstudy needs {need.specifier}", cure)
    return Finding(part, name, version)


def _extra_names() -> list[str]:
    """Of memstudy's own metadata; none where it runs from a folder that was not installed."""
    try:
        return sorted(metadata("memstudy").get_all("Provides-Extra") or ())
    except PackageNotFoundError:
        return []


def _needs(extra: str = "") -> list[Requirement]:
    """What an extra requires; without one, what memstudy itself does."""
    try:
        declared = [Requirement(line) for line in requires("memstudy") or ()]
    except PackageNotFoundError:
        return []
    if not extra:
        return [need for need in declared if _is_asked(need, "")]
    return [need for need in declared if _is_asked(need, extra) and not _is_asked(need, "")]


def _is_asked(need: Requirement, extra: str) -> bool:
    return need.marker is None or need.marker.evaluate({"extra": extra})


def _device() -> Iterator[Finding]:
    import torch

    from memstudy.training.device import cores, device_name

    yield Finding("device", "cpu", f"{device_name(torch.device('cpu'))}, {cores()} cores for this process")
    if (free := room.available()) is not None:
        yield Finding("device", "memory", f"{room.amount(free)} free for this process")
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    yield Finding(
        "device", "threads", f"one for each run, unless --threads says otherwise; OMP_NUM_THREADS {threads}"
    )
    if not torch.cuda.is_available():
        built = (
            f"torch is built for CUDA {torch.version.cuda}"
            if torch.version.cuda
            else "torch is built without CUDA"
        )
        yield Finding("device", "cuda", f"no GPU that torch can use ({built})")
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        memory = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        yield Finding("device", f"cuda:{index}", f"{torch.cuda.get_device_name(index)}, {memory}")


def _data(data_dir: Path | None) -> Iterator[Finding]:
    yield Finding("data", "directory", str(own_sets.data_directory(data_dir)))
    for each in sources.survey(data_dir):
        yield Finding(
            "data", each.name, each.about if each.installed else f"not here: {each.about}", cure=each.get
        )


def _store(store: Store) -> Iterator[Finding]:
    if not store.root.exists():
        yield Finding("store", "runs", f"{store.root.absolute()} is not there yet", cure="memstudy run makes it")
        return
    try:
        listing = store.listing()
    except (MemstudyError, OSError) as error:
        yield Finding(
            "store", "runs", str(store.root.absolute()), reason(error), "choose another one by --runs-dir"
        )
        return
    status = Counter(str(one.summary["status"]) for one in listing.runs)
    counts = "".join(f", {count:,} {name}" for name, count in status.items())
    yield Finding("store", "runs", f"{store.root.absolute()}: {len(listing.runs):,} runs{counts}")
    for name, sentence in listing.damaged.items():
        yield Finding("store", name, "damaged", sentence.rstrip("."), f"memstudy rm {name} removes it")
    yield _room("store", store.root)


def _cache() -> Iterator[Finding]:
    yield _room("cache", files.cache_directory())


def _room(part: str, folder: Path) -> Finding:
    """Whether a folder can be written to, and how much room there is."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(there).free
    found = f"{folder.absolute()}: {free / 1e9:,.1f} GB free"
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=files.TEMPORARY):
            pass
    except OSError as error:
        return Finding(
            part, "room", found, f"nothing can be written there ({error.strerror})", "choose another place"
        )
    if free < LEAST_FREE:
        return Finding(part, "room", found, "there is little room", "memstudy rm and memstudy move make some")
    return Finding(part, "room", found)
