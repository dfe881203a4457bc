"""What a user's program may look like, for mypy: `make lint` checks this file as strictly as mypy can.

Each line that is wrong says which error it must be: with `warn_unused_ignores` mypy complains, too, of one that it
no longer finds wrong. Nothing here is run.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

import memstudy


def labels(y: Tensor) -> memstudy.NoisyLabels:
    """Labels, noisy, and what is known of them."""
    images: memstudy.Images = memstudy.images("mnist5k", download=False)
    found = memstudy.corrupt(y, "asymmetric", 0.4, seed=0, images=images)
    matrix: NDArray[np.float64] = found.matrix
    noisy: Tensor = found.noisy
    rate: float = found.rate + found.floor + matrix[0, 1] + len(noisy)
    print(rate, found.mask.sum())
    memstudy.corrupt(y, 0.4)  # type: ignore[arg-type]
    memstudy.corrupt(y, "pair", 0.4, sed=0)  # type: ignore[call-arg]
    matrix = found.noisy  # type: ignore[assignment]
    return found


def step(model: torch.nn.Module, loss: Tensor, features: Tensor, images: Tensor, epoch: int) -> Tensor:
    """A loss with every penalty."""
    al2, pull = memstudy.AL2(advance=5.0), memstudy.NormLoss(decoupled=True)
    objective = loss + al2(features=features, epoch=epoch) + memstudy.LOCO(eta=1.8)(model=model)
    objective = objective + memstudy.PILCRO()(images=images, loss=loss)
    pull.after_step(model, learning_rate=0.1)
    penalties: list[memstudy.Penalty] = [al2, pull]
    strengths: list[float | None] = [penalty.strength(epoch) for penalty in penalties]
    print(strengths, pull.without_decay(model))
    memstudy.AL2(advances=5)  # type: ignore[call-arg]
    memstudy.AL2()(feature=features, epoch=epoch)  # type: ignore[call-arg]
    memstudy.LOCO()(model="resnet18")  # type: ignore[arg-type]
    memstudy.Regularizer  # type: ignore[attr-defined]  # noqa: B018
    return objective


def runs(penalty: memstudy.AL2) -> pd.DataFrame:
    """Whole runs, and what a store has."""
    run: memstudy.Run = memstudy.run("quick", reg=[penalty, memstudy.LOCO()], corrupt=0.5, epochs=1, device="cpu")
    shares: pd.Series[float] = run.metrics()["memorized"]
    done: memstudy.Study = memstudy.study("quick", store="runs", seeds=[0, 1], say=print)
    store: memstudy.Store = memstudy.open("runs")
    print(shares, run.verdict().floor, run.labels().noisy, done.numbers(), [each.name for each in store])
    memstudy.run("quick", seeds=3, reg=3)  # type: ignore[arg-type]
    memstudy.study("quick", epochs=3)  # type: ignore[call-arg]
    store.runs(limit=3)  # type: ignore[call-arg]
    return pd.concat([store.runs("reg=al2"), store.metrics(), store.records(where="seed=0"), done.metrics()])


def loop(labels: memstudy.NoisyLabels, images: memstudy.Images) -> memstudy.Memorization:
    """A loop that is recorded."""
    network: torch.nn.Module = memstudy.network("smallnet", images, seed=0, reg="bn")
    batches: memstudy.Batches = memstudy.Batches(len(labels), 64)
    recorder = memstudy.Recorder(labels, images=images)
    for batch in batches:
        logits: Tensor = network(images.train[batch])[1]
        recorder.update(batch, logits)
        recorder.step(logits.mean(), size=len(batch))
    numbers: dict[str, float] = recorder.end_epoch(lr=0.1)
    recorder.load_state_dict(recorder.state_dict())
    run: memstudy.Run = recorder.write("runs", reg=memstudy.AL2(), batch_size=64, lr=0.1, momentum=0.0)
    print(numbers, run.name, recorder.metrics(), recorder.dynamics())
    recorder.update(logits)  # type: ignore[call-arg]
    memstudy.Recorder(labels.noisy)  # type: ignore[arg-type]
    memstudy.network("smallnet", images, sed=0)  # type: ignore[call-arg]
    return recorder.memorization(epoch=-1)
