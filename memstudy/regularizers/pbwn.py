"""PBWN: projection based weight normalization (Huang et al. 2017), a comparator of Norm Loss.

    w = v / ‖v‖ for each output unit, before every forward pass

The gradient goes through the division, so what it adds to v is tangential to the sphere. This is our form, after
the one line that Norm Loss' table rests on; the authors project v itself after updates.
"""

from __future__ import annotations

from dataclasses import dataclass

from memstudy.models import Network
from memstudy.regularizers.base import Regularizer
from memstudy.regularizers.reparametrization import by_matrix, unit_rows


@dataclass(frozen=True)
class ProjectionBasedWeightNormalization(Regularizer):
    """Unit vectors: w = v / ‖v‖."""

    def reparametrize(self, network: Network) -> None:
        """Reparametrize every layer but the last."""
        by_matrix(network, unit_rows)
