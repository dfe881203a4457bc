"""What the report page is made of: sections of text, tables, charts and images, and the runs behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memstudy.report.chart import Chart
from memstudy.report.page.gallery import Gallery
from memstudy.report.table import Table


@dataclass(frozen=True)
class Prose:
    """Paragraphs of plain text. emphasis: whether they are the answer, rather than what is said about it."""

    paragraphs: tuple[str, ...]
    emphasis: bool = False


@dataclass(frozen=True)
class Command:
    """A command line to copy, and what it does in a few words."""

    words: str
    line: str


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str


@dataclass(frozen=True)
class Source:
    """A run that numbers of the page are made of.

    Attributes:
        run: its name.
        words: what names it in tables: its method, its setting, its baseline.
        seed: as text.
        status: as `store.Status`, with its epochs.
        recipe: TOML.
        machines: a sentence on each session: versions, device, threads.
        command: what carries it out again.

    """

    run: str
    words: frozenset[str]
    seed: str
    status: str
    recipe: str
    machines: tuple[str, ...]
    command: str


@dataclass(frozen=True)
class Sources:
    """All runs of the page, each with its recipe, seed, versions and machine: where cells lead to."""


Part = Prose | Command | Heading | Table | Chart | Gallery | Sources


@dataclass(frozen=True)
class Section:
    """A section: its name (letters, digits, `-`), its title, and what is in it, in order."""

    name: str
    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Page:
    """A page: its title, a line beneath it, its sections, and the runs that all of it is made of."""

    title: str
    lead: str
    sections: Sequence[Section]
    sources: Sequence[Source] = ()
