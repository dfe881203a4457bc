"""Others' code in a run: what it consists of is recorded, another is refused, and its faults are named."""

import json
import sys
import textwrap
from dataclasses import replace

import pytest
import torch

from memstudy import foreign, presets, recipe, trust
from memstudy.derived.ablation import Ablation
from memstudy.derived.ablation.measure import ablate
from memstudy.derived.analysis import Watch
from memstudy.derived.export import cleanlab
from memstudy.derived.landscape import Landscape
from memstudy.derived.probe import Probe
from memstudy.derived.similarity import Similarity
from memstudy.derived.workbench import Workbench
from memstudy.errors import MemstudyError
from memstudy.store import Store, code
from memstudy.store import state as states
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.executors.processes import carry_out_all
from memstudy.study.watcher import Watcher
from tests.kit.others_code import LAYERS, METHOD, NET, new_process, package
from tests.kit.sentences import refused
from tests.kit.sources import stand_in

CPU = Execution(device="cpu")
MODULES = ("ourtest_net", "ourtest_layers", "ourtest_pkg", "ourtest_method")
POINTS = "[memstudy.regularizers]\nourtest = ourtest_method:Small\n"


@pytest.fixture(autouse=True)
def _small(small):
    with stand_in(small, "mnist5k"), trust.everything():
        yield


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a user's files are: net.py, which imports layers.py beside it, and a registered regularizer."""
    place = tmp_path / "code"
    place.mkdir()
    (place / "ourtest_net.py").write_text(NET.format(layers="ourtest_layers"))
    (place / "ourtest_layers.py").write_text(LAYERS.format(width=4))
    (place / "ourtest_method.py").write_text(METHOD)
    package(place, POINTS)
    monkeypatch.syspath_prepend(place)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # edits within a second would not be seen
    new_process(*MODULES)
    yield place
    new_process(*MODULES)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def made(network="ourtest_net:net", reg="bare", epochs=1, **others):
    return presets.build(network=network, reg=reg, epochs=epochs, batch_size=100, checkpoints=1, **others)


def edit(place, old, new):
    assert old in place.read_text()
    place.write_text(place.read_text().replace(old, new))
    new_process(*MODULES)


class Stop(Watcher):
    """Ctrl-C after so many steps, or epochs."""

    def __init__(self, step=None, epoch=None):
        self.step, self.epoch = step, epoch

    def stepped(self, step, steps):
        if step == self.step:
            raise KeyboardInterrupt

    def epoch_done(self, epoch, metrics):
        if epoch + 1 == self.epoch:
            raise KeyboardInterrupt


# What code consists of


def files_of(folder, texts):
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    new_process(*MODULES)


def code_of(module):
    found = foreign.code("it", module)
    assert found is not None
    return found


def modules_of(module):
    return sorted(code_of(module).modules)


def test_code_is_a_module_and_what_it_imports_of_the_user_s(folder):
    files_of(folder, {"ourtest_net.py": "import os, numpy, torch.nn\nimport ourtest_layers"})
    assert modules_of("ourtest_net") == ["ourtest_layers", "ourtest_net"]


def test_imports_are_followed_wherever_they_stand(folder):
    files_of(
        folder,
        {
            "ourtest_net.py": "def f():\n    from ourtest_pkg.deep import thing\n",
            "ourtest_pkg/__init__.py": "",
            "ourtest_pkg/deep/__init__.py": "from . import one\nfrom ..other import x\n",
            "ourtest_pkg/deep/one.py": "import ourtest_net  # in a circle",
            "ourtest_pkg/deep/thing.py": "from ...nowhere import y\nfrom missing import z",
            "ourtest_pkg/other.py": "x = 1",
            "ourtest_pkg/unused.py": "",
        },
    )
    assert modules_of("ourtest_net") == [
        "ourtest_net",
        "ourtest_pkg",
        "ourtest_pkg.deep",
        "ourtest_pkg.deep.one",
        "ourtest_pkg.deep.thing",
        "ourtest_pkg.other",
    ]
    assert "ourtest_pkg" not in sys.modules  # looked at, not imported


def test_an_installed_package_is_its_own_modules_and_no_other_package_s(folder, tmp_path, monkeypatch):
    site = tmp_path / "lib" / "site-packages"
    files_of(
        site,
        {"ourtest_pkg/__init__.py": "from ourtest_pkg import a\nimport ourtest_other\n", "ourtest_pkg/a.py": ""}
        | {"ourtest_other.py": ""},
    )
    monkeypatch.syspath_prepend(site)
    assert modules_of("ourtest_pkg") == ["ourtest_pkg", "ourtest_pkg.a"]
    files_of(folder, {"ourtest_net.py": "import ourtest_pkg"})
    assert modules_of("ourtest_net") == ["ourtest_net"]


def test_equal_code_has_equal_sums_wherever_it_lies(folder, tmp_path, monkeypatch):
    before = code_of("ourtest_net").sha256
    moved = folder.rename(tmp_path / "elsewhere")
    monkeypatch.syspath_prepend(moved)
    new_process(*MODULES)
    assert code_of("ourtest_net").sha256 == before
    edit(moved / "ourtest_layers.py", "4", "5")
    assert code_of("ourtest_net").sha256 != before


def test_what_runs_is_what_was_loaded(folder):
    """A file that is edited while a process runs does not pass for the code that the process has."""
    before = code_of("ourtest_net").sha256
    path = folder / "ourtest_net.py"
    path.write_text(path.read_text() + "# edited\n")
    assert code_of("ourtest_net").sha256 == before
    import importlib

    importlib.reload(sys.modules["ourtest_net"])
    assert code_of("ourtest_net").sha256 != before


def test_our_own_code_is_nobody_else_s():
    assert code.of(made("memstudy.models.smallnet:smallnet", "bn+al2")) == {}
    assert code.of(presets.build(network="torchvision:resnet18")) == {}


def test_code_in_no_file_is_refused(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", None, raising=False)
    refused(lambda: foreign.code("network '__main__:f'", "__main__"), "network '__main__:f'", "in no file")


# What is recorded


def test_identities_do_not_depend_on_code(folder):
    before = made(reg="ourtest").id
    edit(folder / "ourtest_net.py", "stride=7", "stride=6")
    edit(folder / "ourtest_method.py", "square()", "abs()")
    assert made(reg="ourtest").id == before == "676934fe6a09"


def test_a_run_records_the_code_it_was_trained_with(folder, store):
    run = carry_out(store.open(made(reg="ourtest")), CPU)
    found = json.loads((run.path / "state.json").read_text())["code"]
    assert list(found) == ["regularizer 'ourtest'", "network 'ourtest_net:net'"]
    method, network = found.values()
    assert method["distribution"] == "ours-to-test 1.0"
    assert list(method["modules"]) == ["ourtest_method"]
    assert list(network["modules"]) == ["ourtest_layers", "ourtest_net"]
    assert recipe.recorded(run.path / "recipe.toml")["code"] == {w: one["sha256"] for w, one in found.items()}


def test_a_run_without_foreign_code_records_none(store):
    run = carry_out(store.open(made("smallnet")), CPU)
    assert "code" not in run.state()
    assert "code" not in recipe.recorded(run.path / "recipe.toml")


# The law: what was trained with other code is not passed off as the code that is there


EDITS = {
    "the network": (
        "ourtest_net.py",
        "stride=7",
        "stride=6",
        "network 'ourtest_net:net'",
        "ourtest_net was changed",
    ),
    "what it imports": ("ourtest_layers.py", "4", "5", "network 'ourtest_net:net'", "ourtest_layers was changed"),
    "the regularizer": (
        "ourtest_method.py",
        "square()",
        "abs()",
        "regularizer 'ourtest'",
        "ourtest_method was changed",
    ),
    "a comment": ("ourtest_net.py", "\ndef", "# why\ndef", "network 'ourtest_net:net'", "ourtest_net was changed"),
    "the version": (
        "ours_to_test-1.dist-info/METADATA",
        "1.0",
        "1.1",
        "'ourtest'",
        "ours-to-test 1.0 then, ours-to-test 1.1",
    ),
}


@pytest.mark.parametrize("what", EDITS)
def test_a_finished_run_does_not_answer_for_edited_code(folder, store, what):
    run = carry_out(store.open(made(reg="ourtest")), CPU)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    name, old, new, *words = EDITS[what]
    edit(folder / name, old, new)
    sentence = refused(lambda: carry_out(store.open(made(reg="ourtest")), CPU), *words, str(run.path))
    sums = [one["sha256"][:8] for one in run.state()["code"].values()]
    assert any(f"({old_sum})" in sentence for old_sum in sums)
    assert any(f"({now.sha256[:8]}: " in sentence for now in code.of(made(reg="ourtest")).values())
    (outcome,) = carry_out_all([store.open(made(reg="ourtest"))], CPU, jobs=1)
    assert isinstance(outcome.error, code.CodeChanged)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    edit(folder / name, new, old)
    assert carry_out(store.open(made(reg="ourtest")), CPU).finished


def test_an_interrupted_run_is_not_continued_with_edited_code(folder, store, monkeypatch):
    run = store.open(made(epochs=2))
    with pytest.raises(MemstudyError, match="1 of 2 epochs are done"):
        carry_out(run, CPU, Stop(epoch=1))
    edit(folder / "ourtest_layers.py", "4", "5")
    refused(lambda: carry_out(store.open(made(epochs=2)), CPU), "ourtest_layers was changed")
    edit(folder / "ourtest_layers.py", "5", "4")
    assert carry_out(store.open(made(epochs=2)), CPU).finished


def test_a_run_with_nothing_trained_begins_with_the_code_that_is_there(folder, store):
    with pytest.raises(MemstudyError, match="0 of 1 epochs are done"):
        carry_out(store.open(made()), CPU, Stop(step=1))
    edit(folder / "ourtest_layers.py", "4", "5")
    run = carry_out(store.open(made()), CPU)
    assert run.state()["code"]["network 'ourtest_net:net'"]["sha256"] == code.of(made()).popitem()[1].sha256


def test_a_recorded_recipe_is_not_run_with_other_code(folder, store, command, tmp_path):
    run = carry_out(store.open(made()), CPU)
    edit(folder / "ourtest_layers.py", "4", "5")
    result = command("run", "--recipe", str(run.path / "recipe.toml"), "--runs-dir", "others", "--device", "cpu")
    assert result.exit_code == 2
    assert "recorded with other code of network 'ourtest_net:net' (" in result.output
    assert not (tmp_path / "others").exists()


def without_record(run):
    """As an earlier version left it."""
    state = run.state()
    del state["code"]
    states.write(run.path / "state.json", state)


def test_a_run_from_before_there_was_a_record_is_taken_at_its_word(folder, store):
    run = carry_out(store.open(made()), CPU)
    without_record(run)
    edit(folder / "ourtest_net.py", "\ndef", "# why\ndef")
    assert carry_out(store.open(made()), CPU).finished
    assert "code" not in run.state()  # it is written where something is trained
    assert ablate(store.select(), bench(), Ablation(orders=1, seed=0))["run"].unique().tolist() == [run.name]


def test_and_where_its_network_is_another_that_is_one_sentence(folder, store):
    run = carry_out(store.open(made()), CPU)
    without_record(run)
    edit(folder / "ourtest_layers.py", "4", "5")
    refused(lambda: ablate(store.select(), bench(), Ablation(orders=1, seed=0)), run.name, "this network's")


# Analyses leave such a run out


ANALYSES = {
    "svcca.csv": Similarity(),
    "ablation_curves.csv": Ablation(orders=1),
    "probe.csv": Probe(samples=100),
    "landscape.csv": Landscape(images=10),
}


def bench():
    return Workbench(torch.device("cpu"))


@pytest.mark.parametrize("file", ANALYSES)
def test_an_analysis_leaves_out_a_run_whose_code_is_another(folder, store, file):
    """And does so whether or not it has that run's numbers from before: same selection, same bytes."""
    runs = [carry_out(store.open(made(seed=seed)), CPU) for seed in (0, 1)]
    plain = carry_out(store.open(made("smallnet")), CPU)
    selection = replace(store.select(), by_name=True)
    left: list[str] = []
    ANALYSES[file].measure(selection, bench(), Watch(left_out=left.append))
    assert left == []
    edit(folder / "ourtest_layers.py", "4", "5")
    ANALYSES[file].measure(selection, bench(), Watch(left_out=left.append))
    assert len(left) == 2
    assert all(
        one.startswith(f"{run.name} was trained with other code of") for run, one in zip(runs, left, strict=True)
    )
    text = (selection.path / file).read_text()
    assert plain.name in text
    assert not any(run.name in text for run in runs)
    (selection.path / file).unlink()
    ANALYSES[file].measure(selection, bench(), Watch())
    assert (selection.path / file).read_text() == text


@pytest.mark.parametrize("file", ANALYSES)
def test_an_analysis_of_such_runs_alone_is_refused(folder, store, file):
    carry_out(store.open(made()), CPU)
    (folder / "ourtest_net.py").unlink()
    new_process(*MODULES)
    refused(lambda: ANALYSES[file].measure(store.select(), bench(), Watch()), "cannot import 'ourtest_net'")


def test_no_other_way_leads_to_its_network(folder, store):
    run = carry_out(store.open(made()), CPU)
    edit(folder / "ourtest_layers.py", "4", "5")
    for ask in (
        lambda: bench().network(run, 0),
        lambda: bench().untrained(run, torch.zeros(2, 1, 28, 28)),
        lambda: cleanlab(run, bench(), 0),
    ):
        refused(ask, "was trained with other code of network 'ourtest_net:net'")


def test_a_damaged_record_is_one_sentence(folder, store):
    run = carry_out(store.open(made()), CPU)
    sound = dict(run.state())
    values: tuple[object, ...] = (
        3,
        [],
        {"network 'ourtest_net:net'": "abc"},
        {"it": {"sha256": 3, "modules": {}}},
    )
    for value in values:
        states.write(run.path / "state.json", sound | {"code": value})
        refused(lambda: carry_out(store.open(made()), CPU), "state.json", "'code' is not a table of check sums")
