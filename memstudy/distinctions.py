"""What recipes differ in, by what users call it: `lr`, `network`, `corrupt`, `reg`, `do.rate`.

The names are the keys of `recipe.OPTIONS`, `reg` for the regularizers together, and `METHOD.OPTION` for an option
of one of them. torch is imported only where a default has to be looked up that a recipe leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from memstudy import files, regularizers
from memstudy import recipe as recipes
from memstudy.recipe import OPTIONS, Corruption, Recipe, Training

REG = "reg"
TRAINER = "trainer"
"""Who trained a run, if memstudy did not; other recipes have no such name."""
SEEDS = ("corrupt_seed", "seed")
KEYS = {
    kind: [key for key, (part, _) in OPTIONS.items() if part is kind] for kind in (Recipe, Corruption, Training)
}
"""The names of options by the part of a recipe that they are in."""
NONE = "–"
"""The text where a recipe has no such value: a rule without a rate, `do.p` where there is no dropout."""


def differing(recipes: Iterable[Recipe], besides: Collection[str] = ()) -> list[str]:
    """The names of what is not the same in all these recipes, in the order in which people speak of it.

    An option of a regularizer is compared among the recipes that use it, and kept epochs among those of equal
    length: what follows from another difference is none of its own. `besides` are names that do not matter.
    """
    every = list(recipes)
    but_for_seeds = list(dict.fromkeys(recipe.seedless for recipe in every))  # few, where there are many seeds
    return [
        name
        for name in names(but_for_seeds)
        if name not in besides and _differs(name, every if name in SEEDS else but_for_seeds)
    ]


def names(recipes: Sequence[Recipe]) -> list[str]:
    """All names of what these recipes say: images, labels, network, regularizers, training, and the seeds last."""
    options = {f"{r.name}.{option}" for recipe in recipes for r in recipe.regularizers for option, _ in r.options}
    return ordered({*options, *(TRAINER for recipe in recipes if recipe.trainer)})


def ordered(besides: Collection[str] = ()) -> list[str]:
    """The names of all options, and of these: `METHOD.OPTION` of regularizers, and TRAINER; in their order."""
    images = [key for key in KEYS[Recipe] if key not in ("network", *SEEDS)]
    labels = [key for key in KEYS[Corruption] if key not in SEEDS]
    methods = [REG, *sorted({*besides} - {TRAINER}, key=lambda name: name.split(".", 1))]
    trainer = [TRAINER] if TRAINER in besides else []
    return [*trainer, *images, *labels, "network", *methods, *KEYS[Training], *SEEDS]


def value(recipe: Recipe, name: str) -> Any:
    """What a recipe has under a name; None if it has nothing there."""
    if name == REG:
        return regularizers.label(recipe.regularizers)
    if name == TRAINER:
        return recipe.trainer
    method, _, option = name.partition(".")
    if not option:
        return recipes.value(recipe, name)
    for regularizer in recipe.regularizers:
        if regularizer.name == method:
            given = dict(regularizer.options)
            return given[option] if option in given else regularizers.options(regularizer).get(option)
    return None


def text(name: str, value: Any) -> str:
    """A value in a few characters: `0.1`, `80,120`, `1a2b3c4d`. Two numbers that differ have two texts."""
    if value is None or value in ((), ""):
        return "all" if name == "train_size" else NONE
    if name == "matrix":
        return files.digest(json.dumps(value).encode())[:8]
    if name == "labels":
        return str(value)[:8]
    if isinstance(value, tuple):
        listed = [text("", one) for one in value]
        return ",".join(listed if len(listed) <= 4 else [*listed[:2], "…", listed[-1]])
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)


def _differs(name: str, recipes: Sequence[Recipe]) -> bool:
    """Whether recipes for which the name means the same have different values under it."""
    found: dict[object, set[Any]] = {}
    for recipe in recipes:
        method = name.partition(".")[0] if "." in name else ""
        if method and recipe.options(method) is None:
            continue
        alike = recipe.training.epochs if name == "checkpoints" else None
        found.setdefault(alike, set()).add(value(recipe, name))
    return any(len(values) > 1 for values in found.values())
