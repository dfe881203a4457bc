"""What a run is in the end, whoever trained it, and in however many pieces."""

from __future__ import annotations

import json

from memstudy.store import RunDirectory
from memstudy.store.layout import LOG, STATE

DIFFERS = {
    LOG: "when what happened",
    "sessions": "who trained it, when, and in how many pieces",
    "seal": "of these",
}
"""What may differ between two ways to the same end, and nothing else: files, and keys of state.json."""


def whole(run: RunDirectory) -> dict[str, bytes]:
    """Every file of a run by its name, but for DIFFERS."""
    files = {
        str(path.relative_to(run.path)): path.read_bytes()
        for path in run.path.rglob("*")
        if path.is_file() and path.name not in DIFFERS
    }
    state = json.loads(files[STATE])
    kept = {key: value for key, value in state.items() if key not in DIFFERS}
    return files | {STATE: json.dumps(kept, sort_keys=True).encode()}
