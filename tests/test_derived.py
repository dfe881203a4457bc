"""What is derived from a study: comparison plans, cached rows, ablation, and selections."""

from __future__ import annotations

import importlib
import math
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import torch

from memstudy import files, presets
from memstudy.analysis import ablation, similarity
from memstudy.analysis.factorization import Pair, as_samples, factorize
from memstudy.analysis.keep import parse_keep
from memstudy.derived import cached_table, reading
from memstudy.derived.ablation import Ablation
from memstudy.derived.ablation.areas import areas
from memstudy.derived.ablation.measure import ablate
from memstudy.derived.analysis import Watch
from memstudy.derived.cached_table import CachedTable
from memstudy.derived.deriving import derive
from memstudy.derived.landscape import Landscape
from memstudy.derived.probe import Probe
from memstudy.derived.similarity import Similarity
from memstudy.derived.similarity.measure import compare
from memstudy.derived.similarity.plan import is_twin, kind, plan
from memstudy.derived.workbench import NotFinite, Workbench
from memstudy.errors import MemstudyError, Unreadable
from memstudy.store import pack
from tests.kit.sentences import Sentences
from tests.kit.stores import small_recipes
from tests.reliability.shim import FAULTS, Layer, failing

VARIANCE = parse_keep("variance:0.99")


@pytest.fixture
def store(store_copy, small_source):
    """A copy of the trained store, whose images are at hand."""
    return store_copy


@pytest.fixture
def bench():
    return Workbench(torch.device("cpu"))


def counting(monkeypatch, module, name):
    """Count the calls of a function as the module (by its name) calls it; it still does its work."""
    module = importlib.import_module(module)
    calls, original = [], getattr(module, name)

    def counted(*args, **kwargs):
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, counted)
    return calls


def test_twins_differ_by_al2_alone():
    recipes = small_recipes()
    for recipe in recipes:
        twins = [other for other in recipes if is_twin(recipe, other)]
        if recipe.options("al2") is not None:
            assert twins == []
        else:
            (twin,) = twins
            assert twin.seed == recipe.seed
            assert [r for r in twin.regularizers if r.name != "al2"] == list(recipe.regularizers)
    other = presets.build(reg="al2", epochs=4)
    assert not is_twin(recipes[0], other)


def test_plan_has_twins_pasts_and_a_control(store):
    runs = store.select().runs
    planned = plan(runs, all_pairs=False)
    by = {
        name: [c for c in planned if kind(c.relation) == name]
        for name in ("twin", "seed", "past", "control", "grid")
    }
    assert len(by["twin"]) == 4 * 3  # four baselines with twins, three kept epochs
    assert len(by["seed"]) == 4 * 3
    assert len(by["past"]) == 8 * 3  # every two of three epochs
    assert len(by["control"]) == 8
    assert len(by["grid"]) == 8 * 7 // 2  # after the last epoch
    assert all(c.a[1] == c.b[1] for c in by["twin"] + by["seed"] + by["grid"])
    assert {(c.a[0].recipe.seed, c.b[0].recipe.seed) for c in by["seed"] if c.a[0] and c.b[0]} == {(0, 1)}
    everything = plan(runs, all_pairs=True)
    pairs = Counter(c.relation for c in everything if kind(c.relation) == "pair")
    assert pairs == {"pair: same seed": 2 * (4 * 3 // 2) * 3, "pair: other seed": 4 * 4 * 3}


def test_comparison_equals_the_analysis_done_by_hand(store, bench):
    selection = store.select(["*-bare-s0-*", "*-al2-s0-*"])
    pairs = compare(replace(selection, by_name=True), bench, Similarity(keep=str(VARIANCE)))
    row = pairs[(pairs["relation"] == "pair: same seed") & (pairs["epoch_a"] == 2)].iloc[0]
    runs = {run.name: run for run in selection.runs}
    views = [factorize(as_samples(bench.features(runs[name], 2))) for name in (row["run_a"], row["run_b"])]
    by_hand = Pair.of(*views)
    assert (row["n"], row["p_a"]) == (100 * 16, 50)
    assert row["cca"] == pytest.approx(float(similarity.coefficients(by_hand).mean()), abs=1e-7)
    assert row["svcca"] == pytest.approx(similarity.svcca(by_hand, VARIANCE), abs=1e-9)
    assert row["pwcca"] == pytest.approx(similarity.pwcca(by_hand), abs=1e-9)
    assert row["pwcca_back"] == pytest.approx(similarity.pwcca(by_hand.swapped()), abs=1e-9)
    for name in ("cka", "procrustes"):
        assert row[name] == pytest.approx(getattr(similarity, name)(by_hand), abs=1e-9)
    assert row["cka_unbiased"] == pytest.approx(similarity.unbiased_cka(by_hand), abs=1e-9)
    sequences = pd.read_csv(selection.path / Similarity().coefficients)
    chosen = sequences[(sequences["relation"] == "pair: same seed") & (sequences["epoch_a"] == 2)]
    assert len(chosen) == min(row["rank_a"], row["rank_b"])  # the whole sequence, not truncated
    assert np.all(np.diff(chosen["coefficient"]) <= 0)


def test_control_is_far_below_every_real_comparison(store, bench):
    pairs = compare(store.select(), bench, Similarity(keep=str(VARIANCE)))
    control = pairs.loc[pairs["relation"] == "control", "cca"]
    assert control.max() < pairs.loc[pairs["relation"] != "control", "cca"].min()


def test_what_is_computed_is_not_computed_again(store, bench, monkeypatch):
    selection = store.select()
    first = compare(selection, bench, Similarity(keep=str(VARIANCE)))
    calls = counting(monkeypatch, "memstudy.derived.similarity.measure", "coefficients")
    again = compare(selection, bench, Similarity(keep=str(VARIANCE)))
    pd.testing.assert_frame_equal(first, again)
    assert not calls
    compare(selection, bench, Similarity(keep="fixed:5"))  # another rule is another number
    assert calls


def test_ablation_continues_after_an_interruption(store, bench, monkeypatch):
    selection = store.select()
    whole = ablate(selection, bench, Ablation(orders=2, seed=0))

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # also a finished file survives an interrupted look at it
        ablate(selection, bench, Ablation(orders=2, seed=0), Watch(progress=stop))
    calls = counting(monkeypatch, "memstudy.derived.ablation.measure", "curve")
    pd.testing.assert_frame_equal(ablate(selection, bench, Ablation(orders=2, seed=0)), whole)
    assert not calls
    (selection.path / Ablation().curves).unlink()
    with pytest.raises(KeyboardInterrupt):
        ablate(selection, bench, Ablation(orders=2, seed=0), Watch(progress=stop))
    calls.clear()
    pd.testing.assert_frame_equal(ablate(selection, bench, Ablation(orders=2, seed=0)), whole)
    assert len(calls) == 2 * (8 * 3 - 5)


def test_ablation_starts_at_the_metrics_accuracy(store, bench):
    """Nothing ablated is the network itself: the same accuracy that training wrote."""
    selection = store.select()
    curves = ablate(selection, bench, Ablation(orders=2, seed=0, epochs=(2,)))
    for run in selection.runs:
        whole = curves[(curves["run"] == run.name) & (curves["fraction"] == 0)]
        assert set(whole["epoch"]) == {2}
        assert np.allclose(whole["accuracy"], run.metrics()["test_accuracy"].iloc[2], atol=1e-12)
    table = areas(curves)
    assert len(table) == 8 * len(ablation.PROTOCOLS)
    assert table["area"].between(0, 100).all()


def test_an_interrupted_change_of_orders_leaves_one_version_of_each_network(store, bench):
    selection = store.select()
    ablate(selection, bench, Ablation(orders=2, seed=0, epochs=(2,)))

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(selection, bench, Ablation(orders=3, seed=0, epochs=(2,)), Watch(progress=stop))
    curves = pd.read_csv(selection.path / Ablation().curves)
    versions = curves.groupby(["run", "epoch"])["orders"].unique().map(list)
    assert sorted(versions) == [[2]] * 5 + [[3]] * 3  # the rest of the file stays
    assert len(areas(curves)) == 8 * len(ablation.PROTOCOLS)


def diverge(run, epoch, value=math.nan):
    """Replace a kept network by one whose every weight is `value`."""
    tensors = run.load_checkpoint(epoch)
    run.save_checkpoint(epoch, {name: torch.full_like(tensor, value) for name, tensor in tensors.items()})


@pytest.mark.parametrize("analysis", [Ablation(orders=1), Landscape(images=10), Probe(samples=10)])
def test_runs_that_all_diverged_are_named_and_leave_no_file(store, bench, monkeypatch, analysis):
    """Not even an empty one, which could not be told from a damaged one; before training they diverge as well."""
    (run,) = (selection := store.select(["*-bare-s0-*"])).runs
    selection.path.mkdir(parents=True)
    (selection.path / analysis.path).write_text("of an earlier time")
    for epoch in run.checkpoints():
        diverge(run, epoch)
    monkeypatch.setattr(Workbench, "untrained", lambda bench, run, images: bench.network(run, 0))
    summary = derive(analysis, selection, bench, Sentences())
    named = [clause for clause in summary["left_out"] if "representation is not finite" in clause]
    assert {clause.partition(":")[0] for clause in named} >= {f"{run.name}, epoch {e}" for e in run.checkpoints()}
    assert not any((selection.path / f"{name}.csv").exists() for name in analysis.columns)
    assert summary["written"] == []


def test_a_diverged_network_is_left_out_by_name(store, bench):
    selection = store.select(["*-bare-s0-*", "*-al2-s0-*"])
    diverged = selection.runs[0]
    diverge(diverged, 2)
    left_out: list[str] = []
    pairs = compare(
        replace(selection, by_name=True), bench, Similarity(keep=str(VARIANCE)), Watch(left_out=left_out.append)
    )
    assert left_out == [f"{diverged.name}, epoch 2, layer trunk: its representation is not finite"]
    assert set(pairs.loc[pairs["relation"].map(kind) == "pair", "epoch_a"]) == {0, 1}
    left_out.clear()
    curves = ablate(selection, bench, Ablation(orders=1, seed=0), Watch(left_out=left_out.append))
    assert len(left_out) == 1
    assert len(curves.groupby(["run", "epoch"])) == 2 * 3 - 1
    for run in selection.runs:
        diverge(run, run.checkpoints()[-1])
    nothing = ablate(selection, bench, Ablation(orders=1, seed=0, epochs=(2,)))
    assert areas(nothing).empty


def test_features_that_overflow_are_not_finite(store, bench):
    run = store.select().runs[0]
    diverge(run, 2, 1e30)
    assert bench.network(run, 2)
    with pytest.raises(NotFinite):
        bench.features(run, 2)


def test_runs_without_a_common_epoch_are_named(store, bench):
    from memstudy.study.carry_out import Execution, carry_out

    short = carry_out(store.open(presets.build(epochs=1)), Execution(device="cpu"))
    state = short.state()["checksums"]
    short.update(checksums={name.replace("epoch-0000", "epoch-0005"): digest for name, digest in state.items()})
    (short.path / "checkpoints" / "epoch-0000.safetensors").rename(
        short.path / "checkpoints" / "epoch-0005.safetensors"
    )
    other = store.select(["*-al2-s0-*"]).runs[0]
    left_out: list[str] = []
    selection = store.select([short.name, other.name])
    pairs = compare(
        replace(selection, by_name=True), bench, Similarity(keep=str(VARIANCE)), Watch(left_out=left_out.append)
    )
    assert len(left_out) == 1
    assert "no common epoch" in left_out[0]
    assert short.name in left_out[0]
    assert "pair" not in set(pairs["relation"].map(kind))


@pytest.fixture
def compared(store, bench):
    """A selection of two runs that were compared, and both files."""
    selection = store.select(["*-bare-s0-*", "*-al2-s0-*"])
    compare(replace(selection, by_name=True), bench, Similarity(keep=str(VARIANCE)))
    paths = [selection.path / name for name in (Similarity().pairs, Similarity().coefficients)]
    return selection, {path: path.read_text() for path in paths}


@pytest.mark.parametrize("name", [Similarity().pairs, Similarity().coefficients])
@pytest.mark.parametrize("harm", ["deleted", "lines lost", "cut within a number"])
@pytest.mark.parametrize("sealed", [True, False])
def test_a_damaged_comparison_is_made_whole(compared, bench, monkeypatch, name, harm, sealed):
    """Without a check sum, as of an earlier version, the rows that are whole are kept."""
    selection, before = compared
    path = selection.path / name
    if not sealed:
        path.with_name(f".{name}.sha256").unlink()
    whole = path.read_text()
    if harm == "deleted":
        path.unlink()
    else:
        path.write_text("".join(whole.splitlines(keepends=True)[:-3]) if harm == "lines lost" else whole[:-4])
    calls = counting(monkeypatch, "memstudy.derived.similarity.measure", "_measure")
    compare(replace(selection, by_name=True), bench, Similarity(keep=str(VARIANCE)))
    assert {path: path.read_text() for path in before} == before
    assert bool(calls)
    assert sealed or harm == "deleted" or len(calls) <= 3


def test_truncated_ablation_curves_are_made_whole(store, bench):
    selection = store.select(["*-bare-s0-*"])
    ablate(selection, bench, Ablation(orders=1, seed=0))
    path = selection.path / Ablation().curves
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    ablate(selection, bench, Ablation(orders=1, seed=0))
    assert path.read_text() == whole


def test_a_comparison_without_coefficients_is_cached_too(store, bench, monkeypatch):
    selection = store.select(["*-bare-s0-*"])
    for epoch in selection.runs[0].checkpoints():
        diverge(selection.runs[0], epoch, 0.0)  # a constant representation has rank 0
    first = compare(selection, bench, Similarity(keep=str(VARIANCE)))
    assert (first["rank_a"] == 0).all()
    calls = counting(monkeypatch, "memstudy.derived.similarity.measure", "coefficients")
    pd.testing.assert_frame_equal(compare(selection, bench, Similarity(keep=str(VARIANCE))), first)
    assert not calls


def test_networks_come_back_as_they_were_kept(store, bench):
    run = store.select().runs[0]
    data = bench.test_set(run)
    for epoch in run.checkpoints():
        with torch.no_grad():
            _, logits = bench.network(run, epoch)(data.images)
        accuracy = (logits.argmax(1) == data.labels).double().mean()
        assert float(accuracy) == pytest.approx(run.metrics()["test_accuracy"].iloc[epoch], abs=1e-12)


def test_other_images_than_those_trained_on_are_refused(store, bench):
    run = store.select().runs[0]
    run.update(data_sha256="0" * 64)
    with pytest.raises(MemstudyError, match="other images"):
        bench.test_set(run)


def test_workbench_holds_no_runs_training_labels(store, bench, small):
    """Two runs may differ by their noisy labels: what is kept for all of them is test data alone."""
    tests = bench.test_set(store.select().runs[0])
    assert {field.name for field in fields(tests)} == {"images", "labels"}
    assert torch.equal(tests.labels, small.test_labels)
    assert len(tests.images) == len(small.test_labels)


def test_runs_of_two_data_sets_are_not_compared(store, bench):
    from memstudy.study.carry_out import Execution, carry_out

    carry_out(store.open(presets.build(dataset="mnist", epochs=1)), Execution(device="cpu"))
    with pytest.raises(MemstudyError, match="same test images"):
        compare(replace(store.select(["*"]), by_name=True), bench, Similarity(keep=str(VARIANCE)))
    left_out: list[str] = []
    pairs = compare(
        store.select(study="all"), bench, Similarity(keep=str(VARIANCE)), Watch(left_out=left_out.append)
    )
    assert left_out == ["runs of mnist, mnist5k with each other: they have other test images"]
    sides = [pairs[side].str.startswith("mnist-") for side in ("run_a", "run_b")]
    assert sides[0].any()
    assert (sides[0] == sides[1])[pairs["relation"] != "control"].all()


def test_rows_keep_their_order_and_types(tmp_path):
    path = tmp_path / "rows.csv"
    for _ in range(2):  # the second time everything is kept
        with CachedTable(path, ("name", "epoch")) as rows:
            for epoch in (0, 1):
                if len(rows.find("a", epoch)):
                    rows.keep("a", epoch)
                else:
                    rows.add(pd.DataFrame({"value": [epoch + 0.1, math.nan]}), ("a", epoch))
    table = pd.read_csv(path)
    assert table["epoch"].tolist() == [0, 0, 1, 1]
    assert table["value"].dropna().tolist() == [0.1, 1.1]


def test_a_damaged_cache_is_made_anew(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\x00garbage,\n1")
    with CachedTable(path, ("name",)) as rows:
        assert rows.find("a").empty
        rows.add(pd.DataFrame({"value": [1]}), ("a",))
    assert pd.read_csv(path)["value"].tolist() == [1]


def test_a_number_that_was_changed_is_not_read(tmp_path):
    path, beside = tmp_path / "probe.csv", tmp_path / ".probe.csv.sha256"
    rows = pd.DataFrame({"value": [0.25, 0.5]})
    for _ in range(2):
        cached_table.write(path, rows)
        assert pack.content(path) == path.read_bytes()
    path.write_text(path.read_text().replace("0.25", "0.75"))
    with pytest.raises(MemstudyError, match=r"probe\.csv is damaged .*checksum.*; remove it"):
        pack.content(path, "remove it")
    with CachedTable(path, ("value",)) as table:
        assert table.find(0.5).empty
        table.add(pd.DataFrame({"more": [1]}), (0.5,))
    assert pack.content(path) == b"value,more\n0.5,1\n"
    beside.unlink()  # as of an earlier version
    path.write_text("value\n0.75\n")
    assert pack.content(path) == b"value\n0.75\n"
    cached_table.write(path, pd.DataFrame())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("killed_at", [1, 2, 3])
def test_a_table_whose_writer_was_killed_is_the_old_one_or_the_new(tmp_path, monkeypatch, killed_at):
    path, calls, write = tmp_path / "probe.csv", [], files.write

    def until_killed(*given):
        calls.append(given)
        if len(calls) == killed_at:
            raise KeyboardInterrupt
        write(*given)

    cached_table.write(path, pd.DataFrame({"value": [0.25]}))
    monkeypatch.setattr(files, "write", until_killed)
    with pytest.raises(KeyboardInterrupt):
        cached_table.write(path, pd.DataFrame({"value": [0.5]}))
    assert pack.content(path) == (b"value\n0.25\n" if killed_at < 3 else b"value\n0.5\n")


def test_an_error_before_anything_is_measured_leaves_the_file_as_it_was(tmp_path):
    """Even one of which no row could be used, as it has no such key; after something new it is written."""
    path = tmp_path / "rows.csv"
    path.write_text("name,value\na,1\n")

    def interrupted(added: pd.DataFrame | None = None) -> None:
        with CachedTable(path, ("name", "digest")) as rows:
            rows.expect("a", "d1")
            if added is not None:
                rows.add(added, ("a", "d1"))
            raise MemstudyError("no network.")

    with pytest.raises(MemstudyError):
        interrupted()
    assert path.read_text() == "name,value\na,1\n"
    with pytest.raises(MemstudyError):
        interrupted(pd.DataFrame({"value": [2]}))
    assert path.read_text() == "name,digest,value\na,d1,2\n"


def test_a_table_that_cannot_be_read_is_not_written_over(tmp_path):
    """What is in it may be of networks that are gone by now."""
    path = tmp_path / "ablation.csv"
    path.write_text("key,value\na,1\n")
    silent = next(fault for fault in FAULTS if fault.name == "I/O error")
    with (
        failing(Layer((str(path),), replace(silent, kinds=frozenset({"read"}), lasting=True), at=1)),
        pytest.raises(Unreadable, match=r"cannot read .*ablation\.csv"),
        CachedTable(path, ["key"]) as table,
    ):
        table.add(pd.DataFrame({"value": [2]}), ["b"])
    assert path.read_text() == "key,value\na,1\n"


@pytest.mark.parametrize("content", [b"," * 100_000, b"run\n" + b"," * 100_000, b'"a\nb"' + b"," * 100_000])
def test_a_table_of_very_many_columns_is_damaged(tmp_path, content):
    """Pandas takes a minute for a million of them."""
    (tmp_path / "svcca.csv").write_bytes(content)
    with pytest.raises(MemstudyError, match="100,001 columns"):
        reading.read(tmp_path / "svcca.csv")


def test_a_table_with_a_nul_is_damaged(tmp_path):
    """Before its version 3.1 pandas took the names a and a-NUL-b for one."""
    (tmp_path / "svcca.csv").write_bytes(b'run\na\n"a\0b"\n')
    with pytest.raises(MemstudyError, match="a byte that is no text"):
        reading.read(tmp_path / "svcca.csv")
