"""A server for `wandb sync`, on this machine: as much of W&B's protocol as a run with metrics needs."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RUN = "upsertBucket"


@dataclass
class Server:
    """What was sent to it.

    Attributes:
        address: to be the environment variable WANDB_BASE_URL.
        runs: what was said of each run, by its id.
        files: lines of each run's files, by run and name: a request says from which line on it writes, over what
            was there.
        exits: the exit code of each run that ended.

    """

    address: str = ""
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)

    def history(self, run: str) -> list[dict[str, float]]:
        """The rows of a run, in order."""
        return [json.loads(line) for line in self.files[run]["wandb-history.jsonl"]]

    def summary(self, run: str) -> dict[str, Any]:
        """The values that a table of runs would show."""
        return dict(json.loads(self.files[run]["wandb-summary.json"][0]))

    def take(self, path: str, said: dict[str, Any]) -> dict[str, Any]:
        """Answer a request."""
        if path.endswith("/file_stream"):
            self._take_lines(path.split("/")[-2], said)
        elif RUN in said.get("query", ""):
            return {"data": {RUN: self._take_run(said["variables"])}}
        return {"data": {}}

    def _take_run(self, given: dict[str, Any]) -> dict[str, Any]:
        known = given["name"] in self.runs
        told = {name: value for name, value in given.items() if value is not None}
        self.runs.setdefault(given["name"], {}).update(told)
        project = {"id": "project", "name": given["project"], "entity": {"id": "entity", "name": "someone"}}
        bucket = {"id": "bucket", "name": given["name"], "displayName": given["displayName"], "project": project}
        lines = len(self.files.get(given["name"], {}).get("wandb-history.jsonl", []))
        return {"bucket": {**bucket, "config": "{}", "historyLineCount": lines}, "inserted": not known}

    def _take_lines(self, run: str, said: dict[str, Any]) -> None:
        for name, chunk in (said.get("files") or {}).items():
            lines = self.files.setdefault(run, {}).setdefault(name, [])
            at = chunk["offset"]
            lines[at : at + len(chunk["content"])] = chunk["content"]
        if said.get("complete"):
            self.exits[run] = said["exitcode"]


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A block in which it answers."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *given: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            said = json.loads(body) if body.startswith(b"{") else {}  # others are telemetry
            answer = json.dumps(server.take(self.path, said)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.address = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
