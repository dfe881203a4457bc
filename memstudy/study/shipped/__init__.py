"""The studies that come with memstudy, and how a study is given: by the name of one of them, or by a file's path.

A name is one of these studies, whatever files are near. A text with a / in it, or that ends in .toml, is a path.
Looking for a study needs no torch.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from memstudy.errors import MemstudyError, quoted, unknown
from memstudy.recipe import read_toml

FOLDER = Path(__file__).parent
ENDING = ".toml"
TEMPLATE, ITS_FILE = FOLDER.parent / "template.toml", "THIS_FILE"


def names() -> list[str]:
    """The names of all of them."""
    return sorted(path.stem for path in FOLDER.glob(f"*{ENDING}"))


def path(name: str) -> Path:
    """The file of one of them."""
    return FOLDER / f"{name}{ENDING}"


def find(text: str) -> Path:
    """The file of the study that a name or a path stands for; a path need not lead to a file.

    Raises a MemstudyError with the nearest names for an unknown one, and with the name for a path that leads to no
    file where the study of that name comes with memstudy.
    """
    given = Path(text)
    if is_path(text):
        if given.stem in names() and not _is_file(given):
            raise MemstudyError(
                f"there is no file {text}; the study {quoted(given.stem)} comes with memstudy, so give its name: "
                f"'memstudy study {given.stem}'."
            )
        return given
    if text in names():
        return path(text)
    if _is_file(Path(f"{text}{ENDING}")):
        raise MemstudyError(
            f"there is no study {quoted(text)}, but a file: 'memstudy study {text}{ENDING}' takes it."
        )
    raise MemstudyError(
        f"{unknown('study', text, names())} 'memstudy study list' describes them; a file is given by a path with "
        f"a / in it, or with the ending {ENDING}."
    )


def is_path(text: str) -> bool:
    """Whether a study is given by its file's path, rather than by its name."""
    return text.endswith(ENDING) or not {"/", os.sep}.isdisjoint(text)


def _is_file(path: Path) -> bool:
    with suppress(OSError, ValueError):  # no file can have this name
        return path.is_file()
    return False


def called(file: Path) -> str:
    """What a study's file is given as: the name of one of ours, the path of another."""
    return file.stem if file.parent == FOLDER else str(file)


def scales(file: Path) -> list[str]:
    """The names of a study's scales, unchecked, in their order."""
    found = read_toml(file, "the study").get("scale", {})
    return list(found) if isinstance(found, dict) else []


def template(file: str) -> str:
    """The text of a study of one's own to begin with, which calls itself by the name of its `file`."""
    return TEMPLATE.read_text(encoding="utf-8").replace(ITS_FILE, file)
