"""A page over HTTP, for the browsers of this machine alone.

It listens on the loopback address. A page of another site can still send requests there, and by DNS rebinding, in
which that site's name suddenly means 127.0.0.1, read the answers: so a request that names another host is refused.
"""

from __future__ import annotations

import errno
import socketserver
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from memstudy.errors import MemstudyError

LOOPBACK = "127.0.0.1"
HOSTS = (LOOPBACK, "localhost")
"""What a browser of this machine calls it, whatever the port: one may be forwarded here by ssh."""
SECONDS = 30.0
"""After which a client that says nothing is left."""
HTML, PLAIN, JSON = "text/html; charset=utf-8", "text/plain; charset=utf-8", "application/json"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Answer:
    """What a path has: bytes, their kind, and what tells one version from another."""

    content: bytes
    kind: str = HTML
    version: str = ""


class Server(socketserver.ThreadingTCPServer):
    """Answers GET requests for some paths; a context.

    port: 0 for a free one. A MemstudyError if it cannot be had.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, paths: dict[str, Callable[[], Answer]], port: int = 0) -> None:
        self.paths = paths
        try:
            super().__init__((LOOPBACK, port), _Request)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "is in use" if taken else f"cannot be listened on ({error.strerror})"
            raise MemstudyError(
                f"port {port} {why}; give another one with --port, or none for one that is free."
            ) from error

    @property
    def address(self) -> str:
        """What a browser is given."""
        return f"http://{LOOPBACK}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error; of any other the traceback is printed."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Request(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = SECONDS
    server_version, sys_version = "memstudy", ""

    def do_GET(self) -> None:
        """Answer with what the path has."""
        if not self._is_for_us():
            self._say(HTTPStatus.MISDIRECTED_REQUEST, Answer(b"This page is for 127.0.0.1 alone.\n", PLAIN))
        elif self.path not in self.server.paths:
            self._say(HTTPStatus.NOT_FOUND, Answer(b"There is nothing here.\n", PLAIN))
        else:
            self._say(HTTPStatus.OK, self.server.paths[self.path]())

    def refuse(self) -> None:
        """Answer another method than GET."""
        self._say(HTTPStatus.METHOD_NOT_ALLOWED, Answer(b"Only GET is answered.\n", PLAIN))

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = refuse

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a browser asks every few seconds."""

    def _is_for_us(self) -> bool:
        """Whether the request names this machine as a browser of this machine would, with a port or without."""
        name, colon, port = self.headers.get("Host", "").lower().partition(":")
        return name in HOSTS and (port.isdecimal() if colon else True)

    def _say(self, status: HTTPStatus, answer: Answer) -> None:
        self.send_response(status)
        given = {"Content-Type": answer.kind, "Content-Length": str(len(answer.content)), **HEADERS}
        if answer.version:
            given["ETag"] = f'"{answer.version}"'
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            given["Allow"] = "GET"
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.content)
