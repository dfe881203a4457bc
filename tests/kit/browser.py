"""A real browser, Debian's Chromium, driven by playwright: a page as its readers have it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
THEMES, WIDTHS = ("light", "dark"), (390, 1440)
READY = "html[data-ready]"


def chromium() -> str:
    """The path of the browser; a test that has none is skipped."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no chromium here")
    return path


def axe() -> str:
    """axe-core's script, from the folder AXE_CORE that npm installed it to; a test that has none is skipped."""
    path = Path(os.environ.get("AXE_CORE", ""), "node_modules/axe-core/axe.min.js")
    if not path.is_file():
        pytest.skip("there is no axe-core here: npm install --prefix FOLDER axe-core, and AXE_CORE=FOLDER")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for the tests of a file."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = chromium()
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield launched
        launched.close()


@contextmanager
def opened(browser: Any, path: Path, theme: str = "light", width: int = 1440) -> Iterator[Any]:
    """A page from disk, drawn to its end. When it is left: nothing on the console, no request but the file."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, bypass_csp=False, accept_downloads=True
    )
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector(READY, state="attached", timeout=60_000)
    yield page
    context.close()
    assert said == [], said
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
