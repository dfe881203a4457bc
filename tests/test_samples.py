"""Single samples on the report page: confusion of classes, and the gallery of corrupted ones.

Labels are real (mnist5k's, corrupted); predictions are made up, so that it is known what must come out.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from memstudy import presets
from memstudy.data import artifact, dataset, sources
from memstudy.derived.samples.confusion import KINDS, MOST_EPOCHS, confusion
from memstudy.derived.samples.gallery import galleries
from memstudy.derived.samples.recorded import Recorded
from memstudy.derived.workbench import Workbench
from memstudy.report.chart import Chart
from memstudy.report.page import gallery as page_gallery
from memstudy.report.page.parts import Prose

EPOCHS = 25
SETTING: Any = SimpleNamespace(suffix="", words="")
GROUPS: Any = [(SETTING, None)]
LARGEST = 5_000_000
"""Bytes of the quick study's page; tests/test_report_page.py has what it takes without samples."""
LABELS = artifact.made_of(dataset.build(presets.build(corrupt=0.75, epochs=EPOCHS)))
IMAGES = sources.load("mnist5k")
CORRUPTED = np.flatnonzero(LABELS.mask)


def recorded(predictions, method="bare", seeds="0/0"):
    """A run with these predictions (epochs, N), and nothing else that is asked of it."""
    run: Any = SimpleNamespace(
        name=f"{method}-{seeds}",
        recipe=presets.build(corrupt=0.75, epochs=EPOCHS),
        dynamics=lambda samples: SimpleNamespace(prediction=predictions),
        state=lambda: {"data_sha256": IMAGES.content_hash()},
    )
    return Recorded(run, 0, method, seeds, LABELS)


def anything(seed, epochs=EPOCHS):
    return np.random.default_rng(seed).integers(10, size=(epochs, len(LABELS.noisy)))


def cells(runs):
    """What the chart shows: percent by kind, epoch, row and column, of the only method."""
    (chart,) = confusion(runs, GROUPS)
    assert isinstance(chart, Chart)
    (rows,) = chart.spec()["datasets"].values()
    return {(row["kind"], row["epoch"], row["down"], row["across"]): row["share"] for row in rows}


def last(found, kind):
    epoch = max(key[1] for key in found)
    names = list(LABELS.class_names)
    return np.array([[found.get((kind, epoch, down, across), 0.0) for across in names] for down in names])


def test_who_memorizes_all_has_the_diagonal_of_given_labels():
    found = cells([recorded(np.tile(LABELS.noisy, (EPOCHS, 1)))])
    assert np.array_equal(last(found, 0), 100 * np.eye(10))
    assert np.array_equal(last(found, 2), 100 * np.eye(10))
    assert np.trace(last(found, 1)) == 0  # a corrupted label is never the true class


def test_who_recovers_all_has_the_diagonal_of_true_classes():
    found = cells([recorded(np.tile(LABELS.clean, (EPOCHS, 1)))])
    assert np.array_equal(last(found, 1), 100 * np.eye(10))
    assert np.trace(last(found, 0)) == 0


def test_cells_are_scikit_learns_means_over_runs():
    first, second = anything(1), anything(2)
    found = cells([recorded(first), recorded(second, seeds="1/0")])
    sides = {0: (LABELS.noisy, LABELS.mask), 1: (LABELS.clean, LABELS.mask), 2: (LABELS.clean, ~LABELS.mask)}
    for kind, (true, mask) in sides.items():
        of_runs = [confusion_matrix(true[mask], p[-1][mask], normalize="true") for p in (first, second)]
        assert last(found, kind) == pytest.approx(100 * np.mean(of_runs, axis=0), abs=0.0501)
    given = confusion_matrix(LABELS.clean, LABELS.noisy, normalize="true")
    assert last(found, 3) == pytest.approx(100 * given, abs=0.0501)
    for kind in range(len(KINDS)):
        assert last(found, kind).sum(axis=1) == pytest.approx(100, abs=0.5)  # rounded to .1, ten of them


def test_the_last_epoch_is_always_among_those_to_choose():
    found = cells([recorded(anything(1, 17))])
    epochs = sorted({key[1] for key in found})
    assert (epochs[-1], len(epochs) <= MOST_EPOCHS) == (16, True)


def shown(*runs):
    (made,) = galleries(list(runs), GROUPS, Workbench(torch.device("cpu")))
    return made


def test_the_gallery_shows_each_sample_as_it_is_and_what_each_run_says():
    """One run memorizes the first hundred corrupted samples and recovers the others; the other ended early."""
    half = np.tile(LABELS.clean, (EPOCHS, 1))
    half[:, CORRUPTED[:100]] = LABELS.noisy[CORRUPTED[:100]]
    early = np.tile(LABELS.clean, (EPOCHS - 1, 1))
    made = shown(recorded(half), recorded(early, seeds="1/0"))
    assert np.array_equal(made.given, LABELS.noisy[made.index])
    assert np.array_equal(made.true, LABELS.clean[made.index])
    assert (made.given != made.true).all()
    assert np.array_equal(made.images, IMAGES.train_images[torch.from_numpy(made.index)].numpy())
    assert set(CORRUPTED[:100]) <= set(made.index)  # the most memorized are shown
    assert np.array_equal(made.memorized, np.where(np.isin(made.index, CORRUPTED[:100]), 0.5, 0.0))
    place = list(made.epochs).index(EPOCHS - 1)
    assert np.array_equal(made.predicted[0, place], half[-1][made.index])
    assert (made.predicted[1, place] == -1).all()
    data = json.loads(page_gallery.element(made)["data"])
    first = data["predicted"][0][place]
    assert [int(first[at : at + 2], 36) for at in range(0, len(first), 2)] == half[-1][made.index].tolist()
    assert set(data["predicted"][1][place]) == {"-"}


def test_a_study_like_the_quick_one_has_room_on_a_page():
    """Sixteen runs that predict at random, which is the longest to tell: beside what a packed store shows."""
    runs = [recorded(anything(seed), f"method {seed % 8}", f"{seed // 8}/0") for seed in range(16)]
    (chart,) = confusion(runs, GROUPS)
    assert isinstance(chart, Chart)
    size = len(json.dumps(chart.spec())) + len(page_gallery.element(shown(*runs))["data"])
    assert size < LARGEST - 2_000_000


def test_too_many_cells_are_a_sentence_in_place_of_the_chart(monkeypatch):
    monkeypatch.setattr("memstudy.derived.samples.confusion.MOST_CELLS", 399)
    (said,) = confusion([recorded(anything(0))], GROUPS)
    assert isinstance(said, Prose)
    assert "those of 10 classes, 1 method and 1 setting have 400 cells, and a page holds 399" in said.paragraphs[0]
