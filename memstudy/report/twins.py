"""Baselines without and with AL2 side by side, as AL2's tables and figures have them.

Tables and figures have this layout where every method has its AL2 twin, and the one of `methods` elsewhere.
"""

from __future__ import annotations

from memstudy.recipe import RegularizerSpec
from memstudy.report.frames import AL2, BASELINES, WITH, WITHOUT, Groups, Setting
from memstudy.report.marks import Mark

SIDES = {WITHOUT: Mark("#D55E00", "-", "o"), WITH: Mark("#0072B2", (0, (4, 1.4)), "s")}
"""The marks of both sides, in the order of drawing."""


def twins(groups: Groups) -> list[Setting]:
    """The settings of comparable runs in which every method has its AL2 twin; none if one has not.

    Two versions of a regularizer, with different options, are methods to compare rather than twins.
    """
    of_twins = [_is_of_twins(setting, members["label"].nunique()) for setting, members in groups]
    return [setting for setting, _ in groups] if of_twins and all(of_twins) else []


def _is_of_twins(setting: Setting, labels: int) -> bool:
    methods = {run.recipe.regularizers for run in setting.runs}
    if len(methods) < labels:  # some have one name and other code
        return False
    versions = {regularizer for method in methods for regularizer in method}
    if len({regularizer.name for regularizer in versions}) < len(versions):
        return False
    with_it = {_without_al2(method) for method in methods if any(r.name == AL2 for r in method)}
    return bool(with_it) and with_it == {method for method in methods if _without_al2(method) == method}


def _without_al2(method: tuple[RegularizerSpec, ...]) -> tuple[RegularizerSpec, ...]:
    return tuple(regularizer for regularizer in method if regularizer.name != AL2)


def baseline_order(name: str) -> tuple[int, str]:
    """The paper's order, then the alphabet."""
    known = list(BASELINES.values())
    return (known.index(name) if name in known else len(known), name)
