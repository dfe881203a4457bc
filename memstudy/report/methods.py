"""Which runs are methods to compare, and which are settings: the two axes of every table and figure.

Methods are compared with each other, settings are not: each has a table, panel or row of its own. What makes a
method is the first of these in which the runs of a selection differ:

    regularizers   their names and options
    training       optimizer, learning rate, batch size, smoothing, …
    network

Whatever else differs makes settings: what is in the lines below, data set, size, corruption. Seeds make neither.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from memstudy.distinctions import REG, SEEDS, differing, text, value
from memstudy.recipe import OPTIONS, Recipe, Training
from memstudy.regularizers import label

CORRUPTION = ("noise", "corrupt", "matrix", "labels")
"""What makes the corruption, which is told as one thing."""
NEITHER = (*SEEDS, "checkpoints")
"""What makes neither methods nor settings."""
TRAINING = tuple(key for key, (part, _) in OPTIONS.items() if part is Training and key not in NEITHER)
WORDS = {
    "epochs": "{} epochs", "train_size": "{} samples", "normalization": "{} normalization",
    "schedule": "{} schedule", "dataset": "{}", "network": "{}", "optimizer": "{}", "precision": "{}",
}  # fmt: skip
"""How a value is told, where that is not its option's name and the value: `lr 0.1`, `batch size 128`."""


def compared(recipes: Iterable[Recipe]) -> tuple[str, ...]:
    """What makes a method of these recipes, by the names of `distinctions`; REG if there is one method alone."""
    different = settings_of(several := list(recipes))
    if len({recipe.regularizers for recipe in several}) > 1:
        return (REG,)
    of_training = tuple(key for key in different if key in TRAINING)
    return of_training or tuple(key for key in different if key == "network") or (REG,)


def of_two(one: Recipe, other: Recipe) -> tuple[str, ...]:
    """All in which two recipes differ, to tell two runs apart that were named to be laid over each other."""
    methods = (REG,) if one.regularizers != other.regularizers else ()
    return (*methods, *settings_of([one, other])) or tuple(differing([one, other], ["checkpoints"])) or (REG,)


def settings_of(recipes: Iterable[Recipe]) -> list[str]:
    """What recipes differ in besides regularizers, seeds and kept epochs."""
    return [key for key in differing(recipes, NEITHER) if key in OPTIONS]


def in_words(recipe: Recipe, keys: Sequence[str]) -> str:
    """What a recipe has under these names, in words: `lr 0.1, adam`, `50 % symmetric`, `clean`."""
    texts = [_told(recipe, key) for key in keys if key not in CORRUPTION]
    if not set(CORRUPTION).isdisjoint(keys):
        texts.append(recipe.corruption.title)
    return ", ".join(texts)


def _told(recipe: Recipe, key: str) -> str:
    chosen = value(recipe, key)
    if chosen is None and key == "train_size":
        return "all samples"
    if isinstance(chosen, bool):
        return key if chosen else f"no {key}"
    known = f"{chosen:,}" if type(chosen) is int else text(key, chosen)
    return WORDS.get(key, f"{key.replace('_', ' ')} {{}}").format(known)


def method_labels(recipes: Sequence[Recipe], keys: Sequence[str], but: Collection[str] = ()) -> list[str]:
    """The method of each recipe: its regularizers, with those options that differ among these; or other options.

    `do (p 0.5)`, `bn+al2`, `lr 0.1`. keys: what makes a method (`compared`). but: options that are left out.
    """
    of_methods = [key for key in differing(recipes, but) if "." in key]
    others = [key for key in keys if key != REG]
    methods = [_of_regularizers(recipe, of_methods) if REG in keys else "" for recipe in recipes]
    words = [in_words(recipe, others) for recipe in recipes]
    return [", ".join(filter(None, both)) for both in zip(methods, words, strict=True)]


def _of_regularizers(recipe: Recipe, keys: Sequence[str]) -> str:
    chosen = {key: value(recipe, key) for key in keys}
    texts = [f"{key.partition('.')[2]} {text(key, one)}" for key, one in chosen.items() if one is not None]
    return label(recipe.regularizers) + (f" ({', '.join(texts)})" if texts else "")


def told_apart(recipes: Sequence[Recipe]) -> list[str]:
    """For each of some settings the words that tell it from the others; empty if there is only one."""
    keys = settings_of(recipes)
    return numbered([in_words(recipe, keys) for recipe in recipes]) if len(recipes) > 1 else [""] * len(recipes)


def numbered(texts: Sequence[str]) -> list[str]:
    """The texts, with a number behind the second and later of equal ones: a, b, a (2)."""
    seen: Counter[str] = Counter()
    made = []
    for words in texts:
        seen[words] += 1
        made.append(f"{words} ({seen[words]})" if seen[words] > 1 else words)
    return made


def for_file(words: str) -> str:
    """Words as a part of a file's name: `50 % symmetric, lr 0.1` is `50-symmetric-lr-0.1`."""
    return re.sub(r"[^\w.+]+", "-", words, flags=re.ASCII).strip("-.")
