"""What is compared with what, on which layer, and how it is drawn."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from memstudy import presets, trust
from memstudy.analysis import similarity
from memstudy.analysis.factorization import Pair, as_samples, factorize
from memstudy.derived.analysis import Watch
from memstudy.derived.kept import kept, nearest
from memstudy.derived.layers import output_of
from memstudy.derived.similarity import Similarity, bundles, digest, streams
from memstudy.derived.similarity.bundles import Size
from memstudy.derived.similarity.measure import compare
from memstudy.derived.similarity.plan import PAIR, kind, plan
from memstudy.derived.workbench import Workbench
from memstudy.errors import MemstudyError
from memstudy.models import Network, build
from memstudy.randomness import torch_generator
from memstudy.report.frames import comparable_runs
from memstudy.study.carry_out import Execution, carry_out
from tests.benchmarks.bench_cca import store_noise, streamed_growth
from tests.benchmarks.memory import in_fresh_process
from tests.kit.drawing import draw

IMAGES = torch.rand(5, 1, 28, 28, generator=torch_generator(0, "images"))  # a layer's output is one for any images


@pytest.fixture(scope="module")
def network():
    return build("smallnet", channels=1, size=28, classes=10, generator=torch_generator(0, "weights")).eval()


@pytest.fixture
def store(store_copy, tmp_path, small_source, monkeypatch):
    """A copy of the trained store, in the current directory."""
    monkeypatch.chdir(tmp_path)
    return store_copy


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
    planned = plan(runs, all_pairs=True)
    sizes = dict.fromkeys(runs, Size(images=100, samples=16, units=50, weights=2_000_000))
    found = [bundle.comparisons for bundle in bundles.bundles(planned, sizes, 250)]
    assert sorted(map(id, planned)) == sorted(id(c) for bundle in found for c in bundle)
    assert all(len({side for c in bundle for side in (c.a, c.b)}) <= 2 * bundles.MOST_NETWORKS for bundle in found)
    epochs = [{c.a[1] for c in bundle} for bundle in found if kind(bundle[0].relation) == PAIR]
    assert all(len(each) == 1 for each in epochs)


CIFAR = Size(images=10_000, samples=25, units=50, weights=2_650_000)  # smallNet's trunk, positions as samples
FLATTENED = Size(images=10_000, samples=1, units=1250, weights=2_650_000)


def test_fifty_units_go_sixteen_a_side_and_wide_networks_fewer():
    """The former are AL2's figure: their number, and that of images at once, decide on the tables' last digits."""
    mnist = replace(CIFAR, samples=16, weights=1_725_000)
    for narrow in (CIFAR, mnist):
        assert bundles.networks_at_once(narrow) == 16
        assert bundles.images_at_once(narrow, 16) >= 250
    assert bundles.networks_at_once(FLATTENED) == 3
    assert bundles.images_at_once(FLATTENED, 3) >= 250
    assert bundles.networks_at_once(replace(FLATTENED, weights=500_000_000)) == 1


@settings(max_examples=100, deadline=None)
@given(samples=st.integers(1, 1000), units=st.integers(1, 2000), weights=st.integers(0, 10**8))
def test_a_bundle_keeps_within_its_memory_where_two_networks_can(samples, units, weights):
    """Counted again, by hand, from what a stack of 2 k networks holds."""
    size = Size(10_000, samples, units, weights)
    k = bundles.networks_at_once(size)
    matrix = 8 * units**2
    held = matrix * (k * k + 2 * k) + 2 * k * weights  # products with the others and itself
    images = bundles.images_at_once(size, k)
    passing = images * samples * units * (2 * k + 1) * (4 + 8 + 8)
    if k > 1:
        assert held + matrix * (2 * k + bundles.WORK_MATRICES) <= bundles.MEMORY  # spectra, and a pair
        if images > 1:
            assert held + matrix * (k + 1) + passing <= bundles.MEMORY  # a row of products, and what passes


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measured as Linux does")
def test_memory_does_not_grow_with_the_number_of_networks(tmp_path, monkeypatch):
    """8 networks of 400 units: without a bound, 38 products of 1.3 MB, 9 spectra, and what making a pair takes are
    there at once, more than 65 MB; 36 MB are enough for two networks a side, and 16 more for what libraries load
    and keep. Of random images, as memory does not depend on what they show.
    """
    monkeypatch.setenv("MEMSTUDY_CACHE", str(tmp_path))
    monkeypatch.setenv(trust.VARIABLE, "1")
    store_noise(tmp_path, "tests.benchmarks.bench_cca:wide", size=8, tests=600, epochs=8, regs=("bare",))
    bounded, free = in_fresh_process(streamed_growth, tmp_path, (36e6, 1e12))
    assert bounded < 36e6 + 16e6
    assert free > 65e6  # negative control


def test_chosen_epochs_are_the_nearest_kept_ones_and_the_last(store):
    run = store.select().runs[0]
    assert kept(run, None) == [0, 1, 2]
    assert kept(run, [0]) == [0, 2]
    assert kept(run, [1, 700]) == [1, 2]


def test_of_two_epochs_as_near_the_earlier_is_taken():
    assert nearest([0, 4, 8, 12], [2, 7]) == [0, 8, 12]
    assert nearest([0, 4, 8, 12], []) == [12]
    assert nearest([], [2]) == []


def test_no_number_depends_on_the_size_of_a_bundle(store, monkeypatch):
    """Up to rounding: more networks at a time are multiplied together, nothing else."""
    whole = compare(store.select(), Workbench(torch.device("cpu")), Similarity(keep="fixed:5", epochs=(2,)))
    shutil.rmtree(store.root / "studies" / "tiny" / "figures", ignore_errors=True)
    (store.select().path / Similarity().pairs).unlink()
    monkeypatch.setattr(bundles, "MOST_NETWORKS", 3)
    again = compare(store.select(), Workbench(torch.device("cpu")), Similarity(keep="fixed:5", epochs=(2,)))
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
    pair = rows[(rows["relation"].map(kind) == "pair") & (rows["epoch_a"] == 2)].iloc[0]
    bench = Workbench(torch.device("cpu"))
    runs = {run.name: run for run in store.runs()}
    sides = []
    with torch.no_grad():
        for name in (pair["run_a"], pair["run_b"]):
            output = output_of(bench.network(runs[name], 2), "trunk.1")
            sides.append(factorize(as_samples(output(bench.test_set(runs[name]).images))))
    assert pair["cka"] == pytest.approx(similarity.cka(Pair.of(*sides)), abs=1e-9)
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


def changed(run, epoch, change):
    """Give each tensor of a kept network another value: `change(name, tensor)`."""
    run.save_checkpoint(epoch, {name: change(name, x) for name, x in run.load_checkpoint(epoch).items()})


def without_units(*units):
    """A change after which these channels of the trunk's last convolution are dead."""
    return lambda name, x: x.index_fill(0, torch.tensor(units), 0) if name.startswith("network.trunk.3") else x


def compared(selection, all_pairs=False, **choices):
    """The rows of a comparison, and what was left out."""
    left_out: list[str] = []
    bench = Workbench(torch.device("cpu"))
    selection = replace(selection, by_name=all_pairs or selection.by_name)
    rows = compare(selection, bench, Similarity(**choices), Watch(left_out=left_out.append))
    return rows, left_out


def test_constant_units_are_dropped_or_refused_by_run_epoch_and_layer(store, command, monkeypatch):
    monkeypatch.chdir(store.root.parent)
    selection = store.select(["*-bare-s0-*"])
    (run,) = selection.runs
    changed(run, 1, without_units(3, 7))
    words = ("svcca", "*-bare-s0-*", "--constant", "refuse")
    for _ in range(2):  # the second time, all rows are stored
        done = command(*words)
        assert done.exit_code == 2
        for part in (
            run.name,
            "epoch 1, layer trunk: 2 of its 50 units are constant",
            "(3, 7;",
            "--constant drop",
        ):
            assert part in done.stderr
        assert "Traceback" not in done.output
        rows, left_out = compared(selection)
        assert left_out == []
        ranks = {(row.epoch_a, row.p_a, row.rank_a) for row in rows.itertuples() if row.relation == "past"}
        assert ranks == {(0, 50, 50), (1, 50, 48)}
    changed(run, 1, lambda name, x: x + 1)
    assert command(*words, "--json").exit_code == 0


def test_a_collapsed_network_is_a_result(store):
    """Its rows have rank 0 and no similarity, the digest counts it apart, and it is named each time."""
    selection = store.select()
    (run,) = store.select(["*-al2-s0-*"]).runs
    changed(run, 2, lambda name, x: x * 0)
    for _ in range(2):
        rows, left_out = compared(selection, epochs=[2])
        assert len(left_out) == 1
        assert left_out[0].startswith(f"{run.name}, epoch 2, layer trunk: it has collapsed")
    own = rows[(rows["run_a"] == run.name) & (rows["epoch_a"] == 2)]
    assert (own["rank_a"] == 0).all()
    assert own[["cca", "svcca", "pwcca", "pwcca_back", "cka", "cka_unbiased", "procrustes"]].isna().all(axis=None)
    ((_, part, _),) = [found for found in digest.by_setting(rows, comparable_runs(selection)) if len(found[1])]
    means = digest.digest(part, selection.runs)
    twins = means[(means["relation"] == "twin") & (means["b"] == "al2")]
    assert twins[["n", "collapsed", "rank_b"]].to_numpy().tolist() == [[1, 1, 50]]
    other = rows[(rows["relation"] == "twin") & rows["run_b"].str.contains("-al2-s1-")]
    assert twins["cca"].item() == pytest.approx(other["cca"].item())
    own = means[means["a"] == "bare"].set_index("relation")["collapsed"]
    assert own[own > 0].to_dict() == {"twin": 1, "twin: other seed": 1}


def test_a_network_that_is_not_finite_is_named_with_its_layer(store):
    selection = store.select(["*-bare-s0-*"])
    (run,) = selection.runs
    changed(run, 0, lambda name, x: x * math.nan)
    changed(run, 1, lambda name, x: x * 1e30)  # finite, but not what it computes
    rows, left_out = compared(selection, layer="trunk.3")
    assert sorted(left_out) == [
        f"{run.name}, epoch {epoch}, layer trunk.3: its representation is not finite" for epoch in (0, 1)
    ]
    assert rows["relation"].tolist() == ["control"]


def flat(channels, size, classes):
    """A network of one sample an image."""
    return Network(nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, 8)), nn.Linear(8, classes))


@pytest.fixture
def another(store):
    """A run of another network in the same store."""
    recipe = presets.build(network="tests.test_derived_similarity:flat", epochs=2, checkpoints=(0, 1))
    trust.allow([("network", recipe.network)])
    return carry_out(store.open(recipe), Execution(device="cpu"))


def test_networks_of_other_positions_are_not_compared(store, another):
    selection = store.select(["*-bare-s0-*"])
    assert another.name in {run.name for run in selection.runs}
    rows, left_out = compared(selection, all_pairs=True)
    (told,) = left_out
    for part in (*(run.name for run in selection.runs), "epoch 0, 1, layer trunk: they give", "100", "1600"):
        assert part in told
    assert set(rows["relation"]) == {"past", "control"}
    assert set(rows["n"]) == {100, 1600}


def test_a_layer_that_one_run_does_not_have_is_refused_by_its_name(store, another, command, monkeypatch):
    monkeypatch.chdir(store.root.parent)
    done = command("svcca", "*-bare-s0-*", "--layer", "head.1")
    assert done.exit_code == 2
    assert f"{another.name}: unknown layer of the network 'head.1'" in done.stderr
    assert not list(store.root.glob("studies/selection-*/svcca*"))


def test_the_control_is_the_same_in_parts():
    """Random numbers are drawn as they are needed: what is drawn must not depend on how many at once."""
    network = streams.Source(30, lambda part: torch.zeros((part.stop - part.start) * 4, 7))
    whole = streams._uniform(network).samples(slice(0, 30))
    source = streams._uniform(network)
    parts = [source.samples(slice(start, min(start + 11, 30))) for start in range(0, 30, 11)]
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(whole, torch.rand(120, 7, generator=torch_generator(0, "cca control")))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--constant", "keep"), "must be one of drop, refuse, not 'keep'"),
        (("--measure", "cca2"), "did you mean cca"),
        (("--positions", "pixels"), "must be one of samples, flattened"),
        (("--layer", "trunk.9"), "did you mean trunk"),
        (("--epochs", "one"), "'--epochs': it must be a list of whole numbers of at least 0"),
        (("--epochs", "-1"), "'--epochs': it must be a list of whole numbers of at least 0"),
    ],
)
def test_a_mistake_is_one_sentence(store, command, monkeypatch, words, says):
    monkeypatch.chdir(store.root.parent)
    done = command("svcca", *words)
    assert done.exit_code == 2
    assert says in done.stderr


# Figures


def test_maps_hold_the_means_of_the_table(store):
    selection = store.select()
    rows = compare(selection, Workbench(torch.device("cpu")), Similarity(keep="fixed:5"))
    stems = {path.stem for path in draw(Similarity(measured="cka"), selection)}
    assert stems == {"cca_between", "cca_past", "similarity_epochs", "similarity_runs", "convergence"}
    names = {run.name: run for run in selection.runs}
    past = rows[(rows["relation"] == "past") & rows["run_a"].str.contains("-bare-")]
    drawn = pd.read_csv(selection.path / "figures" / "similarity_epochs.csv")
    cell = drawn[(drawn["label"] == "bare") & (drawn["epoch_a"] == 0) & (drawn["epoch_b"] == 1)]
    expected = past[(past["epoch_a"] == 0) & (past["epoch_b"] == 1)]["cka"]
    assert len(expected) == 2
    assert cell["cka"].item() == pytest.approx(expected.mean())
    grid = pd.read_csv(selection.path / "figures" / "similarity_runs.csv")
    pairs = rows[rows["relation"].map(kind) == "grid"]
    unlike = pairs[[names[a].recipe.seed != names[b].recipe.seed for a, b in pairs[["run_a", "run_b"]].to_numpy()]]
    own = unlike[unlike["run_a"].str.contains("-bare-") & unlike["run_b"].str.contains("-bare-")]
    assert grid.loc[(grid["a"] == "bare") & (grid["b"] == "bare"), "cka"].item() == pytest.approx(
        own["cka"].item()
    )
    assert grid.groupby("began")["n"].sum().to_dict() == {
        "other seed": len(unlike),
        "same seed": len(pairs) - len(unlike),
    }
    assert len(unlike) == 4 * 4
    same = pairs[(pairs["relation"] == "grid: same seed") & pairs["run_a"].str.contains("-bare-")]
    same = same[same["run_b"].str.contains("-do-")]
    cell = grid[(grid["began"] == "same seed") & (grid["a"] == "bare") & (grid["b"] == "do")]
    assert cell["cka"].item() == pytest.approx(same["cka"].mean())
    assert len(same) == 2
