"""Networks, one file an architecture. Each is a trunk (images → features) and a head (features → logits).

They are registered here, and what needs torch is imported when it is asked for: names alone need none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memstudy.errors import MemstudyError, unknown
from memstudy.lazy import attributes
from memstudy.registry import Registry

if TYPE_CHECKING:
    from memstudy.models.building import build, check, code
    from memstudy.models.dropout import Dropout
    from memstudy.models.network import Network

__all__ = ["NETWORKS", "Dropout", "Network", "build", "check", "code", "known"]

NETWORKS = Registry(
    "network",
    **{
        "smallnet": "memstudy.models.smallnet:smallnet",
        "alexnet": "memstudy.models.alexnet:alexnet",
        "vgg16": "memstudy.models.vgg16:vgg16",
        "resnet18": "memstudy.models.resnet18:resnet18",
        "resnet50": "memstudy.models.resnet50:resnet50",
        "resnet110": "memstudy.models.resnet110:resnet110",
        "wrn28-10": "memstudy.models.wrn28_10:wrn28_10",
        "densenet121": "memstudy.models.densenet121:densenet121",
        "mobilenet": "memstudy.models.mobilenet:mobilenet",
    },
)
_PLACES = {name: f"memstudy.models.building:{name}" for name in ("build", "check", "code")} | {
    "Dropout": "memstudy.models.dropout:Dropout",
    "Network": "memstudy.models.network:Network",
}

if not TYPE_CHECKING:  # else any name would be one for a type checker
    __getattr__ = attributes(__name__, _PLACES)


def known(name: str) -> str:
    """Return a name that is registered, or has a colon, as those from elsewhere do; a MemstudyError for others."""
    if ":" not in name and name not in NETWORKS.names():
        raise MemstudyError(
            f"{unknown('network', name, NETWORKS.names())} torchvision:NAME is any of torchvision's classifiers, "
            "package.module:function a network of your own."
        )
    return name
