"""`make gpu` in calls: what is done stays done, what failed or was broken off is done again."""

from __future__ import annotations

import time

import pytest
import torch

from memstudy.study import shipped
from tests.benchmarks import evidence

CPU = torch.device("cpu")


def command(code):
    return (evidence.PYTHON[0], "-c", code)


@pytest.fixture
def collect(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "LEAST", 0.0)

    def call(stages, seconds=60.0):
        return evidence.collect(stages, tmp_path / "gpu", time.monotonic() + seconds, CPU)

    return call


def test_a_stage_is_done_once_and_says_on_what(collect, tmp_path):
    count = tmp_path / "count"
    stages = {"one": command(f"open({str(count)!r}, 'a').write('x'); print('a result')")}
    assert collect(stages) == collect(stages) == []
    found = (tmp_path / "gpu" / "one.txt").read_text()
    assert count.read_text() == "x"
    assert found.endswith("a result\n")
    for name in ("device_name", "commit", "packages", "date", "command"):
        assert f"# {name}: " in found


def test_one_that_fails_is_named_kept_and_done_again(collect, tmp_path):
    flag, folder = tmp_path / "flag", tmp_path / "gpu"
    stages = {"bad": command(f"import pathlib; assert pathlib.Path({str(flag)!r}).exists()"), "good": command("")}
    assert collect(stages) == ["bad"]
    assert "AssertionError" in (folder / "bad.failed.txt").read_text()
    assert (folder / "good.txt").exists()
    flag.touch()
    assert collect(stages) == []
    assert sorted(path.name for path in folder.iterdir()) == ["bad.txt", "good.txt"]


def test_one_that_outlasts_the_call_is_left_for_the_next(collect, tmp_path):
    stages = {"slow": command("import time; print('begun', flush=True); time.sleep(60)"), "next": command("")}
    assert collect(stages, seconds=1.5) == []
    assert not (tmp_path / "gpu" / "slow.txt").exists()
    assert not (tmp_path / "gpu" / "next.txt").exists()


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["evidence"])
    with pytest.raises(SystemExit) as stopped:
        evidence.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("CUDA") == 1


def test_every_stage_is_there():
    """A benchmark that was renamed would fail only on the machine that is lent for minutes."""
    for name, (_, _, _, module, *_) in evidence.STAGES.items():
        __import__(module)
        assert name == "tests" or module.startswith("tests.benchmarks.")
    assert set(evidence.STUDIES) <= set(shipped.names())
