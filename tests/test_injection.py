"""A hostile text stays text in every output: read by a real parser, it has no more parts than a plain word would.

The texts are in `tests.kit.hostile`. Terminals and refusals have tests of their own (test_terminal.py,
test_strangers_files.py), and so have texts in figures (test_lettering.py).
"""

import ast
import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from PIL import Image

import memstudy
from memstudy import presets, spreadsheet
from memstudy.cli.progress import Terminal
from memstudy.cli.table import TERMINAL
from memstudy.derived.cached_table import CachedTable
from memstudy.errors import HARMFUL, plain
from memstudy.report import terminal
from memstudy.report.chart import Chart
from memstudy.report.page import document
from memstudy.report.page.gallery import Gallery
from memstudy.report.page.parts import Command, Heading, Page, Prose, Section, Source, Sources
from memstudy.report.table import Table
from memstudy.report.tex import MATH, PLAIN
from memstudy.report.typesetting import FORMATS, Typesetting
from memstudy.store import Store, tidy
from tests.kit import latex as compiler
from tests.kit.hostile import EVERY, FORMULAS

WORD = "word"


def one_line(text):
    """A text as a table shows it: line breaks are blanks, and what a terminal would obey is written out."""
    return " ".join(plain(" ".join(text.splitlines())).split())


def table_of(text, name="a"):
    """A table that has a text in every place that can have one."""
    columns = pd.MultiIndex.from_tuples([(text, text), (text, f"{text} 2"), ("", "n")])
    cells = pd.DataFrame([[text, text, "1.0"], [f"{text} 3", text, "2.0"]], columns=columns)
    values = pd.DataFrame({text: [text, text], "mean": [0.1, -0.2]})
    return Table(name, text, (text, f"More: {text}"), cells, values, (text, f"{text} 2"))


# HTML


class Parsed(HTMLParser):
    """The elements of a document with their attributes' names, and its texts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.parts, self.texts, self.values, self._script = [], [], [], None
        self.scripts = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.parts.append((tag, tuple(name for name, _ in attrs)))
        self.values += [(name, value) for name, value in attrs if value is not None]
        self._script = "" if tag == "script" else None

    def handle_endtag(self, tag):
        self.parts.append(f"/{tag}")
        if tag == "script":
            self.scripts.append(self._script)
        self._script = None

    def handle_data(self, data):
        if self._script is not None:
            self._script += data
        elif data.strip():
            self.texts.append(data)

    def handle_comment(self, data):
        self.parts.append("comment")

    def handle_decl(self, decl):
        self.parts.append("declaration")

    def unknown_decl(self, data):
        self.parts.append("declaration")

    def handle_pi(self, data):
        self.parts.append("instruction")


def test_the_parser_sees_what_is_injected():
    assert Parsed("<p>a</p>").parts == Parsed("<p>word</p>").parts
    assert Parsed("<p><b>a</b></p>").parts != Parsed("<p>word</p>").parts
    assert Parsed('<p id="a" onclick="b">').parts != Parsed('<p id="a">').parts
    assert Parsed("<p><!-- a --></p>").parts != Parsed("<p>word</p>").parts


def html_holds(text):
    found = Parsed(table_of(text).html())
    assert found.parts == Parsed(table_of(WORD).html()).parts
    assert found.texts[0] == text
    assert {value for name, value in found.values if name not in ("scope", "colspan", "style")} == {"a"}


def page_of(text):
    """A page that has a text in every place of every kind of part."""
    drawn = alt.Chart(pd.DataFrame({"label": [text], "value": [1.0]})).mark_bar().encode(x="value:Q", y="label:N")
    gallery = Gallery(
        "g", text, (text,), np.arange(2), np.arange(2), np.arange(2), np.ones(2), np.zeros((2, 1, 4, 4), np.uint8),
        (text, f"{text} 2"), (0,), ((text, text),), np.zeros((1, 1, 2), np.int64),
    )  # fmt: skip
    source = Source(text, frozenset([text]), text, text, text, (text,), text)
    parts = [
        Prose((text,), emphasis=True), Command(text, text), Heading(text), table_of(text),
        Chart("c", text, text, drawn), gallery, Sources(),
    ]  # fmt: skip
    return Page(text, text, (Section("s", text, parts),), (source,))


@pytest.mark.parametrize("text", EVERY, ids=repr)
@pytest.mark.parametrize(
    "made", [document.html, document.served, document.content], ids=lambda made: made.__name__
)
def test_a_page_holds_texts_alone(text, made):
    found, usual = Parsed(made(page_of(text))), Parsed(made(page_of(WORD)))
    assert found.parts == usual.parts
    shown = [re.sub(r"\r\n?", "\n", piece) for piece in found.texts]
    assert sum(re.sub(r"\r\n?", "\n", text).strip() in piece for piece in shown) > 15 or not text.strip()
    for name, value in found.values:
        assert name != "href" or value.startswith(("#", "data:,"))
        assert not name.startswith("on")
    data = [json.loads(script) for script in found.scripts[:4]]
    assert data[0]["told"] == json.loads(usual.scripts[0])["told"]
    assert text in json.dumps(data, ensure_ascii=False) or json.dumps(text)[1:-1] in json.dumps(data)
    assert found.scripts[4:] == usual.scripts[4:], "what is run is the same"


# Markdown


def tokens(text):
    """The kinds of parts of a document, texts left out, and its texts."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    kinds, texts = [], []
    for token in parser.parse(text):
        kinds.append(token.type)
        children = token.children or []
        if token.type == "inline":
            kinds += [child.type for child in children if child.type not in ("text", "text_special")]
            texts.append("".join(child.content for child in children))
    return kinds, texts


def markdown_holds(text):
    made = table_of(text).markdown()
    kinds, texts = tokens(made)
    assert kinds == tokens(table_of(WORD).markdown())[0]
    assert " ".join(texts[0].split()) == one_line(text)
    cell = made.splitlines()[4].removeprefix("| ")
    assert tokens(f"a {cell}")[0].count("link_open") == 0
    assert not re.search(r"(?<!\\)://|www\.|(?<!\\)\$", made), "GitHub makes links and math of these"


# The others


def latex_holds(text):
    for how in (Typesetting(), Typesetting(siunitx=True), Typesetting(fit="tabularx"), Typesetting(fit="resize")):
        allowed = commands(table_of(WORD).latex(how)) | commands(" ".join([*PLAIN.values(), *MATH.values()]))
        made = uncommented(table_of(text).latex(how))
        assert commands(made) <= allowed | DEPENDING
        assert balanced(made)
        assert "^^" not in made


DEPENDING = {
    r"\textbackslash",
    r"\par",
    r"\multicolumn",
    r"\cmidrule",
    r"\phantom",
    r"\arraybackslash",
    r"\raggedright",
}
"""Commands of ours that depend on how long texts are."""


def commands(text):
    return set(re.findall(r"\\(?:[A-Za-z]+|.)", text, re.DOTALL))


def uncommented(text):
    """The lines that are no comment; a comment of ours is a line of its own."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("%"))


def balanced(text):
    depth = 0
    for brace in re.findall(r"(?<!\\)(?:\\\\)*([{}])", text):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    return depth == 0


def csv_holds(text):
    rows = list(csv.reader(io.StringIO(table_of(text).csv(), newline="")))
    assert len(rows) == 3
    assert all(len(row) == 2 for row in rows)
    assert [spreadsheet.restored(row[0]) for row in rows] == [text] * 3
    assert not any(is_formula(cell) for row in rows for cell in row)


def is_formula(cell):
    return cell[:1] in [*"=+-@\t\r"] and not re.fullmatch(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", cell)


def terminal_holds(text):
    shown = terminal.text(terminal.shown(table_of(text), 80), 80)
    out = io.StringIO()
    Terminal(file=out, width=80, highlight=False).print(shown, markup=False)
    assert not HARMFUL.search(out.getvalue().replace("\n", ""))


HOLD = {
    "markdown": markdown_holds,
    "latex": latex_holds,
    "csv": csv_holds,
    "html": html_holds,
    TERMINAL: terminal_holds,
}


def test_every_format_of_tables_is_tried():
    assert set(HOLD) == {*FORMATS, TERMINAL}


@pytest.mark.parametrize("text", EVERY, ids=repr)
@pytest.mark.parametrize("style", HOLD)
def test_a_table_holds_texts_alone(style, text):
    HOLD[style](text)


@pytest.mark.latex
def test_a_real_latex_reads_no_file_and_writes_none(tmp_path):
    """What it opens for hostile tables is what it opens for harmless ones, fonts and packages aside."""
    opened = []
    for word in (None, WORD):
        folder = tmp_path / str(word)
        folder.mkdir()
        tables = [table_of(word or text, f"t{place}") for place, text in enumerate(EVERY)]
        bad, _ = compiler.compiled(compiler.document(tables, Typesetting()), folder)
        assert [line for line in bad if line.startswith("!")] == []
        opened.append(
            {
                path
                for path in compiler.opened(folder)
                if not re.search(r"\.(tfm|pfb|vf|fd|map|enc|sty|[0-9]*pk)$", path)
            }
        )
    hostile, harmless = ({path.replace(str(tmp_path), "") for path in paths} for paths in opened)
    assert {path for path in hostile - harmless if "PWD" not in path} == set()


# Files


def test_what_is_derived_is_inert_and_read_back(tmp_path):
    rows = pd.DataFrame({"layer": EVERY, "value": np.linspace(-1, 1, len(EVERY))})
    path = tmp_path / "some.csv"
    with CachedTable(path, ["run"]) as table:
        for run in FORMULAS:
            table.add(rows, [run])
    cells = [cell for row in csv.reader(io.StringIO(path.read_bytes().decode(), newline="")) for cell in row]
    assert len(cells) == 3 * (1 + len(EVERY) * len(FORMULAS))
    assert not any(is_formula(cell) for cell in cells)
    before = path.read_bytes()
    with CachedTable(path, ["run"]) as table:
        for run in FORMULAS:
            assert table.find(run)["layer"].tolist() == EVERY
            table.keep(run)
    assert path.read_bytes() == before


def test_exports_are_inert(tmp_path):
    table = pd.DataFrame({"run": EVERY, "=cmd()": range(len(EVERY)), "loss": -0.5})
    with (tmp_path / "a.csv").open("wb") as file, tidy._as_csv(file) as add:
        add(table.iloc[:5])
        add(table.iloc[5:])
    back = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)
    assert not any(is_formula(str(cell)) for cell in [*back.columns, *back["run"]])
    pd.testing.assert_frame_equal(spreadsheet.read_back(back), table)


def test_a_log_has_a_line_for_each_entry(tmp_path):
    run = Store(tmp_path).open(presets.build())
    run.path.mkdir()
    for text in EVERY:
        run.log(text)
    lines = (run.path / "log.txt").read_text().split("\n")
    assert len(lines) == len(EVERY) + 1
    assert not HARMFUL.search("".join(lines))


def test_files_of_a_set_are_listed_inertly(command, tmp_path):
    names = ["=cmd()", "-1+cmd()", "\x1b[2Jx", 'a,b"c']
    for part in ("train", "test"):
        for word in ("=class", "@other"):
            (tmp_path / "mine" / part / word).mkdir(parents=True)
            for place, name in enumerate(names):
                Image.new("L", (4, 4), place).save(tmp_path / "mine" / part / word / f"{name}.png")
    listed = command("data", "show", "./mine", "--files")
    assert listed.exit_code == 0
    rows = list(csv.reader(io.StringIO(listed.stdout)))
    assert len(rows) == 1 + 2 * 2 * len(names)
    assert not any(is_formula(cell) for row in rows for cell in row)
    assert not HARMFUL.search(listed.output.replace("\n", ""))


PACKAGE = Path(memstudy.__file__).parent
WRITERS = {
    "spreadsheet.py",
    "store/metrics.py",  # numbers alone, under our names
    "cli/image_sets.py",  # above: test_files_of_a_set_are_listed_inertly
}


def test_csv_is_written_in_few_places():
    """So that none is forgotten: all others write by `memstudy.spreadsheet`."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and (
                node.attr == "to_csv" or ast.unparse(node) in ("csv.writer", "csv.DictWriter")
            ):
                found.add(str(path.relative_to(PACKAGE)))
    assert found == WRITERS
