"""The README is run: its commands are parsed, its Python is executed, its links and figures are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from memstudy.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
INDENTED = [line.strip() for line in README.splitlines() if line.startswith("    ")]
COMMANDS = [line.split("#")[0].strip() for line in INDENTED if line.strip().startswith("memstudy ")]
TARGETS = [line.split("#")[0].split()[1] for line in INDENTED if line.strip().startswith("make ")]


def parsed(line):
    """The subcommand's context for a command line; raises click.UsageError if it would be refused."""
    name, *words = shlex.split(line)[1:]
    command: click.Command = main.commands[name]
    if isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    return command.make_context(name, words, parent=click.Context(main))


def test_every_verb_is_shown():
    assert {shlex.split(line)[1] for line in COMMANDS} == set(main.commands)


@pytest.mark.parametrize("line", COMMANDS)
def test_command_is_one(line):
    context = parsed(line)
    file = context.params.get("file")
    if file is not None and file.parent != Path():  # a name alone is one that the reader makes
        assert (ROOT / file).is_file()


def test_a_wrong_command_would_be_noticed():
    with pytest.raises(click.UsageError):
        parsed("memstudy run --corruptt 0.75")


@pytest.mark.parametrize("target", sorted(set(TARGETS)))
def test_make_target_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("document", ["README.md", "CHANGELOG.md"])
def test_links_lead_somewhere(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert "://" in target or (ROOT / target).exists(), target


def test_no_placeholder_is_left():
    assert not re.search(r"@[A-Z]+@", README)


def test_ci_runs_the_readmes_test_command():
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL))
def test_python_example_runs(tmp_path, monkeypatch, capsys, small_source, code):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize(("study", "published"), [("quick", False), ("al2_epoch100", True)])
def test_tables_in_the_readme_are_the_committed_ones(study, published):
    """What the README shows was made by `make figures`, or by AL2's own protocol, and lies in the results."""
    made = (ROOT / "studies" / "results" / study / "table1.md").read_text(encoding="utf-8").splitlines()
    shown = [line for line in README.splitlines() if re.match(r"\| (Bare|BN|DO|WD) ", line)]
    assert any(line in made for line in shown)
    assert {line for line in shown if ("(" in line) == published} <= set(made)
