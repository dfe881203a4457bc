"""What is killed: commands of every kind, small enough to be killed hundreds of times, on real images."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Case:
    """A command that is killed and given again.

    Attributes:
        name: what it is, in the campaign's table.
        words: the command; {root} stands for the store, {out} for a folder beside it, {data} for the image sets.
        begun: what is there before: a key of STAGES, or "" for nothing.
        processes: whether it has processes of its own, which may be saving when the command is given again.
        done: exit codes, beside 0, of the same command once all is done: there is nothing more to remove.

    """

    name: str
    words: tuple[str, ...]
    begun: str = ""
    processes: bool = False
    done: tuple[int, ...] = ()

    def given(self, place: Path, data: Path) -> list[str]:
        """The words, in a place that holds the store and what the command writes beside it."""
        known = {"root": str(place / "runs"), "out": str(place / "out"), "data": str(data)}
        return [word.format(**known) for word in self.words]


def _run(name: str, *words: str, dataset: str = "few", epochs: int = 4) -> Case:
    sizes = ("--epochs", str(epochs), "--checkpoints", "2", "--batch-size", "30")
    where = ("--threads", "1", "--device", "cpu", "--runs-dir", "{root}")
    return Case(name, ("run", "--dataset", dataset, *sizes, *words, *where))


def _step(*words: str, begun: str = "derived", done: tuple[int, ...] = ()) -> Case:
    shown = " ".join("TARGET" if "{" in word else word for word in words)
    return Case(shown, (*words, "--runs-dir", "{root}"), begun, done=done)


RUNS = (
    *(_run(f"run --reg {reg}", "--reg", reg) for reg in REGULARIZERS),
    _run("run --optimizer adam, cosine, mixup", "--optimizer", "adam", "--schedule", "cosine", "--mixup", ".2"),
    _run("run --augment flip-crop --clip 1", "--augment", "flip-crop", "--clip", "1", "--label-smoothing", ".1"),
    _run("run --evaluate-every 2", "--evaluate-every", "2"),
    _run("run --no-dynamics --precision bf16", "--no-dynamics", "--precision", "bf16"),
)
NETWORKS_RUNS = tuple(
    _run(f"run --network {name}", "--network", name, "--reg", "al2", dataset="fewer", epochs=2) for name in LARGE
)
TRAINING = ("study", "{out}/tiny.toml", "--threads", "1", "--device", "cpu", "--runs-dir", "{root}")
FLEET = Case(
    "study --jobs 1 --fleet 4", (*TRAINING, "--jobs", "1", "--fleet", "4", "--train-only"), processes=True
)
PROCESSES = Case("study --jobs 2", (*TRAINING, "--jobs", "2", "--train-only"), processes=True)
WHOLE = Case("study, with all it derives", (*TRAINING, "--jobs", "1"), processes=True)
STUDIES = (FLEET, PROCESSES, WHOLE)
PACK = _step("pack", "{out}/pack", "--whole", begun="trained")
STAGES = {"trained": ("", PROCESSES), "derived": ("trained", WHOLE), "packed": ("trained", PACK)}
"""What is there before a command, by its name: the stage before it, and what leads from there to it."""
ANALYSES = tuple(
    _step(name, begun="trained") for name in ("svcca", "ablate", "probe", "filters", "landscape", "dynamics")
)
STEPS = (
    *(_step(*words) for words in (("table",), ("figures",), ("report",), ("pack", "{out}/pack"))),
    PACK,
    Case("unpack TARGET", ("unpack", "{out}/pack", "--runs-dir", "{out}/merged"), "packed"),
    _step("export", "-o", "{out}/metrics.csv", begun="trained"),
    _step("move", "*", "{out}/archive", begun="trained"),
    _step("rm", "*-bare-*", "--yes", begun="trained", done=(2,)),
    _step("rerun", "*-bare-s0-*", begun="trained"),
    _step("track", "--to", "tensorboard", begun="trained"),
)
MLFLOW = _step("track", "--to", "mlflow", begun="trained")


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
