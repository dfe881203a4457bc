"""Architectures: sizes by the papers' shapes, torchvision as the oracle, where weights come from, refusals."""

from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import click
import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from memstudy import models, presets, recipe
from memstudy.data import dataset
from memstudy.errors import MemstudyError
from memstudy.models import NETWORKS, Dropout, Network
from memstudy.models.dropout import replace_dropout
from memstudy.models.residual import Padding
from memstudy.models.torchvision_models import split
from memstudy.models.wrn28_10 import block as wide_block
from memstudy.randomness import torch_generator
from memstudy.recipe import Corruption, Recipe, Training
from memstudy.regularizers import REGULARIZERS, Regularizer, parse
from memstudy.training import DeviceData, TrainingState, train_epoch

MNIST = {"channels": 1, "size": 28, "classes": 10}
CIFAR = {"channels": 3, "size": 32, "classes": 10}
SHAPES = [MNIST, CIFAR | {"classes": 100}]
BORN_WITH = ["resnet18", "resnet50", "resnet110", "wrn28-10", "densenet121", "mobilenet"]
BORN_WITHOUT = ["smallnet", "alexnet", "vgg16"]
TRUNKS = {  # features of 32-pixel images
    "smallnet": (50, 5, 5),
    "alexnet": (256, 6, 6),
    "vgg16": (512, 1, 1),
    "resnet18": (512, 4, 4),
    "resnet50": (2048, 4, 4),
    "resnet110": (64, 8, 8),
    "wrn28-10": (640, 8, 8),
    "densenet121": (1024, 4, 4),
    "mobilenet": (1024, 2, 2),
}


def build(name, shape=CIFAR, seed=0, **options):
    return models.build(name, **shape, generator=torch_generator(seed, "weights"), **options)


def sketch(name, shape=CIFAR, **options):
    """The network without weights: its layers and their shapes."""
    with torch.device("meta"):
        return NETWORKS.get(name)(shape["channels"], shape["size"], shape["classes"], **options)


def images(shape=CIFAR, count=2):
    """Normal noise in place of images: only what the layers do with it is looked at."""
    side = shape["size"]
    return torch.randn(count, shape["channels"], side, side, generator=torch_generator(0, "images"))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def of_kind(module, *kinds):
    return [m for m in module.modules() if isinstance(m, kinds)]


def same_bits(one, other):
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# Sizes. Each count is derived here from the shapes that the paper names; `norm` is what stands behind c channels


def conv(inputs, outputs, kernel, bias=False):
    return inputs * outputs * kernel**2 + outputs * bias


def linear(inputs, outputs):
    return (inputs + 1) * outputs


def behind(norm):
    """Parameters behind a convolution to c channels: scale and shift of BN, or else a bias."""
    return lambda c: 2 * c if norm else c


def by_hand_smallnet(channels, side, classes, norm):
    features = 50 * {28: 4, 32: 5}[side] ** 2
    trunk = conv(channels, 20, 5, True) + conv(20, 50, 5, True) + 100 * norm
    return trunk + linear(features, 500) + linear(500, classes)


def by_hand_alexnet(channels, side, classes, norm):
    shapes = [(channels, 64, 11), (64, 192, 5), (192, 384, 3), (384, 256, 3), (256, 256, 3)]
    trunk = sum(conv(*shape, bias=True) for shape in shapes) + 2 * (64 + 192 + 384 + 256 + 256) * norm
    return trunk + linear(256 * 36, 4096) + linear(4096, 4096) + linear(4096, classes)


def by_hand_vgg16(channels, side, classes, norm):
    widths = [64, 64, 128, 128, 256, 256, 256, *[512] * 6]
    inputs = [channels, *widths[:-1]]
    trunk = sum(conv(i, o, 3, True) + 2 * o * norm for i, o in zip(inputs, widths, strict=True))
    return trunk + linear(512, 512) + linear(512, classes)


def by_hand_resnet18(channels, side, classes, norm):
    after = behind(norm)
    total, inputs = conv(channels, 64, 3) + after(64), 64
    for width in (64, 128, 256, 512):
        total += conv(inputs, width, 3) + 3 * conv(width, width, 3) + 4 * after(width)
        total += (conv(inputs, width, 1) + after(width)) * (inputs != width)
        inputs = width
    return total + linear(512, classes)


def by_hand_resnet50(channels, side, classes, norm):
    after = behind(norm)
    total, inputs = conv(channels, 64, 3) + after(64), 64
    for width, blocks in zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True):
        out = 4 * width
        total += conv(inputs, out, 1) + after(out)  # the shortcut
        total += conv(inputs, width, 1) + (blocks - 1) * conv(out, width, 1)
        total += blocks * (conv(width, width, 3) + conv(width, out, 1) + 2 * after(width) + after(out))
        inputs = out
    return total + linear(2048, classes)


def by_hand_resnet110(channels, side, classes, norm):
    """2n convolutions a stage, n = 18; only the first of a stage widens, and shortcuts are free."""
    stages = [(16, 16), (16, 32), (32, 64)]
    body = sum(conv(i, o, 3) + 35 * conv(o, o, 3) + 36 * behind(norm)(o) for i, o in stages)
    return conv(channels, 16, 3) + behind(norm)(16) + body + linear(64, classes)


def by_hand_wrn(channels, side, classes, norm):
    """4 blocks a group, 28 = 6 · 4 + 4; BN before each of their two convolutions, and once at the end."""
    total, inputs = conv(channels, 16, 3, not norm), 16
    for width in (160, 320, 640):
        total += conv(inputs, width, 3, not norm) + 7 * conv(width, width, 3, not norm)
        total += conv(inputs, width, 1, not norm)  # the shortcut
        total += (2 * inputs + 7 * 2 * width) * norm
        inputs = width
    return total + 2 * 640 * norm + linear(640, classes)


def by_hand_densenet121(channels, side, classes, norm):
    """121 = 1 + 2 · (6 + 12 + 24 + 16) + 3 + 1 layers with weights."""
    bias = not norm
    total, width = conv(channels, 64, 3, bias), 64
    for index, layers in enumerate((6, 12, 24, 16)):
        if index:
            total += 2 * width * norm + conv(width, width // 2, 1, bias)
            width //= 2
        for _ in range(layers):
            total += 2 * width * norm + conv(width, 128, 1, bias) + 2 * 128 * norm + conv(128, 32, 3, bias)
            width += 32
    return total + 2 * width * norm + linear(1024, classes)


def by_hand_mobilenet(channels, side, classes, norm):
    """Table 1 of the paper: a depthwise convolution has 9 weights a channel."""
    after = behind(norm)
    widths = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    pairs = pairwise(widths)
    body = sum(9 * i + after(i) + conv(i, o, 1) + after(o) for i, o in pairs)
    return conv(channels, 32, 3) + after(32) + body + linear(1024, classes)


BY_HAND: dict[str, Any] = {
    "smallnet": by_hand_smallnet,
    "alexnet": by_hand_alexnet,
    "vgg16": by_hand_vgg16,
    "resnet18": by_hand_resnet18,
    "resnet50": by_hand_resnet50,
    "resnet110": by_hand_resnet110,
    "wrn28-10": by_hand_wrn,
    "densenet121": by_hand_densenet121,
    "mobilenet": by_hand_mobilenet,
}


def test_every_architecture_is_looked_at():
    assert NETWORKS.names() == [*BY_HAND]
    assert sorted(BORN_WITH + BORN_WITHOUT) == sorted(BY_HAND) == sorted(TRUNKS)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{s['channels']}x{s['size']}-{s['classes']}")
@pytest.mark.parametrize("name", BY_HAND)
def test_the_number_of_parameters_and_the_shapes(name, shape):
    for norm in (False, True):
        network = sketch(name, shape, batch_norm=norm)
        assert count(network) == BY_HAND[name](*shape.values(), norm)
    with torch.device("meta"):
        features, logits = network(torch.zeros(2, shape["channels"], shape["size"], shape["size"]))
    assert logits.shape == (2, shape["classes"])
    assert (features.ndim, features.shape[1]) == (4, TRUNKS[name][0])
    if shape["size"] == 32:
        assert features.shape[1:] == TRUNKS[name]


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("resnet110", 1_727_962),  # 1.7 M, He et al. 2016, table 6
        ("wrn28-10", 36_479_194),  # 36.5 M, Zagoruyko & Komodakis 2016, table 4
        ("resnet18", 11_173_962),  # these as kuangliu/pytorch-cifar has them for 10 classes
        ("resnet50", 23_520_842),
        ("densenet121", 6_956_298),
        ("mobilenet", 3_217_226),
    ],
)
def test_the_number_of_parameters_is_the_published_one(name, known):
    assert count(sketch(name)) == known


def test_the_convolutions_of_vgg16_are_torchvision_s():
    assert count(sketch("vgg16").trunk) == 14_714_688
    assert count(sketch("vgg16", batch_norm=True).trunk) == 14_723_136


# torchvision as the oracle


def theirs_for_32_pixels(name, batch_norm):
    """Torchvision's model without weights, its stem changed as ours is."""
    with torch.device("meta"):
        if name == "vgg16":
            name, features = "vgg16_bn" if batch_norm else "vgg16", 512
        model = torchvision.models.get_model(name, weights=None, num_classes=10)
        if name.startswith("resnet"):
            model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
            model.maxpool = nn.Identity()
        elif name.startswith("densenet"):
            model.features.conv0 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
            for stem in ("norm0", "relu0", "pool0"):
                setattr(model.features, stem, nn.Identity())
        elif name.startswith("vgg"):
            model.avgpool = nn.Identity()
            model.classifier = nn.Sequential(nn.Linear(features, 512), nn.ReLU(), nn.Linear(512, 10))
    return model


@pytest.mark.parametrize(
    ("name", "batch_norm"),
    [("alexnet", 0), ("vgg16", 0), ("vgg16", 1), ("resnet18", 1), ("resnet50", 1), ("densenet121", 1)],
)
def test_logits_are_torchvision_s_for_the_same_weights(name, batch_norm):
    own = {"batch_norm": True} if batch_norm and name == "vgg16" else {}
    network = build(name, **own).eval()
    for module in of_kind(network, nn.BatchNorm2d):  # as after some training
        module.running_mean.uniform_(-0.1, 0.1, generator=torch_generator(0, "mean"))
        module.running_var.uniform_(0.5, 1.5, generator=torch_generator(0, "variance"))
    theirs = theirs_for_32_pixels(name, batch_norm)
    renamed = dict(zip(theirs.state_dict(), network.state_dict().values(), strict=True))
    theirs.load_state_dict(renamed, assign=True)
    given = images()
    seen = functional.interpolate(given, (224, 224), mode="bilinear") if name == "alexnet" else given
    with torch.no_grad():
        assert torch.allclose(network(given)[1], theirs.eval()(seen), rtol=1e-4, atol=1e-5)


def test_shortcut_a_takes_every_other_pixel_and_adds_zeros():
    x = torch.arange(2 * 16 * 5 * 5.0).reshape(2, 16, 5, 5)
    found = Padding(16, 2)(x)
    assert found.shape == (2, 32, 3, 3)
    assert torch.equal(found[:, 8:24], x[:, :, ::2, ::2])
    assert found[:, :8].count_nonzero() == found[:, 24:].count_nonzero() == 0


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(4, 4, 1), (4, 8, 2), (4, 8, 1)])
def test_a_wide_block_is_its_formula(inputs, outputs, stride):
    made: Any = wide_block(inputs, outputs, stride, True, dropout=0.3).eval()
    first, _, _, _, second = made.body
    x = torch.randn(2, inputs, 6, 6, generator=torch_generator(0, "x"))
    active = functional.relu(made.activation[0](x))
    inner = functional.conv2d(active, first.weight, stride=stride, padding=1)
    inner = functional.conv2d(functional.relu(made.body[1](inner)), second.weight, padding=1)
    around = x if made.shortcut is None else functional.conv2d(active, made.shortcut.weight, stride=stride)
    assert (made.shortcut is None) == (inputs == outputs)
    assert torch.allclose(made(x), inner + around, atol=1e-6)


# One pass of every network


@pytest.fixture(scope="module", params=NETWORKS.names())
def passed(request):
    """A network with weights, after one training pass of two images forth and back."""
    network = build(request.param).train()
    features, logits = network(images())
    functional.cross_entropy(logits, torch.tensor([3, 7])).backward()
    return SimpleNamespace(name=request.param, network=network, features=features, logits=logits)


def test_features_are_the_trunk_s_and_logits_the_head_s(passed):
    assert passed.features.shape == (2, *TRUNKS[passed.name])
    assert torch.equal(passed.network.head(passed.features), passed.logits)
    assert passed.logits.shape == (2, 10)
    assert passed.logits.isfinite().all()


def test_the_gradient_reaches_every_parameter(passed):
    without = [n for n, p in passed.network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("name", ["resnet18", "mobilenet", "vgg16"])
def test_evaluation_is_deterministic_and_images_do_not_touch_each_other(name):
    network, given = build(name, dropout=0.5).eval(), images(MNIST | {"channels": 3}, 3)
    with torch.no_grad():
        logits = network(given)[1]
        assert torch.equal(network(given)[1], logits)
        assert torch.allclose(network(given[1:2])[1], logits[1:2], atol=1e-5)


# Initial weights


@pytest.mark.parametrize("name", ["vgg16", "resnet18", "resnet110", "densenet121", "mobilenet"])
def test_weights_follow_from_the_generator_alone(name):
    before = torch.get_rng_state()
    one = build(name)
    assert torch.equal(torch.get_rng_state(), before)
    assert same_bits(build(name), one)
    other = build(name, seed=1)
    pairs = zip(*(of_kind(n, nn.Conv2d, nn.Linear) for n in (one, other)), strict=True)
    assert not any(torch.equal(a.weight, b.weight) for a, b in pairs)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("vgg16", "fan_out"), ("resnet18", "fan_out"), ("densenet121", "fan_in"), ("mobilenet", "fan_in")],
)
def test_weights_are_those_of_torch_s_own_initializers_bit_for_bit(name, mode):
    network = build(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_generator(0, "weights").initial_seed())
        for layer in of_kind(network, nn.Conv2d, nn.Linear):
            expected = torch.empty_like(layer.weight)
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(expected, mode=mode, nonlinearity="relu")
            else:
                nn.init.kaiming_uniform_(expected, a=5**0.5)
            assert torch.equal(layer.weight, expected)
            assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize("name", ["resnet110", "densenet121"])
def test_batch_normalization_starts_neutral(name):
    for layer in of_kind(build(name), nn.BatchNorm2d):
        assert (layer.weight == 1).all()
        assert (layer.running_var == 1).all()
        assert not layer.bias.any()
        assert not layer.running_mean.any()
        assert layer.num_batches_tracked == 0


@pytest.mark.parametrize("name", ["vgg16", "resnet18", "mobilenet"])
def test_options_do_not_move_the_weights(name):
    bare, other = build(name), build(name, dropout=0.5, batch_norm=name in BORN_WITHOUT)
    pairs = zip(*(of_kind(n, nn.Conv2d, nn.Linear) for n in (bare, other)), strict=True)
    assert all(torch.equal(a.weight, b.weight) for a, b in pairs)


# Batch normalization and dropout


@pytest.mark.parametrize("name", NETWORKS.names())
def test_batch_normalization_is_there_or_not(name):
    by_default = of_kind(sketch(name), nn.BatchNorm2d)
    with_it, without = sketch(name, batch_norm=True), sketch(name, batch_norm=False)
    assert bool(by_default) == (name in BORN_WITH)
    assert of_kind(without, nn.BatchNorm2d) == []
    assert all(layer.bias is not None for layer in of_kind(without, nn.Conv2d))
    normalized = sum(layer.num_features for layer in of_kind(with_it, nn.BatchNorm2d))
    assert normalized > 0
    assert all((layer.bias is None) == (name in BORN_WITH) for layer in of_kind(with_it, nn.Conv2d))


PLACES = {
    "smallnet": 1,
    "alexnet": 2,
    "vgg16": 2,
    "resnet18": 1,
    "resnet50": 1,
    "resnet110": 1,
    "wrn28-10": 12,  # one a block
    "densenet121": 119,  # behind all of 121 layers but the first and the last
    "mobilenet": 1,
}


@pytest.mark.parametrize("name", NETWORKS.names())
def test_dropout_is_where_it_is_said_to_be(name):
    assert of_kind(sketch(name), Dropout, nn.Dropout) == []
    network = sketch(name, dropout=0.3)
    assert [layer.p for layer in of_kind(network, Dropout)] == [0.3] * PLACES[name]
    head = [type(layer).__name__ for layer in network.head]
    if name in ("resnet18", "resnet50", "resnet110", "mobilenet"):
        assert head == ["AdaptiveAvgPool2d", "Flatten", "Dropout", "Linear"]
    if name in ("alexnet", "vgg16"):
        assert Counter(pairwise(head))["Dropout", "Linear"] == 2
    if name == "wrn28-10":
        body = [type(layer).__name__ for layer in network.trunk[1].body]
        assert body == ["Conv2d", "BatchNorm2d", "ReLU", "Dropout", "Conv2d"]
    if name == "densenet121":
        body = [type(layer).__name__ for layer in network.trunk[1].body]
        assert body == ["BatchNorm2d", "ReLU", "Conv2d", "Dropout"] * 2


@pytest.mark.parametrize("name", ["vgg16", "mobilenet"])
def test_dropout_is_seeded_and_only_in_training(name):
    network = build(name, dropout=0.5).train()

    def logits(seed):
        network.seed_dropout(torch_generator(seed, "dropout"))
        with torch.no_grad():
            return network(images())[1]

    assert torch.equal(logits(0), logits(0))
    assert not torch.equal(logits(0), logits(1))
    network.eval()
    assert torch.equal(logits(0), logits(1))


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        *((name, "batch_norm", True) for name in BORN_WITH),
        *((name, "batch_norm", False) for name in BORN_WITHOUT),
        ("smallnet", "dropout", 0.0),
    ],
)
def test_an_option_that_changes_nothing_is_refused(name, option, value):
    with pytest.raises(MemstudyError, match=rf"^network '{name}' has {option} = {value} anyway; leave out"):
        build(name, **{option: value})


# Names and sizes


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("smalnet", "did you mean smallnet"),
        ("wrn-28-10", "did you mean wrn28-10"),
        ("ResNet18", "did you mean resnet18"),
        ("zzz", "unknown network 'zzz'; known are alexnet, .*torchvision:NAME .* package.module:function"),
        ("torchvision:resnet19", "unknown torchvision model 'resnet19': did you mean resnet18"),
        ("torchvision:fcn_resnet50", "unknown torchvision model"),  # of segmentation
        ("nowhere.at_all:net", "cannot import 'nowhere.at_all' .*PYTHONPATH"),
        ("memstudy.models.vgg16:vgg19", "unknown function in memstudy.models.vgg16 'vgg19': did you mean vgg16"),
        ("a:b:c", "is named package.module:function, not 'a:b:c'"),
        (":b", "is named package.module:function"),
        ("../x:b", "is named package.module:function"),
        ("math:pi", "is not a Python function"),
    ],
)
def test_a_name_that_stands_for_nothing_is_refused_before_building(name, sentence):
    for function in (models.check, build):
        with pytest.raises(MemstudyError, match=sentence):
            function(name)


def test_every_known_name_passes():
    for name in [*NETWORKS.names(), "torchvision:resnet18", "memstudy.models.vgg16:vgg16"]:
        assert models.check(name) == name


@pytest.mark.parametrize(
    ("name", "least"),
    [("smallnet", 16), ("densenet121", 8), *((n, 1) for n in BY_HAND if n not in ("smallnet", "densenet121"))],
)
def test_images_can_be_too_small(name, least):
    with torch.device("meta"):
        features, logits = sketch(name, CIFAR | {"size": least}).eval()(torch.zeros(2, 3, least, least))
    assert features.shape[2] > 0
    assert logits.shape == (2, 10)
    if least > 1:
        with pytest.raises(
            MemstudyError, match=f"'{name}' needs images of at least {least} pixels, not {least - 1}"
        ):
            build(name, CIFAR | {"size": least - 1})


# torchvision's


@pytest.mark.parametrize("training", [False, True])
def test_a_torchvision_network_is_torchvision_s(training):
    network = build("torchvision:resnet18").train(training)
    theirs = torchvision.models.resnet18(num_classes=10).train(training)
    weights = {name.split(".", 1)[1]: value.clone() for name, value in network.state_dict().items()}
    theirs.load_state_dict(weights)
    with torch.no_grad():
        features, logits = network(images())
        assert torch.equal(logits, theirs(images()))
        assert features.shape == (2, 512, 1, 1)
        assert torch.equal(network.head(features), logits)
    if training:  # batch normalization has seen the images in both
        assert all(torch.equal(network.state_dict()[f"trunk.{n}"], b) for n, b in theirs.named_buffers())


def test_a_torchvision_network_initializes_itself_from_the_generator():
    before = torch.get_rng_state()
    one, again, other = (build("torchvision:squeezenet1_1", seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert same_bits(one, again)
    assert not same_bits(one, other)


@pytest.mark.parametrize(
    ("model", "features", "head"),
    [
        ("squeezenet1_1", (512, 1, 1), ["classifier"]),
        ("mobilenet_v3_small", (576, 1, 1), ["avgpool", "classifier"]),
        ("shufflenet_v2_x0_5", (1024, 1, 1), ["fc"]),
    ],
)
def test_a_torchvision_network_is_cut_before_its_pooling_or_classifier(model, features, head):
    network = build(f"torchvision:{model}", MNIST).eval()
    with torch.no_grad():
        seen, logits = network(images(MNIST))
        assert torch.equal(network(images(MNIST).expand(-1, 3, -1, -1)[:, :1])[1], logits)
    assert seen.shape == (2, *features)
    assert [name for name, _ in network.head.named_children()] == head
    network.train().seed_dropout(torch_generator(0, "dropout"))
    functional.cross_entropy(network(images(MNIST))[1], torch.tensor([1, 2])).backward()
    assert all(p.grad is not None for p in network.parameters())


def test_one_channel_is_repeated_to_three():
    network = build("torchvision:squeezenet1_1", MNIST).eval()
    theirs = torchvision.models.squeezenet1_1(num_classes=10).eval()
    theirs.load_state_dict({name.split(".", 1)[1]: value for name, value in network.state_dict().items()})
    with torch.no_grad():
        assert torch.equal(network(images(MNIST))[1], theirs(images(MNIST).expand(-1, 3, -1, -1)))


@pytest.mark.parametrize(
    ("name", "shape", "options", "sentence"),
    [
        ("torchvision:alexnet", CIFAR, {}, "'torchvision:alexnet' needs images of at least 63 pixels, not 32"),
        ("torchvision:maxvit_t", CIFAR, {}, "takes images of 224 pixels alone, not 32"),
        ("torchvision:resnet18", CIFAR | {"channels": 2}, {}, "1 or 3 channels, not 2"),
        ("torchvision:resnet18", CIFAR, {"batch_norm": False}, "no place for 'batch_norm': it has no options"),
        ("torchvision:resnet18", CIFAR, {"dropout": 0.5}, "no place for 'dropout': it has no options"),
    ],
)
def test_what_a_torchvision_network_cannot_do(name, shape, options, sentence, capfd):
    with pytest.raises(MemstudyError, match=sentence):
        build(name, shape, **options)
    assert capfd.readouterr().err == ""


class Skipping(nn.Module):
    """Two values reach its classifier."""

    def __init__(self):
        super().__init__()
        self.body, self.fc = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 10, 1)

    def forward(self, x):
        return self.fc(self.body(x)) + x.mean()


class Branching(nn.Module):
    """Its computation depends on the images."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize("model", [Skipping(), Branching(), nn.Linear(3, 3), nn.ReLU(), nn.Sequential(nn.ReLU())])
def test_a_model_that_cannot_be_split_is_refused(model):
    with pytest.raises(
        MemstudyError, match=r"^network 'it' (cannot be split into|has no graph to split into) trunk"
    ):
        split(model, "it")


def test_dropout_of_others_is_replaced_by_ours():
    shared = nn.Dropout(0.2)
    depth = torchvision.ops.StochasticDepth(0.4, "row")
    network: Any = nn.Sequential(nn.Sequential(shared, nn.ReLU()), shared, depth)
    replace_dropout(network)
    assert repr(network[0][0]) == repr(network[1]) == "Dropout(p=0.2)"
    assert repr(network[2]) == "Dropout(p=0.4, whole)"
    with pytest.raises(MemstudyError, match=r"Dropout2d draws from PyTorch's global generator.*nn\.Dropout"):
        replace_dropout(nn.Sequential(nn.Dropout2d(0.5)))


# A user's own

OWN = """
from functools import partial
import torch
from torch import nn
from memstudy.models import Dropout, Network

def pair(channels, size, classes, width=4, dropout=0.1):
    trunk = nn.Sequential(nn.Conv2d(channels, width, 3), nn.ReLU(), nn.Dropout(dropout))
    return trunk, nn.Sequential(nn.Flatten(), nn.Linear(width * (size - 2) ** 2, classes))

def network(channels, size, classes, **options):
    return Network(*pair(channels, size, classes, **options))

def lazy(channels, size, classes):
    return nn.Flatten(), nn.LazyLinear(classes)

narrow = partial(pair, width=2)

def nothing(channels, size, classes): return None
def module(channels, size, classes): return nn.Flatten()
def layers(channels, size, classes): return nn.Flatten(), torch.relu
def broken(channels, size, classes): raise ZeroDivisionError("by zero")
def greedy(channels, size, classes, more): return None
def timid(channels, size): return None
def bare(): return None
def blurred(channels, size, classes): return nn.Dropout2d(0.5), nn.Flatten()
def fixed(channels, size, classes): return nn.Flatten(), nn.Linear(7, classes)
def wrong(channels, size, classes): return nn.Flatten(), nn.Linear(channels * size ** 2, classes + 1)
class Two(nn.Module):
    def forward(self, x): return x, x
def two(channels, size, classes): return Two(), nn.Flatten()
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "memstudy_test_nets.py").write_text(OWN)
    (tmp_path / "memstudy_test_broken.py").write_text("def f(:")
    monkeypatch.syspath_prepend(tmp_path)
    return "memstudy_test_nets:{}".format


@pytest.mark.parametrize("function", ["pair", "network", "narrow", "lazy"])
def test_a_network_of_one_s_own(own, function):
    before = torch.get_rng_state()
    network, again, other = (build(own(function), MNIST, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert isinstance(network, Network)
    assert network.training
    assert same_bits(network, again)
    assert not same_bits(network, other)
    network.seed_dropout(torch_generator(0, "dropout"))
    assert network(images(MNIST))[1].shape == (2, 10)


def test_its_options_are_passed_on(own):
    assert [layer.p for layer in of_kind(build(own("pair"), MNIST, dropout=0.4), Dropout)] == [0.4]
    assert build(own("network"), MNIST, width=7).trunk[0].out_channels == 7


@pytest.mark.parametrize(
    ("function", "options", "sentence"),
    [
        ("nothing", {}, r"must be a memstudy\.models\.Network or a pair \(trunk, head\) of modules, not NoneType"),
        ("module", {}, "not Flatten"),
        ("layers", {}, "not tuple"),
        ("broken", {}, r"cannot be built: ZeroDivisionError: by zero \(.*memstudy_test_nets\.py:22\)"),
        (
            "greedy",
            {},
            r"function \(channels, size, classes, \*\*options\).*greedy\(.*, more\): .*'more' \(.*:\d+\)",
        ),
        ("timid", {}, r"function \(channels, size, classes, .* it is timid\(channels, size\): too few arguments"),
        ("bare", {}, r"function \(channels, size, classes, .* it is bare\(\): too few arguments"),
        ("blurred", {}, "Dropout2d draws from PyTorch's global generator"),
        ("fixed", {}, "cannot take images of 1 × 28 × 28: RuntimeError"),
        ("wrong", {}, r"must return \(N, 10\), a logit for each class"),
        ("two", {}, "cannot take images|must return one tensor"),
        ("pair", {"batch_norm": True}, "no place for 'batch_norm': its options are dropout, width"),
        ("pair", {"dropout": 0.1}, "has dropout = 0.1 anyway"),
        ("network", {"height": 3}, "cannot be built: TypeError: .*'height'"),
        ("pear", {}, "unknown function in memstudy_test_nets 'pear': did you mean pair"),
    ],
)
def test_what_is_no_network_is_told_in_a_sentence(own, function, options, sentence):
    with pytest.raises(MemstudyError, match=sentence):
        build(own(function), MNIST, **options)


@pytest.mark.usefixtures("own")
def test_a_module_that_cannot_be_imported_is_told():
    with pytest.raises(
        MemstudyError, match=r"cannot import 'memstudy_test_broken' for .*: SyntaxError.*broken\.py:1\)"
    ):
        models.check("memstudy_test_broken:f")


# In a recipe, in training


@pytest.mark.parametrize("name", ["wrn28-10", "torchvision:mobilenet_v2", "memstudy.models.vgg16:vgg16"])
def test_a_recipe_names_any_network(name, tmp_path):
    made = presets.build(network=name)
    (tmp_path / "recipe.toml").write_text(made.to_toml())
    assert presets.check(recipe.read(tmp_path / "recipe.toml")) == made


@pytest.mark.parametrize("name", ["a/b:c", "a b:c", "a\\b", "a:b\n", "", "[a]", "^"])
def test_a_recipe_s_network_is_a_plain_name(name):
    with pytest.raises(MemstudyError, match=r"^network must be a name of letters, digits, '\.', ':', '-' and"):
        presets.build(network=name)


def test_the_command_line_knows_it_by_two_names():
    from memstudy.cli.run import run

    (option,) = [option for option in run.params if option.name == "network"]
    assert option.opts == ["--network", "--arch"]
    _, help_text = option.get_help_record(click.Context(run)) or ("", "")
    assert all(name in help_text for name in [*NETWORKS.names(), "torchvision:NAME", "package.module:function"])


@pytest.fixture(scope="module")
def few(small):
    """16 images for training."""
    part = replace(small, train_images=small.train_images[::25], train_labels=small.train_labels[::25])
    return dataset.corrupt(part, Corruption())


def started(name, reg, few):
    training = Training(epochs=2, batch_size=8, learning_rate=0.01, momentum=0.5)
    made = Recipe(training, "mnist5k", network=name, regularizers=parse(reg))
    return made, TrainingState.initial(made, few.images, torch.device("cpu"))


@pytest.mark.parametrize(
    ("name", "reg"),
    [("mobilenet", "nobn+do+al2+loco"), ("mobilenet", "normloss"), ("torchvision:mobilenet_v3_small", "al2+wd")],
)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(few, name, reg):
    data = DeviceData.of(few, torch.device("cpu"))
    made, state = started(name, reg, few)
    train_epoch(state, data, made)
    saved = state.tensors()
    last = train_epoch(state, data, made)
    resumed = started(name, reg, few)[1]
    resumed.restore(saved, 1)
    assert train_epoch(resumed, data, made) == last
    one, other = state.tensors(), resumed.tensors()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("name", "reg", "refused"),
    [
        ("resnet18", "bn", True),
        ("smallnet", "nobn", True),
        ("mobilenet", "nobn", False),
        ("smallnet", "bn", False),
    ],
)
def test_bn_and_nobn_are_refused_where_they_change_nothing(few, name, reg, refused):
    with pytest.raises(MemstudyError, match=r"batch_norm = .* anyway") if refused else nullcontext():
        started(name, reg, few)


def test_bn_and_nobn_exclude_each_other(few):
    with pytest.raises(MemstudyError, match=r"^bn and nobn cannot be combined, because both set 'batch_norm'"):
        started("resnet18", "bn+nobn", few)


def test_nobn_says_what_it_is():
    method = REGULARIZERS.get("nobn")
    assert issubclass(method, Regularizer)
    assert method.__doc__
    assert method() == method()
    assert method().network_options() == {"batch_norm": False}
