"""What files a run's directory has.

recipe.toml                       what was run, its identity first
state.json                        status, environment, checksums
metrics.csv                       one row an epoch
labels.npz                        clean and noisy labels, mask, rule, …: see `memstudy.data.artifact`
dynamics/                         what was recorded of each training sample, if it was: see `records`
checkpoints/epoch-NNNN.safetensors   the network after epoch NNNN (0-based)
resume.safetensors                network and momentum after the newest saved epoch; gone when finished
resume-before.safetensors         the same after the epoch that was saved before; gone when finished
log.txt                           what happened when
.lease                            who writes now, renewed every ten seconds: see `memstudy.lease`
"""

from __future__ import annotations

RECIPE, STATE, METRICS, LABELS = "recipe.toml", "state.json", "metrics.csv", "labels.npz"
RESUME, LOG, CHECKPOINTS, DYNAMICS = "resume.safetensors", "log.txt", "checkpoints", "dynamics"


def checkpoint_name(epoch: int) -> str:
    """The file of the network kept after an epoch."""
    return f"{CHECKPOINTS}/epoch-{epoch:04d}.safetensors"


def epoch_of(checkpoint: str) -> int:
    """The epoch of such a file, by its name."""
    return int(checkpoint.rpartition("-")[2].removesuffix(".safetensors"))
