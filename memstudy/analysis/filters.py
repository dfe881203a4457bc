"""Where in a kernel the large weights are: LOCO-Reg's filter statistics.

A kernel is one (output, input) slice (k, k) of a convolution's weight; a filter is all kernels of one output. For
3×3 kernels the paper (Schneider, "Locality-Promoting Representation Learning", ICPR 2020) prints the fraction with
|center| > |neighbor| and that with |neighbor| > |corner|; the null is .5 for each. All kernels of a network count
alike, depthwise and ordinary ones together, and "lower" and "upper" are halves of its 3×3 layers, where the lower
half is the smaller one for an odd number of layers (inferred: so weighted, the halves of the published table give
its "all").

Which of the four neighbors and the four corners are compared is not known. By default (inferred from the positions
that the paper's figure names) it is the left-middle weight, and the left-upper one; `random` draws one of each for
every kernel, `every` compares all pairs (both ours). Under the null that a kernel's positions are exchangeable all
three expect .5. Equal magnitudes are ties: left out of the fraction, and counted.

For k×k with k odd (ours): the center, the weight left of it, the outermost corner; 3×3 is the special case. Other
kernels have no center, or nothing around it, and are left out.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from memstudy.errors import unknown

COMPARISONS = ("center_gt_neighbor", "neighbor_gt_corner")
CHOICES = ("named", "random", "every")
BINS_PER_DECADE = 10
"""Bins of the distribution of log10 |w| (ours)."""


def kernels(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Counter[str]]:
    """A network's convolution weights (O, I, k, k) with k = 3, 5, 7, … by name, and the sizes left out, counted.

    A convolution is told by its four dimensions and its name, which ends in "weight". Layers are in the natural
    order of their names ("9" before "10"), as neither a file nor a state dict need keep the network's.
    """
    kept: dict[str, Tensor] = {}
    others: Counter[str] = Counter()
    for name in sorted(tensors, key=natural):
        weight = tensors[name]
        if weight.ndim != 4 or not name.endswith("weight") or not weight.is_floating_point():
            continue
        height, width = weight.shape[2:]
        if height == width and height % 2 and height > 1 and weight.numel():
            kept[name] = weight if weight.dtype.itemsize >= 4 else weight.float()  # 8 bits cannot be compared
        else:
            others[f"{height}×{width}"] += 1
    return kept, others


def natural(name: str) -> list[tuple[str, int]]:
    """A key that sorts names with numbers in them as one counts: "9" before "10"."""
    return [(text, int(number or -1)) for text, number in re.findall(r"(\D*)(\d*)", name)]


@dataclass(frozen=True)
class Tally:
    """Outcomes of one comparison |a| > |b|; tallies of several layers or networks add up.

    larger, smaller, ties: pairs. kernels, filters, layers: what they come from.
    squares: Σ over filters of ((larger - smaller) / 2)².
    """

    larger: int = 0
    smaller: int = 0
    ties: int = 0
    kernels: int = 0
    filters: int = 0
    layers: int = 0
    squares: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def fraction(self) -> float:
        """The share of `larger` among those that are no ties; NaN if all are ties."""
        decided = self.larger + self.smaller
        return self.larger / decided if decided else math.nan

    @property
    def p_kernels(self) -> float:
        """Two-sided binomial test of .5, as if kernels were independent, which those of one filter are not.

        So the p-value is too small. NaN if a kernel has several pairs, or if all are ties.
        """
        from scipy.stats import binomtest

        decided = self.larger + self.smaller
        if not decided or decided + self.ties != self.kernels:
            return math.nan
        return float(binomtest(self.larger, decided).pvalue)

    @property
    def p_filters(self) -> float:
        """Two-sided test of .5 that takes filters, not kernels, for independent (ours).

        Under the null each filter's excess u = (larger - smaller) / 2 is as likely as -u, so Σ u / √Σ u² is about
        normal (a sign-flip test). Dependence among filters of one layer is ignored. NaN if all are ties.
        """
        if not self.larger + self.smaller:
            return math.nan
        z = (self.larger - self.smaller) / 2 / math.sqrt(self.squares) if self.squares else 0.0
        return math.erfc(abs(z) / math.sqrt(2))


def tallies(weight: Tensor, choice: str = "named", generator: torch.Generator | None = None) -> dict[str, Tally]:
    """Both comparisons of one layer (O, I, k, k), by the names in `COMPARISONS`.

    choice: see above; `random` draws from `generator`, a CPU one.
    """
    center, neighbors, corners = _places(weight.abs())
    if choice == "named":
        neighbors, corners = neighbors[..., :1], corners[..., :1]
    elif choice == "random":
        draw = torch.randint(4, (2, *center.shape, 1), generator=generator).to(weight.device)
        neighbors, corners = neighbors.gather(-1, draw[0]), corners.gather(-1, draw[1])
    elif choice != "every":
        raise unknown("choice of neighbor and corner", choice, CHOICES)
    outcomes = (
        _tally(center[..., None], neighbors),
        _tally(neighbors[..., :, None], corners[..., None, :]),
    )
    return dict(zip(COMPARISONS, outcomes, strict=True))


def _places(magnitudes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Center (O, I), neighbors (O, I, 4) and corners (O, I, 4), from the left and the left-upper one on."""
    last = magnitudes.shape[-1] - 1
    c = last // 2
    around = ((c, c - 1), (c - 1, c), (c, c + 1), (c + 1, c))
    corners = ((0, 0), (0, last), (last, last), (last, 0))
    stacked = [torch.stack([magnitudes[..., y, x] for y, x in places], dim=-1) for places in (around, corners)]
    return magnitudes[..., c, c], stacked[0], stacked[1]


def _tally(a: Tensor, b: Tensor) -> Tally:
    """|a| against |b|, (O, I, …) each, broadcast."""
    larger, smaller = (outcome.flatten(1).sum(1) for outcome in (a > b, a < b))
    more, less = int(larger.sum()), int(smaller.sum())
    squares = float(((larger - smaller).double() / 2).square().sum())
    pairs = math.prod(torch.broadcast_shapes(a.shape, b.shape))
    return Tally(more, less, pairs - more - less, a.shape[0] * a.shape[1], a.shape[0], 1, squares)


def shuffled(weight: Tensor, generator: torch.Generator) -> Tensor:
    """The same kernels, the positions of each permuted independently: a negative control."""
    rows = weight.flatten(0, 1).flatten(1)
    order = torch.rand(rows.shape, generator=generator, dtype=torch.float64).argsort(dim=1)
    return rows.gather(1, order.to(weight.device)).view_as(weight)


def rings(size: int) -> dict[float, Tensor]:
    """Positions of a kernel by their Euclidean distance from its center: masks (k, k), ascending."""
    axis = torch.arange(size) - size // 2
    squared = axis[:, None] ** 2 + axis[None, :] ** 2
    return {math.sqrt(value): squared == value for value in squared.unique().tolist()}


def figure_positions(size: int) -> dict[str, Tensor]:
    """The three positions of the paper's figure (stated) in a 3×3 kernel, as masks; none for other sizes."""
    places = {"center": (1, 1), "left-middle": (1, 0), "left-upper": (0, 0)}
    masks = {name: torch.zeros(3, 3, dtype=torch.bool) for name in places}
    for name, place in places.items():
        masks[name][place] = True
    return masks if size == 3 else {}


def log_counts(weight: Tensor) -> Counter[float]:
    """How many weights, of any shape, have log10 |w| in each bin, by its left edge; zeros under -inf."""
    logs = weight.abs().double().log10()
    bins, counts = (logs * BINS_PER_DECADE).floor().unique(return_counts=True)
    edges = (bins / BINS_PER_DECADE).tolist()
    return Counter(dict(zip(edges, counts.tolist(), strict=True)))
