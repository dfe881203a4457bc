"""Where and how numbers are computed. Neither is part of a recipe; both are recorded with the run."""

from __future__ import annotations

import contextlib
import platform
import re
from collections.abc import Iterator

import torch

from memstudy.errors import MemstudyError


def resolve_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` → the device. A MemstudyError if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", name):
        raise MemstudyError(f"unknown device {name!r}: choose auto, cpu, cuda, or one GPU such as cuda:0.")
    kind, _, index = name.partition(":")
    if kind == "cuda" and not torch.cuda.is_available():
        raise MemstudyError(
            "there is no CUDA device that PyTorch can use here; choose --device cpu, or auto to take "
            "a GPU only where there is one."
        )
    if index and int(index) >= torch.cuda.device_count():
        raise MemstudyError(f"there is no {name}: this machine has {torch.cuda.device_count()} CUDA device(s).")
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """The hardware's name, for the record."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


@contextlib.contextmanager
def numerics(threads: int = 1) -> Iterator[None]:
    """Reproducible float32: deterministic cuDNN kernels, no TF32, a fixed number of CPU threads.

    The number of threads changes the order of sums, so bit-for-bit repetition needs the same one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_num_threads(before)


def precision(name: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """A context for a network's forward pass: `fp32` as it is, `bf16` mixed (weights stay float32)."""
    if name == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def memory_format(device: torch.device) -> torch.memory_format:
    """The faster layout for float32 convolutions: channels last on a CPU (see tests/benchmarks)."""
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format
