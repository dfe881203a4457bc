"""Presets: named recipes. Any option overrides its preset's value.

quick  minutes on a laptop's CPU: 4,000 embedded MNIST images, AL2's schedule advanced (ours)
al2    AL2's protocol: full MNIST, 701 epochs (stated; see the paper's Table 1)

Looking at a preset needs no torch; building a recipe from it does, and imports what knows the names in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from memstudy import distinctions, regularizers, trust
from memstudy.errors import MemstudyError, quoted, unknown
from memstudy.recipe import OPTIONS, Corruption, OptionValue, Recipe, RegularizerSpec, Training, spread


@dataclass(frozen=True)
class Preset:
    """A recipe without regularizers, and the options that regularizers take under it.

    `checkpoint_every` is the distance between kept epochs; 0 keeps ten, spread over the run.
    """

    about: str
    recipe: Recipe
    options: Mapping[str, Mapping[str, OptionValue]] = field(default_factory=dict)
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


def get(name: str) -> Preset:
    """A preset by name; a MemstudyError with the nearest names if there is none."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]


def build(
    preset: str = DEFAULT,
    *,
    reg: str = regularizers.BARE,
    options: Mapping[str, Mapping[str, OptionValue]] | None = None,
    checkpoints: int | Sequence[int] | None = None,
    **chosen: Any,
) -> Recipe:
    """The preset's recipe with everything given here instead; None keeps the preset's value.

    `reg` joins regularizers by `+`; `options` holds theirs, by regularizer, and goes before the preset's;
    `checkpoints` is how many to spread over the run, or which epochs. `chosen` are any others of `recipe.OPTIONS`,
    as on the command line: dataset, network, seed, noise, corrupt, epochs, lr, … Names are checked, and a
    MemstudyError suggests the nearest ones; one for a wrong value names it.
    """
    base = get(preset)
    parts: dict[type, dict[str, Any]] = {Recipe: {}, Corruption: {}, Training: {}}
    for key, value in chosen.items():
        if key not in OPTIONS:
            raise unknown("option of a recipe", key, OPTIONS)
        kind, option = OPTIONS[key]
        if value is not None:
            parts[kind][option.name] = option.checked(value)
    # the checkpoints at once with the epochs: the preset's own may lie beyond fewer epochs
    epochs = parts[Training].get("epochs", base.recipe.training.epochs)
    kept = _checkpoints(epochs, checkpoints, base)
    recipe = replace(
        base.recipe,
        training=replace(base.recipe.training, checkpoints=kept, **parts[Training]),
        corruption=_corruption(base.recipe.corruption, **parts[Corruption]),
        regularizers=regularizers.parse(reg, options, base.options),
        **parts[Recipe],
    )
    return check(recipe)


def names(chosen: Mapping[str, Any]) -> Iterator[trust.Name]:
    """What options of a recipe name that may be others' code, as `trust` calls it; of a list, all that it has."""
    kinds = {"network": "network", "dataset": "dataset", "noise": "corruption rule", "reg": "regularizer"}
    for key, kind in kinds.items():
        for value in _each(chosen.get(key)):
            words = regularizers.names(value) if key == "reg" and isinstance(value, str) else [value]
            yield from ((kind, word) for word in words if isinstance(word, str))


def _each(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else [value]


def nearest(recipe: Recipe) -> tuple[str, dict[str, Any]]:
    """The preset from which the fewest changes lead to a recipe, and these (see `changes`).

    Other images and other kept epochs are changes, but do not count: they say nothing of how a network is trained.
    Of several presets, the one with these images, or the first.
    """
    of = {name: changes(name, recipe) for name in PRESETS}
    counted = {name: len(changed.keys() - {"dataset", "checkpoints"}) for name, changed in of.items()}
    name = min(of, key=lambda name: (counted[name], "dataset" in of[name]))
    return name, of[name]


def changes(preset: str, recipe: Recipe) -> dict[str, Any]:
    """What was changed in a preset to get a recipe: the preset's values, in the order of `distinctions.names`."""
    base = get(preset)
    epochs = recipe.training.epochs
    training = replace(base.recipe.training, epochs=epochs, checkpoints=_checkpoints(epochs, None, base))
    usual = replace(base.recipe, training=training, regularizers=_usual(recipe.regularizers, base))
    changed = {name: distinctions.value(usual, name) for name in distinctions.differing([usual, recipe])}
    if recipe.regularizers:
        changed[distinctions.REG] = regularizers.BARE
    if epochs != base.recipe.training.epochs:
        changed["epochs"] = base.recipe.training.epochs
    return {name: changed[name] for name in distinctions.names([usual, recipe]) if name in changed}


def _usual(used: tuple[RegularizerSpec, ...], preset: Preset) -> tuple[RegularizerSpec, ...]:
    """Regularizers as a preset has them; one that is not known here, or may not run, is taken as it is."""
    known = regularizers.REGULARIZERS
    return tuple(
        regularizers.parse(method.name, None, preset.options)[0] if known.allows(method.name) else method
        for method in used
    )


def check(recipe: Recipe) -> Recipe:
    """The recipe with every regularizer option filled in; a MemstudyError for a name that nothing here knows.

    A data set may be one of the user's own, so its name is known only where the data directory is.
    An Untrusted if it names code that may not run; what is allowed here is for whatever carries it out.
    """
    from memstudy import models
    from memstudy.data import SOURCES

    if recipe.trainer:
        raise MemstudyError(
            f"this run was trained by {quoted(recipe.trainer)} and only recorded by memstudy, which can neither "
            "train nor continue it; train it there."
        )
    models.NETWORKS.ask(recipe.network)
    models.check(recipe.network)
    SOURCES.ask(recipe.dataset)
    _check_corruption(recipe.corruption)
    return replace(recipe, regularizers=regularizers.complete(recipe.regularizers))


def _corruption(base: Corruption, **given: Any) -> Corruption:
    """The preset's corruption with what is given instead; a rule that has no rate loses the preset's."""
    from memstudy.data import RULES

    implied = "file" if given.get("labels") else "matrix" if "matrix" in given else base.rule
    rule = given.setdefault("rule", implied)
    if not RULES.get(rule).rate:
        given.setdefault("rate", None)
    return replace(base, **given)


def _check_corruption(corruption: Corruption) -> None:
    """Each rule has what it needs, and nothing that it would ignore."""
    from memstudy.data import RULES, transitions
    from memstudy.data.corruption import rate_of

    name, rule = corruption.rule, RULES.get(corruption.rule)
    if rule.rate:
        rate_of(corruption)
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


def _checkpoints(epochs: int, wanted: int | Sequence[int] | None, preset: Preset) -> tuple[int, ...]:
    if isinstance(wanted, Sequence):
        return tuple(wanted)
    if wanted is not None and (type(wanted) is not int or wanted < 0):
        raise MemstudyError(f"checkpoints must be how many to keep, or a list of epochs, not {quoted(wanted)}.")
    if wanted is None and preset.checkpoint_every:
        return tuple(range(0, epochs, preset.checkpoint_every))
    return spread(epochs, 10 if wanted is None else wanted)
