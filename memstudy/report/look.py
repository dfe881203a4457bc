"""How figures look: their width, the size of their text and lines, and where their caption goes.

A look is chosen once for all figures of a study. While it is `applied`, matplotlib's own parameters hold it, so
that whatever is drawn has its fonts, sizes and width (`figure.figsize`). Fonts are embedded as TrueType, as
publishers ask for (Type 3 is matplotlib's default); in SVG text is text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from memstudy import options
from memstudy.options import option

WIDTHS = {3.25: "one column of two", 5.5: "a single column", 6.75: "both columns"}
"""Inches, and what they are in the classes of conferences and journals."""
SCALES = {"paper": 1.0, "talk": 1.6, "poster": 2.6}
"""How much larger text, lines and the usual width are than on paper."""
USUAL_WIDTH = 6.75


@dataclass(frozen=True)
class Look:
    """The options of figures, keys of a study's [report.figures].

    A MemstudyError if one cannot be so.
    """

    width: float | None = option(
        f"Width of figures, inches: {', '.join(f'{width:g} ({what})' for width, what in WIDTHS.items())}.",
        None, least=2, most=60, usual=f"{USUAL_WIDTH:g}; more for talk and poster",
    )  # fmt: skip
    style: str = option("Size of text and lines.", "paper", choices=SCALES)
    caption: str = option(
        "Where n, bands and the like are told: in the figure, or in a file beside it (NAME.caption.txt and .tex).",
        "figure", choices=("figure", "file"),
    )  # fmt: skip

    def __post_init__(self) -> None:
        options.check(self)

    @property
    def inches(self) -> float:
        """The width of figures."""
        return self.width or USUAL_WIDTH * SCALES[self.style]

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Whatever is drawn within has this look; its text is literal (see `lettering`)."""
        import matplotlib as mpl
        import seaborn as sns

        from memstudy.report.lettering import literal

        with sns.axes_style("ticks"), mpl.rc_context(), literal():
            mpl.rcParams.update(self._parameters())  # type: ignore[arg-type]  # matplotlib names each one
            yield

    def _parameters(self) -> dict[str, Any]:
        scale = SCALES[self.style]
        sizes = {
            "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "figure.titlesize": 8, "figure.labelsize": 8,
            "xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7, "legend.title_fontsize": 7,
            "lines.linewidth": 1.2, "lines.markersize": 3.2, "patch.linewidth": 0.8, "axes.linewidth": 0.7,
            "xtick.major.width": 0.7, "ytick.major.width": 0.7, "xtick.minor.width": 0.5, "ytick.minor.width": 0.5,
            "xtick.major.size": 3, "ytick.major.size": 3, "xtick.minor.size": 1.8, "ytick.minor.size": 1.8,
            "axes.labelpad": 3, "axes.titlepad": 4, "grid.linewidth": 0.5,
        }  # fmt: skip
        return {name: scale * size for name, size in sizes.items()} | {
            "figure.figsize": (self.inches, 0.4 * self.inches),
            "pdf.fonttype": 42,
            "ps.fonttype": 42,
            "svg.fonttype": "none",
            "savefig.dpi": 200 / scale,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
        }


USUAL = Look()
