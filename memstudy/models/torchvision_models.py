"""Any of torchvision's classifiers, named `torchvision:NAME`, split into trunk and head.

The model's graph (torch.fx) is cut before its last global pooling, or before its last part with parameters (its
classifier) where that comes first or there is no pooling; a model where more than one value crosses the cut is
refused. So a convolutional network's features are the maps that the classifier pools. Parameters keep their names,
behind `trunk.` or `head.`; auxiliary classifiers are left out.

The layers are torchvision's, stem included, meant for 224 pixels: small images leave few positions, or none.
Images of one channel are repeated to three (the architecture stays what it is). Models initialize themselves as in
torchvision, on the CPU, while PyTorch's global generator follows from the run's seed. There is no place for
`batch_norm` or `dropout`: a model has what its name says. Its own dropout and stochastic depth are replaced by
ours, which draws from the run's generator.
"""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import torch
from torch import fx, nn
from torch.func import functional_call
from torch.nn import functional

from memstudy.errors import MemstudyError, quoted, unknown
from memstudy.models.dropout import Dropout, replace_dropout
from memstudy.models.network import Network
from memstudy.models.own import try_out

PREFIX = "torchvision:"
LARGEST = 512  # pixels: the smallest size that a network can take is searched up to here
USUAL = 224  # pixels: the size of those ImageNet models that take one size alone


def torchvision_builder(name: str) -> Callable[[int, int, int], Network]:
    """The function that builds `torchvision:NAME`; a MemstudyError if torchvision has no such classifier."""
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    if (model := name.removeprefix(PREFIX)) not in known:
        raise unknown("torchvision model", model, known)

    def build(channels: int, size: int, classes: int) -> Network:
        if channels not in (1, 3):
            raise MemstudyError(f"network {quoted(name)} takes images of 1 or 3 channels, not {channels}.")
        network = split(_model(model, classes), name, repeat=channels == 1)
        _check_size(name, network, channels, size, classes)
        return network.train()

    return build


def _model(name: str, classes: int) -> nn.Module:
    """A model of torchvision's with fresh weights and our dropout."""
    import torchvision

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The default weight initialization", FutureWarning)
        model: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes)
    replace_dropout(model)
    return model


def _check_size(name: str, network: Network, channels: int, size: int, classes: int) -> None:
    """A MemstudyError, naming the size that would do, if the network cannot take images of this one."""
    tensors = {key: value.to("meta") for key, value in (*network.named_parameters(), *network.named_buffers())}

    def refusal(side: int) -> MemstudyError | None:
        """Why images of `side` pixels cannot be taken; found without computing anything."""
        images = torch.zeros(2, channels, side, side, device="meta")
        try:
            with redirect_stderr(StringIO()):  # torch.fx prints where it failed
                try_out(name, lambda x: functional_call(network.eval(), tensors, (x,)), images, classes)
        except MemstudyError as error:
            return error
        return None

    if (refused := refusal(size)) is None:
        return
    if refusal(LARGEST) is None:
        least = bisect_left(range(LARGEST), True, lo=size, key=lambda side: refusal(side) is None)
        raise MemstudyError(
            f"network {quoted(name)} needs images of at least {least} pixels, not {size}."
        ) from refused
    if refusal(USUAL) is None:
        raise MemstudyError(
            f"network {quoted(name)} takes images of {USUAL} pixels alone, not {size}."
        ) from refused
    raise refused


class _Tracer(fx.Tracer):
    """Keeps our dropout as one node of the graph, as PyTorch's layers are.

    If it were traced through, the graph would hold what it does in evaluation, and training would drop nothing.
    """

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Dropout) or super().is_leaf_module(m, module_qualified_name)


def split(model: nn.Module, name: str, *, repeat: bool = False) -> Network:
    """The model as trunk and head; with `repeat`, it takes images of one channel where the model takes three."""
    try:
        nodes = [node for node in _Tracer().trace(model.eval()).nodes if node.op != "output"]
    except Exception as error:
        raise MemstudyError(
            f"network {quoted(name)} has no graph to split into trunk and head: {error}."
        ) from error
    cut = _cut(model, nodes)
    trunk, head = nodes[1:cut], nodes[cut:]  # the first node is the images
    crossing = {value for node in head for value in node.all_input_nodes if value not in head}
    if crossing != {nodes[cut - 1]} or cut == 1:
        raise MemstudyError(
            f"network {quoted(name)} cannot be split into trunk and head: there is no place before its classifier "
            "that all values pass through."
        )
    parts = _graph(nodes[0], trunk, repeat), _graph(trunk[-1], head)
    return Network(*(fx.GraphModule(model, part) for part in parts))


def _cut(model: nn.Module, nodes: Sequence[fx.Node]) -> int:
    """The index of the head's first node."""
    owners = [_owner(node) for node in nodes]
    learning = [owner for node, owner in zip(nodes, owners, strict=True) if _learns(model, node)]
    pooling = [index for index, node in enumerate(nodes) if _pools(model, node)]
    return min([*map(owners.index, learning[-1:]), *pooling[-1:], len(nodes)])


def _owner(node: fx.Node) -> str:
    """The top-level part of the model that a node belongs to; empty if to none."""
    return str(node.target).partition(".")[0] if node.op in ("call_module", "get_attr") else ""


def _learns(model: nn.Module, node: fx.Node) -> bool:
    """Whether the node is a layer with parameters."""
    return node.op == "call_module" and any(True for _ in model.get_submodule(str(node.target)).parameters())


def _pools(model: nn.Module, node: fx.Node) -> bool:
    """Whether the node averages over all positions, or over a fixed grid of them."""
    if node.op == "call_module":
        return isinstance(model.get_submodule(str(node.target)), nn.AdaptiveAvgPool2d)
    return node.target in ("mean", torch.mean, functional.adaptive_avg_pool2d)


def _graph(given: fx.Node, nodes: Sequence[fx.Node], repeat: bool = False) -> fx.Graph:
    """A new graph that takes the value of one node, `given`, and returns that of the last of `nodes`."""
    graph = fx.Graph()
    value = graph.placeholder("images" if given.op == "placeholder" else "features")
    copies: dict[fx.Node, Any] = {given: graph.call_method("expand", (value, -1, 3, -1, -1)) if repeat else value}
    for node in nodes:
        copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(copies[nodes[-1]])
    return graph
