"""The report page while runs train: served to a browser of this machine, and made anew when files have changed."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence

from memstudy import files
from memstudy.derived.workbench import Workbench
from memstudy.errors import MemstudyError
from memstudy.report.page.document import content, served
from memstudy.report.page.parts import Page
from memstudy.report.page.serving import JSON, Answer
from memstudy.store import RunDirectory, Store, stamps
from memstudy.store.layout import METRICS, RECIPE, STATE
from memstudy.store.store import WHOLE_STORE
from memstudy.study.reporting import page_of
from memstudy.study.status import Observer, summary

SHARE = 0.25
"""Of one core, at most, that making pages takes while somebody looks: the pause after one is so long."""

APART = "Parts of this page may be some epochs apart: runs went on while it was made."


class LiveReport:
    """What a server answers: the page, what of it is new, and how the runs stand.

    Nothing is done unless a browser asks. A page that can be made no more, as for a file that is being written,
    stays as it was, and the browser is told why.
    """

    def __init__(self, make: Callable[[], Page], runs_stand: Callable[[], str], stamp: Callable[[], str]) -> None:
        self._make, self._runs_stand, self._stamp = make, runs_stand, stamp
        self._lock = threading.Lock()
        self._making: threading.Thread | None = None
        self._made_of, self._due, self._problem, self._has_page = "", 0.0, "", False
        self._whole = self._content = Answer(b"")
        self._remake(stamp())

    def paths(self) -> dict[str, Callable[[], Answer]]:
        """What is answered under which path."""
        return {"/": lambda: self._whole, "/content": lambda: self._content, "/state": self.state}

    def state(self) -> Answer:
        """Which version of the page is the newest, and how the runs stand; a new one is begun if it is time."""
        try:
            with self._lock:
                self._begin_if_due()
            stand = f"{self._runs_stand()}."
        except MemstudyError as error:  # the runs are there no more
            stand = str(error)
        status = " ".join(filter(None, (stand, self._problem)))
        return Answer(json.dumps({"version": self._content.version, "status": status}).encode(), JSON)

    def _begin_if_due(self) -> None:
        if self._making is None and time.monotonic() >= self._due and (now := self._stamp()) != self._made_of:
            self._making = threading.Thread(target=self._remake, args=(now,), name="report", daemon=True)
            self._making.start()

    def _remake(self, stamp: str) -> None:
        """Make the page of the files whose stamp this is."""
        begun = time.thread_time()
        try:
            self._show(self._make())
            self._has_page, self._problem = True, "" if self._stamp() == stamp else APART
        except MemstudyError as error:
            if self._has_page:
                self._problem = f"What follows is from before: {error}"
            else:  # nothing is trained so far
                self._show(Page("Report", str(error), []))
        finally:
            self._made_of = stamp
            self._due = time.monotonic() + (time.thread_time() - begun) * (1 / SHARE - 1)
            self._making = None

    def _show(self, page: Page) -> None:
        new = content(page).encode()
        version = files.digest(new)[:16]
        if version != self._content.version:
            self._whole = Answer(served(page).encode(), version=version)
            self._content = Answer(new, version=version)


def of_store(
    store: Store, patterns: Sequence[str], study: str | None, reference: str | None, bench: Workbench
) -> LiveReport:
    """That of a selection, as `Store.select` takes it. A MemstudyError if there is none of that name."""
    name, _ = store.asked_for(patterns, study)
    if not patterns:
        study = name or WHOLE_STORE  # the newest study stays this one
    observer = Observer()

    def make() -> Page:
        page, _ = page_of(store.select(patterns, study, reference or ""), bench)
        return page

    def runs() -> list[RunDirectory]:
        return store.asked_for(patterns, study)[1]

    def stamp() -> str:
        folder = store.folder(name) if name else store.root
        derived = folder.glob("*") if name else ()
        of_runs = (run.path / file for run in runs() for file in (RECIPE, STATE, METRICS))
        return stamps.stamp(map(os.fspath, (*of_runs, *sorted(derived))))

    return LiveReport(make, lambda: summary(f"study {name}" if name else "", observer.progress(runs())), stamp)
