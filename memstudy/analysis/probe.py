"""Linear probe: how well a linear classifier can tell the classes by frozen features.

A multinomial logistic regression is trained on a layer's activations with true labels and tested on those of test
images. It says how general a representation is, whatever the network's own head memorized (Alain and Bengio 2016,
"Understanding intermediate layers using linear classifier probes"; the way to fit is ours). Features are
standardized, unit by unit, with the training images' mean and standard deviation, so that a layer's scale does not
act as regularization; a constant unit becomes 0.

L2 with scikit-learn's C = 0.1 for all layers and sizes (ours). It is fixed, as cross-validation would cost many
fits for one; on smallNet's trunk and on raw MNIST pixels, with 400 to 4,000 images, it is within 1.5 percentage
points of the best of .001, .01, .1 and 1.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from memstudy.analysis.inputs import Array, at_least_single, labeled
from memstudy.analysis.magnitude import exponents, scale_
from memstudy.errors import MemstudyError

C = 0.1
"""scikit-learn's inverse strength of the L2 penalty, relative to the sum of the samples' losses."""
STEPS = 1000
"""The most steps of L-BFGS."""


def probe(train: Array, train_labels: Array, test: Array, test_labels: Array) -> float:
    """Test accuracy of a linear probe, a fraction (Alain and Bengio 2016; the way to fit is ours).

    train (N, …) and test (M, …): activations of as many units, arrays or tensors, those of a convolutional layer
    flattened; labels (N,) and (M,). Computed on the CPU, in float32, or float64 if that is what they are, on
    PyTorch's number of threads; nothing in it is random. Cost: at most 1,000 steps of O(N·p·K) for p units and K
    classes; smallNet's trunk before training (p = 800) with 2,000 images takes .16 s on one CPU thread (median of
    5).

    Raises a MemstudyError for labels that are not one an image and whole numbers from 0 on, for sides with unlike
    units, for training labels of one class alone, and for activations that are not finite.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train_values, train_targets = labeled(
        train, train_labels, "training activations", kind=None, labels_name="training labels"
    )
    test_values, test_targets = labeled(
        test, test_labels, "test activations", kind=None, labels_name="test labels"
    )
    _check(train_values, train_targets, test_values)
    sides = _alike(train_values, test_values)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=STEPS))
    with threadpool_limits(torch.get_num_threads()), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last step's probe is one, too
        classifier.fit(sides[0], train_targets.cpu().numpy())
        return float((classifier.predict(sides[1]) == test_targets.cpu().numpy()).mean())


def _alike(train: Tensor, test: Tensor) -> list[NDArray[np.floating[Any]]]:
    """Both sides (N, p) in one type. Units whose squares would be 0 or infinite are scaled to an ordinary size."""
    kind = torch.promote_types(at_least_single(train).dtype, at_least_single(test).dtype)
    flat = [side.flatten(1).cpu().to(kind) for side in (train, test)]
    scales = exponents(flat[0].abs().amax(dim=0))
    if scales.any():
        flat = [scale_(side.to(torch.float64, copy=True), -scales) for side in flat]
    return [side.numpy() for side in flat]


def _check(train: Tensor, train_labels: Tensor, test: Tensor) -> None:
    if train[0].numel() == 0 or train.ndim < 2 or train.shape[1:] != test.shape[1:]:
        raise MemstudyError(
            f"a probe needs the same units for training and test images, (N, …) and (M, …), not "
            f"{tuple(train.shape[1:])} and {tuple(test.shape[1:])} an image."
        )
    if len(train_labels.unique()) < 2:
        raise MemstudyError("a probe needs training images of at least two classes.")
