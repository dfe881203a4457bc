"""Manners on a terminal: examples in every --help, documented JSON, results apart from progress."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import click
import jsonschema
import pytest
from click.testing import CliRunner

from memstudy import presets
from memstudy.cli import main
from memstudy.store import Status, Store
from memstudy.study import health
from tests.kit.runs import write_run

PAGE = (Path(__file__).parents[1] / "docs" / "reference" / "output.md").read_text(encoding="utf-8")
SCHEMAS = {
    words: json.loads(schema)
    for words, schema in re.findall(
        r"^    memstudy ([^\n]+) --json\n.*?```json\n(.*?)```", PAGE, flags=re.DOTALL | re.MULTILINE
    )
}
WIDE = 80


def every_command(command=main, path=(), context=None):
    """Each command with its words, groups too."""
    context = context or click.Context(main)
    if path:
        yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below
            yield from every_command(below, (*path, name), click.Context(below, parent=context))


COMMANDS = dict(every_command())


def examples(path):
    """The lines of a command's help that show it: those of its last block."""
    block = (COMMANDS[path].help or "").rpartition("\b")[2]
    return [line.strip() for line in block.splitlines() if f"memstudy {' '.join(path)}" in line]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_help_has_two_examples_that_are_parsed_and_fit(path):
    shown = examples(path)
    assert len(shown) >= 2, shown
    for line in shown:
        assert len(line) <= WIDE - 2, line
    for line in shown:
        if not line.startswith("memstudy "):
            continue
        words = re.split(r"\s{2,}| \| | >", line)[0].replace("'", "").split()[1:]
        command = COMMANDS[path]
        known = {word for option in command.params for word in (*option.opts, *option.secondary_opts)} | {"--json"}
        if isinstance(command, click.Group) and len(words) > len(path) and words[len(path)] in command.commands:
            command = command.commands[words[len(path)]]
            known |= {word for option in command.params for word in option.opts}
        assert {word for word in words if word.startswith("-")} <= known, line


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMSTUDY_CACHE", str(tmp_path / "cache"))
    for status in (Status.FINISHED, Status.INTERRUPTED):
        recipe = presets.build(reg="al2" if status is Status.FINISHED else "bare", epochs=2)
        write_run(tmp_path / "runs", recipe, [{"memorized": float("nan")}] * 2, status=status)
    return Store(tmp_path / "runs")


@pytest.mark.parametrize(
    "words", [words for words in SCHEMAS if not words.startswith("table ")]
)  # test_explaining
def test_json_is_as_the_page_says(words, store, monkeypatch):
    monkeypatch.setattr("memstudy.study.forecast.BUDGET", 0.0)  # one kind of run is measured
    at_store = [] if words.startswith(("data",)) else ["--runs-dir", str(store.root)]
    result = CliRunner().invoke(main, [*words.split(), *at_store, "--json"])
    assert result.exit_code == 0, result.output
    jsonschema.validate(json.loads(result.stdout), SCHEMAS[words])


def test_the_schemas_can_fail(store):
    """A key too many, one too few, one of another kind."""
    good = json.loads(CliRunner().invoke(main, ["runs", "--runs-dir", str(store.root), "--json"]).stdout)
    wrong: list[dict[str, object]] = [{**good, "more": 1}, {"runs": []}, {**good, "differs": "lr"}]
    for bad in wrong:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, SCHEMAS["runs"])


def test_every_list_has_a_schema():
    lists = {
        ("runs",),
        ("data", "list"),
        ("data", "rules"),
        ("study", "list"),
        ("study", "status"),
        ("watch",),
        ("doctor",),
    }
    assert lists <= {tuple(words.split())[: len(path)] for words in SCHEMAS for path in lists}


def test_every_command_that_finds_something_out_has_json():
    without = {
        " ".join(path)
        for path, command in COMMANDS.items()
        if not any(o.name == "as_json" for o in command.params)
    }
    assert without == {"data", "study cancel", "completion"}


def in_terminal(words, columns, **environment):
    """What a command prints on a terminal of so many columns."""
    leader, follower = pty.openpty()
    environment = {"TERM": "xterm-256color", "COLUMNS": str(columns), **environment}
    child = subprocess.Popen(
        [sys.executable, "-m", "memstudy", *words], stdout=follower, stderr=follower, stdin=follower,
        env={name: value for name, value in os.environ.items() if name != "NO_COLOR"} | environment,
    )  # fmt: skip
    os.close(follower)
    output = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # it has ended
            break
        if not piece:
            break
        output += piece
    os.close(leader)
    assert child.wait() == 0
    return output.decode()


def test_no_color_means_no_color(tmp_path):
    words = ["study", "list", "--runs-dir", str(tmp_path)]
    colored = re.compile(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38|48)[0-9;]*m")
    assert not colored.search(in_terminal(words, 80, NO_COLOR="1"))


@pytest.mark.parametrize(
    "words", [["study", "list"], ["runs"], ["study", "status", "quick", "--all"]], ids=" ".join
)
def test_a_row_is_a_line_at_eighty_columns(words, store):
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", in_terminal([*words, "--runs-dir", str(store.root)], WIDE))
    rows = [line.rstrip() for line in plain.splitlines() if re.search(r"\S {2,}\S", line)]
    assert len(rows) >= 3
    assert [row for row in rows if len(row) > WIDE] == []


# memstudy doctor


def found(store, **problems):
    result = CliRunner().invoke(main, ["doctor", "--runs-dir", str(store.root), "--json"])
    return result, json.loads(result.stdout)


def test_doctor_finds_no_problem_in_a_sound_place(store):
    result, facts = found(store)
    assert (result.exit_code, facts["problems"]) == (0, [])
    (runs,) = [one for one in facts["findings"] if (one["part"], one["name"]) == ("store", "runs")]
    assert "2 runs" in runs["found"]
    names = {one["name"] for one in facts["findings"]}
    assert {"memstudy", "Python", "torch", "cpu", "mnist5k"} <= names


def test_doctor_names_a_damaged_run_and_how_to_be_rid_of_it(store):
    (store.root / store.names()[0] / "metrics.csv").write_text("nonsense")
    result, facts = found(store)
    assert result.exit_code == 1
    (problem,) = facts["problems"]
    assert problem["name"] == store.names()[0]
    assert "metrics.csv" in problem["problem"]


def test_doctor_names_what_is_missing_too_old_or_can_be_added(store, monkeypatch):
    monkeypatch.setattr(
        health,
        "requires",
        lambda name: ["torch>=99", "nowhere-to-be-found>=1", "click>=8", 'ray2>=2; extra == "ray"'],
    )
    monkeypatch.setattr(health, "_extra_names", lambda: ["ray"])
    _, facts = found(store)
    problems = {one["name"]: one for one in facts["problems"]}
    assert set(problems) == {"torch", "nowhere-to-be-found"}
    assert problems["torch"]["problem"] == "memstudy needs >=99"
    assert problems["nowhere-to-be-found"]["cure"] == "pip install 'nowhere-to-be-found>=1'"
    (extra,) = [one for one in facts["findings"] if one["part"] == "extras"]
    assert (extra["found"], extra["cure"]) == ("not installed", "pip install 'memstudy[ray]'")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_doctor_says_where_nothing_can_be_written(store):
    store.root.chmod(0o500)
    _, facts = found(store)
    store.root.chmod(0o700)
    assert "nothing can be written there" in facts["problems"][0]["problem"]


def test_doctor_looks_at_what_is_declared():
    declared = {re.split(r"[^\w-]", line)[0] for line in requires("memstudy") or () if "extra" not in line}
    assert {need.name for need in health._needs()} == declared


def test_doctor_leaves_everything_as_it_is(store):
    before = sorted(path for path in store.root.rglob("*"))
    found(store)
    assert sorted(path for path in store.root.rglob("*")) == before


@pytest.mark.parametrize("writable", [True, False])
def test_pytorch_leaves_nothing_in_the_folder_of_temporary_files(store, monkeypatch, tmp_path, writable):
    """It makes a folder for its compiler with every optimizer, and leaves it."""
    monkeypatch.setenv("MEMSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setattr(os, "access", lambda path, mode, **_: writable or mode != os.W_OK)
    assert CliRunner().invoke(main, ["runs", "--runs-dir", str(store.root)]).exit_code == 0
    wanted = str(tmp_path / "cache" / "torch") if writable else None
    assert os.environ.pop("TORCHINDUCTOR_CACHE_DIR", None) == wanted
    assert not (tmp_path / "cache" / "torch").exists()
