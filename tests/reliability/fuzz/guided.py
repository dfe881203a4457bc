"""Inputs guided by coverage: atheris (libFuzzer), where it installs.

It is in no group of dependencies, as it needs a compiler on some systems and is not there for every Python.
"""

from __future__ import annotations

import gc
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FunctionType

from tests.reliability.fuzz.mutation import HOSTILE, LONGEST
from tests.reliability.fuzz.trying import Source

OURS = (
    "memstudy.data", "memstudy.store", "memstudy.study", "memstudy.files", "memstudy.recipe", "memstudy.options",
    "memstudy.lease", "memstudy.presets", "memstudy.derived.reading",
)  # fmt: skip
OTHERS = ("json", "zipfile", "pickletools", "tomllib", "numpy.lib._format_impl", "numpy.lib._npyio_impl", "gzip")
"""Modules whose branches guide: ours, and those that parse for us."""


def is_there() -> bool:
    """Whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def by_coverage(seeds: Sequence[bytes], words: Sequence[bytes], seed: int) -> Source:
    """A source of inputs that reach what none has reached."""

    def give(count: int, attempt: Callable[[bytes], None]) -> None:
        import atheris

        if not instrumented():
            raise RuntimeError("no function guides: these inputs would be blind")
        place = Path(tempfile.mkdtemp(prefix="fuzz-corpus-", dir=Path.cwd()))
        for number, content in enumerate(seeds):
            (place / f"{number}").write_bytes(content)
        short = [word for word in (*HOSTILE, *words) if 0 < len(word) <= 64]
        listed = [f'"{"".join(f"{chr(92)}x{byte:02x}" for byte in word)}"' for word in short]
        (place.parent / "words").write_text("\n".join(listed) + "\n", encoding="ascii")
        options = {
            "runs": count, "seed": seed or 1, "max_len": LONGEST, "timeout": 0, "rss_limit_mb": 0, "verbosity": 0,
            "dict": place.parent / "words",
        }  # fmt: skip
        atheris.Setup([sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), str(place)], attempt)
        atheris.Fuzz()

    return give


def instrumented() -> int:
    """Let what guides tell which of its branches are taken; how many functions these are."""
    import atheris

    gc.unfreeze()  # what is frozen is not among the collector's objects
    functions = [known for known in gc.get_objects() if isinstance(known, FunctionType)]
    guiding = [function for function in functions if _guides(function.__module__ or "")]
    for function in guiding:
        atheris.instrument_func(function)
    return len(guiding)


def _guides(module: str) -> bool:
    return module.startswith(OURS) or module.partition(".")[0] in OTHERS or module in OTHERS
