"""Weights & Biases, offline: a run's file grows as the run does, and `wandb sync` uploads it when the user wants.

A file is what wandb itself writes offline: records of wandb's own protocol buffers, in the framing of LevelDB's
log (https://github.com/google/leveldb/blob/main/doc/log_format.md) with zlib's CRC-32. wandb cannot continue an
offline run, so we append to its file ourselves. No process is started and no connection is opened.

wandb uploads a file from its beginning, behind what its server has of the run. So what comes after an upload is in
another file of the same run, and each epoch is uploaded once.

An epoch is one record, which has a check sum, so it is there wholly or not at all; what a killed process left of a
record is cut off. Metrics are kept as float64.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when wandb is imported

import wandb
from wandb.proto import wandb_internal_pb2

from memstudy.store import Status
from memstudy.trackers import Sent, Snapshot, Tracker

protocol: Any = wandb_internal_pb2  # made at run time, so that no checker knows its names
PROJECT = "memstudy"
ID, STATUS, FAILURE = (f"memstudy/{word}" for word in ("id", "status", "failure"))
TAG = 64
"""Characters of a tag at most."""
EXIT = {Status.FINISHED: 0, Status.FAILED: 1}
UPLOADED = ".wandb.synced"
"""The ending of wandb's mark beside a file that it has uploaded, and skips from then on."""
OLDEST = "0.70.0"
"""The version of the format: the least that a reader must know, as wandb writes it."""

MAGIC = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
BLOCK = 32768
HEADER = struct.Struct("<IHB")
"""Of a piece of a record: check sum, length, kind. A record has a piece in each block that it is in."""
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


class WandB(Tracker):
    """A folder for `wandb sync`: in it a folder a run, called as wandb calls those of offline runs."""

    def _path(self, run: Snapshot, number: int) -> Path:
        return Path(self.into) / f"offline-run-{run.name}-{number}" / f"run-{run.id}.wandb"

    def _paths(self, run: Snapshot) -> list[Path]:
        """The run's files, in order: one, and one more for each time that it grew after an upload."""
        return list(itertools.takewhile(Path.is_file, (self._path(run, number) for number in itertools.count(1))))

    def sent(self, run: Snapshot) -> Sent:
        """What the run's files have."""
        told = [_read(path) for path in self._paths(run)]
        statuses = [has.status for has in told if has.status is not None]
        return Sent(max((has.epochs for has in told), default=0), statuses[-1] if statuses else None)

    def send(self, run: Snapshot, first: int, study: str | None) -> None:
        """Append to the run's last file: epochs, its status, that it has ended, in this order."""
        paths = self._paths(run) or [self._path(run, 1)]
        path = self._path(run, len(paths) + 1) if paths[-1].with_suffix(UPLOADED).exists() else paths[-1]
        has = _read(path)
        records = [] if has.begun else [_version(), _run(run, study)]
        for epoch in range(first, run.epochs):
            row = {**run.row(epoch), "_step": epoch}
            records += [_summary(row), _history(row, epoch)]
        records.append(_summary({STATUS: str(run.status), FAILURE: run.failure}))
        if run.status in EXIT:  # last, as wandb uploads nothing that comes after it
            records.append(protocol.Record(exit=protocol.RunExitRecord(exit_code=EXIT[run.status])))
        path.parent.mkdir(parents=True, exist_ok=True)
        _append(path, has, records)


@dataclass(frozen=True)
class _Has:
    """What a file has.

    Attributes:
        begun: whether it says which run it is of.
        epochs, status: as in Sent.
        kept, records: bytes and records up to the first exit or what is damaged. What wandb uploads ends there,
            so what is new is to be written in its place.

    """

    begun: bool = False
    epochs: int = 0
    status: str | None = None
    kept: int = 0
    records: int = 0


def _read(path: Path) -> _Has:
    begun, epochs, status, kept, records, ended = False, 0, None, 0, 0, False
    for data, end in _whole_records(path.read_bytes() if path.is_file() else b""):
        record = protocol.Record.FromString(data)
        kind = record.WhichOneof("record_type")
        begun = begun or kind == "run"
        if kind == "history":
            epochs = record.history.step.num + 1
        elif kind == "summary":
            told = [
                json.loads(item.value_json) for item in record.summary.update if item.nested_key[:1] == [STATUS]
            ]
            status = told[0] if told else status
        ended = ended or kind == "exit"
        if not ended:
            kept, records = end, records + 1
    if status in EXIT and not ended:
        status = None  # of an end that is not all there, or that the run has gone on from
    return _Has(begun, epochs, status, kept, records) if begun else _Has()


def _whole_records(content: bytes) -> Iterator[tuple[bytes, int]]:
    """Records, each with where it ends in the file, up to the first that is damaged or cut off."""
    at = len(MAGIC)
    record: bytes | None = None
    if content[:at] != MAGIC:
        return
    while True:
        if (left := BLOCK - at % BLOCK) < HEADER.size:
            at += left  # zeros
        if at + HEADER.size > len(content):
            return
        check, length, kind = HEADER.unpack_from(content, at)
        at += HEADER.size
        piece = content[at : at + length]
        starts = kind in (WHOLE, FIRST)
        if len(piece) < length or check != _check(kind, piece) or starts == (record is not None):
            return
        at, record = at + length, (record or b"") + piece
        if kind in (WHOLE, LAST):
            yield record, at
            record = None


def _append(path: Path, has: _Has, records: list[Any]) -> None:
    """Write records behind those that are kept."""
    new = bytearray() if has.kept else bytearray(MAGIC)
    for number, record in enumerate(records, has.records + 1):
        record.num = number
        for piece in _pieces(record.SerializeToString(), has.kept + len(new)):
            new += piece
    with path.open("ab") as file:
        file.truncate(has.kept)
        file.write(new)


def _pieces(data: bytes, at: int) -> Iterator[bytes]:
    """A record as it is in a file from the position `at` on: filled up to the next block where no header fits."""
    begun = False
    while True:
        left = BLOCK - at % BLOCK
        if left < HEADER.size:
            yield bytes(left)
            at, left = at + left, BLOCK
        piece, data = data[: left - HEADER.size], data[left - HEADER.size :]
        kind = (MIDDLE if data else LAST) if begun else (FIRST if data else WHOLE)
        yield HEADER.pack(_check(kind, piece), len(piece), kind) + piece
        if not data:
            return
        at, begun = at + HEADER.size + len(piece), True


def _check(kind: int, piece: bytes) -> int:
    return zlib.crc32(piece, zlib.crc32(bytes([kind])))


def _version() -> Any:
    info = protocol.VersionInfo(producer=wandb.__version__, min_consumer=OLDEST)
    return protocol.Record(header=protocol.HeaderRecord(version_info=info))


def _run(run: Snapshot, study: str | None) -> Any:
    """What a run is: settings as its configuration, the study that it is sent with as a tag."""
    record = protocol.RunRecord(
        run_id=run.id,
        project=PROJECT,
        display_name=run.name,
        run_group=run.group,
        job_type="train",
        tags=[study[:TAG]] if study else [],
    )
    record.start_time.FromNanoseconds(time.time_ns())
    for key, value in {**run.settings, ID: run.id}.items():
        record.config.update.add(key=key, value_json=json.dumps(value))
    return protocol.Record(run=record)


def _summary(values: Mapping[str, float | str]) -> Any:
    """What W&B shows of a run in its table: the last values."""
    record = protocol.SummaryRecord()
    for key, value in values.items():
        record.update.add(nested_key=[key], value_json=json.dumps(value))
    return protocol.Record(summary=record)


def _history(values: Mapping[str, float], epoch: int) -> Any:
    """An epoch, which is a step of W&B's."""
    record = protocol.HistoryRecord(step=protocol.HistoryStep(num=epoch))
    for key, value in values.items():
        record.item.add(nested_key=[key], value_json=json.dumps(value))
    return protocol.Record(history=record)
