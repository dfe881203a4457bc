"""A representation factorized once, after which comparing it with any other is cheap.

    X − mean = U · diag(σ) · V,   X (n samples, p units), float64

Two ways to the same thing. `factorize` is exact, for a representation at hand: QR, then the SVD of a p × p
triangle, O(n·p²); it keeps U. `Stack` goes through many representations of the same samples chunk by chunk, keeps
p × p products alone, and so needs no memory for samples: inner products of the U's follow from XᵀY. It squares the
condition number: in float64 a direction whose σ is a share s of the largest has an error of about 1e-16 / s²,
which stays below what float32 features themselves carry (6e-8 / s) for every direction that is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from memstudy.analysis.keep import KeepRule
from memstudy.errors import MemstudyError, unknown

ROUNDING = 2.0**-23
"""The resolution of float32, in which networks compute: what is smaller cannot be told from zero."""

PRODUCTS = {"float64": (torch.float64, ROUNDING), "float32": (torch.float32, 2.0**-11)}
"""How a Stack multiplies, and the share of the norm below which a direction is then rounding."""

POSITIONS = ("samples", "flattened")
CHUNK = 1000


def as_samples(features: Tensor, positions: str = "samples") -> Tensor:
    """Features (N, C, H, W) → (N·H·W, C), positions as samples; (N, p) stays. Float64.

    Positions as samples is what AL2's figure does (stated); `flattened` makes units of them: (N, C·H·W). Any other
    number of dimensions is refused.
    """
    return _as_samples(features, positions).double()


def _as_samples(features: Tensor, positions: str) -> Tensor:
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
    quartic: Σ over samples of ‖x‖⁴, centered. A representation that is constant has r = 0.
    """

    n: int
    singular_values: Tensor
    directions: Tensor
    quartic: float

    @property
    def p(self) -> int:
        """Units, dead ones included."""
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
        _same_samples([x.spectrum.n, y.spectrum.n])
        return cls(x.spectrum, y.spectrum, x.basis.T @ y.basis, float(x.norms @ y.norms))

    def swapped(self) -> Pair:
        """The same two, the other way round."""
        return Pair(self.y, self.x, self.overlap.T, self.quartic)


def factorize(samples: Tensor, tolerance: float = ROUNDING) -> View:
    """Samples (n, p) → their view, O(n·p²), once for all pairs.

    Null directions (dead channels, constant or duplicated units) are dropped: those with a singular value
    of at most `tolerance` · ‖samples‖_F, the norm taken before centering. The default bounds what rounding
    the features to float32 can make of nothing (ours; the choice matters, as CCA would give such a direction
    the same weight as any other). A collapsed representation, constant to that precision, gives rank 0.

    Raises a MemstudyError for values that are not finite, for no samples, and for another shape.
    """
    if samples.ndim != 2 or len(samples) == 0:
        raise MemstudyError(f"samples must have shape (n, p), n > 0, not {tuple(samples.shape)}; see as_samples.")
    _check_finite(samples)
    samples = samples.double()
    centered = samples - samples.mean(dim=0)
    orthonormal, triangle = torch.linalg.qr(centered)
    left, singular_values, directions = torch.linalg.svd(triangle, full_matrices=False)
    rank = int((singular_values > tolerance * torch.linalg.norm(samples)).sum())
    norms = centered.square().sum(dim=1)
    values, rows = singular_values[:rank].clone(), directions[:rank].clone()
    return View(Spectrum(len(samples), values, rows, float(norms @ norms)), orthonormal @ left[:, :rank], norms)


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
        self._partners = {i: sorted({i, *(max(pair) for pair in pairs if min(pair) == i)}) for i in range(count)}
        self._chunk_means: list[Tensor] = []
        self._sums: list[Tensor] = []
        self._products: dict[tuple[int, int], Tensor] = {}
        self._by_norm: list[Tensor] = []  # of each representation Σ ‖x_j‖² x, a row for each j
        self._norms = torch.zeros(count, count, dtype=torch.float64)
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
        _same_samples([len(each) for each in samples])
        stack = cls(len(samples), pairs, product)
        for parts in zip(*(each.split(chunk) for each in samples), strict=True):
            stack.add(parts)
        return stack

    def add(self, chunk: Sequence[Tensor]) -> None:
        """The next samples of every representation, (m, p_i) each, in one order."""
        if not self.n:  # near the mean, so that little cancels when the exact one is taken off
            self._chunk_means = [part.double().mean(dim=0) for part in chunk]
        whole = torch.cat([part.to(self.kind) for part in chunk], dim=1)
        whole -= torch.cat(self._chunk_means).to(self.kind)
        parts = list(whole.split([part.shape[1] for part in chunk], dim=1))
        norms = torch.stack([part.square().sum(dim=1) for part in parts])
        blocks = {
            (i, j): block
            for i, partners in self._partners.items()
            for j, block in zip(partners, _products(i, partners, parts, whole), strict=True)
        }
        by_norm = [(norms @ part).double() for part in parts]
        sums = [part.sum(dim=0, dtype=torch.float64) for part in parts]
        if self.n:
            for found, new in zip([*self._sums, *self._by_norm], [*sums, *by_norm], strict=True):
                found += new
            for key, block in blocks.items():
                self._products[key] += block
            self._norms += (norms @ norms.T).double()
        else:
            self._sums, self._by_norm = sums, by_norm
            self._products, self._norms = blocks, (norms @ norms.T).double()
        self.n += len(parts[0])
        self._spectra = []

    def spectra(self) -> list[Spectrum]:
        """Every representation's. Raises a MemstudyError for values that are not finite."""
        if not self._spectra:
            self._spectra = [self._spectrum(index) for index in self._partners]
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

    def _centered(self, i: int, j: int) -> Tensor:
        """XᵀY about the exact means."""
        return self._products[i, j] - torch.outer(self._sums[i], self._offset(j))

    def _quartic(self, i: int, j: int) -> float:
        """Σ ‖x - a‖² ‖y - b‖², multiplied out, with the offsets a and b."""
        a, b = self._offset(i), self._offset(j)
        aa, bb = a @ a, b @ b
        total = self._norms[i, j] - 2 * (self._by_norm[i][j] @ a) - 2 * (self._by_norm[j][i] @ b)
        total += bb * self._products[i, i].trace() + aa * self._products[j, j].trace()
        total += 4 * (a @ self._products[i, j] @ b) - 3 * self.n * aa * bb
        return float(total)

    def _spectrum(self, index: int) -> Spectrum:
        gram = self._centered(index, index)
        norm = self._products[index, index].trace() + 2 * (self._chunk_means[index] @ self._sums[index])
        norm += self.n * (self._chunk_means[index] @ self._chunk_means[index])
        _check_finite(gram)
        values, vectors = torch.linalg.eigh((gram + gram.T) / 2)
        singular_values = values.clamp(min=0).sqrt().flip(0)
        rank = int((singular_values > self.tolerance * norm.sqrt()).sum())
        directions = vectors.flip(1).T[:rank]
        return Spectrum(self.n, singular_values[:rank], directions, self._quartic(index, index))


def _products(i: int, partners: Sequence[int], parts: Sequence[Tensor], whole: Tensor) -> list[Tensor]:
    """`parts[i]`ᵀ with each of its partners, in one multiplication, as float64 of their own.

    `whole` is all parts side by side: partners that are neighbors in it are not copied.
    """
    widths = [parts[j].shape[1] for j in partners]
    if list(partners) == list(range(partners[0], partners[-1] + 1)):
        start = sum(part.shape[1] for part in parts[: partners[0]])
        others = whole[:, start : start + sum(widths)]
    else:
        others = torch.cat([parts[j] for j in partners], dim=1)
    return [product.double().clone() for product in (parts[i].T @ others).split(widths, dim=1)]


def _whitened(spectrum: Spectrum) -> Tensor:
    """(p, r): what turns centered samples into the basis."""
    return spectrum.directions.T / spectrum.singular_values


def _same_samples(counts: Sequence[int]) -> None:
    if len(set(counts)) > 1:
        raise MemstudyError(
            f"the representations are of different samples ({' and '.join(map(str, counts))}); compare the same "
            "images."
        )


def _check_finite(values: Tensor) -> None:
    if not values.isfinite().all():
        raise MemstudyError(
            "the representation holds NaN or infinite values, as a network that diverged gives; leave it out."
        )
