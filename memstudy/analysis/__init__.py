"""Pure functions: arrays or tensors in, numbers out. None needs a run.

Named here are those for a user's own activations, logits, losses, predictions and gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memstudy.lazy import attributes

if TYPE_CHECKING:
    from memstudy.analysis.ablation import area as ablation_area
    from memstudy.analysis.ablation import curve as ablation_curve
    from memstudy.analysis.arrays import CCA as CCA
    from memstudy.analysis.arrays import cca as cca
    from memstudy.analysis.arrays import cka as cka
    from memstudy.analysis.arrays import procrustes as procrustes
    from memstudy.analysis.arrays import pwcca as pwcca
    from memstudy.analysis.arrays import svcca as svcca
    from memstudy.analysis.dynamics import area_under_margin as area_under_margin
    from memstudy.analysis.dynamics import auc as corruption_auc
    from memstudy.analysis.dynamics import first_learned as first_learned
    from memstudy.analysis.dynamics import forgetting_events as forgetting_events
    from memstudy.analysis.dynamics import learned_for_good as learned_for_good
    from memstudy.analysis.dynamics import mixture as loss_mixture
    from memstudy.analysis.dynamics import scores_over_epochs as scores_over_epochs
    from memstudy.analysis.dynamics import shares as memorization_shares
    from memstudy.analysis.factorization import as_samples as as_samples
    from memstudy.analysis.landscape import correlation as landscape_correlation
    from memstudy.analysis.landscape import max_over_min as landscape_max_over_min
    from memstudy.analysis.landscape import measured as landscape_measured
    from memstudy.analysis.landscape import of_gradients as landscape_of_gradients
    from memstudy.analysis.landscape import predicted as landscape_predicted
    from memstudy.analysis.landscape import variation as landscape_variation
    from memstudy.analysis.perturbation import perturbed as perturbed
    from memstudy.analysis.probe import probe as linear_probe
    from memstudy.analysis.records import el2n as el2n
    from memstudy.analysis.records import margin as logit_margin
    from memstudy.analysis.records import record as sample_records

_PLACES = {
    "ablation_area": "memstudy.analysis.ablation:area",
    "ablation_curve": "memstudy.analysis.ablation:curve",
    "area_under_margin": "memstudy.analysis.dynamics:area_under_margin",
    "as_samples": "memstudy.analysis.factorization:as_samples",
    "CCA": "memstudy.analysis.arrays:CCA",
    "cca": "memstudy.analysis.arrays:cca",
    "cka": "memstudy.analysis.arrays:cka",
    "corruption_auc": "memstudy.analysis.dynamics:auc",
    "el2n": "memstudy.analysis.records:el2n",
    "first_learned": "memstudy.analysis.dynamics:first_learned",
    "forgetting_events": "memstudy.analysis.dynamics:forgetting_events",
    "landscape_correlation": "memstudy.analysis.landscape:correlation",
    "landscape_max_over_min": "memstudy.analysis.landscape:max_over_min",
    "landscape_measured": "memstudy.analysis.landscape:measured",
    "landscape_of_gradients": "memstudy.analysis.landscape:of_gradients",
    "landscape_predicted": "memstudy.analysis.landscape:predicted",
    "landscape_variation": "memstudy.analysis.landscape:variation",
    "learned_for_good": "memstudy.analysis.dynamics:learned_for_good",
    "linear_probe": "memstudy.analysis.probe:probe",
    "logit_margin": "memstudy.analysis.records:margin",
    "loss_mixture": "memstudy.analysis.dynamics:mixture",
    "memorization_shares": "memstudy.analysis.dynamics:shares",
    "perturbed": "memstudy.analysis.perturbation:perturbed",
    "procrustes": "memstudy.analysis.arrays:procrustes",
    "pwcca": "memstudy.analysis.arrays:pwcca",
    "sample_records": "memstudy.analysis.records:record",
    "scores_over_epochs": "memstudy.analysis.dynamics:scores_over_epochs",
    "svcca": "memstudy.analysis.arrays:svcca",
}

__all__ = [
    "CCA", "ablation_area", "ablation_curve", "area_under_margin", "as_samples", "cca", "cka", "corruption_auc",
    "el2n", "first_learned", "forgetting_events", "landscape_correlation", "landscape_max_over_min",
    "landscape_measured", "landscape_of_gradients", "landscape_predicted", "landscape_variation",
    "learned_for_good", "linear_probe", "logit_margin", "loss_mixture", "memorization_shares", "perturbed",
    "procrustes", "pwcca", "sample_records", "scores_over_epochs", "svcca",
]  # fmt: skip

if not TYPE_CHECKING:  # else any name would be one for a type checker
    __getattr__ = attributes(__name__, _PLACES)


def __dir__() -> list[str]:
    return sorted(__all__)
