"""`memstudy runs`: whatever differs among runs tells them apart, on a line each, whatever the width."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from memstudy import presets
from memstudy.cli import layout
from memstudy.cli.layout import Column
from memstudy.store import Status, Store
from memstudy.store.metrics import MEASURED
from tests.kit.runs import write_run

DATE = "2026-11-28T12:00:00+00:00"
ONE_EPOCH = {"test_accuracy": 0.1234, "memorized": 0.5}


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    """Three runs that differ in optimizer, learning rate and the rate of dropout."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    for given in ({"lr": 0.1}, {"reg": "do", "optimizer": "adam"}, {"reg": "do", "options": {"do": {"p": 0.25}}}):
        recipe = presets.build(epochs=2, **given)
        sessions = [{"from_epoch": 0, "date": DATE}]
        write_run(tmp_path / "runs", recipe, [ONE_EPOCH] * 2, status=Status.FINISHED, sessions=sessions)
    return Store(tmp_path / "runs")


def rows(text: str) -> list[dict[str, str]]:
    """The rows of the list, by the headings above them; cells have two spaces between them."""
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("run "))
    end = lines.index("", start) if "" in lines[start:] else len(lines)
    names, *cells = [[part.strip() for part in line.split("  ") if part.strip()] for line in lines[start:end]]
    return [dict(zip(names, row, strict=True)) for row in cells]


def test_what_differs_is_in_columns_and_what_does_not_is_said_once(command, store):
    text = command("runs").stdout
    assert text.startswith(
        "3 runs, all of them: dataset mnist5k, noise symmetric, corrupt 0.75, network smallnet, epochs 2, "
        "batch-size 64, momentum 0.5\n"
    )
    found = {row.pop("run"): row for row in rows(text)}
    assert list(found) == store.names()
    usual = {"status": "finished", "epochs": "2/2", "test %": "12.3", "best %": "12.3", "memorized %": "50.0",
             "date": "2026-11-28 12:00"}  # fmt: skip
    settings = [{name: row[name] for name in row if name not in usual} for row in found.values()]
    assert settings == [
        {"reg": "do (p 0.5)", "lr": "0.03", "optimizer": "adam"},
        {"reg": "do (p 0.25)", "lr": "0.03", "optimizer": "sgd"},
        {"reg": "bare", "lr": "0.1", "optimizer": "sgd"},
    ]
    assert all(row.items() >= usual.items() for row in found.values())


def test_json_has_every_setting_and_which_differ(command, store):
    summary = json.loads(command("runs", "--json").stdout)
    assert summary["differs"] == ["reg", "do.p", "lr", "optimizer"]
    settings = [run["settings"] for run in summary["runs"]]
    assert [run["lr"] for run in settings] == [0.03, 0.03, 0.1]
    assert [run.get("do.p") for run in settings] == [0.5, 0.25, None]
    assert {run["batch_size"] for run in settings} == {64}
    assert {run["date"] for run in summary["runs"]} == {DATE}
    assert all(run["last"].keys() == set(MEASURED) for run in summary["runs"])
    assert [run["last"]["epoch"] for run in summary["runs"]] == [1, 1, 1]


@pytest.mark.parametrize("width", [30, 60, 80, 100, 200])
def test_no_line_is_longer_than_the_terminal(command, store, monkeypatch, width):
    """In the list: columns are left out, and named."""
    monkeypatch.setenv("COLUMNS", str(width))
    lines = command("runs").stdout.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("run "))
    assert all(len(line) <= width for line in lines[start : start + 4])
    names = store.names()
    shown = [line.split()[0] for line in lines[start + 1 : start + 4]]
    assert shown == (names if width == 200 else [name[-8:] for name in names])
    assert ("no room for" in lines[-1]) == (width < 200)


def test_what_differs_goes_before_what_was_measured(command, store, monkeypatch):
    monkeypatch.setenv("COLUMNS", "62")
    text = command("runs").stdout
    assert {*rows(text)[0]} == {"run", "reg", "lr", "optimizer", "status", "test %"}
    assert [row["reg"] for row in rows(text)] == ["do (p 0.5)", "do (p 0.25)", "bare"]
    assert text.splitlines()[-1] == "no room for epochs, best %, memorized %, date: --json has all."
    monkeypatch.setenv("COLUMNS", "54")
    text = command("runs").stdout
    assert [row["reg"] for row in rows(text)] == ["do", "do", "bare"]
    assert text.splitlines()[-1].startswith("no room for do.p, ")


def test_a_failed_run_says_why(command, store):
    recipe = presets.build(epochs=2, lr=9.0)
    run = write_run(store.root, recipe, status=Status.FAILED, failure="the loss is nan in epoch 0, step 3")
    lines = command("runs").stdout.splitlines()
    assert lines[-1] == f"{run.name} failed: the loss is nan in epoch 0, step 3"
    assert any(line.startswith(run.name) and " failed " in line and " 0/2" in line for line in lines)
    summary = json.loads(command("runs", "--json").stdout)
    assert [run["failure"] for run in summary["runs"] if run["status"] == "failed"] == [
        "the loss is nan in epoch 0, step 3"
    ]


def test_one_run_has_nothing_to_be_told_from(command, tmp_path):
    write_run(tmp_path / "runs", presets.build(epochs=2), [{}], status=Status.INTERRUPTED)
    lines = command("runs").stdout.splitlines()
    assert lines[0].startswith("1 run: dataset mnist5k, ")
    assert all(words in lines[0] for words in ("reg bare", "lr 0.03"))
    assert lines[2].split()[:3] == ["run", "status", "epochs"]
    assert "interrupted" in lines[3]
    assert "1/2" in lines[3]


def test_a_copy_without_dates_has_no_column_of_them(command, tmp_path):
    write_run(tmp_path / "runs", presets.build(epochs=2), [{}])
    assert "date" not in command("runs").stdout


def test_a_log_tells_when_a_run_was_last_at_work(command, tmp_path):
    """As of runs of earlier versions, whose state has no date."""
    run = write_run(tmp_path / "runs", presets.build(epochs=2), [{}])
    damaged = ("2026-13-29", "2026-11-29T12:60", "0000-01-01", "0001-01-01", "9999-12-31T23")
    lines = [day + "2026-11-29T12:00:00+00:00"[len(day) :] for day in damaged]
    (run.path / "log.txt").write_text(
        "\n".join([f"{DATE}  started", "2026-11-29T12:00:00+00:00  finished", "no date", *lines])
    )
    assert "2026-11-29" in command("runs").stdout
    (summary,) = json.loads(command("runs", "--json").stdout)["runs"]
    assert (summary["begun"], summary["date"]) == (DATE, "2026-11-29T12:00:00+00:00")


def test_a_store_is_listed_without_torch_and_pandas(store):
    """They take longer than a thousand runs."""
    code = f"""
import sys
from memstudy.cli import main
try: main(["runs", "--runs-dir", {str(store.root)!r}])
finally: assert not {{"torch", "pandas", "matplotlib"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(rows(done.stdout)) == 3


# Columns


def test_columns_are_aligned_by_the_width_of_their_signs():
    columns = [Column("a", ["é", "漢字"]), Column("number", ["1", "22"], number=True)]
    assert layout.lines(columns) == ["a     number", "é          1", "漢字      22"]


def test_the_least_wanted_columns_go_first_and_one_stays():
    a, b, c = Column("aaaa", ["1"], wanted=2), Column("bbbb", ["1"], wanted=1), Column("cccc", ["1"], wanted=1)
    assert layout.fitted([a, b, c], 16) == ([a, b, c], [])
    assert layout.fitted([a, b, c], 15) == ([a, b], [c])
    assert layout.fitted([a, b, c], 9) == ([a], [b, c])
    assert layout.fitted([a, b, c], 1) == ([a], [b, c])
    assert layout.fitted([a, b, c], None) == ([a, b, c], [])
