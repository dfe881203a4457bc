"""A packed study: tables and figures from it are those from the runs, with no network in it."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
from dataclasses import replace

import pandas as pd
import pytest

from memstudy.derived import cached_table
from memstudy.derived.reading import read
from memstudy.errors import MemstudyError
from memstudy.store import Store
from memstudy.store import pack as packing
from memstudy.store.moving import copy, digests
from tests.reliability.shim import FAULTS, Layer, failing


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


def test_what_is_large_is_compressed_and_read_alike(store_copy, tmp_path, monkeypatch):
    """By whoever draws, and by whoever packs the packed store again; what is small by then is plain there."""
    name, large = (
        "landscape.csv",
        "run,epoch,images,kind,row,column,value\n"
        + "".join(f"tiny-{row},-1,20,measured,{row},0,0.5\n" for row in range(2000)),
    )
    place = store_copy.folder("tiny") / name
    place.write_text(large)
    monkeypatch.setattr(packing, "LARGEST", len(large) - 1)
    for store in (Store(tmp_path / "once"), Store(tmp_path / "twice")):
        copied, left_out = packing.pack(store_copy.select((), "tiny"), store)
        assert not left_out
        packed = store.folder("tiny") / f"{name}.gz"
        assert packed in copied
        assert packed.stat().st_size < len(large) / 5
        assert not packed.with_suffix("").exists()
        pd.testing.assert_frame_equal(read(store.folder("tiny") / name), read(place))
        store_copy = store
    monkeypatch.setattr(packing, "LARGEST", len(large))
    packing.pack(Store(tmp_path / "once").select((), "tiny"), store)
    assert (store.folder("tiny") / name).read_text() == large
    assert not packed.exists()


def test_a_packed_file_that_is_damaged_is_named(store_copy):
    place = store_copy.folder("tiny") / "landscape.csv.gz"
    whole = gzip.compress(b"run,epoch\n" * 9)
    for harmed in (b"no gzip", whole[:-5], whole[:20] + b"####" + whole[24:]):
        place.write_bytes(harmed)
        with pytest.raises(MemstudyError, match=r"landscape\.csv\.gz is damaged .*'memstudy landscape' makes it"):
            read(place.with_suffix(""))


def test_a_packed_file_in_which_a_number_was_changed_is_named(store_copy, tmp_path, monkeypatch):
    rows = pd.DataFrame({"run": "tiny", "epoch": range(400), "accuracy": 0.25})
    cached_table.write(store_copy.folder("tiny") / "probe.csv", rows)
    monkeypatch.setattr(packing, "LARGEST", 4_000)
    packing.pack(store_copy.select((), "tiny"), packed := Store(tmp_path / "packed"))
    place = packed.folder("tiny") / "probe.csv"
    assert packing.content(place) == rows.to_csv(index=False, lineterminator="\n").encode()
    other = packing.content(place).replace(b"0.25", b"0.75")
    packing.compressed(place).write_bytes(gzip.compress(other))
    with pytest.raises(MemstudyError, match=r"probe\.csv\.gz is damaged .*checksum"):
        packing.content(place)


def test_what_is_damaged_is_packed_and_said_or_left_out_and_said(command, store_copy):
    al2, do = (store_copy.one(pattern).path for pattern in ("*-al2-s0-*", "*-do-s0-*"))
    harmed = al2 / "checkpoints" / "epoch-0001.safetensors"
    harmed.write_bytes(harmed.read_bytes()[:-1] + b"\xff")
    (do / "metrics.csv").write_bytes(b"nothing")
    (al2 / "dynamics" / "loss.npy").unlink()
    result = command("pack", "--whole", "packed", "--study", "tiny")
    assert result.exit_code == 0, result.output
    said = result.stderr.replace("\n", " ")
    assert "epoch-0001.safetensors is damaged or was changed; it is packed as it is." in said
    assert f"{al2.name} is packed without what is not here: dynamics/loss.npy." in said
    assert f"left out: runs/{do.name}/metrics.csv is damaged" in said.replace(f"{store_copy.root}", "runs")


def test_what_is_large_is_left_out_and_said(command, store_copy, tmp_path, monkeypatch):
    (tmp_path / "runs" / "studies" / "tiny" / "many.csv").write_bytes(random.Random(0).randbytes(1200))
    monkeypatch.setattr("memstudy.store.pack.LARGEST", 1000)
    result = command("pack", "small", "--study", "tiny")
    assert result.exit_code == 0
    assert "left out: many.csv" in result.output
    assert not list((tmp_path / "small").rglob("many.csv"))
    result = command("pack", "runs", "--study", "tiny")  # its own store
    assert result.exit_code == 2
    assert "choose another directory" in result.output


def test_half_a_copy_of_a_killed_pack_is_not_packed(command, store_copy, tmp_path):
    """Its files were in pack.json."""
    pack, half = tmp_path / "pack", tmp_path / "pack" / ".tmp-00000000-1-2-3-copy"
    (half / "checkpoints").mkdir(parents=True)
    (half / "checkpoints" / "epoch-0000.safetensors").write_text("half")
    words = ("pack", str(pack), "--study", "tiny", "--whole", "--runs-dir", str(store_copy.root))
    assert command(*words).exit_code == 0
    assert not [name for name in json.loads((pack / "pack.json").read_text())["files"] if ".tmp-" in name]
    assert command("unpack", str(pack), "--runs-dir", str(tmp_path / "there")).exit_code == 0


def test_half_a_copy_of_a_killed_pack_is_not_the_run(command, store_copy, tmp_path):
    """It has the name of the run at its end, was taken for the run, and then swept: the pack had no networks."""
    words = ("pack", str(tmp_path / "pack"), "--study", "tiny", "--whole", "--runs-dir", str(store_copy.root))
    for run in store_copy.runs():
        shutil.copytree(run.path, tmp_path / "pack" / f".tmp-00000000-1-2-3-{run.name}")
        os.utime(tmp_path / "pack" / f".tmp-00000000-1-2-3-{run.name}", (0, 0))  # left a day ago
    assert command(*words).exit_code == 0
    for run in store_copy.runs():
        assert digests(Store(tmp_path / "pack").one(run.name).path) == digests(run.path)
    assert command("unpack", str(tmp_path / "pack"), "--runs-dir", str(tmp_path / "there")).exit_code == 0


def test_what_is_half_written_is_no_study_and_no_table(store_copy, tmp_path):
    half = store_copy.folder("tiny").with_name(".tmp-00000000-1-2-3-tiny")
    shutil.copytree(store_copy.folder("tiny"), half)
    assert store_copy.studies() == ["tiny"]
    (store_copy.folder("tiny") / ".tmp-00000000-1-2-3-svcca.csv").write_text("run\nhalf")
    copied, left_out = packing.pack(store_copy.select((), "tiny"), Store(tmp_path / "pack"))
    assert not [path for path in (*copied, *left_out) if ".tmp-" in str(path)]


def test_a_folder_of_a_run_that_cannot_be_listed_is_not_left_out_of_its_copy(store_copy, tmp_path):
    """What a copy lacks is removed with the original."""
    run = store_copy.runs()[0]
    unlisted = next(fault for fault in FAULTS if fault.name == "permission")
    always = replace(unlisted, kinds=frozenset({"list"}), lasting=True)
    with (
        failing(Layer((str(run.path / "checkpoints"),), always, at=1)),
        pytest.raises(MemstudyError, match="checkpoints: Permission denied"),
    ):
        copy(run.path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_copy_that_has_no_room_names_its_place_in_one_sentence(store_copy, tmp_path):
    run = store_copy.runs()[0]
    full = next(fault for fault in FAULTS if fault.name == "torn, no space")
    with (
        failing(Layer((str(tmp_path / "there"),), full, at=20)),
        pytest.raises(MemstudyError, match=rf"cannot write {tmp_path}/there/copy: No space left on device; "),
    ):
        copy(run.path, tmp_path / "there" / "copy")
    assert not (tmp_path / "there" / "copy").exists()
