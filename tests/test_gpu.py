"""What must hold on a CUDA device. `make gpu` runs these; elsewhere they are skipped."""

from __future__ import annotations

import pytest
import torch

from memstudy import presets
from memstudy.randomness import torch_generator
from memstudy.regularizers import Step
from memstudy.store import Store
from memstudy.study.carry_out import Execution, Watcher, carry_out
from memstudy.training import DeviceData, TrainingState, evaluate, numerics, train_epoch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


class Stop(Watcher):
    """Press Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        self.left = epoch

    def epoch_done(self, epoch, metrics):
        self.left -= 1

    def stepped(self, step, steps):
        if self.left == 0 and step == steps // 2:
            raise KeyboardInterrupt


def first_epoch(corrupted, reg, device):
    recipe = presets.build(reg=reg, epochs=2)
    with numerics():
        state = TrainingState.initial(recipe, corrupted.images, device)
        data = DeviceData.of(corrupted, device)
        return train_epoch(state, data, recipe) | evaluate(state.network, data)


@pytest.mark.parametrize("reg", ["bare", "al2", "bn+wd", "loco+normloss", "pilcro", "wn", "oni"])
def test_cuda_agrees_with_the_cpu(corrupted, reg):
    """No dropout: CPU and CUDA generators draw different masks. Seven steps in float32."""
    cpu, cuda = (first_epoch(corrupted, reg, torch.device(name)) for name in ("cpu", "cuda"))
    for name in ("train_cross_entropy", "train_activation_loss", "test_cross_entropy"):
        assert cuda[name] == pytest.approx(cpu[name], rel=1e-4), name


@pytest.mark.parametrize(
    ("reg", "options"),
    [
        ("bare", {}),
        ("bn+do+wd+al2", {}),
        ("loco+normloss+pilcro", {}),
        ("bare", {"optimizer": "adamw", "schedule": "cosine", "augment": "flip-crop", "mixup": 0.2}),
        ("bare", {"precision": "bf16", "clip": 1.0}),
    ],
    ids=str,
)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path, small_source, reg, options):
    recipe = presets.build(reg=reg, epochs=4, **options)
    whole = carry_out(Store(tmp_path / "whole").open(recipe), Execution(device="cuda"))
    part = Store(tmp_path / "part").open(recipe)
    with pytest.raises(Exception, match="continues"):
        carry_out(part, Execution(device="cuda"), Stop(2))
    carry_out(part, Execution(device="cuda"))
    assert (part.path / "metrics.csv").read_bytes() == (whole.path / "metrics.csv").read_bytes()
    for epoch in whole.checkpoints():
        assert part.checkpoint_digest(epoch) == whole.checkpoint_digest(epoch)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("network", ["smallnet", "resnet18", "mobilenet"])
def test_penalties_and_their_gradients_are_what_the_parameters_are(corrupted, network, dtype):
    """One step's penalties on features, on weights twice, on images: dtype and device are the parameters'."""
    device = torch.device("cuda", 0)
    recipe = presets.build(reg="al2+loco+normloss+pilcro", network=network)
    state, data = TrainingState.initial(recipe, corrupted.images, device), DeviceData.of(corrupted, device)
    model, images = (
        state.network.to(dtype).train(),
        data.normalize(data.train_images[:8]).to(dtype).requires_grad_(),
    )
    features, logits = model(images)
    loss = torch.nn.functional.cross_entropy(logits, data.noisy[:8])
    draws = torch_generator(0, "penalty", device=device)
    step = Step(model, images, features, logits, data.noisy[:8], loss, draws)
    for name, method in state.regularizers.items():
        value = method.penalty(step)
        found = torch.autograd.grad(value, [*model.parameters()], retain_graph=True, allow_unused=True)
        kinds = {(tensor.dtype, tensor.device) for tensor in (value, *found) if tensor is not None}
        assert kinds == {(dtype, device)}, name


@pytest.mark.parametrize(
    ("reg", "weakest"),
    [
        ("al2", {"initial": 1e-300}),
        ("loco", {"weight": 1e-300}),
        ("normloss", {"weight": 1e-300}),
        ("pilcro", {"share": 1e-300}),
        ("wd", {"decay": 1e-300}),
    ],
)
def test_at_strength_0_it_trains_the_bits_of_bare(corrupted, reg, weakest):
    """1e-300 is positive, as options must be, and 0 in float32."""
    found = []
    for recipe in (presets.build(reg="bare", epochs=2), presets.build(reg=reg, options={reg: weakest}, epochs=2)):
        with numerics():
            state = TrainingState.initial(recipe, corrupted.images, torch.device("cuda"))
            train_epoch(state, DeviceData.of(corrupted, torch.device("cuda")), recipe)
        found.append(state.network.state_dict())
    assert all(torch.equal(one, other) for one, other in zip(*(f.values() for f in found), strict=True))


def test_no_memory_is_left_on_another_device(corrupted):
    """Everything that training touches is on the device it was asked for."""
    device = torch.device("cuda", 0)
    state = TrainingState.initial(presets.build(reg="do"), corrupted.images, device)
    data = DeviceData.of(corrupted, device)
    assert {parameter.device for parameter in state.network.parameters()} == {device}
    assert {value.device for value in vars(data).values()} == {device}
