"""Values in files of torch.save: what torch writes is read, all else is a clause, and nothing is run."""

import io
import struct
import zipfile

import numpy as np
import pytest
import torch

from memstudy.data import pickled
from tests.kit.contents import pt, pt_of_pickle


def parts(content):
    """The entries of a file of torch.save, by name below its folder."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def refused(content, words="."):
    with pytest.raises(ValueError, match=words) as caught:
        pickled.read(content)
    assert str(caught.value).strip()
    assert "\n" not in str(caught.value)


# What is read

PLAIN = {
    "nothing": None,
    "a truth": True,
    "numbers": [0, 255, 256, 65_536, -1, 2**31, -(2**63), 2**64 - 1, 0.1, float("inf")],
    "text": "Größe 犬",
    "a list": list(range(3_000)),
    "nested": {"a": [(1, 2, 3, 4), (), [], {}], "b": {0: "x", 10**6: None}},
    "an empty table": {},
}


@pytest.mark.parametrize("what", PLAIN)
def test_plain_values_come_as_they_were(what):
    found = pickled.read(pt(PLAIN[what]))
    assert found == PLAIN[what]
    assert type(found) is type(PLAIN[what])


def test_numbers_of_numpy_are_numbers():
    assert pickled.read(pt([np.int64(3), np.float32(0.5), np.bool_(True)])) == [3, 0.5, True]


@pytest.mark.parametrize("kind", ["i1", "u1", "<i2", ">i4", "u4", "<i8", ">i8", "u8", "f2", "f4", ">f8", "b1"])
@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 4), (2, 0, 3), (2, 3, 4)])
def test_arrays_come_as_they_were(kind, shape):
    array = (np.arange(24)[: max(int(np.prod(shape)), 1)] % 5)[: int(np.prod(shape))].reshape(shape).astype(kind)
    for form in (array, array.copy(order="F")):
        found = pickled.read(pt({"labels": form}))["labels"]
        assert np.array_equal(found, array)
        assert found.dtype == array.dtype.newbyteorder("=")
        assert found.flags.writeable


KINDS = [
    torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
    torch.bool,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_tensors_come_as_arrays(kind):
    whole = (torch.arange(24) % 5).to(kind).reshape(4, 6)
    views = {
        "whole": whole, "turned": whole.T, "a column": whole[:, 2], "a part": whole[1:3, ::2], "empty": whole[:0],
        "one": whole[1, 1], "expanded": whole[:, :1].expand(4, 3),
    }  # fmt: skip
    found = pickled.read(pt(views))
    for name, view in views.items():
        assert np.array_equal(found[name], view.numpy())
        assert found[name].dtype == view.numpy().dtype
        assert found[name].flags.owndata or found[name].base.flags.owndata


def test_a_trained_parameter_is_its_numbers():
    assert pickled.read(pt({"soft": torch.nn.Parameter(torch.ones(2, 3))}))["soft"].tolist() == [[1.0] * 3] * 2


def test_a_file_of_a_big_endian_machine():
    there = parts(pt(torch.arange(5)))
    there |= {"byteorder": b"big", "data/0": np.arange(5, dtype=">i8").tobytes()}
    assert pickled.read(pt_of_pickle(there.pop("data.pkl"), there)).tolist() == [0, 1, 2, 3, 4]


def test_what_is_read_is_nobody_else_s():
    labels = torch.arange(5)
    first, second = pickled.read(pt([labels, labels]))
    first[:] = 9
    assert second.tolist() == [0, 1, 2, 3, 4]


# What is refused

OTHERS = {
    "text in an array": (np.array(["a"]), "something else than whole numbers"),
    "objects": (np.array([{}]), "something else than whole numbers"),
    "complex numbers": (np.array([1j]), "something else than whole numbers"),
    "a complex number": (1j, "complex"),
    "dates": (np.array(["2020-01-01"], "M8[D]"), "something else than whole numbers"),
    "bfloat16": (torch.ones(2, dtype=torch.bfloat16), "BFloat16Storage"),
    "a sparse tensor": (torch.eye(2).to_sparse(), "sparse"),
    "a set": ({1}, "set"),
    "a module": (torch.nn.Linear(1, 1), "it names"),
    "a type": (torch.int64, "it names 'torch int64'"),
    "a pair as a key": ({(1, 2): 3}, "keys"),
    "a fraction as a key": ({0.5: 3}, "keys"),
    "bytes": (b"ab", "another form"),
    "an immense number": (2**64, "LONG1"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_things_are_refused(what):
    value, words = OTHERS[what]
    refused(pt(value), words)


@pytest.mark.parametrize("protocol", [0, 1, 3, 4, 5])
def test_other_protocols_are_refused(protocol):
    buffer = io.BytesIO()
    torch.save({"labels": np.arange(3)}, buffer, pickle_protocol=protocol)
    refused(buffer.getvalue())


def test_a_file_that_is_no_zip_says_what_is_one():
    refused(b"", "since torch 1.6")
    buffer = io.BytesIO()
    torch.save([1], buffer, _use_new_zipfile_serialization=False)
    refused(buffer.getvalue(), "since torch 1.6")


def test_a_tensor_without_its_numbers_is_refused():
    there = parts(pt(torch.arange(5)))
    pickle = there.pop("data.pkl")
    refused(pt_of_pickle(pickle), "numbers are not in the file")
    refused(pt_of_pickle(pickle, {"data/0": bytes(39)}))
    refused(pt_of_pickle(pickle, {"data/0": bytes(32)}), "more numbers than are in the file")


def word(text):
    return b"X" + struct.pack("<I", len(text)) + text


def number(value):
    return b"J" + struct.pack("<i", value)


def tensor(shape, strides, offset=b"K\x00", key=b"0"):
    """A tensor's pickle in torch's form, over the 5 numbers of `data/0`."""
    return (
        (b"ctorch._utils\n_rebuild_tensor_v2\n((" + word(b"storage") + b"ctorch\nLongStorage\n" + word(key))
        + (word(b"cpu") + b"K\x05tQ" + offset + shape + strides + b"\x89ccollections\nOrderedDict\n)RtR")
    )  # fmt: skip


HUGE = number(2**31 - 1)
TENSORS = {
    "before its numbers": (tensor(b"K\x01\x85", b"K\x01\x85", number(-1)), "another form"),
    "beyond its numbers": (tensor(b"K\x05\x85", b"K\x01\x85", b"K\x01"), "more numbers"),
    "backwards": (tensor(b"K\x05\x85", number(-1) + b"\x85", b"K\x04"), "another form"),
    "of a negative length": (tensor(number(-3) + b"\x85", b"K\x01\x85"), "without a shape"),
    "of a truth's length": (tensor(b"\x88\x85", b"K\x01\x85"), "without a shape"),
    "with a stride too few": (tensor(b"K\x01K\x01\x86", b"K\x01\x85"), "another form"),
    "of 17 GB, all one number": (tensor(HUGE + b"\x85", b"K\x00\x85"), "far too large"),
    "of 2⁶² GB, all one number": (tensor((HUGE * 2) + b"\x86", b"K\x00K\x00\x86"), "far too large"),
    "of no numbers and immense": (tensor(b"K\x00" + HUGE * 2 + b"\x87", b"K\x00" * 3 + b"\x87"), "too"),
    "of 40 dimensions": (tensor(b"(" + b"K\x01" * 40 + b"t", b"(" + b"K\x01" * 40 + b"t"), "without a shape"),
    "with another file's numbers": (tensor(b"K\x01\x85", b"K\x01\x85", key=b"../0"), "not in the file"),
}


@pytest.mark.parametrize("what", TENSORS)
def test_a_tensor_over_what_is_not_its_own_is_refused(what):
    pickle, words = TENSORS[what]
    beside = {"data/0": np.arange(5).tobytes()}
    good = tensor(b"K\x02\x85", b"K\x02\x85", b"K\x01")
    assert pickled.read(pt_of_pickle(b"\x80\x02" + good + b".", beside)).tolist() == [1, 3]
    refused(pt_of_pickle(b"\x80\x02" + pickle + b".", beside), words)


DOUBLED = b"".join(b"q" + bytes([depth]) + b"h" + bytes([depth]) + b"\x86" for depth in range(25))
BOMBS = {
    "2²⁵ values in 100 bytes": b"\x80\x02K\x00" + DOUBLED + b".",
    "a list in itself": b"\x80\x02]q\x00h\x00a.",
    "a table in itself": b"\x80\x02}q\x00" + word(b"a") + b"h\x00s.",
    "lists deeper than any stack": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "marks": b"\x80\x02" + b"(" * 100_000 + b".",
}


@pytest.mark.parametrize("what", BOMBS)
def test_what_would_never_end_is_refused(what, monkeypatch):
    monkeypatch.setattr(pickled, "INSTRUCTIONS", 300_000)
    refused(pt_of_pickle(BOMBS[what]), "lists within lists without end")


def test_the_same_numbers_again_and_again_are_too_much(monkeypatch):
    """Each array has memory of its own."""
    monkeypatch.setattr(pickled, "MADE", 50 * 8_000 + len("little"))
    array = np.arange(1_000)
    assert len(pickled.read(pt([array + i for i in range(50)]))) == 50
    refused(pt([array + i for i in range(51)]), "far too large")
    shared = torch.arange(1_000)
    refused(pt([shared.view(1_000) for _ in range(50)]), "far too large")


def test_a_far_too_large_tensor_is_not_even_read(monkeypatch):
    monkeypatch.setattr(pickled, "LIMIT", 1_000)
    refused(pt(torch.arange(1_000)), "far too large: 8,000 bytes")


# Whatever is changed

VALUES = {
    "labels": torch.arange(40).reshape(20, 2)[:, 0], "soft": np.linspace(0, 1, 12).reshape(4, 3), "list": [1, 2.5],
    "names": ("cat", "犬"), "n": np.int64(7),
}  # fmt: skip


def read_or_clause(content):
    """The value, or the clause with which it is refused."""
    try:
        return pickled.read(content)
    except ValueError as error:
        return error


def plain(value):
    """Whether a value is one that `read` gives: walking it ends."""
    match value:
        case list() | tuple():
            return all(map(plain, value))
        case dict():
            return all(type(key) in (str, int) and plain(item) for key, item in value.items())
        case np.ndarray():
            return value.dtype.kind in "iufb" and value.flags.writeable
    return value is None or type(value) in (int, float, bool, str)


def test_a_file_changed_or_cut_anywhere_is_a_value_or_a_clause():
    whole = pt(VALUES)
    generator = np.random.default_rng(0)
    for position in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[position] ^= int(generator.integers(1, 256))
        assert isinstance(found := read_or_clause(bytes(changed)), ValueError) or plain(found)
        assert isinstance(found := read_or_clause(whole[:position]), ValueError)


def test_a_pickle_changed_anywhere_is_a_value_or_a_clause():
    """The zip's checksum does not save it here: up to three bytes of the pickle are others, whatever they mean."""
    there = parts(pt(VALUES))
    pickle = there.pop("data.pkl")
    generator = np.random.default_rng(1)
    outcomes = set()
    for _ in range(2_500):
        changed = bytearray(pickle)
        for position in generator.integers(len(pickle), size=generator.integers(1, 4)):
            changed[position] = generator.integers(256)
        found = read_or_clause(pt_of_pickle(bytes(changed), there))
        outcomes.add(isinstance(found, ValueError))
        assert isinstance(found, ValueError) or plain(found)
    assert outcomes == {True, False}


WORDS = [
    b"(", b"t", b"]", b"}", b")", b"a", b"e", b"s", b"u", b"R", b"b", b"Q", b"N", b"\x88", b"\x89", b"\x85",
    b"\x86", b"\x87", b"K\x00", b"K\x01", b"K\x03", HUGE, b"q\x00", b"h\x00", b"q\x01", b"h\x01", b"0", b"1", b"2",
    b"o", b"G" + struct.pack(">d", 0.5), word(b"<"), word(b"i8"), word(b"latin1"), word(b"0"), word(bytes(8)),
    b"\x8a\x08" + bytes(8), b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"c_codecs\nencode\n",
    b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy.core.multiarray\nscalar\n", b"cos\nsystem\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n", b"ctorch\nLongStorage\n",
    b"ccollections\nOrderedDict\n", tensor(b"K\x02\x85", b"K\x02\x85"),
]  # fmt: skip


def test_instructions_in_any_order_are_a_value_or_a_clause():
    generator = np.random.default_rng(2)
    outcomes = set()
    for _ in range(4_000):
        pickle = b"\x80\x02" + b"".join(
            WORDS[i] for i in generator.integers(len(WORDS), size=generator.integers(1, 12))
        )
        found = read_or_clause(pt_of_pickle(pickle + b".", {"data/0": np.arange(5).tobytes()}))
        outcomes.add(isinstance(found, ValueError))
        assert isinstance(found, ValueError) or plain(found)
    assert outcomes == {True, False}
