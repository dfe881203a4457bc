"""Filter statistics of the kept networks of some runs, and of files of weights. No image is needed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from memstudy import files
from memstudy.analysis import filter_sizes, filters
from memstudy.analysis.filters import Tally
from memstudy.derived.analysis import UNWATCHED, Unusable, Watch
from memstudy.derived.cached_table import CachedTable, Task, completed, opened
from memstudy.derived.kept import checkpoint
from memstudy.derived.reading import read as read_table
from memstudy.errors import MemstudyError, reason
from memstudy.randomness import torch_generator
from memstudy.recipe import Recipe
from memstudy.regularizers.loco import LocoReg
from memstudy.store import Store
from memstudy.store.store import STUDIES, Selection
from memstudy.training.state import NETWORK

TALLIES, RINGS, LOG_WEIGHTS = "filters.csv", "filters_rings.csv", "filters_log_weights.csv"
SIZES = "filters_sizes.csv"
TRAINED, SHUFFLED = "trained", "shuffled"
DRAWS = 10
"""The number of times that the kernels of a network's last kept epoch are shuffled."""
CONVERSION = (
    "import torch; from safetensors.torch import save_file\n"
    "save_file({{k: v.clone() for k, v in torch.load({0!r}, weights_only=True).items()}}, {1!r})"
)


KEY = ("network", "epoch", "checkpoint", "choice", "seed", "draws")
VERSION = ("checkpoint", "choice", "seed", "draws")


@dataclass(frozen=True)
class Weights:
    """A network to look at: of a run and epoch, or of a file (no epoch); with its LOCO-Reg, if it has one.

    `digest` is the first 12 digits of the digest of its checkpoint or file.
    """

    name: str
    epoch: int | None
    digest: str
    load: Callable[[], Mapping[str, Tensor]]
    loco: LocoReg | None = None

    def __str__(self) -> str:
        return self.name if self.epoch is None else f"{self.name}, epoch {self.epoch}"


def selected(store: Store, weights: Sequence[Path]) -> Selection:
    """A selection without runs, for files of weights alone: it is named by the files' content."""
    digests = []
    for path in weights:
        read(path)  # before anything else is done: a file that is none
        digests.append(f"{_names(weights)[path]} {_digest(path)}")
    name = f"weights-{files.digest(chr(10).join(digests).encode())[:8]}"
    return Selection(name, (), store.root / STUDIES / name)


def measure(
    selection: Selection,
    weights: Sequence[Path] = (),
    *,
    choice: str = "named",
    seed: int = 0,
    watch: Watch = UNWATCHED,
) -> None:
    """Write the CSV files of a selection: on every kept network and every file of weights.

    filters.csv: one row per (network, epoch, size, weights, draw, part, comparison), see
        `analysis.filters.Tally`; `weights` are trained or, a negative control, shuffled within each kernel:
        DRAWS times, keyed by `seed`, after the last kept epoch only.
    filters_rings.csv: mean |w| at each `distance` from the center, and `relative` to that of all positions.
    filters_log_weights.csv: of the last such epoch, weights per bin of log10 |w| (`low` is its left edge, -inf
        for zeros) at each place: a distance, or the positions of the paper's figure.
    filters_sizes.csv, if a run uses LOCO-Reg: what its penalty is made of, one row per (network, epoch, kernel,
        distance), see `analysis.filter_sizes.Ring`; `share` is that of the network's whole penalty.

    `draws` in all of them is DRAWS after the last such epoch, else 0. The watch is told which networks have no
    such kernels, or not in their files, diverged or collapsed. A MemstudyError if those are all.
    """
    tables = {
        name: CachedTable(selection.path / name, KEY, VERSION) for name in (TALLIES, RINGS, LOG_WEIGHTS, SIZES)
    }
    wanted, left_out, usable = _wanted(selection, weights), list[str](), set[str]()

    def leave_out(clause: str) -> None:
        left_out.append(clause)
        watch.left_out(clause)

    telling = replace(watch, left_out=leave_out)
    with opened(tables):
        for network, draws in product(wanted, (0, DRAWS)):
            for table in tables.values():
                table.expect(*_key(network, choice, seed, draws))
        for done, network in enumerate(reversed(wanted)):  # so that a name's first usable network is its last
            draws = 0 if network.name in usable else DRAWS
            if completed(tables, _task(network, choice, seed, draws), telling):
                usable.add(network.name)
            watch.progress(done + 1, len(wanted))
    if not usable:
        raise MemstudyError(f"there are no kernels to look at: {'; '.join(left_out)}.")
    for clause in _collapsed(read_table(selection.path / RINGS)):
        watch.left_out(clause)


def _key(network: Weights, choice: str, seed: int, draws: int) -> tuple[Hashable, ...]:
    epoch = "" if network.epoch is None else network.epoch
    return (network.name, epoch, network.digest, choice, seed, draws)


def _task(network: Weights, choice: str, seed: int, draws: int) -> Task:
    """What is measured of a network; `draws` is 0 unless it is the last of its name."""
    tables = [TALLIES, RINGS, *([LOG_WEIGHTS] if draws else []), *([SIZES] if network.loco else [])]
    return Task(_key(network, choice, seed, draws), tables, partial(_rows, network, choice, seed, draws))


def _collapsed(rings: pd.DataFrame) -> list[str]:
    """A clause for each network whose kernels are all 0."""
    largest = rings.groupby(["network", "epoch"], sort=False, dropna=False, as_index=False)["mean_abs"].max()
    flat = largest[largest["mean_abs"] == 0].astype({"epoch": "Int64"})
    names = flat["network"] + (", epoch " + flat["epoch"].astype(str)).where(flat["epoch"].notna(), "")
    return [f"{name} has collapsed, as its kernels are 0; its rows have no fraction" for name in names]


def _wanted(selection: Selection, weights: Sequence[Path]) -> list[Weights]:
    """Every kept network, then every file; of a run in the order of its epochs."""
    of_runs = [
        Weights(run.name, epoch, checkpoint(run, epoch), partial(run.load_checkpoint, epoch), _loco(run.recipe))
        for run in selection.runs
        for epoch in run.checkpoints()
    ]
    of_files = [
        Weights(name, None, _digest(path)[:12], partial(read, path)) for path, name in _names(weights).items()
    ]
    return of_runs + of_files


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _loco(recipe: Recipe) -> LocoReg | None:
    options: dict[str, Any] | None = recipe.options("loco")
    return None if options is None else LocoReg(**options)


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """Files by their names without ending, or by their whole paths where two have the same name."""
    unique = dict.fromkeys(paths)
    stems = Counter(path.stem for path in unique)
    return {path: path.stem if stems[path.stem] == 1 else str(path) for path in unique}


def _network(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The network's tensors: of a checkpoint of ours without the state of training, of other files all."""
    network = {n.removeprefix(NETWORK): value for n, value in tensors.items() if n.startswith(NETWORK)}
    return network or dict(tensors)


def read(path: Path) -> dict[str, Tensor]:
    """The four-dimensional tensors of a safetensors file. A MemstudyError, with what to do, for any other file."""
    try:
        with path.open("rb") as raw:
            start = raw.read(4)
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if len(file.get_slice(name).get_shape()) == 4]  # noqa: SIM118
            return {name: file.get_tensor(name) for name in names}
    except OSError as error:
        raise MemstudyError(f"cannot read {path}: {error.strerror or error}.") from error
    except SafetensorError as error:
        if start == b"PK\x03\x04" or start[:1] == b"\x80":
            lines = CONVERSION.format(str(path), str(path.with_suffix(".safetensors")))
            raise MemstudyError(
                f"{path} is a pickle, which can run code, and is not opened; if you trust it, convert it with "
                f"these two lines of Python and give the new file:",
                below=lines,
            ) from error
        raise MemstudyError(f"{path} is no safetensors file, or is damaged ({reason(error)}).") from error


def _problem(tensors: Mapping[str, Tensor], layers: Mapping[str, Tensor], others: Counter[str]) -> str | None:
    """Why a network cannot be looked at, as the end of a sentence that begins with its name; None if it can."""
    if any(".parametrizations." in name for name in tensors):
        return "makes its weights from other tensors (wn, pbwn, oni, olm), so its kernels are not in its file"
    if not layers:
        sizes = ", ".join(f"{size} ({count})" for size, count in sorted(others.items())) or "none"
        return f"has no convolution with k×k kernels, k = 3, 5, 7, …; its convolutions: {sizes}"
    if not all(weight.isfinite().all() for weight in layers.values()):
        return "has weights that are not finite, as a network that diverged"
    return None


def first_kernels(tensors: Mapping[str, Tensor]) -> tuple[str, Tensor] | None:
    """The first layer of a network with k×k kernels: its name, and its weights (O, I, k, k).

    None of a network that cannot be looked at: see `measure`.
    """
    network = _network(tensors)
    layers, others = filters.kernels(network)
    return None if _problem(network, layers, others) else next(iter(layers.items()))


def _rows(network: Weights, choice: str, seed: int, draws: int) -> dict[str, pd.DataFrame]:
    """One network's rows by file, kernel size by kernel size. Raises Unusable if it cannot be looked at."""
    tensors = _network(network.load())
    layers, others = filters.kernels(tensors)
    if problem := _problem(tensors, layers, others):
        raise Unusable(f"{network} {problem}")
    generator = torch_generator(seed, f"filters/{network.name}", network.epoch or 0)
    rows: dict[str, list[dict[str, object]]] = {TALLIES: [], RINGS: [], LOG_WEIGHTS: []}
    for size in sorted({weight.shape[-1] for weight in layers.values()}):
        of_size = [weight for weight in layers.values() if weight.shape[-1] == size]
        trained: dict[str, object] = {"size": size, "weights": TRAINED, "draw": 0}
        rows[TALLIES] += [trained | row for row in _fractions(of_size, choice, generator)]
        for part, members in _parts(len(of_size)).items():
            rows[RINGS] += [{"size": size, "part": part} | row for row in _rings(of_size[members], size)]
        for draw in range(draws):
            shuffled = {"size": size, "weights": SHUFFLED, "draw": draw}
            control = (filters.shuffled(weight, generator) for weight in of_size)
            rows[TALLIES] += [shuffled | row for row in _fractions(control, choice, generator)]
        if draws:
            rows[LOG_WEIGHTS] += [{"size": size} | row for row in _log_weights(of_size, size)]
    rows[SIZES] = list(_sizes(network, tensors))
    return {name: pd.DataFrame(found) for name, found in rows.items() if found}


def _fractions(weights: Iterable[Tensor], choice: str, generator: torch.Generator) -> Iterator[dict[str, object]]:
    by_layer = [filters.tallies(weight, choice, generator) for weight in weights]
    for part, members in _parts(len(by_layer)).items():
        for comparison in filters.COMPARISONS:
            tally = sum((of_layer[comparison] for of_layer in by_layer[members]), Tally())
            yield {"part": part, "comparison": comparison, **_numbers(tally)}


def _parts(layers: int) -> dict[str, slice]:
    """All layers, and their halves where there are two (lower: the first half, rounded down)."""
    halves = {"lower": slice(0, layers // 2), "upper": slice(layers // 2, None)}
    return {"all": slice(None)} | (halves if layers > 1 else {})


def _numbers(tally: Tally) -> dict[str, object]:
    derived = {"fraction": tally.fraction, "p_kernels": tally.p_kernels, "p_filters": tally.p_filters}
    return asdict(tally) | derived


def _rings(weights: Sequence[Tensor], size: int) -> Iterator[dict[str, object]]:
    magnitudes = [weight.abs().double() for weight in weights]
    count = sum(weight.numel() for weight in weights)
    overall = float(sum(weight.sum() for weight in magnitudes)) / count
    for distance, mask in filters.rings(size).items():
        at_distance = [weight[..., mask.to(weight.device)] for weight in magnitudes]
        n = sum(part.numel() for part in at_distance)
        mean = float(sum(part.sum() for part in at_distance)) / n
        yield {
            "distance": round(distance, 4),
            "positions": int(mask.sum()),
            "count": n,
            "zeros": int(sum((part == 0).sum() for part in at_distance)),
            "mean_abs": mean,
            "relative": mean / overall if overall else float("nan"),
        }


def _log_weights(weights: Sequence[Tensor], size: int) -> Iterator[dict[str, object]]:
    places = {
        f"distance {distance:.3g}": mask for distance, mask in filters.rings(size).items()
    } | filters.figure_positions(size)
    for place, mask in places.items():
        counts = sum((filters.log_counts(weight[..., mask]) for weight in weights), Counter[float]())
        yield from ({"place": place, "low": low, "count": count} for low, count in sorted(counts.items()))


def _sizes(network: Weights, tensors: Mapping[str, Tensor]) -> Iterator[dict[str, object]]:
    """A network's penalty by kernel and distance; nothing without LOCO-Reg."""
    if network.loco is None:
        return
    rings = filter_sizes.rings(tensors, network.loco)
    total = sum(ring.penalty for ring in rings)
    for ring in rings:
        derived = {"penalty": ring.penalty, "share": ring.penalty / total if total else float("nan")}
        shown = asdict(ring) | {"distance": round(ring.distance, 4), "rms": ring.rms}
        yield shown | derived
