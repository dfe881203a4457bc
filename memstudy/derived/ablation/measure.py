"""Cumulative ablation curves of the kept networks of some runs, at any of their layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields

import pandas as pd
import torch
from torch import Tensor

from memstudy.analysis import ablation
from memstudy.derived.columns import read
from memstudy.derived.kept import kept
from memstudy.derived.layers import TRUNK, behind, output_of
from memstudy.derived.rows import Rows
from memstudy.derived.training_set import training_set
from memstudy.derived.workbench import NotFinite, Workbench
from memstudy.errors import MemstudyError, unknown
from memstudy.store import RunDirectory, code
from memstudy.store.store import Selection
from memstudy.training.evaluation import batch_size

IMAGES = ("test", "train")
LABELS = ("true", "noisy")


@dataclass(frozen=True)
class Ablation:
    """What is ablated, what it becomes, and on which images and labels accuracy is measured.

    Raises a MemstudyError for what there is none of, and for noisy labels of test images.
    """

    layer: str = TRUNK
    unit: str = "activation"
    clamp: str = "zero"
    images: str = "test"
    labels: str = "true"

    def __post_init__(self) -> None:
        ablation.check_choice(self.unit, self.clamp)
        for kind, name, known in (("images", self.images, IMAGES), ("labels", self.labels, LABELS)):
            if name not in known:
                raise unknown(f"choice of {kind}", name, known)
        if self.labels == "noisy" and self.images == "test":
            raise MemstudyError(
                "test images have no noisy labels, as only training labels are corrupted; add --images train."
            )

    @property
    def suffix(self) -> str:
        """What names of files end in; nothing for the usual choice."""
        usual = (field.default for field in fields(self))
        return "".join(f"-{own}" for own, default in zip(astuple(self), usual, strict=True) if own != default)

    @property
    def title(self) -> str:
        """A few words: `trunk.2, channels to their mean, training images`; nothing for the usual choice."""
        units = "channels" if self.unit == "channel" else "activations"
        words = {
            self.layer: self.layer != TRUNK,
            f"{units} to {'0' if self.clamp == 'zero' else 'their mean'}": self.unit + self.clamp
            != "activationzero",
            "training images": self.images == "train",
        }
        return ", ".join(word for word, said in words.items() if said)

    @property
    def curves(self) -> str:
        """The file of curves, one row a fraction."""
        return f"ablation_curves{self.suffix}.csv"

    @property
    def areas(self) -> str:
        """The file of areas under them."""
        return f"ablation_areas{self.suffix}.csv"


USUAL = Ablation()
CURVES = USUAL.curves
KEY = ("run", "epoch", "checkpoint", "orders", "seed")
VERSION = ("checkpoint", "orders", "seed")


def ablate(
    selection: Selection,
    bench: Workbench,
    *,
    orders: int,
    seed: int,
    what: Ablation = USUAL,
    epochs: Sequence[int] | None = None,
    on_network: Callable[[int, int], None] = lambda done, total: None,
    on_left_out: Callable[[str], None] = lambda what: None,
) -> pd.DataFrame:
    """Ablation curves of every kept network (or those of `epochs`), by both protocols.

    Returns and writes one row per (run, epoch, protocol, order, fraction) with the `accuracy` on `what.labels`.
    `on_left_out` is told which networks have no curve, as they diverged, or their code is another.
    """
    selection = code.usable(selection, on_left_out)
    wanted = [(run, epoch) for run in selection.runs for epoch in kept(run, epochs)]
    complete = len(ablation.PROTOCOLS) * orders * len(ablation.FRACTIONS)
    with Rows(selection.path / what.curves, KEY, VERSION) as rows:
        for done, (run, epoch) in enumerate(wanted):
            key = (run.name, epoch, run.checkpoint_digest(epoch)[:12], orders, seed)
            if len(rows.find(*key)) == complete:
                rows.keep(*key)
            else:
                try:
                    rows.add(_curves(run, epoch, bench, orders, seed, what), key)
                except NotFinite as error:
                    on_left_out(str(error))
            on_network(done + 1, len(wanted))
    return read(selection.path / what.curves)


@torch.no_grad()
def _curves(
    run: RunDirectory, epoch: int, bench: Workbench, orders: int, seed: int, what: Ablation
) -> pd.DataFrame:
    network, (images, labels) = bench.network(run, epoch), _evaluated(run, bench, what)
    output, (head, needs_images) = output_of(network, what.layer), behind(network, what.layer)
    features = torch.cat([output(chunk) for chunk in images.split(batch_size(images))])
    if not features.isfinite().all():
        raise NotFinite(run, epoch)
    beside = images if needs_images else None
    found = []
    for protocol in ablation.PROTOCOLS:
        curves = ablation.curve(
            head, features, labels, protocol, orders, seed, unit=what.unit, clamp=what.clamp, images=beside
        )
        table = pd.DataFrame(curves.tolist(), columns=list(ablation.FRACTIONS)).rename_axis("order")
        long = table.reset_index().melt(id_vars="order", var_name="fraction", value_name="accuracy")
        found.append(long.assign(protocol=protocol))
    return pd.concat(found, ignore_index=True)


def _evaluated(run: RunDirectory, bench: Workbench, what: Ablation) -> tuple[Tensor, Tensor]:
    """Normalized images and what counts as right on them."""
    if what.images == "test":
        test = bench.test_set(run)
        return test.images, test.labels
    train = training_set(bench, run)
    return train.images, train.true if what.labels == "true" else train.noisy


def areas(curves: pd.DataFrame) -> pd.DataFrame:
    """Area under each network's curve, in percent: `area` is the mean over orders, `half_width` of its 95 %
    confidence interval; one row per (run, epoch, protocol).
    """
    columns = ["run", "epoch", "protocol", "area", "half_width"]
    if curves.empty:
        return pd.DataFrame(columns=columns)
    found = []
    for key, group in curves.groupby(columns[:3], sort=False):
        table = group.pivot(index="order", columns="fraction", values="accuracy")
        each = ablation.area(torch.tensor(table.to_numpy()), [float(fraction) for fraction in table.columns])
        mean, half_width = ablation.interval(each)
        found.append([*key, mean, half_width])
    return pd.DataFrame(found, columns=columns)
