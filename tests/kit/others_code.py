"""Code of others in a folder of its own: a user's network, and a package that registers regularizers."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from memstudy import foreign, trust
from memstudy.data import RULES, SOURCES
from memstudy.derived import ANALYSES
from memstudy.derived.reading import declared
from memstudy.models import NETWORKS
from memstudy.papers import TABLES
from memstudy.regularizers import REGULARIZERS

NET = """
from torch import nn
from {layers} import width

def net(channels, size, classes, dropout=0.0):
    trunk = nn.Sequential(nn.Conv2d(channels, width(), 5, stride=7), nn.ReLU(), nn.Dropout(dropout))
    return trunk, nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))
"""
LAYERS = """
def width():
    return {width}
"""
METHOD = """
from dataclasses import dataclass
from memstudy.regularizers import Regularizer

@dataclass(frozen=True)
class Small(Regularizer):
    factor: float = 0.01

    def strength(self, epoch):
        return self.factor

    def penalty(self, step):
        return step.logits.square().mean()
"""


def new_process(*modules: str) -> None:
    """Forget what was loaded, as if the next thing were done by a new process."""
    for name in list(sys.modules):
        if name.partition(".")[0] in modules:
            del sys.modules[name]
    for remembered in (
        foreign._loaded,
        foreign._entered,
        trust._named,
        trust._own,
        trust._allowed,
        trust._declined,
    ):
        remembered.clear()
    declared.cache_clear()
    for table in (REGULARIZERS, RULES, SOURCES, NETWORKS, ANALYSES, TABLES):
        vars(table).pop("_foreign", None)
    importlib.invalidate_caches()


def package(folder: Path, points: str, version: str = "1.0") -> None:
    """Install a distribution in a folder: what its entry points are, `[group]` by group."""
    info = folder / "ours_to_test-1.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ours-to-test\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(points)
