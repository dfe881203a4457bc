"""Per-sample dynamics of some runs: which records tell that a label is wrong, and when each sample is learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from memstudy import files, spreadsheet
from memstudy.analysis import dynamics
from memstudy.data import artifact
from memstudy.data.artifact import Artifact
from memstudy.derived.analysis import UNWATCHED, Watch
from memstudy.derived.cached_table import CachedTable, Task, fill
from memstudy.recipe import spread
from memstudy.store import RunDirectory, Status
from memstudy.store.records import HOW_TO_RECORD, Dynamics
from memstudy.store.store import Selection

AUCS, COUNTS, LOSSES = "dynamics.csv", "dynamics_counts.csv", "dynamics_losses.csv"
KEY, VERSION = ("run", "records"), ("records",)
CLEAN, CORRUPTED = "clean", "corrupted"
MIXTURE = {CLEAN: "mixture, clean", CORRUPTED: "mixture, corrupted"}
SCORED_EPOCHS = 25
"""The number of epochs of a long run at which scores are judged, besides the kept ones."""
LOSS_EPOCHS, LOSS_BINS = 4, 40
"""The number of epochs at which the distribution of losses is taken, and of its bins."""


def measure(
    selection: Selection,
    watch: Watch = UNWATCHED,
) -> None:
    """Write three CSV files on the runs whose samples were recorded. The watch is told of the others, and why.

    dynamics.csv: `auc` of each of SCORES per (run, epoch, score), NaN where none or all are corrupted; of the
        mixture also the `accuracy` at a posterior of .5.
    dynamics_counts.csv: how many samples (`count`) of a `group`, clean or corrupted, have a `value` of a
        `quantity`: the functions of `analysis.dynamics` by their names, on noisy labels and, `…_true`, on true
        ones. The number of epochs, `epochs`, stands for never.
    dynamics_losses.csv: `density` (per nat) of the `loss` (a bin's center) at four epochs: of clean and of
        corrupted samples, whose areas add up to 1, and of the two components of the mixture.

    A file of records that is damaged raises a MemstudyError that names it.
    """
    tables = {name: CachedTable(selection.path / name, KEY, VERSION) for name in (AUCS, COUNTS, LOSSES)}
    recorded = []
    for run in selection.runs:
        if not run.has_records:
            watch.left_out(f"{run.name}, of whose samples there are no records; {HOW_TO_RECORD}")
        elif not run.epochs_done:
            watch.left_out(f"{run.name}, of which no epoch is finished")
        else:
            recorded.append(run)
    fill(tables, [Task((run.name, _version(run)), list(tables), partial(_rows, run)) for run in recorded], watch)


def _rows(run: RunDirectory) -> dict[str, pd.DataFrame]:
    """The rows of one run, by file."""
    labels = run.read_labels(artifact.read)
    records = run.dynamics(len(labels.noisy))
    return {AUCS: _aucs(records, labels), COUNTS: _counts(records, labels), LOSSES: _losses(records, labels)}


def _version(run: RunDirectory) -> str:
    """The version of a run's records: part of a checksum, or, while it is trained, the number of its epochs."""
    state = run.state()
    final = state.get("checksums", {}).get(f"{run.records.folder.name}/loss.npy", "")
    return str(final)[:12] if state["status"] == Status.FINISHED else f"{run.epochs_done} epochs"


def _aucs(records: Dynamics, labels: Artifact) -> pd.DataFrame:
    done = len(records.loss)
    wanted = {*spread(done, SCORED_EPOCHS), *records.kept}
    kept = dict(zip(records.kept, records.el2n, strict=True))
    scored = dynamics.scores_over_epochs(records.loss, records.margin, records.prediction, labels.noisy)
    rows: list[dict[str, object]] = []
    for epoch, scores in enumerate(scored):
        if epoch in wanted:
            scores |= {"el2n": kept[epoch].astype(np.float64)} if epoch in kept else {}
            accuracy = float("nan")
            if (mixture := dynamics.mixture(records.loss[epoch])) is not None:
                scores["mixture"] = -mixture.clean
                accuracy = mixture.accuracy(labels.mask)
            rows += [
                {
                    "epoch": epoch,
                    "score": name,
                    "auc": dynamics.auc(scores[name], labels.mask),
                    "accuracy": accuracy if name == "mixture" else float("nan"),
                }
                for name in dynamics.SCORES
                if name in scores
            ]
    return pd.DataFrame(rows)


def _learned(records: Dynamics, labels: Artifact) -> dict[str, NDArray[np.int64]]:
    """Each quantity of every sample, (N,) whole numbers, by its name."""
    return {
        f"{count.__name__}{suffix}": count(records.prediction, answers)
        for suffix, answers in (("", labels.noisy), ("_true", labels.clean))
        for count in (dynamics.first_learned, dynamics.learned_for_good, dynamics.forgetting_events)
    }


def _counts(records: Dynamics, labels: Artifact) -> pd.DataFrame:
    rows = []
    for quantity, values in _learned(records, labels).items():
        for group, members in _groups(labels).items():
            levels, counts = np.unique(values[members], return_counts=True)
            rows.append(pd.DataFrame({"quantity": quantity, "group": group, "value": levels, "count": counts}))
    return pd.concat(rows, ignore_index=True).assign(epochs=len(records.prediction))


def _groups(labels: Artifact) -> dict[str, NDArray[np.bool_]]:
    return {CLEAN: ~labels.mask, CORRUPTED: labels.mask}


def _losses(records: Dynamics, labels: Artifact) -> pd.DataFrame:
    rows = [
        pd.DataFrame({"epoch": epoch, "part": part, "loss": centers, "density": density})
        for epoch in spread(len(records.loss), LOSS_EPOCHS)
        for part, centers, density in _distribution(records.loss[epoch].astype(np.float64), _groups(labels))
    ]
    return pd.concat(rows, ignore_index=True).round({"loss": 5, "density": 6})


def _distribution(
    loss: NDArray[np.float64], groups: Mapping[str, NDArray[np.bool_]]
) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    """The distribution of one epoch's losses (N,): part, centers of bins, and densities per nat."""
    edges = np.histogram_bin_edges(loss, LOSS_BINS)
    centers = (edges[:-1] + edges[1:]) / 2
    for group, members in groups.items():
        counts, _ = np.histogram(loss[members], edges)
        yield group, centers, counts / (len(loss) * np.diff(edges))
    mixture = dynamics.mixture(loss)
    if mixture is not None:
        for group, densities in zip((CLEAN, CORRUPTED), mixture.densities(centers), strict=True):
            yield MIXTURE[group], centers, densities


def per_sample(run: RunDirectory) -> pd.DataFrame:
    """All scores of every training sample after the last epoch that is done, a row each, in the set's order.

    `position` is the sample's place in the set's training part; `el2n` is that of the last kept epoch,
    `clean_posterior` the mixture's. Margin and AUM have the papers' sign: low for corrupted samples. An empty cell
    means never.
    """
    labels = run.read_labels(artifact.read)
    return of_samples(run.dynamics(len(labels.noisy)), labels)


def of_samples(records: Dynamics, labels: Artifact) -> pd.DataFrame:
    """As `per_sample`, of records that need not be a run's."""
    mixture = dynamics.mixture(records.loss[-1])
    learned = {name: pd.array(values, dtype="Int64") for name, values in _learned(records, labels).items()}
    for name, values in learned.items():
        if "learned" in name:
            values[np.asarray(values) == len(records.loss)] = pd.NA
    return pd.DataFrame(
        {
            "position": labels.positions,
            "clean": labels.clean,
            "noisy": labels.noisy,
            "corrupted": labels.mask,
            "prediction": records.prediction[-1],
            "loss": records.loss[-1],
            "margin": records.margin[-1],
            "el2n": records.el2n[-1],
            "clean_posterior": np.nan if mixture is None else mixture.clean,
            "mean_loss": np.asarray(records.loss).mean(axis=0, dtype=np.float64),
            "aum": dynamics.area_under_margin(records.margin),
            **learned,
        }
    )


def write_samples(selection: Selection) -> None:
    """Write `per_sample` of every recorded run to samples/<run>.csv."""
    for run, path in zip(_recorded(selection), samples_paths(selection), strict=True):
        files.write(path, spreadsheet.csv(per_sample(run)))


def samples_paths(selection: Selection) -> list[Path]:
    """Where `write_samples` writes."""
    return [selection.path / "samples" / f"{run.name}.csv" for run in _recorded(selection)]


def _recorded(selection: Selection) -> list[RunDirectory]:
    return [run for run in selection.runs if run.has_records]
