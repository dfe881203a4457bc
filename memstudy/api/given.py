"""How the API takes what several of its verbs take: a folder, and regularizers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from memstudy import presets, regularizers, trust
from memstudy.errors import MemstudyError, quoted
from memstudy.recipe import OptionValue, RegularizerSpec
from memstudy.regularizers import Regularizer

Options = Mapping[str, Mapping[str, OptionValue]]
"""Options of regularizers by their names."""


def folder(path: object, name: str) -> Path:
    """A path that was given, by the keyword `name`; a MemstudyError if it is none.

    It is the place that it means now, wherever the working directory is later: notebooks and Hydra change it.
    """
    if not isinstance(path, str | os.PathLike):
        raise MemstudyError(f"{name} must be the path of a folder, not {quoted(path)}.")
    return Path(path).absolute()


def specified(reg: Regularizer | Sequence[Regularizer], options: Options | None) -> tuple[RegularizerSpec, ...]:
    """What a recipe says of penalties that were given as objects; a MemstudyError for anything else."""
    methods = [reg] if isinstance(reg, Regularizer) else reg
    if not isinstance(methods, Sequence) or not all(isinstance(method, Regularizer) for method in methods):
        raise MemstudyError(
            "reg must be names of regularizers joined by +, or penalties such as memstudy.AL2(), not "
            f"{quoted(reg)}."
        )
    if options:
        raise MemstudyError("options are of regularizers by name; those given as objects have their own.")
    found = tuple(map(regularizers.specification, methods))
    for one in found:
        if sum(other.name == one.name for other in found) > 1:
            raise MemstudyError(f"regularizer {quoted(one.name)} is given twice; give each one once.")
    return found


def named(reg: str | Regularizer | Sequence[Regularizer], options: Options | None) -> tuple[str, Options | None]:
    """Regularizers by their names and options, however they are given."""
    if isinstance(reg, str):
        trust.allow(presets.names({"reg": reg}))
        return reg, options
    found = specified(reg, options)
    return regularizers.label(found), {one.name: dict(one.options) for one in found}
