"""Whether two stores hold the same, byte for byte, but for what one list names: times and sessions."""

from __future__ import annotations

import json
import re
import sqlite3
import struct
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import Any

IGNORED = {
    "*/log.txt": "when each session began, went on and ended",
    "*/.lease": "who writes now",
    "*/.lock": "who writes now, as earlier versions had it",
}
"""Files that may differ or be absent, and what they hold."""


def _without(*keys: str) -> Callable[[bytes], bytes]:
    """The JSON object of a file without some keys, in its order; all of a file that is none."""

    def cut(content: bytes) -> bytes:
        value = _object(content)
        if value is None:
            return content
        return json.dumps({key: value for key, value in value.items() if key not in keys}).encode()

    return cut


def _object(content: bytes) -> dict[str, Any] | None:
    """The JSON object that a file holds; None if it holds none."""
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _page_without_sessions(content: bytes) -> bytes:
    """The page without the lines `From epoch 2, 2026-11-28: cpu (…) …` that tell its runs' sessions, twice."""
    lines = rb'"From epoch (?:[^"\\]|\\.)*"(?:, ?)?|\s*<dt>Carried out</dt><dd>From epoch [^<]*</dd>'
    return re.sub(lines, b"", content)


def _without_sums_of_times(content: bytes) -> bytes:
    """A pack's check sums without those of files that may differ, be it in part; all of a file that has none."""
    record = _object(content)
    if record is None or not isinstance(record.get("files"), dict):
        return content
    patterns = [*IGNORED, *PARTLY]
    sums = {name: digest for name, digest in record["files"].items() if not _is_one_of(name, patterns)}
    return json.dumps(record | {"files": sums}).encode()


def _events_without_times(content: bytes) -> bytes:
    """The records of a TensorBoard file, told in text, without when each was written."""
    event_pb2 = import_module("tensorboard.compat.proto.event_pb2")
    hparams = import_module("tensorboard.plugins.hparams.plugin_data_pb2")
    told, at = [], 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)  # then a check sum, the record, and its check sum
        event = event_pb2.Event.FromString(content[at + 12 : at + 12 + length])
        event.wall_time = 0.0
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == "hparams":
                page = hparams.HParamsPluginData.FromString(value.metadata.plugin_data.content)
                page.session_start_info.start_time_secs = page.session_end_info.end_time_secs = 0.0
                value.metadata.plugin_data.content = page.SerializeToString(deterministic=True)
        told.append(str(event))
        at += length + 16
    return "".join(told).encode()


def _of_mlflow(content: bytes) -> bytes:
    """What MLflow's database says of each run by its name: metrics of each step, settings, tags, status."""
    database = sqlite3.connect(":memory:")
    database.deserialize(content)
    told: list[object] = []
    for table, columns in {"metrics": "key, step, value", "params": "key, value", "tags": "key, value"}.items():
        query = f"select name, {columns} from {table} join runs using (run_uuid) order by 1, 2, 3"
        told += [row for row in database.execute(query) if row[1] != "mlflow.parentRunId"]
    told += database.execute("select name, status, lifecycle_stage from runs order by name").fetchall()
    return "\n".join(map(repr, told)).encode()


PARTLY = {
    "*/state.json": (
        _without("sessions", "seal"),
        "sessions: when, from which epoch, by what machine and versions; and the seal of this file's own content",
    ),
    "studies/*/study.json": (
        _without("updated", "seal"),
        "updated: when its command was last given; and the seal",
    ),
    "*/pack.json": (_without_sums_of_times, "the check sums of files that differ in part"),
    "*/events.out.tfevents.*": (_events_without_times, "when each record was written"),
    "*/mlflow.db": (_of_mlflow, "times, and the numbers that MLflow draws for runs"),
    "*/report.html": (_page_without_sessions, "the sessions of each run"),
}
"""Files of which a part may differ, and which."""


def _is_one_of(name: str, patterns: Iterable[str]) -> bool:
    """Whether a file's path ends as one of these patterns."""
    return any(fnmatch(f"/{name}", f"*{pattern}") for pattern in patterns)


def content_of(root: Path, exclude: tuple[str, ...] = ()) -> dict[str, bytes]:
    """What must be the same in a store: the content of each file by its path in it."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not path.is_file() or _is_one_of(name, (*IGNORED, *exclude)):
            continue
        content = path.read_bytes()
        for pattern, (cut, _) in PARTLY.items():
            if fnmatch(f"/{name}", f"*{pattern}"):
                content = cut(content)
        found[name] = content
    return found


def differences(root: Path, reference: Path, exclude: tuple[str, ...] = ()) -> list[str]:
    """What differs between two stores, a sentence for each file; none if they hold the same."""
    return differing(content_of(root, exclude), content_of(reference, exclude))


def differing(here: Mapping[str, bytes], there: Mapping[str, bytes]) -> list[str]:
    """As `differences`, of what `content_of` gave."""
    return [
        *(f"{name} is not there" for name in there if name not in here),
        *(f"{name} should not be there" for name in here if name not in there),
        *(
            f"{name} differs from byte {_first(here[name], there[name]):,} on ({len(here[name]):,} bytes, "
            f"not {len(there[name]):,})"
            for name in there
            if name in here and here[name] != there[name]
        ),
    ]


def _first(one: bytes, other: bytes) -> int:
    """The first place at which they differ."""
    return next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
