"""Regularizers, one file a method, composed with `+`: `bn+al2`. `bare` is none.

Adding one is adding a file with a `Regularizer` and one line in `REGULARIZERS`; another package registers its
own through the entry-point group `memstudy.regularizers`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from memstudy import foreign, recipe
from memstudy.errors import MemstudyError, quoted, unknown
from memstudy.lazy import attributes
from memstudy.recipe import OptionValue
from memstudy.registry import Registry
from memstudy.regularizers.later import is_later, is_recorded

if TYPE_CHECKING:
    from memstudy.regularizers.base import Regularizer, Step

__all__ = [
    "REGULARIZERS",
    "Regularizer",
    "Step",
    "build",
    "canonical",
    "checked",
    "label",
    "names",
    "options",
    "parse",
    "specification",
]

BARE = "bare"


if not TYPE_CHECKING:  # else any name would be one for a type checker; both need torch
    __getattr__ = attributes(
        __name__, {name: f"memstudy.regularizers.base:{name}" for name in ("Regularizer", "Step")}
    )


REGULARIZERS = Registry(
    "regularizer",
    bn="memstudy.regularizers.bn:BatchNormalization",
    nobn="memstudy.regularizers.nobn:NoBatchNormalization",
    do="memstudy.regularizers.do:DropoutRegularizer",
    wd="memstudy.regularizers.wd:WeightDecay",
    al2="memstudy.regularizers.al2:AL2",
    loco="memstudy.regularizers.loco:LocoReg",
    normloss="memstudy.regularizers.norm_loss:NormLoss",
    pilcro="memstudy.regularizers.pilcro:Pilcro",
    wn="memstudy.regularizers.wn:WeightNormalization",
    pbwn="memstudy.regularizers.pbwn:ProjectionBasedWeightNormalization",
    oni="memstudy.regularizers.oni:NewtonOrthogonalization",
    olm="memstudy.regularizers.olm:OrthogonalLinearModule",
)
ALIASES = {
    "none": BARE, "batchnorm": "bn", "batchnormalization": "bn", "nobatchnorm": "nobn",
    "nobatchnormalization": "nobn", "dropout": "do", "weightdecay": "wd", "locoreg": "loco",
    "weightnorm": "wn", "weightnormalization": "wn", "projectionbasedweightnormalization": "pbwn",
    "newtonorthogonalization": "oni", "orthogonallinearmodule": "olm",
}  # fmt: skip
"""Other usual names, in small letters without `-`, `_` and blanks. Recipes and directories have the short one."""


def canonical(name: str) -> str:
    """The short name of a regularizer: `"Weight-Decay"` → `"wd"`. An unknown one comes back in small letters."""
    word = name.strip().lower()
    if word in REGULARIZERS.names():
        return word
    plain = re.sub("[-_ ]", "", word)
    return ALIASES.get(plain, plain if plain in REGULARIZERS.names() else word)


def names(text: str) -> list[str]:
    """`"BN + dropout"` → `["bn", "do"]`, unchecked; none for `"bare"`. A MemstudyError for what is no text."""
    if not isinstance(text, str):
        raise MemstudyError(
            f"reg must be names of regularizers joined by +, such as 'bn+al2', not {quoted(text)}."
        )
    methods = [canonical(name) for name in text.split("+")]
    return [] if methods == [BARE] else methods


def checked(text: str) -> list[str]:
    """As `names`; a MemstudyError for a name that is unknown or given twice, or that stands beside `bare`."""
    wanted = names(text)
    if BARE in wanted:
        raise MemstudyError(
            f"{BARE!r} means no regularizer, so it stands alone; {quoted(text)} adds others to it."
        )
    for name in wanted:
        if name not in REGULARIZERS.names():
            raise unknown("regularizer", name, [BARE, *REGULARIZERS.names()])
        if wanted.count(name) > 1:
            raise MemstudyError(
                f"regularizer {quoted(name)} is given twice in {quoted(text)}; name each one once."
            )
    return wanted


def parse(
    text: str,
    options: Mapping[str, Mapping[str, OptionValue]] | None = None,
    defaults: Mapping[str, Mapping[str, OptionValue]] | None = None,
) -> tuple[recipe.RegularizerSpec, ...]:
    """`"bn+al2"` → specifications with every option filled in: `options`, else `defaults`, else its own.

    Names, those of `options` too, may be any that `canonical` knows. `options` of a regularizer that is not in
    `text` are refused; `defaults` of one (a preset's) are ignored.
    """
    wanted = checked(text)
    chosen = {name: dict((defaults or {}).get(name, {})) for name in wanted}
    for written, values in (options or {}).items():
        if (name := canonical(written)) not in chosen:
            raise MemstudyError(
                f"an option is set for {quoted(written)}, which {quoted(text)} does not use; "
                f"add it ({'+'.join([*wanted, name])}) or leave the option out."
            )
        chosen[name] |= values
    return complete(recipe.RegularizerSpec(name, tuple(given.items())) for name, given in chosen.items())


def complete(specifications: Iterable[recipe.RegularizerSpec]) -> tuple[recipe.RegularizerSpec, ...]:
    """Fill in the defaults by building each regularizer once, which also checks names and values.

    An option that was added later (see `later`) is left out at its default.
    """
    return tuple(
        recipe.RegularizerSpec(
            name, tuple((f.name, getattr(built, f.name)) for f in fields(built) if is_recorded(f, built))
        )
        for name, built in build(specifications).items()
    )


def options(specification: recipe.RegularizerSpec) -> dict[str, OptionValue]:
    """All options of a regularizer in a recipe, also those that it leaves out at their defaults (see `later`).

    Of one that is not known here, or whose code may not run, only what the recipe says.
    """
    known = fields(REGULARIZERS.get(specification.name)) if REGULARIZERS.allows(specification.name) else ()
    later: dict[str, Any] = {option.name: option.default for option in known if is_later(option)}
    return later | dict(specification.options)


def specification(method: Regularizer) -> recipe.RegularizerSpec:
    """What a recipe says of a regularizer that is built; a MemstudyError if it has no name in the registry."""
    for name in REGULARIZERS.names():
        with suppress(MemstudyError):  # another package's, which does not load
            if REGULARIZERS.get(name) is type(method):
                set_here = ((f.name, getattr(method, f.name)) for f in fields(method) if is_recorded(f, method))
                return recipe.RegularizerSpec(name, tuple(set_here))
    raise MemstudyError(
        f"{quoted(type(method).__name__)} is no regularizer with a name; use one of memstudy's, or register it."
    )


def build(specifications: Iterable[recipe.RegularizerSpec]) -> dict[str, Regularizer]:
    """Build a recipe's regularizers by name, in the registry's order."""
    order = REGULARIZERS.names()
    known = sorted(specifications, key=lambda s: order.index(REGULARIZERS.check(s.name)))
    return {specification.name: _build(specification) for specification in known}


def _build(specification: recipe.RegularizerSpec) -> Regularizer:
    name, method = specification.name, _method(specification.name)
    known = [f.name for f in fields(method)]
    for option, _ in specification.options:
        if option not in known:
            raise unknown(f"option of {name}", option, known)
    try:
        return method(**dict(specification.options))
    except MemstudyError:
        raise
    except Exception as error:
        raise MemstudyError(
            f"regularizer {quoted(name)} cannot be made of its options: {foreign.told(error)}."
        ) from error


def _method(name: str) -> type[Regularizer]:
    """A regularizer's class; a MemstudyError if what another package registers is none."""
    from memstudy.regularizers.base import Regularizer

    method = REGULARIZERS.get(name)
    if not (isinstance(method, type) and issubclass(method, Regularizer)):
        raise MemstudyError(
            f"regularizer {quoted(name)} must be a dataclass derived from memstudy.regularizers.Regularizer, not "
            f"{getattr(method, '__name__', type(method).__name__)}."
        )
    return method


def label(specifications: Iterable[recipe.RegularizerSpec]) -> str:
    """The usual way to write a combination: `bn+al2`, or `bare`. Unknown names come last."""
    order = REGULARIZERS.names()
    used = sorted(s.name for s in specifications)
    return "+".join([*(n for n in order if n in used), *(n for n in used if n not in order)]) or BARE
