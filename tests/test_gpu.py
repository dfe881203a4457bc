"""What must hold on a CUDA device. `make gpu` runs these; elsewhere they are skipped."""

from __future__ import annotations

import pytest
import torch

from memstudy import presets
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


def test_no_memory_is_left_on_another_device(corrupted):
    """Everything that training touches is on the device it was asked for."""
    device = torch.device("cuda", 0)
    state = TrainingState.initial(presets.build(reg="do"), corrupted.images, device)
    data = DeviceData.of(corrupted, device)
    assert {parameter.device for parameter in state.network.parameters()} == {device}
    assert {value.device for value in vars(data).values()} == {device}
