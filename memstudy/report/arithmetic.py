"""Computations written out, step by step, so that anybody can do them again from the runs' values.

Each step is a number of the program's, and an expression that gives it, of numbers with all their digits. The
formulas are those of `analysis.significance`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from memstudy.analysis.significance import CONFIDENCE, paired_by
from memstudy.report.origin import BEHIND, PARTS, Behind, Cell, Member, Members, Origin, Row, Step, Steps

SD = "sample standard deviation, ddof = 1"
QUANTILE = (1 + CONFIDENCE) / 2

OF_DIFFERENCE = ("difference", "low", "high", "p", "p_holm")
"""The numbers of a difference, by their names in `differences`."""

Value = tuple[str, float]
"""A number, and what it is written as: itself, or the mean of its terms."""


def mean_cell(text: str, row: Row, digits: int) -> str:
    """A cell of a mean over runs, its standard deviation, and stars, of a row of `differences`."""
    behind = row.get(BEHIND)
    if not isinstance(behind, Behind):
        return text
    numbers = numbers_of(row)

    def steps() -> list[Step]:
        alone = of_mean(values(behind.ours), numbers.get("mean"), numbers.get("sd"))
        return [*alone, *of_difference(behind, numbers)] if alone else []

    return Cell.made(text, Origin(behind.ours.each, steps, numbers, behind.reference, digits=digits))


def with_steps(cell: Cell, first: Steps) -> Cell:
    """The cell with more steps before its own."""
    own = cell.origin.steps
    return Cell.made(cell, replace(cell.origin, steps=lambda: [*first(), *own()]))


def difference_cell(
    text: str, row: Row, digits: int, key: str = BEHIND, names: Mapping[str, str] | None = None
) -> str:
    """A cell of a difference alone, such as `+1.2 [+0.3, +2.1]`.

    names: of the difference's numbers in the row, where they are not those of `differences`.
    """
    behind = row.get(key)
    if not isinstance(behind, Behind) or behind.theirs is None:
        return text
    numbers = {name: row.get((names or {}).get(name, name)) for name in ("against", *OF_DIFFERENCE)}

    def ours() -> Sequence[Member]:
        sides = behind.compared()
        return sides[0].each() if sides else ()

    return Cell.made(
        text, Origin(ours, lambda: of_difference(behind, numbers), numbers, behind.reference, digits=digits)
    )


def effect_cell(text: str, row: Row, digits: int) -> str:
    """A cell of an effect: a difference over the spread of one pair of runs."""
    cell = difference_cell(text, row, digits)
    if not isinstance(cell, Cell) or missing(row["effect"]):
        return text
    origin = cell.origin

    def steps() -> list[Step]:
        before = origin.steps()
        name = {step.name: step for step in before}
        spread = "sd_of_pairs**2" if "sd_of_pairs" in name else "(sd_of_ours**2 + sd_of_theirs**2)"
        how = "over the deviation from one pair of runs to another, estimated median-unbiased"
        expression = f"abs(difference) / sqrt({spread} * df / chi2.median(df))"
        return [*(step for step in before if step.name not in ("low", "high", "p", "p_holm")),
                Step("effect", expression, float(row["effect"]), how)]  # fmt: skip

    return Cell.made(text, replace(origin, steps=steps, numbers={**origin.numbers, "effect": row["effect"]}))


def missing(number: float | None) -> bool:
    """Whether there is none."""
    return bool(pd.isna(number))


def numbers_of(row: Row) -> dict[str, Any]:
    """What was computed, by name."""
    return {str(name): value for name, value in row.items() if not isinstance(value, Behind)}


def of_mean(values: Sequence[Value], mean: Any, sd: Any = None) -> list[Step]:
    """The mean and the standard deviation; none where the mean is missing, as a value is not finite."""
    if not values or mean is None or missing(mean):
        return []
    steps = [Step("mean", average(values), float(mean))]
    if sd is not None and not missing(sd):
        steps.append(Step("sd", deviation([text for text, _ in values], "mean"), float(sd), SD))
    return steps


def average(values: Sequence[Value]) -> str:
    """`(1.0 + 2.0) / 2`."""
    return f"({' + '.join(text for text, _ in values)}) / {len(values)}"


def deviation(texts: Sequence[str], mean: str) -> str:
    """The expression of a sample standard deviation about the mean of that name."""
    squares = " + ".join(f"({text} - {mean})**2" for text in texts)
    return f"sqrt(({squares}) / ({len(texts)} - 1))"


def value(number: float, terms: Sequence[float] = ()) -> Value:
    """A number as it is written: as the mean of its terms, if it has several."""
    terms = list(map(float, terms))
    number = float(number)
    return (f"({' + '.join(map(repr, terms))}) / {len(terms)}" if len(terms) > 1 else repr(number)), number


def values(members: Members) -> list[Value]:
    """The values of some runs."""
    frame = members.frame
    parts = frame[PARTS] if PARTS in frame else [()] * len(frame)
    terms = [[part.value for part in of_row] for of_row in parts]
    return [value(*pair) for pair in zip(frame[members.column], terms, strict=True)]


def _by_seed(members: Members) -> dict[Any, Value]:
    """The values by their seeds; of a seed with several it is their mean."""
    found: dict[Any, list[Value]] = {}
    for seed, one in zip(members.frame["seeds"], values(members), strict=True):
        found.setdefault(seed, []).append(one)
    return {
        seed: several[0] if len(several) == 1 else value(_mean(several), [number for _, number in several])
        for seed, several in found.items()
    }


def _mean(values: Sequence[Value]) -> float:
    return math.fsum(number for _, number in values) / len(values)


def of_difference(behind: Behind, numbers: Mapping[str, Any]) -> list[Step]:
    """How a mean differs from its reference's: both means, the difference, its interval, p, and p adjusted.

    numbers: difference, low, high, p and p_holm, as the program has them; none without a difference.
    """
    known = {name: float(numbers[name]) for name in OF_DIFFERENCE if not missing(numbers.get(name))}
    if (sides := behind.compared()) is None or "difference" not in known:
        return []
    ours, theirs = map(_by_seed, sides)
    paired = paired_by(list(ours), list(theirs))
    left, right = ([side[seed] for seed in (paired or side)] for side in (ours, theirs))
    steps = [
        Step("ours", average(left), _mean(left), f"mean over the seeds {_named(paired or ours)}"),
        Step(
            "theirs", average(right), _mean(right), f"the reference's, over the seeds {_named(paired or theirs)}"
        ),
        Step("difference", "ours - theirs", known["difference"]),
    ]
    if "low" not in known:
        return steps
    spread = _of_pairs(left, right, known["difference"]) if paired else _of_two(left, right, steps)
    steps += [
        *spread,
        Step("low", f"difference - t.ppf({QUANTILE}, df) * error", known["low"], "the 95 % interval"),
        Step("high", f"difference + t.ppf({QUANTILE}, df) * error", known["high"]),
    ]
    if "p" in known:
        steps.append(Step("p", "2 * t.sf(abs(difference / error), df)", known["p"], "two-sided t-test"))
        steps += _adjusted(known["p"], known.get("p_holm"), behind.p_values)
    return steps


def _named(seeds: Any) -> str:
    return ", ".join(map(str, seeds))


def _of_pairs(left: Sequence[Value], right: Sequence[Value], difference: float) -> list[Step]:
    """The standard error of the mean of paired differences, and its degrees of freedom: Student's."""
    texts = [f"({ours} - {theirs})" for (ours, _), (theirs, _) in zip(left, right, strict=True)]
    each = np.array([ours - theirs for (_, ours), (_, theirs) in zip(left, right, strict=True)])
    sd = float(np.sqrt(np.sum((each - difference) ** 2) / (len(each) - 1)))
    return [
        Step("sd_of_pairs", deviation(texts, "difference"), sd, f"of the differences of pairs; {SD}"),
        Step("error", f"sd_of_pairs / sqrt({len(each)})", sd / math.sqrt(len(each))),
        Step("df", f"{len(each)} - 1", len(each) - 1, "degrees of freedom: Student's test, paired over seeds"),
    ]


def _of_two(left: Sequence[Value], right: Sequence[Value], means: Sequence[Step]) -> list[Step]:
    """The standard error of the difference of two means, and its degrees of freedom: Welch's."""
    parts = []
    for step, side in zip(means, (left, right), strict=False):
        numbers = np.array([number for _, number in side])
        sd = float(np.sqrt(np.sum((numbers - step.value) ** 2) / (len(numbers) - 1)))
        parts.append((f"sd_of_{step.name}", deviation([text for text, _ in side], step.name), sd, len(side)))
    (a, text_a, sd_a, n), (b, text_b, sd_b, m) = parts
    error = math.sqrt(sd_a**2 / n + sd_b**2 / m)
    df = error**4 / ((sd_a**2 / n) ** 2 / (n - 1) + (sd_b**2 / m) ** 2 / (m - 1))
    return [
        Step(a, text_a, sd_a, SD),
        Step(b, text_b, sd_b, SD),
        Step("error", f"sqrt({a}**2 / {n} + {b}**2 / {m})", error),
        Step("df", f"error**4 / (({a}**2 / {n})**2 / ({n} - 1) + ({b}**2 / {m})**2 / ({m} - 1))", df,
             "degrees of freedom: Welch's test, not paired"),
    ]  # fmt: skip


def _adjusted(p: float, adjusted: float | None, p_values: Sequence[float]) -> list[Step]:
    """Holm's step: the largest of (m - j + 1) p_j over the j up to this one, of m ascending p-values."""
    tested = sorted(float(each) for each in p_values if not missing(each))
    if adjusted is None or p not in tested:
        return []
    up_to = tested[: len(tested) - tested[::-1].index(p)]  # equal ones have the same adjusted value
    products = [(len(tested) - place) * each for place, each in enumerate(up_to)]
    place = int(np.argmax(products))
    how = f"Holm's: {len(tested)} tests; this p is the {up_to.index(p) + 1}. smallest"
    if up_to[place] != p:
        how += f", and the {place + 1}. times {len(tested) - place} is larger"
    return [Step("p_holm", f"min(1, {len(tested) - place} * {up_to[place]!r})", adjusted, how)]


def of_bootstrap(values: Sequence[float], low: float, high: float) -> list[Step]:
    """The interval of a mean that is resampled; none of fewer than two values."""
    if missing(low):
        return []
    drawn = f"bootstrap([{', '.join(map(repr, values))}])"
    return [Step("low", f"{drawn}[0]", low, "the 95 % interval"), Step("high", f"{drawn}[1]", high)]
