"""What must hold on a CUDA device. `make gpu` runs these; elsewhere they are skipped."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from memstudy import presets
from memstudy.analysis import similarity
from memstudy.analysis.factorization import Stack
from memstudy.analysis.keep import KeepRule
from memstudy.errors import MemstudyError
from memstudy.randomness import torch_generator
from memstudy.regularizers import REGULARIZERS, Regularizer, Step
from memstudy.store import Store
from memstudy.study.carry_out import Execution, carry_out
from memstudy.study.fleet import Fleet
from memstudy.study.watcher import Watcher
from memstudy.training import (
    CapturedSteps,
    DeviceData,
    Evaluation,
    Trainer,
    TrainingState,
    capturable,
    evaluate,
    numerics,
    train_epoch,
)

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


METHODS = sorted(set(REGULARIZERS.names()) - {"nobn"})


def epochs(corrupted, capture, count=3, **choices):
    """Metrics of every epoch and the final state, by replay or eagerly, on a stream as a run has one."""
    device = torch.device("cuda")
    recipe = presets.build(epochs=count, batch_size=39, **choices)  # 400 images: ten whole batches and one of 10
    with numerics(1, recipe.training.precision), torch.cuda.stream(torch.cuda.Stream()):
        state = TrainingState.initial(recipe, corrupted.images, device)
        data = DeviceData.of(corrupted, device)
        trainer = Trainer(state, data, recipe)
        capture = capture and capturable(trainer)  # olm waits for the GPU: twice eager, and twice the same bits
        steps = CapturedSteps(trainer, block=4) if capture else trainer
        evaluation = Evaluation(state.network, data, capture)
        found = []
        for _ in range(count):
            trainer.begin()
            steps.run()
            evaluation.begin()
            found.append(trainer.end() | evaluation.end())
        return found, state.tensors()


@pytest.mark.parametrize(
    "choices",
    [{"reg": reg} for reg in [*METHODS, "bn+do+wd+al2", "do+loco+normloss+pilcro"]]
    + [
        {"reg": "do+al2", "optimizer": "adamw", "schedule": "cosine", "warmup": 1},
        {"reg": "do", "optimizer": "adam", "clip": 1.0},
        {"augment": "flip-crop", "mixup": 0.2, "label_smoothing": 0.1},
        {"precision": "bf16"},
        {"precision": "tf32"},
        {"network": "resnet18"},
        {"network": "mobilenet", "precision": "bf16"},
    ],
    ids=str,
)
def test_captured_epochs_are_the_eager_ones_bit_for_bit(corrupted, choices):
    eager, captured = (epochs(corrupted, capture, **choices) for capture in (False, True))
    assert captured[0] == eager[0]
    assert captured[1].keys() == eager[1].keys()
    assert all(torch.equal(captured[1][name], value) for name, value in eager[1].items())


def test_a_fleet_s_members_are_what_they_are_alone_bit_for_bit(tmp_path):
    recipes = [presets.build(reg=reg, epochs=3, train_size=400) for reg in METHODS]
    recipes += [presets.build(seed=1, epochs=3, train_size=400), presets.build(epochs=5, train_size=400, lr=0.01)]
    execution = Execution(device="cuda")
    fleet, ended = Fleet(execution, len(recipes)), []
    for recipe in recipes:
        fleet.add(Store(tmp_path / "together").open(recipe))
    while fleet.busy:
        ended += fleet.turn()
    assert [outcome.error for outcome in ended] == [None] * len(recipes)
    for outcome in ended:
        alone = carry_out(Store(tmp_path / "alone").open(outcome.run.recipe), execution)
        assert (outcome.run.path / "metrics.csv").read_bytes() == (alone.path / "metrics.csv").read_bytes()
        assert [outcome.run.checkpoint_digest(e) for e in alone.checkpoints()] == [
            alone.checkpoint_digest(e) for e in alone.checkpoints()
        ]


def test_a_run_may_change_between_capture_and_none(tmp_path):
    """Interrupted while captured, continued eagerly: still the same bits."""
    recipe = presets.build(reg="do+al2", epochs=4, train_size=400)
    whole = carry_out(Store(tmp_path / "whole").open(recipe), Execution(device="cuda"))
    part = Store(tmp_path / "part").open(recipe)
    with pytest.raises(Exception, match="continues"):
        carry_out(part, Execution(device="cuda"), Stop(2))
    carry_out(part, Execution(device="cuda", capture=False))
    assert (part.path / "metrics.csv").read_bytes() == (whole.path / "metrics.csv").read_bytes()


def test_what_waits_for_the_gpu_is_named_when_captured(corrupted):
    @dataclass(frozen=True)
    class Waits(Regularizer):
        def strength(self, epoch):
            return 1.0

        def penalty(self, step):
            return step.features.square().mean() * min(1.0, step.features.abs().mean().item())

    device = torch.device("cuda")
    recipe = presets.build(epochs=1, batch_size=39)
    with numerics(), torch.cuda.stream(torch.cuda.Stream()):
        state = TrainingState.initial(recipe, corrupted.images, device)
        state.regularizers["waits"] = Waits()
        trainer = Trainer(state, DeviceData.of(corrupted, device), recipe)
        trainer.begin()
        with pytest.raises(MemstudyError, match="--no-capture"):
            CapturedSteps(trainer, block=4).run()


def test_analyses_on_the_gpu_agree_with_the_cpu(corrupted):
    """CCA, SVCCA, PWCCA, CKA, Procrustes from a stack of chunks; float64."""
    images = corrupted.images.test_images.double().flatten(1)
    x, y = images[:, 200:240], images[:, 220:270] * 2 + images[:, 300:350]
    found = {}
    for name in ("cpu", "cuda"):
        stack = Stack.of([x.to(name), y.to(name)], [(0, 1)], chunk=50)
        pair = stack.pair(0, 1)
        numbers = [similarity.pwcca(pair), similarity.cka(pair), similarity.unbiased_cka(pair)]
        numbers += [similarity.procrustes(pair), similarity.svcca(pair, KeepRule("fixed", 10))]
        found[name] = similarity.coefficients(pair).cpu().tolist(), numbers
    assert found["cuda"][0] == pytest.approx(found["cpu"][0], abs=1e-9)
    assert found["cuda"][1] == pytest.approx(found["cpu"][1], abs=1e-9)


def test_no_memory_is_left_on_another_device(corrupted):
    """Everything that training touches is on the device it was asked for."""
    device = torch.device("cuda", 0)
    state = TrainingState.initial(presets.build(reg="do"), corrupted.images, device)
    data = DeviceData.of(corrupted, device)
    assert {parameter.device for parameter in state.network.parameters()} == {device}
    assert {value.device for value in vars(data).values()} == {device}
