"""The contract: what every regularizer keeps on every network, in training, resumed, and in evaluation.

Each case is a network, a combination of regularizers, and four real images of as few pixels as the network takes:
the laws are about bits and gradients, not about learning. COSTS says what a case costs, and so which always run:
every regularizer on the small networks, and every network that is not large with the methods that touch features,
weights and images. The whole cross product is `slow`: minutes on one core.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from memstudy import regularizers
from memstudy.data import dataset, sources
from memstudy.errors import MemstudyError
from memstudy.models import NETWORKS, Dropout
from memstudy.randomness import torch_generator
from memstudy.recipe import Corruption, Recipe, Training
from memstudy.regularizers import REGULARIZERS, Regularizer, Step, label, parse
from memstudy.regularizers.base import weighted_layers
from memstudy.training import DeviceData, TrainingState, numerics, train_epoch
from memstudy.training.epoch import Batch, train_step
from memstudy.training.evaluation import predict
from memstudy.training.state import OPTIMIZER
from tests.test_regularizers import FilterNorms, ImageGradients

CPU = torch.device("cpu")
IMAGES = 4


# Networks and regularizers: ours, torchvision's, a user's


def own(channels, size, classes, *, batch_norm=False, dropout=0.0):
    """A user's network with layers that none of ours has: an oblong kernel, groups, a smooth activation."""
    trunk = nn.Sequential(
        nn.Conv2d(channels, 8, (1, 5), padding=(0, 2)),
        nn.GELU(),
        *[nn.BatchNorm2d(8)] * batch_norm,
        nn.Conv2d(8, 8, 3, stride=2, groups=4),
        nn.GroupNorm(2, 8),
        nn.Dropout(dropout),
    )
    return trunk, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))


@dataclass(frozen=True)
class Forgetful(Regularizer):
    """Counts its own steps outside of what is saved, so it cannot be resumed: a negative control."""

    steps: ClassVar = itertools.count(1)

    def strength(self, epoch):
        return 1.0

    def penalty(self, step):
        return next(self.steps) * step.features.square().mean()


@dataclass(frozen=True)
class HalfDetached(Regularizer):
    """Its gradient is half of its penalty's: a negative control."""

    def strength(self, epoch):
        return 1.0

    def penalty(self, step):
        return (step.features * step.features.detach()).mean()


USERS = {"norms": FilterNorms, "images": ImageGradients, "forgetful": Forgetful, "halfdetached": HalfDetached}
USER_NETWORK = f"{__name__}:own"
THEIRS = "torchvision:resnet18"
BORN_WITHOUT = ["smallnet", "alexnet", "vgg16", USER_NETWORK]  # batch normalization
LAWFUL = [*REGULARIZERS.names(), "norms", "images"]
REPARAMETRIZING = ["wn", "pbwn", "oni", "olm"]  # of which a network can have one
PENALIZING = ["al2", "loco", "normloss", "pilcro", "norms", "images"]
ARCHITECTURAL = ["bn", "nobn", "do"]
PENALTIES = "al2+loco+normloss+pilcro"  # on features, on weights twice, on images

OPTIONS: dict[str, dict[str, Any]] = {
    "al2": {"initial": 0.5},  # the default shows nothing in two steps
    "oni": {"iterations": 1},  # each more costs as much
}
ABSOLUTE = {"pilcro": {"share": 0.5, "relative": False}}  # else its scale moves with the weights, a held constant
NAUGHT = 1e-300  # positive, as options must be, and 0 in float32
WEAKEST: dict[str, dict[str, Any]] = {
    "wd": {"decay": NAUGHT},
    "do": {"p": 1e-12},
    "al2": {"initial": NAUGHT},
    "loco": {"weight": NAUGHT},
    "normloss": {"weight": NAUGHT},
    "pilcro": {"share": NAUGHT},
    "norms": {"weight": NAUGHT},
    "images": {"weight": NAUGHT},
}


@pytest.fixture(scope="module", autouse=True)
def _registered():
    with pytest.MonkeyPatch.context() as patch:
        for name, method in USERS.items():
            patch.setitem(REGULARIZERS._ours, name, f"{method.__module__}:{method.__name__}")
        yield


def refused(network, reg):
    """Which law of combination a pair breaks, in words of the refusal; None if it keeps them all."""
    if network == THEIRS and reg in ARCHITECTURAL:
        return f"'{network}' has no place for '{'dropout' if reg == 'do' else 'batch_norm'}'"
    if reg == "bn" and network not in BORN_WITHOUT:
        return f"'{network}' has batch_norm = True anyway"
    if reg == "nobn" and network in BORN_WITHOUT:
        return f"'{network}' has batch_norm = False anyway"
    return None


class Cost(IntEnum):
    """What it costs to try a network with regularizers, and so which laws `make test` tries on the two."""

    QUICK = 0  # all
    USUAL = 1  # all but the dearest: the gradient, and strength 0
    SLOW = 2  # none; `make test-all` tries all
    TOO_LONG = 3  # none, as `make test-all`


NETWORK_COSTS = {
    "smallnet": Cost.QUICK, USER_NETWORK: Cost.QUICK, "mobilenet": Cost.QUICK, "resnet110": Cost.QUICK,
    "vgg16": Cost.USUAL, "resnet18": Cost.USUAL, "densenet121": Cost.USUAL, THEIRS: Cost.USUAL,
    "alexnet": Cost.SLOW, "resnet50": Cost.SLOW, "wrn28-10": Cost.SLOW,  # more than 20 million weights
}  # fmt: skip


def cost(network, reg):
    """A network's own cost for what is tried on each; all of it on the small ones; else slow."""
    if NETWORK_COSTS[network] is Cost.SLOW and reg == "oni":
        return Cost.TOO_LONG  # up to 10¹³ operations a step
    shown = network in ("smallnet", USER_NETWORK) or (network, reg) == ("mobilenet", "nobn") or reg == PENALTIES
    return NETWORK_COSTS[network] if shown else Cost.SLOW


EVERY_PAIR = [*itertools.product(NETWORK_COSTS, LAWFUL)]
REFUSED = [pair for pair in EVERY_PAIR if refused(*pair)]
COSTS = {
    (network, reg): cost(network, reg)
    for network, reg in [("smallnet", "bare"), *itertools.product(NETWORK_COSTS, [*LAWFUL, PENALTIES])]
    if (network, reg) not in REFUSED and not (cost(network, reg) is Cost.SLOW and reg in USERS)
}


class Case:
    """A network, regularizers, and four real images."""

    def __init__(self, network, reg):
        self.network, self.reg = network, reg
        # smallNet takes no less; DenseNet would end in single positions, whose memory layout dropout changes
        self.some = few(16 if network in ("smallnet", "densenet121") else 8)
        self.data = DeviceData.of(self.some, CPU)
        self.names = regularizers.names(reg)

    def recipe(self, reg=None, options=None):
        chosen = parse(self.reg if reg is None else reg, defaults=OPTIONS | (options or {}))
        rate = 1e-9 if (self.network, self.reg) == ("resnet110", "nobn") else 0.01  # where logits start at 10⁵
        training = Training(epochs=3, batch_size=IMAGES, learning_rate=rate, momentum=0.5)
        return Recipe(training, "digits", network=self.network, regularizers=chosen)

    def start(self, reg=None, options=None):
        return TrainingState.initial(self.recipe(reg, options), self.some.images, CPU)

    def train(self, state, epochs):
        """Metrics of so many epochs, of one step each."""
        return [train_epoch(state, self.data, self.recipe()) for _ in range(epochs)]

    def logits(self, network):
        """Of the test images, in evaluation mode."""
        return predict(network, self.data, self.data.test_images)


class Trained(Case):
    """A case after two epochs: the state, what there was at first and after one, the second one's metrics."""

    def __init__(self, network, reg):
        super().__init__(network, reg)
        self.state = self.start()
        self.initial = self.state.tensors()
        self.train(self.state, 1)
        self.saved = self.state.tensors()
        self.metrics = self.train(self.state, 1)


@pytest.fixture(scope="module")
def trained(request):
    with numerics():  # on one thread, as the tests themselves
        return Trained(*request.param)


@lru_cache(maxsize=1)
def trained_bare(network):
    """The network's weights and buffers after two epochs without any regularizer."""
    case = Case(network, "bare")
    state = case.start()
    case.train(state, 2)
    return state.network.state_dict()


def few(side):
    """Four real digits of 8 × 8 pixels, each pixel repeated if the network needs a larger side."""
    digits, every = sources.load("digits"), 32 // side
    train, test = (images[:IMAGES, :, ::every, ::every] for images in (digits.train_images, digits.test_images))
    part = replace(
        digits,
        train_images=train,
        train_labels=digits.train_labels[:IMAGES],
        test_images=test,
        test_labels=digits.test_labels[:IMAGES],
    )
    return dataset.corrupt(part, Corruption())


def named(pair):
    return f"{pair[0].rpartition(':')[2] if pair[0] == USER_NETWORK else pair[0]}-{pair[1]}"


def cases(name, which=lambda network, names: True, most=Cost.USUAL):
    """Parametrize a law by those pairs that satisfy `which`; what costs more than `most` is slow."""
    found = [
        pytest.param(pair, id=named(pair), marks=() if cost <= most else pytest.mark.slow)
        for pair, cost in COSTS.items()
        if cost is not Cost.TOO_LONG and which(pair[0], regularizers.names(pair[1]))
    ]
    return pytest.mark.parametrize(name, found, indirect=["trained"] if name == "trained" else [])


def is_large(network):
    return NETWORK_COSTS[network] is Cost.SLOW


def by_layers_alone(names):
    """Whether regularizers act on each layer's weights by themselves, so on one network as on another."""
    return set(names) <= {"wd", "loco", "normloss", *REPARAMETRIZING}


def same_bits(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# The gradient


class Differentiated:
    """A training step in float64 that changes nothing, along a random direction in the space of weights.

    The objective has a kink where biases are 0 and all inputs of a ReLU are, too, and where max-pooling finds ties
    on a flat background: biases and images are moved a little. A large ε keeps batch normalization from dividing
    by the deviation of four almost equal numbers, which would bring the other kinks near.
    """

    step = 1e-9  # so small that of some 10⁵ units hardly one changes its sign on the way

    @torch.no_grad()
    def __init__(self, case):
        self.state = state = case.start(options=ABSOLUTE)
        draws = torch_generator(0, "direction")
        for module in state.network.double().train().modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 0.1
        self.weights = list(state.network.parameters())
        for group in state.optimizer.param_groups:
            group["lr"] = 0.0
        for weight in self.weights:
            if weight.ndim == 1:
                weight += 0.05 * normal(weight, draws)
        images = case.data.normalize(case.data.train_images).double()
        self.images, self.labels = images + 0.1 * normal(images, draws), case.data.noisy
        # a part along the weights themselves, where a penalty on them is steep
        self.direction = [w + normal(w, draws) * w.square().mean().sqrt() for w in self.weights]

    def objective(self, methods, amount=0.0):
        """The objective with the penalties of some methods, so far along the direction; leaves the gradients."""
        self.state.network.seed_dropout(torch_generator(0, "dropout"))  # the same mask at every call
        found = {name: method.strength(2) for name, method in methods.items()}
        strengths = {name: torch.tensor(v, dtype=torch.float64) for name, v in found.items() if v is not None}
        batch = Batch(self.images.clone(), self.labels, strengths, torch_generator(0, "penalty"))
        torch._foreach_add_([w.data for w in self.weights], self.direction, alpha=amount)
        objective, *_ = train_step(self.state, batch)
        torch._foreach_add_([w.data for w in self.weights], self.direction, alpha=-amount)
        return objective

    def by_gradient(self, methods):
        """The derivative along the direction that the gradient gives."""
        assert self.objective(methods).dtype == torch.float64
        assert all(w.grad is not None and w.grad.dtype == torch.float64 for w in self.weights)
        return sum((w.grad * v).sum() for w, v in zip(self.weights, self.direction, strict=True)).item()

    def by_differences(self, methods):
        """The same by differences of the objective, ahead and behind: a kink can lie within a step on one side."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "backward", lambda objective: None)  # no gradient is needed
            behind, here, ahead = (self.objective(methods, sign * self.step).item() for sign in (-1, 0, 1))
        return [(ahead - here) / self.step, (here - behind) / self.step]


def normal(like, generator):
    return torch.randn(like.shape, generator=generator, dtype=torch.float64)


def is_one_of(found, expected):
    return any(found == pytest.approx(value, rel=1e-4, abs=2e-5) for value in expected)


@cases("pair", lambda network, names: not (is_large(network) and by_layers_alone(names)), most=Cost.QUICK)
def test_the_gradient_is_that_of_the_objective(pair):
    """Against differences along a random direction; without the penalties it is another, so they are seen."""
    case = Case(*pair)
    tried = Differentiated(case)
    methods = tried.state.regularizers
    expected = tried.by_differences(methods)
    assert is_one_of(tried.by_gradient(methods), expected)
    if set(case.names) & set(PENALIZING):
        assert not is_one_of(tried.by_gradient({}), expected)


@pytest.mark.parametrize("network", ["smallnet", "mobilenet"])
def test_the_check_of_the_gradient_can_fail(network):
    tried = Differentiated(Case(network, "halfdetached"))
    methods = tried.state.regularizers
    assert not is_one_of(tried.by_gradient(methods), tried.by_differences(methods))


def test_the_gradient_of_a_composition_is_the_sum_of_its_parts():
    tried = Differentiated(Case("smallnet", "+".join(PENALIZING)))
    methods = tried.state.regularizers
    plain = tried.by_gradient({})
    parts = [tried.by_gradient({name: method}) - plain for name, method in methods.items()]
    assert tried.by_gradient(methods) - plain == pytest.approx(sum(parts), rel=1e-9)


# Training, resumed and evaluated


@cases("trained")
def test_it_trains_every_weight(trained):
    (metrics,) = trained.metrics
    assert all(math.isfinite(value) for value in metrics.values())
    parameters = dict(trained.state.network.named_parameters())
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in parameters.values())
    names = [f"network.{name}" for name in parameters]
    still = [name for name in names if torch.equal(trained.initial[name], trained.saved[name])]
    # a length may: behind batch normalization its gradient is 0, as is anything's in a unit that never answers
    assert still == [] or set(trained.names) & set(REPARAMETRIZING)
    penalized = [name for name, method in trained.state.regularizers.items() if method.strength(0) is not None]
    assert [n.removeprefix("penalty_") for n in metrics if n.startswith("penalty_")] == penalized
    assert sorted(penalized) == sorted(set(trained.names) & set(PENALIZING))


@cases("trained")
def test_it_changes_training(trained):
    network, bare = trained.state.network, trained_bare(trained.network)
    name = next(n for n, module in network.named_modules() if module is weighted_layers(network)[0])
    assert torch.equal(network.get_submodule(name).weight, bare[f"{name}.weight"]) == (trained.reg == "bare")


def resumed(case, saved):
    """The second epoch, in a new process's place."""
    state = case.start()
    state.restore(saved, 1)
    return case.train(state, 1), state.tensors()


@cases("trained")
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(trained):
    metrics, tensors = resumed(trained, trained.saved)
    assert metrics == trained.metrics
    assert same_bits(tensors, trained.state.tensors())


@pytest.mark.parametrize(("reg", "lost"), [("forgetful", "-"), ("bare", OPTIMIZER), ("bn+al2", OPTIMIZER)])
def test_the_check_of_resuming_can_fail(reg, lost):
    whole = Trained("smallnet", reg)
    kept = {name: value for name, value in whole.saved.items() if not name.startswith(lost)}
    assert not same_bits(resumed(whole, kept)[1], whole.state.tensors())


@cases("trained")
def test_evaluation_repeats_and_changes_nothing(trained):
    network = trained.state.network
    before = trained.state.tensors()
    assert torch.equal(trained.logits(network), trained.logits(network))
    assert network.training
    assert same_bits(trained.state.tensors(), before)


@cases("trained")
def test_evaluation_knows_weights_alone(trained):
    """A network of the same layers and weights has these logits: no penalty and no dropout is left in them."""
    network = trained.state.network
    assert any(isinstance(module, Dropout) for module in network.modules()) or "do" not in trained.names
    layers = [name for name in trained.names if name in ("bn", "nobn", *REPARAMETRIZING)]
    other = trained.start("+".join(layers) or "bare").network
    other.load_state_dict(dict(zip(other.state_dict(), network.state_dict().values(), strict=True)))
    assert torch.equal(trained.logits(other), trained.logits(network))


# Strength 0, and what stands for it


@cases("pair", lambda network, names: names and set(names) <= set(WEAKEST), most=Cost.QUICK)
def test_at_strength_0_it_trains_the_bits_of_bare(pair):
    case = Case(*pair)
    weakest = case.start(options=WEAKEST)
    case.train(weakest, 2)
    pairs = zip(weakest.network.state_dict().values(), trained_bare(case.network).values(), strict=True)
    images = any(method.needs_image_gradients() for method in weakest.regularizers.values())
    # PyTorch 2.11 sums the gradient of a grouped convolution's weights in another order if the images' is wanted
    same = alike if case.network == USER_NETWORK and images else torch.equal
    assert all(same(one, other) for one, other in pairs)  # by their order: dropout shifts layers' numbers


def test_decoupled_norm_loss_does_so_too():
    case = Case("smallnet", "normloss")
    weakest = case.start(options={"normloss": {"decoupled": True, "weight": NAUGHT}})
    case.train(weakest, 2)
    assert same_bits(weakest.network.state_dict(), trained_bare("smallnet"))


@cases("pair", lambda network, names: set(names) & set(REPARAMETRIZING))
def test_a_remade_network_is_the_bare_one_with_the_weights_it_makes(pair):
    """There is no strength; and weight normalization makes the initial weights themselves."""
    case = Case(*pair)
    remade, bare = case.start().network, case.start("bare").network
    drawn, found = case.logits(bare), case.logits(remade)
    with torch.no_grad():
        for ours, plain in zip(weighted_layers(remade), weighted_layers(bare), strict=True):
            plain.weight.copy_(ours.weight)
    assert alike(found, case.logits(bare))
    assert alike(found, drawn) == ("wn" in case.names)


@cases("pair", lambda network, names: set(names) & {"bn", "nobn"})
def test_batch_normalization_that_has_seen_nothing_is_the_identity(pair):
    """In evaluation mode, but for ε: with it and without it a network starts as the same function."""
    case = Case(*pair)
    found = []
    for reg in ("bare", case.reg):
        network = case.start(reg).network
        layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        assert bool(layers) == ((reg == "bare") == (case.reg == "nobn"))
        for layer in layers:
            layer.eps = 1e-30  # not 0, which PyTorch 2.11 refuses
        found.append(case.logits(network))
    assert alike(*found)


def alike(one, other):
    """Equal but for rounding in float32, which kernels for another memory layout do in another order."""
    return torch.allclose(one, other, rtol=1e-4, atol=1e-4 * other.abs().max().item())


# Numbers are of the parameters' kind, where these are


KINDS = [("cpu", torch.float32), ("cpu", torch.float64), ("meta", torch.float32)]
OF_A_KIND: list[Any] = [("smallnet", reg, kind) for reg in PENALIZING for kind in KINDS]
OF_A_KIND += [
    pytest.param(network, PENALTIES, KINDS[-1], marks=pytest.mark.slow if is_large(network) else ())
    for network in NETWORK_COSTS
    if network not in ("resnet110", "densenet121")
]


@pytest.mark.parametrize(("network", "reg", "kind"), OF_A_KIND)
def test_penalties_and_their_gradients_are_what_the_parameters_are(network, reg, kind):
    """On `meta`, too, where nothing is computed: a tensor made elsewhere would raise there, as on a GPU."""
    case, (device, dtype) = Case(network, reg), kind
    state = case.start()
    model = state.network.to(device, dtype).train()
    images = case.data.normalize(case.data.train_images).to(device, dtype).requires_grad_()
    labels = case.data.noisy.to(device)
    features, logits = model(images)
    loss = nn.functional.cross_entropy(logits, labels)
    step = Step(model, images, features, logits, labels, loss, torch_generator(0, "penalty"))
    for method in state.regularizers.values():
        value = method.penalty(step)
        assert (value.shape, value.dtype, value.device.type) == ((), dtype, device)
        found = torch.autograd.grad(value, [*model.parameters()], retain_graph=True, allow_unused=True)
        assert {(g.dtype, g.device.type) for g in found if g is not None} == {(dtype, device)}


@pytest.mark.parametrize("reg", [reg for network, reg in COSTS if network == "smallnet" and reg in LAWFUL])
def test_it_trains_in_mixed_precision(reg):
    case = Case("smallnet", reg)
    recipe = case.recipe()
    recipe = replace(recipe, training=replace(recipe.training, precision="bf16"))
    state = TrainingState.initial(recipe, case.some.images, CPU)
    assert all(math.isfinite(value) for value in train_epoch(state, case.data, recipe).values())
    assert {p.dtype for p in state.network.parameters()} == {torch.float32}


# Combinations


@pytest.mark.parametrize("pair", REFUSED, ids=named)
def test_what_changes_nothing_or_has_no_place_is_refused_in_a_sentence(pair):
    with pytest.raises(MemstudyError, match=rf"^network {refused(*pair)}.*\.$"):
        Case(*pair).start()


def test_every_registered_network_has_a_cost_and_every_pair_a_place():
    assert set(NETWORK_COSTS) == {*NETWORKS.names(), THEIRS, USER_NETWORK}
    ours = itertools.product(NETWORKS.names(), set(REGULARIZERS.names()) - set(USERS))
    assert {*COSTS, *REFUSED} >= set(ours)


COMPOSED = [name for name in LAWFUL if name != "nobn"]
PAIRS = [pair for pair in itertools.combinations(COMPOSED, 2) if not set(pair) <= set(REPARAMETRIZING)]
ALL = [name for name in COMPOSED if name not in REPARAMETRIZING[1:]]


@pytest.mark.parametrize("names", [*PAIRS, ALL], ids="+".join)
def test_it_composes_and_the_order_means_nothing(names):
    case = Case("smallnet", "+".join(names))
    one = case.recipe()
    other = replace(one, regularizers=one.regularizers[::-1])
    assert one.id == other.id
    found = []
    for recipe in (one, other):
        state = TrainingState.initial(recipe, case.some.images, CPU)
        found.append((train_epoch(state, case.data, recipe), state.tensors()))
    assert all(math.isfinite(value) for value in found[0][0].values())
    assert found[0][0] == found[1][0]
    assert same_bits(found[0][1], found[1][1])


@pytest.mark.parametrize("pair", [*itertools.combinations(REGULARIZERS.names(), 2)], ids="+".join)
def test_the_order_of_naming_means_nothing(pair):
    one, other = (parse("+".join(names)) for names in (pair, pair[::-1]))
    assert label(one) == label(other)
    assert regularizers.build(one) == regularizers.build(other)


# What it is


@pytest.mark.parametrize("names", [*([name] for name in LAWFUL), *PAIRS, ALL], ids="+".join)
def test_its_options_are_written_out_and_bring_it_back(names):
    specifications = parse("+".join(names))
    built = regularizers.build(specifications)
    assert built == regularizers.build(regularizers.complete(specifications))
    assert sorted(built) == sorted(s.name for s in specifications)


@pytest.mark.parametrize("name", LAWFUL)
def test_it_says_what_it_is_and_cannot_be_changed(name):
    method = REGULARIZERS.get(name)
    assert issubclass(method, Regularizer)
    assert method.__doc__
    assert hash(method()) == hash(method())
    with pytest.raises(AttributeError):
        method().anything = 1
