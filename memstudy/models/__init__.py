"""Networks, one file an architecture. Each is a trunk (images → features) and a head (features → logits)."""

from memstudy.models.network import NETWORKS, Network, build
from memstudy.models.dropout import Dropout

__all__ = ["NETWORKS", "Dropout", "Network", "build"]
