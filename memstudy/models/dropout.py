"""Dropout with its own generator; PyTorch's layer can only draw from the global one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from memstudy.errors import MemstudyError

OTHERS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


class Dropout(nn.Module):
    """Set each activation to 0 with probability `p` while training and scale the rest by 1/(1-p).

    With `whole`, a sample is dropped or kept as a whole: the stochastic depth of a residual branch.
    """

    def __init__(self, p: float, *, whole: bool = False) -> None:
        super().__init__()
        self.p = p
        self.whole = whole
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(N, …) → same shape. Raises RuntimeError when training without a generator."""
        if not self.training or self.p == 0:
            return x
        if self.generator is None:
            raise RuntimeError("dropout draws from an explicit generator: call network.seed_dropout first")
        drawn = x.new_empty(len(x), *[1] * (x.ndim - 1)) if self.whole else torch.empty_like(x)
        # uniform_ with a comparison: on a CPU a third of bernoulli_'s time
        kept = drawn.uniform_(generator=self.generator).ge_(self.p)
        return x * kept.div_(1 - self.p)

    def extra_repr(self) -> str:
        """The probability, for `print(network)`."""
        return f"p={self.p}{', whole' if self.whole else ''}"


def replace_dropout(network: nn.Module) -> None:
    """Replace every dropout layer of PyTorch's, and torchvision's stochastic depth, by ours, in place.

    A MemstudyError for a kind of dropout that is not among ours (of channels, or alpha dropout).
    """
    for path, layer in list(network.named_modules(remove_duplicate=False)):
        if (replacement := _ours(layer)) is not None:
            parent, _, name = path.rpartition(".")
            setattr(network.get_submodule(parent), name, replacement)


def _ours(layer: nn.Module) -> Dropout | None:
    """Our layer that does what `layer` does; None if that is no dropout."""
    kind = type(layer).__name__
    if isinstance(layer, nn.Dropout):
        return Dropout(layer.p)
    if kind == "StochasticDepth" and layer.mode == "row":  # torchvision's, told by name: it is not imported here
        return Dropout(float(layer.p), whole=True)  # type: ignore[arg-type]
    if isinstance(layer, OTHERS) or kind == "StochasticDepth":
        raise MemstudyError(
            f"{kind} draws from PyTorch's global generator, so a run could not be repeated; use nn.Dropout or "
            "memstudy.models.Dropout in its place."
        )
    return None
