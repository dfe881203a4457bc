"""Check sums that are kept beside what they are of: in a JSON object, and of files that grow with every epoch.

Those of growing files (metrics.csv, records) are taken after each epoch, of the bytes that were written, not of
what is read back, so a change of a file from outside is noticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "seal"
"""The key of a JSON object's own seal."""


def of_object(record: Mapping[str, Any]) -> str:
    """SHA-256 of all keys of an object but its seal; spaces and the order of keys do not matter."""
    rest = {key: value for key, value in record.items() if key != SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """An object with its seal, in place of an earlier one."""
    rest = {key: value for key, value in record.items() if key != SEAL}
    return rest | {SEAL: of_object(rest)}


def fits(record: Mapping[str, Any]) -> bool:
    """Whether an object is what was sealed. What was written before there were seals has none."""
    return SEAL not in record or record[SEAL] == of_object(record)


class Seals:
    """SHA-256 of every growing file after each epoch."""

    def __init__(self) -> None:
        self._running: dict[str, hashlib._Hash] = {}
        self._after: dict[int, dict[str, str]] = {0: {}}

    def grown(self, name: str, piece: bytes) -> None:
        """Note that a piece was appended to a file, which is named by its path in the run's directory."""
        self._running.setdefault(name, hashlib.sha256()).update(piece)

    def epoch_done(self, done: int) -> None:
        """Seal the first `done` epochs, if those before are sealed: else earlier pieces are unknown here."""
        if done - 1 in self._after:
            self.seal(done)

    def seal(self, done: int) -> dict[str, str]:
        """Take all pieces so far as those of the first `done` epochs; returns their check sums."""
        self._after[done] = {name: running.hexdigest() for name, running in self._running.items()}
        return self._after[done]

    def after(self, done: int) -> dict[str, str]:
        """The check sums after so many epochs, by the files' names; none if they are not known."""
        return self._after.get(done, {})
