"""What is compared with what, on which layer, and how it is drawn."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
import torch
from torch import nn

from memstudy.analysis import similarity as measures
from memstudy.analysis.factorization import Pair, as_samples, factorize
from memstudy.analysis.keep import parse_keep
from memstudy.errors import MemstudyError
from memstudy.models import Network, build
from memstudy.randomness import torch_generator
from memstudy.report import similarity
from memstudy.store import Store
from memstudy.study import comparisons
from memstudy.study.comparisons import What
from memstudy.study.layers import output_of
from memstudy.study.trunk import Workbench

IMAGES = torch.rand(5, 1, 28, 28, generator=torch_generator(0, "images"))  # a layer's output is one for any images


@pytest.fixture(scope="module")
def network():
    return build("smallnet", channels=1, size=28, classes=10, generator=torch_generator(0, "weights")).eval()


@pytest.fixture
def store(trained, tmp_path, small_source, monkeypatch):
    """A copy of the trained store, in the current directory."""
    shutil.copytree(trained, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return Store(tmp_path / "runs")


# Layers


def test_every_layer_answers_what_it_computes(network):
    with torch.no_grad():
        features, logits = network(IMAGES)
        assert torch.equal(output_of(network)(IMAGES), features)
        assert torch.equal(output_of(network, "head")(IMAGES), logits)
        value = IMAGES
        for index, layer in enumerate(network.trunk):
            value = layer(value)
            assert torch.equal(output_of(network, f"trunk.{index}")(IMAGES), value)


def test_what_comes_behind_the_layer_is_not_computed_and_no_hook_stays(network):
    broken = build("smallnet", channels=1, size=28, classes=10, generator=torch_generator(0, "weights")).eval()
    broken.head = nn.Sequential(nn.Linear(3, 3))  # would refuse any features
    with torch.no_grad():
        found = output_of(broken, "trunk.2")(IMAGES)
        assert torch.equal(found, output_of(network, "trunk.2")(IMAGES))
    assert not any(module._forward_hooks for module in broken.modules())


def test_a_layer_that_is_none_is_answered_in_a_sentence(network):
    with pytest.raises(MemstudyError, match=r"did you mean head\.1"):
        output_of(network, "hed.1")
    with pytest.raises(MemstudyError, match="unknown layer"):
        output_of(network, "")
    unused = Network(nn.Flatten(), nn.Linear(784, 10))
    unused.add_module("spare", nn.Linear(1, 1))
    with pytest.raises(MemstudyError, match="does not use its layer 'spare'"):
        output_of(unused, "spare")(IMAGES)


def test_a_layer_that_answers_no_tensor_is_refused():
    class Two(nn.Module):
        def forward(self, images):
            return images, images

    class First(nn.Module):
        def forward(self, both):
            return both[0]

    with pytest.raises(MemstudyError, match="answers a tuple"):
        output_of(Network(nn.Sequential(Two(), First()), nn.Flatten()), "trunk.0")(IMAGES)


# Plans


def test_runs_go_through_the_images_in_bundles_of_bounded_size(store):
    runs = store.select().runs
    plan = comparisons.plan(runs, all_pairs=True)
    found = comparisons.bundles(plan)
    assert sorted(map(id, plan)) == sorted(id(c) for bundle in found for c in bundle)
    assert all(len({side for c in bundle for side in (c.a, c.b)}) <= 2 * comparisons.TOGETHER for bundle in found)
    epochs = [{c.a[1] for c in bundle} for bundle in found if bundle[0].relation == comparisons.PAIR]
    assert all(len(each) == 1 for each in epochs)


def test_chosen_epochs_are_the_nearest_kept_ones_and_the_last(store):
    run = store.select().runs[0]
    assert comparisons.kept(run, None) == [0, 1, 2]
    assert comparisons.kept(run, [0]) == [0, 2]
    assert comparisons.kept(run, [1, 700]) == [1, 2]


def test_no_number_depends_on_the_size_of_a_bundle(store, monkeypatch):
    """Up to rounding: more networks at a time are multiplied together, nothing else."""
    from memstudy.study import compare

    whole = compare.compare(store.select(), Workbench(torch.device("cpu")), keep=parse_keep("fixed:5"))
    shutil.rmtree(store.root / "studies" / "tiny" / "figures", ignore_errors=True)
    (store.select().path / What().pairs).unlink()
    monkeypatch.setattr(comparisons, "TOGETHER", 3)
    again = compare.compare(store.select(), Workbench(torch.device("cpu")), keep=parse_keep("fixed:5"))
    pd.testing.assert_frame_equal(whole, again, rtol=1e-6)


# The command


def test_a_layer_has_files_and_figures_of_its_own(store, command, small_source, monkeypatch):
    monkeypatch.chdir(store.root.parent)
    words = ("svcca", "*-bare-*", "--layer", "trunk.1", "--positions", "samples", "--epochs", "0,2", "--json")
    done = command(*words, "--measure", "cka")
    assert done.exit_code == 0, done.output
    (folder,) = (store.root / "studies").glob("selection-*")
    assert (folder / "svcca-trunk.1.csv").is_file()
    assert not (folder / "svcca.csv").exists()
    rows = pd.read_csv(folder / "svcca-trunk.1.csv")
    assert set(rows["epoch_a"]) == {0, 2}
    pair = rows[(rows["relation"] == "pair") & (rows["epoch_a"] == 2)].iloc[0]
    bench = Workbench(torch.device("cpu"))
    runs = {run.name: run for run in store.runs()}
    sides = []
    with torch.no_grad():
        for name in (pair["run_a"], pair["run_b"]):
            output = output_of(bench.network(runs[name], 2), "trunk.1")
            sides.append(factorize(as_samples(output(bench.test_set(runs[name]).images))))
    assert pair["cka"] == pytest.approx(measures.cka(Pair.of(*sides)), abs=1e-9)
    drawn = json.loads(done.stdout)["figures"]
    assert {path.rsplit("/", 1)[1] for path in drawn if path.endswith("png")} == {
        "cca_between-trunk.1.png", "cca_past-trunk.1.png"
    }  # fmt: skip


def test_more_units_than_samples_are_refused_by_run_epoch_and_layer(store, command, monkeypatch):
    """800 units of a flattened trunk on 100 images."""
    monkeypatch.chdir(store.root.parent)
    done = command("svcca", "*-bare-s0-*", "--positions", "flattened")
    assert done.exit_code == 2
    for part in ("-bare-s0-", "epoch 0", "layer trunk, positions flattened", "n = 100 and p = 800"):
        assert part in done.stderr
    assert not list(store.root.glob("studies/selection-*/svcca*"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--measure", "cca2"), "did you mean cca"),
        (("--positions", "pixels"), "Known: flattened, samples"),
        (("--layer", "trunk.9"), "did you mean trunk"),
        (("--epochs", "one"), "--epochs takes epochs"),
        (("--epochs", "-1"), "--epochs takes epochs"),
    ],
)
def test_a_mistake_is_one_sentence(store, command, monkeypatch, words, says):
    monkeypatch.chdir(store.root.parent)
    done = command("svcca", *words)
    assert done.exit_code == 2
    assert says in done.stderr


# Figures


def test_maps_hold_the_means_of_the_table(store):
    from memstudy.study import compare

    selection = store.select()
    rows = compare.compare(selection, Workbench(torch.device("cpu")), keep=parse_keep("fixed:5"))
    stems = {path.stem for path in similarity.draw(selection, measure="cka")}
    assert stems == {"cca_between", "cca_past", "similarity_epochs", "similarity_runs", "convergence"}
    names = {run.name: run for run in selection.runs}
    past = rows[(rows["relation"] == "past") & rows["run_a"].str.contains("-bare-")]
    drawn = pd.read_csv(selection.path / "figures" / "similarity_epochs.csv")
    cell = drawn[(drawn["label"] == "bare") & (drawn["epoch_a"] == 0) & (drawn["epoch_b"] == 1)]
    expected = past[(past["epoch_a"] == 0) & (past["epoch_b"] == 1)]["cka"]
    assert len(expected) == 2
    assert cell["cka"].item() == pytest.approx(expected.mean())
    grid = pd.read_csv(selection.path / "figures" / "similarity_runs.csv")
    pairs = rows[rows["relation"] == "grid"]
    unlike = pairs[[names[a].recipe.seed != names[b].recipe.seed for a, b in pairs[["run_a", "run_b"]].to_numpy()]]
    own = unlike[unlike["run_a"].str.contains("-bare-") & unlike["run_b"].str.contains("-bare-")]
    assert grid.loc[(grid["a"] == "bare") & (grid["b"] == "bare"), "cka"].item() == pytest.approx(
        own["cka"].item()
    )
    assert grid["n"].sum() == len(unlike) == 4 * 4
