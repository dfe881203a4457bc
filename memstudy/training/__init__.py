"""The engine: data on the device, one step, one epoch, one evaluation. It knows nothing of directories."""

from memstudy.training.batches import DeviceData
from memstudy.training.captured import CapturedSteps, capturable
from memstudy.training.device import numerics, resolve_device
from memstudy.training.epoch import NonFiniteLoss, Trainer, train_epoch
from memstudy.training.evaluated import EvaluatedEpochs
from memstudy.training.evaluation import Evaluation, evaluate, predict
from memstudy.training.parallel import Ranks
from memstudy.training.placement import Placement
from memstudy.training.state import TrainingState

__all__ = [
    "CapturedSteps",
    "DeviceData",
    "EvaluatedEpochs",
    "Evaluation",
    "NonFiniteLoss",
    "Placement",
    "Ranks",
    "Trainer",
    "TrainingState",
    "capturable",
    "evaluate",
    "numerics",
    "predict",
    "resolve_device",
    "train_epoch",
]
