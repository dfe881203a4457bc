"""memstudy: study memorization under noisy labels.

From Python, for a training loop of one's own: `corrupt` makes labels noisy, and `AL2`, `LOCO`, `NormLoss` and
`PILCRO` are penalties to add to a loss; a `Recorder` writes a run directory that every command works on. Whole
runs: `run`, `study`, and `open` for what a store has, as data frames. All of it is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memstudy.lazy import attributes

if TYPE_CHECKING:
    from memstudy.api.batches import Batches as Batches
    from memstudy.api.images import Images as Images
    from memstudy.api.images import images as images
    from memstudy.api.labels import NoisyLabels as NoisyLabels
    from memstudy.api.labels import corrupt as corrupt
    from memstudy.api.network import network as network
    from memstudy.api.opened import Store as Store
    from memstudy.api.opened import open as open
    from memstudy.api.recorder import Memorization as Memorization
    from memstudy.api.recorder import Recorder as Recorder
    from memstudy.api.runs import Run as Run
    from memstudy.api.runs import run as run
    from memstudy.api.studies import Study as Study
    from memstudy.api.studies import study as study
    from memstudy.errors import MemstudyError as MemstudyError
    from memstudy.regularizers.al2 import AL2 as AL2
    from memstudy.regularizers.base import Regularizer as Penalty
    from memstudy.regularizers.loco import LocoReg as LOCO
    from memstudy.regularizers.norm_loss import NormLoss as NormLoss
    from memstudy.regularizers.pilcro import Pilcro as PILCRO

__version__ = "0.1.0"

_PLACES = {
    "AL2": "memstudy.regularizers.al2:AL2",
    "Batches": "memstudy.api.batches:Batches",
    "Images": "memstudy.api.images:Images",
    "LOCO": "memstudy.regularizers.loco:LocoReg",
    "Memorization": "memstudy.api.recorder:Memorization",
    "MemstudyError": "memstudy.errors:MemstudyError",
    "NoisyLabels": "memstudy.api.labels:NoisyLabels",
    "NormLoss": "memstudy.regularizers.norm_loss:NormLoss",
    "Penalty": "memstudy.regularizers.base:Regularizer",
    "PILCRO": "memstudy.regularizers.pilcro:Pilcro",
    "Recorder": "memstudy.api.recorder:Recorder",
    "Run": "memstudy.api.runs:Run",
    "Store": "memstudy.api.opened:Store",
    "Study": "memstudy.api.studies:Study",
    "corrupt": "memstudy.api.labels:corrupt",
    "images": "memstudy.api.images:images",
    "network": "memstudy.api.network:network",
    "open": "memstudy.api.opened:open",
    "run": "memstudy.api.runs:run",
    "study": "memstudy.study",
}
"""Where each name of the API is: nothing of it is imported before it is asked for."""

__all__ = [
    "AL2", "LOCO", "PILCRO", "Batches", "Images", "Memorization", "MemstudyError", "NoisyLabels", "NormLoss",
    "Penalty", "Recorder", "Run", "Store", "Study", "corrupt", "images", "network", "open", "run", "study",
]  # fmt: skip


if not TYPE_CHECKING:  # else any name would be one for a type checker
    __getattr__ = attributes(__name__, _PLACES)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
