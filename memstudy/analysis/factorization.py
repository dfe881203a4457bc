"""A representation factorized once, after which comparing it with any other is cheap.

    X − mean = U · diag(σ) · V,   X (n samples, p units), float64

There are two ways to do it. `factorize` is exact, for one representation that is in memory: QR, then the SVD of a
p × p triangle, O(n·p²); it keeps U. `Stack` goes through many representations of the same samples chunk by chunk.
It keeps only p × p products, and so needs no memory for samples: inner products of the U's follow from XᵀY. This
squares the condition number. In float64, with units scaled to one size, a direction whose σ is a share s of the
largest has an error of about 1e-16 / s². For every direction that is kept, this is below the error of the float32
features themselves (6e-8 / s).

In both, each unit has a scale of its own (`directions`, `magnitude`). So what by its definition does not depend on
the units' scales does not depend on them in float64 either, from the smallest numbers to the largest.

In both, a unit is constant if its centered norm is at most 2⁻²³, float32's resolution, of its norm about zero
(ours). So values that are equal in float32 but for their last bit are constant, and so is any unit whose variation
is that small compared with its mean, whatever the type of its array; subtract the mean first if the variation is
meant. A constant unit is replaced by 0: it is no direction, and its size does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from memstudy.analysis.directions import ROUNDING, at_scale, clear_rank, directions
from memstudy.analysis.inputs import Array, tensor
from memstudy.analysis.keep import KeepRule
from memstudy.analysis.magnitude import ORDINARY, exponents, scale_
from memstudy.errors import MemstudyError, unknown

PRODUCTS = {"float64": (torch.float64, ROUNDING), "float32": (torch.float32, 2.0**-11)}
"""The type in which a Stack multiplies, and the share of the norm below which a direction may be rounding."""

POSITIONS = ("samples", "flattened")
CONSTANT = ("drop", "refuse")
CHUNK = 1000


def as_samples(features: Array, positions: str = "samples") -> Tensor:
    """Features (N, C, H, W) → (N·H·W, C), positions as samples; (N, p) stays. Float64.

    Positions as samples is what AL2's figure does (stated); `flattened` makes units of them: (N, C·H·W). Any other
    number of dimensions is refused.
    """
    return in_rows(tensor(features, "features"), positions).double()


def in_rows(features: Tensor, positions: str = "samples") -> Tensor:
    """The same as `as_samples`, in the features' own type."""
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
    """A representation up to a rotation of its samples.

    n: samples. singular_values: (r,) descending, all positive, of X / 2^exponent; the exponent is 0 where sizes
    are ordinary (`magnitude`). directions: (r, p) orthonormal rows. quartic: Σ over samples of ‖x‖⁴, centered,
    of X / 2^exponent. constant: (c,) the units that do not vary, ascending, from 0. A representation that is
    constant has r = 0.
    """

    n: int
    singular_values: Tensor
    directions: Tensor
    quartic: float
    constant: Tensor
    exponent: int = 0

    @property
    def p(self) -> int:
        """Units, constant ones included."""
        return self.directions.shape[1]

    @property
    def rank(self) -> int:
        """The number of directions in which the representation varies."""
        return len(self.singular_values)


@dataclass(frozen=True, eq=False)
class View:
    """A factorized representation.

    basis: U (n, r), orthonormal columns. norms: (n,) the squared norms of the centered samples of X / 2^exponent.
    """

    spectrum: Spectrum
    basis: Tensor
    norms: Tensor

    def leading(self, rule: KeepRule) -> Tensor:
        """The part of the basis that SVCCA keeps. It is a copy, so that the memory of the rest can be freed."""
        return self.basis[:, : rule.count(self.spectrum.singular_values)].clone()


@dataclass(frozen=True, eq=False)
class Pair:
    """Two spectra of the same samples, and what a comparison needs of both.

    overlap: (r_x, r_y) = U_xᵀ U_y. quartic: Σ over samples of ‖x‖²·‖y‖², centered, each at its spectrum's scale.
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
        """The same pair with x and y exchanged."""
        return Pair(self.y, self.x, self.overlap.T, self.quartic)


def factorize(samples: Tensor, tolerance: float = ROUNDING, name: str = "the representation") -> View:
    """Samples (n, p) → their view, O(n·p²), once for all pairs; about 2·n·p numbers of float64 are in memory.

    Null directions (of constant, duplicated or dependent units) are dropped: those with a singular value of at
    most `tolerance` · √p if each of the p units that vary is divided by its norm about zero, before centering. The
    default is a bound on what rounding of features to float32 can produce (`directions`). A collapsed
    representation, constant to that precision, gives rank 0.

    Raises a MemstudyError, which calls the samples by `name`, for values that are not finite, for no samples, and
    for another shape.
    """
    if samples.ndim != 2 or len(samples) == 0:
        raise MemstudyError(f"{name} must have shape (n, p), n > 0, not {tuple(samples.shape)}; see as_samples.")
    if not (finite := samples.isfinite()).all():
        sample, unit = (~finite).nonzero()[0].tolist()
        raise _not_finite(name, unit, sample)
    centered = samples.to(torch.float64, copy=True)
    units = exponents(_extent(centered)[0])
    scale_(centered, -units)
    sizes = torch.linalg.vector_norm(centered, dim=0)
    centered -= centered.mean(dim=0)
    constant = torch.linalg.vector_norm(centered, dim=0) <= tolerance * sizes
    centered[:, constant] = sizes[constant] = 0
    exponent, units = _common(units, ~constant)
    norms = torch.cat([torch.linalg.vector_norm(at_scale(part, units), dim=1) for part in centered.split(CHUNK)])
    norms = norms.square()
    orthonormal, triangle = torch.linalg.qr(centered)
    del centered  # as large as the basis to come
    left, values, rows = directions(triangle, sizes, units, tolerance)
    spectrum = Spectrum(len(samples), values, rows, float(norms @ norms), constant.nonzero().flatten(), exponent)
    return View(spectrum, orthonormal @ left, norms)


def _extent(samples: Tensor) -> tuple[Tensor, Tensor]:
    """For each unit of samples (n, p), n > 0: its largest magnitude, and whether it varies; both (p,)."""
    least, most = (bound.double() for bound in samples.aminmax(dim=0))
    largest = torch.maximum(-least, most)
    return largest, most - least > ROUNDING * largest


def _common(units: Tensor, alive: Tensor) -> tuple[int, Tensor]:
    """The representation's exponent, that of its largest varying unit; and each unit's, relative to it (p,).

    Relative exponents are cut off at -900: units that much smaller than another do not change its numbers, but
    remain directions.
    """
    exponent = int(units[alive].max()) if alive.any() else 0
    return exponent, (units - exponent).where(alive, 0).clamp(-900, 0)


class Stack:
    """Representations of the same samples, added in chunks. Memory is p_x · p_y for each pair.

    Chunks of any sizes give the same numbers up to rounding.
    """

    def __init__(self, count: int, pairs: Sequence[tuple[int, int]], product: str = "float64") -> None:
        """Prepare.

        count: representations. pairs: the indices of those that will be compared. product: `float64`, or
        `float32`: each chunk's products in float32, their sums in float64. That is about twice as fast on a CPU,
        with a relative error of 1e-7 in XᵀY, in which directions below 5e-4 of the norm are lost.
        """
        if product not in PRODUCTS:
            raise unknown("product", product, PRODUCTS)
        self.kind, self.tolerance = PRODUCTS[product]
        self.n = 0
        self._partners = [sorted({i, *(max(pair) for pair in pairs if min(pair) == i)}) for i in range(count)]
        self._widths: list[int] = []
        self._units: list[Tensor] = []  # of each unit: its scale is 2^this
        self._exponents: list[int] = []  # of each representation: the largest of its units'
        self._relative: list[Tensor] = []  # of each unit, relative to its representation's
        self._aside: list[Tensor] = []  # units that were huge and constant when scales were taken
        self._chunk_means: list[Tensor] = []
        self._sums: list[Tensor] = []
        self._products: list[Tensor] = []  # of each representation XᵀY with its partners, side by side
        self._made = torch.empty(0)  # memory for the products of a chunk, reused, as allocating takes time
        self._by_norm: list[Tensor] = []  # of each representation Σ ‖x_j‖² x, a row for each j
        self._norms = torch.zeros(0)  # Σ ‖x_i‖² ‖x_j‖²
        self._spectra: list[Spectrum] = []
        self._whitenings: dict[int, Tensor] = {}  # of representations whose spectra lack digits

    @classmethod
    def of(
        cls,
        samples: Sequence[Tensor],
        pairs: Sequence[tuple[int, int]],
        product: str = "float64",
        chunk: int = CHUNK,
    ) -> Stack:
        """A stack of representations that are in memory, (n, p) each; only chunks of them are copied."""
        same_samples([len(representation) for representation in samples])
        stack = cls(len(samples), pairs, product)
        stack._begin(samples)
        for parts in zip(*(representation.split(chunk) for representation in samples), strict=True):
            stack.add(parts)
        return stack

    @torch.no_grad()
    def add(self, chunk: Sequence[Tensor]) -> None:
        """The next samples of every representation, (m, p_i) each, in one order."""
        same_samples([len(part) for part in chunk])
        if not self._widths:
            self._begin(chunk)
        if not self._chunk_means:
            # Close to the exact means, so that little cancels when these are subtracted.
            self._chunk_means = [self._scaled(i, part).double().mean(dim=0) for i, part in enumerate(chunk)]
        side_by_side = self._shifted(chunk)
        parts = side_by_side.split(self._widths, dim=1)
        norms = torch.stack(
            [at_scale(part, self._relative[i]).square().sum(dim=1) for i, part in enumerate(parts)]
        )
        for i, part in enumerate(parts):
            product = self._made[: self._products[i].numel()].view_as(self._products[i])
            self._products[i] += torch.mm(
                part.T, _side_by_side(self._partners[i], parts, side_by_side), out=product
            )
            self._by_norm[i] += norms @ part
            self._sums[i] += part.sum(dim=0, dtype=torch.float64)
        self._norms += norms @ norms.T
        self.n += len(side_by_side)
        self._spectra = []

    def _begin(self, chunk: Sequence[Tensor]) -> None:
        """Choose the units' scales by the first chunk, and allocate memory."""
        zeros = partial(torch.zeros, dtype=torch.float64, device=chunk[0].device)
        self._widths = [part.shape[1] for part in chunk]
        for part in chunk:
            largest, varies = _extent(part)
            units = exponents(largest.nan_to_num(0, 0, 0))
            exponent, relative = _common(units, varies)
            # The rounding errors of a huge constant unit must not count.
            aside = ~varies & (largest > 0) & (units > exponent + ORDINARY)
            self._units.append(units.where(varies | aside, exponent))
            self._exponents.append(exponent)
            self._relative.append(relative.masked_fill(aside, -900))
            self._aside.append(aside)
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
        """The representations of a chunk side by side, (m, Σ p_i), minus the first chunk's means."""
        side_by_side = torch.empty(len(chunk[0]), sum(self._widths), dtype=self.kind, device=chunk[0].device)
        for i, place in enumerate(side_by_side.split(self._widths, dim=1)):
            place.copy_(self._scaled(i, chunk[i]))
        return side_by_side.sub_(torch.cat(self._chunk_means).to(self.kind))

    def _scaled(self, index: int, samples: Tensor) -> Tensor:
        """Samples (m, p) of a representation, each unit divided by its scale."""
        units = self._units[index]
        return scale_(samples.to(torch.float64, copy=True), -units) if units.any() else samples

    def spectra(self) -> list[Spectrum]:
        """The spectrum of every representation. Raises a MemstudyError for values that are not finite."""
        if not self._spectra:
            self._whitenings = {}
            self._spectra = [self._spectrum(index) for index in range(len(self._partners))]
        return self._spectra

    def pair(self, x: int, y: int) -> Pair:
        """The pair of two representations, one of those that the stack was made for."""
        i, j = sorted((x, y))
        spectra = self.spectra()
        white = [self._whitening(index) for index in (i, j)]
        pair = Pair(spectra[i], spectra[j], white[0].T @ self._centered(i, j) @ white[1], self._quartic(i, j))
        return pair if x <= y else pair.swapped()

    def _whitening(self, index: int) -> Tensor:
        """The matrix (p, r) that maps centered samples, each unit at its scale, to the basis U."""
        if index in self._whitenings:
            return self._whitenings[index]
        spectrum = self.spectra()[index]
        return at_scale(spectrum.directions, self._relative[index]).T / spectrum.singular_values

    def _offset(self, index: int) -> Tensor:
        """The mean of all samples minus that of the first chunk."""
        return self._sums[index] / self.n

    def _product(self, i: int, j: int) -> Tensor:
        """XᵀY of samples minus the first chunk's means."""
        partners = self._partners[i]
        start = sum(self._widths[k] for k in partners[: partners.index(j)])
        return self._products[i][:, start : start + self._widths[j]]

    def _centered(self, i: int, j: int) -> Tensor:
        """XᵀY of samples minus their exact means."""
        return self._product(i, j) - torch.outer(self._sums[i], self._offset(j))

    def _quartic(self, i: int, j: int) -> float:
        """Σ ‖x - a‖² ‖y - b‖² with the offsets a and b, multiplied out."""
        at_i, at_j = (partial(at_scale, exponents=self._relative[index]) for index in (i, j))
        a, b = at_i(self._offset(i)), at_j(self._offset(j))
        aa, bb = a @ a, b @ b
        total = self._norms[i, j] - 2 * (at_i(self._by_norm[i][j]) @ a) - 2 * (at_j(self._by_norm[j][i]) @ b)
        total += bb * at_i(at_i(self._product(i, i))).trace() + aa * at_j(at_j(self._product(j, j))).trace()
        total += 4 * (at_i(a) @ self._product(i, j) @ at_j(b)) - 3 * self.n * aa * bb
        return float(total)

    def _spectrum(self, index: int) -> Spectrum:
        gram = self._centered(index, index)
        if not (finite := gram.diagonal().isfinite()).all():
            raise _not_finite("the representation", int((~finite).nonzero()[0]))
        squares = self._squares(index)
        constant = gram.diagonal() <= self.tolerance**2 * squares
        if len(late := (self._aside[index] & ~constant).nonzero()):
            raise MemstudyError(
                f"unit {int(late[0])} (counted from 0) is huge and constant in the first samples, and varies "
                "later; put the samples into another order."
            )
        gram[constant] = 0
        gram[:, constant] = 0
        gram = (gram + gram.T) / 2
        at = partial(at_scale, exponents=self._relative[index])
        values, vectors = torch.linalg.eigh(at(at(gram).T))
        sigma, rows = values.clamp(min=0).sqrt().flip(0), vectors.flip(1).T
        sizes = squares.sqrt().masked_fill(constant, 0)
        rank = clear_rank(sigma, at(sizes), self.tolerance)
        if rank is None:
            sigma, rows, self._whitenings[index] = self._unclear(index, gram, sizes)
            rank = len(sigma)
        return Spectrum(
            self.n, sigma[:rank], rows[:rank], self._quartic(index, index), constant.nonzero().flatten(),
            self._exponents[index],
        )  # fmt: skip

    def _unclear(self, index: int, gram: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """σ, directions and whitening, if small directions are lost in the products of units as they are.

        They are not lost in the products of units scaled to one size. The root of these takes the place of the
        triangle that `factorize` has from QR.
        """
        alike = torch.where(sizes > 0, gram.diagonal().sqrt(), 1.0)
        values, vectors = torch.linalg.eigh(gram / alike / alike[:, None])
        nonzero = values > self.tolerance**2 * (sizes > 0).sum()
        shares, vectors = values[nonzero].sqrt(), vectors[:, nonzero]
        root = shares[:, None] * vectors.T * alike
        left, sigma, rows = directions(root, sizes, self._relative[index], self.tolerance)
        return sigma, rows, vectors / alike[:, None] / shares @ left

    def _squares(self, index: int) -> Tensor:
        """Σ x² of each unit (p,), not centered."""
        means, sums = self._chunk_means[index], self._sums[index]
        return (self._product(index, index).diagonal() + means * (2 * sums + self.n * means)).clamp(min=0)


def _side_by_side(chosen: Sequence[int], parts: Sequence[Tensor], whole: Tensor) -> Tensor:
    """Some of the parts side by side. `whole` has all of them: parts that are neighbors in it are not copied."""
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
