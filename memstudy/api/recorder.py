"""What a training loop of one's own tells of each epoch: predictions, from which all else follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memstudy import presets, trust
from memstudy.analysis import inputs
from memstudy.analysis.chance import Share, share
from memstudy.analysis.memorization import shares
from memstudy.analysis.modes import evaluating
from memstudy.analysis.records import record
from memstudy.api import written
from memstudy.api.given import folder
from memstudy.api.images import Images
from memstudy.api.labels import NoisyLabels
from memstudy.api.runs import Run, widened
from memstudy.data import artifact
from memstudy.data.label_files import digest
from memstudy.errors import MemstudyError, listed, quoted
from memstudy.recipe import number
from memstudy.regularizers import Regularizer
from memstudy.regularizers.al2 import activation_loss
from memstudy.store.metrics import MEASURED
from memstudy.store.records import Dynamics
from memstudy.training.evaluation import batch_size
from memstudy.training.state import NETWORK, copied

if TYPE_CHECKING:
    import pandas as pd


FORMAT = 1
"""Of `state_dict`."""
QUANTITIES = ("loss", "margin", "el2n", "prediction")


@dataclass(frozen=True)
class Memorization:
    """Of the corrupted training samples, what share is predicted as what after an epoch, with 95 % intervals.

    `memorized`: as the noisy label; `recovered`: as the true one; `other`: as neither. `corrupted` counts them.
    """

    epoch: int
    corrupted: int
    memorized: Share
    recovered: Share
    other: Share


class Recorder:
    """Records each training sample after each epoch of a loop of one's own, as `memstudy run` does of its own.

    In every epoch: `step` with each batch's loss, if you like; then, in evaluation mode, `update` with the logits
    of all training samples and `update_test` with those of the test samples, in batches of any size and order
    (or `evaluate`, which does both); then `end_epoch`. `write` makes a run directory of it.
    """

    def __init__(self, labels: NoisyLabels, *, images: Images | None = None, test_labels: Any = None) -> None:
        """Labels that `memstudy.corrupt` gave. The test labels are those of `images`, or given, (n,)."""
        if not isinstance(labels, NoisyLabels):
            raise MemstudyError(
                f"labels must be what memstudy.corrupt gives, not {type(labels).__name__}; noisy labels of your "
                "own are memstudy.corrupt(true, noisy=noisy)."
            )
        if images is not None:
            if not torch.equal(images.train_labels, labels.clean):
                raise MemstudyError("the labels are not those of the images' training part.")
            labels = NoisyLabels(replace(labels.data, images=images.source, source=images.source), has_images=True)
            test_labels = images.test_labels if test_labels is None else test_labels
        self.labels, self.images = labels, images
        self.epochs = 0
        self._test_labels = None if test_labels is None else inputs.classes(test_labels, "test_labels").cpu()
        self._rows: dict[str, list[Tensor]] = {name: [] for name in QUANTITIES}
        self._metrics: list[dict[str, float]] = []
        self._networks: dict[int, dict[str, Tensor]] = {}
        self._device = torch.device("cpu")
        self._begin()

    def _begin(self) -> None:
        """Forget what was told of an epoch that is not ended."""
        self._epoch: dict[str, Tensor] = {}
        self._seen = torch.zeros(len(self.labels), dtype=torch.bool)
        test = 0 if self._test_labels is None else len(self._test_labels)
        self._seen_test = torch.zeros(test, dtype=torch.bool)
        self._test_logits: Tensor | None = None
        self._steps: list[tuple[Tensor, Tensor, int]] = []

    # What a loop tells

    def step(self, loss: Tensor, *, features: Tensor | None = None, size: int | None = None) -> None:
        """A training batch: its mean cross-entropy on the noisy labels, without penalties; for L_c of the epoch.

        `features` (B, …), the output of the network's trunk, are for AL2's L_r. `size` is B, if there are none.
        """
        if not isinstance(loss, Tensor) or loss.dim():
            raise MemstudyError("loss must be a scalar tensor, the batch's mean cross-entropy.")
        if features is None and size is None:
            raise MemstudyError("step needs size=, the number of samples in the batch, or its features=.")
        activation = torch.full((), torch.nan) if features is None else activation_loss(features.detach())
        count = len(features) if features is not None else int(size or 0)
        if count < 1:
            raise MemstudyError(f"size must be a whole number of at least 1, not {quoted(size)}.")
        self._steps.append((loss.detach(), activation, count))

    def update(self, indices: Any, logits: Tensor) -> None:
        """Training samples by their places (B,) in the labels, and what the network says of them, (B, K).

        Raises a MemstudyError for a sample that was told already in this epoch, one that is not there, and logits
        that are not finite.
        """
        places, logits = self._taken(indices, logits, self._seen, "training")
        for name, values in record(logits, self.labels.noisy[places].to(logits.device)).items():
            if name not in self._epoch:
                self._epoch[name] = torch.zeros(len(self.labels), dtype=values.dtype)
            self._epoch[name][places] = values.cpu()
        self._seen[places] = True
        self._device = logits.device

    def update_test(self, indices: Any, logits: Tensor) -> None:
        """Test samples by their places (B,) in the test labels, and what the network says of them, (B, K)."""
        if self._test_labels is None:
            raise MemstudyError("update_test needs test labels: give Recorder images= or test_labels=.")
        places, logits = self._taken(indices, logits, self._seen_test, "test")
        if self._test_logits is None:
            self._test_logits = torch.zeros(len(self._test_labels), logits.shape[1], dtype=logits.dtype)
        self._test_logits[places] = logits.cpu()
        self._seen_test[places] = True

    @torch.no_grad()
    def evaluate(self, network: nn.Module) -> None:
        """Let a network predict all images, in evaluation mode; `update` and `update_test` at once. Needs images.

        The network takes images (B, C, H, W) as `images.train` has them, and returns logits (B, K), or a tuple
        whose last part they are, or an output that has `logits`. Its mode is kept.
        """
        if self.images is None:
            raise MemstudyError(
                "evaluate needs images: give Recorder images=memstudy.images(NAME), or call update."
            )
        device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
        with evaluating(network):
            for images, update in ((self.images.train, self.update), (self.images.test, self.update_test)):
                for places in torch.arange(len(images)).split(batch_size(images)):
                    answer = network(images[places].to(device))
                    update(places, _logits(answer))

    def end_epoch(self, **columns: float) -> dict[str, float]:
        """Close an epoch, and return its metrics, those of metrics.csv; `columns` are more of them.

        What was not told is NaN: `test_accuracy` without `update_test`, `train_cross_entropy` without `step`.
        Raises a MemstudyError, and changes nothing, if a training sample was not told, or columns differ from
        epoch to epoch.
        """
        _check_all(self._seen, "training", "update")
        if self._seen_test.any():
            _check_all(self._seen_test, "test", "update_test")
        mine = [name for name in columns if name in MEASURED]
        if mine:
            raise MemstudyError(f"the column {mine[0]} is memstudy's own; call yours otherwise.")
        numbers = {name: number(f"the column {name}", value) for name, value in columns.items()}
        metrics = self._tested() | self._split() | self._trained() | numbers
        if self._metrics and (other := metrics.keys() ^ self._metrics[0].keys()):
            raise MemstudyError(f"every epoch must have the same columns; {listed(sorted(other))} are not in all.")
        for name, rows in self._rows.items():
            rows.append(self._epoch[name])
        self._metrics.append(metrics)
        self.epochs += 1
        self._begin()
        return dict(metrics)

    def keep(self, network: nn.Module) -> None:
        """Keep a network as it is after the last ended epoch, for analyses of networks (svcca, ablate, …).

        It must be one that memstudy can build: `memstudy.network`, or its own `package.module:function`.
        """
        self._check_begun()
        self._networks[self.epochs - 1] = {n: copied(value) for n, value in network.state_dict().items()}

    # What follows

    def metrics(self) -> pd.DataFrame:
        """A row for each ended epoch, `epoch` from 0; columns as in metrics.csv, losses in nats."""
        import pandas as pd

        return pd.DataFrame([{"epoch": epoch, **row} for epoch, row in enumerate(self._metrics)])

    def memorization(self, epoch: int = -1) -> Memorization:
        """What was memorized after an ended epoch (the last one). A MemstudyError if no label is corrupted."""
        self._check_begun()
        if not -self.epochs <= epoch < self.epochs:
            raise MemstudyError(f"there is no epoch {epoch}: {self.epochs} have ended, counted from 0.")
        corrupted = int(self.labels.mask.sum())
        if not corrupted:
            raise MemstudyError("no label is corrupted, so there is none to memorize.")
        row = self._metrics[epoch]
        parts = {
            name: share(round(row[name] * corrupted), corrupted) for name in ("memorized", "recovered", "other")
        }
        return Memorization(range(self.epochs)[epoch], corrupted, **parts)

    def dynamics(self) -> pd.DataFrame:
        """A row for each training sample: labels, and its record over all ended epochs (as `Run.records`)."""
        from memstudy.derived.dynamics.measure import of_samples

        self._check_begun()
        return widened(of_samples(self._records(), artifact.made_of(self.labels.data)))

    def state_dict(self) -> dict[str, Any]:
        """All that was recorded of ended epochs, in tensors, numbers and texts; of an epoch under way nothing."""
        rows = {name: torch.stack(rows) for name, rows in self._rows.items() if rows}
        return {
            "format": FORMAT,
            "labels": digest(self.labels.noisy.numpy()),
            "epochs": self.epochs,
            "records": rows,
            "metrics": [dict(row) for row in self._metrics],
            "networks": {epoch: dict(tensors) for epoch, tensors in self._networks.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave. A MemstudyError if it is of other labels, or no such state."""
        if not isinstance(state, Mapping):
            raise MemstudyError("the state of a Recorder is what its state_dict() gave.")
        missing = [
            key for key in ("format", "labels", "epochs", "records", "metrics", "networks") if key not in state
        ]
        if missing or state["format"] != FORMAT:
            raise MemstudyError("this is no state of a Recorder of this version of memstudy.")
        if state["labels"] != digest(self.labels.noisy.numpy()):
            raise MemstudyError("the state is of a Recorder of other labels; make them by the same rule and seed.")
        self._rows = {name: list(state["records"].get(name, ())) for name in QUANTITIES}
        self._metrics = [dict(row) for row in state["metrics"]]
        self._networks = {int(epoch): dict(tensors) for epoch, tensors in state["networks"].items()}
        self.epochs = int(state["epochs"])
        self._begin()

    def write(
        self,
        store: str | Path = "runs",
        *,
        name: str = "own-loop",
        reg: str | Regularizer | Sequence[Regularizer] = "bare",
        options: Mapping[str, Mapping[str, float | int | str | bool]] | None = None,
        network: str = "own",
        seed: int = 0,
        batch_size: int | None = None,
        optimizer: str | torch.optim.Optimizer = "sgd",
        lr: float | None = None,
        momentum: float | None = None,
        **settings: Any,
    ) -> Run:
        """Write a run directory that every command works on, of all epochs that have ended.

        It says that `name` has trained it: it is never taken for a run of memstudy's own, nor continued as one.
        What else it says of the training is what you tell here, by the names of `memstudy run`.

        reg: the method, by which tables compare runs: names joined by `+`, memstudy's or your own, with `options`;
            or the penalties of your loop.
        optimizer: the optimizer itself (then lr and momentum are its own), or sgd, adam or adamw.
        network: a word, or what `memstudy run --network` takes; so it must be if networks are kept.
        settings: others, as schedule, label_smoothing, augment.

        Raises a MemstudyError for what is missing or wrong, and if this run is in the store already.
        """
        self._check_begun()
        trust.allow(presets.names({"network": network} | ({"reg": reg} if isinstance(reg, str) else {})))
        made = written.recipe_of(
            self.labels, self.epochs, tuple(self._networks), trainer=name, reg=reg, options=options,
            network=network,
            seed=seed, batch_size=batch_size, optimizer=optimizer, lr=lr, momentum=momentum,
            normalization="al2" if self.images is None else self.images.normalization, **settings,
        )  # fmt: skip
        networks = {
            epoch: {NETWORK + part: value for part, value in tensors.items()}
            for epoch, tensors in self._networks.items()
        }
        contents = written.Contents(
            self.labels, self.images, self._records(), self._metrics, networks, self._device
        )
        return Run(written.write(folder(store, "store"), made, contents))

    # Its parts

    def _taken(self, indices: Any, logits: Any, seen: Tensor, part: str) -> tuple[Tensor, Tensor]:
        """Places (B,) and logits (B, K), checked against what was told of the epoch so far."""
        places = inputs.classes(indices, "indices").cpu()
        if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(places):
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise MemstudyError(f"logits must be a tensor (B, K) for {len(places)} samples, not {shape}.")
        logits = logits.detach()
        if logits.shape[1] != self.labels.classes:
            raise MemstudyError(f"there are {self.labels.classes} classes, and logits of {logits.shape[1]}.")
        if not logits.isfinite().all():
            raise MemstudyError(
                f"the logits hold NaN or infinite values in epoch {self.epochs}: the training has diverged; what "
                "was recorded of the epochs before can be written."
            )
        if len(places) and int(places.max()) >= len(seen):
            raise MemstudyError(
                f"there is no {part} sample {int(places.max())}: there are {len(seen):,}, from 0 on."
            )
        if seen[places].any() or len(places.unique()) < len(places):
            raise MemstudyError(
                f"a {part} sample was told twice in epoch {self.epochs}; end_epoch() ends an epoch."
            )
        return places, logits.float() if logits.dtype.itemsize < 4 else logits

    def _tested(self) -> dict[str, float]:
        if self._test_logits is None or self._test_labels is None:
            return {"test_accuracy": float("nan"), "test_cross_entropy": float("nan")}
        logits, labels = self._test_logits, self._test_labels
        return {
            "test_accuracy": float((logits.argmax(dim=1) == labels).double().mean()),
            "test_cross_entropy": float(F.cross_entropy(logits, labels)),
        }

    def _split(self) -> dict[str, float]:
        predicted = self._epoch["prediction"].long()
        split = shares(predicted, self.labels.clean, self.labels.noisy, self.labels.mask)
        return {name: float(value) for name, value in split.items()}

    def _trained(self) -> dict[str, float]:
        """Means over all samples of what was told of the batches, added up one step after the other."""
        names = ("train_cross_entropy", "train_activation_loss")
        if not self._steps:
            return dict.fromkeys(names, float("nan"))
        measured = np.array([[float(loss), float(activation)] for loss, activation, _ in self._steps])
        counts = np.array([count for *_, count in self._steps])
        return dict(zip(names, (np.add.reduce(measured * counts[:, None]) / counts.sum()).tolist(), strict=True))

    def _records(self) -> Dynamics:
        arrays = {name: torch.stack(rows).numpy() for name, rows in self._rows.items()}
        return Dynamics(**arrays, kept=tuple(range(self.epochs)))

    def _check_begun(self) -> None:
        if not self.epochs:
            raise MemstudyError("no epoch has ended yet: call update for all training samples, then end_epoch.")


def _logits(answer: Any) -> Any:
    """The logits in what a network returns: a tensor, a tuple that ends with them, or an output with `logits`."""
    if isinstance(answer, tuple | list):
        return answer[-1]
    if isinstance(answer, Mapping):
        return answer.get("logits")
    return getattr(answer, "logits", answer)


def _check_all(seen: Tensor, part: str, method: str) -> None:
    if not seen.all():
        missing = int((~seen).sum())
        raise MemstudyError(
            f"{missing:,} of {len(seen):,} {part} samples were not told in this epoch: see {method}."
        )
