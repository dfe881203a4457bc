"""Files of labels in a study: the identity of the labels for each point of its grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memstudy import presets
from memstudy.data import given, label_files, sources
from memstudy.data.given import Given
from memstudy.data.images import ImageSet
from memstudy.data.label_files import LabelFile, LabelSource
from memstudy.errors import MemstudyError, quoted


@dataclass
class GivenLabels:
    """Reads a study's files of labels, each once.

    Attributes:
        place: the folder that their paths start from.
        folder: the data directory; None for the usual one.
        download: whether to fetch sets that are missing.
        notes: how files were read, a sentence each.

    """

    place: Path
    folder: Path | None = None
    download: bool = False
    notes: list[str] = field(default_factory=list)
    _read: dict[LabelSource, LabelFile] = field(default_factory=dict)
    _images: dict[str, ImageSet] = field(default_factory=dict)
    _labels: dict[tuple[LabelSource, str, int, bool], Given] = field(default_factory=dict)

    @property
    def files(self) -> list[LabelSource]:
        """All label files that were read."""
        return list(self._read)

    def with_identity(self, preset: str, point: dict[str, Any]) -> dict[str, Any]:
        """A point of a grid in which the labels' identity stands instead of their file, column and `anyway`."""
        resolved = dict(point)
        path, column = resolved.pop("labels", None), resolved.pop("label_column", None)
        anyway = resolved.pop("anyway", False)
        if path is None:
            if column is not None or anyway is not False:
                raise MemstudyError(
                    "label_column and anyway in [grid] say how a file of labels is read; add labels, or "
                    "remove them."
                )
            return resolved
        if not isinstance(anyway, bool) or not isinstance(column, str | None):
            wrong = (
                ("anyway", "true or false", anyway)
                if isinstance(column, str | None)
                else ("label_column", "the name of a column", column)
            )
            raise MemstudyError(f"{wrong[0]} in [grid] must be {wrong[1]}, not {quoted(wrong[2])}.")
        source = LabelSource(self.place / str(path), column, anyway)
        if source not in self._read:
            self._read[source] = label_files.read(source)
        soft = resolved.get("noise") == "soft"
        return resolved | {"labels": self._given(source, preset, resolved, soft).identity(source.path, soft)}

    def _given(self, source: LabelSource, preset: str, point: dict[str, Any], soft: bool) -> Given:
        """The labels of a file that was read, for the images of a point of a grid."""
        file = self._read[source]
        if file.ours:
            return Given.ours(file)
        base = presets.get(preset).recipe
        dataset, seed = point.get("dataset", base.dataset), point.get("corrupt_seed", base.corruption.seed)
        key = (source, dataset, seed, soft)
        if key not in self._labels:
            if dataset not in self._images:
                self._images[dataset] = sources.load(dataset, self.folder, self.download)
            images, listing = self._images[dataset], lambda: sources.files(dataset, self.folder)
            self._labels[key] = labels = given.of(file, images, listing, seed, soft)
            self.notes += [note for note in labels.notes if note not in self.notes]
        return self._labels[key]
