"""A packed study: tables and figures from it are those from the runs, with no network in it."""

from __future__ import annotations

import pytest

from memstudy.store import Store


def content(store, *patterns):
    folder = store / "studies" / "tiny"
    return {path.name: path.read_bytes() for pattern in patterns for path in folder.glob(pattern)}


@pytest.mark.slow
def test_tables_and_figures_are_the_same_without_a_network(command, store_copy, small_source, tmp_path):
    small = tmp_path / "packed"
    for words in (("ablate", "--orders", "2", "--device", "cpu"), ("pack", "packed", "--study", "tiny")):
        result = command(*words)
        assert result.exit_code == 0, result.output
    assert not list(small.rglob("*.safetensors")) + list(small.rglob("labels.npz"))
    assert len(Store(small).runs()) == len(store_copy.runs())
    for store in (store_copy.root, small):
        for step in ("table", "figures"):
            result = command(step, "--runs-dir", str(store))
            assert result.exit_code == 0, result.output
    made = [content(store, "tables/*", "figures/*.csv", "*.csv") for store in (store_copy.root, small)]
    assert "table1.md" in made[0]
    assert "ablation.csv" in made[0]
    assert made[0] == made[1]
    result = command("svcca", "--runs-dir", "packed", "--device", "cpu")  # it needs networks, and says so
    assert result.exit_code == 2
    assert "safetensors" in result.output


def test_what_is_large_is_left_out_and_said(command, store_copy, tmp_path, monkeypatch):
    (tmp_path / "runs" / "studies" / "tiny" / "many.csv").write_text("x\n" * 600)
    monkeypatch.setattr("memstudy.store.pack.LARGEST", 1000)
    result = command("pack", "small", "--study", "tiny")
    assert result.exit_code == 0
    assert "left out: many.csv" in result.output
    assert not list((tmp_path / "small").rglob("many.csv"))
    result = command("pack", "runs", "--study", "tiny")  # its own store
    assert result.exit_code == 2
    assert "choose another directory" in result.output
