"""LOCO-Reg's penalty by kernel size: closed forms, the regularizer itself as the oracle, file and table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from memstudy import models, presets
from memstudy.analysis import filter_sizes
from memstudy.derived.filters import measure, tables
from memstudy.randomness import torch_generator
from memstudy.regularizers.base import weighted_layers
from memstudy.regularizers.loco import LocoReg, weighted_squares
from tests.kit import stores

METHODS = [LocoReg(), LocoReg(eta=1.8), LocoReg(eta=1.8, mean_one=True), LocoReg(eta=1), LocoReg(eta=1.4, gamma=2)]


def network_of(name):
    return models.build(name, channels=1, size=32, classes=10, generator=torch_generator(0, "weights")).double()


def by_kernel(rings):
    """Of each kernel: layers, filters, weights, mean r, penalty."""
    frame = pd.DataFrame([vars(ring) | {"penalty": ring.penalty} for ring in rings])
    return {
        kernel: (
            *group[["layers", "filters"]].iloc[0].tolist(),
            int(group["weights"].sum()),
            np.average(group["ratio"], weights=group["weights"]),
            group["penalty"].sum(),
        )
        for kernel, group in frame.groupby("kernel", sort=False)
    }


@pytest.mark.parametrize("name", ["smallnet", "resnet18", "mobilenet"])
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_the_parts_add_up_to_the_regularizer_s_own_penalty(name, method):
    network = network_of(name)
    weights = [layer.weight for layer in weighted_layers(network)]
    rings = filter_sizes.rings(network.state_dict(), method)
    expected = weighted_squares(weights, [method._factor(weight) for weight in weights]).item()
    assert sum(ring.penalty for ring in rings) == pytest.approx(expected, rel=1e-12)
    assert sum(ring.weights for ring in rings) == sum(weight.numel() for weight in weights)
    assert sum(found[0] for found in by_kernel(rings).values()) == len(weights)


@pytest.mark.parametrize(("eta", "mean"), [(1.0, 1.0), (1.4, 1.43), (1.8, 1.86)])
def test_the_mean_ratio_of_3x3_kernels_is_the_known_one(eta, mean):
    found = by_kernel(filter_sizes.rings({"a.weight": torch.ones(2, 3, 3, 3)}, LocoReg(eta=eta)))
    assert found == {"3×3": (1, 2, 54, pytest.approx(mean, abs=0.005), pytest.approx(54 * mean, abs=0.3))}


def test_sizes_that_are_told_apart():
    """In the natural order of names the gray stem comes first; it is an ordinary convolution."""
    tensors = {
        "a.10.weight": torch.ones(4, 2, 3, 3),
        "a.2.weight": torch.ones(6, 1, 3, 3),
        "b.weight": torch.ones(6, 1, 3, 3),
        "c.weight": torch.ones(5, 6, 1, 1),
        "d.weight": torch.ones(3, 2, 1, 5),
        "e.weight": torch.ones(10, 7),
        "e.bias": torch.ones(10),
        "norm.weight": torch.ones(6),
        "attention.in_proj_weight": torch.ones(6, 2),
    }
    found = by_kernel(filter_sizes.rings(tensors, LocoReg(eta=1)))
    assert {kernel: values[:3] for kernel, values in found.items()} == {
        "1×1": (1, 5, 30), "1×5": (1, 3, 30), "3×3": (2, 10, 6 * 9 + 8 * 9), "3×3 depthwise": (1, 6, 54),
        "linear": (1, 10, 70),
    }  # fmt: skip
    assert list(found) == ["1×1", "1×5", "3×3", "3×3 depthwise", "linear"]


def test_rings_of_a_kernel_made_by_hand():
    kernel = torch.tensor([[1.0, 2, 1], [2, 3, 2], [1, 2, 1]])
    found = filter_sizes.rings({"a.weight": torch.stack([kernel, -kernel])[:, None]}, LocoReg(eta=1.8))
    assert [(r.distance, r.ratio, r.weights, r.squares, r.rms) for r in found] == [
        (0, 1, 2, 18, 3), (1, 1.8, 8, 32, 2), (pytest.approx(2**0.5), 2.13, 8, 8, 1),
    ]  # fmt: skip
    assert sum(r.penalty for r in found) == pytest.approx(18 + 1.8 * 32 + 2.13 * 8)


@pytest.fixture(scope="module")
def store(small, tmp_path_factory):
    """Two seeds with LOCO-Reg, one network without."""
    wanted = (("loco", 0), ("loco", 1), ("bare", 0))
    recipes = [presets.build(reg=reg, seed=seed, epochs=1) for reg, seed in wanted]
    return stores.train(tmp_path_factory.mktemp("store"), recipes, small).root


def test_file_and_table_of_some_runs(store, tmp_path):
    selection = stores.copy_of(store, tmp_path / "runs").select()
    measure.measure(selection)
    found = pd.read_csv(selection.path / measure.SIZES)
    assert found.groupby("network")["share"].sum().tolist() == pytest.approx([1, 1])
    run = next(run for run in selection.runs if run.name in set(found["network"]))
    mine = found[found["network"] == run.name]
    last = run.metrics()["penalty_loco"].iloc[-1]  # a mean over the epoch's steps, so it is near only
    assert mine["penalty"].sum() == pytest.approx(last, rel=0.01)
    (sheet,) = [sheet for sheet in tables.tables(selection) if sheet.name == "filters_sizes"]
    assert sheet.cells["kernels"].tolist() == ["5×5", "linear"]
    assert sheet.cells["weights"].tolist() == ["25,500", "405,000"]
    assert sheet.cells["n"].tolist() == ["2", "2"]
    assert sum(float(cell.split()[0]) for cell in sheet.cells["its share, %"]) == pytest.approx(100, abs=0.11)
    assert list(sheet.cells.columns)[-2:] == ["RMS at 2.83", "n"]


def test_without_the_method_there_is_neither_file_nor_table(store, tmp_path):
    selection = stores.copy_of(store, tmp_path / "runs").select(["*-bare-*"])
    selection.path.mkdir(parents=True)
    (selection.path / measure.SIZES).write_text("of another selection")
    measure.measure(selection)
    assert not (selection.path / measure.SIZES).exists()
    assert [sheet.name for sheet in tables.tables(selection)] == ["filters", "filters_rings"]
