"""A run of the store, and carrying one out: `memstudy run` from Python."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from memstudy import presets, regularizers
from memstudy import trust as consent
from memstudy.api.given import folder as path_of
from memstudy.api.given import named
from memstudy.data import artifact, sources
from memstudy.data.artifact import Artifact
from memstudy.errors import MemstudyError, quoted
from memstudy.recipe import OptionValue, Recipe
from memstudy.regularizers import Regularizer
from memstudy.report.verdict import Verdict, verdict, verdict_text
from memstudy.store import RunDirectory
from memstudy.store import Store as Directories
from memstudy.store.summary import run_summary
from memstudy.study import label_option
from memstudy.study.carry_out import Execution, carry_out

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Run:
    """A run in its directory. What it says is read from there when it is asked for."""

    directory: RunDirectory

    @property
    def name(self) -> str:
        """The directory's name; its last eight digits name the run in commands."""
        return self.directory.name

    @property
    def path(self) -> Path:
        """The run's directory."""
        return self.directory.path

    @property
    def recipe(self) -> Recipe:
        """What was trained, and how."""
        return self.directory.recipe

    @property
    def status(self) -> str:
        """`finished`, `interrupted`, `failed`, `running` or `new`."""
        return str(self.directory.status)

    def metrics(self) -> pd.DataFrame:
        """A row for each epoch, `epoch` from 0; shares are from 0 to 1, losses in nats (docs: a run's files)."""
        return self.directory.metrics()

    def records(self) -> pd.DataFrame:
        """A row for each training sample: labels, prediction, loss, margin, when it was learned, ….

        After the last epoch that is done; an empty cell means never. A MemstudyError if samples were not recorded.
        """
        from memstudy.derived.dynamics.measure import per_sample

        return widened(per_sample(self.directory))

    def labels(self) -> Artifact:
        """The labels that it was trained on: `clean`, `noisy` (N,), `mask`, `transition` (K, K), …, as arrays."""
        return self.directory.read_labels(artifact.read)

    def summary(self) -> dict[str, Any]:
        """The run in short, as `memstudy runs --json` has it."""
        return run_summary(self.directory)

    def verdict(self) -> Verdict:
        """What it memorized, with 95 % intervals, and where its loss is beside the floor."""
        return verdict(self.directory)

    def __str__(self) -> str:
        """The verdict in words."""
        return verdict_text(self.directory)

    def __repr__(self) -> str:
        return f"<run {self.name}, {self.status}, {self.directory.epochs_done} epochs done>"


def widened(samples: pd.DataFrame) -> pd.DataFrame:
    """Records as float32: pandas cannot print, nor compute much with, the float16 in which they are kept."""
    return samples.astype(dict.fromkeys(samples.columns[samples.dtypes == "float16"], "float32"))


def run(
    preset: str = presets.DEFAULT,
    *,
    store: str | Path = "runs",
    reg: str | Regularizer | Sequence[Regularizer] = regularizers.BARE,
    options: Mapping[str, Mapping[str, OptionValue]] | None = None,
    recipe: Recipe | None = None,
    device: str = "auto",
    threads: int | Literal["auto"] = "auto",
    dynamics: bool | None = None,
    evaluate_every: int | None = None,
    data_dir: str | Path | None = None,
    download: bool = False,
    trust: bool = False,
    labels: str | Path | None = None,
    label_column: str | None = None,
    anyway: bool = False,
    **settings: Any,
) -> Run:
    """Train one network on corrupted labels: `memstudy run`, with the same options by the same names.

    preset: `quick` or `al2`; each of `settings` goes before it.
    store: the folder of runs. The same recipe is the same run: it is continued, or found finished.
    reg: regularizers, as `"bn+al2"`, or the penalties of a loop: `memstudy.AL2(advance=5)`, or several.
    options: of regularizers that `reg` names: `{"al2": {"advance": 5}}`.
    recipe: everything about a run, instead of preset, reg, options and settings.
    device, threads, dynamics, evaluate_every, data_dir, download: how it is carried out, not what is trained.
    trust: let code of others run that a `recipe` names; else only such as was allowed before (docs: extending).
    labels, label_column, anyway: a file of labels, and how it is read.
    settings: what else determines a run: dataset, network, seed, noise, corrupt, corrupt_seed, epochs, lr,
        batch_size, optimizer, checkpoints, …

    Raises a MemstudyError for what is wrong, an Interrupted after Ctrl-C, when all is saved, and a RunFailed if
    the loss becomes NaN.
    """
    folder = None if data_dir is None else path_of(data_dir, "data_dir")
    files: tuple[Any, ...] = ()
    given = settings | {"labels": labels, "label_column": label_column, "anyway": anyway}
    with consent.everything(trust):
        if recipe is None:
            recipe, files, folder = _chosen(preset, reg, options, given, settings, folder, download)
        elif settings or options or labels is not None or reg != regularizers.BARE:
            raise MemstudyError(
                "a recipe says everything about a run; leave out reg, options, labels and settings."
            )
        recipe = presets.check(recipe)
    execution = Execution(
        device, threads, data_dir=folder, download=download, label_files=files, dynamics=dynamics,
        evaluate_every=evaluate_every,
    )  # fmt: skip
    return Run(carry_out(Directories(path_of(store, "store")).open(recipe), execution))


def _chosen(
    preset: str,
    reg: str | Regularizer | Sequence[Regularizer],
    options: Mapping[str, Mapping[str, OptionValue]] | None,
    given: Mapping[str, Any],
    settings: dict[str, Any],
    folder: Path | None,
    download: bool,
) -> tuple[Recipe, tuple[Any, ...], Path | None]:
    """The recipe that these words describe, the files of labels that it needs, and the folder of its images."""
    reg, options = named(reg, options)
    consent.allow(presets.names(settings))
    settings, folder = _at_its_place(settings, folder)
    if settings.get("matrix") is not None:
        settings["matrix"] = np.asarray(settings["matrix"]).tolist()
    chosen = {"dataset": None, "corrupt_seed": None, "preset": preset} | dict(given) | settings
    files = label_option.taken(chosen, settings, folder, download, lambda sentence: None)
    return presets.build(**chosen, reg=reg, options=options), files, folder


def _at_its_place(settings: dict[str, Any], folder: Path | None) -> tuple[dict[str, Any], Path | None]:
    """Settings with the name of a set that is given by its path, and the folder that it is in."""
    where = settings.get("dataset")
    if not isinstance(where, str | Path) or not (isinstance(where, Path) or _is_path(where)):
        return settings, folder
    name, directory = sources.at(Path(where))
    if folder is not None and folder.resolve() != directory.resolve():
        raise MemstudyError(
            f"{quoted(str(where))} is in {directory}, and data_dir is another folder; leave it out."
        )
    return settings | {"dataset": name}, directory


def _is_path(dataset: str) -> bool:
    return not {"/", os.sep}.isdisjoint(dataset) or dataset.endswith(".npz")
