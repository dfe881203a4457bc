"""The report page of a selection: what was asked, the answer, all tables and charts, and where they are from.

What an analysis has to show is taken as it is, in the order of the study's [report]; one that cannot show it does
not keep the others from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from memstudy import files, foreign
from memstudy.derived import ANALYSES, loadable
from memstudy.derived.analysis import Analysis
from memstudy.derived.deriving import Voice, damaged, tables_of
from memstudy.derived.methods import Curves
from memstudy.derived.methods.answer import answers
from memstudy.derived.samples.confusion import confusion
from memstudy.derived.samples.gallery import galleries
from memstudy.derived.samples.recorded import recorded
from memstudy.derived.workbench import Workbench
from memstudy.errors import Interrupted, MemstudyError, listed
from memstudy.papers import TABLES
from memstudy.report.cells import span
from memstudy.report.frames import Setting, comparable_runs, methods_of, shared_title
from memstudy.report.page.document import html
from memstudy.report.page.parts import Command, Heading, Page, Part, Prose, Section, Source, Sources
from memstudy.store import RunDirectory, Status
from memstudy.store.records import HOW_TO_RECORD
from memstudy.store.store import Selection
from memstudy.study.choice import chosen, configured_of

REPORT = "report.html"
"""The page's name in a study's directory."""


def make_page(selection: Selection, bench: Workbench, voice: Voice, path: Path | None = None) -> dict[str, Any]:
    """Write the page, and say where it is. The summary has its path, its size, and clauses on what is not in it.

    A MemstudyError if there is nothing to write of, or no permission to write.
    """
    path = path or selection.path / REPORT
    page, left_out = page_of(selection, bench)
    content = html(page).encode()
    files.write(path, content, "with -o")
    voice.say(f"page: {path}")
    return {
        "report": str(path),
        "bytes": len(content),
        "sections": [section.name for section in page.sections],
        "left_out": left_out,
    }


def page_of(selection: Selection, bench: Workbench) -> tuple[Page, list[str]]:
    """The page, and clauses on what is not in it."""
    left_out = damaged(selection)
    collected = _Collected(selection, left_out)
    sections = [
        Section("asked", "What was asked", list(_asked(selection))),
        Section("verdict", "Which method memorizes least", collected.of("verdict", lambda: _verdict(selection))),
        Section("tables", "Tables", collected.tables()),
        Section("curves", "Curves of training", collected.of("curves", lambda: Curves().charts(selection))),
        Section("samples", "Single samples", collected.of("samples", lambda: _samples(selection, bench))),
        *collected.analyses(),
        Section("origin", "How each number was made", list(_origin(selection, left_out))),
    ]
    title = f"Report: {selection.name}"
    page = Page(title, _lead(selection), [section for section in sections if section.parts], _sources(selection))
    return page, left_out


class _Collected:
    """What analyses show of a selection. What fails is left out, and said so."""

    def __init__(self, selection: Selection, left_out: list[str]) -> None:
        self.selection, self.left_out = selection, left_out

    def of(self, name: str, make: Any) -> list[Part]:
        """The parts that a function makes; none if it fails."""
        try:
            with foreign.blamed():
                return list(make())
        except Interrupted:
            raise
        except MemstudyError as error:
            self.left_out.append(f"{name}: {str(error).rstrip('.')}")
            return []

    def tables(self) -> list[Part]:
        """The papers' tables, all others that are made of metrics, and charts of these, such as the ranking's."""
        wanted = chosen(self.selection, "tables", loadable(TABLES))
        return [part for name in wanted for part in self.of(name, lambda name=name: self._tables(TABLES, name))]

    def _tables(self, registry: Any, name: str) -> Iterator[Part]:
        maker: Analysis = configured_of(registry, name, self.selection)
        yield from tables_of(maker, self.selection)
        yield from maker.charts(self.selection)

    def analyses(self) -> Iterator[Section]:
        """One for each analysis that has something to show."""
        wanted = [*chosen(self.selection, "analyses", ()), *loadable(ANALYSES)]
        for name in dict.fromkeys(wanted):
            parts = self.of(name, lambda name=name: self._shown(name))
            yield Section(f"analysis-{name}", _title(name), parts)

    def _shown(self, name: str) -> Iterator[Part]:
        maker: Analysis = configured_of(ANALYSES, name, self.selection)
        yield from maker.charts(self.selection)
        yield from tables_of(maker, self.selection)


def _title(name: str) -> str:
    return TITLES.get(name, name.replace("_", " ").capitalize())


TITLES = {
    "svcca": "Similarity of representations", "ablate": "Ablation of units", "probe": "Probes of layers",
    "filters": "Filters", "landscape": "Landscapes of importance", "dynamics": "Training dynamics of samples",
}  # fmt: skip
"""Headings of our analyses; another package's has its own name."""


def _lead(selection: Selection) -> str:
    groups = comparable_runs(selection)
    return shared_title(setting for setting, _ in groups)


def _asked(selection: Selection) -> Iterator[Part]:
    groups = comparable_runs(selection, so_far=True)
    methods, runs = methods_of(groups), selection.runs
    seeds = span(members.groupby("label")["seeds"].nunique().max() for _, members in groups)
    yield Prose(
        (
            f"How much do networks memorize of wrong labels, and which of {len(methods)} methods "
            f"({listed(methods)}) keeps them from it? {len(runs)} runs answer, of {seeds} seed"
            f"{'' if seeds == '1' else 's'} a method.",
            *(_of_setting(setting) for setting, _ in groups),
        )
    )
    absent = {
        "Not in the store, or without a finished epoch": selection.missing,
        "Damaged, left out": selection.damaged,
    }
    yield Prose(tuple(f"{words}: {listed(names)}." for words, names in absent.items() if names))


def _of_setting(setting: Setting) -> str:
    floor = f" The floor of its training loss is {setting.floor:.4f} nats." if setting.floor > 0 else ""
    return f"{setting.words + ': ' if setting.words else ''}{setting.title}.{floor}"


def _unfinished(selection: Selection) -> str:
    """That not all runs are compared after as many epochs, if so."""
    going = [run for run in selection.runs if run.status is not Status.FINISHED]
    if not going:
        return ""
    done = [f"{run.name} ({run.epochs_done} of {run.recipe.training.epochs} epochs)" for run in going]
    return f"Not finished, and taken after their last epoch so far: {listed(done)}."


def _verdict(selection: Selection) -> Iterator[Part]:
    if unfinished := _unfinished(selection):
        yield Prose((unfinished,))
    for answer in answers(selection):
        if answer.setting:
            yield Heading(answer.setting)
        yield Prose((answer.answer,), emphasis=True)
        yield Prose(answer.sureness)
        if answer.table is not None:
            yield answer.table


def _samples(selection: Selection, bench: Workbench) -> Iterator[Part]:
    groups, runs = comparable_runs(selection), recorded(selection)
    if not runs:
        yield Prose((f"There are no records of these runs' samples here; {HOW_TO_RECORD}.",))
    yield from confusion(runs, groups)
    yield from galleries(runs, groups, bench)


def _origin(selection: Selection, left_out: Sequence[str]) -> Iterator[Part]:
    if left_out:
        yield Prose(tuple(f"Not on this page: {clause}." for clause in left_out))
    yield Prose(
        (
            "Every number of a table leads to its runs, which are here: recipe, seed, versions and machine. The "
            "same recipe gives the same numbers on the same machine.",
        )
    )
    yield Command("This page again:", selection.command("report"))
    yield Sources()


def _sources(selection: Selection) -> list[Source]:
    """Each run with what names it in tables, in the order of settings."""
    sources = []
    for setting, members in comparable_runs(selection, so_far=True):
        labels = setting.labels().set_index("run")
        for run, member in zip(setting.runs, members.to_dict("records"), strict=True):
            of_run = labels.loc[run.name]
            words = {str(member["label"]), str(of_run["reg"]), str(of_run["baseline"]), str(of_run["al2"])}
            sources.append(_source(run, str(member["seeds"]), frozenset(words | {setting.words, setting.suffix})))
    return sources


def _source(run: RunDirectory, seeds: str, words: frozenset[str]) -> Source:
    epochs = run.recipe.training.epochs
    sessions = run.state().get("sessions", [])
    return Source(
        run.name, words, f"{seeds} (model and batches / labels)",
        f"{run.status}, {run.epochs_done} of {epochs} epochs", run.recipe.to_toml(),
        tuple(map(_machine, sessions)), f"memstudy rerun {run.name}",
    )  # fmt: skip


def _machine(session: dict[str, Any]) -> str:
    """`From epoch 0, 2026-11-28: cpu (…), Linux x86_64, 1 thread; memstudy 0.1.0, Python 3.11.7, torch 2.15.0`."""
    packages = [f"{name} {version}" for name, version in (session.get("packages") or {}).items() if version]
    commit = f" (commit {session['commit'][:12]})" if session.get("commit") else ""
    versions = [f"memstudy {session.get('memstudy')}{commit}", f"Python {session.get('python')}", *packages]
    where = [f"{session.get('device')} ({session.get('device_name')})", str(session.get("system"))]
    if "threads" in session:
        where.append(f"{session['threads']} thread{'s' if session['threads'] > 1 else ''}")
    when = f", {session['date']}" if "date" in session else ""
    return f"From epoch {session.get('from_epoch', 0)}{when}: {', '.join(where)}; {', '.join(versions)}."
