"""Pure functions: tensors in, numbers out. Those on a user's own activations (samples × units) are named here."""

from memstudy.analysis.ablation import area as ablation_area
from memstudy.analysis.ablation import curve as ablation_curve
from memstudy.analysis.arrays import CCA, cca, cka, procrustes, pwcca, svcca
from memstudy.analysis.factorization import as_samples

__all__ = [
    "CCA", "ablation_area", "ablation_curve", "as_samples", "cca", "cka", "procrustes", "pwcca", "svcca",
]  # fmt: skip
