"""Presets: named recipes. Any option overrides its preset's value.

quick  minutes on a laptop's CPU: 4,000 embedded MNIST images, AL2's schedule advanced (ours)
al2    AL2's protocol: full MNIST, 701 epochs (stated; see the paper's Table 1)

Looking at a preset needs no torch; building a recipe from it does, and imports what knows the names in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from memstudy import regularizers
from memstudy.data import transitions
from memstudy.errors import MemstudyError, unknown
from memstudy.recipe import Corruption, Option, Recipe, Training, spread


@dataclass(frozen=True)
class Preset:
    """A recipe without regularizers, and the options that regularizers take under it.

    `checkpoint_every` is the distance between kept epochs; 0 keeps ten, spread over the run.
    """

    about: str
    recipe: Recipe
    options: Mapping[str, Mapping[str, Option]] = field(default_factory=dict)
    checkpoint_every: int = 0


PRESETS = {
    "quick": Preset(
        about="a quick study; the paper's protocol, full MNIST and 701 epochs: --preset al2",
        recipe=Recipe(
            dataset="mnist5k",
            training=Training(epochs=25, batch_size=64, learning_rate=0.03, momentum=0.5),
        ),
        options={"al2": {"advance": 5.0}},
    ),
    "al2": Preset(
        about="AL2's protocol",
        recipe=Recipe(
            dataset="mnist",
            training=Training(epochs=701, batch_size=64, learning_rate=1e-3, momentum=0.5),
        ),
        options={"bn": {"gamma": "uniform"}},  # as in PyTorch 0.4 to 1.1, the authors' versions
        checkpoint_every=100,
    ),
}
DEFAULT = "quick"
TRAINING_OPTIONS = (
    "optimizer", "nesterov", "schedule", "milestones", "factor", "warmup", "label_smoothing", "mixup", "augment",
    "precision", "clip",
)  # fmt: skip


def get(name: str) -> Preset:
    """A preset by name; a MemstudyError with the nearest names if there is none."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]


def build(
    preset: str = DEFAULT,
    *,
    dataset: str | None = None,
    network: str | None = None,
    reg: str = regularizers.BARE,
    options: Mapping[str, Mapping[str, Option]] | None = None,
    seed: int | None = None,
    noise: str | None = None,
    corrupt: float | None = None,
    corrupt_seed: int | None = None,
    matrix: Sequence[Sequence[float]] | None = None,
    labels: str | None = None,
    normalization: str | None = None,
    train_size: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    momentum: float | None = None,
    checkpoints: int | Sequence[int] | None = None,
    **training_options: Any,
) -> Recipe:
    """The preset's recipe with everything given here instead; None keeps the preset's value.

    The names are those of the command line. `reg` joins regularizers by `+`; `options` holds theirs, by
    regularizer, and goes before the preset's; `checkpoints` is how many to spread over the run, or which
    epochs; `training_options` are the other fields of `Training`. Names are checked, and a MemstudyError suggests
    the nearest ones.
    """
    for name in training_options:
        if name not in TRAINING_OPTIONS:
            raise unknown("option of a recipe", name, TRAINING_OPTIONS)
    base = get(preset)
    training = _replaced(
        base.recipe.training,
        checkpoints=(),  # at once with the epochs: the preset's own may lie beyond fewer epochs
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=lr,
        momentum=momentum,
        **training_options,
    )
    recipe = _replaced(
        base.recipe,
        dataset=dataset,
        network=network,
        seed=seed,
        corruption=_corruption(base.recipe.corruption, noise, corrupt, corrupt_seed, matrix, labels),
        normalization=normalization,
        train_size=train_size,
        regularizers=regularizers.parse(reg, options, base.options),
        training=replace(training, checkpoints=_checkpoints(training.epochs, checkpoints, base)),
    )
    return check(recipe)


def check(recipe: Recipe) -> Recipe:
    """The recipe with every regularizer option filled in; a MemstudyError for a name that nothing here knows.

    A data set may be one of the user's own, so its name is known only where the data directory is.
    """
    from memstudy import models

    models.check(recipe.network)
    _check_corruption(recipe.corruption)
    return replace(recipe, regularizers=regularizers.complete(recipe.regularizers))


def _corruption(
    base: Corruption,
    noise: str | None,
    rate: float | None,
    seed: int | None,
    matrix: Sequence[Sequence[float]] | None,
    labels: str | None,
) -> Corruption:
    """The preset's corruption with what is given instead; a rule that has no rate loses the preset's."""
    from memstudy.data.corruption import RULES

    implied = "file" if labels else "matrix" if matrix is not None else None
    rule = noise or implied or base.rule
    if rate is None and RULES.get(rule).rate:
        rate = base.rate
    return Corruption(
        rule, rate, base.seed if seed is None else seed, tuple(map(tuple, matrix or ())), labels or ""
    )


def _check_corruption(corruption: Corruption) -> None:
    """Each rule has what it needs, and nothing that it would ignore."""
    from memstudy.data.corruption import RULES

    name, rule = corruption.rule, RULES.get(corruption.rule)
    if rule.rate and corruption.rate is None:
        raise MemstudyError(f"{name} corruption needs a rate; give one with --corrupt.")
    if not rule.rate and corruption.rate is not None:
        raise MemstudyError(f"{name} corruption has no rate ({rule.about}); leave --corrupt out.")
    for kinds, given, option in (
        (("matrix",), corruption.matrix, "--matrix"),
        (("file", "soft"), corruption.labels, "--labels"),
    ):
        if name in kinds and not given:
            raise MemstudyError(f"{name} corruption needs a file: {option} FILE.")
        if name not in kinds and given:
            raise MemstudyError(f"{name} corruption does not look at {option}; leave it out, or --noise.")
    if corruption.matrix:
        transitions.check(corruption.matrix)


def _replaced(target: Any, **changes: Any) -> Any:
    """`dataclasses.replace` with what is not None."""
    return replace(target, **{name: value for name, value in changes.items() if value is not None})


def _checkpoints(epochs: int, wanted: int | Sequence[int] | None, preset: Preset) -> tuple[int, ...]:
    if isinstance(wanted, Sequence):
        return tuple(wanted)
    if wanted is None and preset.checkpoint_every:
        return tuple(range(0, epochs, preset.checkpoint_every))
    return spread(epochs, 10 if wanted is None else wanted)
