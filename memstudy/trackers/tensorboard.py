"""TensorBoard: one event file a run, with a record an epoch, and settings as its page of hyperparameters has them.

The file is written with tensorboard's own records. One epoch is one record, which has a check sum, so an epoch is
there wholly or not at all; what a killed process left of a record is cut off. TensorBoard keeps float32.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from memstudy.store import Status
from memstudy.trackers import Sent, Snapshot, Tracker

FILE = "events.out.tfevents.0000000000.memstudy"
STATUS = "memstudy/status"
AROUND = 16
"""Bytes of a record's length and check sums."""
ENDED = {
    Status.FINISHED: api_pb2.STATUS_SUCCESS,
    Status.FAILED: api_pb2.STATUS_FAILURE,
}


class TensorBoard(Tracker):
    """A folder for `tensorboard --logdir`: a folder a run in it."""

    def _path(self, run: Snapshot) -> Path:
        return Path(self.into) / run.name / FILE

    def sent(self, run: Snapshot) -> Sent:
        """What the run's event file has."""
        epochs, status = 0, None
        for data in _records(self._path(run)):
            event = Event.FromString(data)
            for value in event.summary.value:
                if value.tag == STATUS:
                    status = value.metadata.summary_description
                    epochs = event.step + (status == Status.RUNNING)
        return Sent(epochs, status)

    def send(self, run: Snapshot, first: int, study: str | None) -> None:
        """Append to the run's event file, whole records only."""
        path = self._path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = sum(len(data) + AROUND for data in _records(path))
        with path.open("ab") as file:
            file.truncate(whole)
            writer = RecordWriter(file)
            if not whole:
                writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
                writer.write(_event(0, [_settings(run, study)]))
            for epoch in range(first, run.epochs):
                values = [Summary.Value(tag=name, simple_value=value) for name, value in run.row(epoch).items()]
                writer.write(_event(epoch, [*values, _status(Status.RUNNING)]))
            if run.status != Status.RUNNING:
                ended = [_ended(run)] if run.status in ENDED else []
                writer.write(_event(run.epochs, [*ended, _status(run.status)]))


def _records(path: Path) -> Iterator[bytes]:
    """The whole records of an event file: length, check sum, content, check sum; none if there is no file."""
    content, at = path.read_bytes() if path.is_file() else b"", 0
    while at + AROUND <= len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        if at + length + AROUND > len(content):
            return
        yield content[at + 12 : at + 12 + length]
        at += length + AROUND


def _event(step: int, values: list[Any]) -> bytes:
    content: bytes = Event(wall_time=time.time(), step=step, summary=Summary(value=values)).SerializeToString()
    return content


def _status(status: Status) -> Any:
    """What TensorBoard does not show: the status that was told last. It is in the record of each epoch."""
    described = SummaryMetadata(
        plugin_data=SummaryMetadata.PluginData(plugin_name="memstudy"), summary_description=str(status)
    )
    return Summary.Value(tag=STATUS, metadata=described)


def _settings(run: Snapshot, study: str | None) -> Any:
    """The settings, as the page of hyperparameters reads them."""
    start = plugin_data_pb2.SessionStartInfo(group_name=run.name, start_time_secs=time.time())
    for name, setting in {**run.settings, "group": run.group, "study": study or ""}.items():
        value = start.hparams[name]
        if isinstance(setting, bool):
            value.bool_value = setting
        elif isinstance(setting, str):
            value.string_value = setting
        else:
            value.number_value = setting
    data = plugin_data_pb2.HParamsPluginData(session_start_info=start)
    return Summary.Value(tag=metadata.SESSION_START_INFO_TAG, metadata=metadata.create_summary_metadata(data))


def _ended(run: Snapshot) -> Any:
    """How the run ended, for the page of hyperparameters."""
    end = plugin_data_pb2.SessionEndInfo(status=ENDED[run.status], end_time_secs=time.time())
    data = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    return Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=metadata.create_summary_metadata(data))
