"""A Ray cluster of several nodes on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


@contextmanager
def running() -> Iterator[Any]:
    """A head without cores, and a node with one.

    Its processes are as important as all others: Ray would yield to whatever else the machine does (niceness 15).
    """
    from ray.cluster_utils import Cluster

    with patch.dict(os.environ, RAY_worker_niceness="0"):
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        try:
            cluster.add_node(num_cpus=1)
            yield cluster
        finally:
            cluster.shutdown()
