"""Faults in others' code: one sentence each that names whose it is, and where; what is trained stays."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from memstudy import foreign, models, presets
from memstudy.data import RULES
from memstudy.errors import MemstudyError, RunFailed
from memstudy.regularizers import REGULARIZERS
from memstudy.store import Status, Store
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.fleet import Fleet
from tests.kit.others_code import METHOD, new_process, package
from tests.kit.sentences import refused
from tests.kit.sources import stand_in

CPU = Execution(device="cpu")
MODULES = ("ourtest_method", "ourtest_fault_net")
POINTS = """
[memstudy.regularizers]
ourtest = ourtest_method:Small
ourtest-gone = ourtest_nowhere:Small
ourtest-lost = ourtest_method:Large
ourtest-odd = not a module
ourtest-number = math:pi
[memstudy.corruption_rules]
ourtest-rule = ourtest_nowhere:RULE
[memstudy.datasets]
ourtest-set = ourtest_nowhere:SET
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A package with one regularizer that works, and entry points that do not."""
    place = tmp_path / "code"
    package(place, POINTS)
    (place / "ourtest_method.py").write_text(METHOD)
    monkeypatch.syspath_prepend(place)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    new_process(*MODULES)
    yield place
    new_process(*MODULES)


@pytest.fixture
def store(tmp_path, small):
    with stand_in(small, "mnist5k"):
        yield Store(tmp_path / "runs")


def made(reg="ourtest", **others):
    return presets.build(**{"reg": reg, "epochs": 2, "batch_size": 100} | others)


def line_of(file, text):
    """`ourtest_method.py:12`, the one line of a file that has a text."""
    (number,) = [number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line]
    return f"{file.name}:{number}"


# Entry points that do not load


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ourtest-gone", ["ModuleNotFoundError", "'ourtest_nowhere:Small' of ours-to-test 1.0"]),
        ("ourtest-lost", ["AttributeError", "'Large'", "of ours-to-test 1.0"]),
        ("ourtest-odd", ["'not a module' of ours-to-test 1.0"]),
        ("ourtest-number", ["must be a dataclass derived from memstudy.regularizers.Regularizer", "float"]),
    ],
)
def test_an_entry_point_that_does_not_load_is_named_when_it_is_asked_for(folder, name, words):
    refused(lambda: made(name), f"regularizer '{name}'", *words)
    assert made("ourtest+al2").options("ourtest") == {"factor": 0.01}


@pytest.mark.parametrize("fault", ["def f(:", "import ourtest_nowhere", "1 / 0", "raise SystemExit(0)"])
def test_the_place_in_its_file_is_told(folder, fault):
    (folder / "ourtest_method.py").write_text(f"x = 1\n{fault}\n")
    refused(made, "regularizer 'ourtest' cannot be loaded", "ourtest_method.py:2)", "ours-to-test 1.0")


def test_other_commands_do_not_notice(folder, command):
    for words in (["--help"], ["runs"], ["run", "--help"], ["data", "list"], ["data", "rules"]):
        result = command(*words)
        assert result.exit_code == 0, result.output
    assert (
        "ourtest-rule\n    not loadable: corruption rule 'ourtest-rule' cannot be loaded: ModuleNotFoundError"
        in result.output
    )
    listed = json.loads(command("data", "rules", "--json").stdout)
    assert listed["ourtest-rule"]["about"].startswith("not loadable: ")
    assert listed["symmetric"]["rate"]
    (one,) = [
        one for one in json.loads(command("data", "list", "--json").stdout)["sets"] if one["name"] == "ourtest-set"
    ]
    assert one["about"].startswith("not loadable: ")


def test_a_package_with_a_damaged_list_of_entry_points_disturbs_nobody(tmp_path, monkeypatch):
    package(tmp_path / "sound", "[memstudy.regularizers]\nourtest = ourtest_method:Small\n")
    for number, content in enumerate([b"[memstudy.regularizers]\nno equals sign\n", b"\xff\xfe\x00[x]\n"]):
        folder = tmp_path / str(number)
        package(folder, "")
        (folder / "ours_to_test-1.dist-info").rename(folder / f"broken{number}-1.dist-info")
        (folder / f"broken{number}-1.dist-info" / "METADATA").write_text(f"Name: broken{number}\nVersion: 1\n")
        (folder / f"broken{number}-1.dist-info" / "entry_points.txt").write_bytes(content)
        monkeypatch.syspath_prepend(folder)
    monkeypatch.syspath_prepend(tmp_path / "sound")
    new_process()
    assert "ourtest" in REGULARIZERS.names()
    assert RULES.names()
    new_process()


# Hooks that raise, or answer what nobody can use


HOOKS = {
    "raises": (
        "return step.logits.square().mean()",
        "return 1 / 0",
        "ZeroDivisionError: division by zero in penalty",
    ),
    "raises below": (
        "return step.logits.square().mean()",
        "return torch.mm(step.logits, step.logits).sum()",
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied",
    ),
    "a vector": ("square().mean()", "square().mean(1)", "not one of shape (100,); take its sum or mean"),
    "a number": ("return step.logits.square().mean()", "return 3", "not int (3)"),
    "nothing": ("return step.logits", "step.logits", "not NoneType (None)"),
    "whole": ("square().mean()", "argmax().sum()", "not one of torch.int64"),
    "detached": ("square()", "detach().square()", "it has no gradient"),
    "elsewhere": (
        "step.logits.square().mean()",
        "step.logits.square().mean().to('meta')",
        "device cpu, and not on meta",
    ),
    "not finite": ("square().mean()", "square().mean() * float('nan')", "the penalty of regularizer 'ourtest'"),
    "strength": ("return self.factor", "return 'much'", "must return a number or None, not str ('much')"),
}


def spoil(folder, old, new):
    path = folder / "ourtest_method.py"
    assert old in path.read_text()
    path.write_text("import torch\n" + path.read_text().replace(old, new))
    new_process(*MODULES)
    return path


@pytest.mark.parametrize("fault", HOOKS)
def test_a_hook_s_fault_fails_the_run_by_name(folder, store, fault):
    old, new, words = HOOKS[fault]
    path = spoil(folder, old, new)
    run = store.open(made())
    with pytest.raises(RunFailed) as caught:
        carry_out(run, CPU)
    sentence = str(caught.value)
    place = line_of(path, new) if fault.startswith("raises") else f"{path.name}:"
    for part in ("regularizer 'ourtest'", words, place, "epoch 0, step 0", "nothing before it to keep"):
        assert part in sentence
    assert "\n" not in sentence
    state = run.state()
    assert state["status"] == "failed"
    assert words in state["failure"]
    assert words in (run.path / "log.txt").read_text()


def test_what_was_trained_before_a_fault_stays(folder, store):
    spoil(folder, "return self.factor", "return self.factor if epoch < 1 else 1 / 0")
    run = store.open(made())
    with pytest.raises(
        RunFailed, match=r"in strength \(.*at epoch 1, step 0.* after epoch 0 is kept; remove .* and"
    ) as caught:
        carry_out(run, CPU)
    assert str(run.path) in str(caught.value)
    assert (run.status, run.checkpoints(), run.load_resume()[0]) == (Status.FAILED, [0], 1)
    refused(lambda: carry_out(run, CPU), "in strength")  # the same again
    spoil(folder, "if epoch < 1 else 1 / 0", "")
    refused(lambda: carry_out(store.open(made()), CPU), "was trained with other code of regularizer 'ourtest'")


def test_a_fault_at_the_first_step_is_mended_by_mending_it(folder, store):
    spoil(folder, "return step.logits", "return 1 / 0 + step.logits")
    with pytest.raises(RunFailed, match="correct the code, and give the same command again"):
        carry_out(store.open(made()), CPU)
    spoil(folder, "1 / 0 + ", "")
    assert carry_out(store.open(made()), CPU).finished


def test_a_penalty_of_nothing_is_no_fault(folder, store):
    """Where a batch has nothing to penalize, a plain 0 is what one would write."""
    spoil(folder, "return step.logits.square().mean()", "return torch.zeros(())")
    assert carry_out(store.open(made()), CPU).metrics()["penalty_ourtest"].tolist() == [0, 0]


def test_a_finite_penalty_with_an_infinite_strength_is_told_apart(folder, store):
    spoil(folder, "return self.factor", "return float('inf')")
    with pytest.raises(RunFailed, match=r"step 0 \(the strength or the scale of a penalty did: ourtest\)"):
        carry_out(store.open(made()), CPU)


BEGINNINGS = {
    "network_options": ("return {'dropout'}", "must return keyword arguments in a dictionary, not set"),
    "optimizer_options": ("return {'speed': 3}", "the optimizer sgd does not take {'speed': 3}, as ourtest asks"),
    "without_decay": ("return 'all'", "must return parameters in a list"),
    "reparametrize": ("return network.nothing", "raised AttributeError"),
    "__post_init__": ("raise ValueError('no')", "cannot be made of its options: ValueError: no"),
}


@pytest.mark.parametrize("hook", BEGINNINGS)
def test_a_fault_before_training_leaves_nothing(folder, store, hook):
    body, words = BEGINNINGS[hook]
    arguments = "self, network" if hook in ("without_decay", "reparametrize") else "self"
    spoil(folder, "    def strength", f"    def {hook}({arguments}):\n        {body}\n\n    def strength")
    refused(lambda: carry_out(store.open(made()), CPU), "ourtest", words)
    assert not store.root.exists()


NET = """
from torch import nn

class Trunk(nn.Module):
    def forward(self, x):
        if self.training:
            x.nothing
        return x

def net(channels, size, classes):
    return Trunk(), nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))
"""


def test_a_network_s_fault_in_training_is_named(folder, store):
    path = folder / "ourtest_fault_net.py"
    path.write_text(NET)
    run = store.open(made("bare", network="ourtest_fault_net:net"))
    with pytest.raises(RunFailed) as caught:
        carry_out(run, CPU)
    for words in (
        "network 'ourtest_fault_net:net' raised AttributeError",
        "in forward",
        line_of(path, "x.nothing"),
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize("fault", ["sys.exit()", "raise SystemExit(3)"])
def test_a_network_that_would_end_the_process_is_told(folder, fault):
    (folder / "ourtest_fault_net.py").write_text(f"import sys\ndef net(channels, size, classes):\n    {fault}\n")
    recipe = made("bare", network="ourtest_fault_net:net")
    shape = {"channels": 1, "size": 28, "classes": 10}
    generator = torch.Generator()
    refused(
        lambda: models.build(recipe.network, generator=generator, **shape),
        "cannot be built: SystemExit",
        "net.py:3)",
    )


DETACHED = """
from torch import nn

class Cut(nn.Module):
    def forward(self, x):
        return x.detach()

def net(channels, size, classes):
    return nn.Flatten(), nn.Sequential(nn.LazyLinear(classes), Cut())
"""


def test_a_network_without_a_gradient_fails_by_name(folder, store):
    (folder / "ourtest_fault_net.py").write_text(DETACHED)
    with pytest.raises(RunFailed, match=r"logits do not depend on any of its parameters.*at epoch 0, step 0"):
        carry_out(store.open(made("bare", network="ourtest_fault_net:net")), CPU)


def test_what_is_ours_is_never_blamed():
    models.check("memstudy.models.vgg16:vgg16")
    with pytest.raises(TypeError) as caught:
        models.NETWORKS.get("vgg16")(None, None, None)
    assert foreign.blame(caught.value) is None


def test_in_a_study_the_others_go_on(folder, store):
    spoil(folder, "return step.logits", "return 1 / 0 + step.logits")
    fleet = Fleet(CPU, 2)
    for reg in ("ourtest", "bare"):
        fleet.add(store.open(made(reg)))
    ended: dict[bool, MemstudyError | None] = {}
    while fleet.busy:
        ended |= {outcome.run.recipe.options("ourtest") is None: outcome.error for outcome in fleet.turn()}
    assert ended[True] is None
    assert isinstance(ended[False], RunFailed)
    assert "in penalty (" in str(ended[False])


def test_memory_that_is_short_is_nobody_s_fault(folder, store):
    spoil(
        folder, "return step.logits", "raise torch.OutOfMemoryError('out of memory')\n        return step.logits"
    )
    with pytest.raises(torch.OutOfMemoryError):
        carry_out(store.open(made()), CPU)
    assert store.open(made()).status is Status.INTERRUPTED


def test_the_command_line_says_it_in_one_sentence(folder, tmp_path):
    """The whole way, in a process of its own: exit code 1, no traceback; `runs` shows it."""
    spoil(folder, "return step.logits", "return 1 / 0 + step.logits")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    words = ["run", "--reg", "ourtest", "--train-size", "200", "--epochs", "1", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "memstudy", *words],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    *_, line = done.stderr.splitlines()
    assert (
        "regularizer 'ourtest' raised ZeroDivisionError: division by zero in penalty (code/ourtest_method.py:"
        in line
    )
    (state,) = Path(tmp_path, "runs").glob("*/state.json")
    assert json.loads(state.read_text())["status"] == "failed"
