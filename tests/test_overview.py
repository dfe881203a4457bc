"""A list of studies: runs and steps by hand, and what is finished in a store."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from memstudy import presets
from memstudy.cli import main
from memstudy.data import sources
from memstudy.store import Store
from memstudy.study import shipped
from memstudy.study.overview import overviews, steps

RESULTS = Path(__file__).parents[1] / "studies" / "results" / "store"
SIZES = {
    ("quick", None): (16, 16 * 25 * 63),  # 4,000 images in batches of 64: 62.5
    ("al2", None): (8, 8 * 701 * 938),  # 60,000: 937.5
    ("al2", "lite"): (16, 16 * 25 * 63),
    ("calibration", None): (10, 10 * 25 * 63),
    ("loco_reg", None): (
        540,
        (2 * 36 * 5 * 391 + 36 * 5 * 469) * 100,
    ),  # CIFAR: 50,000 in 128s, 390.6; Fashion: 468.75
    ("loco_reg", "lite"): (60, 60 * 10 * 23),  # 1,442: 22.5
    ("noise_grid", None): (1160, 1160 * 40 * 938),
    ("noise_grid", "lite"): (174, 174 * 10 * 32),  # 1,000 in 32s: 31.25
    ("noise_grid", "gpu"): (261, 261 * 25 * 313),  # 20,000: 312.5
    ("norm_loss", "gpu"): (6, 6 * 40 * 391),
    ("pilcro", "lite"): (24, 24 * 15 * 63),
}


@pytest.fixture(scope="module")
def here():
    """All that come with memstudy, beside the committed runs."""
    found = [one for name in shipped.names() for one in overviews(shipped.path(name), Store(RESULTS))]
    return {(one.given, one.scale): one for one in found}


@pytest.mark.parametrize("key", SIZES, ids=lambda key: "-".join(filter(None, key)))
def test_runs_and_steps(here, key):
    assert (here[key].runs, here[key].steps) == SIZES[key]


def test_each_says_what_it_does_shows_and_costs(here):
    for one in here.values():
        assert one.about
        assert one.shows
        assert re.search("measured|estimated|not known", one.cost)


def test_what_is_finished(here):
    """The committed lite studies, and of those at full scale nothing."""
    lite = {key: one for key, one in here.items() if key[1] == "lite" or key[0] in ("quick", "calibration")}
    assert len(lite) == 7
    assert all(one.finished == one.runs for one in lite.values())
    assert not any(one.finished for key, one in here.items() if key not in lite)


def test_a_damaged_run_is_not_finished(tmp_path):
    store = Store(tmp_path)
    (quick,) = overviews(shipped.path("quick"), store)
    assert (quick.finished, quick.derived) == (0, False)
    record = json.loads((RESULTS / "studies" / "quick" / "study.json").read_text())
    for name in record["runs"][:3]:
        shutil.copytree(RESULTS / name, tmp_path / name)
    (tmp_path / record["runs"][0] / "state.json").write_text("{")
    (quick,) = overviews(shipped.path("quick"), store)
    assert quick.finished == 2


def test_derived_is_since_it_was_carried_out(tmp_path):
    store = Store(tmp_path)
    store.record_study("quick", [], {})
    store.record_derived("quick")
    assert overviews(shipped.path("quick"), store)[0].derived
    store.record_study("quick", [], {})
    assert not overviews(shipped.path("quick"), store)[0].derived


def test_a_set_whose_size_nobody_knows():
    recipe = presets.build(dataset="mine")
    assert steps((recipe,)) is None
    assert steps((presets.build(dataset="mine", train_size=100, epochs=2, batch_size=50),)) == 4
    assert steps((presets.build(), recipe)) is None


def test_sizes_of_the_well_known_sets():
    """Their publishers'. What is loaded has them, or is refused (`torchvision_sets._check`)."""
    known = {"mnist": 60_000, "fashion": 60_000, "cifar10": 50_000, "cifar100": 50_000, "cifar100-coarse": 50_000}
    assert {name: sources.samples(name) for name in known} == known
    assert sources.samples("nothing") is None


@pytest.fixture
def listed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        done = CliRunner().invoke(main, ["study", "list", *words], env={"COLUMNS": "80"})
        assert done.exit_code == 0, done.output
        return done.stdout

    return call


def test_the_list_in_words(listed, tmp_path):
    names = ["pilcro", "norm_loss", "quick"]
    text = listed(*names, "--runs-dir", str(RESULTS))
    assert [line.split()[-1] for line in text.splitlines() if line.startswith("memstudy study ")] == names
    assert max(map(len, text.splitlines()[:-1])) <= 80  # the last one is a sentence, which a terminal wraps
    row = next(line.split() for line in text.splitlines() if line.split()[:1] == ["lite"])
    assert row[:4] == ["lite", "24", "22,680", "24"]
    assert "12.9 M" in text
    assert "cost: 9 min on two CPU cores (measured)" in " ".join(text.split())
    assert list(tmp_path.iterdir()) == []


def test_the_list_as_json(listed):
    studies = json.loads(listed("--json", "quick", "al2"))["studies"]
    assert [(one["study"], one["given"], one["scale"]) for one in studies] == [
        ("quick", "quick", None), ("al2", "al2", None), ("al2_lite", "al2", "lite"), ("al2_gpu", "al2", "gpu"),
    ]  # fmt: skip
    assert set(studies[0]) == {
        "study", "given", "scale", "about", "shows", "cost", "runs", "steps", "finished", "derived"
    }  # fmt: skip


def test_a_store_that_can_be_none_is_told(listed):
    Path("a file").touch()
    done = CliRunner().invoke(main, ["study", "list", "quick", "--runs-dir", "a file"])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "a file is no directory" in done.stderr


def test_a_study_of_ones_own_is_listed(listed):
    Path("mine.toml").write_text('about = "[bold] is no markup"\n[grid]\nepochs = 1\ndataset = "mine"\n')
    text = listed("mine.toml")
    assert "memstudy study mine.toml" in text
    assert "[bold] is no markup" in text
    assert text.splitlines()[2].split()[:4] == ["–", "1", "?", "0"]
