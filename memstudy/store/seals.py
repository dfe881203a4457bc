"""Check sums of the files that grow with every epoch (metrics.csv, records), taken after each epoch.

They are of the bytes that were written, not of what is read back, so a change of a file from outside is noticed.
"""

from __future__ import annotations

import hashlib


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
