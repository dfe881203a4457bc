"""What does not depend on scales by its definition does not in float64, from its least numbers to its largest."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from memstudy import analysis, models
from memstudy.analysis.directions import directions
from memstudy.analysis.factorization import Pair, Spectrum, Stack, as_samples, factorize
from memstudy.analysis.keep import KeepRule, parse_keep
from memstudy.analysis.magnitude import exponents, powers, scale_
from memstudy.analysis.similarity import cka, coefficients, procrustes, pwcca, svcca, unbiased_cka
from memstudy.data.images import ImageSet
from memstudy.errors import MemstudyError
from memstudy.randomness import torch_generator
from tests.test_similarity import gaussian, invertible, related

WAYS: dict[str, Callable[[Tensor, Tensor], Pair]] = {
    "exact": lambda x, y: Pair.of(factorize(x), factorize(y)),
    "stacked": lambda x, y: Stack.of([x, y], [(0, 1)], chunk=37).pair(0, 1),
}
over_ways = pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
ISOTROPIC: dict[str, Callable[[Pair], float]] = {
    "svcca": lambda pair: svcca(pair, KeepRule()),
    "pwcca": pwcca,
    "cka": cka,
    "unbiased cka": unbiased_cka,
    "procrustes": procrustes,
}


def times(samples: Tensor, decades: Any) -> Tensor:
    """Units times powers of ten, which may be beyond float64's range where the products are not."""
    half = np.power(10.0, np.asarray(decades, dtype=np.float64) / 2)
    return torch.from_numpy(samples.numpy() * half * half)


@pytest.fixture(scope="module")
def real(mnist5k: ImageSet) -> list[Tensor]:
    """The units that vary of smallNet's trunk, positions as samples, of two seeds on 100 real digits, float64."""
    images = (mnist5k.test_images[::10].float() / 255 - 0.1307) / 0.3081
    found = []
    for seed in (0, 1):
        generator = torch_generator(seed, "weights")
        network = models.build("smallnet", channels=1, size=28, classes=10, generator=generator).eval()
        with torch.no_grad():
            samples = as_samples(network.trunk(images))
        found.append(samples[:, samples.std(dim=0) > 0])
    return found


# An oracle of 800 digits, which has no scales to fear


def oracle(x: Tensor, y: Tensor, kept: int) -> dict[str, Any]:
    """Everything from its definition, in mpmath's numbers; shares no step with the product."""
    with mpmath.workdps(800):
        a, b = (_centered(part) for part in (x, y))
        bases = [mpmath.qr(part, mode="skinny")[0] for part in (a, b)]
        rotation, rho, _ = mpmath.svd_r(bases[0].T * bases[1])
        variates = bases[0] * rotation
        weights = [sum(abs(value) for value in (variates[:, i].T * a)) for i in range(len(rho))]
        cross = a.T * b
        square = [mpmath.mnorm(matrix, "f") for matrix in (cross, a.T * a, b.T * b)]
        leading = [mpmath.svd_r(part)[0][:, :kept] for part in (a, b)]
        truncated = mpmath.svd_r(leading[0].T * leading[1], compute_uv=False)
        return {
            "coefficients": [float(value) for value in rho],
            "pwcca": float(sum(w * r for w, r in zip(weights, rho, strict=True)) / sum(weights)),
            "cka": float(square[0] ** 2 / (square[1] * square[2])),
            "procrustes": float(
                sum(mpmath.svd_r(cross, compute_uv=False)) / (mpmath.mnorm(a, "f") * mpmath.mnorm(b, "f"))
            ),
            "svcca": float(sum(truncated) / kept),
        }


def _centered(samples: Tensor) -> Any:
    matrix = mpmath.matrix(samples.tolist())
    for unit in range(matrix.cols):
        mean = sum(matrix[:, unit]) / matrix.rows
        for sample in range(matrix.rows):
            matrix[sample, unit] -= mean
    return matrix


MIXED = {
    "one unit times ten million": [7, 0, 0, 0],
    "one unit times 1e20": [20, 0, 0, 0],
    "decades apart": [0, -3, -6, -9],
    "from 1e-150 to 1e150": [150, -150, 0, 40],
    "from 1e-300 to 1e300": [300, 0, -300, 40],
    "all tiny": [-300, -300, -301, -300],
    "all huge": [300, 301, 300, 300],
}


@over_ways
@pytest.mark.parametrize("decades", MIXED.values(), ids=list(MIXED))
def test_every_measure_is_the_oracle_s_at_any_scales(way: Callable[..., Pair], decades: list[int]) -> None:
    x, y = related(24, 4, 3, 0)
    x, y = times(x - 3, decades), times(y + 1, decades[-2::-1])
    pair, expected = way(x, y), oracle(x, y, kept=2)
    assert (pair.x.rank, pair.y.rank) == (4, 3)
    np.testing.assert_allclose(coefficients(pair), expected["coefficients"], rtol=0, atol=1e-9)
    for name in ("pwcca", "cka", "procrustes"):
        assert ISOTROPIC[name](pair) == pytest.approx(expected[name], abs=1e-9), name
    if max(decades) - min(decades) <= 300:  # units further apart from the largest are not told from each other
        assert svcca(pair, parse_keep("fixed:2")) == pytest.approx(expected["svcca"], abs=1e-9)


# Laws

decades = st.floats(-150, 150)


@over_ways
@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(30, 80), own=st.lists(decades, min_size=1, max_size=8),
    other=st.lists(decades, min_size=1, max_size=8), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_cca_keeps_under_any_scales_of_the_units_of_both_sides(
    way: Callable[..., Pair], n: int, own: list[float], other: list[float], seed: int
) -> None:
    x, y = related(n, len(own), len(other), seed)
    plain, scaled = way(x, y), way(times(x, own), times(y, other))
    assert (scaled.x.rank, scaled.y.rank) == (len(own), len(other))
    torch.testing.assert_close(coefficients(scaled), coefficients(plain), rtol=0, atol=1e-8)


@over_ways
@settings(max_examples=25, deadline=None)
@given(n=st.integers(12, 60), p=st.integers(1, 8), sides=st.tuples(decades, decades), seed=st.integers(0, 10**6))
def test_every_measure_keeps_under_one_scale_for_a_side(
    way: Callable[..., Pair], n: int, p: int, sides: tuple[float, float], seed: int
) -> None:
    x, y = related(n, p, 5, seed)
    plain, scaled = way(x, y), way(*map(times, (x, y), (2 * sides[0], 2 * sides[1])))
    for name, measure in ISOTROPIC.items():
        assert measure(scaled) == pytest.approx(measure(plain), abs=1e-8), name


@over_ways
def test_cca_of_real_features_keeps_under_any_scales(way: Callable[..., Pair], real: list[Tensor]) -> None:
    plain, generator = way(*real), torch_generator(0, "test/decades")
    for spread in (3, 7, 30, 150):
        own = [spread * (2 * torch.rand(part.shape[1], generator=generator) - 1) for part in real]
        scaled = way(*map(times, real, own))
        assert (scaled.x.rank, scaled.y.rank) == (plain.x.rank, plain.y.rank)
        torch.testing.assert_close(coefficients(scaled), coefficients(plain), rtol=0, atol=1e-7)


@over_ways
def test_invertible_maps_change_cca_no_more_at_any_scales(way: Callable[..., Pair]) -> None:
    """The docstring's promise: not of diagonal maps alone, and with means."""
    x, y = related(200, 8, 6, 0)
    mapped = times(x @ invertible(8, 0) + 50, np.linspace(-100, 100, 8))
    torch.testing.assert_close(coefficients(way(mapped, y)), coefficients(way(x, y)), rtol=0, atol=1e-8)


@over_ways
def test_dependent_units_are_told_whatever_their_scales(way: Callable[..., Pair], real: list[Tensor]) -> None:
    """A copy, and a sum rounded to float32, as a network would round them. What is no copy is told from one."""
    x = real[0]
    copies = torch.stack([x[:, 0] * 3, x[:, 1] + x[:, 2]], dim=1).float().double()
    near = (x[:, :1] + 1e-4 * gaussian(len(x), 1, 0)).float().double()
    for decades in (0.0, np.linspace(-12, 12, x.shape[1] + 3)):
        padded = times(torch.cat([x, copies, near], dim=1), decades)
        found, plain = way(padded, real[1]), way(torch.cat([x, near], dim=1), real[1])
        assert found.x.rank == plain.x.rank == x.shape[1] + 1
        torch.testing.assert_close(coefficients(found), coefficients(plain), rtol=0, atol=1e-4)


def test_the_functions_of_a_user_s_arrays_keep_the_law(real: list[Tensor]) -> None:
    """The instances: one unit times 1e7 changed coefficients silently, and 1e-90 made CKA infinite."""
    x, y = (part[:400, :6].numpy() for part in real)
    plain = analysis.cca(x, y).coefficients
    for size in (1e7, 1e-7, 1e100):
        large = x * np.array([size, 1, 1, 1, 1, 1])
        for sides in ((large, y), (y, large)):
            found = analysis.cca(*sides)
            assert (found.rank_x, found.rank_y) == (6, 6)
            torch.testing.assert_close(found.coefficients, plain, rtol=0, atol=1e-10)
    for name in ("cka", "procrustes", "svcca", "pwcca"):
        measure = getattr(analysis, name)
        for size in (1e-90, 1e90, 1e-300, 1e300):
            assert measure(size * x, y) == pytest.approx(measure(x, y), abs=1e-12), name
    assert analysis.cka(1e-90 * x, y, unbiased=True) == pytest.approx(analysis.cka(x, y, unbiased=True))


@over_ways
def test_powers_of_two_change_no_bit(way: Callable[..., Pair], real: list[Tensor]) -> None:
    """From numbers of half a dozen bits to the largest, as scaling by them adds no rounding."""
    x, y = (part[:500, :7].float().double() for part in real)
    plain = way(x, y)
    for power in (-900, -40, 40, 900):
        scaled = way(torch.ldexp(torch.ldexp(x, torch.tensor(power // 2)), torch.tensor(power // 2)), y)
        for name, measure in ISOTROPIC.items():
            assert measure(scaled) == measure(plain), name


@over_ways
def test_subnormal_numbers_are_numbers(way: Callable[..., Pair]) -> None:
    """Whole numbers of the smallest that there is."""
    x, y = (torch.round(100 * part) for part in related(80, 4, 3, 0))
    tiny = x * 5e-324
    assert 0 < tiny.abs().max() < 1e-320
    for name, measure in ISOTROPIC.items():
        assert measure(way(tiny, y)) == pytest.approx(measure(way(x, y)), abs=1e-12), name


@over_ways
def test_a_unit_that_varies_little_about_a_large_mean_is_as_good_as_any(way: Callable[..., Pair]) -> None:
    x, y = related(300, 5, 4, 0)
    for mean in (1e4, 1e6):  # what float64 makes of x beside it is off by 1e-10
        shifted = x + torch.tensor([mean, 0, 0, 0, 0])
        torch.testing.assert_close(coefficients(way(shifted, y)), coefficients(way(x, y)), rtol=0, atol=1e-8)
        small = shifted * torch.tensor([1e-30, 1, 1e30, 1, 1])
        torch.testing.assert_close(coefficients(way(small, y)), coefficients(way(x, y)), rtol=0, atol=1e-8)
    far = way(x + torch.tensor([1e8, 0, 0, 0, 0]), y)
    assert far.x.constant.tolist() == [0]
    assert far.x.rank == 4
    with pytest.raises(MemstudyError, match=r"x has constant units, 1 of 5 \(0;"):
        analysis.cca(x + torch.tensor([1e8, 0, 0, 0, 0]), y)


def test_sizes_that_only_later_chunks_show() -> None:
    """A unit of zeros at first, beside others of any size."""
    x, y = related(120, 4, 3, 0)
    x[:40, 2] = 0
    x[:, 3] = 1e3  # a unit that is constant, of any size, says nothing of the others'
    plain = Pair.of(factorize(x), factorize(y))
    for decades in ([0, 0, 30, 0], [0, 0, -30, 0], [-200, -200, -200, -200], [100, 100, 100, 100], [0, 0, 0, 200]):
        stack = Stack(2, [(0, 1)])
        for part in zip(times(x, decades).split(40), y.split(40), strict=True):
            stack.add(part)
        found = stack.pair(0, 1)
        torch.testing.assert_close(coefficients(found), coefficients(plain), rtol=0, atol=1e-9)
        if len(set(decades[:3])) == 1:
            assert cka(found) == pytest.approx(cka(plain), abs=1e-9)
            assert unbiased_cka(found) == pytest.approx(unbiased_cka(plain), abs=1e-9)


def test_a_huge_unit_that_starts_to_vary_late_is_refused() -> None:
    x = gaussian(120, 3, 0)
    x[:, 1] = torch.where(torch.arange(120) < 40, 1e100, 1e100 * x[:, 1])
    stack = Stack(1, [(0, 0)])
    for part in x.split(40):
        stack.add([part])
    with pytest.raises(MemstudyError, match=r"unit 1 .* huge and constant in the first samples"):
        stack.spectra()
    assert Stack.of([x], [(0, 0)], chunk=40).spectra()[0].rank == 3  # all samples are there to look at


# The parts


def test_graded_singular_values_are_each_exact() -> None:
    """Against 800 digits: those of units from 1e-100 to 1e100, one by one, relative to their own sizes."""
    x = times(gaussian(30, 5, 0), [0, 60, -100, 100, -40])
    with mpmath.workdps(800):
        exact = mpmath.svd_r(_centered(x), compute_uv=False)
    for spectrum in (factorize(x).spectrum, Stack.of([x], [(0, 0)]).spectra()[0]):
        found = [
            mpmath.mpf(value) * mpmath.mpf(2) ** spectrum.exponent for value in spectrum.singular_values.tolist()
        ]
        assert [float(a / b) for a, b in zip(found, exact, strict=True)] == pytest.approx([1] * 5, rel=1e-9)
    plain: NDArray[np.float64] = np.linalg.svd((x - x.mean(0)).numpy(), compute_uv=False)
    assert abs(float(plain[-1] / exact[4]) - 1) > 0.1  # negative control: the usual algorithm


def test_a_decomposition_gives_the_root_again() -> None:
    root, shift = torch.linalg.qr(gaussian(50, 6, 0))[1], torch.tensor([0, -80, -3, -200, 0, -7])
    left, values, rows = directions(root, torch.linalg.vector_norm(root, dim=0), shift)
    torch.testing.assert_close(left @ torch.diag(values) @ rows, root * powers(shift), rtol=0, atol=1e-13)
    for basis in (left.T, rows):
        torch.testing.assert_close(basis @ basis.T, torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-12)


def test_a_spectrum_says_at_what_scale_it_is(real: list[Tensor]) -> None:
    plain = factorize(real[0]).spectrum
    assert plain.exponent == 0
    for power in (-300, 300):
        found: Spectrum = factorize(real[0] * 2.0**power).spectrum
        assert torch.equal(
            found.singular_values * powers(torch.tensor(found.exponent - power)), plain.singular_values
        )


def test_exponents_are_of_what_is_not_ordinary() -> None:
    largest = torch.tensor([0, 1, 2.0**63, 2.0**70, 2.0**-70, 5e-324, 1.7e308], dtype=torch.float64)
    assert exponents(largest).tolist() == [0, 0, 0, 71, -69, -1073, 1024]
    for value, power in itertools.product((5e-324, 1.5), (-1000, 0, 1000)):
        with np.errstate(under="ignore"):
            assert scale_(torch.tensor([value], dtype=torch.float64), torch.tensor(power)) == np.ldexp(
                value, power
            )
