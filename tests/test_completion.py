"""What a shell completes: asked as click's scripts ask, in this process, in one of its own, and by a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from memstudy import presets
from memstudy.cli import main
from memstudy.data import RULES, SOURCES
from memstudy.models import NETWORKS
from memstudy.regularizers import REGULARIZERS
from memstudy.store import Store
from memstudy.study import shipped
from tests.kit.commands import commands
from tests.kit.others_code import METHOD, new_process, package


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    """Two runs that have only begun, and a study of one of them; nothing else is near."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEMSTUDY_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("MEMSTUDY_RUNS", raising=False)
    found = Store(Path("runs"))
    runs = [found.open(presets.build(reg=reg, epochs=2)) for reg in ("bare", "do")]
    for run in runs:
        run.write_recipe()
    found.record_study("pair", runs[:1], {})
    return found


def completed(*words: str) -> list[str]:
    """What follows from words, the last of which is incomplete."""
    *before, incomplete = words
    items = ShellComplete(main, {}, "memstudy", "_MEMSTUDY_COMPLETE").get_completions(before, incomplete)
    return [item.value if item.type == "plain" else f"<{item.type}>" for item in items]


def test_commands_and_options():
    assert completed("") == list(commands())
    assert completed("comp") == ["completion"]
    assert completed("completion", "") == ["bash", "zsh", "fish"]
    assert completed("data", "b") == ["build"]
    assert completed("run", "--ep") == ["--epochs"]


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (("run", "--preset"), list(presets.PRESETS)),
        (("run", "--reg"), ["bare", *REGULARIZERS.names()]),
        (("run", "--network"), NETWORKS.names()),
        (("run", "--arch"), NETWORKS.names()),
        (("run", "--noise"), RULES.names()),
        (("data", "build", "--noise"), RULES.names()),
        (("run", "--dataset"), SOURCES.names()),
        (("data", "show"), SOURCES.names()),
        (("run", "--optimizer"), ["sgd", "adam", "adamw"]),
        (("run", "--normalization"), ["al2", "own"]),
        (("run", "--device"), ["auto", "cpu", "cuda"]),
    ],
    ids=" ".join,
)
def test_names_are_those_that_are_known(words, known):
    assert completed(*words, "") == known
    assert completed(*words, known[-1][:-1]) == [name for name in known if name.startswith(known[-1][:-1])]
    assert completed(*words, "zzz") in ([], ["<file>"])


def test_regularizers_are_completed_one_by_one():
    assert completed("run", "--reg", "bn+d") == ["bn+do"]
    assert "bn+al2+do" in completed("run", "--reg", "bn+al2+")
    assert not [found for found in completed("run", "--reg", "bn+al2+") if found.count("al2") > 1]


def test_own_sets_and_paths(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.npz").touch()
    (tmp_path / "elsewhere" / "pets" / "train").mkdir(parents=True)
    assert completed("run", "--dataset", "mi") == ["mine"]
    assert completed("run", "--data-dir", "elsewhere", "--dataset", "p") == ["pets"]
    assert completed("run", "--dataset", "elsewhere/") == ["<file>"]
    assert completed("run", "--labels", "") == ["<file>"]
    assert completed("run", "--matrix", "") == ["<file>"]


OF_RUNS = [
    name for name, command in commands().items() if {"runs", "study"} <= {param.name for param in command.params}
]


@pytest.mark.parametrize("command", OF_RUNS)
def test_runs_and_studies_of_the_store(store, command):
    bare, do = store.names()
    assert completed(command, "") == [bare, do]
    assert completed(command, bare, "") == [do]
    assert completed(command, bare[:-14]) == [bare]
    assert completed(command, "--study", "") == ["pair", "all"]
    assert completed("pack", "--study", "p") == ["pair"]
    assert completed("export", do[:-1]) == completed("show", do[:-1]) == [do]
    assert completed("diff", "") == [bare, do]
    assert completed("diff", bare, "") == [do]


def test_the_store_is_the_one_that_is_chosen(store, monkeypatch):
    store.root.rename("other")
    assert completed("table", "") == []
    assert completed("table", "--runs-dir", "other", "") == Store(Path("other")).names()
    monkeypatch.setenv("MEMSTUDY_RUNS", "other")
    assert completed("table", "--study", "pa") == ["pair"]


def test_studies_by_name_and_their_files(tmp_path):
    (tmp_path / "studies").mkdir()
    for name in ("here.toml", "studies/quick.toml", "studies/notes.md"):
        (tmp_path / name).touch()
    assert completed("study", "") == [
        *shipped.names(),
        "status",
        "cancel",
        "list",
        "init",
        "here.toml",
        "studies/quick.toml",
    ]
    assert completed("study", "qu") == ["quick"]
    assert completed("study", "li") == ["list"]
    assert completed("study", "quick", "li") == ["<file>"]
    assert completed("study", "list", "no") == ["noise_grid", "norm_loss"]
    assert completed("study", "studies/") == ["studies/quick.toml"]
    assert completed("study", "here.toml", "st") == ["studies/quick.toml"]
    assert completed("study", "studies/no") == ["<file>"]
    assert completed("study", "--trai") == ["--train-only"]
    assert completed("study", "list", "--js") == ["--json"]
    assert completed("study", "init", "") == ["<file>"]


def test_scales_of_the_study_on_the_line(tmp_path):
    (tmp_path / "mine.toml").write_text("[scale.tiny]\n")
    assert completed("study", "al2", "--scale", "") == ["lite", "gpu"]
    assert completed("study", "al2", "mine.toml", "--scale", "t") == ["tiny"]
    assert completed("study", "quick", "--scale", "") == []
    assert completed("study", "none.toml", "--scale", "") == []


def test_another_package_s_regularizer(tmp_path, monkeypatch):
    package(tmp_path, "[memstudy.regularizers]\nsmall = methods:Small\n")
    (tmp_path / "methods.py").write_text(METHOD)
    monkeypatch.syspath_prepend(str(tmp_path))
    new_process("methods")
    assert completed("run", "--reg", "do+s") == ["do+small"]
    assert "olm, small;" in " ".join(CliRunner().invoke(main, ["run", "--help"]).output.split())
    monkeypatch.undo()
    new_process("methods")


@pytest.mark.parametrize(
    "words",
    [
        ("rnu", ""),
        ("run", "--epochs", "soon", "--reg", ""),
        ("run", "--matrix", "none.npy", "--reg", ""),
        ("table", "--runs-dir", "a file", ""),
        ("table", "--runs-dir", "a file", "--study", ""),
        ("run", "--data-dir", "a file", "--dataset", "zzz"),
        ("run", "--josn", ""),
    ],
    ids=" ".join,
)
def test_a_mistake_on_the_line_raises_nothing(tmp_path, words, capsys):
    (tmp_path / "a file").touch()
    completed(*words)
    assert capsys.readouterr() == ("", "")


def test_a_damaged_study_is_left_out(store):
    (store.folder("pair") / "study.json").write_text("{")
    assert completed("table", "--study", "") == ["all"]


def test_completing_needs_no_torch(store):
    lines = [["run", "--reg", "a"], ["run", "--noise", "p"], ["run", "--network", "s"], ["run", "--dataset", "m"],
             ["table", "m"], ["table", "--study", "p"], ["study", "q"],
             ["study", "al2", "--scale", ""]]  # fmt: skip
    code = f"""
import sys
from click.shell_completion import ShellComplete
from memstudy.cli import main
found = [ShellComplete(main, {{}}, "memstudy", "_X").get_completions(words[:-1], words[-1]) for words in {lines}]
assert all(found), found
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_says_where_it_goes(shell):
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0, done.output
    *script, last = done.stdout.splitlines()
    assert f"_MEMSTUDY_COMPLETE={shell}_complete" in done.stdout
    assert "_memstudy_completion" in done.stdout
    assert last.startswith("# ")
    assert f"memstudy completion {shell}" in last
    assert (script[0] == "#compdef memstudy") == (shell == "zsh")


def test_an_unknown_shell():
    done = CliRunner().invoke(main, ["completion", "tcsh"])
    assert done.exit_code == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in done.stderr


def shell(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"there is no {name} here")


@pytest.mark.parametrize("name", [pytest.param(name, marks=shell(name)) for name in ("bash", "zsh", "fish")])
def test_a_real_shell_reads_the_script(tmp_path, name):
    script = CliRunner().invoke(main, ["completion", name]).stdout
    (tmp_path / "script").write_text(script)
    done = subprocess.run([name, "-n", "script"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@shell("bash")
def test_a_real_bash_completes(tmp_path, store):
    """As at a press of Tab: bash calls the function of the script, which calls memstudy."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "memstudy"
    code = 'from memstudy.cli import main; main(prog_name="memstudy")'
    command.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{code}' \"$@\"\n")
    command.chmod(0o755)
    ask = textwrap.dedent("""
        eval "$(memstudy completion bash)"
        ask() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            _memstudy_completion memstudy
            echo "${COMPREPLY[@]}"
        }
        ask memstudy run --reg bn+d
        ask memstudy runs --js
        ask memstudy table --study pa
        ask memstudy table ""
        complete -p memstudy
    """)
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=False, env=environment)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "bn+do", "--json", "pair", " ".join(store.names()), "complete -o nosort -F _memstudy_completion memstudy",
    ]  # fmt: skip
