"""The served report page in a real browser: numbers change without a reload, and the reader stays where they are.

`make test-browser` runs this.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import pytest

from memstudy.report.chart import Chart
from memstudy.report.charting.choices import Choice
from memstudy.report.charting.lines import EPOCH, Quantity, over_runs
from memstudy.report.marks import marks
from memstudy.report.page.charts import explored
from memstudy.report.page.parts import Page, Part, Prose, Section, Source, Sources
from memstudy.report.table import HIGH, Table
from memstudy.study import live_report
from memstudy.study.live_report import LiveReport
from tests.kit.browser import READY, browser
from tests.test_live_report import serving

__all__ = ["browser"]

pytestmark = pytest.mark.browser
METHODS = ("bare", "al2", "do")


def table(means: dict[str, float], name: str = "t") -> Table:
    """A row a method."""
    values = pd.DataFrame({"label": list(means), "metric": "a", "mean": list(means.values()), "sd": 0.5, "n": 2})
    cells = pd.DataFrame({"method": list(means), "a": [f"{mean:.1f} ± 0.5" for mean in means.values()]})
    return Table(name, f"Table {name}", (), cells, values, ("method",), better={"a": HIGH})


def chart(epochs: int, seeds: int = 2) -> Chart:
    """Curves of three methods, in two settings."""
    rows = pd.DataFrame(
        [{"method": m, "seed": seed, "epoch": epoch, "setting": s, "accuracy": 1.0 + epoch + seed + place}
         for place, m in enumerate(METHODS) for seed in range(seeds) for epoch in range(epochs) for s in "ab"]
    )  # fmt: skip
    choice = Choice("setting", "setting", ["a", "b"])
    drawn = over_runs(rows, EPOCH, Quantity("accuracy", "accuracy"), marks(METHODS), [choice])
    return Chart("c", "Chart", "Curves.", explored(drawn, log=True))


def page(*parts: Part, more: Sequence[Section] = ()) -> Page:
    sources = [Source(f"run-{m}", frozenset({m}), "0", "running", "recipe", (), "memstudy run") for m in METHODS]
    filling = Prose(tuple(f"Paragraph {n}." for n in range(30)))
    sections = [
        Section("first", "First", [filling, *parts, filling]), *more, Section("origin", "Runs", [Sources()]),
    ]  # fmt: skip
    return Page("Report", "lead", sections, sources)


class Study:
    """What the files say: a page, which can become another."""

    def __init__(self, page: Page) -> None:
        self.page, self.looks = page, 0

    def becomes(self, page: Page) -> None:
        self.page, self.looks = page, self.looks + 1


@contextlib.contextmanager
def seen(browser: Any, first: Page, patch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Study]]:
    """A browser's view of a study. When it is left: it was never loaded again, and asked its own server alone."""
    patch.setattr(live_report, "SHARE", 1.0)
    study, said, asked = Study(first), [], []
    report = LiveReport(lambda: study.page, lambda: f"look {study.looks}", lambda: str(study.looks))
    with serving(report.paths()) as port:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        shown = context.new_page()
        shown.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        shown.on("pageerror", lambda error: said.append(f"error: {error}"))
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto(f"http://127.0.0.1:{port}/")
        shown.wait_for_selector(READY, state="attached")
        shown.wait_for_function("() => document.querySelector('#live').textContent.startsWith('look 0')")
        shown.evaluate("window.loadedOnce = true")
        yield shown, study
        assert shown.evaluate("window.loadedOnce")
        context.close()
    assert said == []
    own = {f"http://127.0.0.1:{port}/{path}" for path in ("", "state", "content")}
    assert {url for url in asked if not url.startswith("data:")} <= own


def await_text(shown: Any, selector: str, text: str) -> None:
    """Wait until an element has a text."""
    shown.wait_for_function(
        "([selector, text]) => document.querySelector(selector)?.textContent.includes(text)", arg=[selector, text]
    )


def await_checked(shown: Any, boxes: list[bool]) -> None:
    """Wait until the boxes of methods are checked so."""
    shown.wait_for_function(
        "boxes => [...document.querySelectorAll('#chart-c fieldset.shown input')]"
        ".every((box, place) => box.checked === boxes[place])",
        arg=boxes,
    )


PLACE = "[document.activeElement.textContent, document.activeElement.getBoundingClientRect().top, scrollX]"


def test_a_number_changes_and_focus_scroll_and_order_stay(browser, monkeypatch):
    first = {"bare": 30.0, "al2": 81.0, "do": 70.0}
    with seen(browser, page(table(first)), monkeypatch) as (shown, study):
        shown.locator("#table-t button.sort").nth(1).click()
        cells = shown.locator("#table-t button.cell")
        assert cells.all_inner_texts() == ["30.0 ± 0.5", "70.0 ± 0.5", "81.0 ± 0.5"]
        cells.nth(2).focus()
        before = shown.evaluate(PLACE)
        study.becomes(page(table(first | {"do": 99.0})))
        await_text(shown, "#table-t tbody", "99.0")
        assert cells.all_inner_texts() == ["30.0 ± 0.5", "81.0 ± 0.5", "99.0 ± 0.5"]  # still sorted
        text, top, left = shown.evaluate(PLACE)
        assert text == "81.0 ± 0.5"
        assert (top < before[1], left) == (True, before[2])  # its row went up
        shown.locator("#table-t button.cell").nth(2).hover()
        assert "99" in shown.locator("#told").inner_text()  # what is told of it is of now, too
        await_text(shown, "#live", "look 1")


def test_what_is_above_may_grow_and_what_is_read_stays_in_its_place(browser, monkeypatch):
    first = {"bare": 30.0, "al2": 81.0}
    with seen(browser, page(table(first), table(first, "u")), monkeypatch) as (shown, study):
        cell = shown.locator("#table-u button.cell").first
        shown.evaluate("document.querySelector('#table-u').scrollIntoView({block: 'start', behavior: 'instant'})")
        cell.focus()
        before = shown.evaluate(PLACE)
        study.becomes(
            page(table(first | {"do": 70.0}), table(first, "u"), more=[Section("new", "New", [chart(3)])])
        )
        await_text(shown, "#table-t tbody", "70.0")
        after = shown.evaluate(PLACE)
        assert after[0] == before[0]
        assert abs(after[1] - before[1]) <= 1
        await_text(shown, "nav", "New")
        shown.wait_for_selector("#chart-c .drawn svg")


def test_a_table_that_gains_a_row_is_still_sorted_and_focused(browser, monkeypatch):
    with seen(browser, page(table({"bare": 30.0, "al2": 81.0})), monkeypatch) as (shown, study):
        heading = shown.locator("#table-t button.sort").nth(1)
        heading.click()
        heading.click()
        study.becomes(page(table({"bare": 30.0, "al2": 81.0, "do": 70.0})))
        await_text(shown, "#table-t tbody", "70.0")
        assert shown.locator("#table-t button.cell").all_inner_texts() == [
            "81.0 ± 0.5",
            "70.0 ± 0.5",
            "30.0 ± 0.5",
        ]
        assert shown.evaluate("document.activeElement.textContent") == "a"
        shown.locator("#table-t button.cell").first.click()
        assert shown.locator("dialog").is_visible()


def test_what_was_chosen_in_a_chart_and_opened_stays(browser, monkeypatch):
    with seen(browser, page(chart(4)), monkeypatch) as (shown, study):
        block = shown.locator("#chart-c")
        block.locator(".vega-bindings select").select_option("b")
        block.locator("fieldset.shown input").nth(0).uncheck()
        block.locator("input.log").check()
        block.locator("details.data summary").click()
        shown.locator("details.run summary").nth(1).click()
        rows = block.locator("details.data tbody tr").count()
        study.becomes(page(chart(6)))
        shown.wait_for_function(
            "count => document.querySelectorAll('#chart-c details.data tbody tr').length > count", arg=rows
        )
        shown.wait_for_function("() => document.querySelectorAll('#chart-c .drawn svg').length === 1")
        shown.wait_for_function("() => document.querySelectorAll('#chart-c fieldset.shown').length === 1")
        assert block.locator("input.log").is_checked()
        assert block.locator(".vega-bindings select").input_value() == "b"
        await_checked(shown, [False, True, True])
        assert block.locator("details.data").get_attribute("open") is not None
        opened = [one.get_attribute("open") is not None for one in shown.locator("details.run").all()]
        assert opened == [False, True, False]


def test_a_chart_gains_controls_with_a_second_seed(browser, monkeypatch):
    with seen(browser, page(chart(4, seeds=1)), monkeypatch) as (shown, study):
        block = shown.locator("#chart-c")
        block.locator(".vega-bindings select").select_option("b")
        assert block.locator(".vega-bindings input[type=checkbox]").count() == 0
        study.becomes(page(chart(4)))
        block.locator(".vega-bindings input[type=checkbox]").wait_for()  # single runs
        shown.wait_for_function("() => document.querySelector('#chart-c .vega-bindings select').value === 'b'")


def test_when_the_command_has_ended_the_page_stays_and_says_so(browser, monkeypatch):
    monkeypatch.setattr(live_report, "SHARE", 1.0)
    report = LiveReport(lambda: page(table({"bare": 30.0})), lambda: "1 run", lambda: "")
    with serving(report.paths()) as port:
        shown = browser.new_page()
        shown.goto(f"http://127.0.0.1:{port}/")
        await_text(shown, "#live", "1 run")
    await_text(shown, "#live", "does not answer; what is shown here stays")
    assert "30.0 ± 0.5" in shown.locator("#table-t").inner_text()
    shown.close()
