"""A study: a TOML file with a grid of recipes, and what to draw from them.

name = "quick"
about = "one line"
preset = "quick"
seeds = [0, 1, 2]

[grid]                       # any of memstudy run's options; a list makes one recipe for each value
reg = ["bare", "al2"]
corrupt = 0.75

[options.al2]                # options of regularizers, where a recipe uses them
advance = 5

[report]
epochs = [4, 9, 24]          # rows of the tables; the checkpoints if left out
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memstudy import presets
from memstudy.errors import MemstudyError, unknown
from memstudy.recipe import Recipe, read_toml

TOP = ("name", "about", "preset", "seeds", "grid", "options", "report")
GRID = (
    "dataset", "network", "reg", "rule", "corrupt", "corrupt_seed",
    "epochs", "batch_size", "lr", "momentum",
)  # fmt: skip
REPORT = ("epochs",)


@dataclass(frozen=True)
class Study:
    """A named set of recipes and its report's settings."""

    name: str
    about: str
    recipes: tuple[Recipe, ...]
    report: dict[str, Any] = field(default_factory=dict)


def read(path: Path, seeds: Sequence[int] | None = None) -> Study:
    """Read a study's file; `seeds` goes before the file's own. A MemstudyError says what is wrong in it."""
    data = read_toml(path, "the study")
    _known(f"key of the study {path}", data, TOP)
    grid, report = _table(path, data, "grid"), _table(path, data, "report")
    _known(f"key of [grid] in {path}", grid, GRID)
    _known(f"key of [report] in {path}", report, REPORT)
    try:
        recipes = tuple(_recipes(data, grid, seeds if seeds is not None else data.get("seeds", [0])))
    except (TypeError, AttributeError, ValueError) as error:
        raise MemstudyError(f"{path} does not describe a study: {error}.") from error
    name = data.get("name", path.stem)
    if not isinstance(name, str) or not name.replace("-", "").replace("_", "").isalnum() or name == "all":
        raise MemstudyError(
            f"the study's name in {path} must be letters, digits, '-' or '_', and not 'all'; it is {name!r}."
        )
    return Study(name, str(data.get("about", "")), recipes, report)


def _recipes(data: dict[str, Any], grid: dict[str, Any], seeds: Sequence[int]) -> list[Recipe]:
    """Every combination of the grid's lists, in their order, the seeds outermost."""
    axes = [value if isinstance(value, list) else [value] for value in grid.values()]
    options = data.get("options", {})
    recipes = []
    for seed, *values in itertools.product(seeds, *axes):
        point = dict(zip(grid, values, strict=True))
        used = str(point.get("reg", "bare")).lower().split("+")
        own = {name: table for name, table in options.items() if name in used}
        recipes.append(presets.build(data.get("preset", presets.DEFAULT), options=own, seed=seed, **point))
    return list(dict.fromkeys(recipes))


def _table(path: Path, data: dict[str, Any], name: str) -> dict[str, Any]:
    table = data.get(name, {})
    if not isinstance(table, dict):
        raise MemstudyError(f"[{name}] in {path} must be a table, not {table!r}.")
    return table


def _known(kind: str, table: dict[str, Any], known: Sequence[str]) -> None:
    for key in table:
        if key not in known:
            raise unknown(kind, key, known)
