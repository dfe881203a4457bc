"""Code that a file names runs only if the user allows it; a module here leaves a mark when it is imported."""

import os
import pickle
import shutil
import sys
from contextlib import contextmanager
from typing import Any

import click
import pytest
from click.testing import CliRunner

import memstudy
from memstudy import files, presets, trust
from memstudy import recipe as recipes
from memstudy.cli import asking, main
from memstudy.data import artifact
from memstudy.data.corruption import SYMMETRIC
from memstudy.errors import Interrupted
from memstudy.report import noise
from memstudy.store import RunDirectory, Store, code
from memstudy.study import grid
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.executors.chunk import Chunk
from memstudy.study.executors.processes import carry_out_all
from memstudy.study.watcher import Watcher
from tests.kit.others_code import METHOD, NET, new_process, package
from tests.kit.sentences import refused
from tests.kit.sources import stand_in

MODULES = ("ourtest_net", "ourtest_layers", "ourtest_parts", "ourtest_deep")
LEAVES_MARK = "from pathlib import Path\nPath(__file__).with_suffix('.mark').touch()\n"
POINTS = """
[memstudy.regularizers]
ourtest = ourtest_parts:Small
[memstudy.corruption_rules]
ourtest-rule = ourtest_parts:RULE
[memstudy.datasets]
ourtest-set = ourtest_parts:SET
[memstudy.networks]
ourtest-network = ourtest_parts:net
"""
PARTS = (
    METHOD
    + """
from memstudy.data.corruption import SYMMETRIC as RULE
from memstudy.data.embedded import MNIST5K as SET
from memstudy.models.smallnet import smallnet as net
"""
)
SMALL: dict[str, Any] = {"epochs": 2, "batch_size": 100, "checkpoints": 2}
NAMED = {
    "network": {"network": "ourtest_net:net"},
    "network of a package": {"network": "ourtest-network"},
    "regularizer": {"reg": "ourtest"},
    "rule": {"noise": "ourtest-rule"},
    "set": {"dataset": "ourtest-set"},
}
QUESTION = "to use it is to run the code in"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a user's code is: a network that imports a module beside it, and a package with one of each kind."""
    place = tmp_path_factory.mktemp("code")
    (place / "ourtest_net.py").write_text(LEAVES_MARK + NET.format(layers="ourtest_layers"))
    (place / "ourtest_layers.py").write_text("def width():\n    return 4\n")
    (place / "ourtest_parts.py").write_text(LEAVES_MARK + PARTS)
    (place / "ourtest_deep").mkdir()
    (place / "ourtest_deep" / "__init__.py").write_text(LEAVES_MARK)
    package(place, POINTS)
    return place


@pytest.fixture(autouse=True)
def _new(folder, small, tmp_path, monkeypatch):
    """Each test is a new process of a user of whom nothing is remembered."""
    monkeypatch.setenv("MEMSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.delenv(trust.VARIABLE, raising=False)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    again(folder)
    with stand_in(small, "mnist5k"):
        yield
    again(folder)


def again(folder):
    """As if the next thing were done by a new process; no module has been imported."""
    new_process(*MODULES)
    for mark in folder.rglob("*.mark"):
        mark.unlink()


def ran(folder):
    """The modules that were imported since."""
    return sorted(mark.stem for mark in folder.rglob("*.mark"))


def made(**named):
    """A recipe that the user has made, who allows what is in it."""
    trust.allow(presets.names(named))
    chosen: dict[str, Any] = SMALL | named
    return presets.build(**chosen)


def command(*words, answer=None):
    """What a command says; with an answer, there is somebody at a terminal."""
    with at_terminal() if answer is not None else nobody():
        return CliRunner().invoke(main, words, input=answer)


@contextmanager
def at_terminal():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "can_answer", lambda: True)
        yield


@contextmanager
def nobody():
    yield


@pytest.fixture(scope="module")
def trained(folder, small, tmp_path_factory):
    """The store of somebody else: a run with the network, and one with all that a package registers."""
    root = tmp_path_factory.mktemp("theirs")
    with pytest.MonkeyPatch.context() as patch, stand_in(small, "mnist5k"), trust.everything():
        patch.syspath_prepend(folder)
        patch.setattr(sys, "dont_write_bytecode", True)
        new_process(*MODULES)
        runs = [
            carry_out(Store(root).open(made(network="ourtest_net:net", **others)), Execution(device="cpu"))
            for others in ({}, {"reg": "ourtest", "noise": "ourtest-rule"})
        ]
        Store(root).record_study("theirs", runs, {})
    again(folder)
    return root


@pytest.fixture
def theirs(trained, tmp_path):
    """A copy of that store, just unpacked."""
    shutil.copytree(trained, tmp_path / "runs")
    return tmp_path / "runs"


def written(path, **named):
    """A recipe's file, as from somebody else."""
    with trust.everything():
        path.write_text(presets.build(**SMALL | named).to_toml())
    return path


def contents(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


# A recipe from elsewhere


@pytest.mark.parametrize("chosen", NAMED.values(), ids=NAMED)
def test_what_a_recipe_s_file_names_does_not_run_by_itself(folder, tmp_path, chosen):
    path = written(tmp_path / "recipe.toml", **chosen)
    again(folder)
    result = command("run", "--recipe", str(path), "--device", "cpu")
    assert result.exit_code == 2
    name = next(iter(chosen.values()))
    assert f"{path} names the " in result.output
    assert repr(name) in result.output
    module = "ourtest_net" if ":" in name else "ourtest_parts"
    assert f"{QUESTION} {folder / module}.py; look at that, and give --trust" in result.output
    assert ran(folder) == []
    assert not (tmp_path / "runs").exists()
    with trust.everything():
        list(code.of(recipes.read(path)))
    assert ran(folder), "the control: with trust it is imported"


@pytest.mark.parametrize(
    ("answer", "status"), [("n\n", 2), ("\n", 2), ("", 2), ("yes please\n", 2), ("y\n", 0), ("Yes\n", 0)]
)
def test_at_a_terminal_it_is_asked_and_no_is_the_default(folder, tmp_path, answer, status):
    path = written(tmp_path / "recipe.toml", network="ourtest_net:net")
    again(folder)
    result = command("run", "--recipe", str(path), "--device", "cpu", answer=answer)
    assert result.exit_code == status
    assert result.output.count("May it run? [y/N]") == 1
    assert ran(folder) == (["ourtest_net"] if status == 0 else [])
    assert (tmp_path / "runs").exists() == (status == 0)


def test_trust_allows_it_for_this_command_alone(folder, tmp_path):
    path = written(tmp_path / "recipe.toml", network="ourtest_net:net")
    again(folder)
    assert command("run", "--recipe", str(path), "--device", "cpu", "--trust").exit_code == 0
    assert ran(folder) == ["ourtest_net"]
    again(folder)
    assert command("svcca", "--device", "cpu", "--study", "all").exit_code == 2
    assert ran(folder) == []


@pytest.mark.parametrize(("value", "status"), [("1", 0), ("0", 2), ("", 2), ("yes", 2)])
def test_the_variable_allows_it_if_it_is_1(folder, tmp_path, monkeypatch, value, status):
    path = written(tmp_path / "recipe.toml", network="ourtest_net:net")
    again(folder)
    monkeypatch.setenv(trust.VARIABLE, value)
    assert command("run", "--recipe", str(path), "--device", "cpu").exit_code == status


@pytest.mark.parametrize(
    "name", ["posix:abort", "sys:exit", "os.path:join", "builtins:exec", "memstudy.files:write"]
)
def test_functions_of_python_s_library_are_others_code_too(tmp_path, name):
    """Their modules are loaded already, and the function that is named would be called."""
    path = tmp_path / "recipe.toml"
    training = "[training]\nepochs = 1\nbatch_size = 10\nlearning_rate = 0.1\nmomentum = 0\n"
    path.write_text(f'dataset = "mnist5k"\nnetwork = "{name}"\n{training}')
    recipe = recipes.read(path)
    refused(lambda: presets.check(recipe), f"names the network {name!r}, and {QUESTION}")


def test_our_own_networks_are_never_asked_about(tmp_path):
    for name in ("smallnet", "torchvision:resnet18", "memstudy.models.smallnet:smallnet"):
        assert presets.check(recipes.read(written(tmp_path / "recipe.toml", network=name)))


def test_a_package_that_lacks_the_named_module_does_not_run_either(folder, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_text := written(path, network="smallnet").read_text().split("\n", 1)[1])
    path.write_text(recipe_text.replace("smallnet", "ourtest_deep.lost:net"))
    result = command("run", "--recipe", str(path))
    assert (result.exit_code, ran(folder)) == (2, [])
    assert f"{QUESTION} {folder / 'ourtest_deep' / '__init__.py'}" in result.output
    path.write_text(recipe_text.replace("smallnet", "ourtest_nowhere:net"))  # there is nothing to ask about
    assert "cannot import 'ourtest_nowhere'" in command("run", "--recipe", str(path)).output


def test_a_file_s_name_does_nothing_to_the_terminal_that_it_is_shown_on(folder, tmp_path):
    place = tmp_path / "a\x1b[2Jb"
    place.mkdir()
    path = written(place / "recipe.toml", network="ourtest_net:net")
    again(folder)
    result = command("run", "--recipe", str(path), answer="n\n")
    assert "May it run?" in result.output
    assert "\x1b" not in result.output


# What the user names


def test_who_names_a_network_himself_is_not_asked_then_nor_later(folder, tmp_path):
    words = ("--network", "ourtest_net:net", "--epochs", "2", "--batch-size", "100", "--device", "cpu")
    assert command("run", *words).exit_code == 0
    for verb in ("svcca", "ablate"):
        again(folder)
        assert command(verb, "--study", "all", "--device", "cpu").exit_code == 0
        assert ran(folder) == ["ourtest_net"], "the control: it needs the network"
    again(folder)
    assert command("run", "--recipe", str(next((tmp_path / "runs").glob("*/recipe.toml")))).exit_code == 0


def test_who_names_a_package_s_parts_himself_is_not_asked(folder, tmp_path):
    words = (
        "--reg",
        "ourtest",
        "--noise",
        "ourtest-rule",
        "--epochs",
        "2",
        "--batch-size",
        "100",
        "--device",
        "cpu",
    )
    assert command("run", *words).exit_code == 0
    again(folder)
    assert command("run", "--recipe", str(next((tmp_path / "runs").glob("*/recipe.toml")))).exit_code == 0


@pytest.mark.parametrize("module", ["ourtest_net", "ourtest_layers"])
def test_what_was_allowed_is_asked_again_when_its_code_is_another(folder, tmp_path, module):
    path = written(tmp_path / "recipe.toml", network="ourtest_net:net")
    again(folder)
    assert command("run", "--recipe", str(path), "--device", "cpu", answer="y\n").exit_code == 0
    again(folder)
    assert "May it run?" not in command("run", "--recipe", str(path), answer="").output
    again(folder)
    file = folder / f"{module}.py"
    before = file.read_text()
    try:
        file.write_text(before + "# more\n")
        assert "May it run?" in command("run", "--recipe", str(path), answer="").output
        assert ran(folder) == []
    finally:
        file.write_text(before)


def test_what_was_allowed_is_asked_again_when_it_lies_elsewhere(folder, tmp_path, monkeypatch):
    """As a module of the same name in a folder that came with the recipe would."""
    path = written(tmp_path / "recipe.toml", network="ourtest_net:net")
    again(folder)
    assert command("run", "--recipe", str(path), "--device", "cpu", answer="y\n").exit_code == 0
    shutil.copytree(folder, tmp_path / "elsewhere")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    again(folder)
    assert command("run", "--recipe", str(path)).exit_code == 2


def test_a_store_brings_no_consent_along(folder, theirs):
    """What is remembered is in the user's cache, and of a user that has none nothing is."""
    words = ("svcca", "--device", "cpu", "--runs-dir", str(theirs))
    assert command(*words, answer="y\ny\ny\ny\n").exit_code == 0
    again(folder)
    assert command(*words).exit_code == 0
    again(folder)
    shutil.rmtree(files.cache_directory())
    assert command(*words).exit_code == 2


def test_a_cache_that_cannot_be_written_is_no_fault(folder, tmp_path, monkeypatch):
    path = written(tmp_path / "recipe.toml", network="ourtest_net:net")
    again(folder)
    (tmp_path / "file").touch()
    monkeypatch.setenv("MEMSTUDY_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        again(folder)
        assert (
            "May it run?"
            in (said := command("run", "--recipe", str(path), "--device", "cpu", answer="y\n")).output
        )
        assert said.exit_code == 0


def test_one_thing_is_asked_once(folder, tmp_path):
    several = 'network = "ourtest_net:net"\nreg = ["bare", "al2", "ourtest"]\n'
    (tmp_path / "s.toml").write_text(f"seeds = 3\n{STUDY}{several}")
    result = command("study", "./s.toml", "--dry-run", "--device", "cpu", answer="y\ny\n")
    assert result.exit_code == 0, result.output
    assert result.output.count("May it run?") == 2
    again(folder)
    shutil.rmtree(files.cache_directory() / "trusted")
    result = command("study", "./s.toml", "--dry-run", answer="y\nn\n")
    assert (result.exit_code, result.output.count("May it run?")) == (2, 2)
    assert "names the regularizer 'ourtest'" in result.output


# Every way in


STUDY = '[grid]\nepochs = 2\nbatch_size = 100\ncheckpoints = 2\nnoise = "pair"\ncorrupt = 0.5\n'


@pytest.mark.parametrize("chosen", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("written_as", ["a word", "a list", "[common]", "a scale's"])
def test_a_study_s_file_is_asked_about(folder, tmp_path, chosen, written_as):
    (key, name), path = next(iter(chosen.items())), tmp_path / "s.toml"
    line = f'{key} = "{name}"\n' if written_as != "a list" else f'{key} = ["{name}"]\n'
    grid_text = STUDY.replace('noise = "pair"\n', "") if key == "noise" else STUDY
    texts = {"[common]": f"[common]\n{line}{grid_text}", "a scale's": f"{grid_text}[scale.big.common]\n{line}"}
    path.write_text(texts.get(written_as, grid_text + line))
    scale = "big" if written_as == "a scale's" else None
    refused(lambda: grid.read(path, scale=scale), "s.toml names the")
    assert ran(folder) == []
    with trust.everything():
        code.ask([RunDirectory(tmp_path, one) for one in grid.read(path, scale=scale).recipes])
    assert ran(folder), "the control"


@pytest.mark.parametrize(
    "words",
    [["study"], ["study", "--dry-run"], ["study", "--train-only"], ["study", "status"]],
    ids=lambda words: " ".join(words),
)
def test_no_command_on_a_study_runs_its_code(folder, tmp_path, words):
    (tmp_path / "s.toml").write_text(STUDY + 'network = "ourtest_net:net"\n')
    place = 2 if words[1:] == ["status"] else 1
    result = command(*words[:place], "./s.toml", *words[place:])
    assert ran(folder) == []
    assert result.exit_code == 2
    assert "--trust" in result.output
    assert not (tmp_path / "runs").exists()


WORDS = {
    "show": ["{run.name}"],
    "rerun": ["{run.name}"],
    "diff": ["{run.name}", "{other.name}"],
    "data show": ["{run}/labels.npz"],
    "run": ["--recipe", "{run}/recipe.toml"],
    "study cancel": ["./s.toml"],
    "study status": ["./s.toml"],
    "study": ["./s.toml", "--dry-run"],
    "export": ["-o", "out.csv"],
    "pack": ["packed"],
    "track": ["--to", "tensorboard"],
    "move": ["*", "moved"],
    "rm": ["*", "--yes"],
}
NEED_CODE = {
    "run", "study", "study status", "rerun", "svcca", "ablate", "probe", "landscape"
}  # fmt: skip
"""Commands that can do nothing without the code that such a run names."""
MAY_USE_CODE = {"show", "report", "data show"}
"""Those that say more with it."""
ELSEWHERE = {"data build", "data list", "data rules", "study init", "study list", "completion", "doctor"}
"""Commands that read no recipe, or, as the doctor, look at all that is installed."""


def leaves(group, words=()):
    """All commands, by their words."""
    for name in group.list_commands(click.Context(group)):
        one = group.get_command(click.Context(group), name)
        if isinstance(one, click.Group):
            yield from leaves(one, (*words, name))
        if not isinstance(one, click.Group) or one.params:
            yield " ".join([*words, name])


def verbs():
    """All commands that this test gives a stranger's store; the tracker's package is not there everywhere."""
    for verb in sorted({*leaves(main)} - ELSEWHERE - {"unpack", "study cancel"}):
        yield pytest.param(verb, marks=pytest.mark.trackers) if verb == "track" else verb


@pytest.mark.parametrize("verb", [*verbs()])
def test_no_command_on_a_stranger_s_store_runs_its_code(folder, theirs, verb):
    if verb == "track":
        pytest.importorskip("tensorboard")
    run = next(path for path in theirs.iterdir() if "ourtest-rule" in path.name)
    other = next(path for path in theirs.iterdir() if "bare" in path.name)
    (theirs.parent / "s.toml").write_text(STUDY + 'network = "ourtest_net:net"\n')
    words = [*verb.split(), *(word.format(run=run, other=other) for word in WORDS.get(verb, ()))]
    words += [] if verb.startswith("data") else ["--runs-dir", str(theirs)]
    before = contents(theirs)
    result = command(*words)
    assert ran(folder) == []
    if verb not in NEED_CODE:
        assert result.exit_code == 0, result.output
    if "--trust" in result.output:
        assert verb in NEED_CODE | MAY_USE_CODE
        assert verb in MAY_USE_CODE or contents(theirs) == before
        assert QUESTION in result.output
        again(folder)
        allowed = command(*words, "--trust")
        assert QUESTION not in allowed.output
        assert allowed.exit_code == 0, allowed.output
        assert ran(folder), "the control: it needs that code"
    else:
        assert verb not in NEED_CODE


def test_a_run_that_was_stopped_is_continued_by_who_named_its_network(folder, tmp_path):
    run = Store(tmp_path / "runs").open(made(network="ourtest_net:net"))
    with pytest.raises(Interrupted):
        carry_out(run, Execution(device="cpu"), Stop())
    again(folder)
    shutil.rmtree(files.cache_directory())
    assert command("run", "--recipe", str(run.path / "recipe.toml"), "--device", "cpu").exit_code == 2
    assert ran(folder) == []
    words = ["--network", "ourtest_net:net", "--epochs", "2", "--batch-size", "100", "--checkpoints", "2"]
    assert command("run", *words, "--device", "cpu").exit_code == 0
    assert ran(folder) == ["ourtest_net"]
    assert len(run.state()["sessions"]) == 2


class Stop(Watcher):
    """Ctrl-C after the first epoch."""

    def epoch_done(self, epoch, metrics):
        raise KeyboardInterrupt


def test_a_packed_study_brings_no_consent_along(folder, theirs, tmp_path):
    assert command("pack", "packed", "--runs-dir", str(theirs)).exit_code == 0
    again(folder)
    assert command("unpack", "packed", "--runs-dir", "mine").exit_code == 0
    for words in (["show", "*-bare-*"], ["table"], ["report"]):
        assert command(*words, "--runs-dir", "mine").exit_code == 0
    recipe = next((tmp_path / "mine").glob("*-bare-*/recipe.toml"))
    assert QUESTION in command("run", "--recipe", str(recipe)).output
    assert ran(folder) == []


def test_a_file_of_labels_can_name_code_too(folder, theirs):
    """The rule that they are of, which knows what its rate is the rate of."""
    labels = next(theirs.glob("*ourtest-rule*/labels.npz"))
    assert noise.describe(artifact.read(labels))["rule"] == "ourtest-rule"
    assert ran(folder) == []
    with trust.everything():
        assert noise.describe(artifact.read(labels))["rule"] == f"ourtest-rule: {SYMMETRIC.about}"


# From Python


def test_from_python_a_file_is_refused_and_a_name_is_allowed(folder, theirs, tmp_path):
    one = next(run for run in memstudy.open(theirs) if "bare" in run.name)
    assert one.metrics().shape[0] == 2
    refused(lambda: memstudy.run(recipe=one.recipe, store=theirs), QUESTION)
    (tmp_path / "s.toml").write_text(STUDY + 'network = "ourtest_net:net"\n')
    refused(lambda: memstudy.study("./s.toml", store=tmp_path / "mine", train_only=True, device="cpu"), QUESTION)
    assert ran(folder) == []
    images = memstudy.images("mnist5k")
    assert memstudy.network("ourtest_net:net", images)
    memstudy.run(network="ourtest_net:net", store=tmp_path / "mine", device="cpu", **SMALL)
    again(folder)  # and it is remembered
    one = next(run for run in memstudy.open(theirs) if "bare" in run.name)
    memstudy.run(recipe=one.recipe, store=theirs)


def test_from_python_trust_is_a_keyword(folder, theirs, tmp_path):
    one = next(run for run in memstudy.open(theirs) if "bare" in run.name)
    memstudy.run(recipe=one.recipe, store=theirs, trust=True)
    assert ran(folder) == ["ourtest_net"]
    again(folder)
    (tmp_path / "s.toml").write_text(STUDY + 'network = "ourtest_net:net"\n')
    memstudy.study("./s.toml", store=tmp_path / "mine", train_only=True, device="cpu", trust=True)
    again(folder)
    one = next(run for run in memstudy.open(theirs) if "bare" in run.name)
    refused(lambda: memstudy.run(recipe=one.recipe, store=theirs), QUESTION)


# In other processes


@pytest.fixture
def stranger(tmp_path):
    (tmp_path / "s.toml").write_text(STUDY + 'network = "ourtest_net:net"\n')
    return tmp_path / "s.toml"


@pytest.mark.parametrize("allowed", [True, False])
def test_a_cluster_s_job_may_what_the_study_s_process_may(folder, stranger, tmp_path, allowed):
    with trust.everything():
        runs = Store(tmp_path / "runs").open_all(grid.read(stranger).recipes)
    if not allowed:
        again(folder)
    chunk = Chunk.of(runs, Execution(device="cpu"), 1, 1, stranger)
    sent = pickle.dumps(chunk)
    again(folder)
    there = pickle.loads(sent)
    if allowed:
        there.check("there")
        assert [outcome.error for outcome in there.carry_out()] == [None]
    else:
        refused(lambda: there.check("there"), QUESTION)
        (outcome,) = there.carry_out()
        assert isinstance(outcome.error, trust.Untrusted)
        assert ran(folder) == []


@pytest.mark.slow  # each process imports torch
@pytest.mark.parametrize("allowed", [True, False])
def test_a_study_s_processes_may_what_their_parent_may(folder, stranger, tmp_path, allowed):
    with trust.everything():
        runs = Store(tmp_path / "runs").open_all(grid.read(stranger).recipes)
    if not allowed:
        again(folder)
    for mark in folder.rglob("*.mark"):
        mark.unlink()
    (outcome,) = carry_out_all(runs, Execution(device="cpu"), jobs=1)
    assert isinstance(outcome.error, trust.Untrusted) == (not allowed)
    assert ran(folder) == (["ourtest_net"] if allowed else [])
    assert not files.cache_directory().joinpath("trusted").exists()
