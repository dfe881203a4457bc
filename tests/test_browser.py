"""The report page in a real browser: what it asks for, says, shows and copies, by mouse, by keyboard, read aloud.

Screenshots go to the folder SCREENSHOTS, if it is named. `make test-browser` runs this.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from memstudy.derived.methods.answer import answers
from memstudy.derived.workbench import Workbench
from memstudy.report.chart import Chart, Drawn
from memstudy.report.charting.choices import Choice
from memstudy.report.charting.lines import EPOCH, Quantity, over_runs
from memstudy.report.marks import marks
from memstudy.report.page.charts import explored
from memstudy.report.page.document import html
from memstudy.report.page.gallery import Gallery
from memstudy.report.page.parts import Command, Heading, Page, Part, Prose, Section, Source, Sources
from memstudy.report.table import HIGH, Table
from memstudy.store import Store
from memstudy.study import reporting
from memstudy.training import resolve_device
from tests import results
from tests.kit.browser import THEMES, WIDTHS, axe, browser, opened
from tests.kit.sources import stand_in

__all__ = ["browser"]

pytestmark = pytest.mark.browser
HOSTILE = "</script><b>$x$ & \"y\" 'z'</b><img src=x onerror=alert(1)>"
SOON = 300  # milliseconds in which a chart is drawn again
METHODS = ("bare", HOSTILE, "al2")
both = pytest.mark.parametrize("theme", THEMES)
either = pytest.mark.parametrize("width", WIDTHS)


class Silent:
    """A voice that says nothing."""

    def say(self, text: str) -> None:
        pass

    tell = say


@pytest.fixture(scope="module")
def quick(tmp_path_factory) -> Path:
    """The page of the committed quick study."""
    return made(Store(results.copied(tmp_path_factory.mktemp("quick"))).select((), "quick"))


@pytest.fixture(scope="module")
def whole(trained, small) -> Path:
    """The page of a study whose networks and records are here."""
    with stand_in(small):
        return made(Store(trained).select((), "tiny"), trained.parent / "tiny.html")


def made(selection: Any, path: Path | None = None) -> Path:
    reported = reporting.make_page(selection, Workbench(resolve_device("cpu")), Silent(), path)  # type: ignore[arg-type]
    return Path(reported["report"])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """A page in which every text that is anybody's is hostile."""
    path = tmp_path_factory.mktemp("hostile") / "page.html"
    path.write_text(html(hostile_page()), encoding="utf-8")
    return path


def hostile_page() -> Page:
    sources = [
        Source(f"run-{place}", frozenset({method}), "0", HOSTILE, HOSTILE, (HOSTILE,), HOSTILE)
        for place, method in enumerate(METHODS)
    ]
    parts: list[Part] = [
        Prose((HOSTILE,)), Heading(HOSTILE), Command(HOSTILE, HOSTILE), hostile_table(),
        Chart("chart", HOSTILE, HOSTILE, explored(hostile_chart(), log=True)), hostile_gallery(), Sources(),
    ]  # fmt: skip
    return Page(HOSTILE, HOSTILE, [Section("section", HOSTILE, parts)], sources)


def hostile_chart() -> Drawn:
    rows = [
        {"method": method, "seed": seed, "epoch": epoch, "setting": setting, "accuracy": 20 + epoch + seed / 10}
        for method in METHODS
        for seed in (0, 1)
        for epoch in range(4)
        for setting in (HOSTILE, "b")
    ]
    setting = Choice("setting", HOSTILE, [HOSTILE, "b"])
    return over_runs(pd.DataFrame(rows), EPOCH, Quantity("accuracy", HOSTILE), marks(METHODS), [setting])


def hostile_table() -> Table:
    values = pd.DataFrame({"label": METHODS, "metric": "a", "mean": [1.0, 30.0, 2.0], "sd": 0.5, "n": 2})
    cells = pd.DataFrame({"method": METHODS, "a": ["1.0 ± 0.5", "30.0 ± 0.5", "2.0 ± 0.5"], "b": HOSTILE})
    return Table("table", HOSTILE, (HOSTILE,), cells, values, ("method",), better={"a": HIGH})


def hostile_gallery() -> Gallery:
    predicted = np.array([[[1, 0, 1], [0, 0, -1]]])
    return Gallery(
        "samples", HOSTILE, (HOSTILE,), np.arange(3) + 5, np.array([1, 0, 1]), np.array([0, 1, 0]),
        np.array([0.5, 1, 0]), np.full((3, 1, 4, 4), 200, np.uint8), [HOSTILE, "7"], [0, 3], [(HOSTILE, "0/0")],
        predicted,
    )  # fmt: skip


# What is anybody's text stays text


def test_hostile_names_stay_text(browser, hostile):
    with opened(browser, hostile) as page:
        assert page.title() == HOSTILE
        assert page.locator("h1").inner_text() == HOSTILE
        assert page.locator("b, img").count() == 0
        page.locator("button.cell").first.click()
        for place in ("#table-table h3", "#table-table caption", "#chart-chart h3", "figcaption", ".sample"):
            assert HOSTILE in page.locator(place).first.inner_text(), place
        drawn = page.locator(".drawn svg text").all_text_contents()
        assert any(HOSTILE in text for text in drawn)
        assert page.locator("b, img").count() == 0


@both
@either
@pytest.mark.parametrize("which", ["quick", "whole", "hostile"])
def test_a_page_is_quiet_fits_and_breaks_no_rule_of_access(browser, which, theme, width, request):
    path = request.getfixturevalue(which)
    with opened(browser, path, theme, width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(folder, f"{which}-{theme}-{width}.png"), full_page=True)
        page.evaluate(axe())
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found] == []


# What controls do


def test_the_theme_follows_the_system_until_its_button_is_used(browser, quick):
    for theme, other in (("light", "dark"), ("dark", "light")):
        with opened(browser, quick, theme) as page:
            ground = "getComputedStyle(document.body).backgroundColor"
            before, button = page.evaluate(ground), page.locator("#theme")
            assert button.inner_text().lower().startswith(other)
            button.click()
            assert page.evaluate(ground) != before
            assert button.inner_text().lower().startswith(theme)


def test_a_heading_sorts_its_table_up_and_down_and_not_at_all(browser, hostile):
    with opened(browser, hostile) as page:
        heading = page.locator("#table-table thead tr:last-child th").nth(1)
        first = lambda: page.locator("#table-table tbody tr > :first-child").all_inner_texts()  # noqa: E731
        original = first()
        for state, order in (("ascending", ["bare", "al2", HOSTILE]), ("descending", [HOSTILE, "al2", "bare"])):
            heading.locator("button").press("Enter")
            assert heading.get_attribute("aria-sort") == state
            assert first() == order
        heading.locator("button").click()
        assert heading.get_attribute("aria-sort") is None
        assert first() == original == list(METHODS)


@pytest.mark.parametrize("style", ["Markdown", "LaTeX", "CSV"])
def test_a_table_is_copied_as_the_command_writes_it(browser, quick, style):
    (answer,) = answers(Store(quick.parents[2]).select((), "quick"))
    table = answer.table
    assert table is not None
    with opened(browser, quick) as page:
        page.locator(f"#table-{table.name}").get_by_role("button", name=f"Copy {style}").click()
        page.locator("#status", has_text="copied").wait_for(state="attached")
        assert page.evaluate("navigator.clipboard.readText()") == table.formatted(style.lower())


def test_a_number_says_what_is_behind_it_and_leads_to_its_runs(browser, quick):
    with opened(browser, quick) as page:
        cell = page.locator("#table-memorization tbody tr", has_text="Bare").last.locator("button.cell").nth(2)
        cell.focus()
        told = page.locator("#told").inner_text()
        assert re.search(r"n, seeds\s+2\b", told)
        assert re.search(r"runs\s+2\b", told)
        page.keyboard.press("Escape")
        assert not page.locator("#told").is_visible()
        cell.press("Enter")
        dialog = page.locator("dialog")
        links = dialog.get_by_role("link").all_inner_texts()
        assert len(links) == 2
        assert all("-bare-s" in link for link in links)
        dialog.get_by_role("link").first.click()
        run = page.locator(f"details[id='run-{links[0]}']")
        assert run.get_attribute("open") is not None
        assert 'rule = "symmetric"' in run.inner_text()
        assert not dialog.is_visible()


LINES = "#chart-chart .drawn g.mark-line path"
CHECKED = "#chart-chart fieldset.shown input:checked"


def visible(page: Any) -> int:
    """How many lines of the chart can be seen."""
    lines = [
        (line.get_attribute("opacity"), line.get_attribute("stroke-width")) for line in page.locator(LINES).all()
    ]
    return sum(float(opacity or 1) > 0.5 and float(width or 1) > 0 for opacity, width in lines)


def test_methods_are_chosen_in_the_legend_and_by_boxes_alike(browser, hostile):
    with opened(browser, hostile) as page:
        boxes = page.locator("#chart-chart fieldset.shown input")
        assert visible(page) == 3
        boxes.nth(1).press("Space")
        page.wait_for_timeout(SOON)
        assert page.locator(CHECKED).count() == 2
        assert visible(page) == 2
        page.locator("#chart-chart .role-legend-symbol path").nth(0).click(force=True)
        page.wait_for_timeout(SOON)
        assert page.locator(CHECKED).count() == 1
        assert [box.is_checked() for box in boxes.all()] == [False, False, True]
        assert visible(page) == 1


def test_single_runs_other_settings_a_logarithmic_axis_and_a_range_of_epochs_are_shown(browser, hostile):
    with opened(browser, hostile) as page:
        chart = page.locator("#chart-chart")
        labels = lambda: chart.locator(".role-axis-label").first.locator("text").all_text_contents()  # noqa: E731
        bindings = chart.locator(".vega-bindings")
        assert visible(page) == 3
        bindings.locator("input[type=checkbox]").check()
        page.wait_for_timeout(SOON)
        assert visible(page) == 9
        chart.locator("input.from").fill("1")
        chart.locator("input.from").press("Enter")
        page.wait_for_timeout(SOON)
        assert labels()[0] == "1"
        assert bindings.locator("input[type=checkbox]").is_checked()  # what was chosen stays chosen
        chart.get_by_role("button", name="All").click()
        chart.locator("input.log").check()
        page.wait_for_timeout(SOON)
        assert chart.locator(".drawn svg").count() == 1
        bindings.locator("select").select_option("b")
        page.wait_for_timeout(SOON)
        assert bindings.locator("select").input_value() == "b"


def test_data_of_a_chart_is_a_table_and_a_file(browser, hostile):
    with opened(browser, hostile) as page:
        details = page.locator("#chart-chart details.data")
        details.locator("summary").click()
        details.locator("tbody tr").first.wait_for()
        rows = details.locator("tbody tr").count()
        assert rows > 10
        assert HOSTILE in details.inner_text()
        with page.expect_download() as download:
            details.get_by_role("button", name="Save as CSV").first.click()
        saved = pd.read_csv(download.value.path())
        assert set(saved["method"]) == set(METHODS)


def test_samples_are_found_by_index_class_and_order(browser, hostile):
    with opened(browser, hostile) as page:
        gallery = page.locator(".gallery")
        shown = lambda: [int(text.split()[1]) for text in gallery.locator("h4").all_inner_texts()]  # noqa: E731
        assert shown() == [6, 5, 7]
        gallery.locator("select.order").select_option("least")
        assert shown() == [7, 5, 6]
        gallery.locator("select.given").select_option("1")
        assert shown() == [7, 5]
        gallery.locator("input.index").fill("5")
        assert shown() == [5]
        gallery.locator("input.index").fill("77")
        assert shown() == []
        assert "no such sample" in gallery.locator(".place").inner_text()


def test_images_and_predictions_are_those_of_the_runs(browser, whole, trained, small):
    run = next(run for run in Store(trained).select((), "tiny").runs if "bare" in run.name)
    with opened(browser, whole) as page:
        card = page.locator(".sample").first
        index = int(card.locator("h4").inner_text().split()[1])
        pixels = card.locator("canvas").evaluate(
            "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, i) => i % 4 === 0)"
        )
        assert pixels == small.train_images[index, 0].flatten().tolist()
        predicted = run.dynamics(len(small.train_labels)).prediction[-1, index]
        row = card.locator("tbody tr", has_text="bare").first
        assert row.locator("td").last.inner_text() == small.class_names[predicted]


def test_everything_is_reached_by_keyboard_from_a_link_that_skips_the_menu(browser, quick):
    with opened(browser, quick) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('main') !== null")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_headings_are_in_order_and_print_has_no_controls(browser, whole):
    with opened(browser, whole, "dark") as page:
        headings = page.locator("header, main").locator("h1, h2, h3, h4")
        levels = [int(tag[1]) for tag in headings.evaluate_all("found => found.map(heading => heading.tagName)")]
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
        page.emulate_media(media="print")
        assert not page.locator("nav").is_visible()
        assert not page.locator(".tools").first.is_visible()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_json_of_the_page_is_read_by_the_page(browser, quick):
    with opened(browser, quick) as page:
        runs = json.loads(page.locator("#runs").text_content())
        assert len(runs) == 16
