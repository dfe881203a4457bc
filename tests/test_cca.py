"""Laws of canonical correlation: an independent oracle, invariances, closed forms, controls.

Theorems about arbitrary matrices are tested on random ones, where the truth is known; what concerns networks
is tested on smallNet's own features of real digits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.cross_decomposition import CCA
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from memstudy.analysis import cca
from memstudy.analysis.cca import KeepRule, View, as_samples, coefficients, factorize, parse_keep
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


def pair(x: Tensor, y: Tensor) -> Tensor:
    return coefficients(factorize(x), factorize(y))


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
        assert (view.n, view.p, view.rank) == (n, q, q)
        centered = samples - samples.mean(dim=0)
        rebuilt = view.basis @ torch.diag(view.singular_values) @ view.directions
        torch.testing.assert_close(rebuilt, centered, rtol=0, atol=1e-11)
        identity = torch.eye(view.rank, dtype=torch.float64)
        torch.testing.assert_close(view.basis.T @ view.basis, identity, rtol=0, atol=1e-12)
        torch.testing.assert_close(view.directions @ view.directions.T, identity, rtol=0, atol=1e-12)
        expected = scipy.linalg.svdvals(centered.numpy())
        np.testing.assert_allclose(view.singular_values, expected, rtol=1e-10)

    def test_dead_constant_and_dependent_neurons_are_no_directions(self, real: list[Tensor]) -> None:
        x, y = real
        plain = factorize(x)
        dead = torch.zeros(len(x), 2, dtype=torch.float64)
        # The copy and the sum are rounded to float32, as a network would round them.
        dependent = torch.stack([x[:, 0] * 3, x[:, 1] + x[:, 2]], dim=1).float().double()
        padded = factorize(torch.cat([dead, x, dead + 0.7, dependent], dim=1))
        assert (padded.p, padded.rank) == (x.shape[1] + 6, plain.rank)
        other = factorize(y)
        torch.testing.assert_close(coefficients(padded, other), coefficients(plain, other), rtol=0, atol=1e-5)

    def test_a_finer_tolerance_takes_rounding_for_a_direction(self, real: list[Tensor]) -> None:
        """Negative control: the documented tolerance is what keeps float32's rounding out."""
        x = real[0]
        samples = torch.cat([x, (x[:, 1:2] + x[:, 2:3]).float().double()], dim=1)
        assert factorize(samples, tolerance=2.0**-52).rank == factorize(samples).rank + 1

    @pytest.mark.parametrize("value", [0.0, 0.1, -7.3])
    def test_a_constant_representation_has_rank_0_and_no_similarity(self, value: float) -> None:
        collapsed = factorize(torch.full((300, 20), value))
        other = factorize(gaussian(300, 10, 0))
        assert collapsed.rank == 0
        for x, y in [(collapsed, other), (other, collapsed), (collapsed, collapsed)]:
            assert len(coefficients(x, y)) == 0
            assert np.isnan(cca.svcca(x, y, KeepRule()))
            assert np.isnan(cca.pwcca(x, y))

    def test_constant_up_to_rounding_is_constant(self) -> None:
        last_bit = torch.randint(2, (300, 20), generator=torch_generator(0, "test/bits"))
        samples = torch.full((300, 20), 0.1) * (1 + last_bit * 2.0**-23)
        assert samples.unique().numel() > 1
        assert factorize(samples).rank == 0

    @pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e6, 1e30])
    def test_a_tiny_representation_is_not_a_constant_one(self, real: list[Tensor], scale: float) -> None:
        x, y = map(factorize, real)
        scaled = factorize(real[0] * scale)
        assert scaled.rank == x.rank
        torch.testing.assert_close(coefficients(scaled, y), coefficients(x, y), rtol=0, atol=1e-9)

    @pytest.mark.parametrize(("n", "p"), [(20, 20), (7, 30), (0, 3)])
    def test_too_few_samples_are_refused_by_their_numbers(self, n: int, p: int) -> None:
        with pytest.raises(MemstudyError, match=f"n = {n} and p = {p}"):
            factorize(gaussian(n, p, 0))

    def test_one_sample_more_than_neurons_is_allowed(self) -> None:
        assert factorize(gaussian(21, 20, 0)).rank == 20

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
    def test_values_that_are_not_finite_are_refused(self, bad: float) -> None:
        samples = gaussian(30, 4, 0)
        samples[7, 2] = bad
        with pytest.raises(MemstudyError, match="NaN or infinite"):
            factorize(samples)

    def test_features_that_are_not_samples_are_refused(self) -> None:
        with pytest.raises(MemstudyError, match="as_samples"):
            factorize(torch.zeros(30, 2, 3, 3))


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

    @over_seeds
    @over_sizes
    def test_are_descending_within_0_and_1_and_symmetric(self, n: int, p: int, q: int, seed: int) -> None:
        x, y = map(factorize, related(n, p, q, seed))
        rho = coefficients(x, y)
        assert 0 <= rho.min() <= rho.max() <= 1
        assert (rho.diff() <= 0).all()
        torch.testing.assert_close(coefficients(y, x), rho, rtol=0, atol=1e-12)

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
            view = factorize(samples)
            ones = torch.ones(view.rank, dtype=torch.float64)
            rho = coefficients(view, view)
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
        x, y = factorize(gaussian(n, p, seed, "x")), factorize(gaussian(n, q, seed, "y"))
        assert cca.forced_ones(x, y) == max(0, p + q - (n - 1))
        assert int((coefficients(x, y) > 1 - 1e-10).sum()) == cca.forced_ones(x, y)

    def test_two_seeds_of_one_network_have_much_in_common(self, real: list[Tensor]) -> None:
        """Far above what as many independent noise samples reach."""
        noise = factorize(gaussian(len(real[0]), real[0].shape[1], 0))
        x, y = map(factorize, real)
        assert coefficients(x, y).mean() > 2 * coefficients(x, noise).mean()
        assert coefficients(x, y).max() > 0.9 > 0.35 > coefficients(x, noise).max()

    def test_views_of_different_samples_are_refused(self) -> None:
        with pytest.raises(MemstudyError, match="300 and 200"):
            coefficients(factorize(gaussian(300, 4, 0)), factorize(gaussian(200, 4, 0)))


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
        assert parse_keep(text).count(view.singular_values) == kept
        truncated = view.truncated(parse_keep(text))
        assert (truncated.n, truncated.p, truncated.rank) == (view.n, view.p, kept)
        assert torch.equal(truncated.basis, view.basis[:, :kept])
        assert torch.equal(truncated.directions, view.directions[:kept])

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
            ("variants:0.9", "did you mean variance"), ("", "Known: all, fixed, singular, variance"),
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
        x, y = map(factorize, samples)
        assert cca.svcca(x, y, rule) == pytest.approx(oracle(kept[0], kept[1]).mean(), abs=1e-10)

    def test_of_everything_is_mean_cca(self, real: list[Tensor]) -> None:
        x, y = map(factorize, real)
        assert cca.svcca(x, y, KeepRule("all")) == pytest.approx(float(coefficients(x, y).mean()), abs=1e-12)

    def test_the_rules_disagree_on_real_features(self, real: list[Tensor]) -> None:
        """Why the rule must stand beside the number."""
        x, y = map(factorize, real)
        numbers = [cca.svcca(x, y, parse_keep(text)) for text in ("variance:0.99", "singular:0.99", "fixed:10")]
        assert min(abs(a - b) for a, b in [numbers[:2], numbers[1:], numbers[::2]]) > 1e-3

    def test_is_not_invariant_to_stretching_but_to_rotation(self, real: list[Tensor]) -> None:
        """Truncation by size of a direction costs SVCCA the full invariance of CCA."""
        x, y = real
        p, rule = x.shape[1], KeepRule("fixed", 10)
        before = cca.svcca(factorize(x), factorize(y), rule)
        rotated = cca.svcca(factorize(x @ invertible(p, 0, condition=1)), factorize(y), rule)
        stretched = cca.svcca(factorize(x @ invertible(p, 0)), factorize(y), rule)
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
        assert cca.pwcca(factorize(x), factorize(y)) == pytest.approx(pwcca_by_definition(x, y), abs=1e-10)

    def test_follows_the_definition_on_real_features(self, real: list[Tensor]) -> None:
        x, y = (part[:, part.std(dim=0) > 0] for part in real)
        assert cca.pwcca(factorize(x), factorize(y)) == pytest.approx(pwcca_by_definition(x, y), abs=1e-6)

    @over_seeds
    def test_of_a_representation_with_itself_is_1(self, real: list[Tensor], seed: int) -> None:
        for samples in (gaussian(300, 40, seed), real[seed % 2]):
            view = factorize(samples)
            assert cca.pwcca(view, view) == pytest.approx(1, abs=1e-12)

    @over_seeds
    @over_sizes
    def test_is_a_weighted_mean_of_the_coefficients(self, n: int, p: int, q: int, seed: int) -> None:
        x, y = map(factorize, related(n, p, q, seed))
        rho = coefficients(x, y)
        assert rho.min() < cca.pwcca(x, y) < rho.max()

    @over_seeds
    @over_sizes
    def test_keeps_its_invariances(self, n: int, p: int, q: int, seed: int) -> None:
        """Invertible maps and shifts of the second view; scale, shift, order and signs of the first's neurons."""
        x, y = related(n, p, q, seed)
        before = cca.pwcca(factorize(x), factorize(y))
        mapped = y @ invertible(q, seed) + gaussian(1, q, seed, "shift")
        assert cca.pwcca(factorize(x), factorize(mapped)) == pytest.approx(before, abs=1e-8)
        generator = torch_generator(seed, "test/neurons")
        signs = torch.randint(2, (p,), generator=generator).double() * 2 - 1
        relabeled = 7 * (x * signs)[:, torch.randperm(p, generator=generator)] + 4
        assert cca.pwcca(factorize(relabeled), factorize(y)) == pytest.approx(before, abs=1e-8)

    def test_is_neither_symmetric_nor_invariant_to_maps_of_the_first_view(self, real: list[Tensor]) -> None:
        """Negative control: the weights do depend on the first view's neurons."""
        x, y = real
        before = cca.pwcca(factorize(x), factorize(y))
        assert abs(cca.pwcca(factorize(y), factorize(x)) - before) > 1e-4
        assert abs(cca.pwcca(factorize(x @ invertible(x.shape[1], 0)), factorize(y)) - before) > 1e-3

    def test_weighs_what_the_first_view_mostly_consists_of(self) -> None:
        """Closed form: neurons of size 10 and 1, coefficients 0.9 and 0.3 → (10 · 0.9 + 1 · 0.3) / 11."""
        q = orthonormal(100, 4, 0)
        rho = torch.tensor([0.9, 0.3], dtype=torch.float64)
        x = q[:, :2] * torch.tensor([10.0, 1.0])
        y = q[:, :2] * rho + q[:, 2:] * (1 - rho**2).sqrt()
        assert cca.pwcca(factorize(x), factorize(y)) == pytest.approx((10 * 0.9 + 0.3) / 11, abs=1e-12)
        assert cca.pwcca(factorize(y), factorize(x)) == pytest.approx(0.6, abs=1e-12)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_numbers(real: list[Tensor]) -> None:
    here = [factorize(part) for part in real]
    there = [factorize(part.cuda()) for part in real]
    torch.testing.assert_close(coefficients(*there).cpu(), coefficients(*here), rtol=0, atol=1e-9)
    assert cca.pwcca(*there) == pytest.approx(cca.pwcca(*here), abs=1e-9)
