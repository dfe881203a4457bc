"""Linear probe: how much of the classes a linear classifier reads off frozen features.

A multinomial logistic regression is trained on a layer's activations with true labels and tested on those of test
images: how general the representation is, whatever the network's own head memorized (Alain and Bengio 2016,
"Understanding intermediate layers using linear classifier probes"; the way to fit is ours). Features are
standardized, unit by unit, with the training images' mean and standard deviation, so that a layer's scale does not
act as regularization; a unit that never changes stays 0.

L2 with scikit-learn's C = 0.1 for all layers and sizes (ours). It is fixed, as cross-validation would cost many
fits for one; on smallNet's trunk and on raw MNIST pixels, with 400 to 4,000 images, it is within 1.5 percentage
points of the best of .001, .01, .1 and 1.
"""

from __future__ import annotations

import warnings

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from memstudy.errors import MemstudyError

C = 0.1
"""scikit-learn's inverse strength of the L2 penalty, against the sum of the samples' losses."""
STEPS = 1000
"""of L-BFGS, at most."""


def probe(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor) -> float:
    """Test accuracy of the probe, a fraction.

    train (N, …) and test (M, …): activations of as many units, those of a convolutional layer flattened; labels
    (N,) and (M,) int64. Computed in float32 on the CPU, on PyTorch's number of threads; nothing in it is random.

    Raises a MemstudyError for labels that are not one an image, for sides with unlike units, for training labels
    of one class alone, and for activations that are not finite.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    _check(train, train_labels, test, test_labels)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=STEPS))
    known, asked = (features.flatten(1).float().cpu().numpy() for features in (train, test))
    with threadpool_limits(torch.get_num_threads()), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last step's probe is one, too
        classifier.fit(known, train_labels.cpu().numpy())
        return float((classifier.predict(asked) == test_labels.cpu().numpy()).mean())


def _check(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor) -> None:
    for features, labels in ((train, train_labels), (test, test_labels)):
        if len(features) == 0 or len(features) != len(labels):
            raise MemstudyError(
                f"a probe needs one label an image and at least one image, not {len(features)} images and "
                f"{len(labels)} labels."
            )
        if not features.isfinite().all():
            raise MemstudyError("the activations hold NaN or infinite values, as a network that diverged gives.")
    if train.shape[1:] != test.shape[1:]:
        raise MemstudyError(
            f"a probe needs the same units for training and test images, not {tuple(train.shape[1:])} and "
            f"{tuple(test.shape[1:])}."
        )
    if len(train_labels.unique()) < 2:
        raise MemstudyError("a probe needs training images of at least two classes.")
