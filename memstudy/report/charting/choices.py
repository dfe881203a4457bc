"""What a reader chooses of a chart: lists, sliders, and clicks in the legend."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from memstudy.report.chart import Drawn
from memstudy.report.marks import Mark

MOST_AT_FIRST = 8  # lines that are shown in full before anything was clicked


@dataclass(frozen=True)
class Choice:
    """A list beneath a chart, one of which is shown: rows of the data have their option in a column.

    With a single option there is no list. by_number: what is chosen is the place of an option, from 0.
    """

    column: str
    words: str
    options: Sequence[str]
    first: int = 0
    by_number: bool = False

    @property
    def params(self) -> list[alt.Parameter]:
        """The list."""
        if len(self.options) < 2:
            return []
        values: list[Any] = list(range(len(self.options)) if self.by_number else self.options)
        bound = alt.binding_select(options=values, labels=list(self.options), name=f"{self.words}: ")
        return [alt.param(name=self.shown, value=values[self.first], bind=bound)]

    @property
    def shown(self) -> str:
        """The name of what is chosen."""
        return f"{self.column}_shown"

    @property
    def place(self) -> tuple[str, int]:
        """Which option is chosen, from 0, as an expression; and how many there are. For choices by number."""
        return self.shown if self.params else "0", len(self.options)

    def of(self, drawn: alt.Chart) -> alt.Chart:
        """A chart of the rows that are chosen."""
        return drawn.transform_filter(f"datum.{self.column} == {self.shown}") if self.params else drawn


@dataclass(frozen=True)
class Slider:
    """A slider over the values of a numeric column, such as kept epochs: each step is the next of them.

    The last is shown at first. The number beside the slider is the value itself where values are evenly spaced,
    else its place, from 1; `title` says the value in any case.
    """

    column: str
    words: str
    values: Sequence[int]
    before: str = "after epoch"

    @property
    def params(self) -> list[alt.Parameter]:
        """The slider, and the value where that is another number; none of a single value."""
        if len(self.values) < 2:
            return []
        gaps = {after - before for before, after in zip(self.values, self.values[1:], strict=False)}
        if len(gaps) == 1:
            low, high = self.values[0], self.values[-1]
            bound = alt.binding_range(min=low, max=high, step=gaps.pop(), name=f"{self.words}: ")
            return [alt.param(name=self.shown, value=high, bind=bound)]
        count, place = len(self.values), f"{self.column}_place"
        bound = alt.binding_range(min=1, max=count, step=1, name=f"{self.words}, {count} of them: ")
        return [
            alt.param(name=place, value=count, bind=bound),
            alt.param(name=self.shown, expr=f"{self._listed}[{place} - 1]"),
        ]

    @property
    def shown(self) -> str:
        """The name of the value that is chosen."""
        return f"{self.column}_shown"

    @property
    def place(self) -> tuple[str, int]:
        """Which value is chosen, from 0, as an expression; and how many there are."""
        return f"indexof({self._listed}, {self.shown})" if self.params else "0", len(self.values)

    @property
    def _listed(self) -> str:
        return f"[{', '.join(map(str, map(int, self.values)))}]"

    @property
    def title(self) -> alt.Title:
        """A chart's title: words of ours (`before`) and the value."""
        shown = self.shown if self.params else str(int(self.values[0]))
        return alt.Title(text=alt.ExprRef(f"{json.dumps(self.before)} + ' ' + {shown}"))

    def of(self, drawn: alt.Chart) -> alt.Chart:
        """A chart of the rows that are chosen."""
        return drawn.transform_filter(f"datum.{self.column} == {self.shown}") if self.params else drawn


def columns_of(choices: Iterable[Choice | Slider]) -> list[str]:
    """Those that rows are chosen by."""
    return [choice.column for choice in choices if choice.params]


def toggle(marks: Mapping[str, Mark], column: str = "method") -> alt.Parameter:
    """Clicks in the legend: each shows one more, or one less; all while none is chosen."""
    few: Any = [{column: label} for label in list(marks)[:MOST_AT_FIRST]]
    more = {"value": few} if len(marks) > MOST_AT_FIRST else {}
    return alt.selection_point(name="chosen", fields=[column], bind="legend", toggle="true", **more)


def told(marks: Collection[str], what: str = "methods") -> str:
    """A sentence on how `toggle` is used; empty where there is nothing to choose."""
    if len(marks) < 2:
        return ""
    first = f", the first {MOST_AT_FIRST} of {len(marks)} before" if len(marks) > MOST_AT_FIRST else ""
    return f"Those {what} are shown that are clicked in the legend{first}."


def titled(drawn: Drawn, choices: Sequence[Choice | Slider], *more: alt.Parameter) -> Drawn:
    """With all that can be chosen, and above it the values of sliders."""
    drawn = drawn.add_params(*(param for choice in choices for param in choice.params), *more)
    for choice in choices:
        if isinstance(choice, Slider):
            drawn = drawn.properties(title=choice.title)
    return drawn
