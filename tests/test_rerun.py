"""A run is repeated from its directory alone: equal bytes, or the first epoch, file and size of the difference."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from memstudy import files, presets
from memstudy.cli import main
from memstudy.errors import MemstudyError
from memstudy.store import Status, Store
from memstudy.study import rerun
from memstudy.study.rerun import Difference, differences, execution, repetition, told
from tests.kit.image_folders import write_folder
from tests.kit.others_code import LAYERS, NET, new_process
from tests.kit.outcomes import whole
from tests.kit.runs import write_run

RECIPE = presets.build(epochs=3)


def call(*words):
    result = CliRunner().invoke(main, [*map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def trained(tmp_path):
    """A real run, of 200 images and two epochs."""
    done = call(
        "run", "--reg", "al2", "--epochs", 2, "--train-size", 200, "--corrupt", 0.5, "--runs-dir", tmp_path
    )
    assert done.exit_code == 0, done.output
    (run,) = Store(tmp_path).runs()
    return run


def test_a_run_is_repeated_to_the_byte_and_the_repetition_removed(trained):
    before = whole(trained)
    done = call("rerun", trained.name, "--runs-dir", trained.path.parent, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"run": trained.name, "equal": True, "differences": [], "reasons": []}
    assert "equal: all 9 files" in done.output
    assert whole(trained) == before
    assert list((trained.path.parent / rerun.RERUNS).iterdir()) == []


def test_another_machine_is_named_with_the_first_epoch_and_the_size(trained, monkeypatch):
    """The same training with weights moved by a rounding error, on a torch of another version."""
    from memstudy.study import environment
    from memstudy.training import state

    initial = state.TrainingState.initial

    def moved(*words):
        made = initial(*words)
        with torch.no_grad():
            next(made.network.parameters()).mul_(1 + 1e-4)
        return made

    monkeypatch.setattr(state.TrainingState, "initial", moved)
    monkeypatch.setattr(environment, "installed", lambda package: "99.0" if package == "torch" else "1.0")
    done = call("rerun", trained.name, "--runs-dir", trained.path.parent)
    assert done.exit_code == 1
    assert "files have other bytes, first after epoch 0 (counted from 0)" in done.output
    assert "checkpoints/epoch-0000.safetensors" in done.output
    assert ", now 99.0" in done.output
    assert repetition(trained).finished  # it is kept, to be looked at


@pytest.fixture
def pair(tmp_path):
    """A run by hand, and its repetition with what the caller changes: one value of one epoch."""

    def make(epoch, value, **state):
        rows = [{"test_accuracy": 0.25}, {"test_accuracy": 0.5}, {"test_accuracy": 0.75}]
        run = write_run(tmp_path, RECIPE, rows, status=Status.FINISHED)
        rows[epoch] = {"test_accuracy": value}
        return run, write_run(tmp_path / rerun.RERUNS, RECIPE, rows, status=Status.FINISHED, **state)

    return make


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_the_first_epoch_and_the_number_are_named(pair, epoch):
    run, again = pair(epoch, 0.3125)
    then = [0.25, 0.5, 0.75][epoch]
    words = f"test_accuracy {then!r}, now 0.3125, a difference of {abs(then - 0.3125):.1e}"
    assert differences(run, again) == [Difference("metrics.csv", epoch, words)]


def test_equal_bytes_are_no_difference(pair):
    run, again = pair(1, 0.5)
    assert differences(run, again) == []
    assert next(iter(told(run, again, []))).startswith("equal: ")


def test_not_a_number_twice_is_no_difference_and_once_is_one(tmp_path):
    rows = [{"memorized": np.nan, "other": 0.1}]
    run = write_run(tmp_path / "a", presets.build(epochs=1), rows, status=Status.FINISHED)
    rows[0]["other"] = 0.2
    again = write_run(tmp_path / "b", presets.build(epochs=1), rows, status=Status.FINISHED)
    (found,) = differences(run, again)
    assert found.what.startswith("other 0.1, now 0.2")


def test_what_a_packed_run_has_no_more_is_compared_by_its_check_sum(trained):
    """Its networks are not there, and their sums are."""
    again = trained
    for path in (trained.path / "checkpoints").iterdir():
        path.unlink()
    done = call("rerun", trained.name, "--runs-dir", again.path.parent)
    assert (done.exit_code, "equal: all 9 files" in done.output) == (0, True)


def test_an_unfinished_run_is_refused(tmp_path):
    run = write_run(tmp_path, RECIPE, [{}], status=Status.INTERRUPTED)
    with pytest.raises(MemstudyError, match="is not finished; its own command continues it"):
        execution(run)


def test_it_is_repeated_as_it_was_begun(tmp_path):
    sessions = [
        {"device": "cpu", "threads": 3, "from_epoch": 0},
        {"device": "cuda:1", "threads": 1, "from_epoch": 1},
    ]
    run = write_run(tmp_path, RECIPE, [{}] * 3, status=Status.FINISHED, sessions=sessions, evaluate_every=2)
    how = execution(run)
    assert (how.device, how.threads, how.evaluate_every, how.dynamics) == ("cpu", 3, 2, False)


@pytest.mark.parametrize("file", ["metrics.csv", "checkpoints/epoch-0001.safetensors", "labels.npz"])
def test_a_file_that_changed_since_is_damage_and_not_equal(trained, file):
    """It was said to be equal, as the check sums of both runs were."""
    content = bytearray((trained.path / file).read_bytes())
    content[-2] ^= 1
    (trained.path / file).write_bytes(content)
    with pytest.raises(MemstudyError, match=rf"{file} is damaged or was changed \(its checksum does not match\)"):
        execution(Store(trained.path.parent).one(trained.name))


def test_a_network_that_differs_is_told_with_its_epoch_and_by_how_much(trained, tmp_path):
    """One weight of the second epoch's, moved by 0.25."""
    shutil.copytree(trained.path, tmp_path / rerun.RERUNS / trained.name)
    again, name = repetition(trained), "checkpoints/epoch-0001.safetensors"
    tensors = load_file(again.path / name)
    key = next(name for name, tensor in tensors.items() if tensor.dim() == 4)
    tensors[key].view(-1)[0] += 0.25
    save_file(tensors, again.path / name)
    again.update(checksums=again.checksums() | {name: files.digest((again.path / name).read_bytes())})
    assert differences(trained, again) == [Difference(name, 1, f"{key} differs by up to 2.5e-01")]


def test_a_directory_is_taken_too_and_one_that_is_no_run_refused(tmp_path):
    run = write_run(tmp_path / "runs", RECIPE, [{}] * 3, status=Status.FINISHED)
    store = Store(tmp_path / "elsewhere")
    assert rerun.named(store, str(run.path)).path == run.path
    assert rerun.named(Store(tmp_path / "runs"), run.name).path == run.path
    with pytest.raises(MemstudyError, match=r"is no run, as it has no recipe\.toml"):
        rerun.named(store, str(tmp_path))


def test_labels_of_a_file_are_the_run_s_own_and_it_is_told_where_they_are_not_here(tmp_path):
    corruption = replace(RECIPE.corruption, rule="file", rate=None, labels="0" * 64)
    run = write_run(tmp_path, replace(RECIPE, corruption=corruption), [{}] * 3, status=Status.FINISHED)
    with pytest.raises(MemstudyError, match=r"came from a file, .* put back .*labels\.npz"):
        execution(run)


def test_a_run_of_several_sessions_says_so_and_in_what_they_differ(tmp_path):
    session = {"device": "cpu", "threads": 1, "from_epoch": 0, "packages": {"torch": "2.0"}}
    sessions = [session, session | {"threads": 4, "packages": {"torch": "2.1"}}]
    run = write_run(tmp_path, RECIPE, [{}] * 3, status=Status.FINISHED, sessions=sessions)
    again = write_run(tmp_path / "again", RECIPE, [{}] * 3, status=Status.FINISHED, sessions=[session])
    assert rerun.reasons(run, again) == [
        "it was trained in 2 sessions, and now in one as the first",
        "torch 2.0, 2.1, now 2.0",
        "threads 1, 4, now 1",
    ]


def test_a_store_that_may_only_be_read_is_repeated_elsewhere(tmp_path):
    run = write_run(tmp_path / "runs", RECIPE, [{}] * 3, status=Status.FINISHED)
    (tmp_path / "runs" / rerun.RERUNS).write_text("nothing can be made in here")
    with pytest.raises(MemstudyError, match=r"cannot write .*reruns: .* choose another place with --into"):
        repetition(run)
    assert repetition(run, tmp_path / "other").path.parent == tmp_path / "other"
    with pytest.raises(MemstudyError, match="is where the run itself is"):
        repetition(run, tmp_path / "runs")


QUICK = ("--epochs", 2, "--train-size", 40, "--batch-size", 20, "--device", "cpu")


def repeated(run, *words):
    """How `memstudy rerun` of a run's directory ends."""
    return call("rerun", run.path, *words)


def test_a_run_in_a_pack_is_repeated_and_the_pack_stays_what_it_is(trained, tmp_path):
    store = trained.path.parent
    assert call("pack", trained.name, tmp_path / "pack", "--runs-dir", store).exit_code == 0
    (packed,) = Store(tmp_path / "pack").runs()
    assert not (packed.path / "checkpoints").exists()
    done = repeated(packed)
    assert (done.exit_code, "equal: all 9 files" in done.output) == (0, True), done.output
    done = call("unpack", tmp_path / "pack", "--runs-dir", tmp_path / "unpacked")
    assert done.exit_code == 0, done.output
    (unpacked,) = Store(tmp_path / "unpacked").runs()
    assert unpacked.checksums() == trained.checksums()


def test_a_run_on_a_folder_of_images_is_repeated_and_refused_when_an_image_is_another(tmp_path, small):
    parts = ("train_images", "train_labels", "test_images", "test_labels")
    arrays = {name: getattr(small, name).numpy() for name in parts}
    arrays |= {name: arrays[name][:, 0] for name in parts if name.endswith("images")}
    folder = write_folder(tmp_path / "sets", arrays)
    chosen = ("--data-dir", tmp_path / "sets")
    done = call("run", "--dataset", "mine", "--corrupt", 0.5, *chosen, *QUICK, "--runs-dir", tmp_path / "runs")
    assert done.exit_code == 0, done.output
    (run,) = Store(tmp_path / "runs").runs()
    assert repeated(run, *chosen).exit_code == 0
    shutil.copyfile(folder / "train" / "b" / "1.png", folder / "train" / "b" / "0.png")
    done = repeated(run, *chosen)
    assert done.exit_code == 2
    assert "'mine'" in done.output


def test_a_run_of_a_network_of_one_s_own_is_repeated_and_refused_when_its_code_is_another(
    tmp_path, small, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    (tmp_path / "rerun_net.py").write_text(NET.format(layers="rerun_layers"))
    layers = tmp_path / "rerun_layers.py"
    layers.write_text(LAYERS.format(width=4))
    words = ("run", "--network", "rerun_net:net", "--trust", "--corrupt", 0.5, *QUICK)
    assert call(*words, "--runs-dir", "runs").exit_code == 0
    (run,) = Store(tmp_path / "runs").runs()
    done = repeated(run, "--trust")
    assert (done.exit_code, "equal: all" in done.output) == (0, True), done.output
    layers.write_text(LAYERS.format(width=5))
    new_process("rerun_net", "rerun_layers")
    done = repeated(run, "--trust")
    assert done.exit_code == 2
    assert "rerun_net" in done.output
