"""The lowest declared version of every package that memstudy names, as constraints for pip.

python -m tests.lowest [EXCEPT ...] > constraints.txt
"""

from __future__ import annotations

import re
import sys
import tomllib
from itertools import chain
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
BOUND = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?\s*>=\s*(?P<version>[0-9][0-9.]*)")


def lowest(requirement: str) -> tuple[str, str]:
    """A requirement's package and its lowest version. Raises a ValueError if it says none, or more."""
    found = BOUND.fullmatch(requirement)
    if not found:
        raise ValueError(f"{requirement!r} is not of the form name>=version")
    return found["name"], found["version"]


def constraints() -> dict[str, str]:
    """Package to lowest version, for what users install: the needs and those of the extras."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    texts = [project["dependencies"], *project["optional-dependencies"].values()]
    return dict(map(lowest, chain.from_iterable(texts)))


if __name__ == "__main__":
    for name, version in constraints().items():
        if name not in sys.argv[1:]:
            print(f"{name}=={version}")
