"""Inputs near good ones: bytes changed, cut, repeated, spliced, words of the format put in. All from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tests.reliability.fuzz.trying import Source

LONGEST = 4096
HOSTILE = (
    b"../../x", b"/etc/passwd", b"\x1b[2J", b"\x1b]0;x\x07", "\u202e".encode(), b"<script>", b"=cmd()", b"\0",
    b"\xff\xfe", b"nan", b"-inf", b"1e999", b"-1", b"9" * 400, b"9" * 5000, b"18446744073709551616",
    b"9223372036854775807", b"[" * 3000, b'{"a":' * 1500, b"(" * 300, b"\n", b"\r", b"\t", b",", b'"', b"'",
    b"os:system", b"true", b"null", b"{}", b"[]", b"\xff" * 8, b"\x7f" * 8, b"\x80", b"0x1p9", b"1_000",
)  # fmt: skip
"""What has broken readers of any kind before."""


def near(seeds: Sequence[bytes], words: Sequence[bytes], seed: str) -> Source:
    """A source of mutations of good inputs."""

    def give(count: int, attempt: Callable[[bytes], None]) -> None:
        random_ = random.Random(seed)
        for _ in range(count):
            attempt(mutated(random_.choice(seeds), seeds, (*HOSTILE, *words), random_))

    return give


def mutated(content: bytes, seeds: Sequence[bytes], words: Sequence[bytes], random_: random.Random) -> bytes:
    """One input near another."""
    found = bytearray(content)
    for _ in range(random_.choice((1, 1, 1, 2, 2, 3, 5, 9))):
        at = random_.randrange(len(found) + 1)
        length = min(random_.choice((1, 1, 2, 4, 8, 40)), len(found) - at)
        match random_.randrange(9):
            case 0 if at < len(found):
                found[at] ^= 1 << random_.randrange(8)
            case 1 if at < len(found):
                found[at] = random_.randrange(256)
            case 2:
                del found[at : at + length]
            case 3:
                found[at:at] = found[at : at + length] * random_.choice((1, 2, 50))
            case 4:
                del found[at:]
            case 5:
                other = random_.choice(seeds)
                begin = random_.randrange(len(other) + 1)
                found[at:] = other[begin:]
            case 6:
                found[at : at + length] = random_.randbytes(length)
            case _:
                found[at : at + random_.choice((0, length))] = random_.choice(words)
    return bytes(found[: 16 * LONGEST])
