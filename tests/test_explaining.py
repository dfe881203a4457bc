"""What is behind a number: computing it again from the values of its runs gives what is printed."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
from click.testing import CliRunner

from memstudy import presets
from memstudy.cli import main
from memstudy.errors import MemstudyError
from memstudy.report import explaining
from memstudy.report.cells import DASH
from memstudy.report.origin import Cell
from memstudy.store import Status, Store
from memstudy.study.tables import every_table
from tests.kit.runs import select, write_run
from tests.results import KEPT

STORED = Path(__file__).parents[1] / "studies" / "results" / "store"
SMALL = ("al2_epoch100", "loco_reg_lite", "quick")


def again(cell: Cell) -> str:
    """Mean ± sd of the members, by Python's own statistics."""
    values = [member.value for member in cell.origin.members.each()]
    digits = cell.origin.digits
    if not values:
        return ""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


@pytest.mark.parametrize(
    "study", [study if study in SMALL else pytest.param(study, marks=pytest.mark.slow) for study in KEPT]
)
def test_every_mean_of_the_stored_studies_is_computed_again_from_its_members(study):
    selection = Store(STORED).select((), study)
    names, count = {run.name for run in selection.runs}, 0
    for table in every_table(selection):
        for cell in (cell for row in table.rows for cell in row if isinstance(cell, Cell)):
            recomputed, runs = again(cell), [member.run for member in cell.origin.members.each()]
            assert recomputed in cell, (table.name, cell)
            assert recomputed or cell.startswith((DASH, "never")), (table.name, cell)
            assert (
                len(set(runs))
                == len(runs)
                == cell.origin.numbers["n" if "reached" not in cell.origin.numbers else "reached"]
            )
            assert set(runs) <= names
            count += 1
    assert count > 8


@pytest.fixture
def methods(tmp_path):
    """Two methods of two seeds, and a third seed that failed."""
    runs = []
    for reg in ("bare", "al2"):
        for seed in range(3):
            recipe = presets.build(reg=reg, seed=seed, epochs=2)
            status = Status.FAILED if (reg, seed) == ("al2", 2) else Status.FINISHED
            rows = [{"test_accuracy": 0.5 + 0.1 * seed}] * (1 if status is Status.FAILED else 2)
            runs.append(write_run(tmp_path, recipe, rows, status=status))
    return select(runs)


def test_a_cell_has_its_runs_seeds_epochs_and_what_was_left_out(methods):
    (table,) = [table for table in every_table(methods) if table.name == "table1"]
    place = explaining.found([table], "bare:1:test accuracy:with AL2")
    facts = explaining.explained(place, {"x": "failed after 1 of 2 epochs"})
    assert [(one["seeds"], one["epoch"], one["value"]) for one in facts["members"]] == [
        ("0/0", 1, 50.0),
        ("1/0", 1, 60.0),
    ]
    text = "\n".join(explaining.told(facts))
    assert "left out: x (failed after 1 of 2 epochs)" in text
    assert "the sum of 2 values over 2" in text


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
    where = ["--runs-dir", str(STORED), "--study", "loco_reg_lite"]
    listed = CliRunner().invoke(main, ["table", "--cells", "--json", *where])
    assert listed.exit_code == 0, listed.output
    cells = json.loads(listed.stdout)["cells"]
    address = next(name for name in cells if name.startswith("loco_reg:") and "λ" in name)
    done = CliRunner().invoke(main, ["table", "--explain", address, "--json", *where])
    facts = json.loads(done.stdout)
    assert (facts["cell"], facts["shown"]) == (address, cells[address])
    assert len(facts["members"]) == facts["numbers"]["n"]
    wrong = CliRunner().invoke(main, ["table", "--explain", "nothing:like it", *where])
    assert wrong.exit_code == 2
