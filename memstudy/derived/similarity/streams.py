"""Pairs of representations, from one pass of their networks through the test images: none is kept whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from memstudy.analysis.factorization import Pair, Spectrum, Stack, first_few, in_rows
from memstudy.derived.layers import output_of
from memstudy.derived.similarity import Similarity
from memstudy.derived.similarity.bundles import Bundle, Size
from memstudy.derived.similarity.plan import Comparison, Side, named
from memstudy.derived.workbench import NotFinite, Workbench
from memstudy.errors import MemstudyError
from memstudy.randomness import torch_generator
from memstudy.store import RunDirectory
from memstudy.training.state import build_network


def size(bench: Workbench, run: RunDirectory, what: Similarity) -> Size:
    """What a run's networks take, by one image through the one before training.

    Raises a MemstudyError that names the run if it does not have the layer.
    """
    images = bench.test_set(run).images
    network = build_network(run.recipe, bench.image_set(run), bench.device).eval()
    try:
        with torch.no_grad():
            samples, units = in_rows(output_of(network, what.layer)(images[:1]), what.positions).shape
    except MemstudyError as error:
        raise MemstudyError(f"{run.name}: {error}") from error
    return Size(len(images), samples, units, sum(value.nbytes for value in network.state_dict().values()))


def pairs(
    bundle: Bundle,
    wanted: Collection[Comparison],
    bench: Workbench,
    what: Similarity,
    gone: dict[Side, str],
    refuse_constant: bool = False,
) -> Iterator[tuple[Comparison, Pair]]:
    """Those of a bundle's comparisons that are wanted, each with its pair, which is made when it is asked for.

    Networks that are not finite are added to `gone`, with a sentence, and their comparisons left out. All of a
    bundle goes through the images, whatever is wanted or gone before: the last digits depend on it. Raises a
    MemstudyError for a network with constant units if these are to be refused.
    """
    sources = _sources(bundle.comparisons, bench, what, gone)
    chosen = [c for c in bundle.comparisons if {c.a, c.b} <= sources.keys()]
    if not chosen:
        return
    places = {side: place for place, side in enumerate(sources)}
    stack = Stack(len(places), [(places[c.a], places[c.b]) for c in chosen])
    bad = _stream(stack, list(sources.values()), bundle.images)
    gone |= {side: _not_finite(side, what) for side, place in places.items() if place in bad}
    if refuse_constant:
        for side, spectrum in zip(places, stack.spectra(), strict=True):
            if side not in gone:
                _check_units(side, spectrum, what)
    for c in chosen:
        if c in wanted and not {c.a, c.b} & gone.keys():
            yield c, stack.pair(places[c.a], places[c.b])


@dataclass(frozen=True)
class Source:
    """Samples (n, p) of any of `images` images, by a slice of them."""

    images: int
    samples: Callable[[slice], Tensor]


def _sources(
    comparisons: Sequence[Comparison], bench: Workbench, what: Similarity, gone: dict[Side, str]
) -> dict[Side, Source]:
    """Each side's, but those of networks with weights that are not finite."""
    sources: dict[Side, Source] = {}
    for side in (side for c in comparisons for side in (c.a, c.b)):
        run, epoch = side
        if run is not None and side not in sources:
            try:
                sources[side] = _activations(bench, run, epoch, what)
            except NotFinite:
                gone[side] = _not_finite(side, what)
    for c in comparisons:
        if c.b[0] is None and c.a in sources:
            sources[c.b] = _uniform(sources[c.a])
    return sources


def _activations(bench: Workbench, run: RunDirectory, epoch: int, what: Similarity) -> Source:
    """A kept network's, on the images that it is tested on. Raises NotFinite if its weights are not."""
    images, output = bench.test_set(run).images, output_of(bench.network(run, epoch), what.layer)

    @torch.no_grad()
    def samples(part: slice) -> Tensor:
        return in_rows(output(images[part]), what.positions)

    return Source(len(images), samples)


def _uniform(like: Source) -> Source:
    """As many uniform random numbers as another source has, drawn in order as they are asked for."""
    first = like.samples(slice(0, 1))
    samples, units = first.shape
    generator = torch_generator(0, "cca control")

    def draw(part: slice) -> Tensor:
        return torch.rand((part.stop - part.start) * samples, units, generator=generator).to(first.device)

    return Source(like.images, draw)


def _stream(stack: Stack, sources: Sequence[Source], step: int) -> set[int]:
    """Take all images through all sources. Returns the places of those that were not finite somewhere."""
    bad: set[int] = set()
    images = sources[0].images
    for start in range(0, images, step):
        parts = [source.samples(slice(start, min(start + step, images))) for source in sources]
        for place, part in enumerate(parts):
            if not part.isfinite().all():
                bad.add(place)
                parts[place] = torch.zeros_like(part)  # it must not spoil the others
        stack.add(parts)
    return bad


def _not_finite(side: Side, what: Similarity) -> str:
    return f"{named(side, what)}: its representation is not finite"


def _check_units(side: Side, spectrum: Spectrum, what: Similarity) -> None:
    """Raise a MemstudyError if some units are constant."""
    if count := len(spectrum.constant):
        raise MemstudyError(
            f"{named(side, what)}: {count} of its {spectrum.p} units {'is' if count == 1 else 'are'} constant on "
            f"the test images ({first_few(spectrum.constant)}); drop them with --constant drop."
        )
