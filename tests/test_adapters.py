"""Loops of other people's, and of one's own: examples/loops give the numbers of memstudy's own training."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest
import torch

import memstudy
from memstudy.training import numerics
from tests.kit.sentences import refused
from tests.kit.sources import stand_in

LOOPS = Path(__file__).parents[1] / "examples" / "loops"
NEEDS = {
    "own_loop": "torch",
    "with_lightning": "lightning",
    "with_skorch": "skorch",
    "with_huggingface": "transformers",
}
ADAPTERS = {"lightning": "lightning", "skorch": "skorch", "huggingface": "transformers"}
# Their own: of Slurm that is not used, of processes that load data, of what PyTorch has renamed.
pytestmark = pytest.mark.filterwarnings("ignore")


def loaded(name):
    """An example, imported from its file; skipped where its package is missing."""
    pytest.importorskip(NEEDS[name], exc_type=ImportError)
    spec = importlib.util.spec_from_file_location(name, LOOPS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def own(small, tmp_path_factory):
    """What memstudy's own training gives for the examples' recipe, on 400 images."""
    with stand_in(small):
        return memstudy.run(store=tmp_path_factory.mktemp("own"), reg="al2", epochs=2, device="cpu", threads=1)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "own_loop" else pytest.mark.adapters) for name in NEEDS]
)
def test_an_example_gives_the_numbers_of_memstudys_own_training(small, own, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with numerics(1):  # as many threads as memstudy's own: more add in another order
        run = loaded(name).train(memstudy.Images(small), str(tmp_path / "runs"))
    metrics = run.metrics()
    assert len(metrics) == 2
    assert metrics["train_cross_entropy"].notna().all()
    pd.testing.assert_frame_equal(metrics, own.metrics()[list(metrics)], check_exact=True)
    pd.testing.assert_frame_equal(run.records(), own.records(), check_exact=True)
    assert run.recipe.trainer == {"own_loop": "own-loop"}.get(name, name.removeprefix("with_"))
    assert run.recipe.regularizers == own.recipe.regularizers
    assert vars(run.recipe.training) == vars(own.recipe.training)
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("runs", "trainer_output")] == []


@pytest.mark.parametrize("name", NEEDS)
def test_an_example_has_at_most_thirty_lines(name):
    text = (LOOPS / f"{name}.py").read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if line.strip()]) <= 31  # the first one says what it is
    assert {path.stem for path in LOOPS.glob("*.py")} == {*NEEDS}


@pytest.mark.adapters
@pytest.mark.parametrize("name", ADAPTERS)
def test_a_callback_needs_a_recorder_with_images(name):
    pytest.importorskip(ADAPTERS[name], exc_type=ImportError)
    callback = importlib.import_module(f"memstudy.adapters.{name}").RecordMemorization
    labels = memstudy.corrupt([0, 1, 2], noisy=[0, 1, 1])
    refused(lambda: callback(memstudy.Recorder(labels)), "that has images=")
    refused(lambda: callback(labels), "needs a memstudy.Recorder")


@pytest.mark.adapters
def test_lightnings_checkpoints_have_the_recorder(small):
    """A callback's state is in them; what goes on from it has the epochs before."""
    pytest.importorskip("lightning", exc_type=ImportError)
    adapter = importlib.import_module("memstudy.adapters.lightning")
    images = memstudy.Images(small)
    labels = memstudy.corrupt(images.train_labels, "symmetric", 0.75, images=images)
    before, after = (adapter.RecordMemorization(memstudy.Recorder(labels, images=images)) for _ in range(2))
    before.on_train_epoch_end(None, memstudy.network("smallnet", images))
    after.load_state_dict(before.state_dict())
    pd.testing.assert_frame_equal(after.recording.recorder.metrics(), before.recording.recorder.metrics())
    before.on_fit_end(type("Trainer", (), {"optimizers": []}), torch.nn.Identity())
    assert before.run is None  # without a store nothing is written
