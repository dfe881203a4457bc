"""Noise on test images: how far a network's accuracy falls on images worse than those it was trained on.

    gaussian          x + σ·n, clipped to [0, 1]; n is standard normal for each channel of each pixel, σ in units
                      of pixel intensity. As it is clipped, the deviation is below σ where an image is nearly black
                      or white
    salt-and-pepper   with probability `rate` a pixel, all its channels together, becomes white or black, each
                      equally often

That PILCRO makes networks more robust to noise at test time is its paper's claim (stated, in the abstract); which
noise, how strong, and all of the above are ours. Noise acts on intensities, before normalization. One draw serves
all strengths: a higher rate changes the same pixels, and more. Draws are keyed by (seed, kind) and made on the
CPU: equal for all networks on the same images, on every device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from memstudy.analysis.inputs import Array, numbers
from memstudy.errors import MemstudyError, unknown
from memstudy.randomness import torch_generator

STRENGTHS = {
    "gaussian": (0.0, 0.1, 0.2, 0.3, 0.4),
    "salt-and-pepper": (0.0, 0.05, 0.1, 0.2, 0.3),
}
"""The kinds of noise, and the strengths (σ, or the rate) at which accuracy is measured."""


def perturbed(images: Array, kind: str, strength: float, seed: int = 0) -> Tensor:
    """Intensities (N, C, H, W) in [0, 1], an array or a tensor on any device → the same with noise (ours).

    kind and strength: see STRENGTHS, which has the kinds and usual strengths. An array becomes float32.
    O(N·C·H·W). A MemstudyError for an unknown kind, a negative σ, a rate outside [0, 1], another shape, and
    intensities outside [0, 1].
    """
    images = numbers(images, "images")
    if images.ndim != 4 or images.numel() == 0:
        raise MemstudyError(f"images must have shape (N, C, H, W), none of them 0, not {tuple(images.shape)}.")
    if not ((images >= 0) & (images <= 1)).all():
        raise MemstudyError(
            "intensities must be from 0 to 1; divide 8-bit images by 255, and normalize after the noise."
        )
    if kind not in STRENGTHS:
        raise unknown("kind of noise", kind, STRENGTHS)
    if not 0 <= strength <= (1 if kind == "salt-and-pepper" else float("inf")):
        raise MemstudyError(f"the strength of {kind} noise must be from 0 on, a rate at most 1, not {strength:g}.")
    generator = torch_generator(seed, f"perturbation/{kind}")
    if kind == "gaussian":
        draws = torch.randn(images.shape, generator=generator).to(images.device)
        return (images + strength * draws).clamp(0, 1).to(images.dtype)
    draws = torch.rand(len(images), 1, *images.shape[2:], generator=generator).to(images.device)
    salted = images.masked_fill(draws < strength / 2, 1.0)
    return salted.masked_fill(draws >= 1 - strength / 2, 0.0)
