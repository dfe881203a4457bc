"""What a run was carried out with: versions, device, threads, commit. No part of its identity."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import memstudy
from memstudy.training.device import device_name
from memstudy.training.placement import Placement

PACKAGES = ("torch", "numpy", "safetensors", "mlxtend", "torchvision")


@cache
def git_commit() -> str | None:
    """The commit of the checkout that memstudy runs from; None if it does not run from one."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=Path(memstudy.__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def installed(package: str) -> str | None:
    """A package's version; None if it carries none (run from a folder, say)."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def environment(place: Placement) -> dict[str, object]:
    """Everything outside the recipe that may move a result in its last digits."""
    return {
        "memstudy": memstudy.__version__,
        "commit": git_commit(),
        "python": platform.python_version(),
        "packages": {name: installed(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "device": str(place.device),
        "device_name": device_name(place.device),
        "layout": place.layout,
        "threads": place.threads,
    }
