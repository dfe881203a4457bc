"""What is behind a number: computed again from what is printed, and from the files, it is what the table shows."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path
from shutil import copytree

import jsonschema
import pandas as pd
import pytest
from click.testing import CliRunner

from memstudy import presets
from memstudy.cli import main
from memstudy.derived.deriving import not_counted
from memstudy.errors import MemstudyError
from memstudy.report import explaining
from memstudy.store import Status, Store
from memstudy.study.tables import every_table
from tests.kit.arithmetic import again, traced
from tests.kit.runs import select, write_run
from tests.results import KEPT
from tests.test_manners import SCHEMAS

STORED = Path(__file__).parents[1] / "studies" / "results" / "store"
SMALL = ("al2_epoch100", "quick")


@pytest.mark.parametrize(
    "study", [study if study in SMALL else pytest.param(study, marks=pytest.mark.slow) for study in KEPT]
)
def test_every_number_of_the_stored_studies_is_computed_again_from_its_runs_files(study):
    selection = Store(STORED).select((), study)
    assert sum(traced(table, selection) for table in every_table(selection)) > 8


def test_the_example_of_the_help_is_of_the_study_that_everybody_has():
    text = CliRunner().invoke(main, ["table", "--help"]).output
    (line,) = (line for line in text.splitlines() if "--explain '" in line)
    words = shlex.split(line)[1:]
    answer = CliRunner().invoke(main, [*words, "--runs-dir", str(STORED)])
    assert answer.exit_code == 0
    assert answer.output.startswith("table1:BN:24:test accuracy, %:with AL2 = ")
    assert f"where it takes more ({words[-1]})" in " ".join(text.split())


@pytest.fixture
def methods(tmp_path):
    """Two methods of four seeds, and a fifth seed of one that failed."""
    runs = []
    for reg in ("bare", "al2"):
        for seed in range(5):
            recipe = presets.build(reg=reg, seed=seed, epochs=2)
            failed = (reg, seed) == ("al2", 4)
            accuracy = 0.5 + 0.1 * (seed % 3) + (0.07 + 0.01 * seed) * (reg == "al2")
            rows = [{"test_accuracy": accuracy}] * (1 if failed else 2)
            runs.append(write_run(tmp_path, recipe, rows, status=Status.FAILED if failed else Status.FINISHED))
    return select(runs)


def explained(selection, address, **names):
    place = explaining.found(every_table(selection), address)
    return explaining.explained(place, selection, names)


def test_a_cell_has_its_runs_seeds_epochs_files_and_what_was_left_out(methods):
    facts = explained(methods, "table1:bare:1:test accuracy:with AL2", x="failed after 1 of 2 epochs")
    assert [(one["seeds"], one["epoch"]) for one in facts["members"]] == [(f"{seed}/0", 1) for seed in range(4)]
    assert [one["value"] for one in facts["members"]] == pytest.approx([57, 68, 79, 60])
    first = facts["members"][0]
    assert first["read"] == {
        "file": f"{first['run']}/metrics.csv", "row": {"epoch": 1}, "column": "test_accuracy", "how": "× 100",
    }  # fmt: skip
    text = "\n".join(explaining.told(facts))
    assert "left out: x (failed after 1 of 2 epochs)" in text
    values = " + ".join(repr(one["value"]) for one in facts["members"])
    assert f"mean = ({values}) / 4\n    = 66.0" in text
    assert "sample standard deviation, ddof = 1" in text
    assert "compared with without AL2:" in text
    assert len(facts["reference"]) == 5


def test_a_difference_is_that_of_the_seeds_that_both_have_with_its_interval_and_tests(methods):
    """By hand: 7, 8, 9 and 10 points in four pairs."""
    facts = explained(methods, "table1:bare:1:test accuracy:with AL2")
    found = again(facts)
    assert math.isclose(found["difference"], 8.5)
    assert math.isclose(found["error"], math.sqrt(5 / 3) / 2)
    assert math.isclose(found["high"] - found["difference"], 3.182446305284263 * found["error"])
    assert math.isclose(found["theirs"], 57.5)  # without the fifth seed: of all five it is 58
    tests = [values for values in every_table(methods)[0].values["p"].tolist() if values == values]
    assert f"Holm's: {len(tests)} tests" in "\n".join(explaining.told(facts))


def test_a_difference_of_seeds_that_are_not_shared_is_welchs(tmp_path):
    runs = [
        write_run(tmp_path, presets.build(reg=reg, seed=seed, epochs=1), [{"test_accuracy": accuracy}])
        for reg, seeds, start in (("bare", range(3), 0.5), ("al2", range(3, 7), 0.6), ("do", range(3), 0.4))
        for seed, accuracy in ((seed, start + 0.01 * seed * seed) for seed in seeds)
    ]
    facts = explained(select(runs), "methods:al2:test accuracy")
    found = again(facts)
    assert 2 < found["df"] < 5
    assert {"sd_of_ours", "sd_of_theirs"} <= set(found)
    (table,) = [table for table in every_table(select(runs)) if table.name == "methods"]
    assert (
        traced(table, select(runs)) == 3 * 7 - 3
    )  # bare has no difference and no effect; do has none, as all its pairs differ alike


def test_ranks_are_written_out_with_the_values_that_are_ranked_and_ties(tmp_path):
    runs = [
        write_run(tmp_path, presets.build(reg=reg, seed=seed, noise="symmetric", corrupt=rate, epochs=1), [
            {"test_accuracy": accuracy + 0.1 * seed * (reg == "wd")}])
        for reg, accuracy in {"bare": 0.5, "al2": 0.7, "do": 0.7, "wd": 0.6}.items()
        for seed in range(2)
        for rate in (0.25, 0.5)
    ]  # fmt: skip
    facts = explained(select(runs), "ranking:al2:mean rank")
    found = again(facts)
    assert facts["arithmetic"][0]["expression"] == "rank(70.0, [70.0, 50.0, 70.0, 60.0])"
    assert (found["rank_1"], found["rank_3"]) == (1.5, 2.0)  # two share the first place; then three do
    assert (found["seed_1"], found["seed_2"], found["mean"]) == (1.5, 2.0, 1.75)
    assert "rank(x, values): 1 + how many" in "\n".join(explaining.told(facts))


def test_a_published_number_has_its_paper_and_its_place_in_the_packages_data():
    """Both numbers of a cell of AL2's table: 84.2 is its Table 1's, bare, epoch 100."""
    facts = explained(Store(STORED).select((), "al2_epoch100"), "table1:Bare:100:test accuracy, %:without AL2")
    (cited,) = facts["published"]
    rows = pd.read_csv(Path(explaining.__file__).parents[1] / cited["file"])
    for name, value in cited["row"].items():
        rows = rows[rows[name] == value]
    assert rows[cited["column"]].item() == cited["value"] == 84.2
    assert facts["shown"].endswith("(84.2)")
    assert "published: 84.2 in AL2 (ICASSP 2020), Table 1" in "\n".join(explaining.told(facts))


def test_a_wrong_name_is_answered_with_the_nearest_and_an_unclear_one_with_all(methods):
    tables = every_table(methods)
    with pytest.raises(MemstudyError, match=r"near are .*table1:Bare:"):
        explaining.found(tables, "table1:Bar:1:test acuracy, %:with AL2")
    with pytest.raises(MemstudyError, match=r"names \d+ cells, such as"):
        explaining.found(tables, "Bare")


def test_every_address_that_is_listed_finds_its_cell(methods):
    tables = every_table(methods)
    for place in explaining.places(tables):
        assert explaining.found(tables, place.address).text == place.text


def test_the_command_explains_and_lists():
    where = ["--runs-dir", str(STORED), "--study", "al2_epoch100"]
    listed = CliRunner().invoke(main, ["table", "--cells", "--json", *where])
    assert listed.exit_code == 0, listed.output
    jsonschema.validate(json.loads(listed.stdout), SCHEMAS["table --cells"])
    cells = json.loads(listed.stdout)["cells"]
    address = next(name for name in cells if name.startswith("table1:Bare:100:L_r"))
    done = CliRunner().invoke(main, ["table", "--explain", address, "--json", *where])
    facts = json.loads(done.stdout)
    jsonschema.validate(facts, SCHEMAS["table --explain 'al2:test accuracy'"])
    assert (facts["cell"], facts["shown"]) == (address, cells[address])
    assert len(facts["members"]) == facts["numbers"]["n"]
    assert again(facts)["mean"] == pytest.approx(facts["numbers"]["mean"])
    assert not done.stderr
    wrong = CliRunner().invoke(main, ["table", "--explain", "nothing:like it", *where])
    assert wrong.exit_code == 2


def test_failed_unfinished_and_missing_runs_are_in_no_mean_and_told(tmp_path):
    statuses = [Status.FINISHED, Status.FINISHED, Status.FAILED, Status.INTERRUPTED]
    runs = [
        write_run(
            tmp_path, presets.build(reg=reg, seed=seed, epochs=2), [{}] * (2 if status is Status.FINISHED else 1),
            status=status,
        )
        for reg in ("bare", "al2")
        for seed, status in enumerate(statuses)
    ]  # fmt: skip
    selection = select(runs)
    facts = explaining.explained(
        explaining.found(every_table(selection), "table1:bare:1:L_c:with AL2"), selection, not_counted(selection)
    )
    assert {member["seeds"] for member in facts["members"]} == {"0/0", "1/0"}
    assert sorted(facts["left_out"].values()) == [
        *["failed after 1 of 2 epochs"] * 2, *["not finished, 1 of 2 epochs"] * 2
    ]  # fmt: skip
    assert any("Not counted: 4 of 8 runs" in note for note in facts["notes"])


def test_runs_that_are_damaged_are_named_beside_a_cell(tmp_path):
    names = [run.name for run in Store(STORED).select((), "loco_reg_lite").runs]
    for name in names:
        copytree(STORED / name, tmp_path / "runs" / name)
    (tmp_path / "runs" / names[0] / "metrics.csv").write_bytes(b"nothing")
    done = CliRunner().invoke(main, ["table", "--cells", "--runs-dir", str(tmp_path / "runs")])
    assert done.exit_code == 0, done.output
    assert f"left out: {tmp_path}/runs/{names[0]}/metrics.csv is damaged" in done.stderr.replace("\n", " ")
