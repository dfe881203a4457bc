"""`memstudy report --live`: this machine's browsers alone are answered, and the page changes as runs do."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memstudy.derived.workbench import Workbench
from memstudy.errors import MemstudyError
from memstudy.report.page.document import html, served
from memstudy.report.page.parts import Page, Prose, Section
from memstudy.report.page.serving import Answer, Server
from memstudy.store import RunDirectory, Status, Store, metrics
from memstudy.store.layout import METRICS
from memstudy.study import live_report
from memstudy.study.live_report import LiveReport
from memstudy.training import resolve_device
from tests.kit.runs import first_epochs
from tests.results import RESULTS, STORE

EPOCHS = 25
PATIENCE = 60.0


def page(text: str) -> Page:
    return Page("Title", "lead", [Section("one", "One", [Prose((text,))])])


@contextlib.contextmanager
def serving(paths: dict[str, Callable[[], Answer]]) -> Iterator[int]:
    """A server on a free port, which is given."""
    with Server(paths) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server that has one path."""
    with serving({"/": lambda: Answer(b"the page", version="1")}) as port:
        yield port


def ask(port: int, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """A real request, and what is answered: status, content, headers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read(), dict(answer.getheaders())
    connection.close()
    return found


def state(port: int) -> dict[str, str]:
    return json.loads(ask(port, "/state")[1])


# Who is answered


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "127.0.0.1:80", "localhost:9999"])
def test_this_machine_is_answered_by_any_of_its_names_through_any_port(port, host):
    status, content, headers = ask(port, Host=host)
    assert (status, content) == (200, b"the page")
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["ETag"] == '"1"'


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1:80:80", "localhost.", "x@localhost", "", ":80"]
)
def test_a_request_that_names_another_host_is_refused(port, host):
    """As one that DNS rebinding has sent here."""
    status, content, _ = ask(port, Host=host)
    assert (status, content) == (421, b"This page is for 127.0.0.1 alone.\n")


def test_a_request_without_a_host_is_refused(port):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.0 421 ")


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_no_other_method_is_answered(port, method):
    status, content, headers = ask(port, method=method)
    assert (status, headers["Allow"]) == (405, "GET")
    assert b"the page" not in content


def test_a_method_that_there_is_not_is_none(port):
    assert ask(port, method="BREW")[0] == 501


@pytest.mark.parametrize("path", ["/index.html", "/../../etc/passwd", "/x//", "/?x=1", "/%2e%2e/", "/state/"])
def test_no_other_path_is_there(port, path):
    assert ask(port, path)[:2] == (404, b"There is nothing here.\n")


def test_it_listens_on_the_loopback_address_alone():
    with Server({}) as server:
        assert server.socket.getsockname()[0] == "127.0.0.1"
        others = {str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
        for address in others - {"127.0.0.1"}:
            with pytest.raises(OSError, match=r"refused|unreachable|timed out"):
                socket.create_connection((address, server.server_address[1]), timeout=0.5)


def test_a_port_in_use_is_one_sentence(command, tmp_path):
    with Server({}) as server:
        taken = server.server_address[1]
        with pytest.raises(
            MemstudyError, match=rf"^port {taken} is in use; give another one with --port, or none "
        ):
            Server({}, taken)


def test_a_client_that_goes_away_is_no_error(port, capfd):
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall(b"GET /")
    assert ask(port)[0] == 200
    assert capfd.readouterr() == ("", "")


# What is answered


def test_only_a_served_page_may_ask_and_only_its_server():
    assert "connect-src" not in html(page("x"))
    assert 'fetch("state")' not in html(page("x"))
    policy = served(page("x")).partition('Content-Security-Policy" content="')[2].partition('"')[0]
    assert policy.replace("&#39;", "'").endswith("connect-src 'self'")
    assert 'fetch("state")' in served(page("x"))


class Made:
    """Pages that are made, one after the other; of text that is an error, that error."""

    def __init__(self, *texts: str | MemstudyError) -> None:
        self.texts, self.stamp = list(texts), "0"

    def __call__(self) -> Page:
        text = self.texts.pop(0)
        if isinstance(text, MemstudyError):
            raise text
        return page(text)

    def change(self) -> None:
        """Let the files be others."""
        self.stamp += "0"

    def report(self) -> LiveReport:
        return LiveReport(self, lambda: "2 runs", lambda: self.stamp)


def settled(report: LiveReport) -> dict[str, str]:
    """What is said once nothing is being made any more."""
    report.state()
    if thread := report._making:
        thread.join()
    return json.loads(report.state().content)


def test_a_page_is_made_anew_only_when_files_have_changed(monkeypatch):
    monkeypatch.setattr(live_report, "SHARE", 1.0)
    made = Made("first", "second")
    report = made.report()
    before = settled(report)
    assert before == settled(report)
    assert made.texts == ["second"]
    made.change()
    after = settled(report)
    assert after["version"] != before["version"]
    assert b"second" in report.paths()["/content"]().content
    assert b"second" in report.paths()["/"]().content
    assert report.paths()["/content"]().version == after["version"]


def test_making_pages_takes_a_share_of_a_core_at_most(monkeypatch):
    made = Made("first", "second")
    report = made.report()
    made.change()
    report._due = time.monotonic() + 60
    settled(report)
    assert made.texts == ["second"]


def test_a_page_that_can_not_be_made_anew_stays_and_the_reader_is_told(monkeypatch):
    monkeypatch.setattr(live_report, "SHARE", 1.0)
    made = Made("first", MemstudyError("metrics.csv is damaged."), "third")
    report = made.report()
    made.change()
    told = settled(report)
    assert told["status"] == "2 runs. What follows is from before: metrics.csv is damaged."
    assert b"first" in report.paths()["/"]().content
    made.change()
    assert settled(report)["status"] == "2 runs."
    assert b"third" in report.paths()["/"]().content


def test_a_page_whose_runs_went_on_meanwhile_says_so(monkeypatch):
    monkeypatch.setattr(live_report, "SHARE", 1.0)
    made = Made("first", "second", "third")
    report = made.report()
    made.change()
    making = report._make

    def and_on() -> Page:
        made.change()
        return making()

    report._make = and_on
    report._remake(made.stamp)
    report._due = time.monotonic() + 60
    assert settled(report)["status"] == f"2 runs. {live_report.APART}"
    report._make = making
    report._remake(made.stamp)
    assert settled(report)["status"] == "2 runs."


def test_before_there_is_anything_the_page_says_so():
    made = Made(MemstudyError("no run has a finished epoch."), MemstudyError("it is damaged."), "first")
    report = made.report()
    assert b"no run has a finished epoch." in report.paths()["/"]().content
    for told in (b"it is damaged.", b"first"):
        report._remake(made.stamp)
        assert told in report.paths()["/content"]().content
        assert json.loads(report.state().content)["status"] == "2 runs."


# A study that trains


@pytest.fixture
def store(tmp_path) -> Store:
    """Four runs of the quick study, as they were after 20 epochs."""
    store = Store(tmp_path / "runs")
    for run in Store(RESULTS / STORE).members("quick"):
        if "-bare-s0-" in run.name or "-al2-s0-" in run.name:
            shutil.copytree(run.path, store.root / run.name)
    runs = [RunDirectory(store.root / name) for name in store.names()]
    for run in runs:
        run.update(status=Status.RUNNING)
        first_epochs(run, 20)
    store.record_study("small", runs, {"tables": ["least_memorized"], "analyses": []})
    return store


def test_an_epoch_that_is_appended_changes_the_page(store, monkeypatch):
    monkeypatch.setattr(live_report, "SHARE", 1.0)
    report = live_report.of_store(store, (), "small", None, Workbench(resolve_device("cpu")))
    with serving(report.paths()) as port:
        before = state(port)
        assert before["status"].startswith("study small: 2 runs: 2 interrupted; 40 of 50 epochs")
        assert b"20 of 25 epochs" in ask(port, "/content")[1]
        for run in store.members("small"):
            whole = (RESULTS / STORE / run.name / METRICS).read_bytes()
            (run.path / METRICS).write_bytes(metrics.first(whole, 21))
        assert state(port)["status"].startswith("study small: 2 runs: 2 interrupted; 42 of 50 epochs")
        deadline = time.monotonic() + PATIENCE
        while state(port)["version"] == before["version"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        content = ask(port, "/content")[1]
        assert b"21 of 25 epochs" in content
        assert b"20 of 25 epochs" not in content
        assert b"Not finished, and taken after their last epoch so far: " in content
        assert not list((store.root / "studies").rglob("*.html"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it(command, store, monkeypatch, number):
    monkeypatch.setattr(live_report, "page_of", lambda selection, bench: (page("x"), []))
    with Server({}) as server:
        free = server.server_address[1]
    seen: list[bytes] = []

    def end() -> None:
        deadline = time.monotonic() + PATIENCE
        while not seen and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                seen.append(ask(free)[1])
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    killer = threading.Thread(target=end)
    killer.start()
    result = command("report", "--live", "--port", str(free), "--runs-dir", str(store.root), "--json")
    killer.join()
    assert b"<p>x</p>" in seen[0]
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"address": f"http://127.0.0.1:{free}/"}
    with pytest.raises(OSError, match="refused"):
        ask(free)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--live", "-o", "x.html"], "-o is for a file, and --live writes none; give one of them."),
        (["--port", "8000"], "--port and --open are for a page that is served; add --live."),
        (["--open"], "--port and --open are for a page that is served; add --live."),
        (["--live", "--study", "smal"], "unknown study 'smal': did you mean small or all?"),
    ],
)
def test_what_makes_no_sense_is_refused(command, store, words, sentence):
    result = command("report", *words, "--runs-dir", str(store.root))
    assert result.exit_code == 2
    assert sentence in result.output


def test_no_browser_is_opened_unless_it_is_asked_for(command, store, monkeypatch):
    monkeypatch.setattr(live_report, "page_of", lambda selection, bench: (page("x"), []))
    opened: list[str] = []

    def end(server: Server, poll_interval: float = 0.5) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", end)
    monkeypatch.setattr("webbrowser.open", opened.append)
    for words, count in (((), 0), (("--open",), 1)):
        result = command("report", "--live", *words, "--runs-dir", str(store.root))
        assert (result.exit_code, len(opened)) == (0, count), result.output
        assert Path(store.root, "studies", "small").is_dir()
    assert opened[0] in result.stdout
