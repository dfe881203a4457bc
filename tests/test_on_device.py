"""An epoch's work stays on its device, without a GPU to see it: steps and evaluation run on PyTorch's `meta`
device, where tensors have no values, and every operation is looked at. What needs a value on the host fails there
by itself; the rest is held against lists. That a capture on a GPU works is seen in tests/test_gpu.py alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from memstudy import presets, regularizers
from memstudy.regularizers import Regularizer
from memstudy.training import DeviceData, Evaluation, Trainer, TrainingState, capturable
from tests.kit.recorded import WAITS

META = torch.device("meta")
METHODS = sorted(set(regularizers.REGULARIZERS.names()) - {"nobn"})
DISORDERED = {
    # those of these add in no fixed order, by the documentation of torch.use_deterministic_algorithms
    "replication_pad2d_backward", "reflection_pad2d_backward", "_adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d_backward", "upsample_bilinear2d_backward", "scatter_add", "scatter_add_", "index_add",
    "index_add_", "put_", "histc", "cumsum", "grid_sampler_2d_backward", "nll_loss2d_forward", "median",
}  # fmt: skip


class Operations(TorchDispatchMode):
    """Counts operations by name, and those that touch a tensor on the host."""

    def __init__(self):
        super().__init__()
        self.found: Counter[str] = Counter()
        self.on_host: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
        self.found[name] += 1
        self.on_host[name] += any(tensor.device.type == "cpu" for tensor in tensors)
        return result


@pytest.fixture
def drawn(monkeypatch):
    """There is no generator of the meta device, and nothing is drawn there; one of the CPU stands in."""
    of_the_host = torch.Generator

    class StandIn:
        def __new__(cls, device="cpu"):
            return of_the_host()

    monkeypatch.setattr(torch, "Generator", StandIn)


def step_and_evaluation(corrupted, added=(), **choices):
    """The operations of the second step, as it is captured, and of an evaluation."""
    recipe = presets.build(epochs=2, batch_size=39, **choices)
    state, data = TrainingState.initial(recipe, corrupted.images, META), DeviceData.of(corrupted, META)
    state.regularizers.update(added)
    trainer = Trainer(state, data, recipe)
    trainer.begin()
    trainer.step_at_index()
    with Operations() as seen:
        trainer.step_at_index()
        Evaluation(state.network, data).begin()
    return seen


@pytest.mark.parametrize(
    "choices",
    [{"reg": reg} for reg in [*METHODS, "bn+do+wd+al2", "do+loco+normloss+pilcro"]]
    + [
        {"augment": "flip-crop", "mixup": 0.2, "label_smoothing": 0.1, "clip": 1.0, "nesterov": True},
        {"reg": "normloss", "options": {"normloss": {"decoupled": True}}},
        {"reg": "pilcro", "options": {"pilcro": {"of": "logits", "curvature": "hessian"}}},
        {"network": "resnet18"},
        {"network": "resnet110"},
        {"network": "wrn28-10", "reg": "do"},
        {"network": "densenet121"},
        {"network": "mobilenet", "reg": "loco+normloss"},
    ],
    ids=str,
)
def test_a_step_and_an_evaluation_leave_the_host_alone(corrupted, drawn, choices):
    seen = step_and_evaluation(corrupted, **choices)
    assert seen.found["convolution"]
    assert seen.found["convolution_backward"]
    assert not +seen.on_host
    assert not DISORDERED & seen.found.keys()
    synchronize = any(m.synchronizes() for m in regularizers.build(presets.build(**choices).regularizers).values())
    assert bool(WAITS & seen.found.keys()) == synchronize


@dataclass(frozen=True)
class Own(Regularizer):
    """A regularizer of somebody's own with a penalty of some kind."""

    kind: str = ""

    def strength(self, epoch):
        return 1.0

    def penalty(self, step):
        size = step.features.square()
        match self.kind:
            case "item":
                return size.mean() * size.detach().mean().item()
            case "mask":
                return size[size > 1].sum()
            case "host":
                return size.mean() * torch.ones(()).add(1)
            case "disorder":
                return torch.nn.functional.pad(size, (1, 1, 1, 1), mode="replicate").mean()
        return size.mean()


@pytest.mark.parametrize("kind", ["item", "mask"])
def test_what_needs_a_value_on_the_host_fails(corrupted, drawn, kind):
    with pytest.raises(RuntimeError, match=r"[Mm]eta"):
        step_and_evaluation(corrupted, {"own": Own(kind)})


def test_other_offences_are_seen(corrupted, drawn):
    """The lists can be hit, and are not by a penalty that behaves."""
    assert +step_and_evaluation(corrupted, {"own": Own("host")}).on_host
    assert "replication_pad2d_backward" in step_and_evaluation(corrupted, {"own": Own("disorder")}).found
    behaved = step_and_evaluation(corrupted, {"own": Own()})
    assert not +behaved.on_host
    assert not (WAITS | DISORDERED) & behaved.found.keys()


def test_nothing_is_captured_of_steps_that_wait(corrupted, drawn, monkeypatch):
    trainers = {}
    for reg in ("al2", "olm"):
        recipe = presets.build(reg=reg)
        state = TrainingState.initial(recipe, corrupted.images, META)
        trainers[reg] = Trainer(state, DeviceData.of(corrupted, META), recipe)
    assert not capturable(trainers["al2"])  # no GPU
    monkeypatch.setattr(DeviceData, "device", torch.device("cuda"))
    assert capturable(trainers["al2"])
    assert not capturable(trainers["olm"])
