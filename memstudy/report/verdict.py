"""What became of a run, in words."""

from __future__ import annotations

import math

import pandas as pd

from memstudy.data.corruption import RULES
from memstudy.store import RunDirectory


def verdict(run: RunDirectory) -> str:
    """What became of a run: accuracy, what was memorized, and the training loss against its floor.

    Epochs are indices, counted from 0, as in metrics.csv.
    """
    metrics, state = run.metrics(), run.state()
    floors = state["floor"], state.get("realized_floor", state["floor"])
    last, best = metrics.iloc[-1], metrics.iloc[int(metrics["test_accuracy"].argmax())]
    text = (
        f"after {len(metrics)} epoch{'s' if len(metrics) > 1 else ''}: "
        f"test accuracy {100 * last['test_accuracy']:.1f} % "
        f"(best: {100 * best['test_accuracy']:.1f} %, epoch {int(best['epoch'])})"
    )
    if note := state.get("data_note"):
        text = f"{run.recipe.dataset} was {note}.\n{text}"
    if math.isnan(last["memorized"]) and not max(floors):
        return f"{text}; no label is corrupted, so there is nothing to memorize.\n{run.path}"
    if not math.isnan(last["memorized"]):
        text += (
            f"; of the corrupted labels {100 * last['memorized']:.1f} % are memorized, "
            f"{100 * last['recovered']:.1f} % recovered"
        )
    given = RULES.get(run.recipe.corruption.rule).given is not None
    return f"{text}.\nverdict: {_against_floor(metrics, *floors, given)}\n{run.path}"


def _against_floor(metrics: pd.DataFrame, floor: float, realized: float, given: bool) -> str:
    """A loss below both floors is memorization; one above proves nothing by itself.

    The expected floor is what figures show; on the labels drawn, luck alone can reach the realized one. Labels
    that were given, by people say, may be wrong for reasons that the image shows.
    """
    loss, lowest = metrics["train_cross_entropy"], min(floor, realized)
    below = metrics.loc[loss < lowest, "epoch"]
    bound = f"{lowest:.4f}, the lowest on these labels that needs no memorization"
    if not given:
        bound += f" ({floor:.4f} is expected)"
    if len(below):
        caveat = " if the labels do not depend on the images" if given else ""
        return (
            f"it memorizes{caveat}: the training loss L_c is {loss.iloc[-1]:.4f}, and went below the floor at "
            f"epoch {int(below.iloc[0])}: {bound}."
        )
    return f"no memorization shows in the loss: L_c is {loss.iloc[-1]:.4f}, above the floor: {bound}."
