"""resume.safetensors: network and momentum after the newest saved epoch, and a seal; from it a run is continued.

resume-before.safetensors is the one that was saved before it, and is taken where the newest is damaged or gone.

The seal holds check sums of what the growing files (metrics.csv, records) held after that epoch. A continuation
adds to these files, so it first checks that they are unchanged. Tensors and seal are one file, which is replaced
as a whole, so they always belong together.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from memstudy import files
from memstudy.errors import MemstudyError, Unreadable
from memstudy.store import tensors as tensor_files
from memstudy.store.naming import identity

if TYPE_CHECKING:
    from torch import Tensor

FACTS, CHECKSUM = "facts", "sha256"
CURE = "restore it, or remove it alone and run the same command: it then trains from the first epoch"
"""What to do where only this file is damaged, and there is no state before it."""
CURE_OF_BOTH = "restore one of them, or remove both and run the same command: it then trains from the first epoch"

Found = TypeVar("Found")


@dataclass(frozen=True)
class Saved:
    """What is known of a saved state: whose it is, how many epochs it has done, and the seal.

    `sealed` holds SHA-256 of the first so many epochs' part of each file that grows, by its path in the run's
    directory. It is empty in what was written before there were seals, and so is `run`.
    """

    epochs_done: int
    run: str = ""
    sealed: Mapping[str, str] = field(default_factory=dict)


def write(path: Path, saved: Saved, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors and what is known of them, with a check sum of both; the state that was there is kept."""
    facts = json.dumps(asdict(saved), sort_keys=True)
    checksum = files.digest(facts.encode() + tensor_files.encode(tensors))
    files.write(path, tensor_files.encode(tensors, {FACTS: facts, CHECKSUM: checksum}), earlier=before(path))


def before(path: Path) -> Path:
    """Where the state is that was saved before the one at `path`."""
    return path.with_name(f"{path.stem}-before{path.suffix}")


def read(path: Path) -> tuple[Saved, dict[str, Tensor], bool] | None:
    """What is known of the newest state that is whole, its tensors, and whether it is the one before the newest.

    None if nothing was saved. A MemstudyError if none of what was saved is whole.
    """
    found = _newest(path, _read)
    return None if found is None else (*found[0], found[1])


def look(path: Path) -> Saved | None:
    """What is known of the newest state whose header can be read, which is all that is read; None without one.

    A MemstudyError if it makes no sense, or is another run's.
    """
    found = _newest(path, _look)
    return None if found is None else found[0]


def return_to_before(path: Path) -> None:
    """Let the state before the newest be the newest, which is damaged or gone."""
    with files.explained(path):
        before(path).replace(path)


def _newest(path: Path, read_one: Callable[[Path], Found | None]) -> tuple[Found, bool] | None:
    """What one of the two files holds, the newest if it can be read, and whether it is the one before."""
    newest, wrong = _tried(path, read_one)
    if newest is not None:
        return newest, False
    earlier, wrong_before = _tried(before(path), read_one)
    if earlier is not None:
        return earlier, True
    if wrong and wrong_before:
        raise files.damaged(path, f"so is {before(path).name}", CURE_OF_BOTH) from wrong_before
    if either := wrong or wrong_before:
        raise either
    return None


def _tried(path: Path, read_one: Callable[[Path], Found | None]) -> tuple[Found | None, MemstudyError | None]:
    """What a file holds, if it is there, or what is wrong with it. What cannot be read now may well be whole."""
    try:
        return read_one(path), None
    except Unreadable:
        raise
    except MemstudyError as error:
        return None, error


def _read(path: Path) -> tuple[Saved, dict[str, Tensor]] | None:
    """A state; None if there is none. A MemstudyError if anything in the file was changed."""
    if not files.is_there(path):
        return None
    content = files.read(path, CURE)
    metadata = tensor_files.metadata(path, io.BytesIO(content), CURE)
    tensors = tensor_files.decode(path, content, CURE)
    if metadata.get(CHECKSUM) != files.digest(metadata.get(FACTS, "").encode() + tensor_files.encode(tensors)):
        raise files.damaged(path, "its checksum does not match", CURE)
    return _saved(path, metadata), tensors


def _look(path: Path) -> Saved | None:
    """What a file's header says of a state; None if there is none. A MemstudyError if it makes no sense."""
    with files.reading(path):
        try:
            with path.open("rb") as file:
                return _saved(path, tensor_files.metadata(path, file, CURE))
        except FileNotFoundError:
            return None
        except files.ABSENT as error:
            raise files.damaged(path, error.strerror, CURE) from error


def _saved(path: Path, metadata: Mapping[str, str]) -> Saved:
    try:
        facts = json.loads(metadata[FACTS]) if FACTS in metadata else {"epochs_done": int(metadata["epochs_done"])}
    except (ValueError, KeyError, RecursionError) as error:
        raise files.damaged(path, "it does not say how many epochs are done", CURE) from error
    if not _is_sound(facts):
        raise files.damaged(path, "it does not say how many epochs are done", CURE)
    saved = Saved(**facts)
    if saved.run and identity(saved.run) != identity(path.parent.name):
        raise files.damaged(path, f"it is that of {saved.run}", CURE)
    return saved


def _is_sound(facts: object) -> bool:
    return (
        isinstance(facts, dict)
        and {"epochs_done"} <= set(facts) <= {"epochs_done", "run", "sealed"}
        and type(facts["epochs_done"]) is int
        and facts["epochs_done"] >= 0
        and isinstance(facts.get("run", ""), str)
        and isinstance(sealed := facts.get("sealed", {}), dict)
        and all(isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) for digest in sealed.values())
    )
