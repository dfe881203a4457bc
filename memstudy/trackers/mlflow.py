"""MLflow 3: one experiment, a parent run a study, below it a run of MLflow's for each of ours.

What a run of MLflow's has is asked of MLflow: the metric `epoch` is in the same batch as the others of its epoch.
Metrics are kept as float64. MLflow's telemetry is switched off, and nothing leaves the machine unless an address
was given.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from memstudy import files
from memstudy.store import Status
from memstudy.trackers import Sent, Snapshot, Tracker

EXPERIMENT = "memstudy"
ID, STUDY, GROUP, STATUS, FAILURE = (f"memstudy.{word}" for word in ("id", "study", "group", "status", "failure"))
PARENT = "mlflow.parentRunId"
CALLED = {Status.RUNNING: "RUNNING", Status.FINISHED: "FINISHED", Status.FAILED: "FAILED"}
INTERRUPTED = "KILLED"
LONGEST = 6000
"""Characters of a parameter."""
MOST = 1000
"""Metrics of a batch."""


class MLflow(Tracker):
    """A folder with MLflow's SQLite database, or the address of a server or a database."""

    def __init__(self, into: str) -> None:
        super().__init__(into)
        address, artifacts = into, None
        if "://" not in into:
            folder = Path(into).resolve()
            folder.mkdir(parents=True, exist_ok=True)
            _make_database(folder / "mlflow.db")
            address, artifacts = f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()
        self._client = MlflowClient(tracking_uri=address)
        found = self._client.get_experiment_by_name(EXPERIMENT)
        self._experiment = (
            found.experiment_id
            if found
            else self._client.create_experiment(EXPERIMENT, artifact_location=artifacts)
        )

    def _find(self, tag: str, value: str) -> Any:
        """The run of MLflow's that has a tag; None if none has."""
        text = value.replace("'", "''")
        found = self._client.search_runs([self._experiment], f"tags.`{tag}` = '{text}'", max_results=1)
        return found[0] if found else None

    def sent(self, run: Snapshot) -> Sent:
        """What its run of MLflow's has."""
        found = self._find(ID, run.id)
        if found is None:
            return Sent()
        return Sent(int(found.data.metrics.get("epoch", -1)) + 1, found.data.tags.get(STATUS))

    def send(self, run: Snapshot, first: int, study: str | None) -> None:
        """Log epochs in batches that have them whole, then the status."""
        found = self._find(ID, run.id) or self._begin(run, study)
        if not found.data.params:  # it has just begun, or who began it was killed then
            params = [Param(name, str(value)[:LONGEST]) for name, value in run.settings.items()]
            self._client.log_batch(found.info.run_id, params=params)
        now, a_row = int(time.time() * 1000), len(run.columns) + 1
        step = max(1, MOST // a_row)
        for begin in range(first, run.epochs, step):
            rows = range(begin, min(begin + step, run.epochs))
            metrics = [
                Metric(name, value, now, epoch)
                for epoch in rows
                for name, value in {**run.row(epoch), "epoch": float(epoch)}.items()
            ]
            self._client.log_batch(found.info.run_id, metrics=metrics)
        if run.failure:
            self._client.set_tag(found.info.run_id, FAILURE, run.failure)
        self._client.update_run(found.info.run_id, status=CALLED.get(run.status, INTERRUPTED))
        self._client.set_tag(found.info.run_id, STATUS, str(run.status))

    def _begin(self, run: Snapshot, study: str | None) -> Any:
        tags = {ID: run.id, GROUP: run.group}
        if study is not None:
            parent = self._find(STUDY, study) or self._client.create_run(
                self._experiment, run_name=study, tags={STUDY: study}
            )
            self._client.update_run(parent.info.run_id, status="FINISHED")  # it has no end of its own
            tags[PARENT] = parent.info.run_id
        return self._client.create_run(self._experiment, run_name=run.name, tags=tags)


def _make_database(path: Path) -> None:
    """Make the database if there is none, beside its place: MLflow takes up no tables that are half made."""
    files.sweep(path.parent)
    if path.exists():
        return
    aside = files.beside(path)
    MlflowClient(tracking_uri=f"sqlite:///{aside}").search_experiments(max_results=1)
    files.sync(aside)
    with contextlib.suppress(FileExistsError):  # another process was faster
        path.hardlink_to(aside)
    files.tidy([aside])
