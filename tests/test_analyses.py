"""The contract of analyses, tried on every one that is registered: see `memstudy.derived.analysis`.

A new analysis is tried by its line in the registry alone. Each law is a function, so that the last tests can show
that an analysis which breaks it is caught. Measuring and tables are real, of networks that were trained on real
images; figures are drawn, and not rendered.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import Mock

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import tomli_w
import torch
from click.testing import CliRunner

from memstudy import files
from memstudy.cli import main
from memstudy.derived import ANALYSES, analysis, deriving
from memstudy.derived.analysis import Analysis, Needs, Watch, configured
from memstudy.derived.methods import Curves
from memstudy.derived.similarity import measure
from memstudy.derived.similarity.plan import CONTROL, PAST, UNIFORM
from memstudy.derived.workbench import Workbench
from memstudy.errors import MemstudyError
from memstudy.options import Option, option, options
from memstudy.papers import TABLES
from memstudy.report import saving
from memstudy.report.folders import ENDINGS
from memstudy.report.table import Table
from memstudy.store import RunDirectory, Store
from memstudy.store.store import STUDY, Selection
from memstudy.study import derive_all, grid
from memstudy.study.reporting import REPORT
from tests.kit.others_code import new_process, package
from tests.kit.sentences import Sentences, refused
from tests.kit.sources import stand_in
from tests.kit.stores import small_recipes


@dataclass(frozen=True)
class Trial:
    """How an analysis is tried.

    Attributes:
        small: options, by field, with which it takes no longer than it must.
        others: values that are not the usual ones, where none follows from the option's declaration.
        together: what is measured of one run depends on the others, in its last digits.
        names_collapsed: a network that collapsed is named, too; else its row is all that says so.

    """

    small: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)
    together: bool = False
    names_collapsed: bool = False


TRIALS = {
    "svcca": Trial(
        {"epochs": (0, 2)}, {"keep": "fixed:5", "layer": "head.3"}, together=True, names_collapsed=True
    ),
    "ablate": Trial(
        {"epochs": (0, 2), "orders": 1}, {"layer": "trunk.4", "orders": 2, "epochs": (2,)}, names_collapsed=True
    ),
    "probe": Trial({"epochs": (0, 2), "samples": 50}, {"layers": ("trunk.2", "head.3"), "samples": 60}),
    "filters": Trial(others={"weights": ("weights.safetensors",)}, names_collapsed=True),
    "landscape": Trial({"epochs": (0, 2), "images": 20}, {"images": 30}, names_collapsed=True),
}
"""Of an analysis that is not named here: `Trial()`."""

each = pytest.mark.parametrize("name", ANALYSES.names())
registered = pytest.mark.parametrize(
    ("name", "registry"), [(name, registry) for registry in (ANALYSES, TABLES) for name in registry.names()]
)
SOME, MORE, ALONE = "some", "more", "alone"
"""Studies of two runs, of these and a third, and of the third."""


def trial(name: str) -> Trial:
    return TRIALS.get(name, Trial())


def another(name: str, one: Option) -> Any:
    """A value of an option that is not the usual one."""
    usual = one.default
    if one.name in trial(name).others:
        return trial(name).others[one.name]
    if one.choices:
        return next(choice for choice in reversed(one.choices) if choice != usual)
    if one.kind is bool:
        return not usual
    if one.many:
        return (0, 2) if one.kind is int else (usual or ())
    return usual if one.kind is str or usual is None else usual + 1


def every_other(name: str) -> dict[str, Any]:
    """All its options, none as usual."""
    return {field: another(name, one) for field, one in options(analysis(name)).items()}


def words(name: str, given: Mapping[str, Any]) -> list[str]:
    """Options, by field, on the command line."""
    found = []
    for option_name, value in given.items():
        one = options(analysis(name))[option_name]
        word = one.key.replace("_", "-")
        if one.kind is bool:
            found.append(f"--{word}" if value else f"--no-{word}")
        elif one.many and one.kind is str:
            found += [part for text in value for part in (f"--{word}", text)]
        else:
            found += [f"--{word}", ",".join(map(str, value)) if one.many else str(value)]
    return found


def keys(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The same in a study's [report.NAME]."""
    plain = {field: list(value) if isinstance(value, tuple) else value for field, value in given.items()}
    return {options(analysis(name))[field].key: value for field, value in plain.items()}


# Stores


@pytest.fixture(autouse=True, scope="module")
def written_figures() -> Iterator[list[str]]:
    """The names of all figures that are written, which are not rendered: their files have their data."""
    found: list[str] = []

    def save(
        folder: Path, name: str, figure: Any, data: pd.DataFrame, how: str = "", caption: str = ""
    ) -> list[Path]:
        plt.close(figure)
        found.append(name)
        paths = [folder / f"{name}.{ending}" for ending in ENDINGS["figures"] if "caption" not in ending]
        for path in paths:
            files.write(path, data.to_csv(index=False))
        return paths

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saving, "save", save)
        yield found


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure at all: for laws of what is measured and tabulated."""
    monkeypatch.setattr(deriving, "write_figures", lambda analysis, selection, look=None: [])


def linked(root: Path, place: Path) -> Path:
    """A copy of a store that shares its files until they are replaced, which is how memstudy writes."""
    shutil.copytree(root, place, copy_function=os.link)
    return place


@pytest.fixture(scope="module")
def store(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with three of the trained runs: bare and AL2 of one seed, bare of another."""
    root = tmp_path_factory.mktemp("analyses") / "runs"
    recipes = [recipe for recipe in small_recipes() if "do" not in (r.name for r in recipe.regularizers)][:3]
    runs = [Store(root).open(recipe) for recipe in recipes]
    for run in runs:
        linked(trained / run.name, run.path)
    for study, members in {SOME: runs[:2], MORE: runs, ALONE: runs[2:]}.items():
        Store(root).record_study(study, members, {})
    return root


@pytest.fixture(scope="module")
def commanded(store, small, tmp_path_factory) -> Callable[[str], tuple[Path, dict[str, Any]]]:
    """By the name of an analysis: the store after its command with small options, and its --json."""
    made: dict[str, tuple[Path, dict[str, Any]]] = {}

    def after(name: str) -> tuple[Path, dict[str, Any]]:
        if name not in made:
            root = linked(store, tmp_path_factory.mktemp(name) / "runs")
            with stand_in(small):
                summary = command(
                    name, "--study", SOME, "--runs-dir", str(root), *words(name, trial(name).small), "--json"
                )
            made[name] = root, summary
        return made[name]

    return after


@pytest.fixture(scope="module")
def derived(commanded) -> Callable[[str], Path]:
    """That store, which is not to be changed."""
    return lambda name: commanded(name)[0]


def command(*line: str) -> dict[str, Any]:
    """The --json of a command that succeeds."""
    done = CliRunner().invoke(main, line)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def carry_out(
    root: Path, name: str, study: str = SOME, voice: Sentences | None = None, **given: Any
) -> dict[str, Any]:
    """Derive an analysis of a study, with its small options or these."""
    selection = Store(root).select(study=study)
    one = configured(analysis(name), selection.settings(), given or trial(name).small)
    return deriving.derive(one, selection, bench(), voice or Sentences())


def bench() -> Workbench:
    return Workbench(torch.device("cpu"))


def content(root: Path, study: str = SOME, but: str = "") -> dict[str, bytes]:
    """All files of a study's folder; `but` one folder."""
    folder = root / "studies" / study
    found = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if name != STUDY and not (but and name.startswith(f"{but}/"))
    }


@contextmanager
def looked_at() -> Iterator[list[str]]:
    """The names of runs of which a network, records or images are read, as they are: what is costly."""
    found: list[str] = []

    def watched(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            found.extend(one.name for one in given if isinstance(one, RunDirectory))
            return method(*given, **named)

        return call

    costly = {
        Workbench: ("network", "untrained", "test_set", "image_set"),
        RunDirectory: ("load_checkpoint", "dynamics"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for kind, methods in costly.items():
            for method in methods:
                patch.setattr(kind, method, watched(getattr(kind, method)))
        yield found


class Stopping(Sentences):
    """Ctrl-C at the n-th report of progress; never if n is 0."""

    def __init__(self, stop: int = 0) -> None:
        super().__init__()
        self.stop, self.reports = stop, 0

    @contextmanager
    def counted(self, what: str) -> Iterator[Callable[[int, int], None]]:
        def report(done: int, total: int) -> None:
            self.reports += 1
            if self.reports == self.stop:
                raise KeyboardInterrupt

        yield report


# A second call, an interruption, one more run


def law_of_a_second_call(root: Path, name: str) -> None:
    """It computes nothing, and leaves the same bytes."""
    before = content(root)
    with looked_at() as found:
        carry_out(root, name)
    assert not found, f"measures {set(found)} again"
    assert content(root) == before


@each
def test_a_second_call_computes_nothing(name, derived, tmp_path, small_source):
    law_of_a_second_call(linked(derived(name), tmp_path / "runs"), name)


@each
def test_an_analysis_measures_something_at_first(name, store, tmp_path, small_source, undrawn):
    """Else the law above holds of nothing."""
    with looked_at() as found:
        carry_out(linked(store, tmp_path / "runs"), name)
    runs = {run.name for run in Store(store).select(study=SOME).runs}
    assert analysis(name).needs is Needs.METRICS or set(found) == runs


@each
def test_an_interruption_while_measuring_loses_nothing(name, store, derived, tmp_path, small_source, undrawn):
    expected = content(derived(name), but="figures")
    undisturbed = Stopping()
    carry_out(linked(store, tmp_path / "undisturbed"), name, voice=undisturbed)
    for stop in sorted({1, undisturbed.reports // 2 + 1, undisturbed.reports}):
        root = linked(store, tmp_path / str(stop))
        with pytest.raises(KeyboardInterrupt):
            carry_out(root, name, voice=Stopping(stop))
        carry_out(root, name)
        assert content(root) == expected, f"stopped at {stop} of {undisturbed.reports}"
    with pytest.raises(KeyboardInterrupt):  # and a whole one survives an interrupted look at it
        carry_out(root, name, voice=Stopping(1))
    law_of_a_second_call(root, name)
    assert content(root) == expected


@each
@pytest.mark.parametrize("moment", [pytest.param("after a file", marks=pytest.mark.slow), "before the figures"])
def test_an_interruption_while_writing_loses_nothing(name, moment, derived, tmp_path, small_source, monkeypatch):
    """Of files that are there already, too: none is left half written, or of an earlier time."""
    root = linked(derived(name), tmp_path / "runs")
    folder = root / "studies" / SOME
    shutil.rmtree(folder / "figures", ignore_errors=True)
    shutil.rmtree(folder / "tables", ignore_errors=True)

    with monkeypatch.context() as patch:
        if moment == "after a file":
            stopped = Mock(side_effect=[[], KeyboardInterrupt])
            patch.setattr(Table, "write", lambda *given: stopped())
            patch.setattr(saving.Drawing, "write", lambda *given: stopped())
        else:
            patch.setattr(deriving, "write_figures", Mock(side_effect=KeyboardInterrupt))
        try:
            carry_out(root, name)
        except KeyboardInterrupt:
            assert content(root) != content(derived(name))
    with looked_at() as found:
        carry_out(root, name)
    assert not found
    assert content(root) == content(derived(name))


@each
def test_one_more_run_is_measured_alone(name, store, derived, tmp_path, small_source, undrawn):
    """And the bytes are those of all runs measured at once."""
    root = linked(derived(name), tmp_path / "runs")
    shutil.copytree(
        root / "studies" / SOME, root / "studies" / MORE, dirs_exist_ok=True, ignore=lambda *_: [STUDY]
    )
    (third,) = Store(root).select(study=ALONE).runs
    with looked_at() as found:
        carry_out(root, name, MORE)
    assert set(found) == {third.name} or trial(name).together
    at_once = linked(store, tmp_path / "at once")
    carry_out(at_once, name, MORE)
    assert content(root, MORE, but="figures") == content(at_once, MORE, but="figures")


def test_one_more_run_is_compared_in_the_pairs_that_it_takes_part_in(derived, tmp_path, small_source, undrawn):
    """And in what is computed together with them; not the epochs of the other runs with each other."""
    root = linked(derived("svcca"), tmp_path / "runs")
    shutil.copytree(
        root / "studies" / SOME, root / "studies" / MORE, dirs_exist_ok=True, ignore=lambda *_: [STUDY]
    )
    (third,) = Store(root).select(study=ALONE).runs
    with pytest.MonkeyPatch.context() as patch:
        measured = Mock(wraps=measure._measure)
        patch.setattr(measure, "_measure", measured)
        carry_out(root, "svcca", MORE)
    pairs = pd.read_csv(root / "studies" / MORE / "svcca.csv")
    kept = pairs["relation"].isin((PAST, CONTROL)) & (pairs["run_a"] != third.name)
    assert kept.any()
    assert measured.call_count == (~kept).sum()


# Networks that collapsed or diverged


@pytest.fixture
def sick(store, tmp_path) -> tuple[Path, list[str]]:
    """The store, its first network collapsed at the end, its second one diverged; and the runs' names."""
    root = linked(store, tmp_path / "runs")
    runs = Store(root).select(study=MORE).runs
    for run, value in zip(runs, (0.0, float("nan")), strict=False):
        tensors = run.load_checkpoint(2)
        run.save_checkpoint(2, {name: torch.full_like(tensor, value) for name, tensor in tensors.items()})
    return root, [run.name for run in runs]


def rows_of(root: Path, study: str, run: str) -> dict[str, list[tuple[Any, ...]]]:
    """Of each derived file the rows that are of one run alone."""
    found = {}
    for path in sorted((root / "studies" / study).glob("*.csv")):
        table = pd.read_csv(path, dtype=str)
        sides = table[[name for name in ("run", "network", "run_a", "run_b") if name in table]]
        if len(sides.columns) and not path.stem.endswith("together"):  # which names others
            own = table[sides.isin((run, UNIFORM)).all(axis="columns")]
            found[path.name] = list(own.fillna("").itertuples(index=False, name=None))
    return found


@each
def test_a_sick_network_stops_no_other_and_is_named(name, sick, tmp_path, small_source, undrawn):
    if analysis(name).needs not in (Needs.NETWORKS, Needs.WEIGHTS):
        pytest.skip("it looks at no network")
    root, (collapsed, diverged, sound) = sick
    summary = carry_out(root, name, MORE)
    carry_out(root, name, ALONE)
    alone = rows_of(root, ALONE, sound)
    assert alone
    assert rows_of(root, MORE, sound) == alone
    told = [clause for clause in summary["left_out"] if clause.startswith(f"{diverged}, epoch 2")]
    assert len(told) == 1
    has_row = False
    for path in (root / "studies" / MORE).glob("*.csv"):
        table = pd.read_csv(path)
        for run, epoch in (("run", "epoch"), ("network", "epoch"), ("run_a", "epoch_a"), ("run_b", "epoch_b")):
            if {run, epoch} <= {*table}:
                assert not ((table[run] == diverged) & (table[epoch] == 2)).any(), path.name
                has_row |= bool(((table[run] == collapsed) & (table[epoch] == 2)).any())
    named = any(clause.startswith(f"{collapsed}, epoch 2") for clause in summary["left_out"])
    assert named if trial(name).names_collapsed else has_row
    assert carry_out(root, name, MORE)["left_out"] == summary["left_out"]  # the next time, too


# What is told and written


@each
def test_json_is_complete(name, commanded):
    """`left_out`, `written` and `figures`: of tables and figures exactly those that there are."""
    law_of_json(*commanded(name))


def law_of_json(root: Path, summary: Mapping[str, Any]) -> None:
    there = [path for folder in ENDINGS for path in (root / "studies" / SOME / folder).glob("*")]
    assert set(map(Path, summary["written"])) == set(there)
    assert len(summary["written"]) == len(there)
    assert set(map(Path, summary["figures"])) == {path for path in there if path.parent.name == "figures"}
    assert all(isinstance(clause, str) for clause in summary["left_out"])


@pytest.fixture(scope="module")
def study_of_all(store, small, tmp_path_factory, written_figures) -> tuple[Path, dict[str, Any], list[str]]:
    """The store after a study of all analyses and tables, its --json, and the figures that were written."""
    root = linked(store, tmp_path_factory.mktemp("all") / "runs")
    report: dict[str, Any] = {"analyses": ANALYSES.names(), "tables": TABLES.names()}
    report |= {name: keys(name, trial(name).small) for name in ANALYSES.names()}
    file = study_file(root.parent, report)
    before = len(written_figures)
    with stand_in(small):
        summary = command("study", str(file), "--jobs", "1", "--device", "cpu", "--runs-dir", str(root), "--json")
    return root, summary, written_figures[before:]


def study_file(folder: Path, report: Mapping[str, Any]) -> Path:
    """The study SOME with a report."""
    content = {
        "name": SOME, "preset": "quick", "seeds": [0], "options": {"al2": {"initial": 1.0}},
        "grid": {"reg": ["bare", "al2"], "epochs": 3}, "report": dict(report),
    }  # fmt: skip
    path = folder / "study.toml"
    path.write_text(tomli_w.dumps(content))
    return path


def test_json_of_a_study_is_complete(study_of_all):
    root, summary, _ = study_of_all
    law_of_json(root, summary)
    assert {"ablation", "svcca", "probe", "dynamics", "numbers"} <= {*summary}


def test_figures_of_a_study_are_drawn_once(study_of_all):
    root, _, written = study_of_all
    there = {path.stem for path in (root / "studies" / SOME / "figures").glob("*.svg")}
    assert len(there) > len(ANALYSES.names())
    assert sorted(written) == sorted(there)


@pytest.mark.parametrize("verb", ["table", pytest.param("figures", marks=pytest.mark.slow)])
def test_json_of_what_is_made_again_is_complete(verb, study_of_all, tmp_path):
    root = linked(study_of_all[0], tmp_path / "runs")
    before = content(root)
    folder = root / "studies" / SOME
    if verb == "figures":
        shutil.rmtree(folder / "tables")
    summary = command(verb, "--study", SOME, "--runs-dir", str(root), "--json")
    assert all(clause.startswith("the table ") for clause in summary["left_out"])  # there is nothing for it
    assert set(map(Path, summary["figures"])) <= set(map(Path, summary["written"]))
    assert all(Path(path).is_file() for path in summary["written"])
    if verb == "figures":
        law_of_json(root, summary)
    else:
        assert content(root) == before


# Options


def carried_out(root: Path, name: str, line: list[str], report: Mapping[str, Any]) -> Analysis:
    """With which options a command carries out its analysis of a study that has this report."""
    record(root, report)
    with pytest.MonkeyPatch.context() as patch:
        derive = Mock(return_value={})
        patch.setattr(deriving, "derive", derive)
        command(name, "--study", SOME, "--runs-dir", str(root), *line, "--json")
    one: Analysis = derive.call_args.args[0]
    return one


def record(root: Path, report: Mapping[str, Any]) -> None:
    """Let the study SOME have a report."""
    Store(root).record_study(SOME, Store(root).select(study=SOME).runs, dict(report))


@each
def test_an_option_means_the_same_in_a_command_and_in_a_study(name, store, tmp_path):
    """Beside all others, of which the command takes those of the study that it is not given."""
    root, every = linked(store, tmp_path / "runs"), every_other(name)
    expected = analysis(name)(**every)
    assert carried_out(root, name, words(name, every), {}) == expected
    assert carried_out(root, name, [], {name: keys(name, every)}) == expected
    for one in every:
        rest = {field: value for field, value in every.items() if field != one}
        given = {one: every[one]}
        assert carried_out(root, name, words(name, given), {name: keys(name, rest)}) == expected, one
        if options(analysis(name))[one].key in analysis(name).shared:
            assert carried_out(root, name, [], {name: keys(name, rest)} | keys(name, given)) == expected, one


@each
def test_a_command_goes_before_the_study_and_its_table_before_what_is_shared(name, store, tmp_path):
    root, every = linked(store, tmp_path / "runs"), every_other(name)
    usual = {field: getattr(analysis(name)(), field) for field in every}
    told = {field: value for field, value in usual.items() if value not in (None, ())}
    report = {name: keys(name, every)}
    assert carried_out(root, name, words(name, told), report) == replace(analysis(name)(**every), **told)
    for one in (one for one in options(analysis(name)).values() if one.key in analysis(name).shared):
        shared = {one.key: keys(name, {one.name: another(name, one)})[one.key]}
        own = [1] if one.many else one.default + 2
        assert getattr(carried_out(root, name, [], shared | {name: {one.key: own}}), one.name) == one.checked(own)


@each
def test_a_command_and_a_study_leave_the_same_bytes(name, store, tmp_path, small_source, monkeypatch, undrawn):
    monkeypatch.chdir(tmp_path)
    shutil.copy(
        Store(store).select(study=ALONE).runs[0].path / "checkpoints/epoch-0002.safetensors", "weights.safetensors"
    )
    every = every_other(name)
    by_command, by_study = (linked(store, tmp_path / place) for place in ("command", "study"))
    command(name, "--study", SOME, "--runs-dir", str(by_command), *words(name, every), "--json")
    record(by_study, {"analyses": [name], "tables": [], name: keys(name, every)})
    monkeypatch.setattr(Curves, "figures", lambda *given: ())
    selection = Store(by_study).select(study=SOME)
    derive_all.derive_all(selection, bench(), Sentences())
    found = content(by_study)
    assert found.pop(derive_all.DERIVED)
    assert found.pop(REPORT)
    assert found == content(by_command)
    assert len(found) > 1


WRONG: dict[Any, Any] = {int: "many", float: "much", bool: "yes", str: 7}


@registered
def test_a_mistake_in_a_report_is_told_with_its_key_table_and_file(name, registry, tmp_path):
    kind = analysis(name, registry)
    for one in options(kind).values():
        mistyped = f"{one.key}x"
        for report, place in (
            ({name: {mistyped: 1}}, f"[report.{name}]"),
            ({name: {one.key: WRONG[one.kind]}}, f"{one.key} in [report.{name}]"),
            ({name: {one.key: [WRONG[one.kind]]}}, f"{one.key} in [report.{name}]"),
        ):
            path = study_file(tmp_path, report)
            sentence = refused(lambda: grid.read(path), place, str(path))  # noqa: B023
            assert mistyped not in sentence or f"did you mean {one.key}" in sentence
        for choice in one.choices:
            path = study_file(tmp_path, {name: {one.key: f"{choice}s"}})
            refused(lambda: grid.read(path), f"{one.key} in [report.{name}]", f"did you mean {choice}?", str(path))  # noqa: B023
        if one.key in kind.shared:
            refused(lambda: grid.read(study_file(tmp_path, {mistyped: 1})), f"did you mean {one.key}", "[report]")  # noqa: B023
            refused(lambda: grid.read(study_file(tmp_path, {one.key: WRONG[one.kind]})), f"{one.key} in [report]")  # noqa: B023
    if kind.shared and options(kind):
        refused(lambda: grid.read(study_file(tmp_path, {name: 3})), f"[report.{name}]", "must be a table")


def test_options_that_do_not_go_together_are_told_with_their_table(tmp_path, store):
    report = {"ablate": {"labels": "noisy"}}
    path = study_file(tmp_path, report)
    refused(lambda: grid.read(path), "[report.ablate]", str(path), "images")
    root = linked(store, tmp_path / "runs")
    record(root, report)
    done = CliRunner().invoke(main, ["ablate", "--runs-dir", str(root), "--study", SOME])
    assert done.exit_code == 2
    assert "[report.ablate]" in done.output
    assert STUDY in done.output


@each
def test_a_mistake_on_the_line_names_the_option(name, store, tmp_path):
    for one in options(analysis(name)).values():
        word = f"--{one.key.replace('_', '-')}"
        if one.kind is not str or one.choices:
            value = [] if one.kind is bool else [f"{one.choices[0]}s" if one.choices else "many"]
            line = [f"{word}=much"] if one.kind is bool else [word, *value]
            done = CliRunner().invoke(main, [name, *line, "--runs-dir", str(store)])
            assert done.exit_code == 2
            assert word in done.output
            assert not one.choices or f"did you mean {one.choices[0]}" in done.output
        misspelt = CliRunner().invoke(main, [name, f"{word}x", "1", "--runs-dir", str(store)])
        assert misspelt.exit_code == 2
        assert word in misspelt.output


# What an earlier time left


USERS = (
    "notes.md",
    "mine.csv",
    "probe.xlsx",
    "landscape.ai",
    "table1",
    "svcca_mine.csv",
    ".hidden",
    "probe/fig.svg",
)
"""Files of a user's, in the folders of tables and of figures."""


def plant(root: Path) -> list[Path]:
    places = [root / "studies" / SOME / folder / name for folder in ENDINGS for name in USERS]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("a user's own")
    return places


def left(root: Path) -> set[str]:
    """What is in both folders."""
    return {name for name in content(root) if name.partition("/")[0] in ENDINGS}


@pytest.mark.parametrize("change", ["analyses", "runs"])
def test_what_an_earlier_study_left_goes_and_a_users_files_stay(
    change, study_of_all, tmp_path, small_source, monkeypatch
):
    """Of analyses and tables that the study no longer has, of other options, of other runs."""
    root = linked(study_of_all[0], tmp_path / "runs")
    monkeypatch.setattr(Curves, "figures", lambda *given: ())
    users = plant(root)
    folder = root / "studies" / SOME
    for kind in map(analysis, ANALYSES.names()):  # what another layer would have written, say
        for suffix in {kind(**{one: value}).suffix for one, value in sole(kind.name)} - {""}:
            for where in ENDINGS:
                for stem in kind.written_to(where):
                    (folder / where / f"{witness(stem)}{suffix}.csv").write_text("of other options")
    report: dict[str, Any] = {
        "analyses": ["ablate"],
        "tables": ["memorization"],
        "ablate": keys("ablate", trial("ablate").small),
    }
    if change == "runs":
        Store(root).record_study(SOME, Store(root).select(study=ALONE).runs, report)
    else:
        record(root, report)
    summary, errors = derive_all.derive_all(Store(root).select(study=SOME), bench(), Sentences())
    assert not errors
    written = {str(Path(name).relative_to(folder)) for name in summary["written"]}
    assert left(root) == written | {str(place.relative_to(folder)) for place in users}
    assert {Path(name).stem for name in summary["tables"]} == {"memorization"}
    assert "figures/ablation.svg" in written


def sole(name: str) -> Iterator[tuple[str, Any]]:
    """Its options, each with a value that is not the usual one, that go without others."""
    for one, value in every_other(name).items():
        with suppress(MemstudyError):
            analysis(name)(**{one: value})
            yield one, value


def witness(pattern: str) -> str:
    """A name that a pattern stands for."""
    return pattern.replace("[0-9]", "3").replace("*", "")


@each
def test_tables_and_figures_that_are_no_longer_made_go(name, study_of_all, tmp_path, small_source, undrawn):
    """Of the same options: a second group of runs that is gone, say. What is there of other options stays."""
    root, kind = linked(study_of_all[0], tmp_path / "runs"), analysis(name)
    folder, users = root / "studies" / SOME, plant(root)
    gone = [folder / "tables" / f"{witness(stem)}--lr-0.1.md" for stem in kind.tabulates]
    stay = [folder / "tables" / f"{witness(stem)}-trunk.2.md" for stem in kind.tabulates]
    for place in (*gone, *stay):
        place.write_text("of an earlier time")
    carry_out(root, name)
    assert not any(place.exists() for place in gone)
    assert all(place.exists() for place in (*stay, *users))


# The declaration


@registered
def test_the_declaration_is_whole(name, registry):
    kind = analysis(name, registry)
    assert kind.name == name
    first = (kind.__doc__ or "").partition("\n")[0]
    assert first.endswith((".", ":", ",")) or first
    assert first[0].isupper()
    assert 20 < len(first) <= 115
    assert kind() == configured(kind, {})
    for one in options(kind).values():
        assert one.help.endswith((".", ")")) or one.help
        assert one.checked(one.default) == one.default


def test_no_two_write_the_same_file():
    kinds: list[type[Analysis]] = [Curves]
    kinds += [analysis(name, registry) for registry in (ANALYSES, TABLES) for name in registry.names()]
    for folder, (one, other) in ((folder, pair) for folder in ENDINGS for pair in combinations(kinds, 2)):
        assert not clashes(one, other, folder), (one.name, other.name)


def clashes(one: type[Analysis], other: type[Analysis], folder: str) -> list[str]:
    """Names of files that both might write, or remove as their own."""
    names = [f"{witness(pattern)}{end}.csv" for kind in (one, other) for pattern in kind.written_to(folder)
             for end in ("", "--lr-0.1", "-trunk.2")]  # fmt: skip
    return [name for name in names if all(kind.could_own(Path(folder, name)) for kind in (one, other))]


def test_declarations_import_nothing_heavy():
    """In a new process: here all of it is imported already."""
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", str(len(ANALYSES.names()) + len(TABLES.names()))]


LIGHT = """
import sys
from memstudy.derived import ANALYSES, analysis
from memstudy.papers import TABLES
kinds = [analysis(name, registry) for registry in (ANALYSES, TABLES) for name in registry.names()]
print(not {"torch", "numpy", "pandas", "matplotlib", "scipy"} & set(sys.modules), len(kinds))
"""


# Bad analyses are caught


@dataclass(frozen=True)
class Again(Analysis):
    """Measures every time, and would be caught at that."""

    name: ClassVar[str] = "bad"
    tabulates: ClassVar[tuple[str, ...]] = ("bad",)

    def measure(self, selection: Selection, bench: Workbench, watch: Watch) -> None:
        for run in selection.runs:
            bench.network(run, 2)


@dataclass(frozen=True)
class Undeclared(Analysis):
    """Writes a table that it does not declare."""

    name: ClassVar[str] = "bad"

    def tables(self, selection: Selection) -> list[Table]:
        frame = pd.DataFrame({"n": ["1"]})
        return [Table("surprise", "Surprise", (), frame, frame, words=())]


@dataclass(frozen=True)
class Grows(Analysis):
    """Leaves other bytes each time."""

    name: ClassVar[str] = "bad"

    def measure(self, selection: Selection, bench: Workbench, watch: Watch) -> None:
        with (selection.path / "bad.csv").open("a") as file:
            file.write("1\n")


@dataclass(frozen=True)
class Loose(Analysis):
    """Has a field that is no option."""

    name: ClassVar[str] = "bad"
    loose: int = 3


@dataclass(frozen=True)
class Needed(Analysis):
    """Has an option without a default."""

    name: ClassVar[str] = "bad"
    needed: int = option("How many.")


@dataclass(frozen=True)
class Taken(Analysis):
    """Has an option of a name that every command has."""

    name: ClassVar[str] = "bad"
    flag: str = option("Where.", "", key="device")


@dataclass(frozen=True)
class Misnamed(Analysis):
    """Is registered under another name."""

    name: ClassVar[str] = "good"


@dataclass(frozen=True)
class Untyped(Analysis):
    """Has an option of a type that nobody knows."""

    name: ClassVar[str] = "bad"
    odd: Unheard = option("What.", 1)  # type: ignore[name-defined]  # noqa: F821, RUF009


class Plain(Analysis):
    """Is no dataclass."""

    name: ClassVar[str] = "bad"


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[[type], None]:
    """Register a class of this file as the analysis `bad`."""

    def call(kind: type) -> None:
        monkeypatch.setitem(ANALYSES._ours, "bad", f"{__name__}:{kind.__name__}")

    return call


@pytest.mark.parametrize(("kind", "says"), [(Again, "again"), (Grows, "==")])
def test_an_analysis_that_repeats_itself_is_caught(kind, says, register, store, tmp_path, small_source):
    register(kind)
    root = linked(store, tmp_path / "runs")
    carry_out(root, "bad")
    with pytest.raises(AssertionError, match=says):
        law_of_a_second_call(root, "bad")


def test_a_table_that_is_not_declared_is_refused(register, store, tmp_path, small_source):
    register(Undeclared)
    root = linked(store, tmp_path / "runs")
    refused(lambda: carry_out(root, "bad"), "'surprise'", "none of its tables", "author")
    assert not left(root)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Loose, "its field 'loose' with option"),
        (Needed, "its field 'needed' with option"),
        (Taken, "its option 'flag' otherwise"),
        (Misnamed, "this name, not 'good'"),
        (Untyped, "types (name 'Unheard' is not defined)"),
        (Plain, "frozen dataclass"),
        (dict, "derived from memstudy.derived.analysis.Analysis"),
    ],
)
def test_a_bad_declaration_is_told_in_help_and_stops_nothing_else(kind, says, register, store, monkeypatch):
    if kind is dict:
        monkeypatch.setitem(ANALYSES._ours, "bad", "builtins:dict")
    else:
        register(kind)
    refused(lambda: analysis("bad"), "'bad'", says)
    assert_only_bad_is_stopped(says.split()[0], store, monkeypatch)


def assert_only_bad_is_stopped(says: str, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Help lists it, its command refuses, and others' are as they were."""
    run = CliRunner().invoke
    monkeypatch.setenv("COLUMNS", "400")
    helped = run(main, ["--help"])
    assert helped.exit_code == 0, helped.output
    assert "  bad " in helped.output
    assert says in run(main, ["bad", "--help"]).output
    called = run(main, ["bad", "--anything", "--runs-dir", str(store)])
    assert called.exit_code == 2
    assert "'bad'" in called.output
    for name in ANALYSES.names()[:-1]:
        assert run(main, [name, "--help"]).exit_code == 0


def test_an_entry_point_that_cannot_be_imported_stops_nothing_else(store, tmp_path, monkeypatch, small_source):
    """Neither help, nor studies that do not ask for it."""
    package(
        tmp_path, "[memstudy.analyses]\nbad = ours_to_break:Bad\n[memstudy.tables]\nworse = ours_to_break:Worse\n"
    )
    (tmp_path / "ours_to_break.py").write_text("import nothing_of_this_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    new_process("ours_to_break")
    assert ANALYSES.names()[-1] == "bad"
    assert_only_bad_is_stopped("cannot", store, monkeypatch)
    for report in ({"analyses": ["bad"]}, {"tables": ["worse"]}, {"bad": {"much": 1}}):
        path = study_file(tmp_path, report)
        refused(lambda: grid.read(path), "cannot be loaded", "nothing_of_this_name", "ours-to-test 1.0")  # noqa: B023
    root = linked(store, tmp_path / "runs")
    path = study_file(tmp_path, {"analyses": []})
    monkeypatch.setattr(Curves, "figures", lambda *given: ())
    summary = command("study", str(path), "--jobs", "1", "--device", "cpu", "--runs-dir", str(root), "--json")
    assert {Path(path).stem for path in summary["written"]} >= {"table1"}
    assert not any("bad" in clause or "worse" in clause for clause in summary["left_out"])


FAILS = """
from dataclasses import dataclass
from memstudy.derived.analysis import Analysis

@dataclass(frozen=True)
class Bad(Analysis):
    name = "bad"

    def measure(self, selection, bench, watch):
        return 1 / 0
"""


def test_an_analysis_that_fails_keeps_no_other_from_a_study(store, tmp_path, monkeypatch, small_source):
    package(tmp_path, "[memstudy.analyses]\nbad = ours_to_fail:Bad\n")
    (tmp_path / "ours_to_fail.py").write_text(FAILS)
    monkeypatch.syspath_prepend(tmp_path)
    new_process("ours_to_fail")
    root = linked(store, tmp_path / "runs")
    record(root, {"analyses": ["bad", "filters"], "tables": []})
    monkeypatch.setattr(Curves, "figures", lambda *given: ())
    summary, (error,) = derive_all.derive_all(Store(root).select(study=SOME), bench(), Sentences())
    assert "ZeroDivisionError: division by zero in measure (" in str(error)
    assert any(clause.startswith("bad: ") for clause in summary["left_out"])
    assert "tables/filters.md" in left(root)
    new_process("ours_to_fail")


def test_clashing_names_are_found():
    @dataclass(frozen=True)
    class Clashing(Analysis):
        name: ClassVar[str] = "bad"
        tabulates: ClassVar[tuple[str, ...]] = ("prob*",)

    assert clashes(Clashing, analysis("probe"), "tables")
    assert not clashes(Clashing, analysis("probe"), "figures")
