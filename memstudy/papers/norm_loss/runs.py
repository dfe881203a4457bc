"""The runs of Norm Loss' tables and figures, as data frames: those with it, and those to compare them with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from memstudy.distinctions import text
from memstudy.recipe import Recipe, RegularizerSpec
from memstudy.regularizers import BARE, REGULARIZERS, label, options
from memstudy.report.frames import circumstances, editions, is_trained, seeds, shared
from memstudy.store import RunDirectory
from memstudy.store.store import Selection

NORM_LOSS = "normloss"
STRENGTH_OPTIONS = {"wd": "decay", NORM_LOSS: "weight"}
"""The option of each regularizer that is its strength. It may be swept."""
PUBLISHED_NETWORKS = {"resnet110": "resnet110", "wrn28-10": "wrn-28-10"}
"""The paper's names of networks, by ours."""
PUBLISHED_METHODS = {
    "wd": ("wd_reproduced", "wd"), NORM_LOSS: ("nl",),
    "wn": ("WN",), "pbwn": ("PBWN",), "oni": ("ONI",), "olm": ("OLM",),
}  # fmt: skip
"""The paper's names of methods, by ours."""
BY = ["dataset", "network", "protocol"]
ORDER = ["order", "family", *STRENGTH_OPTIONS]
"""Columns by which every table is sorted: by its settings, and then by its methods."""


def errors(selection: Selection) -> pd.DataFrame:
    """One row a finished run, of settings in which some run uses Norm Loss, in the table's order; maybe none.

    setting: what runs share but for seeds, regularizers and batch size; in words `protocol`.
    method: regularizers, and the options in which runs differ. `family`: the same without strengths; `but wd`
        and `but normloss`: the same without the strength of that one.
    wd, normloss: their strengths, if used. error: in percent, after the last epoch.
    kind: those of its regularizers that are the paper's methods; `besides`: the others.
    paper: the names that the paper has for it, maybe none.
    """
    chosen = {_setting(run.recipe) for run in selection.runs if run.recipe.options(NORM_LOSS) is not None}
    if not chosen:
        return pd.DataFrame()
    runs = [run for run in selection.runs if _setting(run.recipe) in chosen and is_trained(run)]
    versions = _versions(run.recipe for run in runs)
    protocols = _protocols([run.recipe for run in runs])
    rows = pd.DataFrame([_row(run, versions, protocols[run.recipe]) for run in runs])
    if rows.empty:
        return rows
    marks = rows["run"].map(editions(runs))
    for words in ("method", "family", *(f"but {name}" for name in STRENGTH_OPTIONS)):
        rows[words] += marks
    once = ["setting", "batch_size", "method", *STRENGTH_OPTIONS, "seeds"]  # not with other epochs kept once more
    return rows.drop_duplicates(once).sort_values([*BY, *ORDER, "batch_size"], ignore_index=True)


def at_usual_values(rows: pd.DataFrame) -> pd.DataFrame:
    """Each method at the batch size that most runs of its setting have, and its most frequent strengths there."""
    family = ["setting", "family"]
    here = _most(rows, rows.groupby(["setting", "batch_size"])["run"].transform("size"), family)
    strengths = [*family, "wd", NORM_LOSS]
    return _most(here, rows.groupby(strengths, dropna=False)["run"].transform("size")[here.index], family)


def _most(rows: pd.DataFrame, count: pd.Series, by: Sequence[str]) -> pd.DataFrame:
    return rows[count == count.groupby([rows[name] for name in by]).transform("max")]


def by_strength(rows: pd.DataFrame) -> pd.DataFrame:
    """Runs that differ only by λ, or only by weight decay.

    `swept` is the option, `value` its value, and `series` the method without it.
    """
    parts = []
    for name, option in STRENGTH_OPTIONS.items():
        part = rows.assign(series=rows[f"but {name}"], value=rows[name], swept=f"{name}.{option}")
        parts.append(_several(part.dropna(subset="value"), ["setting", "batch_size", "series"]))
    return pd.concat(parts, ignore_index=True)


def by_batch_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Runs that differ only by batch size: that is `value`, and the method is `series`."""
    part = rows.assign(series=rows["method"], value=rows["batch_size"], swept="batch size")
    return _several(part, ["setting", "series"]).reset_index(drop=True)


def with_references(rows: pd.DataFrame, by: Sequence[str], method: str) -> pd.DataFrame:
    """The same rows with `against`, the reference's name in the column `method`, among rows equal in `by`.

    The reference is weight decay, as in the paper; where that was not trained, runs with none of the paper's
    methods. It is "" if the reference's runs have several names.
    """
    parts = rows.groupby(list(by), sort=False)
    return pd.concat([part.assign(against=_reference(part, method)) for _, part in parts])


def _reference(rows: pd.DataFrame, method: str) -> str:
    decay, bare = (rows.loc[rows["kind"] == kind, method].unique() for kind in ("wd", BARE))
    names = decay if len(decay) else bare
    return str(names[0]) if len(names) == 1 else ""


def _several(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    return rows[rows.groupby(list(by))["value"].transform("nunique") > 1]


def _setting(recipe: Recipe) -> str:
    plain = shared(recipe)
    return replace(plain, training=replace(plain.training, batch_size=1)).id


def _row(run: RunDirectory, versions: Mapping[tuple[str, str], set[object]], protocol: str) -> dict[str, Any]:
    recipe = run.recipe
    strengths = {
        name: (recipe.options(name) or {}).get(option, np.nan) for name, option in STRENGTH_OPTIONS.items()
    }
    return {
        "run": run.name,
        "seed": recipe.seed,
        "seeds": seeds(recipe),
        "setting": f"{_setting(recipe)}-{circumstances(run)}",
        "dataset": recipe.dataset,
        "network": recipe.network,
        "protocol": protocol,
        "batch_size": recipe.training.batch_size,
        "order": _order(recipe),
        "kind": label(r for r in recipe.regularizers if r.name in PUBLISHED_METHODS),
        "besides": _words([r for r in recipe.regularizers if r.name not in PUBLISHED_METHODS], versions),
        "family": _words(recipe.regularizers, versions, STRENGTH_OPTIONS),
        "method": _words(recipe.regularizers, versions),
        **{f"but {name}": _words(recipe.regularizers, versions, [name]) for name in STRENGTH_OPTIONS},
        **strengths,
        "epoch": run.recipe.training.epochs - 1,
        "error": 100 - 100 * run.columns()["test_accuracy"][-1],
        "paper": _paper(recipe),
    }


def _order(recipe: Recipe) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A key that sorts methods in the registry's order, baselines first, and `wd+wn` next to `wn`."""
    names = REGULARIZERS.names()
    places = sorted(names.index(r.name) for r in recipe.regularizers)
    last = names.index("wd")
    return tuple(p for p in places if p > last), tuple(p for p in places if p <= last)


def _versions(recipes: Iterable[Recipe]) -> dict[tuple[str, str], set[object]]:
    """All values of each option, by regularizer and option."""
    versions: dict[tuple[str, str], set[object]] = {}
    for recipe in recipes:
        for regularizer in recipe.regularizers:
            for option, value in options(regularizer).items():
                versions.setdefault((regularizer.name, option), set()).add(value)
    return versions


def _words(
    regularizers: Sequence[RegularizerSpec],
    versions: Mapping[tuple[str, str], set[object]],
    strengthless: Iterable[str] = (),
) -> str:
    """Regularizers with the options in which runs differ, but without the strengths of some."""
    hidden = {(name, STRENGTH_OPTIONS[name]) for name in strengthless}
    words = [
        option if value is True else f"{option} {text(option, value)}"
        for regularizer in regularizers
        for option, value in options(regularizer).items()
        if (regularizer.name, option) not in hidden and len(versions[regularizer.name, option]) > 1
        if value is not False
    ]
    return label(regularizers) + (f" ({', '.join(words)})" if words else "")


def _protocols(recipes: Sequence[Recipe]) -> dict[Recipe, str]:
    """Each recipe's corruption and epochs, and all in which recipes of one data set and network differ, in words.

    Batch size is left out.
    """
    facts = {recipe: _facts(recipe) for recipe in recipes}
    values: dict[tuple[str, str, str], set[object]] = {}
    for recipe, of_recipe in facts.items():
        for name, value in of_recipe.items():
            values.setdefault((recipe.dataset, recipe.network, name), set()).add(value)
    protocols = {}
    for recipe, of_recipe in facts.items():
        differing = [name for name in of_recipe if len(values[recipe.dataset, recipe.network, name]) > 1]
        labels = f"{recipe.corruption.title} corruption, " if recipe.corruption.rate != 0 else ""
        others = "".join(f", {name} {of_recipe[name]}" for name in differing)
        protocols[recipe] = f"{labels}{recipe.training.epochs} epochs{others}"
    return protocols


def _facts(recipe: Recipe) -> dict[str, object]:
    training = asdict(recipe.training)
    for elsewhere in ("epochs", "batch_size", "checkpoints"):
        del training[elsewhere]
    facts = {"normalization": recipe.normalization, "train size": recipe.train_size, **training}
    return {name.replace("_", " "): value for name, value in facts.items()}


def _paper(recipe: Recipe) -> tuple[str, ...]:
    """The paper's names for a recipe's method, if network, data set and labels are the paper's too.

    Weight decay beside another method acts on what that leaves over, and dropout is part of WRN's protocol.
    """
    if recipe.network not in PUBLISHED_NETWORKS or recipe.train_size is not None or recipe.corruption.rate != 0:
        return ()
    used = {r.name for r in recipe.regularizers} - ({"do"} if recipe.network == "wrn28-10" else set())
    if "wd" in used and (recipe.options(NORM_LOSS) or {}).get("keep_decay"):
        return ()
    names = used - {"wd"} or used
    return PUBLISHED_METHODS.get(next(iter(names)), ()) if len(names) == 1 else ()
