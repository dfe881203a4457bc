"""The studies that come with memstudy: given by name, and part of the package; and the file of one's own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

import memstudy
from memstudy.cli import main
from memstudy.cli.study import study as command
from memstudy.derived import ANALYSES, loadable
from memstudy.papers import TABLES
from memstudy.regularizers import label
from memstudy.study import grid, shipped
from tests.kit.sentences import refused

NAMES = ["al2", "calibration", "loco_reg", "noise_grid", "norm_loss", "pilcro", "quick"]
PACKAGE = Path(memstudy.__file__).parent
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Nothing of the repository is near."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEMSTUDY_RUNS", raising=False)
    return tmp_path


def call(*words: str):
    return CliRunner().invoke(main, ["study", *words])


def answered(*words: str) -> str:
    """The one sentence with which a command is refused."""
    done = call(*words)
    assert done.exit_code == 2, done.output
    assert done.stderr.count("\n") == 1
    return done.stderr


# Names and paths


def test_every_study_is_there():
    assert shipped.names() == NAMES
    assert [grid.read(shipped.path(name), seeds=(0,)).name for name in NAMES] == NAMES


def test_a_name_is_ours_whatever_files_are_near(folder):
    for name in ("quick", "quick.toml"):
        (folder / name).write_text("[grid]\nepochs = 1\n")
    (folder / "al2").mkdir()
    assert shipped.find("quick") == shipped.path("quick")
    assert shipped.find("al2") == shipped.path("al2")
    assert shipped.find("quick.toml") == Path("quick.toml")
    assert shipped.find("./quick") == Path("quick")
    assert shipped.find("none.toml") == Path("none.toml")


@pytest.mark.parametrize(
    "text", ["studies/quick.toml", "quick.toml", "../memstudy/studies/quick", "/none/quick.toml"]
)
def test_a_path_that_is_gone_names_the_study(text):
    assert "'memstudy study quick'" in refused(lambda: shipped.find(text), text)
    assert "'memstudy study quick'" in answered(text)
    assert "'memstudy study quick'" in answered("list", text)


@pytest.mark.parametrize(
    ("text", "nearest"), [("quik", "quick"), ("locoreg", "loco_reg"), ("AL2", "al2"), ("noise-grid", "noise_grid")]
)
def test_an_unknown_name_is_answered_with_the_nearest(text, nearest):
    assert f"unknown study '{text}': did you mean {nearest}" in answered(text)
    assert "'memstudy study list'" in answered(text)


@pytest.mark.parametrize("text", ["", "zzz", "lsit", "a\0b", "x" * 300])
def test_a_name_that_is_like_none_is_answered_with_all(text):
    refused(lambda: shipped.find(text), *NAMES)


def test_a_file_without_its_ending(folder):
    (folder / "mine.toml").touch()
    assert "'memstudy study mine.toml'" in answered("mine")


def test_an_unknown_scale():
    assert "unknown scale of the study al2 'lit': did you mean lite" in answered("al2", "--scale", "lit")
    assert "the study quick has no scales" in answered("quick", "--scale", "lite")


def test_no_study_has_the_name_of_a_subcommand():
    assert set(command.commands) == {"status", "cancel", "list", "init"}
    assert set(command.commands).isdisjoint(NAMES)


def test_a_study_is_carried_out_by_its_name(folder):
    """As far as its images, which are not here: they are looked for before anything is trained."""
    assert "MNIST is not in none" in answered("al2", "--data-dir", "none", "--device", "cpu")
    assert list(folder.iterdir()) == []


def test_options_stand_before_or_after_the_name():
    for words in (["quick", "--scale", "lite"], ["--scale", "lite", "quick"]):
        assert "the study quick has no scales" in answered(*words)


def test_help_tells_the_rule_and_the_subcommands():
    text = " ".join(call("--help").output.split())
    assert "study [OPTIONS] NAME|FILE..." in text
    assert "study status|cancel|list|init" in text
    assert "with a / in it, or ending in .toml" in text
    assert re.search("Commands: cancel .* init .* list .* status ", text)
    assert "Usage: main study list [OPTIONS] [NAME|FILE]..." in call("list", "--help").output


def test_the_cost_is_that_of_this_size_and_of_these_seeds(folder):
    path = folder / "s.toml"
    path.write_text('cost = "a day"\n[grid]\nepochs = 2\n[scale.a]\nseeds = 1\n[scale.b]\ncost = "an hour"\n')
    assert grid.read(path).cost == "a day"
    assert grid.read(path, scale="a").cost == ""
    assert grid.read(path, scale="b").cost == "an hour"
    assert grid.read(path, seeds=(0, 1)).cost == ""


# A study of one's own


def test_init_writes_a_study_that_runs_as_it_is(folder):
    done = call("init", "mine.toml", "--json")
    assert json.loads(done.stdout) == {"path": "mine.toml", "study": "mine", "runs": 9}
    assert "memstudy study mine.toml\n" in done.stderr
    found = grid.read(folder / "mine.toml")
    methods = [(label(r.regularizers), (r.options("do") or {}).get("p"), r.seed) for r in found.recipes]
    assert sorted(methods, key=str) == sorted(
        [(*method, seed) for method in (("bare", None), ("do", 0.25), ("do", 0.5)) for seed in range(3)], key=str
    )
    assert {r.dataset for r in found.recipes} == {"mnist5k"}
    assert grid.read(folder / "mine.toml", scale="large").name == "mine_large"
    assert shipped.ITS_FILE not in (folder / "mine.toml").read_text()


def test_init_has_a_usual_name_and_takes_output():
    assert call("init").stdout.splitlines()[-1] == "carry it out: memstudy study study.toml"
    assert call("init", "-o", "a b/c.toml").stdout.splitlines()[-1] == "carry it out: memstudy study 'a b/c.toml'"
    assert len(grid.read(Path("a b/c.toml")).recipes) == 9


def test_init_overwrites_nothing(folder):
    (folder / "study.toml").write_text("mine")
    assert "study.toml is there already" in answered("init")
    assert (folder / "study.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["quick.toml"], "quick is a study that comes with memstudy"),
        (["mine.txt"], "ends in .toml"),
        (["mine"], "ends in .toml"),
        (["my study.toml"], "must be letters, digits"),
        (["all.toml"], "cannot be named 'all'"),
        (["a.toml", "-o", "b.toml"], "given twice"),
    ],
)
def test_init_refuses(folder, words, sentence):
    assert sentence in answered("init", *words)
    assert list(folder.iterdir()) == []


TEMPLATE = shipped.template("mine.toml")


def explained(key: str) -> bool:
    """Whether the template has a key, in use or as a comment with words beside it: of a value, or of a table."""
    value = rf'^(# )?"?{key}"? = .*|^(# )?\[+([\w.]+\.)?{key}[].]|\[report\.{key}\]'
    return re.search(value, TEMPLATE, flags=re.MULTILINE) is not None


@pytest.mark.parametrize("table", ["", "[common]", "[grid]", "[report]", "[scale.large]"])
def test_the_template_explains_every_key(folder, table):
    """All that are accepted, as the refusal of another lists them; in [report] also those of analyses."""
    (folder / "s.toml").write_text(f"{table}\nqqqqqqqqqq = 1\n")
    sentence = refused(lambda: grid.read(folder / "s.toml"), "unknown key", "known are ")
    keys = sentence.rpartition("known are ")[2].rstrip(".").split(", ")
    assert len(keys) > 6
    assert {"", *keys}.isdisjoint({"qqqqqqqqqq", "…"})
    assert len(set(keys)) == len(keys)
    kinds = loadable(ANALYSES) | loadable(TABLES)
    others = {name for name, kind in kinds.items() if not kind.__module__.startswith("memstudy.")}
    assert [key for key in keys if key not in others and not explained(key)] == []


def test_a_key_that_it_lacks_would_be_noticed():
    assert not explained("novelty")
    assert not explained("poch")
    assert not explained("list")  # only in sentences


def commented() -> list[list[str]]:
    """What stands in comments of the template and could be used: a line with a key, or a table with its keys."""
    parts: list[list[str]] = []
    table = False
    for line in TEMPLATE.splitlines():
        text = line.removeprefix("# ")
        if line.startswith("# [") and re.fullmatch(r"\[[\w.]+\]", text):
            parts.append([text])
            table = True
        elif line.startswith("# ") and re.match(r"\w+ = \S", text):
            if table:
                parts[-1].append(text)
            else:
                parts.append([text])
        else:
            table = False
    return parts


BESIDE = {"milestones": ("# schedule", "cosine", "multistep"), "pairs": ('reg = ["bare"', '"do"', '"do", "bn"')}
"""What else must be written for a key: the beginning of a line, what stands there, and what must instead."""
OF_A_FILE = ("labels", "label_column", "anyway")


@pytest.mark.parametrize("part", commented(), ids=lambda part: part[0].split(" #")[0].strip())
def test_what_stands_in_comments_can_be_used(folder, part):
    key = part[0].split()[0]
    text = TEMPLATE.replace("\n".join(f"# {line}" for line in part), "\n".join(part))
    if key in BESIDE:
        begin, old, new = BESIDE[key]
        (line,) = [line for line in text.splitlines() if line.startswith(begin)]
        text = text.replace(line, line.removeprefix("# ").replace(old, new))
    assert text != TEMPLATE
    (folder / "mine.toml").write_text(text)
    if key in OF_A_FILE:  # which is not here
        refused(lambda: grid.read(folder / "mine.toml"), "noisy.npz" if key == "labels" else "add labels")
    else:
        assert grid.read(folder / "mine.toml").recipes


def test_there_is_much_in_comments():
    assert len(commented()) > 25
    assert ["[options.do]", "p = 0.5"] in commented()


# In the wheel


def data_files() -> set[str]:
    """Every file of the package that is no code, from its folder."""
    files = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file()}
    return {str(path) for path in files if path.suffix not in (".py", ".pyc")}


def test_every_data_file_is_declared():
    """setuptools leaves out what is not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["memstudy"]
    declared = {str(path.relative_to(PACKAGE)) for pattern in patterns for path in PACKAGE.glob(pattern)}
    assert data_files() == declared
    assert {f"study/shipped/{name}.toml" for name in NAMES} < declared


@pytest.mark.slow
def test_the_wheel_alone_has_the_studies(folder):
    """Built of a copy, as pip and setuptools do it, and installed where no checkout is on the path."""
    source, library = folder / "source", folder / "library"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        source.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(PACKAGE, source / "memstudy", ignore=shutil.ignore_patterns("__pycache__"))
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *offline, "-w", folder, source], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(library)
        assert {f"memstudy/{name}" for name in data_files()} <= set(archive.namelist())
    build = f"import setuptools.build_meta as build; build.build_sdist({str(folder)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"memstudy/{name}" for name in data_files()} <= packed

    shutil.rmtree(source)
    code = (
        "import sys, memstudy; from pathlib import Path; from memstudy.cli import main; "
        f"assert Path(memstudy.__file__).is_relative_to({str(library)!r}); main(sys.argv[1:])"
    )
    environment = os.environ | {"PYTHONPATH": str(library)}
    for words in (["study", "list", "--json"], ["study", "init", "--json"]):
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, *words],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert "studies" not in found or sorted({one["given"] for one in found["studies"]}) == NAMES
    assert (folder / "study.toml").is_file()
