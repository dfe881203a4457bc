"""Export of a run for other tools: predicted probabilities and given labels, in cleanlab's format."""

from __future__ import annotations

import numpy as np

from memstudy import files
from memstudy.data import dataset
from memstudy.derived.kept import without
from memstudy.derived.workbench import NotFinite, Workbench
from memstudy.errors import MemstudyError
from memstudy.store import RunDirectory
from memstudy.training import DeviceData, predict


def memorizing_from(run: RunDirectory) -> int | None:
    """The first epoch whose L_c is below the floor of the labels, which proves memorization; or None."""
    losses = run.metrics()["train_cross_entropy"]
    below = losses.index[losses < run.floor]
    return int(below[0]) if len(below) else None


def default_epoch(run: RunDirectory) -> int:
    """The last kept epoch before memorization is proven (ours); the first kept one, if all are later.

    It follows from the training loss and the corruption rule alone. No test label is looked at.
    """
    first, kept = memorizing_from(run), run.checkpoints()
    if not kept:
        raise MemstudyError(f"{without(run)}, so there is none to predict with.")
    return max((epoch for epoch in kept if first is None or epoch < first), default=kept[0])


def cleanlab(run: RunDirectory, bench: Workbench, epoch: int) -> bytes:
    """An .npz with the probabilities that the network kept after `epoch` gives the samples it was trained on.

    pred_probs              (N, K) float64, rows add up to 1: in-sample probabilities
    labels                  (N,) int64, the given (noisy) labels
    true_labels, corrupted  (N,) int64 and bool, to check what is found
    positions               (N,) int64, the place of each sample in the set's training part
    run, epoch              a name, and a number

    Images are not augmented. A MemstudyError if the epoch was not kept, its network diverged, or the
    images found are not those of the run.
    """
    network = bench.network(run, epoch)  # which checks the images
    data = dataset.build(run.recipe, bench.data_dir, label_files=(run.labels(),))
    on_device = DeviceData.of(data, bench.device)
    probabilities = predict(network, on_device, on_device.train_images).double().softmax(dim=1)
    if not probabilities.isfinite().all():
        raise NotFinite(run, epoch)
    return files.npz(
        pred_probs=probabilities.cpu().numpy(),
        labels=data.noisy_labels.numpy(),
        true_labels=data.images.train_labels.numpy(),
        corrupted=data.mask.numpy(),
        positions=data.positions,
        run=np.array(run.name),
        epoch=np.array(epoch),
    )
