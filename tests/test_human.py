"""Human labels: the authors' own file against what they published, and files that are not what they seem.

The original files are read where MEMSTUDY_DATA has them; a small one of the same form stands in elsewhere,
and lets every test of a damaged or hostile file run without any data.
"""

import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from memstudy.data import class_names, human, pickled
from memstudy.errors import MemstudyError
from tests.kit import sentences
from tests.kit.contents import pt_of_pickle

N = 300


def refused(folder, clean, *words, dataset="cifar100", column="fine"):
    """The sentence with which labels are refused; it must hold some words."""
    return sentences.refused(lambda: human.read(folder, dataset, column, clean), *words)


# The original


@pytest.fixture(scope="module")
def data():
    """A data directory that has CIFAR-10 and its human labels."""
    folder = Path(os.environ.get("MEMSTUDY_DATA", "nowhere"))
    if human.path(folder, "cifar10") is None or not (folder / "cifar10.npz").is_file():
        pytest.skip("MEMSTUDY_DATA has no CIFAR-10_human.pt or no cifar10.npz, whose labels it is compared with")
    return folder


def file_in(data):
    found = human.path(data, "cifar10")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def clean(data):
    with np.load(data / "cifar10.npz") as found:
        return found["train_labels"].astype(np.int64)


@pytest.fixture(scope="module")
def original(data, clean):
    """All columns of the original file, by our names."""
    return {column: human.read(data, "cifar10", column, clean) for column in human.COLUMNS["cifar10"]}


PUBLISHED = {  # Wei et al. 2022, table 1: the rate in percent; and how many of 50,000 that is in the file
    "aggregate": (9.01, 4505),
    "random1": (17.23, 8617),
    "random2": (18.12, 9061),
    "random3": (17.64, 8820),
    "worst": (40.21, 20104),  # 40.208 %: rounded up
}


@pytest.mark.parametrize("column", PUBLISHED)
def test_the_published_noise_rates(original, clean, column):
    rate, count = PUBLISHED[column]
    wrong = int((original[column] != clean).sum())
    assert wrong == count
    assert abs(100 * wrong / len(clean) - rate) <= 0.005


def test_cifar_100_as_published_since_2023():
    """Its coarse labels are lists: 20,100 of 50,000 fine labels are wrong, 40.20 % as in table 1."""
    folder = Path(os.environ.get("MEMSTUDY_DATA", "nowhere"))
    if (found := human.path(folder, "cifar100")) is None:
        pytest.skip("MEMSTUDY_DATA has no CIFAR-100_human.pt")
    table = pickled.read(found.read_bytes())
    assert isinstance(table["noisy_coarse_label"], list)
    true = table["clean_label"]
    assert np.bincount(true).tolist() == [500] * 100  # CIFAR-100's training labels: as many of each class
    labels = human.read(folder, "cifar100", "fine", true)
    assert (labels.dtype, labels.shape) == (np.dtype(np.int64), (50_000,))
    assert (labels != true).sum() == 20_100
    of_class = np.array(class_names.COARSE)
    coarse = human.read(folder, "cifar100-coarse", "coarse", of_class[true])
    assert np.array_equal(coarse, of_class[labels])  # our table of superclasses is the file's
    assert (coarse != of_class[true]).sum() == 13_202


def test_the_original_is_whole_numbers_of_ten_classes(original, data, clean):
    assert {(labels.dtype, labels.shape) for labels in original.values()} == {(np.dtype(np.int64), (50_000,))}
    assert all(set(labels.tolist()) == set(range(10)) for labels in original.values())
    refused(data, clean, "'fine' are of cifar100", dataset="cifar10", column="fine")


def test_labels_are_as_torch_reads_them(original, data):
    allowed: list[Any] = [
        (np._core.multiarray._reconstruct, "numpy.core.multiarray._reconstruct"),  # type: ignore[attr-defined]
        np.ndarray,
        np.dtype,
        np.dtypes.Int64DType,
    ]
    with torch.serialization.safe_globals(allowed):
        theirs = torch.load(file_in(data), weights_only=True)
    for column, name in human.COLUMNS["cifar10"].items():
        assert np.array_equal(original[column], theirs[name])


def annotators(original):
    return np.stack([original[f"random{number}"] for number in (1, 2, 3)])


def majority(three):
    """What two or three of three annotators say; -1 where all differ."""
    first, second, third = three
    return np.where((first == second) | (first == third), first, np.where(second == third, second, -1))


def test_the_aggregate_is_the_majority_and_one_of_three_where_there_is_none(original):
    three = annotators(original)
    voted = majority(three)
    differ = voted == -1
    assert differ.sum() == 3_041
    assert np.array_equal(original["aggregate"][~differ], voted[~differ])
    assert (three == original["aggregate"]).any(axis=0).all()
    assert not np.array_equal(original["random1"][~differ], voted[~differ])  # the law can be broken


def test_the_worst_is_a_wrong_one_wherever_anyone_is_wrong(original, clean):
    three = annotators(original)
    anyone = (three != clean).any(axis=0)
    assert np.array_equal(original["worst"] != clean, anyone)
    assert (three == original["worst"]).any(axis=0).all()
    assert not np.array_equal(original["aggregate"] != clean, anyone)  # the law can be broken


def test_the_true_labels_must_be_the_set_s_and_in_its_order(data, clean):
    says = ("for another set, or in another order", "torchvision")
    swapped = clean.copy()
    swapped[[0, 1]] = clean[[1, 0]]
    assert swapped[0] != clean[0]
    for other in (swapped, np.sort(clean), clean[::-1], clean[:-1], clean[:0], (clean + 1) % 10):
        refused(data, other, *says, dataset="cifar10", column="worst")


# Files of the same form


@pytest.fixture(scope="module")
def table():
    """What a CIFAR-100_human.pt holds, of fewer samples."""
    generator = np.random.default_rng(0)
    clean = generator.integers(100, size=N)
    noisy = np.where(generator.random(N) < 0.4, generator.integers(100, size=N), clean)
    return {
        "clean_label": clean,
        "noisy_label": noisy,
        "noisy_coarse_label": noisy // 5,
        "clean_coarse_label": clean // 5,
    }


@pytest.fixture
def true(table):
    return table["clean_label"]


@pytest.fixture
def place(tmp_path):
    (tmp_path / "cifar-n").mkdir()
    return tmp_path / "cifar-n" / "CIFAR-100_human.pt"


def pickle_in(path):
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        return archive.read(name)


def test_fine_labels_of_cifar_100(tmp_path, place, table, true):
    torch.save(table, place)
    labels = human.read(tmp_path, "cifar100", "fine", true)
    assert np.array_equal(labels, table["noisy_label"])
    assert labels.dtype == np.int64
    labels[:] = 0  # the caller's own, to change


def test_coarse_labels_are_for_the_superclasses(tmp_path, place, table, true):
    torch.save(table, place)
    labels = human.read(tmp_path, "cifar100-coarse", "coarse", true // 5)
    assert np.array_equal(labels, table["noisy_coarse_label"])
    refused(tmp_path, true, "for another set", dataset="cifar100-coarse", column="coarse")
    refused(tmp_path, true, "'coarse' are of cifar100-coarse", column="coarse")
    refused(tmp_path, true, "known are fine", column="ours")


@pytest.mark.parametrize("form", [np.ndarray.tolist, torch.from_numpy, list], ids=["list", "tensor", "numpy list"])
def test_labels_as_lists_and_tensors(tmp_path, place, table, true, form):
    torch.save({name: form(labels) for name, labels in table.items()}, place)
    labels = human.read(tmp_path, "cifar100", "fine", true)
    assert np.array_equal(labels, table["noisy_label"])
    assert labels.dtype == np.int64


@pytest.mark.parametrize("kind", ["i1", "u1", "<i2", ">i4", "u4", ">i8", "<i8", "u8"])
def test_whole_numbers_of_any_width(tmp_path, place, table, true, kind):
    torch.save({name: labels.astype(kind) for name, labels in table.items()}, place)
    assert np.array_equal(human.read(tmp_path, "cifar100", "fine", true), table["noisy_label"])


def test_the_first_place_that_has_it(tmp_path, place):
    places = [place, tmp_path / place.name, tmp_path / "data" / place.name]
    (tmp_path / "data").mkdir()
    assert human.path(tmp_path, "cifar100") is None
    for found in reversed(places):
        found.touch()
        assert human.path(tmp_path, "cifar100") == found
        assert human.path(tmp_path, "cifar10") is None
        assert human.path(tmp_path, "mnist") is None


def test_no_file_says_where_it_was_looked_for_and_where_it_is_from(tmp_path, true):
    says = ("github.com/UCSC-REAL/cifar-10-100n", "CC BY-NC 4.0", "--data-dir")
    sentence = refused(tmp_path, true, *says)
    assert all(str(tmp_path / part / "CIFAR-100_human.pt") in sentence for part in ("cifar-n", "", "data"))


def test_sets_and_columns_that_there_are_not(tmp_path, true):
    refused(tmp_path, true, "'mnist'", "cifar10, cifar100, cifar100-coarse", dataset="mnist")
    refused(tmp_path, true, "'worst' are of cifar10, not of cifar100, which has fine", column="worst")
    refused(tmp_path, true, "did you mean worst", dataset="cifar10", column="worse")


def test_a_directory_or_an_unreadable_file_is_none(tmp_path, place, table, true, monkeypatch):
    place.mkdir()
    refused(tmp_path, true, "are in none of")
    place.rmdir()
    torch.save(table, place)

    def denied(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", denied)
    refused(tmp_path, true, "cannot read", "Permission denied")


CHANGES = {
    "no clean labels": (lambda t: t.pop("clean_label"), "has no clean_label"),
    "no noisy labels": (lambda t: t.pop("noisy_label"), "has no noisy_label"),
    "class 100": (lambda t: t["noisy_label"].put(3, 100), "classes from 0 to 99"),
    "class -1": (lambda t: t["noisy_label"].put(3, -1), "classes from 0 to 99"),
    "too few": (lambda t: t.update(noisy_label=t["noisy_label"][:-1]), "299 human labels for 300"),
    "empty": (lambda t: t.update(noisy_label=t["noisy_label"][:0]), "not the authors'"),
    "two dimensions": (lambda t: t.update(noisy_label=t["noisy_label"][:, None]), "one dimension"),
    "no dimension": (lambda t: t.update(noisy_label=t["noisy_label"][0]), "whole numbers"),
    "floats": (lambda t: t.update(noisy_label=t["noisy_label"].astype(float)), "whole numbers"),
    "booleans": (lambda t: t.update(noisy_label=t["noisy_label"] > 3), "whole numbers"),
    "objects": (lambda t: t.update(noisy_label=t["noisy_label"].astype(object)), "not the authors'"),
    "text": (lambda t: t.update(noisy_label=t["noisy_label"].astype(str)), "whole numbers"),
    "records": (lambda t: t.update(noisy_label=t["noisy_label"].view([("a", "i8")])), "not the authors'"),
    "a list of words": (lambda t: t.update(noisy_label=[*map(str, t["noisy_label"])]), "whole numbers"),
    "a list of floats": (lambda t: t.update(noisy_label=t["noisy_label"].astype(float).tolist()), "whole numbers"),
    "a list of truths": (lambda t: t.update(noisy_label=(t["noisy_label"] > 3).tolist()), "whole numbers"),
    "a list of lists": (lambda t: t.update(noisy_label=[t["noisy_label"].tolist()]), "whole numbers"),
    "an empty list": (lambda t: t.update(noisy_label=[]), "one dimension"),
    "numbers beyond 64 bits": (lambda t: t.update(noisy_label=[2**70] * N), "LONG1"),
    "a tuple": (lambda t: t.update(noisy_label=(1, 2, 3)), "whole numbers"),
    "a word": (lambda t: t.update(noisy_label="worst"), "whole numbers"),
    "a table": (lambda t: t.update(noisy_label={"a": t["noisy_label"]}), "whole numbers"),
    "a tensor of two dimensions": (lambda t: t.update(noisy_label=torch.zeros(N, 1).long()), "one dimension"),
    "a pair as a name": (lambda t: t.update({(1, 2): 2}), "names"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_anything_but_arrays_of_classes_is_refused(tmp_path, place, table, true, what):
    change, says = CHANGES[what]
    changed = {name: labels.copy() for name, labels in table.items()}
    change(changed)
    torch.save(changed, place)
    refused(tmp_path, true, says, str(place))


@pytest.mark.parametrize("content", [[1, 2], np.arange(3), "text", None, (1,)], ids=repr)
def test_no_table_is_refused(tmp_path, place, true, content):
    torch.save(content, place)
    refused(tmp_path, true, "not the authors'")


def test_another_order_is_refused_here_too(tmp_path, place, table, true):
    torch.save(table, place)
    refused(tmp_path, np.roll(true, 1), "for another set, or in another order")


# Damaged files


def test_a_file_cut_off_anywhere_is_refused(tmp_path, place, table, true):
    torch.save(table, place)
    whole = place.read_bytes()
    for length in {*range(0, len(whole), 97), *range(len(whole) - 30, len(whole))}:
        place.write_bytes(whole[:length])
        refused(tmp_path, true, "truncated", str(place))


def test_the_original_cut_off_anywhere_is_refused(tmp_path, data, clean):
    whole = file_in(data).read_bytes()
    for length in np.linspace(0, len(whole) - 1, 25, dtype=int).tolist():
        (tmp_path / "CIFAR-10_human.pt").write_bytes(whole[:length])
        refused(tmp_path, clean, "truncated", dataset="cifar10", column="worst")


def test_a_pickle_cut_off_anywhere_is_refused(tmp_path, place, table, true):
    torch.save(table, place)
    whole = pickle_in(place)
    for length in range(len(whole)):
        if length % 41 == 0 or length > len(whole) - 50:
            place.write_bytes(pt_of_pickle(whole[:length]))
            refused(tmp_path, true, "truncated")
    place.write_bytes(pt_of_pickle(whole))
    assert np.array_equal(human.read(tmp_path, "cifar100", "fine", true), table["noisy_label"])


def test_a_changed_byte_is_noticed_by_the_checksum(tmp_path, place, table, true):
    torch.save(table, place)
    whole = bytearray(place.read_bytes())
    whole[whole.index(b"noisy_label") + 40] ^= 1
    place.write_bytes(whole)
    refused(tmp_path, true, "CRC")


def read_or_sentence(folder, clean):
    try:
        return human.read(folder, "cifar100", "fine", clean)
    except MemstudyError as error:
        return str(error)


def test_a_pickle_changed_anywhere_gives_classes_or_one_sentence(tmp_path, place, table, true):
    """Whatever byte is changed to whatever other: with a right checksum a label may be another, and no more."""
    torch.save({name: table[name] for name in ("clean_label", "noisy_label")}, place)
    whole = pickle_in(place)
    generator = np.random.default_rng(1)
    outcomes = set()
    for position in range(0, len(whole), 5):
        changed = bytearray(whole)
        changed[position] ^= int(generator.integers(1, 256))
        place.write_bytes(pt_of_pickle(bytes(changed)))
        labels = read_or_sentence(tmp_path, true)
        outcomes.add(type(labels))
        if isinstance(labels, str):
            assert labels.endswith(".")
        else:
            assert (labels.shape, labels.dtype) == ((N,), np.int64)
            assert labels.min() >= 0
            assert labels.max() < 100
    assert outcomes == {str, np.ndarray}


def test_a_file_far_too_large_is_not_even_read(tmp_path, place, true):
    with place.open("wb") as file:
        file.truncate(pickled.LIMIT + 1)
    refused(tmp_path, true, "far too large")
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(pickled.LIMIT + 1))
    assert place.stat().st_size < 100_000
    refused(tmp_path, true, "far too large")


# Hostile files


class Command:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def runs(load, marker):
    """Whether loading leaves the marker, which is then removed."""
    load()
    there = marker.exists()
    marker.unlink(missing_ok=True)
    return there


FORMATS = {
    "zip": (torch.save, lambda path: torch.load(path, weights_only=False)),
    "legacy": (
        lambda value, path: torch.save(value, path, _use_new_zipfile_serialization=False),
        lambda path: torch.load(path, weights_only=False),
    ),
} | {
    f"pickle {protocol}": (
        lambda value, path, protocol=protocol: path.write_bytes(pickle.dumps(value, protocol)),
        lambda path: pickle.loads(path.read_bytes()),
    )
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
}


@pytest.mark.parametrize("where", ["all", "a column", "a name", "beside"])
@pytest.mark.parametrize("form", FORMATS)
def test_nothing_in_a_file_is_run(tmp_path, place, table, true, form, where):
    marker = tmp_path / "it ran"
    command = Command(f"touch '{marker}'")
    content = {
        "all": command,
        "a column": table | {"noisy_label": command},
        "a name": table | {command: true},
        "beside": table | {"other": command},
    }[where]
    write, obey = FORMATS[form]
    write(content, place)
    assert runs(lambda: obey(place), marker)  # the file does it to whoever trusts it
    assert not runs(lambda: refused(tmp_path, true, "not the authors'"), marker)


BY_HAND = {
    "INST": b"(S'touch %s'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'touch %s'\no.",
    "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93(S'touch %s'\ntR.",
    "REDUCE": b"cos\nsystem\n(S'touch %s'\ntR.",
    "eval": b'cbuiltins\neval\n(S\'__import__("os").system("touch %s")\'\ntR.',
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("how", BY_HAND)
def test_no_instruction_of_a_pickle_runs_anything(tmp_path, place, true, how, zipped):
    marker = tmp_path / "ran"
    pickled = BY_HAND[how] % str(marker).encode()
    place.write_bytes(pt_of_pickle(pickled) if zipped else pickled)
    assert runs(lambda: pickle.loads(pickled), marker)
    assert not runs(lambda: refused(tmp_path, true, "not the authors'"), marker)


def word(text):
    return b"X" + struct.pack("<I", len(text)) + text


def number(value):
    return b"J" + struct.pack("<i", value)


NDARRAY, INT64 = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n" + word(b"i8") + b"\x85R"


def test_an_array_over_memory_that_is_then_freed_is_not_made(tmp_path, place, true):
    """The file with which torch.load(weights_only=True), allowed numpy's arrays, reads memory it no longer has."""
    shape = number(50_000_000) + b"\x85"
    new_bytes = b"c_codecs\nencode\n" + word(bytes(8)) + word(b"latin1") + b"\x86R"
    first = NDARRAY + shape + INT64 + b"q\x01\x86Rq\x02"
    over_first = NDARRAY + shape + b"h\x01h\x02\x87R"
    freed = b"h\x02(" + number(1) + number(1) + b"\x85h\x01\x89" + new_bytes + b"tb"
    clean, noisy = word(b"clean_label"), word(b"noisy_label")
    place.write_bytes(
        pt_of_pickle(b"\x80\x02}" + noisy + first + b"s" + clean + over_first + b"s" + noisy + freed + b"s.")
    )
    refused(tmp_path, true, "an array or tensor of another form")


DOUBLED = b"".join(b"q" + bytes([depth]) + b"h" + bytes([depth]) + b"\x86" for depth in range(60))
"""From a number, 60 times a pair of what was there: 2⁶⁰ numbers to whoever hashes, compares or prints them."""

BOMBS = {
    "hashed": b"\x80\x02}K\x00" + DOUBLED + b"Ns.",
    "as a column": b"\x80\x02}" + word(b"clean_label") + b"K\x00" + DOUBLED + b"s.",
    "as a state": b"\x80\x02}" + word(b"clean_label") + NDARRAY + b"K\x00R" + b"K\x00" + DOUBLED + b"bs.",
    "as all": b"\x80\x02K\x00" + DOUBLED + b".",
    "in itself": b"\x80\x02}q\x00" + word(b"clean_label") + b"h\x00s.",
    "a state of itself": b"\x80\x02}" + word(b"clean_label") + NDARRAY + b"K\x00Rq\x00h\x00bs.",
    "an array of 16 GB": b"\x80\x02}"
    + word(b"clean_label")
    + NDARRAY
    + number(2**31 - 1)
    + b"\x85"
    + INT64
    + b"\x86Rs.",
    "deep": b"\x80\x02}" + word(b"clean_label") + b"K\x00" + b"\x85" * 9_000 + b"s.",
    "marks": b"\x80\x02" + b"(" * 9_000 + b".",
}


@pytest.mark.parametrize("what", BOMBS)
def test_what_would_never_end_is_refused_at_once(tmp_path, place, true, what):
    place.write_bytes(pt_of_pickle(BOMBS[what]))
    refused(tmp_path, true, "not the authors'")


def array(length=b"K\x01", kind=b"i8", order=b"<", content=bytes(8), encoding=b"latin1"):
    """An array's pickle in numpy's form, its parts chosen by hand."""
    return (
        (b"cnumpy.core.multiarray\n_reconstruct\n" + NDARRAY + b"K\x00\x85" + word(b"b") + b"\x87R(K\x01")
        + (length + b"\x85cnumpy\ndtype\n" + word(kind) + b"\x89\x88\x87R(K\x03" + word(order))
        + (b"NNN" + number(-1) * 2 + b"K\x00tb\x89c_codecs\nencode\n" + word(content))
        + (word(encoding) + b"\x86Rtb")
    )  # fmt: skip


NUMBERS = "more or fewer numbers than are in the file"
ARRAYS = {
    "empty": (array(b"K\x00", content=b""), "not classes"),
    "longer than its bytes": (array(b"K\x02"), NUMBERS),
    "shorter than its bytes": (array(content=bytes(16)), NUMBERS),
    "no whole number of its type": (array(content=bytes(7)), NUMBERS),
    "no bytes": (array(content="\u0141".encode() * 8), "encode"),
    "another encoding": (array(encoding=b"rot13"), NUMBERS),
    "negative": (array(number(-1)), "without a shape"),
    "two dimensions": (array(b"K\x01K\x01\x86"), "without a shape"),
    "an object": (array(kind=b"O8", order=b"|"), "something else than whole numbers"),
    "a record": (array(kind=b"i8,O"), "something else than whole numbers"),
    "no order": (array(order=b"i8,O"), "something else than whole numbers"),
}


@pytest.mark.parametrize("what", ARRAYS)
def test_an_array_of_another_form_is_refused(tmp_path, place, what):
    def hold(pickled):
        place.write_bytes(
            pt_of_pickle(b"\x80\x02}" + b"".join(word(name) + pickled + b"s" for name in names) + b".")
        )

    names, zero = (b"clean_label", b"noisy_label"), np.zeros(1, np.int64)
    hold(array())
    assert np.array_equal(human.read(tmp_path, "cifar100", "fine", zero), zero)
    pickled_array, says = ARRAYS[what]
    hold(pickled_array)
    refused(tmp_path, zero, says)


def test_a_pickle_without_end_is_not_followed_to_it(tmp_path, place, true, monkeypatch):
    place.write_bytes(pt_of_pickle(b"(" * 20_000_000))
    refused(tmp_path, true, "lists within lists without end")
    monkeypatch.setattr(pickled, "INSTRUCTIONS", 10_000)
    place.write_bytes(pt_of_pickle(b"N" * 20_000_000))
    refused(tmp_path, true, "far too many instructions")


MISPLACED = {
    "nothing": b"",
    "an end alone": b".",
    "a call of nothing": b"\x80\x02R.",
    "a state of nothing": b"\x80\x02Nb.",
    "a state of a table": b"\x80\x02}Nb.",
    "a tuple of too few": b"\x80\x02N\x86.",
    "a tuple without its mark": b"\x80\x02Nt.",
    "an unknown memory": b"\x80\x02h\x07.",
    "a memory of nothing": b"\x80\x02q\x07.",
    "an item of nothing": b"\x80\x02NNs.",
    "an item of a number": b"\x80\x02K\x01" + word(b"a") + b"Ns.",
    "names without values": b"\x80\x02}(" + word(b"a") + b"u.",
    "items without a table": b"\x80\x02(" + word(b"a") + b"Nu.",
}


@pytest.mark.parametrize("what", MISPLACED)
def test_instructions_out_of_place_are_refused(tmp_path, place, true, what):
    place.write_bytes(pt_of_pickle(MISPLACED[what]))
    refused(tmp_path, true, "not the authors'")


def test_two_pickles_in_a_zip_are_one_too_many(tmp_path, place, table, true):
    torch.save(table, place)
    pickled = pickle_in(place)
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("b/data.pkl", pickled)
    refused(tmp_path, true, "not one pickle")
