"""Filter statistics: closed forms, laws, controls, a slow oracle, the published table, the CLI."""

from __future__ import annotations

import io
import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from scipy.stats import binomtest, kstest

from memstudy.analysis import filters
from memstudy.analysis.filters import CHOICES, COMPARISONS, Tally, tallies
from memstudy.cli import main
from memstudy.derived.analysis import Watch
from memstudy.derived.filters import Filters, measure, tables
from memstudy.errors import MemstudyError
from memstudy.report import published
from memstudy.store import Store
from tests.kit.drawing import draw

CENTER, NEIGHBOR = COMPARISONS


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed))


def planted(weight, center=1.5, corner=0.8):
    """The same kernels with larger centers and smaller corners."""
    weight, last = weight.clone(), weight.shape[-1] - 1
    weight[..., last // 2, last // 2] *= center
    weight[..., ::last, ::last] *= corner
    return weight


def p(tally):
    return tally.p_kernels, tally.p_filters


# Closed forms

HAND = torch.tensor([[1.0, 8, 3], [-2, 5, 2], [4, 1, 6]])  # center 5, left 2, left-upper 1


def test_the_named_positions_of_a_kernel_made_by_hand():
    found = tallies(HAND[None, None])
    assert (found[CENTER].larger, found[CENTER].smaller) == (1, 0)  # 5 > |-2|
    assert (found[NEIGHBOR].larger, found[NEIGHBOR].smaller) == (1, 0)  # |-2| > 1
    every = tallies(HAND[None, None], "every")
    # Against |-2|, 8, 2, 1; then each of these against the corners 1, 3, 6, 4.
    assert (every[CENTER].larger, every[CENTER].smaller, every[CENTER].ties) == (3, 1, 0)
    assert (every[NEIGHBOR].larger, every[NEIGHBOR].smaller, every[NEIGHBOR].ties) == (1 + 4 + 1, 3 + 3 + 3, 1)


def test_in_larger_kernels_the_corner_is_the_outermost():
    kernel = torch.zeros(5, 5)
    kernel[2, 2], kernel[2, 1], kernel[0, 0], kernel[1, 1] = 3, 2, 1, 9
    found = tallies(kernel[None, None])
    assert found[CENTER].fraction == found[NEIGHBOR].fraction == 1


def test_a_tally_and_its_tests():
    """20 filters of 10 kernels, all wins in 15 filters and all losses in 5."""
    weight = torch.ones(20, 10, 3, 3)
    weight[:15, :, 1, 1] = 2
    weight[15:, :, 1, 1] = 0.5
    tally = tallies(weight)[CENTER]
    assert tally == Tally(150, 50, 0, 200, 20, 1, squares=20 * 5.0**2)
    assert tally.fraction == 0.75
    assert tally.p_kernels == pytest.approx(binomtest(150, 200).pvalue)
    z = (15 - 5) / np.sqrt(20)  # one vote a filter
    assert tally.p_filters == pytest.approx(0.02534732, rel=1e-5)
    assert z == pytest.approx(2.236068)
    assert tally.p_kernels < 1e-11 < tally.p_filters  # filters of equal kernels are 20 observations, not 200


def test_equal_magnitudes_are_ties_and_nothing_is_concluded_from_them():
    for weight in (torch.ones(4, 5, 3, 3), torch.zeros(4, 5, 3, 3)):
        for choice, pairs in (("named", 20), ("random", 20), ("every", 80)):
            tally = tallies(weight, choice, generator())[CENTER]
            assert (tally.ties, tally.larger, tally.smaller) == (pairs, 0, 0)
            assert np.isnan([tally.fraction, *p(tally)]).all()


def test_a_kernel_with_some_ties():
    weight = torch.stack([HAND, torch.ones(3, 3)])[None]
    tally = tallies(weight)[CENTER]
    assert (tally.larger, tally.ties, tally.kernels, tally.fraction) == (1, 1, 2, 1.0)


def test_tallies_add_up():
    a, b = normal(4, 6, 3, 3), normal(8, 6, 3, 3, seed=1)
    both = tallies(torch.cat([a, b]))[CENTER]
    added = tallies(a)[CENTER] + tallies(b)[CENTER]
    assert added == Tally(both.larger, both.smaller, 0, 72, 12, 2, both.squares)


# Laws

sizes = st.sampled_from([3, 5, 7])


@settings(max_examples=30, deadline=None)
@given(sizes, st.integers(1, 5), st.integers(1, 5), st.integers(0, 1000), st.sampled_from(CHOICES))
def test_scale_of_a_kernel_and_signs_do_not_matter(size, outputs, inputs, seed, choice):
    weight = normal(outputs, inputs, size, size, seed=seed)
    scale = 2.0 ** torch.randint(-9, 9, (outputs, inputs, 1, 1), generator=generator(seed))
    flips = torch.randint(0, 2, weight.shape, generator=generator(seed)) * 2.0 - 1
    plain = tallies(weight, choice, generator(seed))
    assert tallies(weight * scale * flips, choice, generator(seed)) == plain


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_any_precision_is_compared_as_it_is(dtype):
    weight = normal(8, 8, 3, 3).to(dtype)
    assert tallies(weight) == tallies(weight.double())


def slow(weight, choice):
    """Both comparisons, one kernel after another, in plain Python."""
    k = weight.shape[-1]
    c = k // 2
    neighbors = [(c, c - 1), (c - 1, c), (c, c + 1), (c + 1, c)]
    corners = [(0, 0), (0, k - 1), (k - 1, k - 1), (k - 1, 0)]
    pairs = {
        CENTER: [((c, c), n) for n in neighbors],
        NEIGHBOR: list(itertools.product(neighbors, corners)),
    }
    found = {}
    for name, compared in pairs.items():
        wins = [0, 0, 0]
        for kernel in weight.reshape(-1, k, k).tolist():
            for (y, x), (v, u) in compared[:1] if choice == "named" else compared:
                a, b = abs(kernel[y][x]), abs(kernel[v][u])
                wins[0 if a > b else 1 if a < b else 2] += 1
        found[name] = wins
    return found


@pytest.mark.parametrize("choice", ["named", "every"])
@pytest.mark.parametrize("size", [3, 5])
def test_against_a_slow_loop(size, choice):
    weight = torch.randint(-3, 4, (6, 7, size, size), generator=generator()).float()  # with ties
    found = tallies(weight, choice)
    assert {name: [t.larger, t.smaller, t.ties] for name, t in found.items()} == slow(weight, choice)


def test_random_choice_draws_each_neighbor_and_corner():
    """Only one neighbor is smaller than the center: it is drawn in a quarter of the kernels."""
    weight = torch.full((200, 20, 3, 3), 2.0)
    weight[..., 1, 1], weight[..., 0, 1] = 1.5, 1.0
    tally = tallies(weight, "random", generator())[CENTER]
    assert binomtest(tally.larger, 4000, 0.25).pvalue > 1e-3
    assert tally.p_filters < 1e-9


# Controls


@pytest.mark.parametrize("choice", CHOICES)
def test_the_null_holds_on_independent_weights(choice):
    """200 networks of 16 filters of 8 kernels: p-values uniform (too few filters would make them coarse)."""
    found = [tallies(normal(16, 8, 3, 3, seed=seed), choice, generator(seed)) for seed in range(200)]
    for name in COMPARISONS:
        assert kstest([each[name].p_filters for each in found], "uniform").pvalue > 1e-3
        total = sum((each[name] for each in found), Tally())
        assert abs(total.fraction - 0.5) < 4 * 0.5 / np.sqrt(200 * 128)
        if choice != "every":  # its pairs share weights, so kernels are no single trials
            rejected = sum(each[name].p_kernels < 0.05 for each in found)
            assert binomtest(rejected, 200, 0.05, alternative="greater").pvalue > 1e-3  # exact, so never more
            assert rejected
        else:
            assert np.isnan(total.p_kernels)


def test_kernels_alike_within_a_filter_fool_the_test_by_kernels_only():
    """One pattern a filter and scaled copies of it: what the sign-flip test by filters is for."""
    ps = np.array([p(tallies(normal(40, 1, 3, 3, seed=seed).expand(40, 25, 3, 3))[CENTER]) for seed in range(200)])
    rejected = (ps < 0.05).mean(axis=0)
    assert rejected[0] > 0.5
    assert binomtest(int((ps[:, 1] < 0.05).sum()), 200, 0.05).pvalue > 1e-3


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("choice", CHOICES)
def test_a_planted_effect_is_found_and_shuffling_removes_it(choice, size):
    weight = planted(normal(64, 32, size, size))
    found = tallies(weight, choice, generator())
    # |a| > |b| for independent normals with standard deviations s, t: (2/π) arctan(s/t).
    for name, ratio in ((CENTER, 1.5), (NEIGHBOR, 1 / 0.8)):
        assert found[name].fraction == pytest.approx(2 / np.pi * np.arctan(ratio), abs=0.04)
        assert found[name].p_filters < 1e-5
    control = tallies(filters.shuffled(weight, generator(1)), choice, generator())
    assert all(control[name].p_filters > 1e-3 for name in COMPARISONS)


def test_the_opposite_effect_is_found_too():
    found = tallies(planted(normal(64, 32, 3, 3), center=0.5, corner=2.0))
    assert all(found[name].fraction < 0.4 and found[name].p_filters < 1e-6 for name in COMPARISONS)


def test_shuffling_keeps_each_kernels_values_and_moves_every_position():
    weight = torch.arange(9.0).expand(500, 2, 9).reshape(500, 2, 3, 3)
    moved = filters.shuffled(weight, generator())
    assert torch.equal(moved.flatten(2).sort(dim=2).values, weight.flatten(2))
    at_center = torch.bincount(moved[..., 1, 1].flatten().long(), minlength=9)
    assert at_center.min() > 60  # of 1000, 111 expected each
    assert torch.equal(moved, filters.shuffled(weight, generator()))
    assert not torch.equal(moved, filters.shuffled(weight, generator(1)))


# What is a kernel


def test_depthwise_is_in_and_what_has_no_center_is_out():
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 8, 3, groups=8), torch.nn.BatchNorm2d(8),
        torch.nn.Conv2d(8, 4, 1), torch.nn.Conv2d(4, 4, (1, 7)), torch.nn.Conv2d(4, 4, 4),
        torch.nn.Conv2d(4, 4, 5), torch.nn.Flatten(), torch.nn.Linear(4, 2),
    )  # fmt: skip
    found, others = filters.kernels(network.state_dict())
    assert {name: tuple(weight.shape) for name, weight in found.items()} == {
        "0.weight": (8, 3, 3, 3), "1.weight": (8, 1, 3, 3), "6.weight": (4, 4, 5, 5),
    }  # fmt: skip
    assert others == {"1×1": 1, "1×7": 1, "4×4": 1}


def test_layers_are_in_the_networks_order():
    names = [f"features.{index}.weight" for index in range(12)]
    found, _ = filters.kernels({name: torch.ones(1, 1, 3, 3) for name in sorted(names)})
    assert list(found) == names
    assert measure._parts(13) == {"all": slice(None), "lower": slice(0, 6), "upper": slice(6, None)}
    assert set(measure._parts(1)) == {"all"}


# Rings and logarithms


@pytest.mark.parametrize("size", [3, 5, 7])
def test_rings_are_every_position_once_by_distance(size):
    found = filters.rings(size)
    assert torch.stack(list(found.values())).sum(0).eq(1).all()
    assert list(found) == sorted(found)
    for distance, mask in found.items():
        for y, x in mask.nonzero().tolist():
            assert np.hypot(y - size // 2, x - size // 2) == pytest.approx(distance)
    assert [int(mask.sum()) for mask in filters.rings(5).values()] == [1, 4, 4, 4, 8, 4]


def test_named_positions_are_the_papers():
    places = {name: mask.nonzero().tolist() for name, mask in filters.figure_positions(3).items()}
    assert places == {"center": [[1, 1]], "left-middle": [[1, 0]], "left-upper": [[0, 0]]}
    assert filters.figure_positions(5) == {}


def test_log_counts_by_hand():
    weights = torch.tensor([0.0, -0.0, 1.0, -1.2, 10.5, 1e-3 * 1.1])
    assert filters.log_counts(weights) == {float("-inf"): 2, 0.0: 2, 1.0: 1, -3.0: 1}


# The published table


VGG16 = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
KERNELS = {
    "vgg16": [a * b for a, b in itertools.pairwise(VGG16)],
    "resnet50": [64**2] * 3 + [128**2] * 4 + [256**2] * 6 + [512**2] * 3,
    # Two ordinary layers, then depthwise ones, as in Keras.
    "xception": [96, 2048, 64, 128, 128, 256, 256, 728] + [728] * 24 + [728, 728, 1024, 1536],
}
"""Of each 3×3 layer, in the network's order."""


@pytest.mark.parametrize("name", list(KERNELS))
def test_published_halves_are_of_layers_and_weigh_by_kernels(name):
    """Our reading of "lower" and "upper" gives the table's "all" in every digit it has."""
    counts = KERNELS[name]
    share = sum(counts[measure._parts(len(counts))["lower"]]) / sum(counts)
    table = published.table("loco_filter_stats")
    table = table[table["architecture"] == name].set_index("layers")
    for comparison in COMPARISONS:
        lower, upper, both = table.loc[["lower", "upper", "all"], comparison]
        assert share * lower + (1 - share) * upper == pytest.approx(both, abs=0.0011)


def test_published_numbers():
    table = published.table("loco_filter_stats")
    assert list(table.columns) == ["architecture", "layers", *COMPARISONS]
    assert table.loc[table["architecture"] == "inception_v3", CENTER].tolist() == [0.49, 0.573, 0.483]
    assert ((table[list(COMPARISONS)] > 0.4) & (table[list(COMPARISONS)] < 0.7)).all(axis=None)


# Runs and files


@pytest.fixture
def memstudy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEMSTUDY_RUNS", raising=False)
    return lambda *words: CliRunner().invoke(main, ["filters", *map(str, words)])


def test_every_kept_network_of_a_study(memstudy, store_copy):
    done = memstudy("--json")
    assert done.exit_code == 0, done.output
    assert done.stderr.count("published: VGG16") in range(3, 100, 3)  # three rows, in each block of columns
    summary = json.loads(done.stdout)
    folder = store_copy.select().path
    found = pd.read_csv(folder / measure.TALLIES)
    runs = store_copy.select().runs
    plain = found[(found["weights"] == measure.TRAINED) & (found["part"] == "all")]
    assert len(plain) == len(COMPARISONS) * sum(len(run.checkpoints()) for run in runs)
    assert set(plain["kernels"]) == {20 + 1000}
    assert set(plain["filters"]) == {70}
    (row,) = plain.query("network == @runs[0].name and epoch == 2 and comparison == @CENTER").to_dict("records")
    weights = runs[0].load_checkpoint(2)
    slowly = [slow(weights[f"network.trunk.{index}.weight"], "named")[CENTER] for index in (0, 3)]
    assert [row["larger"], row["smaller"], row["ties"]] == np.sum(slowly, axis=0).tolist()
    shuffled = found[found["weights"] == measure.SHUFFLED]
    assert set(shuffled["epoch"]) == {2}
    assert set(shuffled["draw"]) == set(range(measure.DRAWS))
    bare = next(r for r in summary["filters"] if r["label"] == "bare" and r["weights"] == measure.TRAINED)
    assert (bare["networks"], bare["kernels"]) == (2, 2 * 1020)
    held = [row for row in summary["filters"] if row["against"]]
    assert {row["label"] for row in held} == {"al2", "do", "do+al2"}
    assert {row["weights"] for row in held} == {measure.TRAINED}
    (row,) = (r for r in held if (r["label"], r["part"], r["comparison"]) == ("al2", "all", CENTER))
    assert row["difference"] == pytest.approx(row["fraction"] - bare["fraction"])
    assert row["p_filters_holm"] >= row["p_filters"]
    assert {row["label"] for row in summary["filters_rings"] if row["against"]} == {"al2", "do", "do+al2"}


def test_rings_in_the_file(store_copy):
    run = store_copy.select().runs[0]
    selection = store_copy.select([run.name])
    measure.measure(selection)
    weight = run.load_checkpoint(2)["network.trunk.3.weight"].abs().double()
    rows = pd.read_csv(selection.path / measure.RINGS)
    rows = rows[(rows["epoch"] == 2) & (rows["part"] == "upper")]
    assert rows["distance"].tolist() == [0, 1, 1.4142, 2, 2.2361, 2.8284]
    assert rows["mean_abs"].iloc[0] == pytest.approx(float(weight[..., 2, 2].mean()))
    corners = weight[..., [0, 0, 4, 4], [0, 4, 0, 4]]
    assert rows["mean_abs"].iloc[-1] == pytest.approx(float(corners.mean()))
    assert rows["relative"].iloc[-1] == pytest.approx(float(corners.mean() / weight.mean()))
    assert (rows["relative"] * rows["positions"]).sum() == pytest.approx(25)
    assert rows["count"].tolist() == [1000 * positions for positions in rows["positions"]]


@pytest.fixture
def weights(tmp_path):
    """A file of two 3×3 layers with a planted effect, a 1×1 layer, and a zero."""
    tensors = {"a.9.weight": planted(normal(16, 8, 3, 3)), "a.10.weight": planted(normal(32, 1, 3, 3, seed=1))}
    tensors["a.9.weight"][0, 0, 0, 0] = 0
    save_file(tensors | {"b.weight": normal(4, 4, 1, 1)}, tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


def test_weights_alone_need_no_run(memstudy, weights, tmp_path):
    done = memstudy("--weights", weights, "--json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    (row,) = (
        r for r in summary["filters"]
        if r["part"] == "lower" and r["comparison"] == CENTER and r["weights"] == measure.TRAINED
    )  # fmt: skip
    assert (row["label"], row["size"], row["kernels"], row["filters"]) == (
        "mine",
        3,
        128,
        16,
    )  # a.9 is before a.10
    assert row["p_filters"] < 0.05
    (folder,) = (tmp_path / "runs" / "studies").iterdir()
    logs = pd.read_csv(folder / measure.LOG_WEIGHTS)
    assert logs.loc[logs["low"] == -np.inf, ["place", "count"]].to_numpy().tolist() == [
        ["distance 1.41", 1], ["left-upper", 1],
    ]  # fmt: skip
    assert logs[logs["place"] == "left-upper"]["count"].sum() == 160
    drawn = pd.read_csv(folder / "figures" / "filters_3x3.csv")
    everywhere = drawn[drawn["place"] == "all positions"].set_index("low")["density"]
    center = drawn[drawn["place"] == "center"].set_index("low")
    assert (center["ratio"] * everywhere).dropna().to_numpy() == pytest.approx(
        center.loc[everywhere > 0, "density"].to_numpy()
    )
    density = drawn.groupby("place")["density"].sum() / filters.BINS_PER_DECADE
    assert density.to_numpy() == pytest.approx(1)
    assert drawn.groupby("place")["n"].first().to_dict() == {
        "all positions": 1439, "center": 160, "left-middle": 160, "left-upper": 159,
    }  # fmt: skip


def test_files_beside_runs_are_made_and_made_again_alike(memstudy, store_copy, weights):
    name = store_copy.select().runs[0].name
    selection = store_copy.select([name])
    first = memstudy(name, "--weights", weights)
    assert first.exit_code == 0, first.output
    made = {path: path.read_bytes() for path in selection.path.rglob("filters*")}
    names = {path.name for path in made}
    assert {"filters.md", "filters.tex", "filters_rings.csv", "filters_5x5.png", "filters_5x5.csv"} <= names
    assert {"filters--files.md", "filters_rings--files.tex", "filters_3x3--files.svg"} <= names
    latex = (selection.path / "tables" / "filters--files.tex").read_text()
    assert "$>$" in latex
    assert latex.count("\\\\\n") >= 1 + 3 + 9
    (selection.path / "tables" / "filters--9.md").write_text("of an earlier selection")
    assert memstudy(name, "--weights", weights).stdout == first.stdout
    assert {path: path.read_bytes() for path in selection.path.rglob("filters*")} == made


def test_another_seed_shuffles_otherwise(store_copy):
    selection = store_copy.select([store_copy.select().runs[0].name])
    found = []
    for seed in (0, 1):
        measure.measure(selection, seed=seed)
        found.append(pd.read_csv(selection.path / measure.TALLIES))
    moved = found[0]["larger"] != found[1]["larger"]
    assert set(found[0].loc[moved, "weights"]) == {measure.SHUFFLED}


@pytest.mark.parametrize("options", [{"seed": 1}, {"choice": "random"}])
def test_other_options_are_measured_anew_and_leave_no_row_of_the_former(store_copy, tmp_path, options):
    selection = store_copy.select([store_copy.select().runs[0].name])
    alone = replace(selection, path=tmp_path / "alone")
    measure.measure(alone, **options)
    measure.measure(selection)
    assert contents(selection) != contents(alone)
    measure.measure(selection, **options)
    assert contents(selection) == contents(alone)


def test_an_epoch_that_is_no_longer_the_last_loses_its_control(store_copy, tmp_path):
    run = store_copy.select().runs[0]
    selection = store_copy.select([run.name])
    alone = replace(selection, path=tmp_path / "alone")
    measure.measure(alone)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(run), "checkpoints", lambda self: [0, 1])
        measure.measure(selection)
    assert set(pd.read_csv(selection.path / measure.LOG_WEIGHTS)["epoch"]) == {1}
    measure.measure(selection)
    assert contents(selection) == contents(alone)


def test_another_file_of_the_same_name_is_measured(store_copy, weights, tmp_path):
    run = store_copy.select().runs[0].name
    selection = store_copy.select([run])
    measure.measure(selection, [weights])
    before = contents(selection)
    save_file({"a.weight": planted(normal(16, 8, 3, 3, seed=2))}, weights)
    measure.measure(selection, [weights])
    after = {name: pd.read_csv(selection.path / name) for name in before}
    for name, text in before.items():
        former = pd.read_csv(io.StringIO(text))
        is_file = [table["network"] == "mine" for table in (former, after[name])]
        assert set(former[is_file[0]]["checkpoint"]).isdisjoint(after[name][is_file[1]]["checkpoint"])
        pd.testing.assert_frame_equal(former[~is_file[0]], after[name][~is_file[1]])


def test_a_file_of_an_earlier_version_is_read_and_kept_until_it_is_made_anew(store_copy):
    """Without networks, as in a packed store, there is nothing to make it anew of."""
    selection = store_copy.select([store_copy.select().runs[0].name])
    measure.measure(selection)
    expected = contents(selection)
    shown = [table.markdown() for table in tables.tables(selection)]
    for name in expected:
        own = ["checkpoint", "seed", "draws", *(["choice"] if name != measure.TALLIES else [])]
        pd.read_csv(selection.path / name).drop(columns=own).to_csv(selection.path / name, index=False)
        (selection.path / f".{name}.sha256").unlink()  # earlier versions had no check sums
    earlier = contents(selection)
    assert [table.markdown() for table in tables.tables(selection)] == shown
    (networks,) = (run.path / "checkpoints" for run in selection.runs)
    networks.rename(elsewhere := networks.with_name("elsewhere"))
    with pytest.raises(MemstudyError, match="epoch-"):
        measure.measure(selection)
    elsewhere.rename(networks)
    assert contents(selection) == earlier
    measure.measure(selection)
    assert contents(selection) == expected


def contents(selection):
    """The texts of what was measured, by file."""
    return {path.name: path.read_text() for path in selection.path.glob("*.csv")}


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_says_what_it_is(tmp_path, weights, choice):
    selection = measure.selected(Store(tmp_path), [weights])
    measure.measure(selection, [weights], choice=choice)
    text = tables.tables(selection)[0].markdown()
    assert {"named": "left-upper one (inferred)", "random": "drawn", "every": "Every"}[choice] in text
    assert ("/ – |" in text) == (choice == "every")


def test_a_checkpoint_of_ours_is_read_as_the_run_is(memstudy, store_copy):
    run = store_copy.select().runs[0]
    path = run.path / "checkpoints" / "epoch-0002.safetensors"
    assert set(filters.kernels(measure._network(measure.read(path)))[0]) == {"trunk.0.weight", "trunk.3.weight"}


def test_networks_with_nothing_in_them_are_left_out(memstudy, weights, tmp_path):
    save_file({"b.weight": normal(4, 4, 1, 1)}, tmp_path / "small.safetensors")
    save_file({"c.weight": torch.full((4, 4, 3, 3), torch.nan)}, tmp_path / "nan.safetensors")
    save_file({"c.weight": torch.zeros(4, 4, 3, 3)}, tmp_path / "zero.safetensors")
    normalized = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv2d(2, 2, 3))
    save_file({f"trunk.0.{n}": v for n, v in normalized.state_dict().items()}, tmp_path / "wn.safetensors")
    words = [("--weights", tmp_path / f"{name}.safetensors") for name in ("small", "nan", "wn", "zero", "mine")]
    done = memstudy(*itertools.chain(*words), "--json")
    assert done.exit_code == 0, done.output
    wn, nan, small, zero = json.loads(done.stdout)["left_out"]
    assert "has collapsed" in zero
    assert "no convolution" in small
    assert "1×1 (1)" in small
    assert "not finite" in nan
    assert "from other tensors" in wn
    alone = memstudy("--weights", tmp_path / "zero.safetensors")
    assert alone.exit_code == 0, alone.output
    assert "–" in alone.output


def test_a_diverged_last_epoch_leaves_the_one_before_it(store_copy, monkeypatch):
    run = store_copy.select().runs[0]
    left_out: list[str] = []
    load = type(run).load_checkpoint

    def diverged(self, epoch):
        return {name: value / (0 if epoch == 2 else 1) for name, value in load(self, epoch).items()}

    monkeypatch.setattr(type(run), "load_checkpoint", diverged)
    selection = store_copy.select([run.name])
    measure.measure(selection, watch=Watch(left_out=left_out.append))
    assert left_out == [f"{run.name}, epoch 2 has weights that are not finite, as a network that diverged"]
    assert "After the last kept epoch (1, counted from 0)" in tables.tables(selection)[0].markdown()
    assert draw(Filters(), selection)


MISTAKES = [
    (["--weights", "small.safetensors"], "no convolution"),
    (["--weights", "pickle.pth"], "weights_only=True"),
    (["--weights", "legacy.pt"], "is a pickle"),
    (["--weights", "text.safetensors"], "no safetensors file"),
    (["--weights", "none.safetensors"], "cannot read none.safetensors"),
    (["--weights", "."], "cannot read"),
    (["--compare", "all"], "must be one of named, random, every"),
    ([], "memstudy run"),
    (["a-run"], "memstudy run"),
]


@pytest.mark.parametrize(("words", "says"), MISTAKES, ids=lambda value: str(value)[:30])
def test_a_mistake_is_a_sentence(memstudy, tmp_path, words, says):
    save_file({"b.weight": normal(4, 4, 1, 1)}, tmp_path / "small.safetensors")
    torch.save({"a": normal(2, 2, 3, 3)}, tmp_path / "pickle.pth")
    torch.save({"a": normal(2, 2, 3, 3)}, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "text.safetensors").write_text("no weights")
    before = sorted(tmp_path.rglob("*"))
    done = memstudy(*words)
    assert done.exit_code == 2, done.output
    assert says in done.stderr
    assert "Traceback" not in done.output
    assert sorted(tmp_path.rglob("*")) == before


def test_unknown_run_names_the_known_ones(memstudy, store_copy):
    done = memstudy("*-bar-*")
    assert done.exit_code == 2
    assert "unknown run" in done.stderr


def test_the_conversion_that_is_advised_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a.weight": planted(normal(2, 2, 3, 3))}, tmp_path / "old.pth")
    with pytest.raises(MemstudyError) as refused:
        measure.read(tmp_path / "old.pth")
    code = "\n".join(str(refused.value).splitlines()[-2:])
    exec(compile(code, "advice", "exec"), {})
    assert measure.read(tmp_path / "old.safetensors")["a.weight"].shape == (2, 2, 3, 3)


def test_files_of_one_name_are_told_apart(tmp_path):
    paths = [
        tmp_path / "a" / "model.safetensors",
        tmp_path / "b" / "model.safetensors",
        tmp_path / "c.safetensors",
    ]
    assert list(measure._names(paths).values()) == [str(paths[0]), str(paths[1]), "c"]
