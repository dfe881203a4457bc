"""Inputs made to do harm: they claim or unpack to very much, nest deeply, name what is outside, or run.

By the beginning of the names of the readers that are given them.
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tests.kit.contents import header, npy, pt_of_pickle
from tests.reliability.fuzz.trying import Reader

ZEROS = bytes(2**24)
HUGE = 99_999_999_999


class Harm:
    """Its pickle runs a command when it is executed."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch /tmp/memstudy-was-harmed",)


def inputs(reader: Reader) -> list[bytes]:
    """What is made for a reader, and what is for every one."""
    return [
        *_ANY,
        *(content for begin, make in _MADE.items() if reader.name.startswith(begin) for content in make()),
    ]


def _npys() -> Iterator[bytes]:
    for kind in ("|u1", "<i8", "<f8", "<U99999999", "|O", "<U0", "|V0", "<c16"):
        for shape in (f"({HUGE},)", f"({HUGE}, {HUGE})", "(0,)", "(-1,)", f"(0, {HUGE})", f"({2**62}, 4)"):
            yield header(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}")
    yield header("{'descr': " + "[" * 200 + "]" * 200 + ", 'fortran_order': False, 'shape': (1,)}")
    yield header(f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({'9' * 5000},)}}")
    yield header("__import__('os').system('touch /tmp/memstudy-was-harmed')")
    yield npy(np.array([0x110000, 0xFFFFFFFF], "<u4").view("<U2"))
    yield npy(np.array([0xD800, 0x61], "<u4").view("<U1"))
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([Harm()], object), allow_pickle=True)
    yield buffer.getvalue()


def _zip(entries: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _bomb(name: str, begin: bytes, size: int) -> bytes:
    """A zip of one entry that unpacks to so many bytes of zeros."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w", force_zip64=True) as file,
    ):
        file.write(begin)
        for _ in range(size // len(ZEROS)):
            file.write(ZEROS)
    return buffer.getvalue()


def _zips(name: str) -> Iterator[bytes]:
    """Whose entry of this name is hostile."""
    claims = header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({5 * 2**28},)}}")
    yield _bomb(name, claims, 5 * 2**28)
    yield _zip({name: claims + bytes(100), f"../../{name}": b"x", f"/etc/{name}": b"x"}, zipfile.ZIP_LZMA)
    yield _zip({f"{number}.npy": claims for number in range(5000)}, zipfile.ZIP_STORED)
    yield _zip({"..\\x.npy": npy(np.arange(3)), "\x1b[2J.npy": npy(np.arange(3))})


def _pickles() -> Iterator[bytes]:
    yield pickle.dumps(Harm(), 2)
    yield b"\x80\x02cos\nsystem\nX\x01\0\0\0xR."
    yield b"\x80\x02" + b"]q\0h\0a" * 2000 + b"."
    yield b"\x80\x02" + b"(" * 100_000 + b"."
    yield b"\x80\x02]" + b"\x85" * 100_000 + b"."
    yield b"\x80\x02K\x01" + b"q\0h\0\x86" * 60 + b"."
    yield b"\x80\x02X\xff\xff\xff\x7fx."
    yield b"\x80\x02\x8b\xff\xff\xff\x7fx."
    yield b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f."


def _nested() -> Iterator[bytes]:
    for count in (1000, 100_000):
        yield b"[" * count
        yield b"[" * count + b"]" * count
        yield b'{"a":' * count + b"1" + b"}" * count
    yield b"[" + b"9" * 100_000 + b"]"
    yield b'{"a":' + b"-" * 9 + b"}"
    yield b'["\\ud800", "\\udfff", "\\u0000", "\\u001b[2J"]'
    yield json.dumps({"\x1b[2J": ["a\nb", "\u202e"], "b": [1, 2]}).encode()


def _toml() -> Iterator[bytes]:
    for count in (1000, 50_000):
        yield b"a = " + b"[" * count + b"]" * count
        yield b"a = " + b"{b=" * count + b"1" + b"}" * count
        yield b".".join([b"a"] * count) + b" = 1"
        yield b"[" + b".".join([b"a"] * count) + b"]"
        yield b"\n".join(b"[[a]]" for _ in range(count))
    yield b"seed = " + b"9" * 100_000
    yield b"seed = 0x" + b"f" * 100_000
    yield b"learning_rate = 1e" + b"9" * 1000


def _studies() -> Iterator[bytes]:
    yield b"seeds = 999999999999999999\n[grid]\nreg = 'al2'"
    yield b"seeds = [" + b"1," * 20_000 + b"]\n[grid]\nreg = 'al2'"
    yield b"[grid]\n" + b"\n".join(
        b"%s = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]" % key for key in (b"epochs", b"batch_size", b"seed")
    )
    yield b"[grid]\nepochs = 1000000\ncheckpoints = 1000000"
    yield b"[grid]\nepochs = 99999999999999"
    for name in (
        b"os:system",
        b"shutil:rmtree",
        b"antigravity:x",
        b"../x:y",
        b"memstudy.files:remove",
        b"torchvision:../../x",
    ):
        yield b"[grid]\nnetwork = '" + name + b"'"
    for path in (
        b"/dev/zero",
        b"/dev/stdin",
        b"../../../etc/passwd",
        b"/proc/self/mem",
        b"x" * 5000,
        b"a\\u0000b.npz",
        b"/dev/zero.npy",
    ):
        yield b'[grid]\nlabels = "' + path + b'"'
    yield b"[grid]\nreg = [" + b",".join(b"'al2'" for _ in range(150)) + b"]\npairs = true"
    yield b'name = "../../x"\n[grid]\nreg = "al2"'
    yield b'name = "\\u001b[2J"\n[grid]\nreg = "al2"'


def _png(width: int, height: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _images() -> Iterator[bytes]:
    """The first byte says which ending the file has."""
    zeros = zlib.compress(ZEROS)
    yield b"\0" + _png(13_000, 13_000, zlib.compress(bytes(13_001 * 13_000)))
    yield b"\0" + _png(2**31 - 1, 2**31 - 1, zeros)
    yield b"\0" + _png(4, 2**30, zeros)
    text = zlib.compress(bytes(2**27))
    yield b"\0" + _png(4, 4, zlib.compress(bytes(20))).replace(b"IDAT", b"zTXt") + text
    yield b"\3P6 60000 60000 255\n" + bytes(100)
    yield b"\3P6 9999999999 9999999999 255\n" + bytes(100)
    yield (
        b"\2BM"
        + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0)
        + bytes(99)
    )
    yield b"\0%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n(/tmp/memstudy-was-harmed) w\n"
    yield b"\5II*\0" + struct.pack("<IHHHIIHHII", 8, 2, 256, 4, 1, 2**31, 257, 4, 1, 2**31) + bytes(99)


def _manifests() -> Iterator[bytes]:
    for name in (
        "../x",
        "/etc/passwd",
        "a/../../x",
        "",
        ".",
        "//x",
        "x\0y",
        "\ud800",
        "a" * 5000,
        "\x1b[2J",
        "C:/x",
    ):
        yield json.dumps({"files": {name: "0" * 64}}).encode()
    yield json.dumps({"files": {f"{number}/recipe.toml": "" for number in range(50_000)}}).encode()


def _headers() -> Iterator[bytes]:
    """Of safetensors."""
    for shape in ([HUGE, HUGE], [2**63, 4], [-1], [0], [], [1] * 1000):
        for offsets in ([0, 64], [0, HUGE], [64, 0], [-1, 5], [2**64 - 1, 2**64]):
            yield json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()
    yield b'{"a":' * 10_000 + b"1" + b"}" * 10_000
    yield b'{"__metadata__": {"facts": "' + b"[" * 100_000 + b'"}}'


def _lines() -> Iterator[bytes]:
    yield b'"' * 300_001
    yield b"," * 1_000_000
    yield b"a,b\n" + b"\n" * 1_000_000
    yield b"1e400\n" * 9
    yield b"9" * 100_000
    yield "\n".join(["\u0661\u0662", "\u00b2", "\u2160", "\u0967"]).encode()


_ANY = (b"", b"\0", b"\xff" * 100, b"\n", b"{}", b"[]", b"\x1b[2J\x1b]0;owned\x07", b"\xff\xfe", b"\0\0\xfe\xff")
_MADE: dict[str, Callable[[], list[bytes]]] = {
    "labels .npy": lambda: [*_npys()],
    "labels .npz, an": lambda: [*_npys()],
    "labels .npz": lambda: [*_zips("noisy.npy")],
    "labels .pt": lambda: [*_zips("archive/data.pkl"), *map(pt_of_pickle, _pickles())],
    "labels .pt, the": lambda: [*_pickles()],
    "labels .json": lambda: [*_nested()],
    "labels .csv": lambda: [*_lines()],
    "labels .txt": lambda: [*_lines()],
    "matrix .npy": lambda: [*_npys()],
    "matrix, text": lambda: [*_lines()],
    "derived table": lambda: [*_lines()],
    "kept set, what": lambda: [*_nested()],
    "human file": lambda: [*_zips("archive/data.pkl"), *map(pt_of_pickle, _pickles())],
    "image set .npz": lambda: [*_zips("train_images.npy")],
    "image set .npz, an": lambda: [bytes([place]) + content for place in range(5) for content in _npys()],
    "image folder": lambda: [*_images()],
    "recipe": lambda: [*_toml()],
    "study file": lambda: [*_toml(), *_studies()],
    "state.json": lambda: [*_nested()],
    "metrics.csv": lambda: [*_lines()],
    "records": lambda: [bytes([place]) + content for place in range(4) for content in _npys()],
    "resume.safetensors": lambda: [
        struct.pack("<Q", claimed) + b"{}" for claimed in (0, 2, 2**32, 2**63, 2**64 - 1)
    ],
    "checkpoint": lambda: [*_headers()],
    "packed store": lambda: [*_nested(), *_manifests()],
    "packed table": lambda: [gzip.compress(ZEROS * 5, 1), gzip.compress(ZEROS, 1) * 70],
    "lease": lambda: [*_nested()],
    "study.json": lambda: [*_nested()],
}
