"""The documentation site: built strictly, every link of its pages followed, and nothing fetched to read it."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import memstudy
from memstudy import analysis
from tests.kit.commands import commands

pytest.importorskip("sphinx", reason="the site is built by `make docs`, which installs Sphinx")
pytestmark = pytest.mark.docs

ROOT = Path(__file__).parents[1]
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}
"""The attributes whose addresses a browser fetches by itself, by their elements."""


class Page(HTMLParser):
    """What a page of HTML names, fetches and leads to."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.text = file.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attrs):
        named = {name: value or "" for name, value in attrs}
        self.ids |= {named["id"]} if "id" in named else set()
        self.links += [named["href"]] if tag == "a" and "href" in named else []
        self.fetched += [named[FETCHED[tag]]] if FETCHED.get(tag) in named else []


def build(source: Path, into: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-q", *options, str(source), str(into)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "docs", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {file.relative_to(site): Page(file) for file in site.rglob("*.html")}


def broken(site: Path, pages: dict[Path, Page]) -> list[tuple[str, str]]:
    """(page, link) of every link within the site that leads nowhere."""
    bad = []
    for name, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (site / name.parent / unquote(path)).resolve() if path else site / name
            known = target.is_file()
            if known and anchor and target.suffix == ".html":
                known = unquote(anchor) in pages[target.relative_to(site.resolve())].ids
            bad += [] if known else [(str(name), link)]
    return bad


def test_every_link_leads_somewhere(site, pages):
    assert sum(len(page.links) for page in pages.values()) > 1000
    assert broken(site, pages) == []


def test_a_broken_link_would_be_noticed(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html">b</a> <a href="#here">c</a> <a href="#there" id="there">d</a>'
    )
    assert broken(tmp_path, {Path("a.html"): Page(tmp_path / "a.html")}) == [
        ("a.html", "b.html"),
        ("a.html", "#here"),
    ]


def test_nothing_is_fetched_from_elsewhere(site, pages):
    """Neither by a page nor by a style sheet."""
    addresses = [address for page in pages.values() for address in page.fetched]
    for sheet in site.rglob("*.css"):
        addresses += re.findall(r"(?:url\(|@import\s+)[\"']?([^\"')\s]+)", sheet.read_text(encoding="utf-8"))
    assert len(addresses) > 100
    assert [address for address in addresses if re.match(r"(?!data:)([a-z]+:|//)", address)] == []


def test_no_script_names_a_place_to_fetch_from(site):
    for script in site.rglob("*.js"):
        assert not re.search(r"(?:src|href)\s*=\s*[\"']https?:|import\(\s*[\"']https?:", script.read_text())


def test_every_command_is_in_the_reference_with_its_options(pages):
    text = pages[Path("reference/commands.html")].text
    for name, command in commands().items():
        assert f'id="memstudy-{name}"' in text
        for option in command.params:
            if option.param_type_name == "option" and not getattr(option, "hidden", False):
                assert f'id="cmdoption-memstudy-{name}-{option.opts[0].lstrip("-")}"' in text


def test_every_public_function_is_in_the_reference(pages):
    ids = pages[Path("reference/python-api.html")].ids
    assert {f"memstudy.analysis.{name}" for name in analysis.__all__} <= ids
    assert {f"memstudy.{name}" for name in memstudy.__all__ if name != "study"} <= ids  # that is a package, too
    assert "memstudy.api.studies.study" in ids


def test_formulas_are_mathml(pages):
    text = "".join(page.text for page in pages.values())
    assert text.count("<math ") > 50
    assert not re.search(r"<munderover>\s*<mi>", text)  # an index below a letter with an accent, for one beside it
    assert "\\frac" not in text  # nothing is left for a script to draw


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("[nowhere](none.md)", "none.md"),
        ("$$\\fraction{a}{b}$$", "fraction"),
        ("{doc}`none`", "none"),
        ("fine, $a^2$", ""),
    ],
)
def test_a_mistake_in_a_page_fails_the_build(tmp_path, text, warning):
    source = tmp_path / "docs"
    source.mkdir()
    (source / "index.md").write_text(f"# Page\n\n{text}\n")
    done = build(source, tmp_path / "site", "-c", str(ROOT / "docs"))
    assert (done.returncode != 0) == bool(warning)
    assert warning in done.stderr
