"""Which representations of a selection's runs are compared, and why."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from memstudy.analysis.factorization import POSITIONS
from memstudy.errors import unknown
from memstudy.recipe import Recipe
from memstudy.store import RunDirectory
from memstudy.study.layers import TRUNK

METHOD = "al2"  # what twins differ by
TWIN, SEED, PAST, CONTROL, PAIR, GRID = "twin", "seed", "past", "control", "pair", "grid"
UNIFORM = "uniform random"

Side = tuple[RunDirectory | None, int]  # None is the uniform-random control


@dataclass(frozen=True)
class What:
    """Which activations are compared: a layer's, and whether positions are samples or units (`flattened`)."""

    layer: str = TRUNK
    positions: str = "samples"

    def __post_init__(self) -> None:
        if self.positions not in POSITIONS:
            raise unknown("way to treat positions", self.positions, POSITIONS)

    @property
    def suffix(self) -> str:
        """What names of files end in; nothing for the usual choice."""
        parts = [self.layer] * (self.layer != TRUNK) + [self.positions] * (self.positions != "samples")
        return "".join(f"-{part}" for part in parts)

    @property
    def title(self) -> str:
        """A few words: `trunk`, `head.1`, `trunk, positions flattened`."""
        return self.layer + (f", positions {self.positions}" if self.positions != "samples" else "")

    @property
    def pairs(self) -> str:
        """The file of comparisons, one row each."""
        return f"svcca{self.suffix}.csv"

    @property
    def coefficients(self) -> str:
        """The file of whole sequences of canonical coefficients."""
        return f"svcca_coefficients{self.suffix}.csv"

    @property
    def together(self) -> str:
        """The file that says of each comparison what it was computed together with."""
        return f"svcca_together{self.suffix}.csv"


USUAL = What()


@dataclass(frozen=True)
class Comparison:
    """Two representations and why they are compared."""

    relation: str
    a: Side
    b: Side


def named(side: Side, what: What) -> str:
    """Whose representation, when, and of which layer."""
    run, epoch = side
    return f"{UNIFORM if run is None else run.name}, epoch {epoch}, layer {what.title}"


def is_twin(baseline: Recipe, other: Recipe) -> bool:
    """Whether `other` is the baseline with AL2 added and nothing else changed."""
    without = tuple(r for r in other.regularizers if r.name != METHOD)
    return other.options(METHOD) is not None and replace(other, regularizers=without) == baseline


def are_seeds(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes differ by the model's seed alone."""
    return one.seed < other.seed and replace(one, seed=other.seed) == other


def couples(runs: Sequence[RunDirectory], all_pairs: bool) -> list[tuple[str, RunDirectory, RunDirectory]]:
    """Each baseline with its AL2 twins, and what differs by the seed alone: the noise floor; or every two runs."""
    if all_pairs:
        return [(PAIR, a, b) for a, b in itertools.combinations(runs, 2)]
    twins = [(TWIN, a, b) for a in runs for b in runs if is_twin(a.recipe, b.recipe)]
    return twins + [(SEED, a, b) for a in runs for b in runs if are_seeds(a.recipe, b.recipe)]


def kept(run: RunDirectory, epochs: Sequence[int] | None) -> list[int]:
    """The kept epochs of a run, ascending: all, or of each wanted one the nearest, and the last."""
    found = run.checkpoints()
    if epochs is None:
        return found
    return sorted({min(found, key=lambda own: (abs(own - epoch), own)) for epoch in epochs} | {found[-1]})


def plan(runs: Sequence[RunDirectory], all_pairs: bool, epochs: Sequence[int] | None = None) -> list[Comparison]:
    """Each run at every two of its epochs, and with a uniform-random control; its couples at equal epochs; and all
    with all after their last common epoch.
    """
    found = []
    for relation, a, b in couples(runs, all_pairs):
        common = sorted(set(kept(a, epochs)) & set(kept(b, epochs)))
        found += [Comparison(relation, (a, epoch), (b, epoch)) for epoch in common]
    for a, b in [] if all_pairs else itertools.combinations(runs, 2):
        last = [epoch for epoch in kept(a, epochs) if epoch in kept(b, epochs)][-1:]
        found += [Comparison(GRID, (a, epoch), (b, epoch)) for epoch in last]
    for run in runs:
        own = kept(run, epochs)
        found += [Comparison(PAST, (run, a), (run, b)) for a, b in itertools.combinations(own, 2)]
        found.append(Comparison(CONTROL, (run, own[-1]), (None, own[-1])))
    return found
