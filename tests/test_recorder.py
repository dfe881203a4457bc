"""Recorder: what a loop of one's own tells, beside what memstudy's own training writes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

import memstudy
from memstudy import recipe as recipes
from memstudy.derived.workbench import Workbench
from memstudy.store import Store
from memstudy.training import numerics
from tests.kit.sentences import refused
from tests.kit.sources import stand_in

EPOCHS = 2
PENALTY = memstudy.AL2(advance=5.0, initial=0.5)


def train(images, epochs=EPOCHS, keep=True):
    """A loop of one's own, as docs/how-to/python.md has it. Returns its recorder and optimizer."""
    labels = memstudy.corrupt(images.train_labels, "symmetric", 0.75, seed=0, dataset="mnist5k")
    network = memstudy.network("smallnet", images, seed=0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.03, momentum=0.5)
    batches, recorder = memstudy.Batches(len(labels), 64, seed=0), memstudy.Recorder(labels, images=images)
    for epoch in range(epochs):
        network.train()
        for batch in batches:
            features, logits = network(images.train[batch])
            loss = F.cross_entropy(logits, labels.noisy[batch])
            optimizer.zero_grad()
            (loss + PENALTY(features=features, epoch=epoch)).backward()
            optimizer.step()
            recorder.step(loss, features=features)
        recorder.evaluate(network)
        recorder.end_epoch(lambda_al2=PENALTY.strength(epoch))
        if keep:
            recorder.keep(network)
    return recorder, optimizer


@pytest.fixture(scope="module")
def both(small, tmp_path_factory):
    """The store, the recorded run, and memstudy's own."""
    root = tmp_path_factory.mktemp("recorded")
    with stand_in(small), numerics(1):  # as many threads as memstudy's own: more add in another order
        recorder, optimizer = train(memstudy.Images(small))
        told = recorder.write(root, reg=PENALTY, network="smallnet", batch_size=64, optimizer=optimizer)
        own = memstudy.run(store=root, reg=PENALTY, epochs=EPOCHS, device="cpu", threads=1)
    return root, told, own


@pytest.fixture
def tiny():
    """Six samples of three classes, two of them corrupted."""
    return memstudy.corrupt([0, 1, 2, 0, 1, 2], noisy=[0, 1, 2, 1, 2, 2])


def told(labels, predictions, **test):
    """A recorder that was told these predictions (epochs × samples)."""
    recorder = memstudy.Recorder(labels, **test)
    for row in predictions:
        recorder.update(range(len(row)), 4 * F.one_hot(torch.tensor(row), labels.classes).float())
        recorder.end_epoch()
    return recorder


# The same numbers as memstudy's own training


def test_metrics_are_those_of_memstudys_own_training(both):
    _, recorded, own = both
    expected = own.metrics().drop(columns="penalty_al2")  # which is L_r
    pd.testing.assert_frame_equal(recorded.metrics(), expected, check_exact=True)


def test_records_labels_and_networks_are_those_of_memstudys_own_training(both):
    _, recorded, own = both
    for name in ("loss", "margin", "prediction", "el2n"):
        mine, theirs = (np.load(run.path / "dynamics" / f"{name}.npy") for run in (recorded, own))
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    assert (recorded.path / "labels.npz").read_bytes() == (own.path / "labels.npz").read_bytes()
    mine, theirs = (run.directory.load_checkpoint(EPOCHS - 1) for run in (recorded, own))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert str(recorded).splitlines()[1:-1] == str(own).splitlines()[1:-1]


def test_it_is_never_taken_for_memstudys_own(both, small_source):
    root, recorded, own = both
    assert recorded.recipe.trainer == "own-loop"
    assert recorded.recipe.id != own.recipe.id
    assert replace(recorded.recipe, trainer="") == own.recipe
    assert own.recipe.as_dict().keys() == recorded.recipe.as_dict().keys() - {"trainer"}
    assert recipes.read(recorded.path / "recipe.toml") == recorded.recipe
    refused(lambda: memstudy.run(store=root, recipe=recorded.recipe), "can neither train nor continue it")
    runs = memstudy.open(root).runs("trainer=own-loop")
    assert list(runs["name"]) == [recorded.name]


@pytest.mark.parametrize(
    "words",
    ["runs", "show RECORDED", "diff RECORDED OWN", "dynamics RECORDED", "table RECORDED", "filters RECORDED",
     "export RECORDED --cleanlab x.npz", "export -o all.csv"],
)  # fmt: skip
def test_commands_work_on_it(both, command, small_source, words):
    root, recorded, own = both
    names = {"RECORDED": recorded.name[-8:], "OWN": own.name[-8:]}
    done = command(*(names.get(word, word) for word in words.split()), "--runs-dir", str(root))
    assert done.exit_code == 0, done.output
    if words.startswith("diff"):
        assert "The recipes differ in trainer." in done.output
        assert "The noisy labels are the same." in done.output


def test_its_networks_are_analyzed(both, small_source):
    _, recorded, own = both
    bench = Workbench(torch.device("cpu"))
    mine, theirs = (bench.features(run.directory, EPOCHS - 1) for run in (recorded, own))
    assert torch.equal(mine, theirs)


def test_without_networks_commands_say_so(small_source, command, tiny, tmp_path):
    recorder = told(tiny, [[0, 1, 2, 0, 2, 1], [0, 1, 2, 1, 2, 1]])
    run = recorder.write(
        tmp_path / "runs", name="mine", reg="tricks", network="net", batch_size=2, lr=0.1, momentum=0
    )
    assert run.name.startswith("own-file-")
    for words in ("table", "figures", "dynamics", "show", "report"):
        done = command(words, run.name)
        assert done.exit_code == 0, done.output
        assert "nan" not in done.output
    assert "no test accuracy was recorded" in str(run)
    assert "The training loss was not recorded" in str(run)
    for words in ("svcca", "filters", "export --cleanlab x.npz"):
        done = command(*words.split(), run.name)
        assert done.exit_code == 2
        assert "recorded without its networks" in done.output


# What follows from predictions


def test_shares_and_intervals(tiny):
    recorder = told(tiny, [[0, 1, 2, 1, 1, 2], [0, 1, 2, 1, 2, 0]])
    first, last = recorder.memorization(0), recorder.memorization()
    assert (first.memorized.value, first.recovered.value, first.other.value) == (0.5, 0.5, 0)
    assert (last.epoch, last.corrupted, last.memorized.value) == (1, 2, 1)
    assert 0.3 < last.memorized.low < 0.4  # Wilson's: 2 of 2
    metrics = recorder.metrics()
    assert metrics["clean_accuracy"].tolist() == [1, 0.75]
    assert metrics["test_accuracy"].isna().all()
    samples = recorder.dynamics()
    assert samples["first_learned"].tolist()[:5] == [0, 0, 0, 0, 1]
    assert samples["forgetting_events"].tolist() == [0, 0, 0, 0, 0, 1]
    assert samples["corrupted"].tolist() == [False, False, False, True, True, False]


def test_batches_of_any_size_and_order_are_the_same(tiny):
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    whole, parts = (memstudy.Recorder(tiny, test_labels=[0, 1, 2, 2, 1, 0]) for _ in range(2))
    whole.update(range(6), logits)
    whole.update_test(range(6), logits)
    for places in ([5, 0], [1], [4, 2, 3]):
        parts.update(torch.tensor(places), logits[places])
        parts.update_test(places, logits[places])
    assert whole.end_epoch() == pytest.approx(parts.end_epoch(), nan_ok=True)
    pd.testing.assert_frame_equal(whole.dynamics(), parts.dynamics())
    expected = F.cross_entropy(logits, torch.tensor([0, 1, 2, 2, 1, 0]))
    assert whole.metrics()["test_cross_entropy"][0] == pytest.approx(float(expected))


def test_it_goes_on_from_its_state(tiny, tmp_path):
    """The state is plain enough for torch's safest reader; what is under way is not in it."""
    whole, begun = told(tiny, [[0] * 6, [1] * 6]), told(tiny, [[0] * 6])
    begun.update([0], torch.ones(1, 3))
    again = memstudy.Recorder(tiny)
    again.load_state_dict(through_a_file(begun.state_dict(), tmp_path))
    again.update(range(6), 4 * F.one_hot(torch.ones(6, dtype=torch.int64), 3).float())
    again.end_epoch()
    pd.testing.assert_frame_equal(again.metrics(), whole.metrics())
    pd.testing.assert_frame_equal(again.dynamics(), whole.dynamics())
    other = memstudy.Recorder(memstudy.corrupt([0, 1, 2], noisy=[0, 1, 1]))
    refused(lambda: other.load_state_dict(begun.state_dict()), "of other labels")
    refused(lambda: again.load_state_dict({}), "no state of a Recorder")
    refused(lambda: again.load_state_dict(whole.state_dict().get("none")), "what its state_dict() gave")
    refused(lambda: whole_epoch(again).end_epoch(lr="high"), "the column lr must be a finite number, not 'high'")
    refused(lambda: again.end_epoch(memorized=1), "memstudy's own")
    refused(lambda: again.end_epoch(lr=1), "lr are not in all")


def whole_epoch(recorder):
    recorder.update(range(6), torch.ones(6, 3))
    return recorder


def through_a_file(state, folder):
    torch.save(state, folder / "state.pt")
    return torch.load(folder / "state.pt", weights_only=True)


# Misuse


@pytest.mark.parametrize(
    ("tell", "sentence"),
    [
        (lambda r: r.end_epoch(), "6 of 6 training samples were not told"),
        (lambda r: r.update([0, 0], torch.ones(2, 3)), "a training sample was told twice"),
        (lambda r: r.update([6], torch.ones(1, 3)), "there is no training sample 6"),
        (lambda r: r.update([-1], torch.ones(1, 3)), "whole numbers from 0 on"),
        (lambda r: r.update([0], torch.ones(2, 3)), "for 1 samples, not (2, 3)"),
        (lambda r: r.update([0], torch.ones(1, 4)), "there are 3 classes, and logits of 4"),
        (lambda r: r.update([0], torch.full((1, 3), torch.nan)), "the training has diverged"),
        (lambda r: r.update_test([0], torch.ones(1, 3)), "update_test needs test labels"),
        (lambda r: r.evaluate(torch.nn.Linear(2, 2)), "evaluate needs images"),
        (lambda r: r.step(1.0), "loss must be a scalar tensor"),
        (lambda r: r.step(torch.ones(())), "step needs size="),
        (lambda r: r.memorization(), "no epoch has ended yet"),
        (lambda r: r.write(), "no epoch has ended yet"),
        (lambda r: r.keep(torch.nn.Linear(2, 2)), "no epoch has ended yet"),
        (lambda r: memstudy.Recorder(r), "must be what memstudy.corrupt gives"),
    ],
)  # fmt: skip
def test_what_is_told_wrongly_is_refused(tiny, tell, sentence):
    refused(lambda: tell(memstudy.Recorder(tiny)), sentence)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"lr": None}, "write needs lr="),
        ({"batch_size": None}, "write needs batch_size="),
        ({"name": ""}, "name must be a word"),
        ({"name": "my loop"}, "trainer must be a name of letters"),
        ({"reg": "al2", "options": {"al2": {"advances": 3}}}, "did you mean advance"),
        ({"options": {"al2": {"advance": 3}}}, "does not name"),
        ({"optimizer": torch.optim.RMSprop([torch.zeros(1)])}, "not 'RMSprop'"),
        ({"optimizer": "sgdd"}, "did you mean sgd"),
        ({"optimizer": 3}, "optimizer must be one of PyTorch's, or its name, not 3"),
        ({"reg": None}, "or penalties such as memstudy.AL2(), not None"),
        ({"reg": [PENALTY, memstudy.AL2()]}, "regularizer 'al2' is given twice"),
        ({"corrupt": 0.3}, "corrupt is known from what was recorded"),
        ({"batchsize": 3}, "did you mean batch_size"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_nothing(tiny, tmp_path, given, sentence):
    recorder = told(tiny, [[0] * 6])
    usual = {"batch_size": 2, "lr": 0.1, "momentum": 0.0}
    refused(lambda: recorder.write(tmp_path / "runs", **(usual | given)), sentence)
    assert list(tmp_path.iterdir()) == []


def test_it_is_written_once_and_wholly(tiny, tmp_path, monkeypatch):
    recorder = told(tiny, [[0] * 6])
    usual = {"batch_size": 2, "lr": 0.1, "momentum": 0.0}
    with monkeypatch.context() as patch:
        patch.setattr("memstudy.store.run.RunDirectory.finish", lambda run: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            recorder.write(tmp_path, **usual)
    assert list(tmp_path.glob("*-*")) == []
    run = recorder.write(tmp_path, **usual)
    before = (run.path / "state.json").read_bytes()
    refused(lambda: recorder.write(tmp_path, **usual), "is there already", "another name= or seed=")
    assert (run.path / "state.json").read_bytes() == before
    assert Store(tmp_path).runs()


def test_networks_that_analyses_could_not_load_are_refused(small, tmp_path):
    recorder, optimizer = train(memstudy.Images(small), epochs=1)
    given = {"batch_size": 64, "optimizer": optimizer}
    refused(lambda: recorder.write(tmp_path, network="alexnet", **given), "is not 'alexnet'")
    refused(lambda: recorder.write(tmp_path, network="mine", **given), "unknown network 'mine'")
    assert list(tmp_path.iterdir()) == []


def test_batches_are_the_engines(small):
    batches = memstudy.Batches(10, 4, seed=1)
    first, second = list(batches), list(batches)
    assert sorted(place for part in first for place in part) == list(range(10))
    assert [len(part) for part in first] == [4, 4, 2]
    assert len(batches) == 3
    assert first != second
    batches.set_epoch(0)
    assert list(batches) == first
    refused(lambda: memstudy.Batches(10, 0), "batch_size must be a whole number of at least 1, not 0")
