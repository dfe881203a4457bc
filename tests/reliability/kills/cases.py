"""What is killed: commands of every kind, small enough to be killed hundreds of times, on real images."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memstudy import files
from memstudy.data import sources
from memstudy.models import NETWORKS

REGULARIZERS = (
    "bare", "bn", "do", "wd", "al2", "loco", "normloss", "pilcro", "wn", "pbwn", "oni", "olm",
    "bn+al2", "do+wd+al2", "bn+loco+normloss", "bn+pilcro",
)  # fmt: skip
LARGE = {name: "al2" for name in NETWORKS.names() if name != "smallnet"} | {"vgg16": "nobn", "alexnet": "bn+do"}
SETS = {"few": (120, 150), "fewer": (20, 10)}
"""Parts of mnist5k, as sets of the user's own: training and test images. A large network takes the smaller one."""
STUDY = """
name = "tiny"
seeds = 2
[grid]
dataset = "few"
epochs = 2
checkpoints = 2
batch_size = 30
reg = ["bare", "do"]
[report]
analyses = ["svcca", "ablate"]
"""
GIVEN = ("out/tiny.toml", "out/packed/*", "*/tensorboard/*")
"""Of what is compared, what is given rather than made; and event files, which have times in every record."""


@dataclass(frozen=True)
class Case:
    """A command that is killed and given again.

    Attributes:
        name: what it is, in the campaign's table.
        words: the command; {root} stands for the store, {out} for a folder beside it, {data} for the image sets.
        begun: what the store has before: "" for nothing, "trained" for the study's runs, "derived" for all of it.
        trains: whether there are epochs, so that a continuation may begin in the middle.

    """

    name: str
    words: tuple[str, ...]
    begun: str = ""
    trains: bool = False

    def given(self, place: Path, data: Path) -> list[str]:
        """The words, in a place that holds the store and what the command writes beside it."""
        known = {"root": str(place / "runs"), "out": str(place / "out"), "data": str(data)}
        return [word.format(**known) for word in self.words]


def _run(name: str, *words: str, dataset: str = "few", epochs: int = 3) -> Case:
    sizes = ("--epochs", str(epochs), "--checkpoints", "2", "--batch-size", "30")
    whole = (
        "run",
        "--dataset",
        dataset,
        *sizes,
        *words,
        "--threads",
        "1",
        "--device",
        "cpu",
        "--runs-dir",
        "{root}",
    )
    return Case(name, whole, trains=True)


def _step(*words: str, begun: str = "derived") -> Case:
    return Case(f"memstudy {words[0]}", (*words, "--runs-dir", "{root}"), begun)


RUNS = (
    *(_run(f"run --reg {reg}", "--reg", reg) for reg in REGULARIZERS),
    _run("run --optimizer adam, cosine, mixup", "--optimizer", "adam", "--schedule", "cosine", "--mixup", ".2"),
    _run("run --augment flip-crop --clip 1", "--augment", "flip-crop", "--clip", "1", "--label-smoothing", ".1"),
    _run("run --evaluate-every 2", "--evaluate-every", "2"),
    _run("run --no-dynamics --precision bf16", "--no-dynamics", "--precision", "bf16"),
)
NETWORKS_RUNS = tuple(
    _run(f"run --network {name}", "--network", name, "--reg", "bn+al2", dataset="fewer", epochs=2)
    for name in LARGE
)
TRAINING = ("study", "{out}/tiny.toml", "--threads", "1", "--device", "cpu", "--runs-dir", "{root}")
FLEET = Case("study --jobs 1 --fleet 4", (*TRAINING, "--jobs", "1", "--fleet", "4", "--train-only"), trains=True)
WHOLE = Case("study, with all it derives", (*TRAINING, "--jobs", "1"), trains=True)
PROCESSES = Case("study --jobs 2", (*TRAINING, "--jobs", "2", "--train-only"), trains=True)
STEPS = (
    _step("svcca", begun="trained"),
    _step("ablate", begun="trained"),
    _step("probe", begun="trained"),
    _step("filters", begun="trained"),
    _step("landscape", begun="trained"),
    _step("dynamics", begun="trained"),
    _step("table"),
    _step("figures"),
    _step("report"),
    _step("pack", "{out}/pack", "--whole"),
    _step("unpack", "{out}/packed"),
    _step("export", "-o", "{out}/metrics.csv"),
    _step("track", "--to", "tensorboard"),
    _step("rerun", "*-bare-s0-*", begun="trained"),
)


def write_sets(folder: Path) -> None:
    """The image sets of SETS, of each class the same share."""
    images = sources.load("mnist5k")
    for name, (train, test) in SETS.items():
        chosen: dict[str, np.ndarray] = {}
        for part, count in (("train", train), ("test", test)):
            labels = np.asarray(getattr(images, f"{part}_labels"))
            index = np.concatenate([np.flatnonzero(labels == label)[: count // 10] for label in range(10)])
            pixels = np.asarray(getattr(images, f"{part}_images"))[index]
            chosen |= {f"{part}_images": pixels.squeeze(), f"{part}_labels": labels[index]}
        (folder / f"{name}.npz").write_bytes(files.npz(**chosen))


Prepare = Callable[[Case, Path], None]


def preparing(begun: dict[str, Path], packed: Path) -> Prepare:
    """What puts into a place all that a case needs: `begun` has the stores by `Case.begun`, `packed` a pack."""

    def prepare(case: Case, place: Path) -> None:
        out = place / "out"
        out.mkdir(parents=True)
        (out / "tiny.toml").write_text(STUDY)
        if "{out}/packed" in case.words:
            shutil.copytree(packed, out / "packed")
        elif case.begun:
            shutil.copytree(begun[case.begun], place / "runs")

    return prepare
