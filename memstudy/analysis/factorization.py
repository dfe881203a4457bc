"""A representation factorized once, after which comparing it with any other is cheap.

    X − mean = U · diag(σ) · V,   X (n samples, p units), float64

Two ways to the same thing. `factorize` is exact, for a representation at hand: QR, then the SVD of a p × p
triangle, O(n·p²); it keeps U. `Stack` goes through many representations of the same samples chunk by chunk, keeps
p × p products alone, and so needs no memory for samples: inner products of the U's follow from XᵀY. It squares the
condition number: in float64 a direction whose σ is a share s of the largest has an error of about 1e-16 / s²,
which stays below what float32 features themselves carry (6e-8 / s) for every direction that is kept.

Both know a constant unit: one whose centered norm is at most a share of 2⁻²³, float32's resolution, of its norm
about zero (ours). Values that are equal but for their last bit in float32 are constant, and so is a unit whose
variation is that small beside its mean, whatever the type of the array that holds it; subtract the mean first if
such a variation is meant. A constant unit is taken for 0: it is no direction, and its size counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from memstudy.analysis.keep import KeepRule
from memstudy.errors import MemstudyError, unknown

ROUNDING = 2.0**-23
"""The resolution of float32, in which networks compute: what is smaller cannot be told from zero."""

PRODUCTS = {"float64": (torch.float64, ROUNDING), "float32": (torch.float32, 2.0**-11)}
"""How a Stack multiplies, and the share of the norm below which a direction is then rounding."""

POSITIONS = ("samples", "flattened")
CONSTANT = ("drop", "refuse")
CHUNK = 1000


def as_samples(features: Tensor, positions: str = "samples") -> Tensor:
    """Features (N, C, H, W) → (N·H·W, C), positions as samples; (N, p) stays. Float64.

    Positions as samples is what AL2's figure does (stated); `flattened` makes units of them: (N, C·H·W). Any other
    number of dimensions is refused.
    """
    return in_rows(features, positions).double()


def in_rows(features: Tensor, positions: str = "samples") -> Tensor:
    """The same, in the features' own type."""
    if positions not in POSITIONS:
        raise unknown("way to treat positions", positions, POSITIONS)
    if features.ndim not in (2, 4):
        raise MemstudyError(
            f"features must have shape (N, p) or (N, C, H, W), not {tuple(features.shape)}; flatten them."
        )
    if features.ndim == 4 and positions == "samples":
        features = features.movedim(1, -1).flatten(0, 2)
    return features.flatten(1)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What a representation is up to a rotation of its samples.

    n: samples. singular_values: (r,) descending, all positive. directions: (r, p) orthonormal rows.
    quartic: Σ over samples of ‖x‖⁴, centered. constant: (c,) the units that do not vary, ascending, from 0.
    A representation that is constant has r = 0.
    """

    n: int
    singular_values: Tensor
    directions: Tensor
    quartic: float
    constant: Tensor

    @property
    def p(self) -> int:
        """Units, constant ones included."""
        return self.directions.shape[1]

    @property
    def rank(self) -> int:
        """Directions in which the representation varies at all."""
        return len(self.singular_values)


@dataclass(frozen=True, eq=False)
class View:
    """A spectrum, its basis U (n, r), orthonormal columns, and the squared norms (n,) of the centered samples."""

    spectrum: Spectrum
    basis: Tensor
    norms: Tensor

    def leading(self, rule: KeepRule) -> Tensor:
        """The part of the basis that SVCCA keeps, a copy that holds no memory of the rest: for many pairs."""
        return self.basis[:, : rule.count(self.spectrum.singular_values)].clone()


@dataclass(frozen=True, eq=False)
class Pair:
    """Two spectra of the same samples, and what joins them.

    overlap: (r_x, r_y) = U_xᵀ U_y. quartic: Σ over samples of ‖x‖²·‖y‖², centered.
    """

    x: Spectrum
    y: Spectrum
    overlap: Tensor
    quartic: float

    @classmethod
    def of(cls, x: View, y: View) -> Pair:
        """Two factorized representations. Raises a MemstudyError if they have different numbers of samples."""
        same_samples([x.spectrum.n, y.spectrum.n])
        return cls(x.spectrum, y.spectrum, x.basis.T @ y.basis, float(x.norms @ y.norms))

    def swapped(self) -> Pair:
        """The same two, the other way round."""
        return Pair(self.y, self.x, self.overlap.T, self.quartic)


def factorize(samples: Tensor, tolerance: float = ROUNDING, name: str = "the representation") -> View:
    """Samples (n, p) → their view, O(n·p²), once for all pairs; about 2·n·p numbers of float64 are in memory.

    Null directions (of constant, duplicated or dependent units) are dropped: those with a singular value of at
    most `tolerance` · ‖samples‖_F, the norm of all units but the constant ones, before centering. The default
    bounds what rounding the features to float32 can make of nothing (ours; the choice matters, as CCA would give
    such a direction the same weight as any other). A collapsed representation, constant to that precision, gives
    rank 0.

    Raises a MemstudyError, which calls the samples by `name`, for values that are not finite, for no samples, and
    for another shape.
    """
    if samples.ndim != 2 or len(samples) == 0:
        raise MemstudyError(f"{name} must have shape (n, p), n > 0, not {tuple(samples.shape)}; see as_samples.")
    if not (finite := samples.isfinite()).all():
        sample, unit = (~finite).nonzero()[0].tolist()
        raise _not_finite(name, unit, sample)
    centered = samples.to(torch.float64, copy=True)
    sizes = torch.linalg.vector_norm(centered, dim=0)
    centered -= centered.mean(dim=0)
    constant = torch.linalg.vector_norm(centered, dim=0) <= tolerance * sizes
    centered[:, constant] = 0
    norms = torch.linalg.vector_norm(centered, dim=1).square()
    orthonormal, triangle = torch.linalg.qr(centered)
    del centered  # as large as the basis to come
    left, singular_values, directions = torch.linalg.svd(triangle, full_matrices=False)
    rank = int((singular_values > tolerance * torch.linalg.norm(sizes[~constant])).sum())
    values, rows = singular_values[:rank].clone(), directions[:rank].clone()
    found = Spectrum(len(samples), values, rows, float(norms @ norms), constant.nonzero().flatten())
    return View(found, orthonormal @ left[:, :rank], norms)


class Stack:
    """Representations of the same samples, gone through once in chunks; memory is p_x · p_y for each pair.

    Chunks of any sizes give the same numbers up to rounding.
    """

    def __init__(self, count: int, pairs: Sequence[tuple[int, int]], product: str = "float64") -> None:
        """Prepare.

        count: representations. pairs: the indices of those that will be compared. product: `float64`, or
        `float32`: each chunk's products in float32, their sums in float64. That is about twice as fast on a CPU,
        with a relative error of 1e-7 in XᵀY, and directions below 5e-4 of the norm are lost in it.
        """
        if product not in PRODUCTS:
            raise unknown("product", product, PRODUCTS)
        self.kind, self.tolerance = PRODUCTS[product]
        self.n = 0
        self._partners = [sorted({i, *(max(pair) for pair in pairs if min(pair) == i)}) for i in range(count)]
        self._widths: list[int] = []
        self._chunk_means: list[Tensor] = []
        self._sums: list[Tensor] = []
        self._products: list[Tensor] = []  # of each representation XᵀY with its partners, side by side
        self._made = torch.empty(0)  # room for those of a chunk, as new memory for each would take time
        self._by_norm: list[Tensor] = []  # of each representation Σ ‖x_j‖² x, a row for each j
        self._norms = torch.zeros(0)  # Σ ‖x_i‖² ‖x_j‖²
        self._spectra: list[Spectrum] = []

    @classmethod
    def of(
        cls,
        samples: Sequence[Tensor],
        pairs: Sequence[tuple[int, int]],
        product: str = "float64",
        chunk: int = CHUNK,
    ) -> Stack:
        """A stack of representations at hand, (n, p) each; only chunks of them are copied."""
        same_samples([len(each) for each in samples])
        stack = cls(len(samples), pairs, product)
        for parts in zip(*(each.split(chunk) for each in samples), strict=True):
            stack.add(parts)
        return stack

    @torch.no_grad()
    def add(self, chunk: Sequence[Tensor]) -> None:
        """The next samples of every representation, (m, p_i) each, in one order."""
        same_samples([len(part) for part in chunk])
        if not self.n:
            self._begin(chunk)
        whole = self._shifted(chunk)
        parts = whole.split(self._widths, dim=1)
        norms = torch.stack([part.square().sum(dim=1) for part in parts])
        for i, part in enumerate(parts):
            made = self._made[: self._products[i].numel()].view_as(self._products[i])
            self._products[i] += torch.mm(part.T, _side_by_side(self._partners[i], parts, whole), out=made)
            self._by_norm[i] += norms @ part
            self._sums[i] += part.sum(dim=0, dtype=torch.float64)
        self._norms += norms @ norms.T
        self.n += len(whole)
        self._spectra = []

    def _begin(self, chunk: Sequence[Tensor]) -> None:
        zeros = partial(torch.zeros, dtype=torch.float64, device=chunk[0].device)
        self._widths = [part.shape[1] for part in chunk]
        # Near the mean, so that little cancels when the exact one is taken off.
        self._chunk_means = [part.double().mean(dim=0) for part in chunk]
        self._sums = [zeros(width) for width in self._widths]
        self._by_norm = [zeros(len(chunk), width) for width in self._widths]
        self._norms = zeros(len(chunk), len(chunk))
        self._products = [
            zeros(width, sum(self._widths[j] for j in partners))
            for width, partners in zip(self._widths, self._partners, strict=True)
        ]
        most = max(products.numel() for products in self._products)
        self._made = torch.empty(most, dtype=self.kind, device=chunk[0].device)

    def _shifted(self, chunk: Sequence[Tensor]) -> Tensor:
        """The chunk (m, Σ p_i), side by side, about the first chunk's means."""
        whole = torch.empty(len(chunk[0]), sum(self._widths), dtype=self.kind, device=chunk[0].device)
        for place, part in zip(whole.split(self._widths, dim=1), chunk, strict=True):
            place.copy_(part)
        return whole.sub_(torch.cat(self._chunk_means).to(self.kind))

    def spectra(self) -> list[Spectrum]:
        """Every representation's. Raises a MemstudyError for values that are not finite."""
        if not self._spectra:
            self._spectra = [self._spectrum(index) for index in range(len(self._partners))]
        return self._spectra

    def pair(self, x: int, y: int) -> Pair:
        """Two representations of the pairs that were asked for."""
        i, j = sorted((x, y))
        spectra = self.spectra()
        white = [_whitened(spectra[index]) for index in (i, j)]
        found = Pair(spectra[i], spectra[j], white[0].T @ self._centered(i, j) @ white[1], self._quartic(i, j))
        return found if x <= y else found.swapped()

    def _offset(self, index: int) -> Tensor:
        """The mean, counted from the first chunk's."""
        return self._sums[index] / self.n

    def _product(self, i: int, j: int) -> Tensor:
        """XᵀY about the first chunk's means."""
        partners = self._partners[i]
        start = sum(self._widths[k] for k in partners[: partners.index(j)])
        return self._products[i][:, start : start + self._widths[j]]

    def _centered(self, i: int, j: int) -> Tensor:
        """XᵀY about the exact means."""
        return self._product(i, j) - torch.outer(self._sums[i], self._offset(j))

    def _quartic(self, i: int, j: int) -> float:
        """Σ ‖x - a‖² ‖y - b‖², multiplied out, with the offsets a and b."""
        a, b = self._offset(i), self._offset(j)
        aa, bb = a @ a, b @ b
        total = self._norms[i, j] - 2 * (self._by_norm[i][j] @ a) - 2 * (self._by_norm[j][i] @ b)
        total += bb * self._product(i, i).trace() + aa * self._product(j, j).trace()
        total += 4 * (a @ self._product(i, j) @ b) - 3 * self.n * aa * bb
        return float(total)

    def _spectrum(self, index: int) -> Spectrum:
        gram = self._centered(index, index)
        if not (finite := gram.diagonal().isfinite()).all():
            raise _not_finite("the representation", int((~finite).nonzero()[0]))
        squares = self._squares(index)
        constant = gram.diagonal() <= self.tolerance**2 * squares
        gram[constant] = 0
        gram[:, constant] = 0
        values, vectors = torch.linalg.eigh((gram + gram.T) / 2)
        singular_values = values.clamp(min=0).sqrt().flip(0)
        rank = int((singular_values > self.tolerance * squares[~constant].sum().sqrt()).sum())
        directions = vectors.flip(1).T[:rank]
        quartic = self._quartic(index, index)
        return Spectrum(self.n, singular_values[:rank], directions, quartic, constant.nonzero().flatten())

    def _squares(self, index: int) -> Tensor:
        """(p,) Σ x² of each unit, about zero."""
        means, sums = self._chunk_means[index], self._sums[index]
        return (self._product(index, index).diagonal() + means * (2 * sums + self.n * means)).clamp(min=0)


def _side_by_side(chosen: Sequence[int], parts: Sequence[Tensor], whole: Tensor) -> Tensor:
    """Some of the parts, of which `whole` has all: neighbors in it are not copied."""
    if list(chosen) != list(range(chosen[0], chosen[-1] + 1)):
        return torch.cat([parts[j] for j in chosen], dim=1)
    start = sum(part.shape[1] for part in parts[: chosen[0]])
    return whole[:, start : start + sum(parts[j].shape[1] for j in chosen)]


def check_constant(choice: str) -> None:
    """Raise a MemstudyError for what cannot be done with constant units."""
    if choice not in CONSTANT:
        raise unknown("way to treat constant units", choice, CONSTANT)


def first_few(units: Tensor) -> str:
    """The first three of some units: `0, 7, 9, …; counted from 0`."""
    shown = ", ".join(map(str, units[:3].tolist()))
    return f"{shown}{', …' if len(units) > 3 else ''}; counted from 0"


def _whitened(spectrum: Spectrum) -> Tensor:
    """(p, r): what turns centered samples into the basis."""
    return spectrum.directions.T / spectrum.singular_values


def same_samples(counts: Sequence[int]) -> None:
    """Raise a MemstudyError for representations of different numbers of samples."""
    if len(set(counts)) > 1:
        raise MemstudyError(
            f"the representations are of different samples ({' and '.join(map(str, counts))}); compare the same "
            "images."
        )


def _not_finite(name: str, unit: int, sample: int | None = None) -> MemstudyError:
    place = f"unit {unit}" if sample is None else f"sample {sample}, unit {unit}"
    return MemstudyError(
        f"{name} holds NaN or infinite values, first in {place} (counted from 0), as a network that diverged "
        "gives; leave it out."
    )
