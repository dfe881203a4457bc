"""The engine: data on the device, one step, one epoch, one evaluation. It knows nothing of directories."""

from memstudy.training.batches import DeviceData
from memstudy.training.device import numerics, resolve_device
from memstudy.training.epoch import NonFiniteLoss, train_epoch
from memstudy.training.evaluation import evaluate, predict
from memstudy.training.state import TrainingState

__all__ = [
    "DeviceData",
    "NonFiniteLoss",
    "TrainingState",
    "evaluate",
    "numerics",
    "predict",
    "resolve_device",
    "train_epoch",
]
