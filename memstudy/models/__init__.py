"""Networks, one file an architecture. Each is a trunk (images → features) and a head (features → logits)."""

from memstudy.models.dropout import Dropout
from memstudy.models.network import NETWORKS, Network, build

__all__ = ["NETWORKS", "Dropout", "Network", "build"]
