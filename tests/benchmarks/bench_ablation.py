"""A cumulative ablation curve in fixed orders of units, against one forward of the head per fraction.

    python -m tests.benchmarks.bench_ablation [--orders 5] [--rounds 5] [--threads 1]

smallNet's head (800 → 500 → 10), 21 fractions, 1,000 and 10,000 images in chunks of 250; in turns, in one process,
medians. Features and weights are random: no side's work depends on them. Both sides must agree, to 1e-5 in every
logit, or the comparison means nothing; accuracies may then differ where two logits are as close as that.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from memstudy.analysis.ablation import FRACTIONS, curve, falls
from memstudy.models import build
from memstudy.randomness import torch_generator
from tests.benchmarks.alternate import alternate, report

SIZES = (1_000, 10_000)
CHUNK = 250


class Recorder(nn.Module):
    """Keeps the logits that pass."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, logits: Tensor) -> Tensor:
        self.seen.append(logits.clone())
        return logits


def masked(head: nn.Module, part: Tensor, order: int, fraction: float) -> Tensor:
    """The plain way: a forward of what is left at a fraction."""
    fall = falls("units", len(part), part[0].numel(), 0, order)
    return head(part * (fall > fraction).view(1, *part.shape[1:]))


@torch.no_grad()
def forwards(head: nn.Module, features: Tensor, labels: Tensor, orders: int) -> Tensor:
    """A curve by one forward per fraction, in the same chunks."""
    hits = torch.zeros(orders, len(FRACTIONS), dtype=torch.int64)
    for order in range(orders):
        fall = falls("units", len(features), features[0].numel(), 0, order).view(1, *features.shape[1:])
        for part, right in zip(features.split(CHUNK), labels.split(CHUNK), strict=True):
            for index, fraction in enumerate(FRACTIONS):
                hits[order, index] += (head(part * (fall > fraction)).argmax(dim=1) == right).sum()
    return hits.double() / len(features)


@torch.no_grad()
def check(head: nn.Sequential, features: Tensor, labels: Tensor) -> float:
    """The largest difference of any logit at any fraction on the first chunk, one order; at most 1e-5."""
    part, recorder = features[:CHUNK], Recorder()
    curve(nn.Sequential(*head, recorder), part, labels[:CHUNK], orders=1)
    plain, *ablated = recorder.seen  # nothing ablated comes first, then from everything ablated on
    answers = dict(zip(FRACTIONS, [plain, *reversed(ablated)], strict=True))
    largest = max(
        float((logits - masked(head, part, 0, fraction)).abs().max()) for fraction, logits in answers.items()
    )
    assert largest <= 1e-5, largest
    return largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in {"orders": 5, "rounds": 5, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    generator = torch_generator(0, "bench/ablation")
    network = build("smallnet", channels=1, size=28, classes=10, generator=generator).eval()
    assert isinstance(network.head, nn.Sequential)
    for images in SIZES:
        features = torch.rand(images, 50, 4, 4, generator=generator)
        labels = torch.randint(10, (images,), generator=generator)
        largest = check(network.head, features, labels)
        sides: dict[str, Callable[[], object]] = {
            "cumulative": partial(curve, network.head, features, labels, orders=chosen.orders),
            "a forward per fraction": partial(forwards, network.head, features, labels, chosen.orders),
        }
        medians = alternate(sides, chosen.rounds)
        report(f"{chosen.orders} ablation curves on {images:,} images", medians, chosen.rounds)
        print(f"  largest difference of a logit: {largest:.1e}")


if __name__ == "__main__":
    main()
