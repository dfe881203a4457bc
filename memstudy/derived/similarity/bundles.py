"""Comparisons in bundles: networks that go through the test images together, within a budget of memory.

What is multiplied at once decides on the last digits of the results, so a bundle follows from the comparisons and
the sizes of their networks alone, never from what was computed before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass

from memstudy.derived.similarity.plan import CONTROL, PAST, Comparison, Side
from memstudy.store import RunDirectory

TOGETHER = 16  # networks of one side at most: what they compute is multiplied at once
MEMORY = 400_000_000  # bytes that a bundle may take: products, spectra, weights, and the images' activations
LEAST = 1 / 8  # the share of them that the activations get in any case
WORK = 8  # units × units matrices that it takes to make a pair and to measure it


@dataclass(frozen=True)
class Size:
    """What a network takes: test images, samples that each of them gives, units, and the bytes of its weights."""

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
    """Comparisons whose networks go through the images together, how many images at once, and the bytes of the
    largest product of two of them.
    """

    comparisons: tuple[Comparison, ...]
    images: int
    product: int


def bundles(
    comparisons: Iterable[Comparison], sizes: Mapping[RunDirectory, Size], most_images: int
) -> list[Bundle]:
    """A run's epochs, or runs at one epoch that give equally many samples an image, in parts of `TOGETHER` or
    fewer a side.

    Sizes that leave no room for more go one by one a side, whatever they take, and through images in chunks that
    fit, up to `most_images`.
    """
    groups: dict[object, list[Comparison]] = {}
    for comparison in comparisons:
        run, _ = comparison.a
        assert run is not None
        one_run = comparison.relation in (PAST, CONTROL)
        groups.setdefault((_group(comparison), None if one_run else sizes[run].n), []).append(comparison)
    return [bundle for group in groups.values() for bundle in _parts(group, sizes, most_images)]


def grouped(comparisons: Iterable[Comparison]) -> list[list[Comparison]]:
    """The same without sizes: on nothing outside its group does it depend what a comparison is bundled with."""
    groups: dict[object, list[Comparison]] = {}
    for comparison in comparisons:
        groups.setdefault(_group(comparison), []).append(comparison)
    return list(groups.values())


def _group(comparison: Comparison) -> object:
    """A run of which epochs are compared, or the data set and the epoch at which runs are."""
    run, epoch = comparison.a
    assert run is not None
    return run if comparison.relation in (PAST, CONTROL) else (run.recipe.dataset, epoch)


def _parts(group: list[Comparison], sizes: Mapping[RunDirectory, Size], most_images: int) -> Iterator[Bundle]:
    own = [sizes[run] for c in group for run, _ in (c.a, c.b) if run is not None]
    largest = Size(*map(max, zip(*map(astuple, own), strict=True)))
    count = together(largest)
    places: dict[Side, int] = {}
    found: dict[tuple[int, int], list[Comparison]] = {}
    for comparison in group:
        first, second = (places.setdefault(side, len(places)) // count for side in (comparison.a, comparison.b))
        found.setdefault((first, second), []).append(comparison)
    for part in found.values():
        images = min(most_images, images_at_once(largest, count))
        yield Bundle(tuple(part), images, 8 * largest.units**2)


def together(size: Size) -> int:
    """Networks of this size on each side that fit into MEMORY, on their way through the images and after it."""
    fitting = (
        count
        for count in range(TOGETHER, 1, -1)
        if _streaming(size, count) <= (1 - LEAST) * MEMORY and _measuring(size, count) <= MEMORY
    )
    return next(fitting, 1)


def images_at_once(size: Size, count: int) -> int:
    """Images whose activations of `count` networks a side fit into what is left, from 1 on.

    An activation takes 20 bytes: float32 as it comes, float64 beside the others, and again where the networks
    that it meets are no neighbors.
    """
    an_image = 20 * size.samples * size.units * (2 * count + 1)
    return max(1, int(max(MEMORY - _streaming(size, count), LEAST * MEMORY) / an_image))


def _streaming(size: Size, count: int) -> int:
    """Bytes beside the activations: the products of one network are made at once and added to those held."""
    return _bytes(size, count, _products(count) + count + 1)


def _measuring(size: Size, count: int) -> int:
    """Bytes after the last image: of each network a spectrum, and one pair at a time."""
    return _bytes(size, count, _products(count) + 2 * count + WORK)


def _products(count: int) -> int:
    """Of each network of one side with each of the other, and of each with itself."""
    return count * count + 2 * count


def _bytes(size: Size, count: int, matrices: int) -> int:
    return 8 * matrices * size.units**2 + 2 * count * size.weights
