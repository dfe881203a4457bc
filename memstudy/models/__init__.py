"""Networks, one file an architecture. Each is a trunk (images → features) and a head (features → logits)."""

from memstudy.models.building import NETWORKS, build, check, code
from memstudy.models.dropout import Dropout
from memstudy.models.network import Network

__all__ = ["NETWORKS", "Dropout", "Network", "build", "check", "code"]
