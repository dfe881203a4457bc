"""Importance landscapes of some runs' networks, at initialization and as kept, and accuracy under test noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from memstudy.analysis import perturbation
from memstudy.analysis.landscape import correlation, max_over_min, measured, predicted, variation
from memstudy.data.dataset import stratified
from memstudy.data.images import ImageSet
from memstudy.derived.analysis import UNWATCHED, Watch
from memstudy.derived.cached_table import CachedTable, Task, fill
from memstudy.derived.kept import INITIAL, checkpoint, kept
from memstudy.derived.landscape import FLATNESS, MAPS, MEASURED, NOISE, PREDICTED, Landscape
from memstudy.derived.reading import read
from memstudy.derived.workbench import NotFinite, Workbench
from memstudy.errors import MemstudyError, quoted
from memstudy.models import Network
from memstudy.store import RunDirectory, code
from memstudy.store.store import Selection
from memstudy.training.batches import per_channel
from memstudy.training.evaluation import batch_size
from memstudy.training.placement import Placement

KEY = ("run", "epoch", "checkpoint", "images")
VERSION = ("checkpoint", "images")


def landscapes(
    selection: Selection,
    bench: Workbench,
    landscape: Landscape,
    watch: Watch = UNWATCHED,
) -> None:
    """Write three CSV files on every run: before training, and at every kept epoch or those nearest to its epochs.

    landscape.csv: one `value` of Ĩ, to six decimals, per (run, epoch, kind, row, column); `kind` is measured or
        predicted.
    landscape_flatness.csv: of each of these landscapes `cv`, the coefficient of variation; `max_over_min`; and the
        `correlation` of the measured with the predicted one.
    landscape_noise.csv: after the last kept epoch, `accuracy` (a fraction) per (run, noise, strength).

    All are measured on the same test images with their true labels, a stratified part of at most `images`. The
    watch is told which networks diverged or have other code now, which have collapsed, and which no theory
    predicts. A MemstudyError for fewer images than classes.
    """
    selection = code.usable(selection, watch.left_out)
    tables = {name: CachedTable(selection.path / name, KEY, VERSION) for name in (MAPS, FLATNESS, NOISE)}
    tasks = []
    for run in selection.runs:
        for epoch in (INITIAL, *kept(run, landscape.epochs)):
            names = [MAPS, FLATNESS, *([NOISE] if epoch == run.checkpoints()[-1] else [])]
            measure = partial(_rows, run, epoch, bench, landscape.images, names, watch.left_out)
            tasks.append(Task((run.name, epoch, checkpoint(run, epoch), landscape.images), names, measure))
    fill(tables, tasks, watch)
    for clause in _collapsed(read(selection.path / FLATNESS)):
        watch.left_out(clause)


def _collapsed(flatness: pd.DataFrame) -> list[str]:
    """A clause for each network whose landscape is 0."""
    if flatness.empty:
        return []
    flat = flatness[(flatness["kind"] == MEASURED) & flatness["cv"].isna()]
    return [
        f"{row['run']}, epoch {row['epoch']}: it has collapsed, as no pixel changes its loss; its landscape is 0, "
        "and its flatness in no mean"
        for row in flat.to_dict("records")
    ]


def _rows(
    run: RunDirectory,
    epoch: int,
    bench: Workbench,
    images: int,
    names: Sequence[str],
    on_left_out: Callable[[str], None],
) -> dict[str, pd.DataFrame]:
    """The rows of one network, by file. NOISE is measured only if it is among the names."""
    positions = _positions(bench.image_set(run), images)
    whole = bench.test_set(run)
    pixels, labels = whole.images[positions], whole.labels[positions]
    network = bench.untrained(run, pixels) if epoch == INITIAL else bench.network(run, epoch)
    maps = {MEASURED: measured(network, pixels, labels)}
    if not maps[MEASURED].isfinite().all():
        raise NotFinite(run, epoch)
    try:
        maps[PREDICTED] = predicted(network, pixels.shape[1:])
    except MemstudyError as error:
        on_left_out(f"{run.name}, epoch {epoch}, its prediction: {str(error).rstrip('.')}")
    tables = {
        MAPS: pd.concat([_pixels(kind, values) for kind, values in maps.items()], ignore_index=True),
        FLATNESS: pd.DataFrame([_flatness(kind, maps) for kind in maps]),
    }
    if NOISE in names:
        tables[NOISE] = _noise(network, bench.image_set(run), positions, bench.device)
    return tables


def _positions(images: ImageSet, wanted: int) -> Tensor:
    """Which test images are looked at: the same for every run on the same set."""
    if wanted < images.classes:
        raise MemstudyError(
            f"--images must be at least {images.classes}, one of each class of {quoted(images.name)}, not "
            f"{wanted}."
        )
    labels = images.test_labels.numpy()
    return torch.from_numpy(stratified(labels, None if wanted >= len(labels) else wanted, seed=0))


def _pixels(kind: str, values: Tensor) -> pd.DataFrame:
    height, width = values.shape
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = {"row": row.flatten(), "column": column.flatten()}
    return pd.DataFrame({"kind": kind, **places, "value": values.flatten().numpy().round(6)})


def _flatness(kind: str, maps: Mapping[str, Tensor]) -> dict[str, object]:
    both = len(maps) == 2
    return {
        "kind": kind,
        "cv": variation(maps[kind]),
        "max_over_min": max_over_min(maps[kind]),
        "correlation": correlation(maps[MEASURED], maps[PREDICTED]) if both else float("nan"),
    }


@torch.no_grad()
def _noise(network: Network, images: ImageSet, positions: Tensor, device: torch.device) -> pd.DataFrame:
    """Accuracy on true labels under every noise. Noise acts on intensities, which are normalized after it."""
    intensities = images.test_images[positions].float() / 255
    labels = images.test_labels[positions].to(device)
    mean, std = (per_channel(values, torch.device("cpu")) for values in (images.mean, images.std))
    rows = []
    for noise, strengths in perturbation.STRENGTHS.items():
        for strength in strengths:
            pixels = (perturbation.perturbed(intensities, noise, strength) - mean) / std
            pixels = pixels.to(device, memory_format=Placement.usual(device).memory_format)
            answers = torch.cat([network(chunk)[1].argmax(dim=1) for chunk in pixels.split(batch_size(pixels))])
            accuracy = float((answers == labels).double().mean())
            rows.append({"noise": noise, "strength": strength, "accuracy": accuracy})
    return pd.DataFrame(rows)
