"""Progress: on a terminal of 80 columns the bar and the time left stay; elsewhere each line says what is left."""

from __future__ import annotations

import io
import re
import time
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from memstudy import presets
from memstudy.cli.progress import Bar, Clock, RunProgress, StudyProgress
from memstudy.errors import Interrupted
from memstudy.store import Store
from memstudy.study.carry_out import Execution, carry_out
from tests.kit.runs import write_run
from tests.kit.stopping import Stop

METRICS = {"test_accuracy": 0.9312, "train_cross_entropy": 2.2134, "memorized": 0.123}
BAR = "[━╸ ]"  # without colors, what is to be done is blank
TIME = r"(\d+:\d\d:\d\d|-:--:--)"


def terminal(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)


def drawn(bar: Bar) -> str:
    """The bar as it is shown, in one line."""
    console = terminal(bar._console.width)
    with console.capture() as captured:
        console.print(bar._bar.get_renderable())
    line, rest = captured.get().split("\n", 1)
    assert not rest.strip()
    return line


@pytest.fixture
def run(tmp_path):
    sessions = [{"from_epoch": 0, "threads": 1}]
    return write_run(tmp_path, presets.build("al2"), floor=2.2103, sessions=sessions)  # 701 epochs


@pytest.fixture
def shown(run, corrupted):
    """The progress of a run on a terminal of so many columns, some epochs of it done."""

    def shown(width, epoch=99, metrics=METRICS):
        told = RunProgress()
        told.console = terminal(width)
        told.bar = Bar(told.console)
        told.started(run, corrupted, torch.device("cpu"))
        told.epoch_done(epoch, metrics)
        told.stepped(1, 2)
        return drawn(told.bar)

    return shown


@pytest.mark.parametrize("width", [30, 40, 60, 79, 80, 81, 100, 109, 110, 120, 200])
def test_bar_and_time_left_stay_however_narrow_the_terminal(shown, width):
    line = shown(width)
    assert len(line.rstrip()) <= width
    assert re.search(rf"{BAR}{{{24 if width >= 110 else 10}}} {TIME}$", line.rstrip())


def test_at_eighty_columns_whole_numbers_are_left_out_not_cut(shown, corrupted):
    line = shown(80)
    assert re.match(r"\S 100/701 epochs  test 93.1 %  memorized 12 %  L_c 2.213 +[━╸╺]", line)
    assert "…" not in line
    assert f"(floor {corrupted.floor:.3f})" in shown(100)
    assert "images/s" in shown(140)


def test_a_name_that_is_too_long_is_shortened():
    bar = Bar(terminal(40))
    bar.update(1, 3, "looking at very many pixels of very many images")
    assert re.match(r"\S looking at very m…", drawn(bar))


def test_what_is_said_is_no_markup():
    bar = Bar(terminal(80))
    bar.update(1, 3, "[bold]1/3[/bold]")
    assert "[bold]1/3[/bold]" in drawn(bar)


def test_a_study_s_bar_fits_too(tmp_path):
    told = StudyProgress([Store(tmp_path).open(presets.build("al2", seed=seed)) for seed in range(16)])
    told.console = terminal(80)
    told.bar = Bar(told.console)
    told.tick()
    assert re.search(rf"0/16 runs  0/11,216 epochs +{BAR}{{10}} {TIME}$", drawn(told.bar).rstrip())


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes when it is told to."""
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(time, "monotonic", lambda: now.seconds)
    return now


def test_time_left_is_that_of_this_session(clock):
    session = Clock(done=5)
    assert session.left(5, 25) == []  # nothing to go by
    clock.seconds += 20
    assert session.left(7, 25) == ["0:03:00 left"]
    assert session.left(25, 25) == []


def test_each_piped_line_says_the_time_left(command, small_source):
    lines = command("run", "--epochs", "4", "--corrupt", "0.75").output.splitlines()
    told = [line for line in lines if re.match(r"\d/4 epochs  ", line)]
    assert [line[:3] for line in told] == ["1/4", "2/4", "3/4", "4/4"]
    assert all(re.search(r"  \d:\d\d:\d\d left$", line) for line in told[:-1])
    assert "left" not in told[-1]


class OneEpoch(RunProgress):
    """Ctrl-C after the first epoch."""

    def epoch_done(self, epoch, metrics):
        super().epoch_done(epoch, metrics)
        raise KeyboardInterrupt


def test_a_continued_run_says_after_which_epoch(tmp_path, small_source, capsys):
    run = Store(tmp_path).open(presets.build(epochs=30, corrupt=0.75))
    with pytest.raises(Interrupted, match="2 of 30 epochs are done"):
        carry_out(run, Execution(), Stop(1))
    with pytest.raises(Interrupted, match="3 of 30 epochs are done"):
        carry_out(run, Execution(), OneEpoch())
    said = capsys.readouterr().err
    assert "continues after epoch 1 (counted from 0), with 2 of 30 epochs done" in said
    assert "\n3/30 epochs  " in said  # the first epoch of a session has its line
