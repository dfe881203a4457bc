"""PILCRO: pixel-wise importance landscape curvature regularized objective. OUR RECONSTRUCTION, not the paper's.

Only the paper's abstract could be had. Stated there: a network defines a landscape of how important each image
location is; at initialization it is concentrated on the center; the objective favors weights whose landscape is
smooth, of low curvature. Everything below is ours, and cannot be validated against the paper's numbers:

    I(u, v) = mean over the batch of Σ over channels of (∂L/∂x)²      importance of a location
    Ĩ = I / mean(I)                                                   else shrinking gradients would cheat
    C = mean over locations of (Δ Ĩ)²                                 Δ: 5-point Laplacian, edges replicated
    objective = L + share · (L / C, held constant) · C                by double backward

`share` is the penalty's size relative to the cross-entropy L, whatever C's scale (.05: the middle of the 1–10 %
that we start with); with `relative=False` the objective is L + share · C.

Cost of the double backward against a plain step, on one CPU thread: 3.2 times the time and 1.6 times the memory on
smallNet (batch 64; time: median of 25), 3.6 and 2.0 times on ResNet-18 (batch 32; time: median of 7). Memory: what
the step keeps for its backward pass, without parameters (6.6 MiB plain on smallNet, 112 MiB on ResNet-18).
`python -m tests.benchmarks.bench_regularizers`, `… --network resnet18 --batch 32 --rounds 7`; on a GPU, where it
shows the peak of memory, not measured yet.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from memstudy.regularizers.base import Regularizer, Step, checked_options

IMPORTANCE = ("squared", "absolute")
CURVATURE = ("laplacian", "hessian")
OF = ("loss", "logits")


def importance(gradients: Tensor, kind: str = "squared") -> Tensor:
    """Gradients by the images (B, C, H, W) → landscape (H, W), its mean 1.

    A landscape that is zero everywhere has no shape, and stays zero.
    """
    size = gradients.square() if kind == "squared" else gradients.abs()
    landscape = size.sum(dim=1).mean(dim=0)
    mean = landscape.mean()
    return landscape / torch.where(mean > 0, mean, torch.ones_like(mean))


def curvature(landscape: Tensor, kind: str = "laplacian") -> Tensor:
    """(H, W) → scalar.

    laplacian  mean of (Δ I)², the 5-point Laplacian with replicated edges
    hessian    mean of I_uu² + 2 I_uv² + I_vv² over interior locations
    """
    padded = _edges_repeated(_edges_repeated(landscape).T).T
    middle = padded[1:-1, 1:-1]
    up, down, left, right = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    if kind == "laplacian":
        return (up + down + left + right - 4 * middle).square().mean()
    mixed = (padded[2:, 2:] - padded[2:, :-2] - padded[:-2, 2:] + padded[:-2, :-2]) / 4
    squares = (up + down - 2 * middle).square() + 2 * mixed.square() + (left + right - 2 * middle).square()
    return squares[1:-1, 1:-1].mean()


def _edges_repeated(rows: Tensor) -> Tensor:
    """(H, W) → (H + 2, W). `F.pad` does it, too, but adds up its gradient in no fixed order on a GPU."""
    return torch.cat([rows[:1], rows, rows[-1:]])


@dataclass(frozen=True)
class Pilcro(Regularizer):
    """PILCRO, our reconstruction.

    Options: `share` of the cross-entropy (or λ itself, unless `relative`); `importance` of a location by `squared`
    or `absolute` gradients; `curvature` by `laplacian` or `hessian`; the gradients are `of` the `loss`, or of a
    random projection of the `logits`, drawn anew each step.
    """

    share: float = 0.05
    relative: bool = True
    importance: str = "squared"
    curvature: str = "laplacian"
    of: str = "loss"

    def __post_init__(self) -> None:
        checked_options("pilcro", self, words={"importance": IMPORTANCE, "curvature": CURVATURE, "of": OF})

    def needs_image_gradients(self) -> bool:
        """It differentiates by the images, and that by the weights."""
        return True

    def strength(self, epoch: int) -> float:
        """The share, or λ."""
        return self.share

    def penalty(self, step: Step) -> Tensor:
        """C of the batch."""
        target = step.cross_entropy
        if self.of == "logits":
            shape, kind = step.logits.shape, step.logits.dtype
            target = (step.logits * torch.randn(shape, dtype=kind, device=step.logits.device,
                                                generator=step.generator)).sum()  # fmt: skip
        (gradients,) = torch.autograd.grad(target, step.images, create_graph=True)
        return curvature(importance(gradients, self.importance), self.curvature)

    def scale(self, step: Step, penalty: Tensor) -> Tensor | float:
        """L / C as a constant, so that the penalty is as large as the cross-entropy before `share` scales it."""
        if not self.relative:
            return 1.0
        ratio = step.cross_entropy.detach() / penalty.detach()
        return torch.where(ratio.isfinite(), ratio, torch.zeros_like(ratio))
