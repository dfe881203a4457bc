"""Whatever happens to a file of a run: what comes out is right to the byte, or a sentence that names the file.

Every file of a killed run is removed, emptied, cut short, changed in one bit at several places, swapped with that
of another run, and given more. Then it is continued: none may end as a finished run with the damage in it.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from memstudy import files
from memstudy.data import artifact
from memstudy.errors import Interrupted, MemstudyError
from memstudy.recipe import Corruption, Recipe, Training
from memstudy.regularizers import parse
from memstudy.store import RunDirectory, Store, tensors
from memstudy.study import carry_out as module
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.watcher import Watcher
from tests.kit.runs import problem
from tests.kit.sources import stand_in
from tests.kit.stopping import Stop
from tests.kit.stores import copy_of

EPOCHS = 4
TRAINING = Training(epochs=EPOCHS, batch_size=50, learning_rate=0.05, momentum=0.5, checkpoints=(0, 1, 2, 3))
RECIPE = Recipe(training=TRAINING, dataset="mnist5k", regularizers=parse("al2"), train_size=100)
OTHER = replace(RECIPE, seed=1, corruption=Corruption(seed=1))
CPU = Execution(device="cpu")
FILES = (
    "recipe.toml", "state.json", "metrics.csv", "labels.npz", "resume.safetensors",
    "resume-before.safetensors",
    "dynamics/loss.npy", "dynamics/margin.npy", "dynamics/prediction.npy", "dynamics/el2n.npy",
    *(f"checkpoints/epoch-000{epoch}.safetensors" for epoch in range(3)),
)  # fmt: skip


def removed(path: Path, other: Path) -> None:
    path.unlink()


def emptied(path: Path, other: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path, other: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def swapped(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def longer(path: Path, other: Path) -> None:
    """More of what its end is: a row of metrics, a row of records."""
    content = path.read_bytes()
    path.write_bytes(
        content + (content.splitlines(keepends=True)[-1] if path.suffix == ".csv" else content[-100:])
    )


def flipped(share: float) -> Callable[[Path, Path], None]:
    def flip(path: Path, other: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(share * (len(content) - 1))] ^= 1
        path.write_bytes(content)

    flip.__name__ = f"flipped at {share:.0%}"
    return flip


FLIPS = tuple(map(flipped, (0, 0.02, 0.2, 0.4, 0.6, 0.8, 1)))
DAMAGES = (removed, emptied, truncated, swapped, longer, *FLIPS)
ALIKE = ("dynamics/margin.npy", "dynamics/el2n.npy", "checkpoints/epoch-0000.safetensors")
"""Files of the same form as another of FILES: a bit is flipped in their middle only, and not all along them."""
CASES = [
    pytest.param(file, damage, id=f"{file}-{damage.__name__}")
    for file in FILES
    for damage in DAMAGES
    if not (file in ALIKE and damage in FLIPS and damage is not FLIPS[3])
]


class Notes(Watcher):
    """What a run that continues says it makes again."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def made_again(self, sentence: str) -> None:
        self.said.append(sentence)


class Killed(BaseException):
    """Ends a run so that it can save nothing, as SIGKILL does."""


def stopped(root: Path, recipe: Recipe, patch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after two epochs."""
    with pytest.raises(Interrupted):
        carry_out(Store(root).open(recipe), CPU, Stop(1))


def killed(root: Path, recipe: Recipe, patch: pytest.MonkeyPatch) -> None:
    """After three epochs, of which two were saved."""

    class Kill(Watcher):
        def epoch_done(self, epoch: int, metrics: dict[str, float]) -> None:
            if epoch == 2:
                raise Killed

    with patch.context() as patched:
        save = RunDirectory.save_resume
        patched.setattr(module, "SAVE_EVERY_SECONDS", -1.0)
        patched.setattr(module, "_stopped", lambda *args: None)
        patched.setattr(
            RunDirectory, "save_resume", lambda run, epochs, state: epochs == 3 or save(run, epochs, state)
        )
        with pytest.raises(Killed):
            carry_out(Store(root).open(recipe), CPU, Kill())


@pytest.fixture(scope="module")
def patch(small):
    part = replace(small, test_images=small.test_images[::2], test_labels=small.test_labels[::2])
    with stand_in(part), pytest.MonkeyPatch.context() as patched:
        yield patched


@pytest.fixture(scope="module")
def stores(patch, tmp_path_factory):
    """Stores with a run and another one in it: stopped, killed, finished."""
    made = {}
    for end in (stopped, killed, None):
        made[end] = tmp_path_factory.mktemp("store")
        for recipe in (RECIPE, OTHER):
            if end is None:
                carry_out(Store(made[end]).open(recipe), CPU)
            else:
                end(made[end], recipe, patch)
    return made


@pytest.fixture(scope="module")
def whole(stores):
    return content(Store(stores[None]).open(RECIPE))


def content(run: RunDirectory) -> dict[str, bytes]:
    """Every file of a finished run whose bytes follow from its recipe."""
    assert run.finished
    varying = ("state.json", "log.txt", ".lock")
    found = {str(path.relative_to(run.path)): path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if name not in varying}


def snapshot(run: RunDirectory) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes() for path in run.path.rglob("*") if path.is_file() and path.name != ".lock"
    }


@pytest.mark.parametrize(("file", "damage"), CASES)
def test_a_damaged_run_is_continued_to_the_right_bytes_or_refused(stores, whole, tmp_path, file, damage):
    """Of a killed run: it has what was saved, and what was done since."""
    root = tmp_path / "runs"
    store = copy_of(stores[killed], root)
    run, other = store.open(RECIPE), store.open(OTHER)
    damage(run.path / file, other.path / file)
    before, notes, refusal = snapshot(run), Notes(), None
    try:
        carry_out(run, CPU, notes)
    except MemstudyError as error:
        refusal = error
    if refusal is not None:
        assert (refusal.exit_code, snapshot(run)) == (2, before)  # nothing is lost
        assert re.search(rf"{Path(file).name} (is|was) .*(restore|remove) ", str(refusal))
        assert "\n" not in str(refusal)
        return
    assert content(run) == whole
    assert problem(Store(root).open(RECIPE)) is None
    assert {name: files.digest(text) for name, text in whole.items()} == run.checksums()
    log = (run.path / "log.txt").read_text()
    assert all(said in log for said in notes.said)


@pytest.mark.parametrize("end", [stopped, killed], ids=lambda end: end.__name__)
def test_an_undamaged_run_continues(stores, whole, tmp_path, end):
    run, notes = copy_of(stores[end], tmp_path / "runs").open(RECIPE), Notes()
    assert content(carry_out(run, CPU, notes)) == whole
    said = ["epoch 2 had not been saved, and will be trained again"]
    assert notes.said == (said if end is killed else [])


@pytest.mark.parametrize(
    ("file", "damage", "says"),
    [
        (
            "checkpoints/epoch-0002.safetensors",
            flipped(0.5),
            "checkpoints/epoch-0002.safetensors is damaged or gone",
        ),
        ("checkpoints/epoch-0002.safetensors", removed, "checkpoints/epoch-0002.safetensors is damaged or gone"),
        ("labels.npz", removed, "labels.npz is damaged or gone"),
        ("recipe.toml", truncated, "recipe.toml is damaged or gone"),
        ("dynamics/loss.npy", truncated, "dynamics/loss.npy is damaged or gone"),
        *(
            ("resume.safetensors", damage, "resume.safetensors is damaged or gone: the run goes on from the state")
            for damage in (removed, emptied, truncated, *FLIPS)
        ),
    ],
)
def test_what_is_made_again_is_said(stores, whole, tmp_path, file, damage, says):
    run, notes = copy_of(stores[killed], tmp_path / "runs").open(RECIPE), Notes()
    if file == "dynamics/loss.npy":  # a row of the epoch that is trained again
        (run.path / file).write_bytes((run.path / file).read_bytes()[:-250])
    else:
        damage(run.path / file, run.path / file)
    assert content(carry_out(run, CPU, notes)) == whole
    assert any(said.startswith(says) for said in notes.said), notes.said


def test_of_two_damaged_states_both_are_named_and_nothing_is_changed(stores, tmp_path):
    run = copy_of(stores[killed], tmp_path / "runs").open(RECIPE)
    for name in ("resume.safetensors", "resume-before.safetensors"):
        emptied(run.path / name, run.path)
    before = snapshot(run)
    with pytest.raises(
        MemstudyError, match=r"resume\.safetensors .*so is resume-before\.safetensors.*; restore one"
    ):
        carry_out(run, CPU)
    assert snapshot(run) == before


def test_a_state_is_taken_from_before_only_until_the_next_one_is_saved(stores, whole, tmp_path):
    """The damaged one does not take the place of the one before it."""
    run = copy_of(stores[killed], tmp_path / "runs").open(RECIPE)
    good = (run.path / "resume-before.safetensors").read_bytes()
    emptied(run.path / "resume.safetensors", run.path)
    with pytest.raises(Interrupted):
        carry_out(run, CPU, Stop(1))
    assert (run.path / "resume-before.safetensors").read_bytes() == good
    emptied(run.path / "resume.safetensors", run.path)
    assert content(carry_out(RunDirectory(run.path, RECIPE), CPU)) == whole
    assert not (run.path / "resume-before.safetensors").exists()


def test_a_store_from_before_there_were_seals_is_read_and_continued(stores, whole, tmp_path):
    """As earlier versions wrote it: no seal, no name, and only how many epochs are done in what continues it."""
    run = copy_of(stores[stopped], tmp_path / "runs").open(RECIPE)
    found = run.load_resume()
    assert found is not None
    epochs, state = found
    metadata = {"epochs_done": str(epochs), "sha256": files.digest(tensors.encode(state))}
    (run.path / "resume.safetensors").write_bytes(tensors.encode(state, metadata))
    known = {key: value for key, value in run.state().items() if key not in ("seal", "run")}
    del known["checksums"]["recipe.toml"]
    (run.path / "state.json").write_text(json.dumps(known))
    assert len(run.metrics()) == 2
    assert content(carry_out(run, CPU)) == whole


def looks(run: RunDirectory) -> list[Callable[[], object]]:
    """All that commands read of a finished run, a file or some at a time."""
    return [
        lambda: run.recipe,
        run.metrics,
        lambda: artifact.read(run.labels()),
        lambda: run.dynamics(100),
        *(lambda epoch=epoch: run.load_checkpoint(epoch) for epoch in range(EPOCHS)),
    ]


@pytest.mark.parametrize(("file", "damage"), [case for case in CASES if "resume" not in str(case.id)])
def test_looking_at_a_damaged_finished_run_names_the_file(stores, tmp_path, file, damage):
    """Whatever needs it says so; all else is as before."""
    root = tmp_path / "runs"
    store = copy_of(stores[None], root)
    path, other = (store.open(recipe).path / file for recipe in (RECIPE, OTHER))
    damage(path, other)
    said = []
    for look in looks(RunDirectory(Store(root).open(RECIPE).path)):
        with contextlib.suppress(MemstudyError):
            look()
            continue
        with pytest.raises(MemstudyError) as caught:
            look()
        said.append(str(caught.value))
    assert said
    assert all(path.name in sentence for sentence in said)
    listed = problem(RunDirectory(Store(root).open(RECIPE).path)) is not None
    assert listed == (file in ("recipe.toml", "state.json", "metrics.csv"))  # what `runs` and `table` read
