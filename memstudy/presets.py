"""Presets: named recipes. Any option overrides its preset's value.

quick  minutes on a laptop's CPU: 4,000 embedded MNIST images, AL2's schedule advanced (ours)
al2    AL2's protocol: full MNIST, 701 epochs (stated; see the paper's Table 1)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from memstudy import regularizers
from memstudy.data.corruption import RULES
from memstudy.data.sources import SOURCES
from memstudy.errors import unknown
from memstudy.models import NETWORKS
from memstudy.recipe import Option, Recipe, Training, spread


@dataclass(frozen=True)
class Preset:
    """A recipe without regularizers, and the options that regularizers take under it.

    `checkpoint_every` keeps every so-manieth epoch; 0 keeps ten, spread over the run.
    """

    about: str
    recipe: Recipe
    options: Mapping[str, Mapping[str, Option]] = field(default_factory=dict)
    checkpoint_every: int = 0


PRESETS = {
    "quick": Preset(
        about="5,000 embedded MNIST images, AL2's schedule advanced",
        recipe=Recipe(
            dataset="mnist5k",
            training=Training(epochs=25, batch_size=64, learning_rate=0.03, momentum=0.5),
        ),
        options={"al2": {"advance": 5.0}},
    ),
    "al2": Preset(
        about="AL2's protocol: full MNIST, 60,000 images, 701 epochs",
        recipe=Recipe(
            dataset="mnist",
            training=Training(epochs=701, batch_size=64, learning_rate=1e-3, momentum=0.5),
        ),
        checkpoint_every=100,
    ),
}
DEFAULT = "quick"


def get(name: str) -> Preset:
    """A preset by name; a MemstudyError with the nearest names if there is none."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]


def build(
    preset: str = DEFAULT,
    *,
    reg: str = regularizers.BARE,
    options: Mapping[str, Mapping[str, Option]] | None = None,
    checkpoints: int | tuple[int, ...] | None = None,
    corruption: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> Recipe:
    """The preset's recipe with everything given here instead. Names are checked, nearest ones suggested.

    Args:
        preset: its name.
        reg: regularizers joined by `+`, or `bare`.
        options: options by regularizer, before the preset's.
        checkpoints: how many to spread over the run, or which epochs; the preset's choice if None.
        corruption: fields of `Corruption`.
        training: fields of `Training`, without the checkpoints.
        overrides: `dataset`, `network`, `seed`.

    """
    base = get(preset)
    trained = replace(base.recipe.training, **{"checkpoints": (), **_given(training)})
    recipe = replace(
        base.recipe,
        corruption=replace(base.recipe.corruption, **_given(corruption)),
        regularizers=regularizers.parse(reg, options, base.options),
        training=replace(trained, checkpoints=_checkpoints(trained.epochs, checkpoints, base)),
        **_given(overrides),
    )
    return check(recipe)


def check(recipe: Recipe) -> Recipe:
    """Raise a MemstudyError for any name or regularizer option in the recipe that nothing here knows."""
    SOURCES.check(recipe.dataset)
    NETWORKS.check(recipe.network)
    RULES.check(recipe.corruption.rule)
    regularizers.build(recipe.regularizers)
    return recipe


def _given(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (values or {}).items() if value is not None}


def _checkpoints(epochs: int, wanted: int | tuple[int, ...] | None, preset: Preset) -> tuple[int, ...]:
    if isinstance(wanted, tuple):
        return wanted
    if wanted is None and preset.checkpoint_every:
        return tuple(range(0, epochs, preset.checkpoint_every))
    return spread(epochs, wanted or 10)
