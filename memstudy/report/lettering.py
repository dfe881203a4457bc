"""Text in figures: shown literally, a `$` too, and in fonts that have its characters.

Names of classes and of a user's own layers may be any text. Only what this package writes is set as math: the
labels of axes, and the powers of log scales.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Collection, Iterable, Iterator
from functools import cache

import matplotlib as mpl
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter

MOST_TICKS = 30  # of a log scale that have labels


@contextlib.contextmanager
def literal() -> Iterator[None]:
    """Text is taken literally, and nobody is warned of characters without a font: `settle` finds one later."""
    with mpl.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ ")
        yield


@contextlib.contextmanager
def style(axes: str | None = None) -> Iterator[None]:
    """The look of the moment; `axes` is seaborn's style of axes."""
    with sns.axes_style(axes):
        yield


def set_math(figure: Figure) -> None:
    """Set as math what this package writes, and nothing else. Before layout, as math takes less room."""
    of_axes = [text for axis in _axes(figure) for text in (axis.label, *_powers(axis))]
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    for text in of_axes:
        text.set_parse_math(True)


def _axes(figure: Figure) -> list[Axis]:
    return [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]


def settle(figure: Figure) -> str:
    r"""Make a finished figure's text literal and legible; returns a note to it, mostly an empty one.

    A character that no installed font has is written as its code point (\u732b), and the note says so.
    """
    set_math(figure)
    texts = figure.findobj(Text)
    missing = {text: marks for text in texts if (marks := _missing(text))}
    if not missing:
        return ""
    fonts, without = _having(frozenset().union(*missing.values()))
    for text in missing:
        text.set_fontfamily([*text.get_fontfamily(), *fonts])
    if not without:
        return ""
    _spell(texts, _axes(figure), without)
    return f"{_code(min(without))} and the like: characters that no installed font has (Noto Sans CJK has many)"


def _spell(texts: Iterable[Text], axes: Iterable[Axis], marks: frozenset[str]) -> None:
    """Write characters as code points; in the labels of ticks, too, which an axis writes anew each time."""
    for axis in axes:
        labels = [label.get_text() for label in axis.get_ticklabels()]
        if marks & frozenset("".join(labels)):
            axis.set_ticks(axis.get_ticklocs(), labels=[_spelt(label, marks) for label in labels])
    for text in texts:
        text.set_text(_spelt(text.get_text(), marks))


def _spelt(text: str, marks: frozenset[str]) -> str:
    return "".join(_code(mark) if mark in marks else mark for mark in text)


def _powers(axis: Axis) -> Collection[Text]:
    """The labels of ticks if they are powers of 10, and of those that the layout may add to them.

    Asking for them gives them their text.
    """
    labels = axis.get_ticklabels(which="both")
    if not isinstance(axis.get_major_formatter(), LogFormatter):
        return []
    to_come = (*axis.get_major_ticks(MOST_TICKS), *axis.get_minor_ticks(MOST_TICKS))
    return [*labels, *(label for tick in to_come for label in (tick.label1, tick.label2))]


def _code(mark: str) -> str:
    return mark.encode("unicode_escape").decode()


def _missing(text: Text) -> frozenset[str]:
    """The characters that the font of a text does not have."""
    marks = frozenset(mark for mark in text.get_text() if not mark.isascii())
    return marks - _characters(str(font_manager.findfont(text.get_fontproperties()))) if marks else marks


@cache
def _characters(file: str) -> frozenset[str]:
    """What a font has."""
    return frozenset(map(chr, FT2Font(file).get_charmap()))


def _having(marks: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    """The names of installed fonts that together have the characters, and those that no font has."""
    installed = sorted(
        (entry.weight not in (400, "normal", "regular"), entry.name, entry.fname)
        for entry in font_manager.fontManager.ttflist
        if entry.style == "normal" and not entry.name.startswith("Last Resort")  # which has a box for everything
    )
    names = []
    for _, name, file in installed:
        if marks & _characters(file):
            names.append(name)
            marks -= _characters(file)
    return names, marks
