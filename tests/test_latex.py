"""Tables in LaTeX: what is written, and that a real LaTeX sets it in every width without a word of complaint."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstudy.derived import ANALYSES, analysis
from memstudy.derived.deriving import typesetting_of
from memstudy.errors import MemstudyError
from memstudy.papers import TABLES
from memstudy.report.cells import DASH, parts
from memstudy.report.look import WIDTHS
from memstudy.report.table import HIGH, LOW, Table
from memstudy.report.tex import breakable, tex, unprinted, width
from memstudy.report.typesetting import FITS, Typesetting
from memstudy.store import Store
from memstudy.store.store import Selection
from memstudy.study import grid
from tests import results
from tests.kit import latex
from tests.kit.sentences import refused
from tests.test_table import GROUPED, PLAIN, VALUES

EVERY = [Typesetting(width=wide, fit=fit) for wide, fit in itertools.product(WIDTHS, FITS)]


def test_a_table_by_hand():
    assert PLAIN.latex().splitlines() == [
        r"% \usepackage{booktabs}", r"% \usepackage{graphicx}",
        "% for a text width of 5.5 in; where a line is shorter, the table is shrunk to it",
        r"\begin{table}", r"\centering", r"\caption{Test error, \%}", r"\label{tab:plain}",
        r"\fontsize{8}{9.5}\selectfont", r"\setlength{\tabcolsep}{4pt}", r"\par\medskip", r"\sbox0{%",
        r"\begin{tabular}{@{}lrr@{}}", r"\toprule", r"method & n & mean \\", r"\midrule",
        r"bare & 2 & 0.33 $\pm$ 0.10* \\", r"a\textbar{}b\_c & 0 & -- \\", r"\bottomrule", r"\end{tabular}%",
        r"}\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi", r"\par\medskip",
        r"\begin{minipage}{\linewidth}\raggedright", r"A note of \$5.\par", r"Another.\par", r"\end{minipage}",
        r"\end{table}",
    ]  # fmt: skip


def body(table, **options):
    text = table.latex(Typesetting(**options))
    return text[text.index(r"\toprule") :].splitlines()


def test_two_levels_and_groups():
    lines = body(GROUPED)
    assert lines[1:3] == [
        r" & & \multicolumn{2}{c}{$L_c$} & \multicolumn{1}{c}{n} \\", r"\cmidrule(lr){3-4}\cmidrule(lr){5-5}"
    ]  # fmt: skip
    assert lines[3] == r"baseline & epoch & without & with & all \\"
    assert lines[4:9] == [
        r"\midrule", r"Bare & 0 & 1.0 & 2.0 & 3 \\", r" & 4 & 1.1 & 2.1 & 3 \\", r"\midrule",
        r"DO & 4 & 1.2 & -- & 2 \\",
    ]  # fmt: skip


WIDE = Table(
    "wide", "Many columns", (),
    pd.DataFrame([["mnist", name, *["12.34 ± 0.56***"] * 8] for name in ("bare", "dropout 0.5")],
                 columns=["data set", "method", *(f"metric {at}" for at in range(8))]),
    VALUES, words=("data set", "method"), better={f"metric {at}": HIGH for at in range(8)},
)  # fmt: skip


def test_there_are_no_lines_between_groups_of_one_row():
    alone = replace(GROUPED, cells=GROUPED.cells.iloc[1:])
    assert sum(line == r"\midrule" for line in body(alone)) == 1
    assert sum(line == r"\midrule" for line in body(GROUPED)) == 2


def test_what_is_too_wide_is_split_and_keys_are_repeated():
    text = WIDE.latex(Typesetting(width=3.25))
    blocks = re.findall(r"\\begin\{tabular\}\{@\{\}(\w+)@\{\}\}", text)
    assert len(blocks) > 2
    assert sum(block.count("r") for block in blocks) == 8
    assert text.count(r"dropout 0.5 &") == len(blocks)
    assert all(text.count(f"metric {at}") == 1 for at in range(8))
    assert "In all rows: data set mnist." in text
    assert r"\resizebox" in text


def test_the_shrunk_one_is_one_block_and_says_how_far_it_is_shrunk():
    text = WIDE.latex(Typesetting(width=3.25, fit="resize"))
    assert text.count(r"\toprule") == 1
    assert (found := re.search(r"shrunk to (\d+) % of its size", text))
    assert 20 < int(found[1]) < 50
    assert "shrunk to" not in PLAIN.latex(Typesetting(fit="resize")).replace("is shrunk to it", "")


def test_packages_are_named_only_where_they_are_used():
    def packages(table, **options):
        return re.findall(r"^% \\usepackage.*\{(\w+)\}$", table.latex(Typesetting(**options)), re.MULTILINE)

    assert packages(PLAIN) == ["booktabs", "graphicx"]
    assert packages(PLAIN, fit="tabularx") == ["booktabs", "graphicx", "array", "tabularx"]
    assert packages(PLAIN, siunitx=True) == ["booktabs", "graphicx", "siunitx"]
    assert packages(replace(PLAIN, title="łąka")) == ["booktabs", "graphicx", "fontenc"]


def test_both_columns_are_a_table_with_a_star():
    assert r"\begin{table*}" in PLAIN.latex(Typesetting(width=6.75))
    assert r"\begin{table}" in PLAIN.latex(Typesetting(width=5.5))


def test_siunitx_aligns_numbers_and_leaves_the_rest():
    cells = pd.DataFrame(
        [["1", "71.20 ± 6.22***"], ["2", "+2.23 ± 10.00 (94.1)"], ["3", DASH], ["4", "never"], ["5", "1,234"]],
        columns=["n", "x"],
    )
    table = Table("t", "", (), cells, VALUES, words=(), better={"x": HIGH})
    lines, text = body(table, siunitx=True), table.latex(Typesetting(siunitx=True))
    assert r"{@{}rS[table-format=+2.2,table-space-text-post={ $\pm$ 10.00 (94.1)}]@{}}" in text
    assert [line for line in lines if line[0] in "12345"] == [
        r"1 & 71.20{ $\pm$ \phantom{0}6.22***} \\", r"2 & +2.23{ $\pm$ 10.00 (94.1)} \\", r"3 & {--} \\",
        r"4 & {never} \\", r"5 & {1,234} \\",
    ]  # fmt: skip
    assert r"5 & {\textbf{1,234}} \\" in body(table, siunitx=True, best=True)
    low = body(replace(table, better={"x": LOW}), siunitx=True, best=True)
    assert r"2 & \bfseries +2.23{\bfseries{} $\pm$ 10.00 (94.1)} \\" in low


def test_the_best_is_bold_if_it_is_known_what_is_better():
    table = replace(GROUPED, better={"L_c": LOW}, among=("epoch",))
    bold = [line for line in body(table, best=True) if "textbf" in line]
    assert bold == [r" & 4 & \textbf{1.1} & 2.1 & 3 \\"]  # with AL2 there is one number at epoch 4
    assert "Bold: the best of a column, at the same epoch." in table.latex(Typesetting(best=True))
    assert "Bold" not in GROUPED.latex(Typesetting(best=True))
    assert "textbf" not in table.latex()


def test_stars_can_be_left_out():
    assert "0.10*" in PLAIN.latex()
    assert "*" not in "".join(body(PLAIN, stars=False))


def test_a_row_that_begins_with_a_bracket_is_no_option_of_the_line_before():
    cells = pd.DataFrame([["[0.3]", "1"], ["*", "2"]], columns=["x", "y"])
    lines = body(Table("t", "", (), cells, VALUES, words=("x",)))
    assert lines[3:5] == [r"{}[0.3] & 1 \\", r"{}* & 2 \\"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 1}, "width must be a finite number of at least 2"),
        ({"fit": "tabular"}, "did you mean tabularx?"),
        ({"stars": "yes"}, "stars must be true or false"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(MemstudyError, match=re.escape(words)):
        Typesetting(**options)


def test_a_study_chooses_by_the_same_keys(tmp_path):
    path = tmp_path / "s.toml"
    text = 'preset = "quick"\nseeds = 1\n[grid]\nreg = ["bare"]\n[report.latex]\n'
    path.write_text(text + 'width = 3.25\nfit = "tabularx"\n')
    report = grid.read(path).report
    (tmp_path / "study.json").write_text(json.dumps({"report": report}))
    selection = Selection("s", (), tmp_path)
    assert typesetting_of(selection) == Typesetting(width=3.25, fit="tabularx")
    assert typesetting_of(selection, {"width": 5.5}) == Typesetting(
        width=5.5, fit="tabularx"
    )  # as a command has it
    path.write_text(text + "widht = 3.25\n")
    refused(lambda: grid.read(path), "unknown key of [report.latex]", "did you mean width")
    path.write_text(text + "width = 0.5\n")
    refused(lambda: grid.read(path), "width in [report.latex]", "at least 2")


def test_a_long_table_goes_on_with_the_same_number():
    cells = pd.DataFrame([[f"m{row}", "1.0"] for row in range(120)], columns=["method", "x"])
    text = Table("long", "Long", ("Note.",), cells, VALUES, words=("method",)).latex()
    assert text.count(r"\begin{table}") == 3
    assert text.count(r"\addtocounter{table}{-1}") == text.count("(continued)") == 2
    assert text.count(r"\label") == text.count("Note.") == 1
    assert [int(row) for row in re.findall(r"^m(\d+) &", text, re.MULTILINE)] == list(range(120))


# Text


@pytest.mark.parametrize(
    "words", ["100 % of a_b & #3 for $5", r"~/{x}\y^2", "λ²·|w| ≤ σ – L_c, not L_cat", "a > b", "a|b `c` --d"]
)
def test_everything_is_escaped_once(words):
    made = tex(words)
    assert made.isascii()
    math = re.sub(r"\\.", "", made)
    assert math.count("$") % 2 == 0
    plain = "".join(re.sub(r"\\text\w+\{\}|-\{\}", "", re.sub(r"(?<!\\)\$.*?(?<!\\)\$", "", made)))
    assert not re.search(r"(?<!\\)[%&#_{}$^~<>|`]", plain)


def test_escapes_by_hand():
    assert tex("λ²·|w|² of L_c") == r"$\lambda ^2 \cdot |w| ^2$ of $L_c$"
    assert tex(r"50 % {a_b} 5 ± 1* – \x") == r"50 \% \{a\_b\} 5 $\pm$ 1* -- \textbackslash{}x"
    assert tex("a--b\nc") == "a-{}-b c"
    assert tex("café") == tex("cafe\N{COMBINING ACUTE ACCENT}") == "café"


def test_what_latex_cannot_print_is_its_code_point_and_said():
    assert tex("猫 1") == r"\textbackslash{}u732b 1"
    assert unprinted(["猫 é ± –", "кот"]) == "кот猫"
    assert r"% \u732b is 猫, which pdfLaTeX cannot print" in replace(PLAIN, title="猫").latex()


def test_long_words_can_be_broken_and_short_ones_are_not():
    assert breakable("75 % of well-known") == "75 % of well-known"
    name = "mnist5k-symmetric0.75-bare-s0-8eac6510"
    assert breakable(name).replace("\N{ZERO WIDTH SPACE}", "") == name
    assert max(map(len, breakable("x" * 100).split("\N{ZERO WIDTH SPACE}"))) <= 14


# What a real LaTeX says

AWKWARD = ["50 % $5 a_b & #1 ~ ^ \\ {x} <y> |z|", "Łąka «ñandú» café", "猫 кот 🐈", "[1] *x*", "a" * 60, "--?`!`"]
CELLS = [
    "12.34 ± 0.56***",
    "+1.2 [+0.3, +2.1]*",
    "2.00 (2.23 ± 0.25)",
    DASH,
    "never",
    "1,234",
    "<1e-99",
    "a_b & 5 %",
]


def awkward(columns, upper):
    """A table of awkward names, with many columns."""
    names = [f"{AWKWARD[at % len(AWKWARD)]} {at}" for at in range(columns)]
    headings = ["method", "epoch", *names]
    cells = pd.DataFrame(
        [[name, str(at), *(CELLS[(at + place) % len(CELLS)] for place in range(columns))]
         for at, name in enumerate(AWKWARD)],
        columns=pd.MultiIndex.from_tuples(
            [("", "method"), ("", "epoch"), *((AWKWARD[at // 2 % 6], name) for at, name in enumerate(names))]
        ) if upper else headings,
    )  # fmt: skip
    better = dict.fromkeys(names, HIGH)
    return Table("awk_ward&", AWKWARD[0], tuple(AWKWARD), cells, VALUES, ("method",), "method", better)


PAIRS = Table(
    "pairs", "A page of groups", ("Note. " * 40,),
    pd.DataFrame([[f"m{row // 2}", str(row % 2), "1.0"] for row in range(90)], columns=["method", "epoch", "x"]),
    VALUES, words=("method",), group="method",
)  # fmt: skip
SMALL = [PLAIN, GROUPED, WIDE, PAIRS, awkward(20, upper=True), awkward(9, upper=False), awkward(0, upper=False)]


@pytest.mark.latex
@pytest.mark.parametrize("typesetting", EVERY, ids=lambda how: f"{how.width}-{how.fit}")
def test_latex_sets_awkward_tables_without_complaint(typesetting, tmp_path):
    bad, _ = latex.compiled(latex.document(SMALL, replace(typesetting, best=True)), tmp_path)
    assert bad == []


@pytest.mark.latex
@pytest.mark.slow
@pytest.mark.parametrize("typesetting", EVERY, ids=lambda how: f"{how.width}-{how.fit}")
def test_siunitx_sets_awkward_tables_without_complaint(typesetting, tmp_path):
    text = latex.document(SMALL, replace(typesetting, best=True, siunitx=True))
    bad, _ = latex.compiled(text, tmp_path)
    assert bad == []


@pytest.mark.latex
def test_the_check_finds_what_is_too_wide(tmp_path):
    text = latex.document([WIDE], Typesetting(width=3.25, fit="resize"))
    bad, _ = latex.compiled(re.sub(r"\\resizebox\{\\linewidth\}\{!\}", "", text), tmp_path)
    assert any(line.startswith("Overfull") for line in bad)


@pytest.mark.latex
def test_a_wider_font_and_a_narrower_line_shrink_the_table(tmp_path):
    text = latex.document([WIDE, GROUPED], Typesetting(width=3.25), r"\renewcommand{\rmdefault}{cmtt}")
    bad, blocks = latex.compiled(text.replace(r"\textwidth=3.25in", r"\textwidth=2in"), tmp_path)
    assert bad == []
    assert max(blocks) > 2 * 72.27


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """Every table that the stored runs make, of papers and of analyses."""
    store = results.copied(tmp_path_factory.mktemp("results"))
    makers = {**dict.fromkeys(TABLES.names(), TABLES), **dict.fromkeys(ANALYSES.names(), ANALYSES)}
    found: list[Table] = []
    for study in results.KEPT:
        selection = Store(store).select((), study)
        for name, registry in makers.items():
            found += analysis(name, registry)().tables(selection)
    assert len(found) >= 15
    return found


@pytest.mark.latex
@pytest.mark.slow
@pytest.mark.parametrize("typesetting", EVERY, ids=lambda how: f"{how.width}-{how.fit}")
def test_latex_sets_every_committed_table_without_complaint(committed, typesetting, tmp_path):
    bad, blocks = latex.compiled(latex.document(committed, typesetting), tmp_path)
    assert bad == []
    if typesetting.fit != "resize":  # so no block had to be shrunk: columns were measured well
        assert max(blocks) <= typesetting.points + 0.1


@pytest.mark.latex
@pytest.mark.slow
@pytest.mark.parametrize("fit", FITS)
def test_siunitx_sets_every_committed_table_without_complaint(committed, fit, tmp_path):
    text = latex.document(committed, Typesetting(width=3.25, fit=fit, siunitx=True, best=True))
    bad, blocks = latex.compiled(text, tmp_path)
    assert bad == []
    if fit != "resize":
        assert max(blocks) <= 3.25 * 72.27 + 0.1


@pytest.mark.slow
def test_no_committed_table_has_a_star_without_stars(committed):
    for table in committed:
        words = [
            row[at] for row in table.rows for at, name in enumerate(table.headings) if name not in table.words
        ]
        starred = any((found := parts(cell)) and found.stars for cell in words)
        assert starred <= any(note.startswith("Stars:") for note in table.notes), table.name
        assert not re.search(r"\d\*", str(table.unstarred().rows)), table.name


@pytest.mark.latex
def test_text_is_as_wide_as_is_said(tmp_path):
    texts = ["12.34 ± 0.56***", "test accuracy, %", "bn+pilcro (share 0.01)", "[+0.3, +2.1]", r"~^\{}$#&_|<>`"]
    lines = [
        rf"\sbox0{{\fontsize{{8}}{{9.5}}\selectfont {tex(text)}}}\typeout{{BLOCK \the\wd0}}" for text in texts
    ]
    text = latex.document([], Typesetting()).replace(
        r"\end{document}", "x\n" + "\n".join(lines) + "\\end{document}"
    )
    _, real = latex.compiled(text, tmp_path)
    assert [wide <= width(text) + 0.05 <= 1.15 * wide for wide, text in zip(real, texts, strict=True)] == [
        True
    ] * 5


letters = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@given(letters)
def test_any_text_becomes_something_that_pdflatex_reads(text):
    for mark in tex(text):
        assert mark.isascii() or "¡" <= mark <= "ſ" or mark in "‘’“”…†‡•‰€™‚„‹›"
