"""Laws of cumulative ablation: closed forms, exact counts, keyed draws; then a real network on real digits."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from click.testing import Result
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor, nn

from memstudy.analysis import ablation, ablation_area, ablation_curve
from memstudy.analysis.ablation import FRACTIONS, PROTOCOLS, area, curve, falls, interval
from memstudy.data import artifact
from memstudy.data.images import ImageSet
from memstudy.derived.ablation import Ablation
from memstudy.derived.ablation.measure import ablate
from memstudy.derived.layers import behind, output_of
from memstudy.derived.workbench import Workbench
from memstudy.errors import MemstudyError
from memstudy.models import Network, build
from memstudy.randomness import torch_generator
from memstudy.store import Store
from memstudy.store.store import Selection

over_protocols = pytest.mark.parametrize("protocol", PROTOCOLS)


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


class Opaque(nn.Module):
    """Hides a head's layers, so that only the plain way is open."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        return self.head(features)


class Recorder(nn.Module):
    """A head that keeps what it was given and always answers class 0."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, features: Tensor) -> Tensor:
        self.seen.append(features.clone())
        return torch.tensor([1.0, 0.0]).expand(len(features), 2)


def masks(protocol: str, images: int, units: int, seed: int = 0, orders: int = 1) -> Tensor:
    """What survives at each fraction, as the head sees it: (orders, fractions, images, units)."""
    recorder, ones = Recorder(), torch.ones(images, units)
    curve(recorder, ones, torch.zeros(images), protocol, orders=orders, seed=seed, chunk=images)
    plain, *ablated = recorder.seen  # what nothing is ablated of is seen once for all orders
    survivors = torch.stack(ablated).view(orders, len(FRACTIONS) - 1, images, units)
    return torch.cat([plain.expand(orders, 1, images, units), survivors], dim=1)


def redundant(copies: int, units: int, images: int = 400) -> tuple[nn.Linear, Tensor, Tensor]:
    """Two classes, 3 : 1. The first `copies` units each tell them apart alone; the rest is never looked at.

    With all copies gone the bias answers class 0, which is right for three quarters of the images.
    """
    labels = (torch.arange(images) % 4 == 0).long()
    features = torch.randn(images, units, generator=torch_generator(0, "test/noise"))
    features[:, :copies] = (1.0 - 2 * labels)[:, None]
    weight = torch.zeros(2, units)
    weight[0, :copies] = 1
    return linear(weight, torch.tensor([0.25, 0.0])), features, labels


def counter(units: int) -> nn.Linear:
    """Answers how many of `units` ones are left: 2kx − k² is largest at the k next to x."""
    k = torch.arange(units + 1.0)
    return linear((2 * k)[:, None].expand(-1, units), -(k**2))


class TestClosedForms:
    ORDERS = 400

    @pytest.mark.parametrize("copies", [1, 2, 5])
    def test_units_fall_without_replacement(self, copies: int) -> None:
        """All copies are among m of p ablated units with probability C(p−c, m−c) / C(p, m)."""
        units = 20
        head, features, labels = redundant(copies, units)
        curves = curve(head, features, labels, "units", orders=self.ORDERS)
        for index in range(len(FRACTIONS)):
            m = index
            gone = math.comb(units - copies, m - copies) / math.comb(units, m) if m >= copies else 0.0
            sigma = 0.25 * math.sqrt(gone * (1 - gone) / self.ORDERS)
            assert abs(float(curves[:, index].mean()) - (1 - 0.25 * gone)) <= 4 * sigma + 1e-12

    @pytest.mark.parametrize("copies", [1, 2, 5])
    def test_bernoulli_falls_independently_in_every_image(self, copies: int) -> None:
        """All copies are gone with probability fractionᶜ, in each image on its own."""
        head, features, labels = redundant(copies, 20)
        orders = 20
        curves = curve(head, features, labels, "bernoulli", orders=orders)
        wrong = int(labels.sum()) * orders
        for index, fraction in enumerate(FRACTIONS):
            gone = fraction**copies
            sigma = 0.25 * math.sqrt(gone * (1 - gone) / wrong)
            assert abs(float(curves[:, index].mean()) - (1 - 0.25 * gone)) <= 4 * sigma + 1e-12

    def test_one_informative_unit_gives_each_order_a_step(self) -> None:
        """With the units protocol all images lose it at once; with bernoulli one after the other."""
        head, features, labels = redundant(1, 20)
        steps = curve(head, features, labels, "units", orders=50)
        assert set(steps.unique().tolist()) == {0.75, 1.0}
        assert (steps.diff(dim=1) <= 0).all()
        assert len(curve(head, features, labels, "bernoulli", orders=1).unique()) > 10

    def test_what_is_not_looked_at_does_not_matter(self) -> None:
        """Negative control: a head that ignores its input keeps its accuracy."""
        head = linear(torch.zeros(2, 20), torch.tensor([1.0, 0.0]))
        _, features, labels = redundant(1, 20)
        for protocol in PROTOCOLS:
            assert (curve(head, features, labels, protocol, orders=3) == 0.75).all()


class TestMasks:
    @pytest.mark.parametrize(
        ("units", "expected"),
        [
            (10, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10]),  # halves up
            (20, list(range(21))),
            (3, [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3]),
            (1, [0] * 10 + [1] * 11),
        ],
    )
    @pytest.mark.parametrize("hide", [Opaque, nn.Sequential])
    def test_the_nearest_whole_number_of_units_is_ablated_and_nothing_rescaled(
        self, units: int, expected: list[int], hide: Callable[[nn.Module], nn.Module]
    ) -> None:
        for index, ablated in enumerate(expected):
            labels = torch.full((3,), units - ablated)
            counts = curve(hide(counter(units)), torch.ones(3, units), labels, "units", orders=4)
            assert (counts[:, index] == 1).all()

    @pytest.mark.parametrize("units", [800, 1250, 37])
    def test_counts_never_decrease_and_are_right_at_any_size(self, units: int) -> None:
        ablated = units - masks("units", 1, units).sum(dim=-1).flatten()
        assert (ablated.diff() >= 0).all()
        exact = torch.tensor(FRACTIONS) * units
        assert ((ablated - exact).abs() <= 0.5 + 1e-4).all()

    @over_protocols
    def test_ablated_sets_are_nested(self, protocol: str) -> None:
        survivors = masks(protocol, images=5, units=60, orders=3)
        assert (survivors.diff(dim=1) <= 0).all()
        assert (survivors[:, 0] == 1).all()
        assert (survivors[:, -1] == 0).all()

    def test_units_are_the_same_for_all_images_and_bernoulli_is_not(self) -> None:
        units, bernoulli = (masks(protocol, images=6, units=60) for protocol in PROTOCOLS)
        assert (units == units[:, :, :1]).all()
        middle = bernoulli[0, 10]
        assert len(middle.unique(dim=0)) == 6

    @pytest.mark.parametrize("seed", range(3))
    def test_bernoulli_realizes_its_fraction_within_three_sigma(self, seed: int) -> None:
        survivors = masks("bernoulli", images=200, units=300, seed=seed)[0]
        for fraction, alive in zip(FRACTIONS, survivors, strict=True):
            sigma = math.sqrt(fraction * (1 - fraction) / alive.numel())
            assert abs(1 - float(alive.mean()) - fraction) <= 3 * sigma

    @pytest.mark.parametrize("index", [4, 10, 16])
    def test_bernoulli_counts_vary_as_a_binomial_does(self, index: int) -> None:
        """Over images and over units alike: the activations are independent both ways."""
        alive, fraction = masks("bernoulli", images=600, units=600)[0, index], FRACTIONS[index]
        for dim in (0, 1):
            variance = float(alive.sum(dim=dim).var())
            assert variance == pytest.approx(600 * fraction * (1 - fraction), rel=0.25)

    def test_units_come_in_every_order(self) -> None:
        """Of 3 units, each of the 6 orders turns up about equally often."""
        drawn = torch.cat([falls("units", 1, 3, 0, order) for order in range(600)])
        counts = drawn.unique(dim=0, return_counts=True)[1]
        assert len(counts) == 6
        assert (counts - 100).abs().max() < 4 * math.sqrt(600 * (1 / 6) * (5 / 6))

    @over_protocols
    def test_convolutional_features_keep_their_shape(self, protocol: str) -> None:
        recorder = Recorder()
        curve(recorder, torch.ones(4, 5, 2, 3), torch.zeros(4), protocol, orders=1)
        assert {tuple(seen.shape) for seen in recorder.seen} == {(4, 5, 2, 3)}


class TestDraws:
    @over_protocols
    def test_are_keyed_by_seed_and_order(self, protocol: str) -> None:
        first = falls(protocol, 8, 50, seed=3, order=1)
        assert torch.equal(first, falls(protocol, 8, 50, seed=3, order=1))
        assert not torch.equal(first, falls(protocol, 8, 50, seed=4, order=1))
        assert not torch.equal(first, falls(protocol, 8, 50, seed=3, order=2))

    @over_protocols
    def test_neither_use_nor_move_the_global_generator(self, protocol: str) -> None:
        torch.manual_seed(1)
        before = torch.get_rng_state()
        one = masks(protocol, 3, 40)
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(2)
        assert torch.equal(masks(protocol, 3, 40), one)

    def test_an_unknown_protocol_is_answered_by_the_nearest(self) -> None:
        with pytest.raises(MemstudyError, match="did you mean bernoulli"):
            falls("bernouli", 1, 10, 0, 0)


@pytest.fixture(scope="module", autouse=True)
def _one_thread_for_the_module() -> Iterator[None]:
    """The shared fixture limits each test to one thread, but comes after this module's own fixture."""
    with threadpool_limits(1):
        yield


Real = tuple[nn.Sequential, Tensor, Tensor]


@pytest.fixture(scope="module")
def real(mnist5k: ImageSet) -> Real:
    """Head, features (200, 50, 4, 4) and labels of smallNet on real test digits after 60 steps of training.

    Rounded to multiples of 2⁻¹⁰ and in float64, so that every sum is exact in whatever order it is taken:
    what must be equal can be compared bit for bit.
    """
    network = build("smallnet", channels=1, size=28, classes=10, generator=torch_generator(0, "weights"))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.5)
    generator = torch_generator(0, "test/batches")
    for _ in range(60):
        batch = torch.randint(len(mnist5k.train_labels), (64,), generator=generator)
        logits = network((mnist5k.train_images[batch] / 255 - 0.1307) / 0.3081)[1]
        optimizer.zero_grad()
        F.cross_entropy(logits, mnist5k.train_labels[batch]).backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        features = network.trunk((mnist5k.test_images[::5] / 255 - 0.1307) / 0.3081)
        for parameter in network.head.double().parameters():
            parameter.copy_((parameter * 1024).round() / 1024)
    assert isinstance(network.head, nn.Sequential)
    return network.head, (features.double() * 1024).round() / 1024, mnist5k.test_labels[::5]


class TestRealNetwork:
    @over_protocols
    def test_nothing_ablated_is_plain_accuracy_and_everything_a_constant(self, real: Real, protocol: str) -> None:
        head, features, labels = real
        curves = curve(head, features, labels, protocol, orders=3)
        assert curves.shape == (3, 21)
        assert curves.dtype == torch.float64
        plain = (head(features).argmax(dim=1) == labels).double().mean()
        constant = (head(torch.zeros_like(features[:1])).argmax(dim=1) == labels).double().mean()
        assert plain > 0.6 > constant
        assert (curves[:, 0] == plain).all()
        assert (curves[:, -1] == constant).all()

    @over_protocols
    @pytest.mark.parametrize("chunk", [1, 64, 199, 10_000])
    def test_the_chunk_size_changes_nothing(self, real: Real, protocol: str, chunk: int) -> None:
        head, features, labels = real
        whole = curve(head, features, labels, protocol, orders=2)
        assert torch.equal(curve(head, features, labels, protocol, orders=2, chunk=chunk), whole)

    def test_adding_units_up_equals_the_plain_way(self, real: Real) -> None:
        head, features, labels = real
        fast = curve(head, features, labels, "units", orders=3)
        assert torch.equal(curve(Opaque(head), features, labels, "units", orders=3), fast)
        assert len(fast.unique()) > 10

    def test_adding_units_up_equals_the_plain_way_for_other_heads(self, real: Real) -> None:
        """In-place layers, no bias, one layer only, flat features."""
        _, first, _, last = real[0]
        assert isinstance(first, nn.Linear)
        bare = nn.Linear(800, 500, bias=False, dtype=torch.float64)
        bare.weight = first.weight
        heads = [
            nn.Sequential(nn.Flatten(), first, nn.ReLU(inplace=True), last),
            nn.Sequential(nn.Flatten(), bare, nn.ReLU(), last),
            nn.Sequential(nn.Flatten(), first),
        ]
        for head in heads:
            fast = curve(head, *real[1:], "units", orders=2)
            assert torch.equal(curve(Opaque(head), *real[1:], "units", orders=2), fast)
        flat = real[1].flatten(1)
        fast = curve(first, flat, real[2], "units", orders=2)
        assert torch.equal(curve(Opaque(first), flat, real[2], "units", orders=2), fast)

    @over_protocols
    def test_nothing_ablated_is_bit_for_bit_the_plain_network(self, real: Real, protocol: str) -> None:
        """In float32, where sums do depend on their order."""
        recorder, generator = Recorder(), torch_generator(0, "test/weight")
        plain = linear(torch.randn(500, 800, generator=generator), torch.randn(500, generator=generator))
        flat = real[1].flatten(1).float() / 3
        curve(nn.Sequential(plain, recorder), flat, real[2] % 2, protocol, orders=1, fractions=(1, 0.9, 0.4, 0))
        assert torch.equal(recorder.seen[0], plain(flat))

    @over_protocols
    def test_fractions_may_come_in_any_order_and_number(self, real: Real, protocol: str) -> None:
        head, features, labels = real
        whole = curve(head, features, labels, protocol, orders=2)
        some = [0.5, 0.0, 0.5, 1.0, 0.25]
        indices = [FRACTIONS.index(fraction) for fraction in some]
        assert torch.equal(curve(head, features, labels, protocol, orders=2, fractions=some), whole[:, indices])

    @over_protocols
    def test_seed_and_orders(self, real: Real, protocol: str) -> None:
        head, features, labels = real
        three = curve(head, features, labels, protocol, orders=3, seed=1)
        assert torch.equal(curve(head, features, labels, protocol, orders=3, seed=1), three)
        assert torch.equal(curve(head, features, labels, protocol, orders=2, seed=1), three[:2])
        assert not torch.equal(curve(head, features, labels, protocol, orders=3, seed=2), three)
        assert not torch.equal(three[0], three[1])

    def test_the_protocols_are_two_measurements(self, real: Real) -> None:
        curves = [curve(*real, protocol, orders=5) for protocol in PROTOCOLS]
        assert (curves[0].mean(dim=0) - curves[1].mean(dim=0)).abs().max() > 0.01

    @over_protocols
    def test_shuffled_labels_stay_at_chance(self, real: Real, protocol: str) -> None:
        """Negative control: without the true labels no fraction does better than guessing."""
        head, features, labels = real
        shuffled = labels[torch.randperm(len(labels), generator=torch_generator(0, "test/shuffle"))]
        right, guessed = (
            area(curve(head, features, which, protocol, orders=5)).mean() for which in (labels, shuffled)
        )
        assert right > 30
        assert guessed == pytest.approx(10, abs=5)

    @over_protocols
    def test_the_head_is_evaluated_and_keeps_its_mode(self, real: Real, protocol: str) -> None:
        head, features, labels = real
        dropping = nn.Sequential(*head, nn.Dropout(0.9)).train()
        curves = curve(dropping, features, labels, protocol, orders=1)
        assert torch.equal(curves, curve(head, features, labels, protocol, orders=1))
        assert all(module.training for module in dropping.modules())
        dropping[1].eval()  # frozen by its owner
        modes = [module.training for module in dropping.modules()]
        curve(dropping, features, labels, protocol, orders=1)
        assert [module.training for module in dropping.modules()] == modes

    def test_the_mode_is_kept_when_the_head_fails(self, real: Real) -> None:
        head = nn.Sequential(nn.Linear(3, 2)).train()
        with pytest.raises(MemstudyError):
            curve(head, real[1].float(), real[2])
        assert head.training

    @over_protocols
    def test_neither_features_nor_head_are_changed(self, real: Real, protocol: str) -> None:
        head, features, labels = real
        before = [part.clone() for part in (features, *head.state_dict().values())]
        curve(head, features, labels, protocol, orders=1)
        assert all(map(torch.equal, before, (features, *head.state_dict().values())))
        assert not curve(head, features.clone().requires_grad_(), labels, protocol, orders=1).requires_grad

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    @over_protocols
    def test_a_gpu_gives_the_same_curve(self, real: Real, protocol: str) -> None:
        """Exactly: the masks are drawn on the CPU and the sums are exact."""
        head, features, labels = real
        here = curve(head, features, labels, protocol, orders=2)
        try:
            there = curve(head.cuda(), features.cuda(), labels.cuda(), protocol, orders=2)
        finally:
            head.cpu()
        assert torch.equal(there, here)


def by_hand(real: Real, protocol: str, unit: str, clamp: str, order: int) -> Tensor:
    """The curve of one order by masking in the open: of the code under test, only its draws are used."""
    head, features, labels = real
    images, channels, height, width = features.shape
    units = channels if unit == "channel" else channels * height * width
    fall = falls(protocol, images, units, 0, order)
    fall = fall.view(-1, channels, 1, 1) if unit == "channel" else fall.view(-1, channels, height, width)
    means = features.mean(dim=(0, 2, 3) if unit == "channel" else 0, keepdim=True)
    found = []
    for fraction in FRACTIONS:
        ablated = features.clone()
        gone = (fall <= fraction).expand_as(features)
        ablated[gone] = means.expand_as(features)[gone] if clamp == "mean" else 0
        found.append((head(ablated).argmax(dim=1) == labels).double().mean())
    return torch.stack(found)


class TestUnitsAndClamps:
    @over_protocols
    @pytest.mark.parametrize("unit", ablation.UNITS)
    @pytest.mark.parametrize("clamp", ablation.CLAMPS)
    def test_equal_masking_by_hand(self, real: Real, protocol: str, unit: str, clamp: str) -> None:
        found = curve(*real, protocol, orders=2, unit=unit, clamp=clamp)
        assert torch.equal(found[1], by_hand(real, protocol, unit, clamp, order=1))

    def test_are_different_measurements(self, real: Real) -> None:
        found = [
            curve(*real, orders=2, unit=unit, clamp=clamp) for unit in ablation.UNITS for clamp in ablation.CLAMPS
        ]
        assert all((a - b).abs().max() > 0.01 for a, b in itertools.combinations(found, 2))

    @over_protocols
    def test_adding_units_up_to_their_means_equals_the_plain_way(self, real: Real, protocol: str) -> None:
        head, features, labels = real
        fast = curve(head, features, labels, protocol, orders=2, clamp="mean")
        assert torch.equal(curve(Opaque(head), features, labels, protocol, orders=2, clamp="mean"), fast)
        everything = head(features.mean(dim=0, keepdim=True)).argmax(dim=1)
        assert (fast[:, -1] == (labels == everything).double().mean()).all()

    @over_protocols
    def test_the_mean_clamp_sees_no_shift_and_the_zero_clamp_does(self, real: Real, protocol: str) -> None:
        """Adding a constant to a unit, and taking what it adds off the bias, is the same network."""
        head, features, labels = real
        _, first, *rest = head
        assert isinstance(first, nn.Linear)
        moved = linear(first.weight, first.bias - first.weight.sum(dim=1)).double()
        shifted = nn.Sequential(nn.Flatten(), moved, *rest)
        mean, zero = (
            [
                curve(h, f, labels, protocol, orders=2, clamp=clamp)
                for h, f in ((head, features), (shifted, features + 1))
            ]
            for clamp in ("mean", "zero")
        )
        torch.testing.assert_close(*mean, rtol=0, atol=0.006)  # one image of 200 may tip over
        assert (zero[0] - zero[1]).abs().max() > 0.05

    def test_a_channel_falls_as_a_whole(self) -> None:
        recorder = Recorder()
        curve(recorder, torch.ones(4, 5, 2, 3), torch.zeros(4), "bernoulli", orders=1, unit="channel")
        for seen in recorder.seen:
            assert (seen == seen[:, :, :1, :1]).all()
        assert len(recorder.seen[10].flatten(1).unique(dim=0)) > 1

    def test_a_head_that_needs_images_gets_those_of_its_part(self, real: Real) -> None:
        """Past the layer leads a way that is not ablated: with all of it gone, that way answers alone."""

        class Past(nn.Module):
            def forward(self, features: Tensor, images: Tensor) -> Tensor:
                return F.one_hot(images, 10) * 100 + features.flatten(1)[:, :10]

        _, features, labels = real
        assert (curve(Past(), features, labels, orders=1, chunk=64, images=labels) == 1).all()
        assert (curve(Past(), features, labels, orders=1, chunk=64, images=labels.flip(0)) < 0.5).all()

    def test_users_have_it_on_their_own_activations(self, real: Real) -> None:
        curves = ablation_curve(*real, orders=2)
        assert torch.equal(curves, curve(*real, orders=2))
        assert torch.equal(ablation_area(curves), area(curves))


class Block(nn.Module):
    """A residual block that uses one ReLU twice, as torchvision's do."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.relu = nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x + self.relu(self.convolution(x)))


@pytest.fixture
def network() -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trunk = nn.Sequential(nn.Sequential(nn.Conv2d(1, 4, 5, stride=3), nn.ReLU()), Block(), nn.MaxPool2d(2))
        return Network(trunk, nn.Sequential(nn.Flatten(), nn.Linear(64, 10))).eval()


class TestLayers:
    def digits(self, mnist5k: ImageSet) -> Tensor:
        return mnist5k.test_images[::25].float() / 255

    @torch.no_grad()
    def test_what_is_behind_a_layer_makes_the_networks_logits_of_its_output(
        self, network: Network, mnist5k: ImageSet
    ) -> None:
        images = self.digits(mnist5k)
        names = [name for name, _ in network.named_modules() if name]
        beside = []
        for name in names:
            head, needs_images = behind(network, name)
            output = output_of(network, name)(images)
            logits = head(output, images) if needs_images else head(output)
            assert torch.equal(logits, network(images)[1]), name
            beside += [name] if needs_images else []
        assert beside == ["trunk.1.convolution", "trunk.1.relu"]
        assert not any(module._forward_hooks for module in network.modules())

    @torch.no_grad()
    @pytest.mark.parametrize("layer", ["trunk.0.0", "trunk.1.relu"])
    def test_ablation_in_the_middle_equals_masking_by_hand(
        self, network: Network, mnist5k: ImageSet, layer: str
    ) -> None:
        """The rest of the network written out, for a layer on the one way and for one in a block."""
        images, labels = self.digits(mnist5k), mnist5k.test_labels[::25]
        part = network.get_submodule
        convolution, block, pool, inner = (part(f"trunk.{name}") for name in ("0.0", "1", "2", "1.convolution"))
        before = convolution(images).relu()

        def rest(activations: Tensor) -> Tensor:
            if layer == "trunk.0.0":
                return network.head(pool(block(activations.relu())))
            return network.head(pool((before + activations).relu()))

        features = convolution(images) if layer == "trunk.0.0" else inner(before).relu()
        fall = falls("units", len(images), features[0].numel(), 0, 0).view(1, *features.shape[1:])
        expected = [
            (rest(features * (fall > fraction)).argmax(dim=1) == labels).double().mean() for fraction in FRACTIONS
        ]
        head, needs_images = behind(network, layer)
        found = curve(head, features, labels, orders=1, images=images if needs_images else None)
        assert torch.equal(found[0], torch.stack(expected))
        assert len(found.unique()) > 1

    def test_a_name_that_is_none_is_answered_by_the_nearest(self, network: Network) -> None:
        with pytest.raises(MemstudyError, match=r"did you mean trunk\.1"):
            behind(network, "trunk.1x")


class TestRuns:
    @pytest.fixture
    def selection(self, store_copy: Store) -> Selection:
        return store_copy.select(("*-bare-s0-*",), None)

    @pytest.mark.parametrize("labels", ["true", "noisy"])
    def test_on_training_images_nothing_ablated_is_what_training_measured(
        self, selection: Selection, small_source: ImageSet, labels: str
    ) -> None:
        chosen = Ablation(
            orders=1, epochs=(2,), layer="trunk.2", unit="channel", clamp="mean", images="train", labels=labels
        )
        curves = ablate(selection, Workbench(torch.device("cpu")), chosen)
        (run,) = selection.runs
        mask = artifact.read(run.path / "labels.npz").mask.mean()
        metrics = run.metrics().iloc[2]
        corrupted = metrics["recovered" if labels == "true" else "memorized"]
        expected = (1 - mask) * metrics["clean_accuracy"] + mask * corrupted
        whole = curves[curves["fraction"] == 0]["accuracy"]
        assert whole.to_numpy() == pytest.approx(expected, abs=1e-9)
        words = f"-trunk.2-channel-mean-train{'-noisy' * (labels == 'noisy')}"
        assert sorted(path.name for path in selection.path.glob("ablation*")) == [
            f"ablation_areas{words}.csv",
            f"ablation_curves{words}.csv",
        ]

    def test_the_usual_choice_has_the_usual_names(self) -> None:
        assert (Ablation().suffix, Ablation().title, Ablation().curves) == ("", "", "ablation_curves.csv")
        assert Ablation().areas == "ablation_areas.csv"
        assert Ablation(unit="channel").title == "channels to 0"

    def test_the_command_writes_other_choices_to_files_of_their_own(
        self, selection: Selection, small_source: ImageSet, command: Callable[..., Result]
    ) -> None:
        done = command("ablate", "*-bare-s0-*", "--layer", "head.2", "--clamp", "mean", "--orders", "1", "--json")
        assert done.exit_code == 0, done.output
        summary = json.loads(done.stdout)
        assert {Path(path).stem for path in summary["figures"]} == {"ablation-head.2-mean"}
        assert sorted(path.name for path in selection.path.glob("*.csv")) == [
            "ablation_areas-head.2-mean.csv", "ablation_curves-head.2-mean.csv",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (("--labels", "noisy"), "test images have no noisy labels, as only training labels are corrupted"),
            (("--layer", "trunk.9"), "did you mean trunk"),
            (("--unit", "channels"), "did you mean channel"),
            (("--clamp", "average"), "must be one of zero, mean, not 'average'"),
            (("--images", "training"), "did you mean train"),
            (("--labels", "clean"), "must be one of true, noisy, not 'clean'"),
            (("--layer", "head.2", "--unit", "channel"), "(100, 500) have no channels"),
        ],
    )
    def test_a_mistake_is_one_sentence(
        self,
        selection: Selection,
        small_source: ImageSet,
        command: Callable[..., Result],
        words: tuple[str, ...],
        says: str,
    ) -> None:
        done = command("ablate", "*-bare-s0-*", *words)
        assert done.exit_code == 2
        assert says in done.stderr
        assert not list(selection.path.glob("ablation*"))


class TestMistakes:
    def refused(self, sentence: str, **changes: object) -> None:
        head, features, labels = redundant(1, 20, images=8)
        arguments = {"head": head, "features": features, "labels": labels, "protocol": "units"}
        with pytest.raises(MemstudyError, match=sentence):
            curve(**(arguments | changes))  # type: ignore[arg-type]

    def test_are_answered_in_a_sentence(self) -> None:
        self.refused("did you mean units", protocol="unit")
        self.refused("at least one order, not 0", orders=0)
        self.refused(r"within \[0, 1\], not \[0.0, 1.5\]", fractions=[0.0, 1.5])
        self.refused(r"within \[0, 1\], not \[-0.1\]", fractions=[-0.1])
        self.refused("at least one", fractions=[])
        self.refused("did you mean channel", unit="chanel")
        self.refused("did you mean mean", clamp="median")
        self.refused(r"\(8, 20\) have no channels", unit="channel")
        self.refused("8 images and 7 labels", labels=torch.zeros(7))
        self.refused("0 images", features=torch.zeros(0, 20), labels=torch.zeros(0))
        self.refused("NaN or infinite", features=torch.full((8, 20), math.nan))


class TestArea:
    @pytest.mark.parametrize("accuracy", [0.0, 0.1, 0.9, 1.0])
    def test_of_a_constant_is_the_constant_in_percent(self, accuracy: float) -> None:
        curves = torch.full((21,), accuracy, dtype=torch.float64)
        assert float(area(curves)) == pytest.approx(100 * accuracy, abs=1e-12)

    def test_of_a_straight_line_is_its_middle(self) -> None:
        curves = torch.linspace(0.9, 0.1, 21, dtype=torch.float64)
        assert float(area(curves)) == pytest.approx(50, abs=1e-12)

    @pytest.mark.parametrize("last", range(20))
    def test_of_a_step_is_its_place_plus_half_an_interval(self, last: int) -> None:
        curves = (torch.arange(21) <= last).double()
        assert float(area(curves)) == pytest.approx(5 * last + 2.5, abs=1e-12)

    def test_respects_uneven_fractions_and_keeps_leading_dimensions(self) -> None:
        curves = torch.tensor([[1.0, 0.5, 0.5], [0.0, 1.0, 0.0]], dtype=torch.float64)
        expected = torch.tensor([75 * 0.2 + 50 * 0.8, 50.0], dtype=torch.float64)
        torch.testing.assert_close(area(curves, (0, 0.2, 1)), expected)
        assert area(curves.view(2, 1, 3), (0, 0.2, 1)).shape == (2, 1)


class TestInterval:
    def test_by_hand(self) -> None:
        """Mean 53, standard deviation √13; Student's t table: 4.303 at 95 %, 9.925 at 99 %, 2 degrees."""
        areas = torch.tensor([50.0, 52.0, 57.0])
        assert interval(areas) == pytest.approx((53, 4.3026527 * math.sqrt(13 / 3)), rel=1e-6)
        assert interval(areas, 0.99) == pytest.approx((53, 9.9248432 * math.sqrt(13 / 3)), rel=1e-6)

    def test_covers_the_mean_as_often_as_it_says(self) -> None:
        generator = torch_generator(0, "test/coverage")
        samples = torch.randn(1000, 5, dtype=torch.float64, generator=generator)
        intervals = [interval(row, 0.8) for row in samples]
        covered = sum(abs(mean) <= half for mean, half in intervals) / 1000
        assert covered == pytest.approx(0.8, abs=4 * math.sqrt(0.8 * 0.2 / 1000))

    def test_of_one_order_has_no_width(self) -> None:
        mean, half = interval(torch.tensor([42.0]))
        assert mean == 42
        assert math.isnan(half)

    @pytest.mark.parametrize(("count", "confidence"), [(0, 0.95), (3, 0.0), (3, 1.0), (3, 95.0)])
    def test_mistakes_are_answered_in_a_sentence(self, count: int, confidence: float) -> None:
        with pytest.raises(MemstudyError, match=r"at least one area and a confidence in \(0, 1\)"):
            interval(torch.ones(count), confidence)


def test_the_fractions_are_twentieths() -> None:
    assert len(FRACTIONS) == 21
    assert [round(100 * fraction, 9) for fraction in ablation.FRACTIONS] == list(range(0, 101, 5))
