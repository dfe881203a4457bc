"""What `make gpu` does, in calls of a few minutes that go on where the last one stopped.

    python -m tests.benchmarks.evidence [--minutes 9] [--folder runs/gpu]

First the tests that need a GPU, then the benchmarks, each once: what they print is kept in the folder, beneath the
machine's name, the versions, the commit and the date. A stage that is broken off by the clock is done again by the
next call, one that failed is kept as `NAME.failed.txt`, done again, too, and does not hold up the others. Then the
papers' studies at their `gpu` scale, which save and continue by themselves, for what is left of the minutes.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from memstudy.study.environment import environment
from memstudy.training import Placement

PYTHON = (sys.executable, "-u", "-m")
STUDIES = ("al2", "noise_grid", "loco_reg", "norm_loss", "pilcro")
STAGES = {
    "tests": (*PYTHON, "pytest", "-q", "-m", "gpu", "tests"),
    "training": (*PYTHON, "tests.benchmarks.bench_training"),
    "training_al2": (*PYTHON, "tests.benchmarks.bench_training", "--reg", "al2"),
    "fleet": (*PYTHON, "tests.benchmarks.bench_fleet"),
    "large": (*PYTHON, "tests.benchmarks.bench_large"),
    "memory": (*PYTHON, "tests.benchmarks.bench_memory"),
    "regularizers": (*PYTHON, "tests.benchmarks.bench_regularizers"),
    "regularizers_resnet18": (*PYTHON, "tests.benchmarks.bench_regularizers", "--network", "resnet18"),
}
LEAST = 20.0
"""Seconds without which nothing is begun."""


def heading(command: Sequence[str], device: torch.device) -> str:
    """What a result needs to be told from another."""
    known = environment(Placement.usual(device))
    known |= {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "command": " ".join(command[2:])}
    return "".join(f"# {name}: {json.dumps(value)}\n" for name, value in known.items())


def stage(name: str, command: Sequence[str], folder: Path, deadline: float, head: str) -> bool:
    """Do a stage unless it is done; whether it is, or was stopped by the clock, and did not fail."""
    done, failed, part = (folder / f"{name}{ending}" for ending in (".txt", ".failed.txt", ".part"))
    if done.exists():
        print(f"{name}: done before ({done})", flush=True)
        return True
    left = deadline - time.monotonic()
    if left < LEAST:
        print(f"{name}: left for the next call", flush=True)
        return True
    print(f"{name}: {' '.join(command[2:])}", flush=True)
    with part.open("w", encoding="utf-8") as file:
        file.write(head)
        file.flush()
        try:
            code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, timeout=left).returncode
        except subprocess.TimeoutExpired:
            print(f"{name}: broken off by the clock; the next call does it again", flush=True)
            return True
    print(part.read_text(encoding="utf-8"), flush=True)
    part.replace(failed if code else done)
    if not code:
        failed.unlink(missing_ok=True)
    return not code


def collect(stages: Mapping[str, Sequence[str]], folder: Path, deadline: float, device: torch.device) -> list[str]:
    """All stages, as far as the time goes; the names of those that failed."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        name
        for name, command in stages.items()
        if not stage(name, command, folder, deadline, heading(command, device))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--folder", type=Path, default=Path("runs/gpu"))
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        print(
            "make gpu needs a CUDA device that PyTorch can use; everything else runs without one.", file=sys.stderr
        )
        raise SystemExit(2)
    deadline = time.monotonic() + 60 * chosen.minutes
    failed = collect(STAGES, chosen.folder, deadline, torch.device("cuda"))
    left = deadline - time.monotonic()
    if left > LEAST:
        options = ["--scale", "gpu", "--device", "cuda", "--minutes", f"{left / 60:.2f}"]
        code = subprocess.run([*PYTHON, "memstudy", "study", *STUDIES, *options]).returncode
        failed += ["studies"] * bool(code)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
