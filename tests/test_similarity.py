"""Laws of similarity between representations: an independent oracle, invariances, closed forms, controls.

Theorems about arbitrary matrices are tested on random ones, where the truth is known; what concerns networks
is tested on smallNet's own features of real digits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import ckatorch
import numpy as np
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.cross_decomposition import CCA
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor, is_tensor
from torch.linalg import LinAlgError  # type: ignore[attr-defined]
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from memstudy import analysis
from memstudy.analysis.factorization import Pair, Spectrum, Stack, View, as_samples, factorize
from memstudy.analysis.keep import KeepRule, parse_keep
from memstudy.analysis.similarity import (
    all_coefficients,
    cka,
    coefficients,
    procrustes,
    pwcca,
    svcca,
    unbiased_cka,
)
from memstudy.data.images import ImageSet
from memstudy.errors import MemstudyError
from memstudy.models import build
from memstudy.randomness import torch_generator

Matrix = NDArray[np.float64]

SIZES = [(40, 3, 3), (200, 10, 25), (200, 25, 10), (900, 60, 40)]
over_sizes = pytest.mark.parametrize(("n", "p", "q"), SIZES)
over_seeds = pytest.mark.parametrize("seed", range(3))


@pytest.fixture(scope="module", autouse=True)
def _one_blas_thread() -> Iterator[None]:
    """The oracles' matrices are small: numpy's and scipy's threads would only disturb each other."""
    with threadpool_limits(1):
        yield


def gaussian(rows: int, columns: int, seed: int, purpose: str = "x") -> Tensor:
    generator = torch_generator(seed, f"test/{purpose}")
    return torch.randn(rows, columns, dtype=torch.float64, generator=generator)


def orthonormal(rows: int, columns: int, seed: int, purpose: str = "q") -> Tensor:
    """Orthonormal columns that all have mean 0."""
    noise = gaussian(rows, columns, seed, purpose)
    return torch.linalg.qr(noise - noise.mean(dim=0))[0]


def invertible(size: int, seed: int, condition: float = 100.0) -> Tensor:
    left, right = (torch.linalg.qr(gaussian(size, size, seed, side))[0] for side in ("left", "right"))
    return left @ torch.diag(torch.logspace(0, np.log10(condition), size, dtype=torch.float64)) @ right


def related(n: int, p: int, q: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two random representations that share some, but not all, of what they vary in."""
    x = gaussian(n, p, seed, "x")
    y = x @ gaussian(p, q, seed, "map") + 2 * gaussian(n, q, seed, "y")
    return x + 3, y - 1


def oracle(x: Tensor, y: Tensor) -> Matrix:
    """Canonical coefficients by numpy's QR and SVD of the raw matrices (Björck and Golub)."""
    bases = [np.linalg.qr(part.numpy() - part.numpy().mean(axis=0))[0] for part in (x, y)]
    return np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)


def joined(x: Tensor, y: Tensor) -> Pair:
    return Pair.of(factorize(x), factorize(y))


def pair(x: Tensor, y: Tensor) -> Tensor:
    return coefficients(joined(x, y))


def trained_features(images: ImageSet, seed: int, steps: int) -> Tensor:
    """smallNet's trunk on 200 real test digits, after a few steps of training."""
    network = build("smallnet", channels=1, size=28, classes=10, generator=torch_generator(seed, "weights"))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.5)
    generator = torch_generator(seed, "test/batches")
    for _ in range(steps):
        batch = torch.randint(len(images.train_labels), (64,), generator=generator)
        logits = network((images.train_images[batch] / 255 - 0.1307) / 0.3081)[1]
        optimizer.zero_grad()
        F.cross_entropy(logits, images.train_labels[batch]).backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        return network.trunk((images.test_images[::5] / 255 - 0.1307) / 0.3081)


@pytest.fixture(scope="module")
def real(mnist5k: ImageSet) -> list[Tensor]:
    """Positions as samples (3200, 50) of two networks that differ in their seed."""
    return [as_samples(trained_features(mnist5k, seed, steps=30)) for seed in (0, 1)]


class TestSamples:
    def test_positions_become_samples(self) -> None:
        features = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).view(2, 3, 4, 5)
        samples = as_samples(features)
        assert samples.shape == (40, 3)
        assert samples.dtype == torch.float64
        for n, c, h, w in [(0, 0, 0, 0), (1, 2, 3, 4), (1, 0, 2, 3), (0, 1, 3, 0)]:
            assert samples[(n * 4 + h) * 5 + w, c] == features[n, c, h, w]

    def test_flat_features_stay(self) -> None:
        flat = gaussian(5, 3, 0).float()
        assert torch.equal(as_samples(flat), flat.double())

    @pytest.mark.parametrize("shape", [(5,), (5, 3, 4), (1, 2, 3, 4, 5)])
    def test_other_shapes_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(MemstudyError, match=r"shape \(N, p\) or \(N, C, H, W\)"):
            as_samples(torch.zeros(shape))


class TestView:
    @over_seeds
    @over_sizes
    def test_is_the_singular_value_decomposition_of_the_centered_samples(
        self, n: int, p: int, q: int, seed: int
    ) -> None:
        samples = related(n, p, q, seed)[1]
        view = factorize(samples)
        assert (view.spectrum.n, view.spectrum.p, view.spectrum.rank) == (n, q, q)
        centered = samples - samples.mean(dim=0)
        own = view.spectrum
        rebuilt = view.basis @ torch.diag(own.singular_values) @ own.directions
        torch.testing.assert_close(rebuilt, centered, rtol=0, atol=1e-11)
        identity = torch.eye(own.rank, dtype=torch.float64)
        torch.testing.assert_close(view.basis.T @ view.basis, identity, rtol=0, atol=1e-12)
        torch.testing.assert_close(own.directions @ own.directions.T, identity, rtol=0, atol=1e-12)
        expected = scipy.linalg.svdvals(centered.numpy())
        np.testing.assert_allclose(own.singular_values, expected, rtol=1e-10)
        torch.testing.assert_close(view.norms, centered.square().sum(dim=1), rtol=1e-12, atol=0)
        assert own.quartic == pytest.approx(float(view.norms.square().sum()))

    def test_dead_constant_and_dependent_neurons_are_no_directions(self, real: list[Tensor]) -> None:
        x, y = real
        plain = factorize(x)
        dead = torch.zeros(len(x), 2, dtype=torch.float64)
        # The copy and the sum are rounded to float32, as a network would round them.
        dependent = torch.stack([x[:, 0] * 3, x[:, 1] + x[:, 2]], dim=1).float().double()
        padded = factorize(torch.cat([dead, x, dead + 0.7, dependent], dim=1))
        assert (padded.spectrum.p, padded.spectrum.rank) == (x.shape[1] + 6, plain.spectrum.rank)
        other = factorize(y)
        found, expected = (coefficients(Pair.of(view, other)) for view in (padded, plain))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)

    def test_a_finer_tolerance_takes_rounding_for_a_direction(self, real: list[Tensor]) -> None:
        """Negative control: the documented tolerance is what keeps float32's rounding out."""
        x = real[0]
        samples = torch.cat([x, (x[:, 1:2] + x[:, 2:3]).float().double()], dim=1)
        finer = factorize(samples, tolerance=2.0**-52)
        assert finer.spectrum.rank == factorize(samples).spectrum.rank + 1

    @pytest.mark.parametrize("value", [0.0, 0.1, -7.3])
    def test_a_constant_representation_has_rank_0_and_no_similarity(self, value: float) -> None:
        collapsed = factorize(torch.full((300, 20), value))
        other = factorize(gaussian(300, 10, 0))
        assert collapsed.spectrum.rank == 0
        for both in [(collapsed, other), (other, collapsed), (collapsed, collapsed)]:
            none = Pair.of(*both)
            assert len(coefficients(none)) == 0
            for number in (svcca(none, KeepRule()), pwcca(none), cka(none), unbiased_cka(none), procrustes(none)):
                assert np.isnan(number)

    def test_constant_up_to_rounding_is_constant(self) -> None:
        last_bit = torch.randint(2, (300, 20), generator=torch_generator(0, "test/bits"))
        samples = torch.full((300, 20), 0.1) * (1 + last_bit * 2.0**-23)
        assert samples.unique().numel() > 1
        assert factorize(samples).spectrum.rank == 0

    @pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e6, 1e30])
    def test_a_tiny_representation_is_not_a_constant_one(self, real: list[Tensor], scale: float) -> None:
        scaled = joined(real[0] * scale, real[1])
        plain = joined(*real)
        assert scaled.x.rank == plain.x.rank
        torch.testing.assert_close(coefficients(scaled), coefficients(plain), rtol=0, atol=1e-9)

    @pytest.mark.parametrize(("n", "p"), [(20, 20), (7, 30)])
    def test_too_few_samples_are_refused_by_their_numbers(self, n: int, p: int) -> None:
        few = joined(gaussian(n, 3, 1), gaussian(n, p, 0))
        for measure in (
            coefficients,
            lambda pair: svcca(pair, KeepRule()),
            pwcca,
            lambda p: all_coefficients([p]),
        ):
            with pytest.raises(MemstudyError, match=f"n = {n} and p = {p}"):
                measure(few)

    def test_no_samples_are_refused(self) -> None:
        with pytest.raises(MemstudyError, match="n > 0"):
            factorize(gaussian(0, 3, 0))

    def test_one_sample_more_than_neurons_is_allowed(self) -> None:
        few = gaussian(21, 20, 0)
        assert len(pair(few, few)) == 20

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
    def test_values_that_are_not_finite_are_refused(self, bad: float) -> None:
        samples = gaussian(30, 4, 0)
        samples[7, 2] = bad
        with pytest.raises(MemstudyError, match=r"NaN or infinite values, first in sample 7, unit 2 \(counted"):
            factorize(samples)

    def test_features_that_are_not_samples_are_refused(self) -> None:
        with pytest.raises(MemstudyError, match="as_samples"):
            factorize(torch.zeros(30, 2, 3, 3))


def both_ways(samples: Tensor) -> list[Spectrum]:
    """The exact spectrum, and that of products alone."""
    return [factorize(samples).spectrum, Stack.of([samples], [(0, 0)], chunk=100).spectra()[0]]


def nearly_constant(value: float, steps: int, n: int = 300) -> Tensor:
    """A column (n, 1) of a float32 number and its neighbor so many steps of float32 away, in turns by chance."""
    first = np.float32(value)
    second = first
    for _ in range(steps):
        second = np.nextafter(second, np.float32(np.inf))
    chosen = torch.randint(2, (n, 1), generator=torch_generator(0, "test/bits"))
    return torch.where(chosen == 1, torch.tensor(first), torch.tensor(second))


class TestConstantUnits:
    """Constant is what float32 cannot tell from it: a centered norm of at most 2⁻²³ of the norm."""

    @settings(max_examples=40, deadline=None)
    @given(mantissa=st.floats(1, 10), exponent=st.integers(-30, 30), sign=st.sampled_from([1, -1]))
    def test_neighbors_in_float32_are_one_number_and_ten_steps_are_not(
        self, mantissa: float, exponent: int, sign: int
    ) -> None:
        for steps, constant in ((0, [0]), (1, [0]), (10, [])):
            for spectrum in both_ways(sign * nearly_constant(mantissa * 10.0**exponent, steps)):
                assert (spectrum.constant.tolist(), spectrum.rank) == (constant, 1 - len(constant)), steps

    @pytest.mark.parametrize("size", [0.0, 0.7, -3e4, 1e12])
    def test_they_are_as_if_they_were_not_there(self, real: list[Tensor], size: float) -> None:
        """However large: a unit that says 10¹² of every image must not hide what the others say."""
        x, y = (part[:, part.std(dim=0) > 0] for part in real)
        constant = torch.full((len(x), 2), size, dtype=torch.float64)
        padded = torch.cat([constant[:, :1], x, constant[:, 1:]], dim=1)
        for found, plain in zip(both_ways(padded), both_ways(x), strict=True):
            assert found.constant.tolist() == [0, x.shape[1] + 1]
            assert not len(plain.constant)
            torch.testing.assert_close(found.singular_values, plain.singular_values, rtol=1e-9, atol=0)
        for way in (joined, lambda x, y: Stack.of([x, y], [(0, 1)]).pair(0, 1)):
            for name, measure in MEASURES.items():
                assert measure(way(padded, y)) == pytest.approx(measure(way(x, y)), abs=1e-9), name

    def test_what_varies_little_beside_others_is_not_constant(self, real: list[Tensor]) -> None:
        """Negative control: each unit is measured by itself, and is a direction whatever the others' scales."""
        for spectrum in both_ways(torch.cat([1e9 * real[0][:, :1], gaussian(len(real[0]), 1, 0)], dim=1)):
            assert not len(spectrum.constant)
            assert spectrum.rank == 2


class TestCoefficients:
    @over_seeds
    @over_sizes
    def test_agree_with_an_independent_oracle(self, n: int, p: int, q: int, seed: int) -> None:
        x, y = related(n, p, q, seed)
        rho = pair(x, y)
        assert rho.shape == (min(p, q),)
        assert rho.dtype == torch.float64
        np.testing.assert_allclose(rho, oracle(x, y), rtol=0, atol=1e-10)
        angles = scipy.linalg.subspace_angles((x - x.mean(dim=0)).numpy(), (y - y.mean(dim=0)).numpy())
        np.testing.assert_allclose(rho, np.cos(angles)[::-1], rtol=0, atol=1e-10)

    def test_agree_with_the_oracle_on_real_features(self, real: list[Tensor]) -> None:
        x, y = real
        alive = [part[:, part.std(dim=0) > 0] for part in (x, y)]
        np.testing.assert_allclose(pair(x, y), oracle(*alive), rtol=0, atol=1e-10)

    def test_agree_with_the_correlations_that_scikit_learn_maximizes(self) -> None:
        x, y = related(400, 4, 3, 0)
        scores = CCA(n_components=3, max_iter=5000, tol=1e-12).fit_transform(x.numpy(), y.numpy())
        correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(scores[0].T, scores[1].T, strict=True)]
        np.testing.assert_allclose(pair(x, y), correlations, atol=1e-4)

    def test_agree_with_cca_zoo_on_real_features(self, real: list[Tensor]) -> None:
        """Its correlations of the variates, one by one: covariances and a generalized eigenproblem, in float64."""
        linear = pytest.importorskip("cca_zoo.linear", reason="cca-zoo needs a newer scikit-learn than memstudy")
        alive: list[Any] = [part[:, part.std(dim=0) > 0].numpy() for part in real]
        rho = analysis.cca(*alive).coefficients
        variates = linear.CCA(n_components=len(rho)).fit_transform(alive)
        correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(*(side.T for side in variates), strict=True)]
        np.testing.assert_allclose(rho, correlations, rtol=0, atol=1e-10)

    @over_seeds
    @over_sizes
    def test_are_descending_within_0_and_1_and_symmetric(self, n: int, p: int, q: int, seed: int) -> None:
        both = joined(*related(n, p, q, seed))
        rho = coefficients(both)
        assert 0 <= rho.min() <= rho.max() <= 1
        assert (rho.diff() <= 0).all()
        torch.testing.assert_close(coefficients(both.swapped()), rho, rtol=0, atol=1e-12)

    @over_seeds
    @over_sizes
    def test_do_not_change_under_invertible_maps_and_shifts(self, n: int, p: int, q: int, seed: int) -> None:
        x, y = related(n, p, q, seed)
        mapped = x @ invertible(p, seed) + 50 * gaussian(1, p, seed, "shift")
        torch.testing.assert_close(pair(mapped, y), pair(x, y), rtol=0, atol=1e-8)
        torch.testing.assert_close(pair(y, mapped), pair(y, x), rtol=0, atol=1e-8)

    @over_seeds
    def test_do_not_change_under_invertible_maps_of_real_features(self, real: list[Tensor], seed: int) -> None:
        x, y = real
        x = x[:, x.std(dim=0) > 0]
        mapped = x @ invertible(x.shape[1], seed) + gaussian(1, x.shape[1], seed, "shift")
        torch.testing.assert_close(pair(mapped, y), pair(x, y), rtol=0, atol=1e-8)

    def test_change_under_a_map_that_is_not_linear(self, real: list[Tensor]) -> None:
        """Negative control of the invariance."""
        x, y = real
        assert (pair(x.square(), y) - pair(x, y)).abs().max() > 1e-2

    def test_do_not_depend_on_the_order_of_the_samples_but_on_their_pairing(self, real: list[Tensor]) -> None:
        x, y = real
        order = torch.randperm(len(x), generator=torch_generator(0, "test/order"))
        torch.testing.assert_close(pair(x[order], y[order]), pair(x, y), rtol=0, atol=1e-10)
        assert pair(x[order], y).mean() < 0.25 * pair(x, y).mean()

    @over_seeds
    def test_of_a_representation_with_itself_are_1(self, real: list[Tensor], seed: int) -> None:
        for samples in (gaussian(300, 40, seed), real[seed % 2]):
            same = joined(samples, samples)
            ones = torch.ones(same.x.rank, dtype=torch.float64)
            rho = coefficients(same)
            torch.testing.assert_close(rho, ones, rtol=0, atol=1e-12)
            assert rho.max() <= 1

    @over_seeds
    @pytest.mark.parametrize(("k", "extra"), [(1, 0), (5, 0), (5, 7), (20, 3)])
    def test_recover_planted_principal_angles(self, k: int, extra: int, seed: int) -> None:
        """Y = X cos θ + Z sin θ with X ⊥ Z has coefficients cos θ, whatever basis each side is seen in."""
        q = orthonormal(300, 2 * k + extra, seed)
        angles = torch.rand(k, dtype=torch.float64, generator=torch_generator(seed, "test/angles"))
        angles = (angles * torch.pi / 2).sort().values
        angles[0] = 0
        x = q[:, :k] @ invertible(k, seed) + 5
        y = torch.cat([q[:, :k] * angles.cos() + q[:, k : 2 * k] * angles.sin(), q[:, 2 * k :]], dim=1)
        y = y @ invertible(k + extra, seed + 10) - 2
        torch.testing.assert_close(pair(x, y), angles.cos(), rtol=0, atol=1e-10)

    @over_seeds
    @pytest.mark.parametrize(("n", "p", "q"), [(2000, 20, 20), (2000, 100, 50), (4000, 50, 50)])
    def test_of_independent_data_stop_at_the_random_edge(self, n: int, p: int, q: int, seed: int) -> None:
        """Negative control. The largest approaches √(a(1−b)) + √(b(1−a)), a = p/n, b = q/n (Wachter 1980)."""
        rho = pair(gaussian(n, p, seed, "x"), gaussian(n, q, seed, "y"))
        a, b = p / n, q / n
        edge = (a * (1 - b)) ** 0.5 + (b * (1 - a)) ** 0.5
        assert edge <= a**0.5 + b**0.5 < 0.5
        assert abs(float(rho[0]) - edge) < 0.03

    @over_seeds
    @pytest.mark.parametrize(("n", "p", "q"), [(30, 20, 15), (30, 29, 29), (30, 14, 15), (30, 15, 15)])
    def test_too_few_samples_force_ones_on_independent_data(self, n: int, p: int, q: int, seed: int) -> None:
        """Two subspaces of an (n - 1)-dimensional space meet."""
        rho = pair(gaussian(n, p, seed, "x"), gaussian(n, q, seed, "y"))
        assert int((rho > 1 - 1e-10).sum()) == max(0, p + q - (n - 1))

    def test_do_not_fail_where_the_fast_decomposition_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As LAPACK's gesdd sometimes does where few samples make many coefficients 1: here, always."""
        few = joined(gaussian(60, 50, 0, "x"), gaussian(60, 40, 0, "y"))
        expected = coefficients(few), pwcca(few), svcca(few, KeepRule()), procrustes(few)

        def fail(*arguments: object, **named: object) -> None:
            raise LinAlgError("did not converge")

        monkeypatch.setattr(torch.linalg, "svd", fail)
        monkeypatch.setattr(torch.linalg, "svdvals", fail)
        torch.testing.assert_close(coefficients(few), expected[0], rtol=0, atol=1e-12)
        found = pwcca(few), svcca(few, KeepRule()), procrustes(few)
        assert found[1:] == pytest.approx(expected[2:], abs=1e-12)
        assert found[0] == pytest.approx(expected[1], abs=0.05)  # its weights within equal coefficients are free

    def test_two_seeds_of_one_network_have_much_in_common(self, real: list[Tensor]) -> None:
        """Far above what as many independent noise samples reach."""
        noise = gaussian(len(real[0]), real[0].shape[1], 0)
        two, control = pair(*real), pair(real[0], noise)
        assert two.mean() > 2 * control.mean()
        assert two.max() > 0.9 > 0.35 > control.max()

    def test_views_of_different_samples_are_refused(self) -> None:
        with pytest.raises(MemstudyError, match="300 and 200"):
            joined(gaussian(300, 4, 0), gaussian(200, 4, 0))


def spectrum(values: Tensor, seed: int = 0, n: int = 200) -> View:
    """The view of samples with exactly these singular values."""
    basis, directions = orthonormal(n, len(values), seed), invertible(len(values), seed, condition=1)
    return factorize(basis @ torch.diag(values) @ directions)


class TestKeepRule:
    # σ = 1/2, 1/4, …: Σσ² reaches 1 − 4^−k of the whole after k directions, Σσ reaches 1 − 2^−k.
    HALVING = 0.5 ** torch.arange(1, 13, dtype=torch.float64)

    @pytest.mark.parametrize(
        ("text", "kept"),
        [
            ("variance:0.99", 4), ("singular:0.99", 7), ("fixed:10", 10), ("all", 12),
            ("variance:0.7", 1), ("singular:0.7", 2), ("fixed:1", 1), ("fixed:99", 12),
            ("variance:0.8", 2), ("singular:0.5", 1),
        ],
    )  # fmt: skip
    def test_keeps_the_count_it_says(self, text: str, kept: int) -> None:
        view = spectrum(self.HALVING)
        assert parse_keep(text).count(view.spectrum.singular_values) == kept
        assert torch.equal(view.leading(parse_keep(text)), view.basis[:, :kept])

    @pytest.mark.parametrize("name", ["variance", "singular"])
    @pytest.mark.parametrize(("fraction", "kept"), [(0.25, 1), (0.26, 2), (0.5, 2), (0.75, 3), (1.0, 4)])
    def test_keeps_the_fewest_that_reach_the_fraction(self, name: str, fraction: float, kept: int) -> None:
        assert KeepRule(name, fraction).count(torch.full((4,), 2.0)) == kept

    @pytest.mark.parametrize("text", ["variance:0.99", "singular:0.9", "variance:1.0", "fixed:10", "all"])
    def test_text_round_trip(self, text: str) -> None:
        assert str(parse_keep(text)) == text
        assert parse_keep(str(parse_keep(text))) == parse_keep(text)

    def test_the_default_is_the_papers(self) -> None:
        assert str(KeepRule()) == str(parse_keep("variance")) == "variance:0.99"

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("variants:0.9", "did you mean variance"), ("", "known are all, fixed, singular, variance"),
            ("variance:1.5", r"fraction in \(0, 1\], not 1.5"), ("singular:0", r"fraction in \(0, 1\], not 0"),
            ("fixed:0", "at least 1, not 0"), ("fixed:2.5", "whole number"), ("fixed:inf", "not inf"),
            ("fixed", "fixed:COUNT"), ("all:3", "Allowed"), ("variance:most", "variance:FRACTION"),
            ("variance:nan", "Allowed"), ("variance:", "Allowed"),
        ],
    )  # fmt: skip
    def test_bad_text_is_answered_in_a_sentence(self, text: str, sentence: str) -> None:
        with pytest.raises(MemstudyError, match=sentence):
            parse_keep(text)


class TestSvcca:
    @over_seeds
    @over_sizes
    @pytest.mark.parametrize("text", ["variance:0.8", "singular:0.8", "fixed:3", "all"])
    def test_is_the_mean_oracle_coefficient_of_truncated_samples(
        self, n: int, p: int, q: int, seed: int, text: str
    ) -> None:
        rule = parse_keep(text)
        samples = related(n, p, q, seed)
        kept = []
        for part in samples:
            u, s, _ = scipy.linalg.svd((part - part.mean(dim=0)).numpy(), full_matrices=False)
            kept.append(torch.from_numpy(u[:, : rule.count(torch.from_numpy(s))]))
        assert svcca(joined(*samples), rule) == pytest.approx(oracle(kept[0], kept[1]).mean(), abs=1e-10)

    def test_of_everything_is_mean_cca(self, real: list[Tensor]) -> None:
        both = joined(*real)
        assert svcca(both, KeepRule("all")) == pytest.approx(float(coefficients(both).mean()), abs=1e-12)

    def test_the_rules_disagree_on_real_features(self, real: list[Tensor]) -> None:
        """Why the rule must stand beside the number."""
        both = joined(*real)
        numbers = [svcca(both, parse_keep(text)) for text in ("variance:0.99", "singular:0.99", "fixed:10")]
        assert min(abs(a - b) for a, b in [numbers[:2], numbers[1:], numbers[::2]]) > 1e-3

    def test_is_not_invariant_to_stretching_but_to_rotation(self, real: list[Tensor]) -> None:
        """Truncation by size of a direction costs SVCCA the full invariance of CCA."""
        x, y = real
        p, rule = x.shape[1], KeepRule("fixed", 10)
        before = svcca(joined(x, y), rule)
        rotated = svcca(joined(x @ invertible(p, 0, condition=1), y), rule)
        stretched = svcca(joined(x @ invertible(p, 0), y), rule)
        assert rotated == pytest.approx(before, abs=1e-9)
        assert abs(stretched - before) > 1e-3


def pwcca_by_definition(x: Tensor, y: Tensor) -> float:
    """Morcos et al. 2018 word for word, with covariances and loops; shares no step with the product."""
    a, b = (part.numpy() - part.numpy().mean(axis=0) for part in (x, y))
    whiten_a, whiten_b = (np.linalg.inv(scipy.linalg.sqrtm(part.T @ part).real) for part in (a, b))
    u, rho, _ = np.linalg.svd(whiten_a @ a.T @ b @ whiten_b, full_matrices=False)
    total = weight_sum = 0.0
    for i in range(min(a.shape[1], b.shape[1])):
        variate = a @ whiten_a @ u[:, i]
        assert np.linalg.norm(variate) == pytest.approx(1)
        weight = 0.0
        for j in range(a.shape[1]):
            weight += abs(float(variate @ a[:, j]))
        total += weight * rho[i]
        weight_sum += weight
    return total / weight_sum


class TestPwcca:
    @over_seeds
    @over_sizes
    def test_follows_the_definition_with_more_and_with_fewer_neurons_first(
        self, n: int, p: int, q: int, seed: int
    ) -> None:
        x, y = related(n, p, q, seed)
        assert pwcca(joined(x, y)) == pytest.approx(pwcca_by_definition(x, y), abs=1e-10)

    def test_follows_the_definition_on_real_features(self, real: list[Tensor]) -> None:
        x, y = (part[:, part.std(dim=0) > 0] for part in real)
        assert pwcca(joined(x, y)) == pytest.approx(pwcca_by_definition(x, y), abs=1e-6)

    @over_seeds
    def test_of_a_representation_with_itself_is_1(self, real: list[Tensor], seed: int) -> None:
        for samples in (gaussian(300, 40, seed), real[seed % 2]):
            assert pwcca(joined(samples, samples)) == pytest.approx(1, abs=1e-12)

    @over_seeds
    @over_sizes
    def test_is_a_weighted_mean_of_the_coefficients(self, n: int, p: int, q: int, seed: int) -> None:
        both = joined(*related(n, p, q, seed))
        rho = coefficients(both)
        assert rho.min() < pwcca(both) < rho.max()

    @over_seeds
    @over_sizes
    def test_keeps_its_invariances(self, n: int, p: int, q: int, seed: int) -> None:
        """Invertible maps and shifts of the second view; scale, shift, order and signs of the first's neurons."""
        x, y = related(n, p, q, seed)
        before = pwcca(joined(x, y))
        mapped = y @ invertible(q, seed) + gaussian(1, q, seed, "shift")
        assert pwcca(joined(x, mapped)) == pytest.approx(before, abs=1e-8)
        generator = torch_generator(seed, "test/neurons")
        signs = torch.randint(2, (p,), generator=generator).double() * 2 - 1
        relabeled = 7 * (x * signs)[:, torch.randperm(p, generator=generator)] + 4
        assert pwcca(joined(relabeled, y)) == pytest.approx(before, abs=1e-8)

    def test_is_neither_symmetric_nor_invariant_to_maps_of_the_first_view(self, real: list[Tensor]) -> None:
        """Negative control: the weights do depend on the first view's neurons."""
        x, y = real
        before = pwcca(joined(x, y))
        assert abs(pwcca(joined(y, x)) - before) > 1e-4
        assert abs(pwcca(joined(x @ invertible(x.shape[1], 0), y)) - before) > 1e-3

    def test_weighs_what_the_first_view_mostly_consists_of(self) -> None:
        """Closed form: neurons of size 10 and 1, coefficients 0.9 and 0.3 → (10 · 0.9 + 1 · 0.3) / 11."""
        q = orthonormal(100, 4, 0)
        rho = torch.tensor([0.9, 0.3], dtype=torch.float64)
        x = q[:, :2] * torch.tensor([10.0, 1.0])
        y = q[:, :2] * rho + q[:, 2:] * (1 - rho**2).sqrt()
        assert pwcca(joined(x, y)) == pytest.approx((10 * 0.9 + 0.3) / 11, abs=1e-12)
        assert pwcca(joined(y, x)) == pytest.approx(0.6, abs=1e-12)


MEASURES: dict[str, Callable[[Pair], float]] = {
    "cca": lambda pair: float(coefficients(pair).mean()),
    "svcca": lambda pair: svcca(pair, KeepRule()),
    "pwcca": pwcca,
    "cka": cka,
    "unbiased cka": unbiased_cka,
    "procrustes": procrustes,
}
over_measures = pytest.mark.parametrize("measure", MEASURES.values(), ids=list(MEASURES))
over_rotated = pytest.mark.parametrize("measure", [cka, unbiased_cka, procrustes])
over_wide = pytest.mark.parametrize(("n", "p", "q"), [*SIZES, (20, 30, 8), (20, 30, 40)])


def cka_by_definition(x: Tensor, y: Tensor) -> float:
    """Kornblith et al. 2019: HSIC of centered n × n kernels."""
    n = len(x)
    centering = torch.eye(n, dtype=torch.float64) - 1 / n
    k, m = (centering @ part @ part.T @ centering for part in (x, y))
    return float((k * m).sum() / (k.norm() * m.norm()))


def unbiased_by_definition(x: Tensor, y: Tensor) -> float:
    """Song et al. 2012, eq. 5, on kernels that are not centered; shares no step with the product."""

    def hsic(k: Tensor, m: Tensor) -> Tensor:
        n = len(k)
        ones = torch.ones(n, dtype=torch.float64)
        k, m = (kernel - torch.diag(kernel.diag()) for kernel in (k, m))
        middle = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
        return (torch.trace(k @ m) + middle - 2 / (n - 2) * (ones @ k @ m @ ones)) / (n * (n - 3))

    a, b = x @ x.T, y @ y.T
    return float(hsic(a, b) / (hsic(a, a) * hsic(b, b)).sqrt())


class TestCka:
    @over_seeds
    @over_wide
    def test_follows_its_definition(self, n: int, p: int, q: int, seed: int) -> None:
        x, y = related(n, p, q, seed)
        assert cka(joined(x, y)) == pytest.approx(cka_by_definition(x, y), rel=1e-10)

    @over_seeds
    @over_wide
    def test_without_bias_follows_its_definition(self, n: int, p: int, q: int, seed: int) -> None:
        x, y = related(n, p, q, seed)
        assert unbiased_cka(joined(x, y)) == pytest.approx(unbiased_by_definition(x, y), rel=1e-9)

    def test_follow_their_definitions_on_real_features(self, real: list[Tensor]) -> None:
        x, y = (part[:1000] for part in real)
        assert cka(joined(x, y)) == pytest.approx(cka_by_definition(x, y), rel=1e-9)
        assert unbiased_cka(joined(x, y)) == pytest.approx(unbiased_by_definition(x, y), rel=1e-8)

    def test_without_bias_is_0_on_average_for_independent_data_and_with_it_is_not(self) -> None:
        """200 draws of n = 30, p = q = 20: the standard error of the mean is below .004."""
        draws = [joined(gaussian(30, 20, seed, "x"), gaussian(30, 20, seed, "y")) for seed in range(200)]
        assert abs(np.mean([unbiased_cka(pair) for pair in draws])) < 0.012
        assert np.mean([cka(pair) for pair in draws]) > 0.3

    def test_agree_with_ckatorch_on_real_features(self, real: list[Tensor]) -> None:
        """Three ways of it: centered kernels, U-centered ones, and the HSIC of one batch that is everything."""
        x, y = (part[:800] for part in real)
        found = {False: analysis.cka(x, y, constant="drop"), True: analysis.cka(x, y, True, constant="drop")}
        for unbiased, own in found.items():
            assert own == pytest.approx(float(ckatorch.cka_base(x, y, unbiased=unbiased)), abs=1e-12)
        assert found[True] == pytest.approx(float(ckatorch.cka_batch(x[None], y[None])), abs=1e-12)
        assert abs(found[True] - found[False]) > 1e-6

    def test_needs_four_samples(self) -> None:
        with pytest.raises(MemstudyError, match="at least 4 samples, not 3"):
            unbiased_cka(joined(gaussian(3, 2, 0), gaussian(3, 2, 1)))
        assert np.isfinite(unbiased_cka(joined(gaussian(4, 1, 0), gaussian(4, 1, 1))))


class TestProcrustes:
    @over_seeds
    @over_wide
    def test_is_the_best_rotation(self, n: int, p: int, q: int, seed: int) -> None:
        """scipy's rotation, the narrower side padded by zeros: half the squared distance is 1 - s."""
        x, y = ((part - part.mean(dim=0)).numpy() for part in related(n, p, q, seed))
        x, y = (np.pad(part / np.linalg.norm(part), ((0, 0), (0, max(p, q) - part.shape[1]))) for part in (x, y))
        rotation, _ = scipy.linalg.orthogonal_procrustes(x, y)
        distance = np.linalg.norm(x @ rotation - y) ** 2
        assert procrustes(joined(*related(n, p, q, seed))) == pytest.approx(1 - distance / 2, abs=1e-10)

    def test_its_angle_keeps_the_triangle_inequality(self) -> None:
        views = [factorize(gaussian(60, 5, seed)) for seed in range(6)]
        angle = [[np.arccos(min(1.0, procrustes(Pair.of(a, b)))) for b in views] for a in views]
        for i, j, k in itertools.permutations(range(6), 3):
            assert angle[i][k] <= angle[i][j] + angle[j][k] + 1e-9


class TestInvariances:
    @over_seeds
    @over_rotated
    def test_rotation_scale_and_shift_change_nothing(
        self, real: list[Tensor], measure: Callable[[Pair], float], seed: int
    ) -> None:
        x, y = real
        turned = 3 * x @ invertible(x.shape[1], seed, condition=1) + gaussian(1, x.shape[1], seed, "shift")
        assert measure(joined(turned, y)) == pytest.approx(measure(joined(x, y)), abs=1e-8)

    @over_rotated
    def test_stretching_does(self, real: list[Tensor], measure: Callable[[Pair], float]) -> None:
        """Negative control: only CCA is invariant to every invertible map."""
        x, y = real
        assert abs(measure(joined(x @ invertible(x.shape[1], 0), y)) - measure(joined(x, y))) > 1e-3

    @over_measures
    def test_with_itself_each_is_1(self, real: list[Tensor], measure: Callable[[Pair], float]) -> None:
        assert measure(joined(real[0], real[0])) == pytest.approx(1, abs=1e-9)

    @pytest.mark.parametrize("name", [name for name in MEASURES if name != "pwcca"])
    def test_each_but_pwcca_is_symmetric(self, real: list[Tensor], name: str) -> None:
        pair = joined(*real)
        assert MEASURES[name](pair.swapped()) == pytest.approx(MEASURES[name](pair), abs=1e-12)

    @settings(max_examples=40, deadline=None)
    @given(
        n=st.integers(12, 60), p=st.integers(1, 9), q=st.integers(1, 9), seed=st.integers(0, 10**6),
        scale=st.floats(-6, 6),
    )  # fmt: skip
    def test_bounds(self, n: int, p: int, q: int, seed: int, scale: float) -> None:
        pair = joined(10**scale * gaussian(n, p, seed, "x"), gaussian(n, q, seed, "y"))
        for name, measure in MEASURES.items():
            assert (-1 if name == "unbiased cka" else 0) <= measure(pair) <= 1 + 1e-12, name


drawn = given(n=st.integers(30, 80), p=st.integers(1, 12), q=st.integers(1, 12), seed=st.integers(0, 10**6))
few_examples = settings(max_examples=25, deadline=None)


def moved(x: Tensor, seed: int, condition: float) -> Tensor:
    """Another size, another place, and an invertible map; a rotation if its condition is 1."""
    return 7 * x @ invertible(x.shape[1], seed, condition) + gaussian(1, x.shape[1], seed, "shift")


class TestLaws:
    """Of representations of any shape, that share something."""

    @few_examples
    @drawn
    def test_cca_keeps_under_invertible_maps_of_both_sides(self, n: int, p: int, q: int, seed: int) -> None:
        x, y = related(n, p, q, seed)
        mapped = analysis.cca(moved(x, seed, 100), moved(y, seed + 1, 100))
        torch.testing.assert_close(mapped.coefficients, analysis.cca(x, y).coefficients, rtol=0, atol=1e-8)

    @few_examples
    @drawn
    def test_cka_and_procrustes_keep_under_rotation_scale_and_shift(
        self, n: int, p: int, q: int, seed: int
    ) -> None:
        plain = joined(*related(n, p, q, seed))
        turned = joined(*(moved(part, seed, 1) for part in related(n, p, q, seed)))
        for name in ("cka", "unbiased cka", "procrustes", "svcca"):
            assert MEASURES[name](turned) == pytest.approx(MEASURES[name](plain), abs=1e-8), name

    @few_examples
    @drawn
    def test_symmetric_and_1_with_itself(self, n: int, p: int, q: int, seed: int) -> None:
        x, y = related(n, p, q, seed)
        pair, same = joined(x, y), joined(x, x)
        for name, measure in MEASURES.items():
            assert measure(same) == pytest.approx(1, abs=1e-9), name
            if name != "pwcca":
                assert measure(pair.swapped()) == pytest.approx(measure(pair), abs=1e-10), name

    @few_examples
    @given(
        angles=st.lists(st.floats(0, np.pi / 2), min_size=1, max_size=8),
        extra=st.integers(0, 5),
        seed=st.integers(0, 10**6),
    )
    def test_planted_angles_are_found_in_any_basis(self, angles: list[float], extra: int, seed: int) -> None:
        k, theta = len(angles), torch.tensor(sorted(angles), dtype=torch.float64)
        q = orthonormal(60, 2 * k + extra, seed)
        y = torch.cat([q[:, :k] * theta.cos() + q[:, k : 2 * k] * theta.sin(), q[:, 2 * k :]], dim=1)
        found = pair(moved(q[:, :k], seed, 100), moved(y, seed + 1, 100))
        torch.testing.assert_close(found, theta.cos(), rtol=0, atol=1e-10)


class Largest(TorchDispatchMode):
    """The bytes of the largest tensor that was made, not a view of one that was there."""

    bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {part.untyped_storage().data_ptr() for part in tree_leaves((args, kwargs)) if is_tensor(part)}
        for part in filter(is_tensor, tree_leaves(made)):
            if part.untyped_storage().data_ptr() not in given:
                self.bytes = max(self.bytes, part.untyped_storage().nbytes())
        return made


class TestStack:
    """Going through samples once, in chunks, is the same as factorizing."""

    @over_measures
    @pytest.mark.parametrize("chunk", [7, 64, 10**6])
    def test_gives_the_measures_of_the_exact_way(self, measure: Callable[[Pair], float], chunk: int) -> None:
        x, y = related(200, 10, 25, 0)
        z = gaussian(200, 4, 1) + 100
        stack = Stack.of([x, y, z], [(0, 1), (1, 2), (0, 2)], chunk=chunk)
        for i, j in itertools.product(range(3), repeat=2):
            expected = measure(joined([x, y, z][i], [x, y, z][j]))
            assert measure(stack.pair(i, j)) == pytest.approx(expected, abs=1e-9), (i, j)

    @over_measures
    def test_does_on_real_features(self, real: list[Tensor], measure: Callable[[Pair], float]) -> None:
        stack = Stack.of([part.float() for part in real], [(0, 1)], chunk=100)
        assert measure(stack.pair(0, 1)) == pytest.approx(measure(joined(*real)), abs=1e-7)
        assert [spectrum.rank for spectrum in stack.spectra()] == [factorize(x).spectrum.rank for x in real]

    def test_leading_directions_are_the_oracle_s_to_ten_digits(self) -> None:
        """Planted angles, and singular values that fall over three decades."""
        q = orthonormal(900, 40, 0)
        angles = torch.linspace(0.1, 1.4, 20, dtype=torch.float64)
        fall = torch.logspace(0, -3, 20, dtype=torch.float64)
        x, y = q[:, :20] * fall, (q[:, :20] * angles.cos() + q[:, 20:] * angles.sin()) * fall
        rotated = [part @ invertible(20, seed, condition=1) for seed, part in enumerate((x, y))]
        found = coefficients(Stack.of(rotated, [(0, 1)]).pair(0, 1))
        np.testing.assert_allclose(found, oracle(*rotated), rtol=0, atol=1e-10)
        torch.testing.assert_close(found, angles.cos(), rtol=0, atol=1e-10)

    def test_float32_products_are_near_and_say_what_they_lose(self, real: list[Tensor]) -> None:
        alive = [part[:, part.std(dim=0) > 0] for part in real]
        exact, single = (Stack.of(alive, [(0, 1)], product=kind) for kind in ("float64", "float32"))
        for x, y in zip(exact.spectra(), single.spectra(), strict=True):
            torch.testing.assert_close(y.singular_values, x.singular_values[: y.rank], rtol=1e-3, atol=0)
        leading = [torch.linalg.svdvals(stack.pair(0, 1).overlap[:10, :10]) for stack in (exact, single)]
        torch.testing.assert_close(*leading, rtol=0, atol=1e-3)
        assert cka(single.pair(0, 1)) == pytest.approx(cka(exact.pair(0, 1)), abs=1e-6)

    def test_a_large_mean_costs_no_digits(self) -> None:
        """Negative control of the shift: products about zero would lose eight digits here."""
        x, y = related(300, 5, 5, 0)
        found = Stack.of([x + 1e4, y - 1e4], [(0, 1)], chunk=50).pair(0, 1)
        torch.testing.assert_close(coefficients(found), pair(x, y), rtol=0, atol=1e-9)
        naive = (x + 1e4).T @ (x + 1e4) - 300 * torch.outer((x + 1e4).mean(0), (x + 1e4).mean(0))
        centered = x - x.mean(dim=0)
        assert (naive - centered.T @ centered).abs().max() > 1e-7

    def test_many_pairs_at_once_are_each_alone(self, real: list[Tensor]) -> None:
        stack = Stack.of([real[0], real[1], real[0][:, :20]], [(0, 1), (0, 2), (1, 2)])
        pairs = [stack.pair(i, j) for i, j in ((0, 1), (0, 2), (1, 2), (2, 1))]
        for together, pair in zip(all_coefficients(pairs), pairs, strict=True):
            torch.testing.assert_close(together, coefficients(pair), rtol=0, atol=1e-12)

    def test_copies_chunks_alone(self, real: list[Tensor]) -> None:
        """Of 3,200 samples 100 are in memory at a time, and never a part of all of them."""
        views = [part.float() for part in (*real, real[0] + real[1])]
        with Largest() as seen:
            stack = Stack.of(views, [(0, 2), (0, 1)], chunk=100)
            coefficients(stack.pair(0, 2))
        assert seen.bytes == 100 * 3 * 50 * 8
        with Largest() as seen:
            factorize(views[0])  # negative control
        assert seen.bytes >= 3200 * 50 * 8

    def test_bad_input_is_answered_in_a_sentence(self) -> None:
        bad = gaussian(30, 3, 0)
        bad[7, 1] = torch.nan
        with pytest.raises(MemstudyError, match="NaN or infinite values, first in unit 1 "):
            Stack.of([bad, gaussian(30, 3, 1)], [(0, 1)]).pair(0, 1)
        with pytest.raises(MemstudyError, match="30 and 29"):
            Stack.of([gaussian(30, 3, 0), gaussian(29, 3, 1)], [(0, 1)])
        with pytest.raises(MemstudyError, match="did you mean float"):
            Stack(2, [(0, 1)], product="float16")


class TestArrays:
    """The functions for a user's own activations."""

    def test_take_numpy_and_give_what_the_pair_gives(self) -> None:
        x, y = (part.numpy() for part in related(200, 10, 25, 0))
        pair = joined(*related(200, 10, 25, 0))
        assert analysis.cca(x, y).mean == pytest.approx(MEASURES["cca"](pair))
        assert torch.equal(analysis.cca(x, y).coefficients, coefficients(pair))
        assert analysis.svcca(x, y, "fixed:5") == pytest.approx(svcca(pair, KeepRule("fixed", 5)))
        assert (analysis.pwcca(x, y), analysis.pwcca(y, x)) == (pwcca(pair), pytest.approx(pwcca(pair.swapped())))
        assert analysis.cka(x, y) == pytest.approx(cka(pair))
        assert analysis.cka(x, y, unbiased=True) == pytest.approx(unbiased_cka(pair))
        assert analysis.procrustes(x, y) == pytest.approx(procrustes(pair))

    @pytest.mark.parametrize("kind", [np.float32, np.int64, list])
    def test_take_other_kinds_of_numbers(self, kind: type) -> None:
        x, y = (np.round(100 * part.numpy()) for part in related(200, 10, 25, 0))
        own = (x.tolist(), y.tolist()) if kind is list else (x.astype(kind), y.astype(kind))
        assert analysis.cka(*own) == pytest.approx(analysis.cka(x, y), rel=1e-12)

    @pytest.mark.parametrize("name", ["cca", "svcca", "pwcca", "cka", "procrustes"])
    def test_constant_units_are_refused_by_side_and_place_or_dropped(self, name: str) -> None:
        """Dropped is as if they had been taken out; then the rank says so."""
        measure = getattr(analysis, name)
        x, y = related(200, 10, 5, 0)
        units = [1, 3, 4, 8]
        dead = x.clone()
        dead[:, units] = 0.3
        with pytest.raises(MemstudyError, match=r'x has constant units, 4 of 10 \(1, 3, 4, …;.*constant="drop"'):
            measure(dead, y)
        with pytest.raises(MemstudyError, match=r"y has constant units, 1 of 5 \(2; counted from 0\)"):
            measure(x, y.index_fill(1, torch.tensor([2]), 7.0))
        kept = x[:, [unit for unit in range(10) if unit not in units]]
        found, expected = measure(dead, y, constant="drop"), measure(kept, y)
        if name == "cca":
            assert (found.rank_x, found.rank_y) == (6, 5)
            found, expected = found.mean, expected.mean
        assert found == pytest.approx(expected, abs=1e-12)
        for choice in ("refuse", "drop"):
            with pytest.raises(MemstudyError, match="y does not vary: all of its 3 units are constant"):
                measure(x, torch.ones(200, 3), constant=choice)
        with pytest.raises(MemstudyError, match="did you mean drop"):
            measure(x, y, constant="dorp")

    @pytest.mark.parametrize("bad", [float("nan"), float("inf")])
    def test_what_is_not_finite_is_refused_by_side_and_place(self, bad: float) -> None:
        x, y = related(50, 4, 3, 0)
        y[7, 2] = bad
        with pytest.raises(MemstudyError, match="y holds NaN or infinite values, first in sample 7, unit 2"):
            analysis.cka(x, y)

    def test_refuse_what_means_nothing(self) -> None:
        with pytest.raises(MemstudyError, match="n = 20 and p = 30"):
            analysis.cca(gaussian(20, 30, 0), gaussian(20, 3, 1))
        with pytest.raises(MemstudyError, match="20 and 21"):
            analysis.cka(gaussian(20, 3, 0), gaussian(21, 3, 1))
        with pytest.raises(MemstudyError, match="as_samples"):
            analysis.svcca(np.zeros((4, 3, 2, 2)), np.zeros((4, 3, 2, 2)))
        with pytest.raises(MemstudyError, match="keep rule"):
            analysis.svcca(gaussian(20, 3, 0), gaussian(20, 3, 1), "most")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@over_measures
def test_a_gpu_gives_the_same_numbers(real: list[Tensor], measure: Callable[[Pair], float]) -> None:
    there = [part.cuda() for part in real]
    assert measure(joined(*there)) == pytest.approx(measure(joined(*real)), abs=1e-9)
    assert measure(Stack.of(there, [(0, 1)]).pair(0, 1)) == pytest.approx(measure(joined(*real)), abs=1e-7)
