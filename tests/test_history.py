"""One selection, one set of bytes: derived files do not tell in what order, or how many goes, they were made."""

from __future__ import annotations

import random
import shutil

import pytest
import torch

from memstudy.derived.ablation import Ablation
from memstudy.derived.analysis import Watch
from memstudy.derived.dynamics import Dynamics
from memstudy.derived.filters import Filters
from memstudy.derived.landscape import Landscape
from memstudy.derived.probe import Probe
from memstudy.derived.reading import read
from memstudy.derived.similarity import Similarity, measure
from memstudy.derived.workbench import Workbench
from memstudy.store import Store
from tests.kit import stores

ANALYSES = {
    "svcca": Similarity(epochs=(1,)),
    "ablate": Ablation(orders=1, epochs=(2,)),
    "probe": Probe(layers=("trunk", "head.1"), samples=50, epochs=(2,)),
    "filters": Filters(compare="random"),
    "landscape": Landscape(images=10, epochs=(2,)),
    "dynamics": Dynamics(),
}
CHOSEN = ("*-bare-s0-*", "*-al2-s0-*", "*-bare-s1-*", "*-al2-s1-*")
STUDY = "history"


@pytest.fixture(scope="module")
def stored(trained, tmp_path_factory):
    """A store with four runs, its derived files none; and the bytes of each analysis in one go, when asked for."""
    return stores.copy_of(trained, tmp_path_factory.mktemp("history"), runs="mnist5k-*").root, {}


@pytest.fixture(params=ANALYSES)
def name(request):
    return request.param


def quiet(done, total):
    pass


def derived(root, name, members, tell=quiet):
    """Record the study of these runs, of the four by their places, analyze it, and read what was written."""
    store = Store(root)
    runs = [run for pattern in CHOSEN for run in store.select([pattern]).runs]
    store.record_study(STUDY, [runs[place] for place in members], {})
    selection = store.select(study=STUDY)
    ANALYSES[name].measure(selection, Workbench(torch.device("cpu")), Watch(tell))
    return {path.name: path.read_bytes() for path in selection.path.glob("*.csv")}


@pytest.fixture
def whole(stored, name, small_source):
    """What one go gives."""
    root, known = stored
    shutil.rmtree(root / "studies", ignore_errors=True)
    if name not in known:
        known[name] = derived(root, name, range(4))
    assert known[name]
    shutil.rmtree(root / "studies", ignore_errors=True)
    return known[name]


@pytest.mark.slow
def test_in_one_go_again(stored, name, whole):
    assert derived(stored[0], name, range(4)) == whole


@pytest.mark.parametrize("order", [([0], [0, 1, 2]), ([1, 2, 3],)], ids=["grown", "one was lacking"])
def test_runs_that_came_later(stored, name, whole, order):
    for members in order:
        derived(stored[0], name, members)
    assert derived(stored[0], name, range(4)) == whole


def test_rows_that_were_lost(stored, name, whole):
    """What any of the files had of any run and epoch, or of any two."""
    draw = random.Random(0)
    derived(stored[0], name, range(4))
    for path in (stored[0] / "studies" / STUDY).glob("*.csv"):
        head, *lines = path.read_text().splitlines(keepends=True)
        keys = [tuple(line.split(",")[: 7 if name == "svcca" else 2]) for line in lines]
        kept = {key for key in dict.fromkeys(keys) if draw.random() < 0.7}
        path.write_text(head + "".join(line for key, line in zip(keys, lines, strict=True) if key in kept))
    assert derived(stored[0], name, range(4)) == whole


def test_an_interruption_in_the_middle(stored, name, whole):
    """Of an analysis of three runs, then of one of four."""
    calls = []

    def stop(done, total):
        calls.append(done)
        if len(calls) == 3:
            raise KeyboardInterrupt

    for members in ([0, 2, 3], range(4)):
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            derived(stored[0], name, members, stop)
    assert derived(stored[0], name, range(4)) == whole


@pytest.mark.parametrize("name", ["svcca", "ablate"])
def test_a_network_that_diverged(stored, name, small_source):
    """It is left out of what is computed together, whether it was met before or not."""
    root = stored[0].with_name(f"diverged-{name}")
    run = stores.copy_of(stored[0], root, runs="mnist5k-*").select([CHOSEN[0]]).runs[0]
    huge = {key: torch.full_like(value, 1e30) for key, value in run.load_checkpoint(2).items()}
    run.save_checkpoint(2, huge)  # finite, but not what it computes
    one_go = derived(root, name, range(4))
    shutil.rmtree(root / "studies")
    for members in ([1, 2], [0, 1], [0, 1, 2, 3]):
        derived(root, name, members)
    assert derived(root, name, range(4)) == one_go


def test_what_was_computed_with_others_is_computed_anew_and_nothing_else(stored, small_source, monkeypatch):
    root = stored[0]
    shutil.rmtree(root / "studies", ignore_errors=True)
    made: list[str] = []
    uncounted = measure._measure

    def counted(pair, keep):
        made.append("")
        return uncounted(pair, keep)

    monkeypatch.setattr(measure, "_measure", counted)
    derived(root, "svcca", [0, 1])
    derived(root, "svcca", [0, 1])
    first = len(made)
    derived(root, "svcca", range(4))
    rows = read(root / "studies" / STUDY / Similarity().pairs)
    own = rows["relation"].isin(["past", "control"]) & rows["run_a"].str.contains("-s0-")
    assert len(made) == first + len(rows) - own.sum()


def test_a_store_of_an_earlier_version_is_kept_as_it_is(stored, small_source, monkeypatch):
    """It does not say what was computed together; its networks may not be there any more."""
    root = stored[0]
    before = derived(root, "svcca", range(4))
    (root / "studies" / STUDY / Similarity().together).unlink()
    monkeypatch.setattr(measure, "_bundles", None)
    assert derived(root, "svcca", range(4)) == before
