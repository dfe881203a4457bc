"""How the methods of a selection are spread over the panels of a figure, and the lines in them.

Twins: a panel for each baseline, and in it the lines without and with AL2. Few methods: a panel for each setting,
a line for each method. More than MOST_TOGETHER: a panel for each method, the reference in gray in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from memstudy.report.frames import Groups, Setting, methods_of, shared_title
from memstudy.report.marks import COLORS, GRAY, Mark, marks
from memstudy.report.panels import fits_page, of_part, paged
from memstudy.report.twins import SIDES, baseline_order, twins

MOST_TOGETHER = 8  # methods whose lines share a panel
EACH = "the method above"


@dataclass(frozen=True)
class View:
    """The runs of a figure.

    Attributes:
        runs: one row a run and panel that it is drawn in: `run`, `seed`, `method`, and the words of `panel` and
            `line`.
        settings: those that its runs are of.
        marks: how lines are drawn, in their order.
        panels: their titles, in order.
        suffix: the end of the figure's name.
        apart: whether each method has its own panel, and the reference is in all.
        part: `part 2 of 3` of a figure that is too high for a page.

    """

    runs: pd.DataFrame
    settings: tuple[Setting, ...]
    marks: Mapping[str, Mark]
    panels: list[str]
    suffix: str = ""
    apart: bool = False
    part: str = ""

    @property
    def title(self) -> str:
        """What all runs share, for the caption."""
        title = self.settings[0].title if len(self.settings) == 1 else shared_title(self.settings)
        return "; ".join(filter(None, (title, self.part)))

    def parts(self, fits: Callable[[Sequence[str]], bool] = fits_page) -> list[View]:
        """The view as figures that fit a page (see `panels.paged`); all but the first end in `--part-N`."""
        pages = paged(self.panels, fits)
        return [self] if len(pages) < 2 else [
            replace(
                self, runs=self.runs[self.runs["panel"].isin(panels)], panels=list(panels),
                suffix=self.suffix + of_part(place),
                part=f"part {place} of {len(pages)}",
            )
            for place, panels in enumerate(pages, start=1)
        ]  # fmt: skip

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of a table that are of these runs, in its order, with `seed`, `method`, `panel` and `line`."""
        return table.drop(columns=["seed"], errors="ignore").merge(self.runs, on="run")

    def metrics(self) -> pd.DataFrame:
        """Every run's metrics, one row an epoch, with the columns of `of`."""
        return self.of(pd.concat([setting.metrics() for setting in self.settings], ignore_index=True))

    def floors(self) -> dict[str, float]:
        """Of each panel the lowest training loss without memorization, nats."""
        if len(self.settings) == 1:
            return dict.fromkeys(self.panels, self.settings[0].floor)
        return {setting.words: setting.floor for setting in self.settings if setting.words in self.panels}


def views(groups: Groups, together: int = MOST_TOGETHER) -> Iterator[View]:
    """One for each figure of a kind. together: methods whose lines share a panel, at most."""
    if settings := twins(groups):
        yield from map(_of_twins, settings)
        return
    methods = methods_of(groups)
    if len(methods) > together:
        yield from (_apart(setting, members) for setting, members in groups)
        return
    runs = pd.concat([_named(members).assign(panel=setting.words) for setting, members in groups])
    settings = [setting for setting, _ in groups]
    panels = [setting.words for setting in settings]
    yield View(runs.assign(line=runs["method"]), tuple(settings), marks(methods), panels)


def _of_twins(setting: Setting) -> View:
    labels = setting.labels()
    runs = labels[["run", "seed"]].assign(method=labels["reg"], panel=labels["baseline"], line=labels["al2"])
    panels = sorted(set(runs["panel"]), key=baseline_order)
    return View(runs, (setting,), dict(SIDES), panels, setting.suffix)


def _apart(setting: Setting, members: pd.DataFrame) -> View:
    runs, reference = _named(members), str(members["against"].iloc[0])
    panels = [method for method in dict.fromkeys(runs["method"]) if method != reference]
    behind = runs[runs["method"] == reference]
    parts = [behind.assign(panel=panel, line=reference) for panel in panels]
    parts += [runs[runs["method"] == panel].assign(panel=panel, line=EACH) for panel in panels]
    of_lines = ({reference: Mark(GRAY)} if reference else {}) | {EACH: Mark(COLORS[0])}
    return View(pd.concat(parts), (setting,), of_lines, panels, setting.suffix, apart=True)


def _named(members: pd.DataFrame) -> pd.DataFrame:
    return members[["run", "seed", "label"]].rename(columns={"label": "method"})
