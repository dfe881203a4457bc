"""Laws of linear probes: planted classes, senseless labels, invariances, scikit-learn; then stored networks."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from click.testing import Result
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from memstudy import presets
from memstudy.analysis.probe import C, probe
from memstudy.data import artifact
from memstudy.data.images import ImageSet
from memstudy.derived.layers import output_of
from memstudy.derived.probe import Probe, measure, tables
from memstudy.derived.probe.figures import HEAD_LINE, PIXEL_LINE
from memstudy.derived.training_set import training_set
from memstudy.derived.workbench import Workbench
from memstudy.models import build
from memstudy.randomness import torch_generator
from memstudy.store import RunDirectory, Store
from memstudy.store.store import Selection
from memstudy.training import TrainingState
from tests.kit.arithmetic import traced
from tests.kit.drawing import draw
from tests.kit.sentences import refused

Sides = tuple[Tensor, Tensor, Tensor, Tensor]


def planted(distance: float, units: int = 20, images: int = 300) -> Sides:
    """Four classes, `distance` standard deviations of noise apart; the labels of both sides in equal parts."""
    labels = torch.arange(images) % 4
    noise = torch.randn(2, images, units, generator=torch_generator(0, "test/probe"))
    train, test = noise + distance * F.one_hot(labels, units)
    return train, labels, test, labels


@pytest.fixture(scope="module")
def digits(mnist5k: ImageSet) -> Sides:
    """Real digits, averaged over 4×4 pixels: 49 units of 800 training and 500 test images."""
    train, test = (
        F.avg_pool2d(images / 255, 4).flatten(1)
        for images in (mnist5k.train_images[::5], mnist5k.test_images[::2])
    )
    return train, mnist5k.train_labels[::5], test, mnist5k.test_labels[::2]


def test_separable_classes_are_read_off_entirely() -> None:
    assert probe(*planted(20)) == 1


def test_labels_without_sense_are_guessed() -> None:
    """Within four standard deviations of chance, for features without classes and for shuffled labels."""
    bound = 4 * math.sqrt(0.25 * 0.75 / 300)
    assert abs(probe(*planted(0)) - 0.25) < bound
    train, labels, test, right = planted(20)
    shuffled = labels[torch.randperm(len(labels), generator=torch_generator(0, "test/shuffle"))]
    assert (
        abs(probe(train, shuffled, test, right) - 0.25) < 2 * bound
    )  # classes are answered as wholes: more spread


def test_equals_scikit_learn_used_directly(digits: Sides) -> None:
    train, labels, test, right = (part.numpy() for part in digits)
    scaler = StandardScaler().fit(train)
    classifier = LogisticRegression(C=C, max_iter=1000).fit(scaler.transform(train), labels)
    expected = classifier.score(scaler.transform(test), right)
    assert 0.8 < expected < 1
    assert probe(*digits) == expected
    maps = [part.view(len(part), 1, 7, 7) if part.ndim == 2 else part for part in digits]
    assert probe(*maps) == expected


def test_shift_and_scale_of_each_unit_change_nothing(digits: Sides) -> None:
    """Up to rounding, which may tip one image over; units that never change do no harm."""
    train, labels, test, right = digits
    generator = torch_generator(0, "test/scale")
    scale, shift = 10 ** torch.randn(49, generator=generator), torch.randn(49, generator=generator)
    still = torch.full((1, 3), 7.0)
    moved = [torch.cat([part * scale + shift, still.expand(len(part), 3)], dim=1) for part in (train, test)]
    assert probe(moved[0], labels, moved[1], right) == pytest.approx(probe(*digits), abs=1 / len(test))


def test_a_rotation_changes_little(digits: Sides) -> None:
    """The classes are as separable as before; only the penalty sees other units, after they are standardized."""
    train, labels, test, right = digits
    rotation = torch.linalg.qr(torch.randn(49, 49, generator=torch_generator(0, "test/rotation")))[0]
    assert probe(train @ rotation, labels, test @ rotation, right) == pytest.approx(probe(*digits), abs=0.03)
    lost = torch.zeros(49, 49).fill_diagonal_(1)[:, :3]  # negative control: what is no rotation costs much
    assert probe(train @ lost, labels, test @ lost, right) < probe(*digits) - 0.3


def test_training_improves_what_a_probe_finds_in_a_trunk(mnist5k: ImageSet) -> None:
    """Real digits: chance < untrained < trained with true labels, for a probe with few samples to learn from."""
    network = build("smallnet", channels=1, size=28, classes=10, generator=torch_generator(0, "weights"))
    train, test = ((part / 255 - 0.1307) / 0.3081 for part in (mnist5k.train_images, mnist5k.test_images[::2]))
    labels, right = mnist5k.train_labels, mnist5k.test_labels[::2]

    def found() -> float:
        with torch.no_grad():
            return probe(network.trunk(train[::40]), labels[::40], network.trunk(test), right)

    before = found()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.5)
    generator = torch_generator(0, "test/batches")
    for _ in range(80):
        batch = torch.randint(len(train), (64,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(network(train[batch])[1], labels[batch]).backward()
        optimizer.step()
    after = found()
    assert 0.3 < before < after - 0.02


def test_mistakes_are_answered_in_a_sentence() -> None:
    train, labels, test, right = planted(1, images=8)
    refused(lambda: probe(train, labels[:7], test, right), "8 images and 7 labels")
    refused(lambda: probe(train[:0], labels[:0], test, right), "0 images")
    refused(lambda: probe(train, labels, test[:, :5], right), "(20,) and (5,)")
    refused(lambda: probe(train, labels * 0, test, right), "at least two classes")
    refused(lambda: probe(train * math.nan, labels, test, right), "NaN or infinite")


# Of a store's networks


@pytest.fixture
def selection(store_copy: Store, small_source: ImageSet) -> Selection:
    """One run without AL2 and one with it, of a copy of the trained store."""
    return store_copy.select(("*-bare-s0-*", "*-al2-s0-*"), None)


@pytest.fixture
def bench() -> Workbench:
    return Workbench(torch.device("cpu"))


def test_the_training_set_is_what_the_run_was_trained_on(
    selection: Selection, bench: Workbench, small: ImageSet
) -> None:
    run = selection.runs[0]
    whole, labels = training_set(bench, run), artifact.read(run.path / "labels.npz")
    assert torch.equal(whole.images, (small.train_images / 255 - 0.1307) / 0.3081)
    assert torch.equal(whole.true, small.train_labels)
    assert torch.equal(whole.noisy, torch.from_numpy(labels.noisy))
    part = training_set(bench, run, 40)
    assert torch.equal(part.true.bincount(), torch.full((10,), 4))
    assert len(training_set(bench, run, 4000).true) == 400


def test_a_run_on_a_part_of_the_set_keeps_its_samples(
    selection: Selection, bench: Workbench, small: ImageSet
) -> None:
    """Positions are those in the set, of which the run has only some."""
    run = selection.runs[0]
    labels = artifact.read(run.path / "labels.npz")
    positions = torch.arange(0, 400, 3)
    part = replace(
        labels,
        clean=labels.clean[::3],
        noisy=labels.noisy[::3],
        mask=labels.mask[::3],
        positions=positions.numpy(),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifact, "read", lambda path: part)
        found = training_set(bench, run)
    assert torch.equal(found.true, small.train_labels[positions])
    assert torch.equal(found.images, training_set(bench, run).images[positions])


def test_an_untrained_network_has_the_images_statistics(bench: Workbench, small: ImageSet, tmp_path: Path) -> None:
    """Its own, 0 and 1, are never used in training; its weights are those that training starts from."""
    run = RunDirectory(tmp_path / "none", presets.build(reg="bn"))
    images = (small.train_images / 255 - 0.1307) / 0.3081
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(bench, "_load", lambda run: (None, small))
        network = bench.untrained(run, images)
        normalized = output_of(network, "trunk.4")(images)
    assert not network.training
    assert normalized.mean(dim=(0, 2, 3)).abs().max() < 1e-3
    assert (normalized.std(dim=(0, 2, 3)) - 1).abs().max() < 0.02
    start = TrainingState.initial(run.recipe, small, torch.device("cpu")).network
    assert all(map(torch.equal, network.parameters(), start.parameters()))


def test_each_row_is_a_probe_of_what_it_says(selection: Selection, bench: Workbench) -> None:
    table = measure.probes(selection, bench, Probe(layers=("head.1",), samples=100, epochs=(0,)))
    assert len(table) == 2 * (2 + 2)  # raw pixels, before training, after epochs 0 and 2
    assert set(table["samples"]) == {100}
    run = selection.runs[0]
    rows = table[table["run"] == run.name].set_index(["epoch", "layer"])
    accuracy, own = rows["accuracy"].to_dict(), rows["head_accuracy"].to_dict()
    train, test = training_set(bench, run, 100), bench.test_set(run)
    assert accuracy[-1, "pixels"] == probe(train.images, train.true, test.images, test.labels)
    network = bench.network(run, 2)
    assert isinstance(network.head, nn.Sequential)
    with torch.no_grad():
        known, asked = (network.head[:2](network.trunk(images)) for images in (train.images, test.images))
    assert accuracy[2, "head.1"] == probe(known, train.true, asked, test.labels)
    assert own[2, "head.1"] == run.metrics()["test_accuracy"][2]
    assert math.isnan(own[-1, "head.1"])
    assert 0.3 < accuracy[-1, "head.1"] < 1


def test_the_command_draws_and_computes_nothing_twice(
    selection: Selection, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [run.name for run in selection.runs]
    words = ("probe", *names, "--samples", "100", "--epochs", "0")
    done = command(*words, "--json")
    assert done.exit_code == 0, done.output
    summary, path = json.loads(done.stdout), selection.path / measure.PROBES
    assert {Path(file).name for file in summary["written"] + summary["figures"]} == {
        f"probe.{ending}" for ending in ("md", "tex", "csv", "svg", "pdf", "png")
    }
    first = path.read_bytes()
    monkeypatch.setattr(measure, "linear_probe", lambda *sides: pytest.fail("computed twice"))
    assert command(*words).exit_code == 0
    assert path.read_bytes() == first


def test_the_table_and_the_figure_hold_the_means(selection: Selection) -> None:
    """Numbers made up, so that the best epoch is neither the first nor the last."""
    accuracies = {-1: 0.5, 0: 0.6, 1: 0.9, 2: 0.7}
    rows = [
        {"run": run.name, "epoch": epoch, "layer": "trunk", "samples": 100, "accuracy": accuracy + index / 100}
        | {"head_accuracy": math.nan if epoch < 0 else accuracy / 2}
        for index, run in enumerate(selection.runs)
        for epoch, accuracy in accuracies.items()
    ]
    rows += [rows[0] | {"layer": "pixels", "accuracy": 0.8}]
    selection.path.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(selection.path / measure.PROBES, index=False)
    (sheet,) = tables.tables(selection)
    first = sheet.cells.iloc[0].to_dict()
    assert first == {
        "regularizers": "al2", "layer": "trunk", "n": "1", "probe, untrained": "50.0",
        "probe, first": "60.0", "own, first": "30.0", "probe, best": "90.0 (1)", "own, best": "45.0",
        "probe, last": "70.0", "own, last": "35.0",
    }  # fmt: skip
    assert sheet.cells.iloc[-1].to_dict()["probe, untrained"] == "80.0"
    assert traced(sheet, selection) == 2 * 7 + 1
    held = sheet.values.dropna(subset="against")
    assert set(held["label"]) == {"al2"}
    assert held["difference"].to_numpy() == pytest.approx(held["of"].map({"probe": -1, "own": 0}).to_numpy())
    assert "Stars" not in sheet.markdown()  # one seed
    draw(Probe(), selection)
    drawn = pd.read_csv(selection.path / "figures" / "probe.csv")
    assert len(drawn) == 2 * 3 * 3 + 3  # probe, own and untrained, and raw pixels of the first run
    heads = drawn[drawn["line"] == HEAD_LINE].set_index(["run", "epoch"])["accuracy"]
    for run in selection.runs:
        assert heads[run.name].to_numpy() == pytest.approx(100 * run.metrics()["test_accuracy"].to_numpy())
    assert set(drawn.loc[drawn["line"] == PIXEL_LINE, "accuracy"]) == {80.0}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--samples", "9"), "--samples must be at least 10, one of each class of 'mnist5k', not 9"),
        (("--layer", "trunk.9"), "did you mean trunk"),
        (("--layer", "pixels"), "raw pixels are probed anyway"),
        (("--epochs", "last"), "'--epochs': it must be a list of whole numbers of at least 0, not 'last'"),
    ],
)
def test_a_mistake_is_one_sentence(
    selection: Selection, command: Callable[..., Result], words: tuple[str, ...], says: str
) -> None:
    done = command("probe", *(run.name for run in selection.runs), "--samples", "20", *words)
    assert done.exit_code == 2
    assert says in done.stderr
