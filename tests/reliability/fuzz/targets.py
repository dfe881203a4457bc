"""Every reader of files that may be a stranger's: where its file is put, how it is read, and good ones.

Where a check sum would refuse nearly every input, there are two readers: of the file as it is, and of what is in
it under a check sum that fits.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import sqlite3
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from PIL import Image

from memstudy import files, lease, recipe
from memstudy.data import cache as kept_sets
from memstudy.data import given, human, label_files, npz_set, own_sets, torchvision_sets, transitions
from memstudy.data.assembly import image_set
from memstudy.data.images import ImageSet
from memstudy.derived import reading
from memstudy.derived.cached_table import CachedTable
from memstudy.errors import MemstudyError
from memstudy.store import index, metrics, pack, resume, seals, state, tensors, unpack
from memstudy.store.records import Records
from memstudy.study import grid
from tests.kit.contents import npy, npz, pt, pt_of_pickle
from tests.kit.sources import idx
from tests.reliability.fuzz.trying import Read, Reader

RUN = Path(__file__).parents[3] / "studies/results/store/mnist5k-symmetric0-bare-s0-2666a7e6"
"""A real run."""
SAMPLES = 12
CLASSES = ("cat", "dog", "ship")
LABELS = np.arange(SAMPLES) % 3
NOISY = LABELS[::-1].copy()
SHARES = np.where(np.eye(3, dtype=bool)[NOISY], 0.8, 0.1)


@cache
def _images() -> ImageSet:
    pixels = np.zeros((SAMPLES, 4, 4), np.uint8)
    return image_set("mine", {"train": pixels, "test": pixels}, {"train": LABELS, "test": LABELS}, CLASSES)


# Files of labels


def _labels(ending: str, wrap: Callable[[bytes], bytes] = bytes) -> Read:
    """A file of labels, read for a set as `--labels` does."""

    def read(folder: Path, content: bytes) -> object:
        path = folder / f"labels{ending}"
        path.write_bytes(wrap(content))
        return given.of(label_files.read(path), _images(), _no_files)

    return read


def _no_files() -> None:
    return None


def _words(*words: str) -> tuple[bytes, ...]:
    return tuple(word.encode() for word in words)


def _csv(**columns: Any) -> bytes:
    return pd.DataFrame(columns).to_csv(index=False).encode()


def _labels_readers() -> Iterator[Reader]:
    listed = NOISY.tolist()
    names = [CLASSES[label] for label in listed]
    numbers = "\n".join(map(str, listed)).encode()
    yield Reader(
        "labels .txt",
        _labels(".txt"),
        (numbers, "\n".join(names).encode(), b"\n".join(b"train/%d.png %d" % pair for pair in enumerate(listed)),
         numbers.decode().encode("utf-16")),
        _words("cat", "0.5", "1e3", "-1"),
    )  # fmt: skip
    tables = (
        _csv(index=range(SAMPLES), label=LABELS, noisy_label=NOISY),
        _csv(true=names, noisy=names[::-1]),
        _csv(a1=names, a2=names[::-1], a3=names),
        _csv(file=[f"{row}.png" for row in range(SAMPLES)], label=names),
        pd.DataFrame(SHARES).to_csv(index=False).encode(),
        _csv(label=listed).replace(b",", b";"),
    )
    words = _words("noisy", "label", "index", "file", "true_label", "annotator", "nan", ";", "\t", '"')
    yield Reader("labels .csv", _labels(".csv"), tables, words)
    arrays = (
        NOISY,
        NOISY.astype(float),
        SHARES,
        np.array(names),
        np.array(names, "S"),
        NOISY.astype("i1")[:, None],
    )
    npys = tuple(map(npy, arrays))
    headers = _words(
        "'descr'", "'<i8'", "'|O'", "'fortran_order'", "True", "'shape'", "(12,)", "(9999999999,)", "(0,)", "(((("
    )
    yield Reader("labels .npy", _labels(".npy"), npys, headers)
    zips = (
        npz(noisy=NOISY, clean=LABELS), npz(labels=NOISY), npz(np.savez_compressed, a=NOISY, b=SHARES),
        npz(clean_label=LABELS, worse_label=NOISY, index=np.arange(SAMPLES)),
    )  # fmt: skip
    yield Reader("labels .npz", _labels(".npz"), zips, _words("PK\x01\x02", "PK\x05\x06", "noisy.npy"))
    yield Reader("labels .npz, an array in it", _labels(".npz", _zipped("noisy.npy")), npys, headers)
    values = (
        listed, names, {"label": listed, "true": listed}, {f"{row}.png": row % 3 for row in range(SAMPLES)},
        {str(row): label for row, label in enumerate(listed)},
        [{"file": "a", "label": 1}, {"file": "b", "label": 2}],
        {"labels": [["a.png", 1], ["b.png", 2]]}, SHARES.tolist(), {"a": {"0": 1, "1": 2}, "b": {"0": 1, "1": 2}},
    )  # fmt: skip
    words = _words("[", "]", "{", "}", ":", "null", "NaN", "Infinity", "-1", '"label"', '"\\ud800"', "1e400")
    yield Reader("labels .json", _labels(".json"), tuple(json.dumps(value).encode() for value in values), words)
    torches = (
        {"clean_label": LABELS, "worse_label": NOISY}, torch.tensor(NOISY), listed,
        {"noisy": torch.tensor(SHARES)},
        {"a": NOISY.astype("f4"), "b": (1, "x", None, True)},
    )  # fmt: skip
    yield Reader("labels .pt", _labels(".pt"), tuple(map(pt, torches)), _words("PK\x01\x02", "archive/data.pkl"))
    pickles = tuple(_pickle_in(pt(value)) for value in torches)
    code = tuple(bytes([opcode]) for opcode in b"cRbo0}]()ed.2jhqtsua\x85\x86\x87\x8a\x93\x81")
    names_of = _words("cos\nsystem\n", "cbuiltins\neval\n", "ctorch._utils\n_rebuild_tensor_v2\n")
    inner = _labels(".pt", lambda content: pt_of_pickle(content, {"data/0": bytes(96)}))
    yield Reader("labels .pt, the pickle in it", inner, pickles, (*code, *names_of))


def _zipped(*names: str, compression: int = zipfile.ZIP_STORED) -> Callable[[bytes], bytes]:
    """Puts bytes into a zip, under each name."""

    def put(content: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            for name in names:
                archive.writestr(name, content)
        return buffer.getvalue()

    return put


def _pickle_in(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))


def _matrix(ending: str) -> Read:
    def read(folder: Path, content: bytes) -> object:
        path = folder / f"matrix{ending}"
        path.write_bytes(content)
        return transitions.read(path)

    return read


def _matrix_readers() -> Iterator[Reader]:
    matrix = transitions.symmetric(3, 0.3)
    text = "\n".join(", ".join(map(str, row)) for row in matrix.tolist())
    yield Reader(
        "matrix, text", _matrix(".txt"), (text.encode(), text.replace(",", " ").encode()), _words("#", "0.5")
    )
    yield Reader(
        "matrix .npy", _matrix(".npy"), (npy(matrix), npy(matrix.astype("f4").T)), _words("(3, 3)", "'<c16'")
    )


def _human_readers() -> Iterator[Reader]:
    table = {"clean_label": LABELS, "worse_label": NOISY, "aggre_label": NOISY, "random_label1": LABELS}

    def read(folder: Path, content: bytes) -> object:
        (folder / human.FILES["cifar10"]).write_bytes(content)
        return human.read(folder, "cifar10", "worst", LABELS)

    yield Reader("human file", read, (pt(table), pt({name: labels.tolist() for name, labels in table.items()})))


# Image sets


def _read_set(path: Path) -> object:
    with contextlib.suppress(Exception):
        npz_set.is_one(path)
    own_sets.describe(path)
    return own_sets.read(path, "mine")


def _set_readers() -> Iterator[Reader]:
    images, labels = np.zeros((3, 4, 4), np.uint8), np.arange(3)
    arrays: dict[str, np.ndarray] = {
        "train_images": images,
        "train_labels": labels,
        "test_images": images,
        "test_labels": labels,
    }
    members = arrays | {"class_names": np.array(CLASSES)}

    def whole(folder: Path, content: bytes) -> object:
        path = folder / "mine.npz"
        path.write_bytes(content)
        return _read_set(path)

    def inner(folder: Path, content: bytes) -> object:
        """The first byte says which of the arrays it is."""
        which = list(members)[content[0] % 5] if content else "train_images"
        buffer = io.BytesIO()
        with zipfile.ZipFile(
            buffer, "w", zipfile.ZIP_DEFLATED if content[:1] > b"\x80" else zipfile.ZIP_STORED
        ) as archive:
            for name, array in members.items():
                archive.writestr(f"{name}.npy", content[1:] if name == which else npy(array))
        return whole(folder, buffer.getvalue())

    zips = (npz(**arrays), npz(np.savez_compressed, class_names=np.array(CLASSES), **arrays))
    yield Reader("image set .npz", whole, zips, _words("PK\x01\x02", "train_images.npy", "class_names.npy"))
    inside = tuple(bytes([place]) + npy(array) for place, array in enumerate(members.values()))
    headers = _words("'|u1'", "'|O'", "(3, 4, 4)", "(99999999, 99999, 99999)", "(-1,)", "(3, 4, 4, 2)", "True")
    yield Reader("image set .npz, an array in it", inner, inside, headers)


ENDINGS = ("png", "jpg", "bmp", "ppm", "pgm", "tif", "webp")


def _image(kind: str, mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (4, 4), 77).save(buffer, {"jpg": "jpeg", "pgm": "ppm", "tif": "tiff"}.get(kind, kind))
    return buffer.getvalue()


def _folder_readers() -> Iterator[Reader]:
    def read(folder: Path, content: bytes) -> object:
        """The first byte says which ending its file has."""
        root = folder / "mine"
        if not root.exists():
            for part in ("train", "test"):
                for word in CLASSES[:2]:
                    (root / part / word).mkdir(parents=True)
                    (root / part / word / "1.png").write_bytes(_image("png"))
        for old in (root / "train" / "cat").glob("0.*"):
            old.unlink()
        ending = ENDINGS[content[0] % len(ENDINGS)] if content else "png"
        (root / "train" / "cat" / f"0.{ending}").write_bytes(content[1:])
        own_sets.describe(root)
        return own_sets.read(root, "mine")

    seeds = (
        *(bytes([place]) + _image(kind) for place, kind in enumerate(ENDINGS)),
        bytes([0]) + _image("png", "P"),
        bytes([0]) + _image("png", "I;16"),
        bytes([1]) + _image("jpg", "RGB"),
    )
    words = _words("IHDR", "IDAT", "PLTE", "tRNS", "iCCP", "zTXt", "P6 99999 99999 255\n", "P5 4 4 255\n")
    yield Reader("image folder", read, seeds, words)


# Recipes and studies


def _text_file(name: str, parse: Callable[[Path], object], wrap: Callable[[bytes], bytes] = bytes) -> Read:
    def read(folder: Path, content: bytes) -> object:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(wrap(content))
        return parse(path)

    return read


def _recipe(path: Path) -> object:
    recipe.identity(path)
    recipe.recorded(path)
    found = recipe.read(path)
    return found.id, found.corruption.title, found.to_toml(), found


def _study_file(path: Path) -> object:
    return grid.read(path, folder=path.parent)


STUDY = b"""name = "mine"
about = "x"
preset = "quick"
seeds = [0, 1]
[common]
epochs = 3
[grid]
reg = ["bare", "al2"]
corrupt = 0.75
"al2.initial" = [0.01, 0.1]
[options.al2]
advance = 5
[report]
epochs = [0, 2]
analyses = ["svcca"]
orders = 5
[report.probe]
layer = ["trunk.2"]
[scale.lite]
seeds = 1
"""
SMALL = b'[grid]\nreg = "al2"\nepochs = 2\n'


def _toml_readers() -> Iterator[Reader]:
    keys = _words(
        "dataset", "network", "training", "corruption", "rule", "rate", "seed", "matrix", "[", "]", "nan", "0x",
        "1979-05-27", "'''",
    )  # fmt: skip
    whole = (RUN / "recipe.toml").read_bytes()
    bare = b"\n".join(line for line in whole.splitlines() if not line.startswith(b"id"))
    yield Reader("recipe", _text_file("recipe.toml", _recipe), (whole, bare), keys)
    keys = _words(
        "name", "[grid]", "[[grid]]", "[common]", "[report]", "[scale.x]", "reg", "pairs = true", "labels",
        "noise", "network", "[", "]", "=", "latex", "figures", "human-worst", "matrix",
    )  # fmt: skip
    yield Reader("study file", _text_file("mine.toml", _study_file), (STUDY, SMALL), keys, anywhere=True)


# Run directories


def _state(path: Path) -> object:
    found = state.read(path)
    return state.floor(found), state.expected_floor(found)


def _resealed(content: bytes) -> bytes:
    """A JSON object with a seal that fits; other bytes as they are."""
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(content)
        if isinstance(value, dict):
            value.pop("seal", None)
            return json.dumps(value | {"seal": seals.of_object(value)}).encode()
    return content


def _metrics(path: Path) -> object:
    columns = metrics.parse(path, path.read_bytes())
    return metrics.last_evaluated(columns) if len(columns["epoch"]) else None


def _read_records(folder: Path, content: bytes) -> object:
    """The first byte says which of the files it is."""
    names = ("loss", "margin", "prediction", "el2n")
    which = names[content[0] % 4] if content else "loss"
    place = folder / "dynamics"
    place.mkdir(exist_ok=True)
    for name in names:
        (place / f"{name}.npy").write_bytes(content[1:] if name == which else _record(name))
    records = Records(place, 2, (0, 1))
    found = records.read(SAMPLES, 2)
    records.digests()
    return float(found.loss[:, :3].astype(float).sum()), found.prediction[:, :3].tolist()


def _record(name: str) -> bytes:
    buffer = io.BytesIO()
    kind = np.uint8 if name == "prediction" else np.float16
    np.lib.format.write_array(buffer, np.zeros((2, SAMPLES), kind), version=(1, 0))
    return buffer.getvalue()


def _resume(path: Path) -> object:
    return resume.look(path), resume.read(path)


def _safetensors(header: bytes) -> bytes:
    """A file of two tensors and, as its header, these bytes."""
    return struct.pack("<Q", len(header)) + header + bytes(20)


@cache
def _resume_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resume.safetensors"
        resume.write(
            path,
            resume.Saved(1, "", {"metrics.csv": "0" * 64}),
            {"weight": torch.zeros(2, 2), "step": torch.ones(1)},
        )
        return path.read_bytes()


def _run_readers() -> Iterator[Reader]:
    content = (RUN / "state.json").read_bytes()
    words = _words(
        '"status"', '"finished"', '"floor"', '"sessions"', '"checksums"', "null", "[", "{", "NaN", "1e999", '"run"'
    )
    where = f"{RUN.name}/state.json"
    yield Reader("state.json", _text_file(where, _state), (content,), words)
    yield Reader("state.json, sealed", _text_file(where, _state, _resealed), (content,), words)
    rows = (RUN / "metrics.csv").read_bytes()
    few = b"\n".join(rows.splitlines()[:3]) + b"\n"
    yield Reader(
        "metrics.csv",
        _text_file("metrics.csv", _metrics),
        (few, rows[:3000]),
        _words("epoch", "nan", "inf", '"', ",,"),
    )
    seeds = tuple(
        bytes([place]) + _record(name) for place, name in enumerate(("loss", "margin", "prediction", "el2n"))
    )
    yield Reader(
        "records", _read_records, seeds, _words("'<f2'", "'|O'", "(2, 12)", "(2, 99999999999)", "True", "'>f2'")
    )
    saved = _resume_file()
    words = _words(
        '"F32"',
        '"shape":[2,2]',
        '"data_offsets":[0,16]',
        "__metadata__",
        "[999999999999,9999]",
        '"facts"',
        "BOOL",
        "F64",
    )
    yield Reader("resume.safetensors", _text_file("resume.safetensors", _resume), (saved,), words)

    def checkpoint(path: Path) -> object:
        return tensors.decode(path, path.read_bytes())

    length = int.from_bytes(saved[:8], "little")
    yield Reader(
        "checkpoint, its header",
        _text_file("epoch.safetensors", checkpoint, _safetensors),
        (saved[8 : 8 + length],),
        words,
    )


# Stores


def _packed(folder: Path, content: bytes) -> object:
    """A pack.json over a real run."""
    root = folder / "pack"
    if not root.exists():
        shutil.copytree(RUN, root / RUN.name)
    (root / unpack.MANIFEST).write_bytes(content)
    return unpack.checked(root)


@cache
def _manifest() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(RUN, Path(folder) / RUN.name)
        return unpack.seal(Path(folder)).read_bytes()


def _derived(path: Path) -> object:
    return pack.content(path.with_suffix(""))


def _index(folder: Path, content: bytes) -> object:
    """The index of a store, which costs nothing if it is damaged."""
    found = index.Index(folder / "store", 3)
    file = Path(found.path.name)
    target = folder / file
    target.write_bytes(content)

    class Here(index.Index):
        path = target

    here = Here(folder / "store", 3)
    entries = here.entries()
    answer = [entries.get(name, "s") for name in entries.names]
    here.keep({"new": ("1", '{"name": "new"}', "{}")}, gone=["old"])
    return answer


@cache
def _database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        base = sqlite3.connect(Path(folder) / "x", isolation_level=None)
        base.execute("PRAGMA page_size = 512")
        columns = "name TEXT PRIMARY KEY, stamp TEXT, content TEXT, common TEXT, checksum TEXT"
        base.execute(f"CREATE TABLE runs ({columns}) WITHOUT ROWID")
        base.execute("PRAGMA user_version = 3")
        parts = [(json.dumps({"name": name}), json.dumps({"lr": 0.1})) for name in "abc"]
        rows = [
            (found["name"], "s", *both, index._checksum(*both))
            for both in parts
            for found in [json.loads(both[0])]
        ]
        base.executemany("INSERT INTO runs VALUES (?, ?, ?, ?, ?)", rows)
        base.close()
        return (Path(folder) / "x").read_bytes()


def _lease(path: Path) -> object:
    found = lease.owner(path)
    return str(found), lease._Marker(path.read_bytes()[: lease.LARGEST], 0).owner()


def _study_record(path: Path) -> object:
    from memstudy.store.store import Store

    store = Store(path.parents[2])
    return store.studies(), [len(store.members(name)) for name in store.studies()]


def _read_study_record(folder: Path, content: bytes) -> object:
    path = folder / "studies" / "mine" / "study.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return _study_record(path)


def _store_readers() -> Iterator[Reader]:
    yield Reader(
        "packed store",
        _packed,
        (_manifest(),),
        _words("../x", "/etc/passwd", "C:\\x", '"files"', "recipe.toml", "a/../b", "\\u0000"),
    )
    table = gzip.compress(b"run,epoch,value\na,0,0.5\n", mtime=0)
    yield Reader("packed table", _text_file("x.csv.gz", _derived), (table, table + table), ())
    yield Reader(
        "packed table, the deflated bytes",
        _text_file("x.csv.gz", _derived, _gzip_of),
        (_deflated(b"run,epoch\na,0\n" * 9),),
        (),
    )
    yield Reader("index", _index, (_database(),), _words("runs", "CREATE TABLE", "SQLite format 3\0"))
    owner = {
        "host": "h",
        "pid": 3,
        "since": "2026-01-01T00:00:00+00:00",
        "machine": "m",
        "start": "1",
        "token": "0",
    }
    words = _words('"pid"', '"host"', "null", "1e9", "true", "[", "{")
    yield Reader("lease", _text_file(".lease", _lease), (json.dumps(owner).encode(),), words)
    study = {"runs": [RUN.name], "report": {}, "updated": "2026-01-01T00:00:00+00:00"}
    words = _words('"runs"', "[", "{", "null", '"../x"')
    yield Reader("study.json", _read_study_record, (json.dumps(study).encode(),), words)


DERIVED = {"ablation_curves.csv": "quick", "landscape_flatness.csv": "pilcro_lite"}
"""Derived tables (all are read by the same function), each with a committed study that has one."""


def _derived_table(name: str) -> Read:
    """A derived table, as tables and figures read it, and as the cache of the next measurement."""

    def read(folder: Path, content: bytes) -> object:
        path = folder / name
        path.write_bytes(content)
        cached = CachedTable(path, [content[: content.find(b",")].decode("latin1")]).__enter__()
        return reading.read(path), cached.find("a")

    return read


def _derived_readers() -> Iterator[Reader]:
    words = _words("nan", "inf", "-inf", "1e400", "'=", '"', "\r", ",,", "0x1", "True", "9" * 30, "\0")
    for name, study in DERIVED.items():
        lines = (RUN.parent / "studies" / study / name).read_bytes().splitlines(keepends=True)
        yield Reader(
            f"derived table {name}", _derived_table(name), (b"".join(lines[:6]), b"".join(lines[:2])), words
        )


# Image sets in their original files, and as they are kept


def _idx(place: int) -> Read:
    """One of MNIST's four files, as torchvision reads them, the others good."""

    def read(folder: Path, content: bytes) -> object:
        known = torchvision_sets.KNOWN["mnist"]
        raw = folder / known.place
        raw.mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(torchvision_sets.IDX):
            (raw / name).write_bytes(content if number == place else _IDX[number % 2])
        return torchvision_sets._read("mnist", known, folder)

    return read


_IDX = (idx((2, 3, 3)), idx((2,)))


class _Here(kept_sets.Origin):
    """Files that never change."""

    fingerprint = "f"


def _kept(folder: Path, content: bytes) -> object:
    """A decoded set that is kept in the cache, which costs nothing if it is damaged."""
    origin = _Here(folder, folder, ())
    os.environ["MEMSTUDY_CACHE"] = str(folder)
    path = kept_sets.kept_at("mine", origin)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    found = kept_sets.load("mine", origin)
    if found is None:
        raise MemstudyError("it is decoded again.")
    return kept_sets.has("mine", origin), found


def _kept_file(said: bytes) -> bytes:
    """A kept set that says this of itself, with a check sum that fits."""
    text = said.decode("latin1")
    tensors = {part: getattr(_images(), part).clone() for part in kept_sets.TENSORS}
    return safetensors.torch.save(tensors, {"facts": f"{files.digest(text.encode())} {text}"})


def _kept_facts(folder: Path, content: bytes) -> object:
    return _kept(folder, _kept_file(content))


def _original_readers() -> Iterator[Reader]:
    yield Reader("idx images", _idx(0), (_IDX[0],), ())
    yield Reader("idx labels", _idx(1), (_IDX[1],), ())
    facts = {"fingerprint": "f", "content": _images().content_hash(), "class_names": CLASSES, "note": ""}
    said = json.dumps(facts | {"mean": [0.5], "std": [0.5], "statistics": [[0.5], [0.5]]}).encode()
    yield Reader(
        "kept set", _kept, (_kept_file(said),), _words('"facts"', '"dtype"', '"U8"', "99999999999", "[0,9]")
    )
    yield Reader("kept set, what it says", _kept_facts, (said,), _words("null", "[", "{", '"mean"', "1e999"))


def _deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def _gzip_of(deflated: bytes) -> bytes:
    """A gzip file whose check sum and size fit, if the bytes can be inflated to few enough."""
    with contextlib.suppress(zlib.error):
        content = zlib.decompressobj(-15).decompress(deflated, 100_000)
        return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + deflated + struct.pack("<II", zlib.crc32(content), len(content))
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + deflated


def readers() -> list[Reader]:
    """All of them."""
    parts = (
        _labels_readers,
        _matrix_readers,
        _human_readers,
        _set_readers,
        _folder_readers,
        _toml_readers,
        _run_readers,
        _store_readers,
        _derived_readers,
        _original_readers,
    )
    return [reader for part in parts for reader in part()]
