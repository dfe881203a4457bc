"""How a run's directory is called: what was run, in words, and the first digits of the recipe's identity.

`mnist5k-symmetric0.75-lr0.1-adam-bn+al2-s0-1a2b3c4d`: images, labels, what differs from the preset, regularizers,
seed. A preset other than the usual one is named, as `preset.al2`. The words are for people: a later version may
choose others. The identity alone says which recipe a directory belongs to, whatever stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from memstudy import distinctions, presets
from memstudy.recipe import Recipe
from memstudy.regularizers import label

LONGEST = 100
"""Characters. Of a recipe with very many differences or very long names, some are left out or cut."""
ESSENTIAL = ("preset", "trainer", "network", "optimizer", "lr")
"""The differences that come first, and are never left out."""
LAST = ("normalization", "checkpoints")
"""Those that are left out first."""
ELSEWHERE = ("dataset", "noise", "corrupt", "labels", "reg", "seed")
"""What every name has in a place of its own."""
SAID_BY_VALUE = ("network", "optimizer", "schedule", "augment", "precision", "matrix")
"""Values that need no name before them: `adam`, `cosine`."""
SHORT = {"trainer": "by", "batch_size": "batch", "label_smoothing": "smoothing"}
DIGITS = 8


def run_name(recipe: Recipe) -> str:
    """The name of a new directory for a recipe, of at most LONGEST characters that are safe in file names."""
    words = _differences(recipe)
    essential = sum(key in ESSENTIAL for key in words)
    for kept in range(len(words), essential - 1, -1):
        more = {"": f"{len(words) - kept}more"} if kept < len(words) else {}
        name = _joined(recipe, dict(list(words.items())[:kept]) | more)
        if len(name) <= LONGEST:
            return name
    first = {key: word for key, word in words.items() if key in ESSENTIAL}
    cuts = (_joined(recipe, first, most) for most in range(32, 5, -1))
    return next(name for name in cuts if len(name) <= LONGEST)


def identity(name: str) -> str:
    """The part of a directory's name that says which recipe it belongs to."""
    return name.rpartition("-")[2]


def belongs(name: str, recipe: Recipe) -> bool:
    """Whether a directory's name is one of a recipe's."""
    return identity(name) == recipe.id[:DIGITS]


def _differences(recipe: Recipe) -> dict[str, str]:
    """The word of each difference from the nearest preset, by its key, the essential ones first."""
    preset, changed = presets.nearest(recipe)
    order = sorted((key for key in changed if key not in ELSEWHERE), key=_rank)
    named = {} if preset == presets.DEFAULT else {"preset": f"preset.{preset}"}
    return named | {key: _word(key, distinctions.value(recipe, key)) for key in order}


def _rank(key: str) -> int:
    """The place of a difference among others: the first ones stay where there is no room for all."""
    if key in ESSENTIAL:
        return ESSENTIAL.index(key)
    tiers = (key == "train_size", "." in key, key == "epochs", key not in LAST)
    return len(ESSENTIAL) + (tiers.index(True) if any(tiers) else len(tiers) + LAST.index(key))


def _word(key: str, value: Any) -> str:
    """`lr0.1`, `adam`, `batch-size128`, `bn.gamma=uniform`, `nesterov`."""
    text, name = distinctions.text(key, value), SHORT.get(key, key).replace("_", "-")
    if key in SAID_BY_VALUE:
        return text
    if isinstance(value, bool):
        return name if value else f"no-{name}"
    return f"{name}={text}" if isinstance(value, str) else f"{name}{text}"


def _joined(recipe: Recipe, differences: Mapping[str, str], most: int = LONGEST) -> str:
    """The name with these words for differences; only that of the learning rate may be longer than `most`."""
    setting = [word if key == "lr" else _cut(word, most) for key, word in differences.items()]
    images, labels, methods, seed = (
        _cut(word, most)
        for word in (recipe.dataset, recipe.corruption.short, label(recipe.regularizers), f"s{recipe.seed}")
    )
    return "-".join([*map(_safe, (images, labels, *setting, methods, seed)), recipe.id[:DIGITS]])


def _safe(word: str) -> str:
    return re.sub(r"[^A-Za-z0-9._=+-]+", "+", word.replace(":", "."))


def _cut(word: str, most: int) -> str:
    return word if len(word) <= most else f"{word[: most - 1]}~"
