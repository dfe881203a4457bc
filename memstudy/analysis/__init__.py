"""Pure functions: arrays or tensors in, numbers out. None needs a run.

Named here are those for a user's own activations, logits, losses, predictions and gradients.
"""

from memstudy.analysis.ablation import area as ablation_area
from memstudy.analysis.ablation import curve as ablation_curve
from memstudy.analysis.arrays import CCA, cca, cka, procrustes, pwcca, svcca
from memstudy.analysis.dynamics import (
    area_under_margin,
    first_learned,
    forgetting_events,
    learned_for_good,
    scores_over_epochs,
)
from memstudy.analysis.dynamics import auc as corruption_auc
from memstudy.analysis.dynamics import mixture as loss_mixture
from memstudy.analysis.dynamics import shares as memorization_shares
from memstudy.analysis.factorization import as_samples
from memstudy.analysis.landscape import correlation as landscape_correlation
from memstudy.analysis.landscape import max_over_min as landscape_max_over_min
from memstudy.analysis.landscape import measured as landscape_measured
from memstudy.analysis.landscape import of_gradients as landscape_of_gradients
from memstudy.analysis.landscape import predicted as landscape_predicted
from memstudy.analysis.landscape import variation as landscape_variation
from memstudy.analysis.perturbation import perturbed
from memstudy.analysis.probe import probe as linear_probe
from memstudy.analysis.records import el2n
from memstudy.analysis.records import margin as logit_margin
from memstudy.analysis.records import record as sample_records

__all__ = [
    "CCA", "ablation_area", "ablation_curve", "area_under_margin", "as_samples", "cca", "cka", "corruption_auc",
    "el2n", "first_learned", "forgetting_events", "landscape_correlation", "landscape_max_over_min",
    "landscape_measured", "landscape_of_gradients", "landscape_predicted", "landscape_variation",
    "learned_for_good", "linear_probe", "logit_margin", "loss_mixture", "memorization_shares", "perturbed",
    "procrustes", "pwcca", "sample_records", "scores_over_epochs", "svcca",
]  # fmt: skip
