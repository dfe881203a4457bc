"""The command line as a user meets it: verbs, first lines, JSON, mistakes, interruption."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from memstudy import presets
from memstudy.cli import asking, live, main
from memstudy.cli.run import run as run_command
from memstudy.recipe import OPTIONS
from memstudy.regularizers import REGULARIZERS
from memstudy.store import Status, Store
from memstudy.study import grid
from tests.kit.runs import write_run


@pytest.fixture
def memstudy(command, small_source):
    """The 400 images stand in for every data set."""
    return command


def process(*words: str, cwd, **more) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "memstudy", *words], cwd=cwd, capture_output=True, text=True, timeout=120, **more
    )


def test_help_needs_no_torch(tmp_path):
    for words in (
        ["--help"],
        ["run", "--help"],
        ["study", "--help"],
        ["svcca", "--help"],
        ["filters", "--help"],
        ["data", "build", "--help"],
    ):
        code = f"import sys; from memstudy.cli import main; sys.argv = ['memstudy', *{words}]\n"
        code += "try: main()\nfinally: assert not {'torch', 'pandas', 'numpy', 'seaborn'} & set(sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert "Usage" in done.stdout


def spoken_before_torch(tmp_path, *words):
    """The first words of a command line, and whether torch was imported before them."""
    code = f"""
import sys
from memstudy.cli import main, progress
def say(self, text):
    print("torch" in sys.modules, text)
    sys.exit()
progress.Voice.say = progress.Voice.tell = say
sys.argv = ["memstudy", *{words}]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    torch, _, text = done.stdout.partition(" ")
    return text, torch == "True"


def test_a_store_is_listed_without_torch(tmp_path):
    write_run(tmp_path / "runs", presets.build(epochs=2), [{}], status=Status.INTERRUPTED)
    text, torch = spoken_before_torch(tmp_path, "runs")
    assert text.startswith("1 run: dataset mnist5k")
    assert not torch


@pytest.mark.parametrize("way", ["preset", "recipe"])
def test_run_speaks_before_torch_is_imported(tmp_path, way):
    words = ["--dataset", "cifar10", "--reg", "dropout+al2", "--noise", "pair", "--epochs", "1"]
    if way == "recipe":
        file = tmp_path / "recipe.toml"
        file.write_text(presets.build(dataset="cifar10", reg="do+al2", noise="pair", epochs=1).to_toml())
        words = ["--recipe", str(file)]
    text, torch = spoken_before_torch(tmp_path, "run", *words)
    assert text.startswith(way)
    assert "do+al2 on cifar10, smallnet, 1 epoch" in text
    assert not torch


def test_the_first_line_speaks_of_what_is_run(memstudy):
    first = memstudy("run", "--epochs", "1").output.splitlines()[0]
    assert "bare on mnist5k, smallnet, 1 epoch; changed here: epochs 1 (" in first
    words = ["--dataset", "cifar10", "--epochs", "1", "--schedule", "multistep", "--milestones", "1,2"]
    words += ["--batch-size", "32"]
    first = memstudy("run", "--reg", "weight-decay", *words, "--set", "wd.decay=0.1").output.splitlines()[0]
    assert "wd on cifar10, smallnet, 1 epoch; changed here: dataset cifar10, epochs 1, batch-size 32, " in first
    assert "schedule multistep, milestones 1,2, wd.decay=0.1 (" in first
    assert "5,000" not in first
    assert "embedded" not in first
    plain = memstudy("run", "--reg", "al3")  # a misspelt name is answered before anything is announced
    assert plain.exit_code == 2
    assert "preset" not in plain.output


def test_help_names_every_preset_and_regularizer():
    text = CliRunner().invoke(main, ["run", "--help"]).output
    assert all(name in text for name in [*presets.PRESETS, *REGULARIZERS.names()])


def test_run_says_preset_first_and_verdict_last(memstudy, tmp_path):
    done = memstudy("run", "--corrupt", "0.75", "--reg", "al2", "--epochs", "2")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith("preset quick")
    assert "--preset al2" in lines[0]
    assert "verdict: " in done.output
    assert "floor" in done.output
    again = memstudy("run", "--corrupt", "0.75", "--reg", "al2", "--epochs", "2")
    assert again.output.splitlines()[-3:] == lines[-3:]
    assert "to train for" not in again.output  # nothing was trained


def test_every_option_reaches_the_recipe(memstudy):
    done = memstudy(
        "run", "--reg", "do+al2", "--set", "al2.advance=3", "--set", "do.p=0.25", "--corrupt", "0.5",
        "--corrupt-seed", "3", "--seed", "4", "--epochs", "2", "--batch-size", "100", "--lr", "0.01",
        "--momentum", "0.9",
        "--checkpoints", "1,", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    recipe = Store(Path("runs")).runs()[0].recipe
    assert summary["id"] == recipe.id
    assert recipe == presets.build(
        reg="do+al2", options={"al2": {"advance": 3}, "do": {"p": 0.25}}, corrupt=0.5, corrupt_seed=3, seed=4,
        epochs=2, batch_size=100, lr=0.01, momentum=0.9, checkpoints=(1,),
    )  # fmt: skip


def test_recipe_file_is_the_same_run(memstudy, tmp_path):
    memstudy("run", "--epochs", "1")
    (run,) = Store(tmp_path / "runs").runs()
    done = memstudy("run", "--recipe", str(run.path / "recipe.toml"))
    assert done.exit_code == 0, done.output
    assert len(Store(tmp_path / "runs").runs()) == 1
    mixed = memstudy("run", "--recipe", str(run.path / "recipe.toml"), "--seed", "1")
    assert mixed.exit_code == 2
    assert "--seed" in mixed.output


MISTAKES = [
    (["run", "--reg", "al3"], "'--reg': unknown regularizer 'al3': did you mean al2"),
    (["run", "--reg", "do+do"], "twice"),
    (["run", "--reg", ""], "unknown regularizer"),
    (["run", "--preset", "quik"], "'--preset': unknown preset 'quik': did you mean quick"),
    (["run", "--network", "smalnet"], "'--network' / '--arch': unknown network 'smalnet': did you mean smallnet"),
    (["run", "--noise", "symetric"], "'--noise': unknown corruption rule 'symetric': did you mean symmetric"),
    (["run", "--corrupt", "75"], "0.75"),
    (["run", "--corrupt", "-0.1"], "between 0 and 1"),
    (["run", "--corrupt", "nan"], "finite"),
    (["run", "--lr", "0"], "'--lr': it must be a finite number above 0, not 0"),
    (["run", "--lr", "inf"], "finite"),
    (["run", "--lr", "fast"], "'--lr': it must be a finite number above 0, not 'fast'"),
    (["run", "--momentum", "1"], "'--momentum': it must be a finite number of at least 0 and below 1"),
    (["run", "--optimizer", "sdg"], "'--optimizer': it must be one of sgd, adam, adamw, not 'sdg'"),
    (["run", "--schedule", "step", "--milestones", "soon"], "'--milestones': it must be a list of whole numbers"),
    (["run", "--milestones", "80"], "needs no milestones"),
    (["run", "--matrix", "none.npy"], "'--matrix': "),
    (["run", "--threads", "0"], "'--threads'"),
    (["data", "build", "-o", "x.npz", "--corrupt", "75"], "'--corrupt': it must be a fraction"),
    (["study", "none.toml", "--seeds", "0"], "'--seeds': it takes a number of seeds"),
    (["study", "none.toml", "--minutes", "nan"], "'--minutes': it must be a finite number above 0"),
    (["run", "--epochs", "0"], "at least 1"),
    (["run", "--batch-size", "-1"], "at least 1"),
    (["run", "--seed", "-1"], "at least 0"),
    (["run", "--checkpoints", "99"], None),
    (["run", "--checkpoints", "0,99"], "no epoch 99"),
    (["run", "--checkpoints", "soon"], "'--checkpoints': it takes how many to spread"),
    (["run", "--set", "al2.advance=3"], "does not use"),
    (["run", "--reg", "al2", "--set", "al2.advanse=3"], "did you mean advance"),
    (
        ["run", "--reg", "al2", "--set", "al2.advance=soon"],
        "advance must be a finite number above 0, not 'soon'",
    ),
    (["run", "--reg", "al2", "--set", "advance=3"], "'--set': it takes REGULARIZER"),
    (["run", "--reg", "do", "--set", "do.p=1"], "below 1"),
    (["run", "--device", "tpu"], "unknown device"),
    (["run", "--device", "cuda:99"], "there is no"),
    (["run", "--recipe", "none.toml"], "cannot read"),
    (["runs", "--josn"], "json"),
    (["rnu"], "did you mean run"),
    (["svcca"], "memstudy run"),
    (["ablate"], "memstudy run"),
    (["table"], "memstudy run"),
    (["figures"], "memstudy run"),
    (["study", "none.toml"], "cannot read"),
]


@pytest.mark.parametrize(("words", "says"), [m for m in MISTAKES if m[1]], ids=lambda value: str(value)[:40])
def test_a_mistake_is_one_sentence_exit_2_and_nothing_left(memstudy, tmp_path, words, says):
    done = memstudy(*words)
    assert done.exit_code == 2, done.output
    assert says in done.stderr
    assert "Traceback" not in done.output
    assert list(tmp_path.iterdir()) == []


def test_unwritable_store(memstudy, tmp_path):
    (tmp_path / "runs").write_text("a file in the way")
    done = memstudy("run", "--epochs", "1")
    assert done.exit_code == 2
    assert "cannot write" in done.stderr
    assert (tmp_path / "runs").read_text() == "a file in the way"


def test_hand_edited_recipe_is_refused_and_listed(memstudy, tmp_path):
    memstudy("run", "--epochs", "1")
    memstudy("run", "--epochs", "1", "--seed", "1")
    path = sorted((tmp_path / "runs").glob("*-s0-*/recipe.toml"))[0]
    path.write_text(path.read_text().replace("rate = 0.75", "rate = 0.5"))
    listed = memstudy("runs")
    assert listed.exit_code == 0
    assert "was changed after it was written" in listed.output
    assert listed.output.startswith("1 run: ")  # the other run is still listed
    assert memstudy("run", "--recipe", str(path)).exit_code == 2


def test_non_finite_loss_is_a_failed_run(memstudy, tmp_path):
    done = memstudy("run", "--epochs", "2", "--lr", "1e20")
    assert done.exit_code == 1
    assert "epoch 0, step" in done.stderr
    (summary,) = json.loads(memstudy("runs", "--json").stdout)["runs"]
    assert summary["status"] == "failed"
    assert "non-finite" in summary["failure"]


def test_all_verbs_on_a_store(memstudy, store_copy, tmp_path):
    for verb in (["ablate", "--orders", "2"], ["table"], ["figures"], ["runs"]):
        plain = memstudy(*verb)
        assert plain.exit_code == 0, plain.output
    for verb in (["svcca"], ["table"], ["runs"]):
        as_json = memstudy(*verb, "--json")
        assert as_json.exit_code == 0, as_json.output
        assert json.loads(as_json.stdout)
    derived = tmp_path / "runs" / "studies" / "tiny"
    for name in ("svcca.csv", "ablation_areas.csv", "tables/table1.md", "tables/ablation_area.tex"):
        assert (derived / name).stat().st_size > 0
    for name in ("cca_between", "cca_past", "ablation", "accuracy"):
        assert (derived / "figures" / f"{name}.png").stat().st_size > 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["runs"]  # nothing else was touched


def test_named_runs_are_compared_with_each_other(memstudy, store_copy):
    done = memstudy("svcca", "*-bare-s0-*", "*-bare-s1-*", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["svcca"]
    assert any(
        row["relation"] == "pair: other seed" and {row["a"], row["b"]} == {"seed 0", "seed 1"} for row in rows
    )
    missing = memstudy("svcca", "*-bar-*")
    assert missing.exit_code == 2


def test_damaged_checkpoint_is_named(memstudy, store_copy, tmp_path):
    path = next((tmp_path / "runs").glob("*-bare-s0-*/checkpoints/epoch-0002.safetensors"))
    path.write_bytes(path.read_bytes()[:-1])
    done = memstudy("ablate")
    assert done.exit_code == 2
    assert str(path.name) in done.stderr


def test_store_and_data_directory_from_the_environment(memstudy, tmp_path, monkeypatch):
    monkeypatch.setenv("MEMSTUDY_RUNS", str(tmp_path / "elsewhere"))
    memstudy("run", "--epochs", "1")
    assert len(Store(tmp_path / "elsewhere").runs()) == 1
    assert not (tmp_path / "runs").exists()


def test_missing_data_set_names_three_ways(tmp_path):
    environment = os.environ | {"MEMSTUDY_DATA": str(tmp_path / "nothing")}
    done = process("run", "--preset", "al2", cwd=tmp_path, env=environment)
    assert done.returncode == 2
    for way in ("--download", "--data-dir", "mnist5k"):
        assert way in done.stderr
    assert list(tmp_path.iterdir()) == []


def interrupted(words, cwd, number, send=lambda process, number: process.send_signal(number)):
    """Start a command in a process, send it a signal once an epoch is written, and return how it ended."""
    running = subprocess.Popen(
        [sys.executable, "-m", "memstudy", *words],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 90
        while not list(cwd.glob("runs/*/metrics.csv")) and time.monotonic() < deadline:
            time.sleep(0.05)
        send(running, number)
        _, errors = running.communicate(timeout=60)
    finally:
        running.kill()  # nothing is left behind by a test that fails
        running.communicate()
    assert "Traceback" not in errors
    assert "the same command continues" in errors
    (run,) = Store(cwd / "runs").runs()  # and no other run was begun
    assert run.status == "interrupted"
    return running.returncode, run


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_interrupted_run_says_how_to_continue(tmp_path, monkeypatch, number, code):
    """On the real 4,000 images in a process of its own: a signal during training, then the same command."""
    returned, run = interrupted(["run", "--epochs", "2"], tmp_path, number)
    assert (returned, run.epochs_done) == (code, 1)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["run", "--epochs", "2"])
    assert done.exit_code == 0
    assert "continues after epoch 0 (counted from 0), with 1 of 2 epochs done" in done.output


@pytest.mark.parametrize(
    "send",
    [
        pytest.param(subprocess.Popen.send_signal, marks=pytest.mark.slow, id="to the parent alone"),
        pytest.param(lambda process, number: os.killpg(process.pid, number), id="to all, as a terminal does"),
    ],
)
def test_interrupted_study_saves_and_starts_nothing_more(tmp_path, send):
    (tmp_path / "s.toml").write_text('name = "three"\nseeds = [0, 1, 2]\n[grid]\nepochs = 200\ntrain_size = 400\n')
    returned, run = interrupted(["study", "s.toml", "--train-only", "--jobs", "1"], tmp_path, signal.SIGINT, send)
    assert returned == 130
    assert run.load_resume() is not None
    assert not run.locked


@pytest.mark.slow
def test_study_in_processes(tmp_path, monkeypatch):
    """Two runs at once in processes of their own, one of which must fail without stopping the other."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text('name = "two"\n[grid]\nepochs = 1\ntrain_size = 400\nlr = [0.03, 1e20]\n')
    done = CliRunner().invoke(main, ["study", "s.toml", "--jobs", "2", "--json", "--train-only"])
    assert done.exit_code == 1
    assert "1 of 2 runs failed" in done.stderr
    assert len(json.loads(done.stdout)["runs"]) == 2
    assert sorted(run.status for run in Store(tmp_path / "runs").runs()) == ["failed", "finished"]


def test_study_stops_at_its_time_and_continues(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text('name = "long"\n[grid]\nepochs = 1\ntrain_size = 400\n')
    stopped = CliRunner().invoke(main, ["study", "s.toml", "--minutes", "0.0001", "--train-only"])
    assert stopped.exit_code == 0  # it did what it was asked to
    assert stopped.stderr.splitlines()[-1].startswith("0 of 1 runs have ended")
    assert stopped.stdout == ""
    assert not list(tmp_path.glob("runs/mnist5k-*"))  # it was not begun
    done = CliRunner().invoke(main, ["study", "s.toml", "--train-only"])
    assert done.exit_code == 0, done.output
    assert Store(tmp_path / "runs").runs()[0].status == "finished"


def test_finished_study_is_derived_again_without_training(memstudy, every_format, store_copy, tmp_path):
    """All runs are there, so no process is started; tables and figures come from what is stored."""
    (tmp_path / "s.toml").write_text(
        'name = "again"\nseeds = [0, 1]\n[grid]\nreg = ["bare", "do"]\nepochs = 3\n[report]\nepochs = [0, 2]\n'
    )
    done = memstudy("study", "s.toml", "--json")
    assert done.exit_code == 0, done.output
    assert {path.rsplit("/", 1)[1] for path in json.loads(done.stdout)["tables"]} >= {
        "methods.md",
        "training.tex",
        "ablation_area.csv",
    }


@pytest.mark.slow
def test_several_studies_share_the_time_and_finished_ones_are_passed_over(memstudy, store_copy, tmp_path):
    for name, epochs in {"a": 3, "b": 1, "c": 3}.items():  # the trained store has a's run, which is c's too
        (tmp_path / f"{name}.toml").write_text(f"[scale.lite.grid]\nepochs = {epochs}\n")
    words = ("study", "a.toml", "b.toml", "c.toml", "--scale", "lite", "--train-only", "--json", "--minutes")
    first = memstudy(*words, "0.0001")
    assert first.exit_code == 0, first.output
    assert "study a_lite is finished" in first.stderr
    assert [(s["study"], s["stopped"]) for s in json.loads(first.stdout)] == [("b_lite", 1)]
    second = memstudy(*words, "5")
    assert [(s["study"], s["stopped"]) for s in json.loads(second.stdout)] == [("b_lite", 0)]
    assert "study c_lite is finished" in second.stderr
    assert json.loads(memstudy(*words, "5").stdout) == []


def test_a_study_is_finished_only_when_all_is_derived(memstudy, store_copy, tmp_path):
    for name, seed in {"a": 0, "b": 1}.items():
        text = f'seeds = [{seed}]\n[grid]\nreg = ["bare", "do"]\nepochs = 3\n[report]\nanalyses = []\n'
        (tmp_path / f"{name}.toml").write_text(text)
    for expected in (["a", "b"], []):
        assert [s["study"] for s in json.loads(memstudy("study", "a.toml", "b.toml", "--json").stdout)] == expected
    alone = memstudy("study", "a.toml", "--json")
    assert json.loads(alone.stdout)["study"] == "a"
    (tmp_path / "runs" / "studies" / "b" / "study.json").unlink()
    assert [s["study"] for s in json.loads(memstudy("study", "a.toml", "b.toml", "--json").stdout)] == ["b"]


def test_a_mistake_in_one_of_several_studies_starts_none(memstudy, tmp_path):
    (tmp_path / "a.toml").write_text("[grid]\nepochs = 1\n")
    (tmp_path / "b.toml").write_text("[grid]\nepoch = 1\n")
    done = memstudy("study", "a.toml", "b.toml", "--train-only")
    assert (done.exit_code, "did you mean epochs" in done.output) == (2, True)
    assert not (tmp_path / "runs").exists()


def test_the_command_line_and_study_files_speak_of_a_recipe_as_the_presets_do():
    """All three take what is declared, and nothing twice."""
    words = [parameter.name for parameter in run_command.params]
    assert set(OPTIONS) | {"preset", "reg", "settings"} <= set(words)
    assert len(words) == len(set(words))
    assert set(grid.GRID) - {"pairs", "label_column", "anyway"} == set(OPTIONS) - {"seed", "matrix"} | {"reg"}


def test_signals_wait_for_the_end_of_a_bookkeeping_step():
    from memstudy.study.interruption import deferred

    reached = []

    def step():
        with deferred():
            signal.raise_signal(signal.SIGINT)
            reached.append("end")

    with pytest.raises(KeyboardInterrupt):
        step()
    assert reached == ["end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_is_ignored_hides_no_other():
    """In a worker: a terminal's Ctrl-C, which the parent passes on as SIGTERM, within one bookkeeping step."""
    from memstudy.study.interruption import Terminated, deferred, stop_on_sigterm

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_on_sigterm()

    def both():
        with deferred():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Terminated):
        both()
    with deferred():
        signal.raise_signal(signal.SIGINT)


def test_a_terminal_without_our_signs_gets_question_marks(store_copy, tmp_path):
    """Tables hold ± and –."""
    done = process("table", cwd=tmp_path, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "?" in done.stdout


def test_json_of_a_run_that_diverged(memstudy, tmp_path):
    """JSON has no word for infinity: it is null, and the output is valid."""
    infinite = {"train_cross_entropy": math.inf, "memorized": math.nan, "test_accuracy": 0.1}
    write_run(tmp_path / "runs", presets.build(epochs=2), [infinite], status=Status.FAILED)
    done = memstudy("runs", "--json")
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout, parse_constant=pytest.fail)["runs"]
    assert [found["last"][name] for name in infinite] == [None, None, 0.1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_python_shuts_down_is_no_traceback(tmp_path, number):
    """What is registered first is done last: here a signal, as late as torch's own functions would get one."""
    code = textwrap.dedent(f"""
        import atexit, os
        atexit.register(lambda: os.kill(os.getpid(), {int(number)}))
        from memstudy.cli import main
        from memstudy.study.interruption import stop_on_sigterm
        stop_on_sigterm()
        main(["runs", "--runs-dir", {str(tmp_path)!r}])
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "there are no runs" in done.stdout


def test_a_study_of_very_many_runs_is_asked_about(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(grid, "MOST", 3)
    (tmp_path / "s.toml").write_text('name = "wide"\nseeds = 4\n[grid]\nepochs = 1\ntrain_size = 100\n')
    words = ["study", "s.toml", "--dry-run"]
    refused = CliRunner().invoke(main, words)
    assert (refused.exit_code, "describes 4 runs, and a study has at most 3" in refused.output) == (2, True)
    assert "--yes" in refused.output
    assert CliRunner().invoke(main, [*words, "--yes"]).exit_code == 0
    monkeypatch.setattr(asking, "can_answer", lambda: True)
    assert CliRunner().invoke(main, words, input="n\n").exit_code == 1
    answered = CliRunner().invoke(main, words, input="y\n")
    assert (answered.exit_code, "4 runs" in answered.output) == (0, True)
    assert CliRunner().invoke(main, ["study", "status", "s.toml"]).exit_code == 0


@pytest.mark.parametrize("where", ["parse_args", "invoke"])
def test_ctrl_c_is_answered_alike_at_any_time_and_at_any_number(command, monkeypatch, where):
    """Before the command had begun it was click's "Aborted!" and 1, and so it was when pressed again at once."""

    def press(*args):
        raise KeyboardInterrupt

    def say(text, **how):
        signal.raise_signal(signal.SIGINT)
        echo(text, **how)

    echo = click.echo
    monkeypatch.setattr(click.Group, where, press)
    monkeypatch.setattr(click, "echo", say)
    result = command("runs")
    assert (result.exit_code, result.output) == (130, "stopped; the same command continues.\n")


@pytest.mark.parametrize(
    ("words", "works", "code"),
    [
        (("table",), "memstudy.store.Store.select", 143),
        (("dynamics",), "memstudy.store.Store.select", 143),
        (("report", "--live"), "memstudy.study.live_report.of_store", 0),
        (("watch",), "memstudy.study.status.Observer.progress", 0),
    ],
)
def test_sigterm_is_answered_in_every_command_from_its_beginning_on(
    command, store_copy, monkeypatch, words, works, code
):
    """Before the handler was there, as while the first page was made, the process was killed."""

    def killed(*given, **options):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(live, "shows", lambda console: True)
    monkeypatch.setattr(works, killed)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    result = command(*words)
    assert result.exit_code == code
    assert result.output == ("stopped; the same command continues.\n" if code else "")
