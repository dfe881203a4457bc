"""The pages are run: commands are parsed, Python is executed, links, files, names and numbers are looked up."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import click
import pandas as pd
import pytest

from memstudy import models, presets
from memstudy.cli import main
from memstudy.data import RULES, SOURCES
from memstudy.regularizers import REGULARIZERS
from memstudy.store.metrics import MEASURED
from tests.kit.commands import commands
from tests.test_imports import RANK

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "memstudy"
RESULTS = ROOT / "studies" / "results"
FIRST = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
SECOND = [RESULTS / "README.md", ROOT / "tests" / "benchmarks" / "NOTES.md"]
DOCS = [
    file
    for file in sorted((ROOT / "docs").rglob("*.md"))
    if file.name != "index.md"
    and not {"_build", "project"} & {*file.parts}  # these include other pages, for the site
]
FILES = [file for file in [*FIRST, *DOCS, *SECOND] if file.is_file()]
PAGES = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in FILES}
WORDS = 1500


def without_code(text):
    """A page's prose: no indented or fenced code."""
    return re.sub(r"^    .*$", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)


SPANS = {
    page: {" ".join(span.split()) for span in re.findall(r"`([^`]+)`", without_code(text))}
    for page, text in PAGES.items()
}
"""What each page's sentences and tables have between backticks."""
INDENTED = [
    (page, line.strip().split(" #")[0].strip())
    for page, text in PAGES.items()
    for line in text.splitlines()
    if line.startswith("    ")
]
COMMANDS = [(page, line) for page, line in INDENTED if line.startswith("memstudy ")]
CODE = {line for _, line in INDENTED}.union(*SPANS.values())
TARGETS = sorted({code.split()[1] for code in CODE if re.match("make [a-z]", code)})


def chosen(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words name, of a group its subcommand, and the words that are left."""
    command: click.Command = commands()[words[0]]
    words = words[1:]
    if isinstance(command, click.Group) and words and words[0] in command.commands:
        return command.commands[words[0]], words[1:]
    return command, words


def parsed(line):
    """The subcommand's context for a command line; raises click.UsageError if it would be refused."""
    command, words = chosen(shlex.split(line)[1:])
    return command.make_context(command.name, words, parent=click.Context(main))


def every_command() -> Iterator[click.Command]:
    for command in commands().values():
        yield command
        yield from command.commands.values() if isinstance(command, click.Group) else ()


def options(command: click.Command) -> set[str]:
    """Every way to write an option of a command, `--help` among them."""
    own = {word for option in command.params for word in (*option.opts, *option.secondary_opts)}
    return own | {"--help"}


OPTIONS = {option for command in every_command() for option in options(command)}


def unknown_options(span: str) -> set[str]:
    """The options in a piece of code that the command which it begins with has not; of no command, any has."""
    words = span.split()
    known = OPTIONS
    if words[0] == "memstudy" and len(words) > 1 and words[1] in commands():
        known = options(chosen(words[1:])[0])
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", span)) - known


# Commands


def test_every_verb_is_shown():
    assert {shlex.split(line)[1] for _, line in COMMANDS} == set(commands())


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_command_is_one(page, line):
    context = parsed(line)
    given = context.params.get("file") or ()
    for file in given if isinstance(given, tuple) else (given,):
        if file.parent != Path():  # a name alone is one that the reader makes
            assert (ROOT / file).is_file()


def test_a_wrong_command_would_be_noticed():
    with pytest.raises(click.UsageError):
        parsed("memstudy run --corruptt 0.75")
    assert unknown_options("memstudy table --corrupt 0.75 --json") == {"--corrupt"}
    assert unknown_options("--corruptt") == {"--corruptt"}


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_options_in_sentences_are_some(page):
    ours = [span for span in SPANS[page] if not span.startswith(("python ", "bench_", "pip ", "mypy "))]
    verbs = {span.split()[1] for span in ours if span.startswith("memstudy ")}
    assert verbs <= {*commands(), "COMMAND"}
    assert {span: bad for span in ours if (bad := unknown_options(span))} == {}


@pytest.mark.parametrize("target", TARGETS)
def test_make_target_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("module", sorted({code.split()[2] for code in CODE if code.startswith("python -m ")}))
def test_module_that_is_run_is_one(module):
    assert find_spec(module) is not None


def test_ci_runs_the_readmes_test_command():
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize(
    ("page", "code"),
    [
        (page, code)
        for page, text in PAGES.items()
        for code in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    ],
)
def test_python_example_runs(tmp_path, monkeypatch, capsys, small_source, page, code):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, page, "exec"), {})
    assert capsys.readouterr().out


# Links and files


def anchors(text):
    """The names under which a page's headings can be linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: str, text: str) -> list[str]:
    """The links of a page that lead nowhere."""
    bad = []
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (ROOT / page).parent / target if target else ROOT / page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            bad.append(link)
    return bad


def missing(span: str) -> bool:
    """Whether it names a file of the repository, from its root or the package's, that is not there.

    NAME or a star stands for any: `memstudy/models/NAME.py` must be there for some.
    """
    top = span.split("/")[0]
    if not re.fullmatch(r"[\w.*-]+(/[\w.*-]*)+", span) or top in (".", "runs"):
        return False
    homes = [home for home in (ROOT, PACKAGE) if (home / top).is_dir()]
    pattern = span.replace("NAME", "*")
    return bool(homes) and not any(list(home.glob(pattern)) for home in homes)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    assert broken(page, PAGES[page]) == []


@pytest.mark.parametrize("page", PAGES)
def test_mentioned_files_are_there(page):
    assert [span for span in SPANS[page] if missing(span)] == []


LAWS = [
    (page, span) for page, spans in SPANS.items() for span in sorted(spans) if re.match(r"tests/\w+\.py::", span)
]


def law(span: str) -> bool:
    """Whether a test that a page names, `tests/test_x.py::test_y`, is one: a function, or a method of a class."""
    file, *names = span.split("::")
    code = (ROOT / file).read_text(encoding="utf-8") if (ROOT / file).is_file() else ""
    return all(re.search(rf"^\s*(?:def|class) {name}\b", code, flags=re.MULTILINE) for name in names) and bool(
        code
    )


@pytest.mark.parametrize(("page", "span"), LAWS)
def test_a_law_that_a_page_names_is_tested(page, span):
    assert law(span)


def test_every_page_of_a_measure_names_laws_and_says_what_it_does_not_tell():
    measures = [page for page in PAGES if page.startswith("docs/reference/measures/") and "README" not in page]
    assert len(measures) > 15
    for page in measures:
        assert [of for of, _ in LAWS].count(page) >= 2
        assert "## What it does not tell you" in PAGES[page]
        assert "\n| stated |" in PAGES[page]
        assert "\n| ours |" in PAGES[page]


def test_a_wrong_link_or_file_would_be_noticed():
    assert broken("README.md", "[a](docs/none.md) [b](README.md#none) [c](README.md#two-commands)") == [
        "docs/none.md",
        "README.md#none",
    ]
    assert missing("memstudy/models/none.py")
    assert missing("models/none.py")
    assert missing("memstudy/models/NAME.none")
    assert not missing("memstudy/models/NAME.py")
    assert not missing("models/")
    assert not law("tests/test_docs.py::test_none")
    assert not law("tests/test_none.py::test_none")


def test_every_page_is_in_the_index_which_is_on_the_first_page():
    assert "](docs/README.md)" in PAGES["README.md"]
    pages = [str(file.relative_to(ROOT / "docs")) for file in DOCS if file.name != "README.md"]
    assert [page for page in pages if f"]({page})" not in PAGES["docs/README.md"]] == []


@pytest.mark.parametrize("page", PAGES)
def test_no_placeholder_is_left(page):
    assert not re.search(r"@[A-Z]+@|TODO|FIXME|XXX", PAGES[page])


def test_the_first_page_is_short():
    assert len(PAGES["README.md"].split()) <= WORDS


# Names


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("docs/how-to/training.md", REGULARIZERS.names()),
        ("docs/how-to/training.md", models.NETWORKS.names()),
        ("docs/how-to/training.md", list(presets.PRESETS)),
        ("docs/how-to/data-and-labels.md", SOURCES.names()),
        ("docs/how-to/data-and-labels.md", [name for name in RULES.names() if name != "file"]),
        ("docs/reference/runs.md", [name for name in MEASURED if name != "epoch"]),
    ],
)
def test_every_name_is_told(page, names):
    assert names
    assert set(names) <= SPANS[page]


@pytest.mark.parametrize("name", REGULARIZERS.names())
def test_every_option_of_a_regularizer_is_told(name):
    row = next(
        line for line in PAGES["docs/how-to/training.md"].splitlines() if re.match(rf"\|[^|]*`{name}`", line)
    )
    told = {span.removeprefix(f"{name}.") for span in re.findall(r"`([^`]+)`", row)}
    assert {field.name for field in fields(REGULARIZERS.get(name))} <= told


def test_the_map_has_every_part_in_the_order_of_the_layers():
    text = PAGES["CONTRIBUTING.md"].partition("## The map")[2].partition("\n## ")[0]
    parts = [
        part.removesuffix("/").removesuffix(".py") for part in re.findall(r"^\| `([^`]+)` \|", text, flags=re.M)
    ]
    ranks = [RANK[part] for part in parts]
    assert {*parts} == {*RANK} - {"__main__", "__init__"}
    assert ranks == sorted(ranks, reverse=True)


def test_rules_are_counted():
    """All but `file`, which is no rule of ours but another's labels."""
    assert f"{len(RULES.names()) - 1} corruption rules" in PAGES["README.md"]


def test_names_of_code_are_there():
    """Classes, functions and lists that the recipes speak of; a name that is changed is changed there, too."""
    code = [file.read_text(encoding="utf-8") for top in (PACKAGE, ROOT / "tests") for file in top.rglob("*.py")]
    known = {word for text in code for word in re.findall(r"\w+", text)}
    names = {span.partition("(")[0] for span in SPANS["CONTRIBUTING.md"]}
    told = {name for name in names if name.isidentifier() and re.search("[A-Z_]", name)}
    assert len(told) > 20
    assert told <= known


# Numbers


@pytest.mark.parametrize(
    ("page", "study", "published"),
    [
        ("README.md", "quick", False),
        ("docs/explanation/results.md", "quick", False),
        ("docs/explanation/results.md", "al2_epoch100", True),
    ],
)
def test_tables_are_the_committed_ones(page, study, published):
    """What a page shows was made by `make figures`, or by AL2's own protocol, and lies in the results."""
    made = (RESULTS / study / "table1.md").read_text(encoding="utf-8").splitlines()
    shown = [line for line in PAGES[page].splitlines() if re.match(r"\| (Bare|BN|DO|WD) ", line)]
    rows = {line for line in shown if ("(" in line) == published}
    assert rows
    assert rows <= set(made)


def test_the_whole_quick_table_is_shown():
    made = (RESULTS / "quick" / "table1.md").read_text(encoding="utf-8").splitlines()
    assert {line for line in made if line.startswith("|")} <= set(
        PAGES["docs/explanation/results.md"].splitlines()
    )


def cell(study, table, baseline, epoch, metric, al2):
    """(mean, standard deviation, published) in a committed table."""
    rows = pd.read_csv(RESULTS / study / f"{table}.csv").to_dict("records")
    wanted = {"baseline": baseline, "epoch": epoch, "metric": metric, "al2": al2}
    (row,) = [row for row in rows if wanted.items() <= row.items()]
    return row["mean"], row["sd"], row["published"]


@pytest.mark.parametrize("page", ["README.md", "docs/explanation/results.md"])
def test_five_seeds_are_the_committed_ones(page):
    tables = [("table1", "test accuracy, %")]
    if page != "README.md":
        tables.append(("memorization", "corrupted: memorized, %"))
    for table, metric in tables:
        for al2 in ("without AL2", "with AL2"):
            mean, spread, _ = cell("calibration", table, "Bare", 24, metric, al2)
            assert f"{mean:.1f} ± {spread:.1f} %" in PAGES[page]


def test_the_protocols_values_are_the_committed_ones():
    for al2, sentence in (
        ("with AL2", "{:.2f} % with AL2 ({:g} published)"),
        ("without AL2", "{:.2f} % without ({:g})"),
    ):
        mean, _, published = cell("al2_epoch100", "table1", "Bare", 100, "test accuracy, %", al2)
        assert sentence.format(mean, published) in " ".join(PAGES["README.md"].split())
    for baseline in ("Bare", "BN"):
        for al2 in ("without AL2", "with AL2"):
            mean, _, published = cell(
                "al2_epoch100", "ablation_area", baseline, 100, "area, %, Bernoulli masks", al2
            )
            assert f"{mean:.2f} ({published:g})" in PAGES["docs/explanation/results.md"].replace("\n", " ")


COMMITTED = "".join(file.read_text(encoding="utf-8") for file in RESULTS.glob("*/*.md"))
"""All tables that studies gave."""


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/explanation/papers/")])
def test_means_and_deviations_of_a_papers_page_are_in_a_committed_table(page):
    told = re.findall(r"\d[\d.]* ± [\d.]*\d", PAGES[page])
    assert [pair for pair in told if pair not in COMMITTED] == []


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        ("bare-s0-8eac6510", "It rises to {best:.1f} %, and then falls to {test:.1f} %."),
        ("bare-s0-8eac6510", "Of the corrupted samples {memorized:.1f} % are predicted as their wrong label"),
        (
            "al2-s0-c834a49d",
            "It ends at {test:.1f} % test accuracy; {memorized:.1f} % of the wrong labels are predicted",
        ),
        ("al2-s0-c834a49d", "{recovered:.1f} % of the corrupted samples are taken for what they really are"),
    ],
)
def test_the_tutorials_numbers_are_those_of_the_stored_runs(run, sentence):
    metrics = 100 * pd.read_csv(RESULTS / "store" / f"mnist5k-symmetric0.75-{run}" / "metrics.csv")
    last = metrics.iloc[-1]
    told = sentence.format(best=metrics["test_accuracy"].max(), test=last["test_accuracy"], **last)
    assert told in " ".join(PAGES["docs/tutorial/first-study.md"].split())
