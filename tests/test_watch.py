"""`memstudy watch`: curves in a line, rows that fit, only what changed is read, and keys end it."""

from __future__ import annotations

import io
import json
import os
import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from memstudy import presets
from memstudy.cli.board import Board, order
from memstudy.cli.sparkline import ASCII, BLOCKS, sparkline
from memstudy.store import RunDirectory, Status, Store, stamps
from memstudy.store.layout import METRICS
from memstudy.store.metrics import EVALUATION, MEASURED
from memstudy.study import status
from memstudy.study.status import DAMAGED, Observer
from tests.kit.runs import write_run
from tests.kit.terminals import terminal

RISING = [
    {"test_accuracy": epoch / 10, "memorized": epoch / 50, "train_cross_entropy": 2 - epoch / 8}
    for epoch in range(8)
]
RECIPES = {
    name: presets.build(epochs=8, train_size=400, seed=seed)
    for seed, name in enumerate(("finished", "older", "running", "failed", "interrupted", "broken"))
}


def at(run: RunDirectory, seconds: int) -> RunDirectory:
    """The run, as if its state had been written then."""
    os.utime(run.path / "state.json", (seconds, seconds))
    return run


@pytest.fixture
def store(tmp_path) -> Store:
    """Runs of every status but `new`; `running` is running while somebody holds its lock."""
    root, session = tmp_path / "runs", {"from_epoch": 0, "date": "2026-11-28T12:00:00+00:00", "device": "cpu"}
    at(write_run(root, RECIPES["older"], RISING, status=Status.FINISHED, sessions=[session]), 100)
    at(write_run(root, RECIPES["finished"], RISING, status=Status.FINISHED, sessions=[session]), 200)
    write_run(root, RECIPES["running"], RISING[:5], sessions=[session])
    at(
        write_run(root, RECIPES["failed"], RISING[:2], status=Status.FAILED, failure="its loss became infinite"),
        50,
    )
    write_run(root, RECIPES["interrupted"], RISING[:3])
    (write_run(root, RECIPES["broken"], RISING[:2]).path / "state.json").write_text("{")
    return Store(root)


def name(store: Store, called: str) -> str:
    return store.open(RECIPES[called]).name


def board(store: Store, observer: Observer | None = None) -> Board:
    """All runs of a store at one look."""
    observer, runs = observer or Observer(), [RunDirectory(store.root / name) for name in store.names()]
    return Board("here", runs, observer.progress(runs), observer)


def console(width: int, height: int = 40) -> Console:
    """A terminal whose text is kept."""
    return Console(
        file=io.StringIO(), record=True, force_terminal=True, width=width, height=height, highlight=False
    )


def screen(store: Store, width: int, height: int = 40) -> list[str]:
    """What is shown on a terminal of so many columns and lines."""
    shown, found = console(width, height), board(store)
    shown.print(found.screen(order(found.progress), shown))
    return shown.export_text().rstrip("\n").splitlines()


# Curves

numbers = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60)


@given(numbers, st.integers(1, 40), st.sampled_from([BLOCKS, ASCII]))
def test_rising_values_make_rising_blocks(values, width, blocks):
    heights = [blocks.index(one) for one in sparkline(sorted(values), width, blocks)]
    assert heights == sorted(heights)
    assert len(heights) == min(width, len(values))


def test_the_least_is_lowest_and_the_greatest_highest():
    assert sparkline(range(8), 8) == BLOCKS
    assert sparkline([4, 1, 2], 9) == "█▁▃"
    assert sparkline(range(16), 4) == "▁▃▆█"  # each the mean of four
    assert sparkline(range(8), 8, ASCII) == ASCII


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 99))
def test_equal_values_are_flat(value, count):
    assert sparkline([value] * count, 30) == "▅" * min(count, 30)


def test_what_is_not_finite_is_a_gap():
    assert sparkline([0, np.nan, 1, np.inf], 9) == "▁ █ "
    assert sparkline([np.nan, 0, np.nan, np.nan, np.nan, 1], 3) == "▁ █"  # a stretch is the mean of what it has
    assert sparkline([np.nan, np.nan], 9) == "  "
    assert sparkline([], 9) == ""


# What is read


def test_only_what_changed_is_read_again(store, monkeypatch):
    read: list[str] = []
    reading = status._read

    def counted(run: RunDirectory, now: str) -> status._Found:
        read.append(run.name)
        return reading(run, now)

    monkeypatch.setattr(status, "_read", counted)
    monkeypatch.setattr(stamps, "settled", lambda mark: True)
    observer = Observer()
    first = board(store, observer).progress
    assert len(read) == len(RECIPES)
    assert board(store, observer).progress == first
    assert len(read) == len(RECIPES)
    store.open(RECIPES["interrupted"]).append_metrics(3, dict.fromkeys(MEASURED[1:], 0.5))
    again = {run.run: run for run in board(store, observer).progress}
    assert read[len(RECIPES) :] == [name(store, "interrupted")]
    assert again[name(store, "interrupted")].epochs_done == 4


def test_what_has_just_been_written_is_not_taken_to_be_settled(store):
    """Another row may come within the same tick of the file system's clock."""
    observer, run = Observer(), store.open(RECIPES["interrupted"])
    os.utime(run.path / METRICS, ns=(0, 2**62))  # not long ago, for many years
    assert observer.columns(run)["epoch"].tolist() == [0, 1, 2]
    run.append_metrics(3, dict.fromkeys(MEASURED[1:], 0.5))
    os.utime(run.path / METRICS, ns=(0, 2**62))
    assert observer.columns(run)["epoch"].tolist() == [0, 1, 2, 3]


def test_a_run_whose_process_is_gone_is_interrupted_though_no_file_says_so(store, monkeypatch):
    monkeypatch.setattr(stamps, "settled", lambda mark: True)
    observer, run = Observer(), store.open(RECIPES["running"])
    with run.lock():
        assert observer.progress([run])[0].status == "running"
    assert observer.progress([run])[0].status == "interrupted"


def test_members_that_are_not_begun_are_new_and_no_time_is_promised_for_them(store):
    runs = [store.open(RECIPES["running"]), RunDirectory(store.root / "mnist5k-bare-s9-01234567")]
    with runs[0].lock():
        progress = Observer().progress(runs)
        assert [run.status for run in progress] == ["running", "new"]
        assert not progress[1].problem
        summary = Board("study s", runs, progress).summary()
    assert summary.startswith("study s: 2 runs: 1 new, 1 running; 5 of 8 epochs of those begun; ")
    assert summary.endswith(" left at the present rate for those begun")


# Rows


def test_running_runs_come_first_then_failed_ones_then_the_newest(store):
    with store.open(RECIPES["running"]).lock():
        found = order(board(store).progress)
    assert [run.status for run in found] == ["running", "failed", DAMAGED, "interrupted", "finished", "finished"]
    assert [run.run for run in found[-2:]] == [name(store, "finished"), name(store, "older")]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_screen_has_curves_and_the_newest_numbers_and_no_line_too_wide(store, width):
    lines = screen(store, width)
    assert max(map(cell_len, lines)) <= width
    assert {"run", "status", "epochs", "test", "memorized", "L_c"} <= set(lines[2].split())
    (row,) = [line for line in lines if "finished" in line and name(store, "finished")[-8:] in line]
    assert [number in row for number in ("8/8", "70.0", "14.0", "1.125")] == [True] * 4
    rising, falling = (BLOCKS, BLOCKS[::-1]) if width > 80 else ("▁▃▅▆▇█", "█▆▄▃▂▁")  # in six stretches
    assert [row.count(rising), row.count(falling)] == [2, 1]
    assert any(line.startswith(f"{name(store, 'failed')} failed: its loss became"[:70]) for line in lines)
    assert lines[-1] == "q ends this view; runs go on."


def test_a_name_whose_beginning_has_no_room_is_still_one(store):
    shown = [line.split()[0] for line in screen(store, 80)[3 : 3 + len(RECIPES)]]
    assert [run.name for run in store.find(shown)] == [run.run for run in order(board(store).progress)]
    assert set(shown).isdisjoint(store.names())


def test_what_has_no_room_is_counted(store):
    lines = screen(store, 120, 10)
    assert len(lines) <= 10
    assert "failed" in lines[3]
    assert lines[-1] == "q ends this view; runs go on. 2 more runs have no room here."


def test_metrics_that_cannot_be_trusted_have_no_curve_and_say_so(store):
    run = store.open(RECIPES["finished"])
    (run.path / METRICS).write_text((run.path / METRICS).read_text().replace("0.7", "0.9", 1))
    found = board(store)
    lines = found.plain(order(found.progress), console(200), curves=True)
    assert "▁" not in next(line for line in lines if line.startswith(run.name))
    assert any(
        line.startswith(f"{run.name} damaged: ") and "its checksum does not match" in line for line in lines
    )


def test_epochs_that_were_not_evaluated_are_left_out_of_curves(tmp_path):
    every_second = [
        row if epoch % 2 else row | dict.fromkeys(EVALUATION, np.nan) for epoch, row in enumerate(RISING)
    ]
    write_run(tmp_path, RECIPES["finished"], every_second, status=Status.FINISHED)
    found = board(Store(tmp_path))
    row = found.plain(found.progress, console(200), curves=True)[-1]
    assert "▁▃▆█ 70.0" in row


def test_a_store_in_which_nothing_is_begun_is_waited_for(tmp_path):
    assert screen(Store(tmp_path / "nothing"), 80) == [
        "here: no runs yet",
        "",
        "",
        "q ends this view; runs go on.",
    ]


# The command


def test_where_there_is_no_terminal_it_prints_one_table(command, store, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)  # which pytest-xdist sets
    result = command("watch")
    assert (result.exit_code, result.output) == (0, command("watch", "--once").output)
    assert "\x1b" not in result.output
    assert all(name in result.output for name in store.names())
    assert f"{name(store, 'failed')} failed: its loss became infinite" in result.output
    assert result.output.startswith(
        "runs: 6 runs: 2 interrupted, 2 finished, 1 failed, 1 damaged; 26 of 40 epochs\n"
    )


def test_runs_are_chosen_by_study_by_pattern_or_both(command, store):
    members = [store.open(RECIPES[called]) for called in ("finished", "failed")]
    store.record_study("pair", members, {})
    chosen = command("watch", "pair").output
    assert chosen.startswith("study pair: 2 runs")
    more = command("watch", "pair", name(store, "older")[-8:]).output
    assert more.startswith("3 runs: 2 finished, 1 failed")
    wrong = command("watch", "pear")
    assert (wrong.exit_code, "study or run 'pear'" in wrong.output, "pair" in wrong.output) == (2, True, True)


def test_programs_get_numbers(command, store):
    found = json.loads(command("watch", "--json").stdout)
    assert (found["runs"], found["epochs_done"], found["by_status"]["finished"]) == (6, 26, 2)
    assert [run["status"] for run in found["progress"]][:2] == ["failed", DAMAGED]
    (finished,) = [run for run in found["progress"] if run["run"] == name(store, "finished")]
    assert finished["last"]["test_accuracy"] == pytest.approx(0.7)
    assert finished["last"]["epoch"] == 7


def test_an_empty_store_says_so(command):
    result = command("watch")
    assert (result.exit_code, result.output) == (
        0,
        "there are no runs in runs yet; make one with 'memstudy run'.\n",
    )


# On a terminal


@pytest.mark.parametrize("ending", ["q", "\x03", signal.SIGTERM])
def test_keys_and_signals_end_it_and_the_terminal_is_as_it_was(store, ending):
    with terminal("watch", "--runs-dir", str(store.root)) as shown:
        shown.await_text("q ends this view")
        assert not shown.echoes()
        if isinstance(ending, str):
            shown.press(ending)
            assert shown.end() == 0
        else:
            assert shown.end(ending) == 0
        assert shown.echoes()
        begun, ended = shown.written.find("\x1b[?1049h"), shown.written.rfind("\x1b[?1049l")
        assert 0 <= begun < ended
        assert f"{store.root}: 6 runs: " in shown.written[ended:]  # what stays is one line


def test_what_is_trained_meanwhile_is_shown_without_colors_if_none_are_wanted(store):
    run = store.open(RECIPES["interrupted"])
    with terminal(
        "watch", "*-s4-*", "--runs-dir", str(store.root), NO_COLOR="1", PYTHONIOENCODING="latin-1"
    ) as shown:
        shown.await_text("3/8")
        run.append_metrics(3, dict.fromkeys(MEASURED[1:], 0.5))
        shown.await_text("4/8")
        shown.press("Q")
        assert shown.end() == 0
    assert "\x1b[33m" not in shown.written
    assert ".+@" in shown.written
    assert shown.written.isascii()


def test_a_study_is_watched_in_the_same_way_until_nothing_is_left(store, tmp_path):
    (tmp_path / "s.toml").write_text('name = "s"\nseeds = [4]\n[grid]\nepochs = 8\ntrain_size = 400\n')
    run = store.open(RECIPES["interrupted"])
    with terminal("study", "status", str(tmp_path / "s.toml"), "--watch", "--runs-dir", str(store.root)) as shown:
        assert "▁▅█" in shown.await_text("3/8")
        for epoch in range(3, 8):
            run.append_metrics(epoch, dict.fromkeys(MEASURED[1:], 0.5))
        run.finish()
        assert shown.end() == 0
    assert "study s: 1 run: 1 finished; 8 of 8 epochs" in shown.written
