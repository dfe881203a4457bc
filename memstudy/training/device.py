"""On which device and how exactly numbers are computed: no part of a recipe, but recorded with the run."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch

from memstudy.errors import MemstudyError, quoted
from memstudy.training.memory import keep_freed


def resolve_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` → the device. A MemstudyError if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", name):
        raise MemstudyError(f"unknown device {quoted(name)}: choose auto, cpu, cuda, or one GPU such as cuda:0.")
    kind, _, index = name.partition(":")
    if kind == "cuda" and not torch.cuda.is_available():
        raise MemstudyError(
            "there is no CUDA device that PyTorch can use here; choose --device cpu, or auto to take "
            "a GPU only where there is one."
        )
    if index and int(index) >= torch.cuda.device_count():
        raise MemstudyError(f"there is no {name}: this machine has {torch.cuda.device_count()} CUDA device(s).")
    return torch.device(name)


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device_name(device: torch.device) -> str:
    """The hardware's name, for the record."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor()


@cache
def _processor() -> str:
    """The processor's model: on Linux from /proc/cpuinfo, as `platform` knows only the architecture there."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


@contextlib.contextmanager
def numerics(threads: int = 1, precision: str = "fp32") -> Iterator[None]:
    """Reproducible numbers: deterministic cuDNN kernels, TF32 only if asked for, a fixed number of CPU threads.

    The number of threads changes the order of sums, so bit-for-bit repetition needs the same one. `tf32` rounds
    the factors of a GPU's products to 10 bits, and sums them in float32; on a CPU it is `fp32`.
    """
    keep_freed()
    tf32 = precision == "tf32"
    before = torch.get_num_threads(), torch.backends.cuda.matmul.allow_tf32
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32):
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.backends.cuda.matmul.allow_tf32 = before[1]


def mixed_precision(name: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """A context for a network's forward pass: `bf16` mixed (weights stay float32), any other as it is."""
    if name != "bf16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def wait(device: torch.device) -> None:
    """Return once all that was queued on a device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
