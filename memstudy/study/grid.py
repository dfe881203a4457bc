"""A study: a TOML file with a grid of recipes, and what to draw from them.

name = "quick"               # the file's, if left out
about = "one line"           # what is trained; said when the study begins
shows = "one line"           # what its tables and figures show, and
cost = "a minute (measured on two CPU cores)"  # what it takes, for 'memstudy study list'
preset = "quick"
seeds = [0, 1, 2]            # or how many: 3

[common]                     # what every [grid] takes that does not say it itself
epochs = 25

[grid]                       # any of memstudy run's options; a list makes one recipe for each value; [[grid]],
                             # repeated, where parts of a study differ in more than one thing at a time
reg = ["bare", "al2"]
# pairs = true               # each two methods of reg together, too: of bare, al2 and bn also bn+al2
corrupt = 0.75
"al2.initial" = [0.01, 0.1]   # an option of a regularizer, where a recipe uses it
# labels = "noisy.npz"       # a path from the study's file on
# label_column = "worse"     # which of the file's columns, where their names do not say which is noisy
# anyway = true              # take labels that agree with the true ones no better than chance

[options.al2]                # options of regularizers, where a recipe uses them
advance = 5

[report]
epochs = [4, 9, 24]          # rows of the tables; the checkpoints if left out
analyses = ["svcca"]         # after training, by the names of their commands; svcca and ablate if left out
tables = ["table1"]          # by name (`papers.TABLES`); all that there are numbers for if left out
orders = 5                   # what analyses share: how many random orders or masks are ablated,
images = 1000                # how many test images landscapes are measured on
[report.probe]               # any option of an analysis, as its command has it
layer = ["trunk.2"]

[scale.lite]                 # memstudy study FILE --scale lite: another size of the study, named quick_lite
seeds = 1                    # any of the keys above but name: each stands instead of the study's own, whose cost
                             # is not that of another size
"""

from __future__ import annotations

import itertools
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memstudy import presets, regularizers, trust
from memstudy.data import RULES
from memstudy.data.label_files import LabelSource
from memstudy.derived import ANALYSES, USUAL_ANALYSES, analysis, loadable
from memstudy.derived.analysis import Needs, configured
from memstudy.errors import MemstudyError, quoted, reason, unknown
from memstudy.options import from_table
from memstudy.papers import TABLES
from memstudy.recipe import OPTIONS, Recipe, read_toml
from memstudy.report.look import Look
from memstudy.report.methods import compared, method_labels
from memstudy.report.typesetting import LATEX, Typesetting
from memstudy.store.store import WHOLE_STORE
from memstudy.study.given_labels import GivenLabels
from memstudy.study.shipped import called

WORDS = ("about", "shows", "cost")
"""Keys whose values are sentences for whoever chooses a study."""
SCALED = (*WORDS, "preset", "seeds", "common", "grid", "options", "report")
TOP = ("name", *SCALED, "scale")
GRID = (*(key for key in OPTIONS if key not in ("seed", "matrix")), "reg", "pairs", "label_column", "anyway")
"""Keys of [grid]: a study's seeds are a key of its own, and a matrix is a file."""
MOST = 10_000
"""Runs of one study, unless more are asked for expressly: most who have more have mistyped a list."""
REPORT = ("epochs", "analyses", "tables", "reference", "figures", LATEX)
"""Keys of [report] beside those that analyses share, and a table of options for each, [report.NAME]."""
WORD = "[A-Za-z0-9_-]+"


class TooMany(MemstudyError):
    """More runs than MOST."""


@dataclass(frozen=True)
class Study:
    """A named set of recipes and its report's settings.

    `about` says what is trained, `shows` what comes of it, `cost` what it takes with the file's own seeds; each
    may be empty.
    """

    name: str
    about: str
    recipes: tuple[Recipe, ...]
    report: dict[str, Any] = field(default_factory=dict)
    shows: str = ""
    cost: str = ""
    label_files: tuple[LabelSource, ...] = ()
    notes: tuple[str, ...] = ()  # how files of labels were read, a sentence each

    @property
    def needs_records(self) -> bool:
        """Whether one of its analyses looks at records of each training sample."""
        return any(analysis(name).needs is Needs.RECORDS for name in self.report.get("analyses", USUAL_ANALYSES))

    def data_recipes(self) -> list[Recipe]:
        """One recipe for each way in which the study's recipes make their data, seeds aside."""
        distinct = {(r.dataset, r.normalization, r.train_size, r.seedless.corruption): r for r in self.recipes}
        return list(distinct.values())


def read(
    path: Path,
    seeds: Sequence[int] | None = None,
    scale: str | None = None,
    folder: Path | None = None,
    download: bool = False,
    large: bool = False,
) -> Study:
    """Read a study's file at one of its scales; `seeds` goes before the file's own.

    Others' files of labels are read together with the set that they are for, from the data directory `folder`. A
    MemstudyError says what is wrong in it; a TooMany, that it has more than MOST runs, unless it may be `large`.
    """
    data = read_toml(path, "the study")
    _known(f"key of the study {path}", data, TOP)
    name, data = name_of(path, data), data | _scale(path, data, scale)
    options, report = (_table(path, data, name) for name in ("options", "report"))
    if seeds is None:
        seeds = _seeds(path, data.get("seeds", [0]))
    else:
        data.pop("cost", None)  # that of the file's own seeds
    grids, given = _grids(path, data), GivenLabels(path.parent, folder, download)
    trust.named(path, (name for grid in grids for name in presets.names(grid)))
    if not large:
        _check_size(path, grids, seeds)
    try:
        preset = data.get("preset", presets.DEFAULT)
        recipes = [
            recipe for seed in seeds for grid in grids for recipe in _recipes(preset, grid, options, seed, given)
        ]
    except trust.Untrusted:  # it names the file
        raise
    except MemstudyError as error:
        raise MemstudyError(f"{path}: {error}") from error
    except (TypeError, AttributeError, ValueError, OverflowError) as error:
        raise MemstudyError(f"{path} does not describe a study: {reason(error)}.") from error
    if not recipes:
        raise MemstudyError(f"{path} describes no run: a list in [grid] is empty; give it a value, or remove it.")
    _check_options(path, [*options, *(k.split(".")[0] for grid in grids for k in grid if "." in k)], recipes)
    _check_report(path, report, recipes)
    title, different = f"{name}_{scale}" if scale else name, tuple(dict.fromkeys(recipes))
    words = {key: _text(path, data, key) for key in WORDS}
    return Study(
        title, recipes=different, report=report, label_files=tuple(given.files), notes=tuple(given.notes), **words
    )


def _scale(path: Path, data: dict[str, Any], scale: str | None) -> dict[str, Any]:
    """The keys that a scale puts instead of the study's own; all scales are checked, whichever is asked for."""
    scales = _table(path, data, "scale")
    for name in scales:
        if not re.fullmatch(WORD, name):
            raise MemstudyError(
                f"a scale's name in {path} must be letters, digits, '-' or '_'; it is {quoted(name)}."
            )
        _known(f"key of [scale.{name}] in {path}", _table(path, scales, name), SCALED)
    if scale is None:
        return {}
    if not scales:
        raise MemstudyError(f"the study {called(path)} has no scales; leave --scale out.")
    if scale not in scales:
        raise unknown(f"scale of the study {called(path)}", scale, scales)
    return {"cost": ""} | scales[scale]


def _grids(path: Path, data: dict[str, Any]) -> list[dict[str, Any]]:
    """[grid], or every [[grid]], with further keys from [common]; the lists of a grid's own keys vary slowest."""
    given, common = data.get("grid", {}), _table(path, data, "common")
    grids = given if isinstance(given, list) else [given]
    for name, table in [("common", common), *(("grid", grid) for grid in grids)]:
        keys = _table(path, {name: table}, name)
        _known(f"key of [{name}] in {path}", {key: value for key, value in keys.items() if "." not in key}, GRID)
    filled = [grid | {key: value for key, value in common.items() if key not in grid} for grid in grids]
    return [_paired(path, grid) for grid in filled]


def _paired(path: Path, grid: dict[str, Any]) -> dict[str, Any]:
    """A grid in which `pairs = true` is replaced: each two of its methods, joined by +, are added to `reg`."""
    pairs, others = grid.get("pairs", False), {key: value for key, value in grid.items() if key != "pairs"}
    if not isinstance(pairs, bool):
        raise MemstudyError(f"pairs in [grid] of {path} must be true or false, not {quoted(pairs)}.")
    if not pairs:
        return others
    reg = grid.get("reg", regularizers.BARE)
    methods = [name for name in reg if regularizers.names(name)] if isinstance(reg, list) else [reg]
    if len(methods) < 2:
        raise MemstudyError(
            f"pairs in [grid] of {path} are pairs of the methods listed in reg, and there are fewer than two; "
            "list more, or remove pairs."
        )
    return others | {"reg": reg + ["+".join(pair) for pair in itertools.combinations(methods, 2)]}


def _check_size(path: Path, grids: Sequence[dict[str, Any]], seeds: Sequence[int]) -> None:
    """Refuse a study of too many runs before their recipes are made; the number is a product of lengths."""
    points = [math.prod(len(value) for value in grid.values() if isinstance(value, list)) for grid in grids]
    if (count := sum(points) * len(seeds)) > MOST:
        raise TooMany(
            f"{path} describes {count:,} runs, and a study has at most {MOST:,}: give fewer values in [grid], or "
            "fewer seeds; or --yes, if that is what you want."
        )


def name_of(path: Path, data: dict[str, Any]) -> str:
    """The name of the study with these data, also of its directory beside those of other selections of runs."""
    name = data.get("name", path.stem)
    if not isinstance(name, str) or not re.fullmatch(WORD, name):
        raise MemstudyError(
            f"the study's name in {path} must be letters, digits, '-' or '_'; it is {quoted(name)}."
        )
    if name == WHOLE_STORE or name.startswith("selection"):
        raise MemstudyError(
            f"the study in {path} cannot be named {quoted(name)}, because {quoted(WHOLE_STORE)} and names that "
            "start with 'selection' stand for runs chosen in other ways; choose another."
        )
    return name


def _seeds(path: Path, seeds: object) -> Sequence[int]:
    """The seeds, or how many from 0 on, as on the command line."""
    if type(seeds) is int and 0 < seeds <= sys.maxsize:
        return range(seeds)
    if isinstance(seeds, list) and seeds and all(type(seed) is int and seed >= 0 for seed in seeds):
        return seeds
    raise MemstudyError(
        f"seeds in {path} must be a list of whole numbers from 0 on, or how many (5 is 0 to 4), not "
        f"{quoted(seeds)}."
    )


def _recipes(
    preset: str, grid: dict[str, Any], options: dict[str, Any], seed: int, given: GivenLabels
) -> list[Recipe]:
    """Every combination of the grid's lists, in their order."""
    axes = [value if isinstance(value, list) else [value] for value in grid.values()]
    recipes = []
    for values in itertools.product(*axes):
        point = dict(zip(grid, values, strict=True))
        if isinstance(grid.get("noise"), list) and not RULES.get(point["noise"]).rate:
            point.pop("corrupt", None)  # the rate is for those of the list that have one
        used = regularizers.names(point.get("reg", regularizers.BARE))
        chosen = {name: dict(table) for name, table in options.items() if regularizers.canonical(name) in used}
        for key in [key for key in point if "." in key]:
            (name, option), value = key.split(".", 1), point.pop(key)
            if regularizers.canonical(name) in used:
                chosen.setdefault(name, {})[option] = value
        recipes.append(presets.build(preset, options=chosen, seed=seed, **given.with_identity(preset, point)))
    return recipes


def _check_options(path: Path, names: Sequence[str], recipes: Sequence[Recipe]) -> None:
    """Refuse options of a regularizer that no recipe uses."""
    for name in names:
        if all(recipe.options(regularizers.canonical(name)) is None for recipe in recipes):
            raise MemstudyError(
                f"no recipe of {path} uses {quoted(name)}, for which it has an option; add it to reg in "
                "[grid], or remove that table or line."
            )


def _check_report(path: Path, report: dict[str, Any], recipes: Sequence[Recipe]) -> None:
    """Refuse a [report] that could not be made, before hours of training rather than after."""
    registries = {"tables": TABLES, "analyses": ANALYSES}
    kinds = {name: kind for registry in registries.values() for name, kind in loadable(registry).items()}
    for registry in registries.values():
        for name in set(report) & set(registry.names()) - set(kinds):
            analysis(name, registry)  # says why it cannot be loaded
    _known(
        f"key of [report] in {path}",
        report,
        [*REPORT, *(key for kind in kinds.values() for key in kind.report_keys())],
    )
    for key, registry in registries.items():
        wanted = report.get(key, [])
        if not (isinstance(wanted, list) and all(isinstance(name, str) for name in wanted)):
            raise MemstudyError(f"{key} in [report] of {path} must be a list of names, not {quoted(wanted)}.")
        for name in wanted:
            if name not in registry.names():
                raise unknown(f"name among {key} in [report] of {path}", name, registry.names())
            analysis(name, registry)
    shortest = min(recipe.training.epochs for recipe in recipes)
    epochs = report.get("epochs", [0])
    if not (isinstance(epochs, list) and epochs and all(type(e) is int and 0 <= e < shortest for e in epochs)):
        raise MemstudyError(
            f"epochs in [report] of {path} must be a list of whole numbers from 0 to {shortest - 1}, the shortest "
            f"run's last epoch, not {quoted(epochs)}; leave it out to tabulate every checkpoint."
        )
    for kind in kinds.values():
        configured(kind, report, where=str(path))
    from_table(Look, report.get("figures", {}), "report.figures", str(path))
    methods = method_labels(recipes, compared(recipes))
    if (reference := report.get("reference", methods[0])) not in methods:
        raise unknown(f"reference in [report] of {path}", str(reference), dict.fromkeys(methods))
    from_table(Typesetting, report.get(LATEX, {}), f"report.{LATEX}", str(path))


def _text(path: Path, data: dict[str, Any], key: str) -> str:
    """The words under a key, empty if it is not there."""
    text = data.get(key, "")
    if not isinstance(text, str):
        raise MemstudyError(f"{key} in {path} must be a text, not {quoted(text)}.")
    return text


def _table(path: Path, data: dict[str, Any], name: str) -> dict[str, Any]:
    """The table `name` in a study's data, empty if it is not there; a MemstudyError if it is no table."""
    table = data.get(name, {})
    if not isinstance(table, dict):
        raise MemstudyError(f"[{name}] in {path} must be a table, not {quoted(table)}.")
    return table


def _known(kind: str, table: dict[str, Any], known: Sequence[str]) -> None:
    """Refuse the first key of a table that is not among the known ones."""
    for key in table:
        if key not in known:
            raise unknown(kind, key, known)
