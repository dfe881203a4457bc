"""Bundles of comparisons: their networks go through the test images together, within a budget of memory.

Which networks are multiplied at once decides on the last digits of the results. So a bundle depends only on the
comparisons and the sizes of their networks, never on what was computed before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass

from memstudy.derived.similarity.plan import CONTROL, PAST, Comparison, Side
from memstudy.store import RunDirectory

MOST_NETWORKS = 16  # of each side, in one bundle: their activations are multiplied at once
MEMORY = 400_000_000  # bytes that a bundle may take: products, spectra, weights, and the images' activations
LEAST_SHARE = 1 / 8  # of MEMORY, which the activations get in any case
WORK_MATRICES = 8  # matrices (units, units) that it takes to make a pair and to measure it


@dataclass(frozen=True)
class Size:
    """How large a network is: test images, samples an image, units of the layer, and bytes of its weights."""

    images: int
    samples: int
    units: int
    weights: int

    @property
    def n(self) -> int:
        """Samples of all images."""
        return self.images * self.samples


@dataclass(frozen=True)
class Bundle:
    """Comparisons whose networks go through the images together.

    Attributes:
        images: how many images go through at once.
        product: bytes of the largest product of two representations.

    """

    comparisons: tuple[Comparison, ...]
    images: int
    product: int


def bundles(
    comparisons: Iterable[Comparison], sizes: Mapping[RunDirectory, Size], most_images: int
) -> list[Bundle]:
    """All comparisons in bundles of at most MOST_NETWORKS networks a side.

    A bundle has epochs of one run, or runs at one epoch with equally many samples. Networks too large for MEMORY
    are compared one with one, whatever that takes. Images go through in chunks that fit, of `most_images` at most.
    """
    alike: dict[object, list[Comparison]] = {}
    for comparison in comparisons:
        run, _ = comparison.a
        assert run is not None
        one_run = comparison.relation in (PAST, CONTROL)
        alike.setdefault((_company(comparison), None if one_run else sizes[run].n), []).append(comparison)
    return [
        bundle for comparisons_alike in alike.values() for bundle in _parts(comparisons_alike, sizes, most_images)
    ]


def companies(comparisons: Iterable[Comparison]) -> list[list[Comparison]]:
    """Comparisons that may share a bundle, as far as is known without the sizes of networks."""
    by_company: dict[object, list[Comparison]] = {}
    for comparison in comparisons:
        by_company.setdefault(_company(comparison), []).append(comparison)
    return list(by_company.values())


def _company(comparison: Comparison) -> object:
    """What comparisons that may share a bundle have in common: a run, or a data set and an epoch."""
    run, epoch = comparison.a
    assert run is not None
    return run if comparison.relation in (PAST, CONTROL) else (run.recipe.dataset, epoch)


def _parts(
    comparisons: list[Comparison], sizes: Mapping[RunDirectory, Size], most_images: int
) -> Iterator[Bundle]:
    member_sizes = [sizes[run] for c in comparisons for run, _ in (c.a, c.b) if run is not None]
    largest = Size(*map(max, zip(*map(astuple, member_sizes), strict=True)))
    count = networks_at_once(largest)
    places: dict[Side, int] = {}
    by_parts: dict[tuple[int, int], list[Comparison]] = {}
    for comparison in comparisons:
        first, second = (places.setdefault(side, len(places)) // count for side in (comparison.a, comparison.b))
        by_parts.setdefault((first, second), []).append(comparison)
    for members in by_parts.values():
        images = min(most_images, images_at_once(largest, count))
        yield Bundle(tuple(members), images, 8 * largest.units**2)


def networks_at_once(size: Size) -> int:
    """How many networks of this size on each side fit into MEMORY, while images pass and after."""
    fitting = (
        count
        for count in range(MOST_NETWORKS, 1, -1)
        if _streaming(size, count) <= (1 - LEAST_SHARE) * MEMORY and _measuring(size, count) <= MEMORY
    )
    return next(fitting, 1)


def images_at_once(size: Size, count: int) -> int:
    """How many images fit at once into the memory that is left, with `count` networks a side; at least 1.

    An activation takes 20 bytes: float32 as it comes, float64 beside the other networks', and float64 once more
    where its partners do not lie side by side.
    """
    an_image = 20 * size.samples * size.units * (2 * count + 1)
    return max(1, int(max(MEMORY - _streaming(size, count), LEAST_SHARE * MEMORY) / an_image))


def _streaming(size: Size, count: int) -> int:
    """Bytes during the pass, without activations: all products, and room for those of one network in a chunk."""
    return _bytes(size, count, _products(count) + count + 1)


def _measuring(size: Size, count: int) -> int:
    """Bytes after the pass: all products, each network's spectrum, and what one pair takes."""
    return _bytes(size, count, _products(count) + 2 * count + WORK_MATRICES)


def _products(count: int) -> int:
    """The number of products: each network of one side with each of the other, and each with itself."""
    return count * count + 2 * count


def _bytes(size: Size, count: int, matrices: int) -> int:
    return 8 * matrices * size.units**2 + 2 * count * size.weights
