"""Linear probes of some runs' networks, before training and as kept, at any of their layers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from memstudy.analysis import linear_probe
from memstudy.data import artifact
from memstudy.derived.analysis import UNWATCHED, Watch
from memstudy.derived.cached_table import CachedTable
from memstudy.derived.kept import INITIAL, checkpoint, kept
from memstudy.derived.layers import output_of
from memstudy.derived.probe import Probe
from memstudy.derived.reading import read
from memstudy.derived.training_set import training_set
from memstudy.derived.workbench import NotFinite, Workbench
from memstudy.errors import MemstudyError, quoted
from memstudy.models import Network
from memstudy.store import RunDirectory, code
from memstudy.store.store import Selection
from memstudy.training.evaluation import batch_size

PROBES = "probe.csv"
PIXELS = "pixels"
"""In place of a layer's name: the images themselves are probed."""
KEY = ("run", "epoch", "checkpoint", "layer", "samples")
VERSION = ("checkpoint", "samples")


def probes(
    selection: Selection,
    bench: Workbench,
    probe: Probe,
    watch: Watch = UNWATCHED,
) -> pd.DataFrame:
    """Probe layers of every kept network (or of those nearest to `probe.epochs`) and of the untrained one; and
    pixels.

    Returns and writes one row per (run, epoch, layer); before training the epoch is -1. `samples` is the number of
    training images with true labels that the probe learns from, a stratified part of at most `probe.samples`.
    `accuracy` is the probe's on all test images, and `head_accuracy` the network's own (NaN before training), both
    fractions. Rows not asked for leave the file. The watch is told which networks diverged, or have other code
    now. A MemstudyError for fewer samples than classes, and for a layer that a network does not have.
    """
    if PIXELS in probe.layers:
        raise MemstudyError("raw pixels are probed anyway, as a control; name layers, such as trunk.")
    selection = code.usable(selection, watch.left_out)
    wanted = [(run, epoch) for run in selection.runs for epoch in (INITIAL, *kept(run, probe.epochs))]
    sizes = {run.name: _size(run, probe.samples) for run in selection.runs}
    with CachedTable(selection.path / PROBES, KEY, VERSION) as rows:
        for done, (run, epoch) in enumerate(wanted):
            version = checkpoint(run, epoch)
            names = dict.fromkeys([PIXELS, *probe.layers] if epoch == INITIAL else probe.layers)
            keys = {layer: (run.name, epoch, version, layer, sizes[run.name]) for layer in names}
            for key in keys.values():
                (rows.keep if len(rows.find(*key)) else rows.expect)(*key)
            missing = [layer for layer, key in keys.items() if not len(rows.find(*key))]
            try:
                for layer, row in _rows(run, epoch, bench, missing, probe.samples).items():
                    rows.add(row, keys[layer])
            except NotFinite as error:
                watch.left_out(str(error))
            watch.progress(done + 1, len(wanted))
    return read(selection.path / PROBES)


def _size(run: RunDirectory, samples: int) -> int:
    """The number of training images that a run's probes learn from."""
    labels = run.read_labels(artifact.read)
    if samples < (classes := len(labels.class_names)):
        raise MemstudyError(
            f"--samples must be at least {classes}, one of each class of {quoted(labels.dataset)}, not {samples}."
        )
    return min(samples, len(labels.clean))


def _rows(
    run: RunDirectory, epoch: int, bench: Workbench, layers: Sequence[str], samples: int
) -> dict[str, pd.DataFrame]:
    """One row for each layer of one network."""
    if not layers:
        return {}
    train, test = training_set(bench, run, samples), bench.test_set(run)
    network = bench.untrained(run, train.images) if epoch == INITIAL else bench.network(run, epoch)
    head_accuracy = float("nan") if epoch == INITIAL else float(run.metrics()["test_accuracy"][epoch])
    rows = {}
    for layer in layers:
        train_features, test_features = (
            _activations(network, layer, images) for images in (train.images, test.images)
        )
        if not (train_features.isfinite().all() and test_features.isfinite().all()):
            raise NotFinite(run, epoch)
        accuracy = linear_probe(train_features, train.true, test_features, test.labels)
        rows[layer] = pd.DataFrame([{"accuracy": accuracy, "head_accuracy": head_accuracy}])
    return rows


@torch.no_grad()
def _activations(network: Network, layer: str, images: Tensor) -> Tensor:
    """A layer's output on all images, or the images themselves for PIXELS: (N, p)."""
    if layer == PIXELS:
        return images.flatten(1)
    output = output_of(network, layer)
    return torch.cat([output(chunk).flatten(1) for chunk in images.split(batch_size(images))])
