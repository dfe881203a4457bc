"""state.json: what is known of a run besides its recipe. Checked when it is read, sealed when it is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from memstudy import files
from memstudy.store import kinds, seals
from memstudy.store.kinds import Kind, are, is_count, is_date, is_number, is_positive, is_text
from memstudy.store.naming import identity
from memstudy.store.seals import SEAL

CHECKSUMS, RUN = "checksums", "run"
EVALUATE_EVERY, EVALUATE_AT = "evaluate_every", "evaluate_at"


class Status(StrEnum):
    """Where a run stands."""

    NEW = "new"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FINISHED = "finished"
    FAILED = "failed"


def read(path: Path) -> dict[str, Any]:
    """The content of the state.json in a run's directory; a new run's if there is none.

    A MemstudyError if a value is not of its kind, if it was changed since it was written, or if it is another
    run's. What was written before there were seals has none; keys that are not known here may have any value.
    """
    if not files.is_there(path):
        return {"status": Status.NEW}
    state = files.read_json(path)
    kinds.check(path, state, KINDS)
    for key in ("status", "floor"):  # there since the first version
        if key not in state:
            raise files.damaged(path, f"it has no {key}")
    if not seals.fits(state):
        raise files.damaged(path, "its seal does not fit its content")
    if RUN in state and identity(state[RUN]) != identity(path.parent.name):
        raise files.damaged(path, f"it is that of {state[RUN]}")
    return state


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write a run's state.json, with the run's name and a seal."""
    files.write_json(path, seals.sealed({**state, RUN: path.parent.name}))


def floor(state: Mapping[str, Any]) -> float:
    """The lowest training cross-entropy on the labels drawn without memorization, nats (see `data.dataset`).

    Wherever a run speaks of its floor, it is this one; what is expected over label draws is named so. Earlier
    versions wrote `floor` for that, and this one as `realized_floor`.
    """
    return float(state.get("realized_floor", state["floor"]))


def expected_floor(state: Mapping[str, Any]) -> float:
    """The floor expected over label draws."""
    return float(state.get("expected_floor", state["floor"]))


def _is_session(value: object) -> bool:
    """Whether the record of a process that trained the run has right values where a continuation looks at them."""
    return isinstance(value, dict) and all(
        fits(value[key])
        for key, fits in {
            "from_epoch": is_count,
            "date": is_date,
            "device": is_text,
            "layout": is_text,
            "threads": is_positive,
            "processes": is_count,
        }.items()
        if key in value
    )


NAMES = r"recipe\.toml|labels\.npz|metrics\.csv|dynamics/\w+\.npy|checkpoints/epoch-\d{4,}\.safetensors"


def _are_checksums(value: object) -> bool:
    return isinstance(value, dict) and all(
        re.fullmatch(NAMES, name) and isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)
        for name, digest in value.items()
    )


def _is_code(value: object) -> bool:
    """Whether a value is what `code.record` writes: by subject a check sum, and those of the modules."""
    return isinstance(value, dict) and all(
        isinstance(code, dict)
        and is_text(code.get("sha256"))
        and is_text(code.get("distribution", ""))
        and isinstance(modules := code.get("modules"), dict)
        and all(is_text(digest) for digest in modules.values())
        for code in value.values()
    )


KINDS: dict[str, Kind] = {
    "status": (lambda value: value in list(Status), "a known status"),
    "failure": (lambda value: value is None or is_text(value), "a text"),
    "floor": (is_number, "a number"),
    "expected_floor": (is_number, "a number"),
    "realized_floor": (is_number, "a number"),  # what earlier versions called the floor
    "corrupted_share": (is_number, "a number"),
    "epochs": (is_count, "a whole number"),
    "data_sha256": (is_text, "a text"),
    "data_note": (lambda value: value is None or is_text(value), "a text"),
    "dynamics": (lambda value: isinstance(value, bool), "true or false"),
    EVALUATE_EVERY: (is_positive, "a whole number from 1 on"),
    EVALUATE_AT: (are(is_count), "a list of epochs"),
    "sessions": (are(_is_session), "a list of what was noted of each process"),
    "code": (_is_code, "a table of check sums by what code of others there is"),
    CHECKSUMS: (_are_checksums, "a table of SHA-256 by the names of the run's files"),
    RUN: (is_text, "a text"),
    SEAL: (is_text, "a text"),
}
"""The kind of each value. Not all keys need be there."""
