"""`memstudy show` and `memstudy diff`: one run in full, and what differs between runs."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from memstudy import presets
from memstudy.cli import main
from memstudy.data import artifact, dataset
from memstudy.recipe import Corruption, Recipe
from memstudy.store import RunDirectory, Status, Store
from tests.kit.commands import commands
from tests.kit.runs import write_run

SESSION = {
    "from_epoch": 0, "date": "2026-11-28T12:00:00+00:00", "memstudy": "0.1.0", "commit": "c" * 40,
    "python": "3.11.7", "packages": {"torch": "2.14.1"}, "system": "Linux x86_64", "device": "cpu",
    "device_name": "some CPU", "threads": 1,
}  # fmt: skip
EPOCHS = [{"test_accuracy": 0.9, "memorized": 0.1}, {"test_accuracy": 0.5, "memorized": 0.7}]


@pytest.fixture(scope="session")
def labels(small) -> dict[int, bytes]:
    """labels.npz of the 400 images, by the seed of the corruption."""
    return {seed: artifact.content(dataset.corrupt(small, Corruption(seed=seed))) for seed in (0, 1)}


@pytest.fixture
def written(tmp_path, labels, monkeypatch):
    """Write a finished run of two epochs."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("COLUMNS", raising=False)

    def write(state: dict[str, Any] | None = None, **given: Any) -> RunDirectory:
        recipe = presets.build(**{"epochs": 2, **given})
        seed = recipe.corruption.seed
        facts: dict[str, Any] = {"sessions": [SESSION], "data_sha256": "d" * 64, "corrupted_share": 0.75} | (
            state or {}
        )
        return write_run(tmp_path / "runs", recipe, EPOCHS, status=Status.FINISHED, labels=labels[seed], **facts)

    return write


def shown(command, *words: str) -> dict[str, Any]:
    done = command(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout, parse_constant=pytest.fail)


# show


def test_a_recipe_is_shown_in_full_and_what_differs_from_the_preset_is_marked(command, written):
    run = written(lr=0.1, reg="do+al2", options={"do": {"p": 0.25}})
    facts = shown(command, "show", run.name)
    assert (facts["preset"], facts["changed"]) == (
        "quick", {"reg": "bare", "do.p": 0.5, "epochs": 25, "lr": 0.03},
    )  # fmt: skip
    settings = facts["settings"]
    assert (settings["lr"], settings["do.p"], settings["al2.advance"], settings["optimizer"]) == (
        0.1,
        0.25,
        5,
        "sgd",
    )
    lines = [line.split() for line in command("show", run.name).stdout.splitlines()]
    assert ["*", "lr", "0.1", "(0.03)"] in lines
    assert ["*", "do.p", "0.25", "(0.5)"] in lines
    assert ["batch-size", "64"] in lines
    assert ["al2.advance", "5"] in lines  # as the preset has it


def test_an_option_that_is_changed_and_left_out_of_the_recipe_is_shown(command, written):
    """bn.gamma: under the preset al2 it is uniform, and a recipe does not have it at its own default."""
    run = written(preset="al2", reg="bn", options={"bn": {"gamma": "one"}}, checkpoints=(0,))
    facts = shown(command, "show", run.name)
    assert facts["preset"] == "al2"
    assert facts["changed"]["bn.gamma"] == "uniform"
    assert facts["settings"]["bn.gamma"] == "one"


def test_data_machine_numbers_and_verdict_are_shown(command, written, small):
    run = written()
    facts, text = shown(command, "show", run.name), command("show", run.name).stdout
    assert facts["data"]["samples"] == len(small.train_labels) == 400
    assert facts["data"]["corrupted"] == round(400 * artifact.read(run.path / "labels.npz").rate_realized)
    assert f"75.00 % of the labels ({facts['data']['corrupted']}) are corrupted" in text
    assert facts["sessions"] == [SESSION]
    assert "from epoch 0, 2026-11-28 12:00: cpu (some CPU), Linux x86_64, 1 thread; memstudy 0.1.0" in text
    assert (facts["last"]["epoch"], facts["last"]["test_accuracy"]) == (1, 0.5)
    assert (facts["best"]["epoch"], facts["best"]["test_accuracy"]) == (0, 0.9)
    assert facts["verdict"]["memorizes"] is True
    assert facts["verdict_text"] in text
    assert "verdict: it memorizes most of the corrupted labels" in text
    assert {"recipe.toml", "state.json", "metrics.csv", "labels.npz"} <= facts["files"].keys()
    assert facts["files"]["metrics.csv"] == (run.path / "metrics.csv").stat().st_size
    assert [session["date"] for session in facts["sessions"]] == [facts["begun"]]


def test_what_can_be_made_next_follows_from_what_is_there(command, written):
    run = written()
    digits = run.recipe.id[:8]
    packed = shown(command, "show", run.name)["next"]
    assert packed[:2] == [f"memstudy table {digits}", f"memstudy figures {digits}"]
    assert "these are not here" in packed[2]
    run.save_checkpoint(1, {})
    run.update(status=Status.INTERRUPTED)
    commands = shown(command, "show", run.name)["next"]
    assert commands[0].startswith(f"memstudy run --recipe runs/{run.name}/recipe.toml")
    assert {f"memstudy svcca {digits}", f"memstudy export {digits} --cleanlab probs.npz"} <= {*commands}
    assert not any(line.startswith("memstudy dynamics") for line in commands)
    assert "with --dynamics" in commands[-1]
    elsewhere = shown(command, "show", run.name, "--runs-dir", str(run.path.parent))["next"]
    assert f"memstudy svcca {digits} --runs-dir {run.path.parent}" in elsewhere


def test_commands_that_are_told_are_taken_as_they_are_by_a_shell(command, written, tmp_path):
    """Of a store whose path has blanks, and what a shell would read otherwise."""
    run, place = written(), tmp_path / "my runs #1 & $HOME"
    run.update(status=Status.INTERRUPTED)
    run.path.parent.rename(place)
    told = shown(command, "show", run.name, "--runs-dir", str(place))["next"]
    assert shlex.split(told[0], comments=True)[2:] == [
        "--runs-dir", str(place), "--recipe", f"{place}/{run.name}/recipe.toml",
    ]  # fmt: skip
    assert all(str(place) in shlex.split(line) for line in told[1:3])


def test_tables_and_studies_that_have_a_run_are_named(command, written):
    run, other = written(), written(seed=1)
    store = Store(run.path.parent)
    store.record_study("both", [run, other], {})
    store.record_study("one", [other], {})
    (store.folder("both") / "svcca.csv").write_text(f"run_a,run_b\n{run.name},x\n")
    facts = shown(command, "show", run.name)
    assert (facts["studies"], facts["derived"]) == (["both"], ["studies/both/svcca.csv"])


def test_a_failed_run_and_one_that_has_only_begun_are_shown(command, tmp_path):
    failed = write_run(tmp_path / "runs", presets.build(epochs=2), status=Status.FAILED, failure="the loss is nan")
    text = command("show", failed.name).stdout
    assert "failed, 0 of 2 epochs done\nfailed: the loss is nan\n" in text
    assert "no verdict: its labels are not here." in text
    facts = shown(command, "show", failed.name)
    assert (facts["best"], facts["verdict"], facts["last"]) == (None, None, {})
    assert facts["next"] == [f"memstudy run --recipe runs/{failed.name}/recipe.toml   # trains it to its end"]


def test_files_that_are_not_here_are_named(command, written):
    run = written()
    assert shown(command, "show", run.name)["absent"] == []
    assert "not here:" not in command("show", run.name).stdout
    (run.path / "labels.npz").unlink()
    assert shown(command, "show", run.name)["absent"] == ["labels.npz"]
    assert "  not here: labels.npz" in command("show", run.name).stdout


@pytest.mark.parametrize("words", [("show", "*"), ("runs",), ("runs", "--json"), ("rm", "--yes", "*")])
def test_a_damaged_study_is_named_by_what_lists_studies(command, written, words):
    run = written()
    store = Store(run.path.parent)
    for name in ("one", "two"):
        store.record_study(name, [run], {})
    path = store.folder("two") / "study.json"
    path.write_text(path.read_text().replace('"two"', '"tow"').replace("-bare-", "-bear-"))
    done = command(*words)
    assert done.exit_code == 0
    assert "two/study.json is damaged" in done.stderr.replace("\n", "")


def test_a_damaged_run_is_told_in_a_sentence(command, written):
    run = written()
    (run.path / "metrics.csv").write_text("nothing")
    done = command("show", run.name)
    assert (done.exit_code, "metrics.csv is damaged" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["show", "nope"], "unknown run 'nope'; known are mnist5k-"),
        (["show", "mnist5k"], "one run is wanted, and 'mnist5k' names 2; choose of mnist5k-"),
        (["show"], "Missing argument 'RUN'"),
        (["diff"], "Missing argument 'RUN RUN [RUN]...'"),
        (["diff", "*-s1-*"], "two runs or more are compared"),
        (["diff", "mnist5k", "nope"], "unknown run 'nope'"),
        (["show", "mnist5k-symmetric0.75-epochs2-bare-s2"], "did you mean mnist5k-symmetric0.75-epochs2-bare-s"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_a_mistake_is_one_sentence(command, written, words, says):
    written()
    written(seed=1)
    done = command(*words)
    assert done.exit_code == 2
    assert says in done.stderr


def test_an_empty_store_says_how_to_fill_it(command):
    for words in (("show", "x"), ("diff", "x", "y")):
        done = command(*words)
        assert (done.exit_code, "make one with 'memstudy run'" in done.stderr) == (2, True)


def test_a_run_is_chosen_in_every_way(command, written):
    run = written()
    for pattern in (run.name, run.name[:20], "*-bare-s0-*", run.recipe.id[:8], run.recipe.id):
        assert shown(command, "show", pattern)["id"] == run.recipe.id


@pytest.mark.parametrize("name", ["runs", "show", "diff"])
def test_help_has_examples_that_would_be_taken(name):
    text = CliRunner().invoke(main, [name, "--help"]).output
    examples = [line.split("   ")[0].split("|")[0] for line in text.splitlines() if f"  memstudy {name}" in line]
    assert len(examples) == (3 if name == "runs" else 2)
    for example in examples:
        commands()[name].make_context(name, shlex.split(example)[2:], parent=click.Context(main))


# diff


def test_nothing_differs_but_the_seed(command, written):
    runs = [written(), written(seed=1)]
    facts = shown(command, "diff", *(run.name for run in runs))
    assert facts["says"] == ["Nothing differs but the seed.", "The noisy labels are the same."]
    assert facts["recipe"] == {"seed": [0, 1]}
    assert (facts["versions"], facts["machine"], facts["only_seeds"]) == ({}, {}, True)
    assert "Nothing differs but the seed." in command("diff", "mnist5k").stdout


def test_other_labels_are_told_with_the_share_of_equal_ones(command, written, labels):
    runs = [written(), written(corrupt_seed=1)]
    noisy = [artifact.read(run.path / "labels.npz").noisy for run in runs]
    facts = shown(command, "diff", *(run.name for run in runs))
    assert facts["says"][0] == "Nothing differs but the seed of the corruption."
    assert facts["labels"] == {"same": False, "agree": [1.0, float(np.mean(noisy[0] == noisy[1]))]}
    assert facts["labels"]["agree"][1] < 0.5
    assert (
        f"{100 * facts['labels']['agree'][1]:.1f} % of the samples have the label of the first run"
        in facts["says"][1]
    )


def test_what_differs_in_the_recipe_is_beside_each_other(command, written):
    runs = [written(lr=0.1), written(reg="do"), written(reg="do", options={"do": {"p": 0.2}})]
    text = command("diff", *(run.name for run in runs)).stdout
    assert "The recipes differ in reg, do.p, lr.\nVersions and machine are the same.\n" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["differs", "in", *(run.recipe.id[:8] for run in runs)] in lines  # in the order of the command
    assert ["do.p", "–", "0.5", "0.2"] in lines
    assert ["lr", "0.1", "0.03", "0.03"] in lines
    facts = shown(command, "diff", *(run.name for run in runs))
    assert facts["recipe"]["do.p"] == [None, 0.5, 0.2]


@pytest.mark.parametrize(
    ("state", "where", "name", "values"),
    [
        ({"sessions": [SESSION | {"packages": {"torch": "2.15.0"}}]}, "versions", "torch", ["2.14.1", "2.15.0"]),
        ({"sessions": [SESSION | {"device": "cuda"}]}, "machine", "device", ["cpu", "cuda"]),
        ({"sessions": [SESSION, SESSION | {"threads": 4}]}, "machine", "threads", [1, "1, 4"]),
        ({"code": {"network 'nets:wide'": {"sha256": "e" * 64, "modules": {}}}}, "versions", "network 'nets:wide'",
         [None, "e" * 8]),
    ],
    ids=["version", "device", "several sessions", "code of others"],
)  # fmt: skip
def test_other_versions_machines_and_code_are_told(command, written, state, where, name, values):
    """With them it is not true that nothing differs but the seed."""
    runs = [written(), written(state, seed=1)]
    facts = shown(command, "diff", *(run.name for run in runs))
    assert facts[where] == {name: values}
    assert facts["says"][0] == "In the recipes nothing differs but the seed."
    assert facts["says"][1] == f"They were carried out with other versions, or elsewhere: {name} differ."


def test_other_images_of_one_name_are_told(command, written):
    runs = [written(), written({"data_sha256": "e" * 64}, seed=1)]
    says = shown(command, "diff", *(run.name for run in runs))["says"]
    assert says[0] == "In the recipes nothing differs but the seed."
    assert says[1] == "They were trained on other images, so their labels are other ones."


def test_numbers_are_those_after_the_last_common_epoch(command, written, tmp_path, labels):
    longer = written()
    shorter: Recipe = replace(longer.recipe, seed=1)
    begun = write_run(tmp_path / "runs", shorter, [{"test_accuracy": 0.75}], labels=labels[0], sessions=[SESSION])
    facts = shown(command, "diff", longer.name, begun.name)
    assert (facts["epoch"], facts["metrics"]["test_accuracy"]) == (0, [0.9, 0.75])
    lines = [line.split() for line in command("diff", longer.name, begun.name).stdout.splitlines()]
    assert ["test_accuracy", "0.9000", "0.7500", "-0.1500"] in lines
    assert ["after", "epoch", "0", longer.recipe.id[:8], begun.recipe.id[:8], "difference"] in lines


def test_without_a_common_epoch_there_are_no_numbers(command, written, tmp_path):
    run = written()
    new = write_run(tmp_path / "runs", replace(run.recipe, seed=1), sessions=[SESSION])
    facts = shown(command, "diff", run.name, new.name)
    assert (facts["epoch"], facts["metrics"]) == (None, {})
    assert facts["says"][-1] == "There is no epoch that all have finished, so no numbers are compared."
    assert facts["labels"]["same"] is None
    assert "cannot be told" in facts["says"][1] or "cannot be told" in facts["says"][2]


def test_labels_of_packed_runs_are_compared_by_their_check_sums(command, written):
    runs = [written(), written(seed=1), written(corrupt_seed=1)]
    for run in runs:
        (run.path / "labels.npz").unlink()
    assert shown(command, "diff", runs[0].name, runs[1].name)["labels"] == {"same": True, "agree": None}
    assert shown(command, "diff", runs[0].name, runs[2].name)["labels"] == {"same": None, "agree": None}


def test_many_runs_leave_out_columns_where_there_is_no_room(command, written, monkeypatch):
    for seed in range(6):
        written(seed=seed)
    monkeypatch.setenv("COLUMNS", "60")
    lines = command("diff", "mnist5k").stdout.splitlines()
    tables = [line for line in lines if line.startswith(("differs in", "seed", "after", "test_"))]
    assert tables
    assert all(len(line) <= 60 for line in tables)
    assert any(line.startswith("no room for ") for line in lines)
