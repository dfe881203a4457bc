"""Pairs of representations, made in one pass of their networks through the test images, chunk by chunk.

No representation is held as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from memstudy.analysis.factorization import Pair, Spectrum, Stack, first_few, in_rows
from memstudy.derived.layers import output_of
from memstudy.derived.similarity import Similarity
from memstudy.derived.similarity.bundles import Bundle, Size
from memstudy.derived.similarity.plan import Comparison, Side, describe_side
from memstudy.derived.workbench import NotFinite, Workbench
from memstudy.errors import MemstudyError
from memstudy.randomness import torch_generator
from memstudy.store import RunDirectory
from memstudy.training.state import build_network


def size(bench: Workbench, run: RunDirectory, similarity: Similarity) -> Size:
    """How large a run's networks and their output are. One image goes through an untrained network to find out.

    Raises a MemstudyError that names the run if it does not have the layer.
    """
    images = bench.test_set(run).images
    network = build_network(run.recipe, bench.image_set(run), bench.device).eval()
    try:
        with torch.no_grad():
            samples, units = in_rows(output_of(network, similarity.layer)(images[:1]), similarity.positions).shape
    except MemstudyError as error:
        raise MemstudyError(f"{run.name}: {error}") from error
    return Size(len(images), samples, units, sum(value.nbytes for value in network.state_dict().values()))


def pairs(
    bundle: Bundle,
    wanted: Collection[Comparison],
    bench: Workbench,
    similarity: Similarity,
    not_finite: dict[Side, str],
    refuse_constant: bool = False,
) -> Iterator[tuple[Comparison, Pair]]:
    """The wanted comparisons of a bundle, each with its pair, which is made when it is asked for.

    Networks that are not finite are added to `not_finite`, each with a clause, and their comparisons are left out.
    All networks of the bundle go through the images, even those of comparisons that are not wanted, as the last
    digits of the others depend on them. With `refuse_constant`, raises a MemstudyError for a network with constant
    units.
    """
    sources = _sources(bundle.comparisons, bench, similarity, not_finite)
    finite = [c for c in bundle.comparisons if {c.a, c.b} <= sources.keys()]
    if not finite:
        return
    places = {side: place for place, side in enumerate(sources)}
    stack = Stack(len(places), [(places[c.a], places[c.b]) for c in finite])
    bad_places = _stream(stack, list(sources.values()), bundle.images)
    not_finite |= {side: _not_finite(side, similarity) for side, place in places.items() if place in bad_places}
    if refuse_constant:
        for side, spectrum in zip(places, stack.spectra(), strict=True):
            if side not in not_finite:
                _check_units(side, spectrum, similarity)
    for c in finite:
        if c in wanted and not {c.a, c.b} & not_finite.keys():
            yield c, stack.pair(places[c.a], places[c.b])


@dataclass(frozen=True)
class Source:
    """Where samples come from: `samples` makes those of a slice of the images, (n, p)."""

    images: int
    samples: Callable[[slice], Tensor]


def _sources(
    comparisons: Sequence[Comparison], bench: Workbench, similarity: Similarity, not_finite: dict[Side, str]
) -> dict[Side, Source]:
    """The source of each side. A network whose weights are not finite has none, and is added to `not_finite`."""
    sources: dict[Side, Source] = {}
    for side in (side for c in comparisons for side in (c.a, c.b)):
        run, epoch = side
        if run is not None and side not in sources:
            try:
                sources[side] = _activations(bench, run, epoch, similarity)
            except NotFinite:
                not_finite[side] = _not_finite(side, similarity)
    for c in comparisons:
        if c.b[0] is None and c.a in sources:
            sources[c.b] = _uniform(sources[c.a])
    return sources


def _activations(bench: Workbench, run: RunDirectory, epoch: int, similarity: Similarity) -> Source:
    """A kept network's source: a layer's output on the test images. Raises NotFinite if its weights are not."""
    images, output = bench.test_set(run).images, output_of(bench.network(run, epoch), similarity.layer)

    @torch.no_grad()
    def samples(part: slice) -> Tensor:
        return in_rows(output(images[part]), similarity.positions)

    return Source(len(images), samples)


def _uniform(like: Source) -> Source:
    """A source of uniform random numbers, as many as another has. They are drawn in the order of the images."""
    first = like.samples(slice(0, 1))
    samples, units = first.shape
    generator = torch_generator(0, "cca control")

    def draw(part: slice) -> Tensor:
        return torch.rand((part.stop - part.start) * samples, units, generator=generator).to(first.device)

    return Source(like.images, draw)


def _stream(stack: Stack, sources: Sequence[Source], step: int) -> set[int]:
    """Take all images through all sources. Returns the places of sources that were not finite for some image."""
    bad_places: set[int] = set()
    images = sources[0].images
    for start in range(0, images, step):
        parts = [source.samples(slice(start, min(start + step, images))) for source in sources]
        for place, part in enumerate(parts):
            if not part.isfinite().all():
                bad_places.add(place)
                parts[place] = torch.zeros_like(part)  # it must not spoil the others
        stack.add(parts)
    return bad_places


def _not_finite(side: Side, similarity: Similarity) -> str:
    return f"{describe_side(side, similarity)}: its representation is not finite"


def _check_units(side: Side, spectrum: Spectrum, similarity: Similarity) -> None:
    """Raise a MemstudyError if some units are constant."""
    if count := len(spectrum.constant):
        raise MemstudyError(
            f"{describe_side(side, similarity)}: {count} of its {spectrum.p} units "
            f"{'is' if count == 1 else 'are'} constant on the test images "
            f"({first_few(spectrum.constant)}); drop them with --constant drop."
        )
