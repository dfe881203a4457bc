"""Check sums of the files that grow with every epoch, metrics.csv and the records: of what there is after each.

They are of what was written, not of what is read back: what happens to a file behind a run's back shows.
"""

from __future__ import annotations

import hashlib


class Seals:
    """SHA-256 of every growing file after each epoch that was written here, or found whole."""

    def __init__(self) -> None:
        self._running: dict[str, hashlib._Hash] = {}
        self._after: dict[int, dict[str, str]] = {0: {}}

    def grown(self, name: str, piece: bytes) -> None:
        """A file, named by its path in the run's directory, has got a next piece."""
        self._running.setdefault(name, hashlib.sha256()).update(piece)

    def epoch_done(self, done: int) -> None:
        """All pieces of the first `done` epochs are there. Without those before, nobody knows the whole."""
        if done - 1 in self._after:
            self.found(done)

    def found(self, done: int) -> dict[str, str]:
        """The first `done` epochs' parts were read from the files; their check sums."""
        self._after[done] = {name: running.hexdigest() for name, running in self._running.items()}
        return self._after[done]

    def after(self, done: int) -> dict[str, str]:
        """The check sums after so many epochs, by the files' names; none if they are not known."""
        return self._after.get(done, {})
