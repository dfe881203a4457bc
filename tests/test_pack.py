"""A packed study: tables and figures from it are those from the runs, with no network in it."""

from __future__ import annotations

import shutil

import pytest

from memstudy.store import Store


@pytest.fixture
def packed(command, trained, small_source, tmp_path):
    """A store of real runs, analyzed, and its pack."""
    shutil.copytree(trained, tmp_path / "runs")
    assert command("ablate", "--study", "tiny", "--orders", "2", "--device", "cpu").exit_code == 0
    result = command("pack", "packed", "--study", "tiny")
    assert result.exit_code == 0, result.output
    return tmp_path / "runs", tmp_path / "packed"


def content(store, *patterns):
    folder = store / "studies" / "tiny"
    return {path.name: path.read_bytes() for pattern in patterns for path in folder.glob(pattern)}


def test_tables_and_figures_are_the_same_without_a_network(command, packed):
    runs, small = packed
    assert not list(small.rglob("*.safetensors")) + list(small.rglob("labels.npz"))
    assert len(Store(small).runs()) == len(Store(runs).runs())
    for store in (runs, small):
        for step in (("table",), ("figures",)):
            result = command(*step, "--study", "tiny", "--runs-dir", str(store))
            assert result.exit_code == 0, result.output
    made = [content(store, "tables/*", "figures/*.csv", "*.csv") for store in (runs, small)]
    assert "table1.md" in made[0]
    assert "ablation.csv" in made[0]
    assert made[0] == made[1]


def test_what_is_large_is_left_out_and_said(command, packed, monkeypatch):
    monkeypatch.setattr("memstudy.store.pack.LARGEST", 1000)
    result = command("pack", "small", "--study", "tiny")
    assert "left out: ablation_curves.csv" in result.output


def test_it_is_no_place_to_pack_into(command, packed):
    result = command("pack", "runs", "--study", "tiny")
    assert result.exit_code == 2
    assert "choose another directory" in result.output


def test_an_analysis_of_a_pack_says_what_is_missing(command, packed):
    result = command("svcca", "--study", "tiny", "--runs-dir", "packed", "--device", "cpu")
    assert result.exit_code == 2
    assert "safetensors" in result.output
