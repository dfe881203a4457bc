"""Networks as `memstudy run` begins with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from memstudy import presets, trust
from memstudy.api.given import named
from memstudy.api.images import Images
from memstudy.errors import MemstudyError
from memstudy.models import Network
from memstudy.recipe import OptionValue
from memstudy.regularizers import BARE, Regularizer
from memstudy.training.state import build_network


def network(
    name: str = "smallnet",
    images: Images | None = None,
    *,
    seed: int = 0,
    reg: str | Regularizer | Sequence[Regularizer] = BARE,
    options: Mapping[str, Mapping[str, OptionValue]] | None = None,
) -> Network:
    """A network for images, with the initial weights of `memstudy run --network NAME --seed SEED`, on the CPU.

    It maps images (B, C, H, W) to a pair: the trunk's features and the logits (B, K). `reg` is for methods that
    change the network (bn, do, wn, …); dropout draws from PyTorch's own generator until `seed_dropout` gives it
    one. Raises a MemstudyError for a name or an option that is unknown.
    """
    if not isinstance(images, Images):
        raise MemstudyError("a network is built for images, its channels and classes: give memstudy.images(NAME).")
    methods, chosen = named(reg, options)
    trust.allow(presets.names({"network": name}))
    recipe = presets.build(network=name, seed=seed, reg=methods, options=chosen)
    return build_network(recipe, images.source, torch.device("cpu"))
