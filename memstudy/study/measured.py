"""What is measured of a run besides training: which epochs are evaluated, and whether samples are recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memstudy.errors import MemstudyError
from memstudy.recipe import Training
from memstudy.store import records
from memstudy.store.layout import DYNAMICS
from memstudy.store.state import EVALUATE_AT, EVALUATE_EVERY
from memstudy.training import EvaluatedEpochs


@dataclass(frozen=True)
class Measured:
    """A run's choice; `recorded` needs every epoch evaluated."""

    evaluated: EvaluatedEpochs
    recorded: bool

    @classmethod
    def chosen(
        cls,
        training: Training,
        samples: int,
        every: int | None = None,
        at: tuple[int, ...] = (),
        dynamics: bool | None = None,
        begun: Mapping[str, Any] | None = None,
    ) -> Measured:
        """Of a run that begins: as asked for; else as `begun`, its state.json from an earlier try; else the usual.

        Samples are recorded if that is asked for, or `records.usual`. A MemstudyError as `check` raises it.
        """
        check(every, dynamics)
        earlier = begun or {}
        every = every or (1 if dynamics else earlier.get(EVALUATE_EVERY, 1))
        whole = EvaluatedEpochs(training, every, tuple(sorted({*at, *earlier.get(EVALUATE_AT, ())})))
        usual = every == 1 and records.usual(training.epochs, samples)
        return cls(whole, usual if dynamics is None else dynamics)

    @classmethod
    def kept(cls, training: Training, begun: Mapping[str, Any]) -> Measured:
        """Of a run that goes on: as it was begun. What was not measured then cannot be measured now."""
        at = tuple(begun.get(EVALUATE_AT, ()))
        return cls(EvaluatedEpochs(training, begun.get(EVALUATE_EVERY, 1), at), bool(begun.get(DYNAMICS)))

    def as_state(self) -> dict[str, Any]:
        """What state.json says of it."""
        at = {EVALUATE_AT: list(self.evaluated.at)} if self.evaluated.every > 1 else {}
        return {DYNAMICS: self.recorded, EVALUATE_EVERY: self.evaluated.every, **at}


def check(every: int | None, dynamics: bool | None, why: str = "--dynamics records") -> None:
    """Refuse records of samples with an evaluation that leaves epochs out; `why` says what asks for records."""
    if dynamics and every is not None and every > 1:
        raise MemstudyError(
            f"{why} every sample after each epoch, and so an evaluation after each, not every {every} epochs: "
            "leave --evaluate-every out, or give --no-dynamics."
        )
