"""A user's own arrays of every kind, to every function of `memstudy.analysis`: right values, or one sentence.

The data are those of `test_analysis_api`: MNIST images, and what untrained networks make of them.
"""

from __future__ import annotations

import inspect
import math
import tempfile
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from memstudy import analysis
from memstudy.analysis import inputs
from memstudy.errors import MemstudyError
from tests.kit.sentences import refused
from tests.test_analysis_api import USES, numbers, tensors

__all__ = ["tensors"]


class Exposing:
    """An array of another library, of which numpy can make one, and nothing else is known."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


class Sharing:
    """An array of another library, which others can share."""

    def __init__(self, values):
        self.values = torch.from_numpy(np.array(values))

    def __dlpack__(self, **choices):
        return self.values.__dlpack__(**choices)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


def every_other(values):
    """The same values, in memory with others between them."""
    found = np.full([2 * size for size in values.shape], 99, dtype=values.dtype)
    place = tuple(slice(None, None, 2) for _ in values.shape)
    found[place] = values
    return found[place]


def backwards(values):
    return np.ascontiguousarray(np.flip(values)).copy()[tuple(slice(None, None, -1) for _ in values.shape)]


def read_only(values):
    found = values.copy()
    found.flags.writeable = False
    return found


def framed(values):
    if values.ndim == 1:
        return pd.Series(values, index=range(7, 7 + len(values)))
    return pd.DataFrame(values) if values.ndim == 2 else values


def mapped(values):
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:  # its memory stays when its name is gone
        np.save(file.name, values)
        return np.load(file.name, mmap_mode="r")


def if_float(change):
    return lambda values: change(values) if values.dtype.kind == "f" else values


SAME = {
    "negative strides": backwards,
    "other byte order": lambda values: values.astype(values.dtype.newbyteorder(">")),
    "not contiguous": every_other,
    "Fortran order": np.asfortranarray,
    "read only": read_only,
    "memory map": mapped,
    "memory map of other byte order": lambda values: mapped(values.astype(values.dtype.newbyteorder(">"))),
    "pandas": framed,
    "__array__": Exposing,
    "__dlpack__": Sharing,
    "lists": lambda values: values.tolist(),
    "long double": if_float(lambda values: values.astype(np.longdouble)),
    "small integers": lambda values: values.astype(np.uint8) if values.dtype.kind == "i" else values,
    "unsigned integers": lambda values: values.astype(np.uint64) if values.dtype.kind == "i" else values,
    "a tensor with gradient": if_float(lambda values: torch.from_numpy(values.copy()).requires_grad_()),
    "a tensor's view": lambda values: torch.from_numpy(every_other(values)),
}
"""The same values as another kind of array."""

HALF = {
    "float16": (if_float(lambda values: values.astype(np.float16)), np.float16),
    "float16 tensors": (if_float(lambda values: torch.from_numpy(values.astype(np.float16))), np.float16),
    "bfloat16 tensors": (if_float(lambda values: torch.from_numpy(values).bfloat16()), "bfloat16"),
}
"""Values of fewer digits: what they are is right, not what they were."""


@pytest.fixture(scope="module")
def plain(tensors):
    """Numpy arrays, float32 and int64, as most have them; of the large ones a part."""
    found = {name: own.numpy().copy() if torch.is_tensor(own) else own for name, own in vars(tensors).items()}
    for name in ("first", "second"):
        found[name] = found[name][::4, :12][:, found[name][::4, :12].std(axis=0) > 0]
    for name in ("images", "intensities", "gradients"):
        found[name] = found[name][:20]
    return SimpleNamespace(**found)


def arguments(name, data):
    """What a user gives: arrays, not yet of a kind."""
    if name == "landscape_measured":
        return data.network, data.images, data.clean[:20]
    if name == "as_samples":
        return (data.features,)
    if name.startswith("landscape_") and name not in ("landscape_of_gradients", "landscape_predicted"):
        one = analysis.landscape_of_gradients(data.gradients).numpy()
        return (one, one**2) if name == "landscape_correlation" else (one,)
    found = USES[name][0](data)
    return found if isinstance(found, tuple) else (found,)


def changed(given, change):
    return tuple(change(value) if isinstance(value, np.ndarray) else value for value in given)


FUNCTIONS = [name for name in USES if name != "landscape_predicted"]


@pytest.mark.parametrize("kind", SAME)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_takes_every_kind_of_array(name, kind, plain):
    given = arguments(name, plain)
    expected = numbers(name, given)
    own = changed(given, SAME[kind])
    before = [inputs.array(value, "x").copy() for value in own if not callable(value) and hasattr(value, "dtype")]
    found = numbers(name, own)
    after = [inputs.array(value, "x") for value in own if not callable(value) and hasattr(value, "dtype")]
    for one, other in zip(found, expected, strict=True):
        if kind in ("lists", "long double"):  # of float64 then
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-5)
        else:
            np.testing.assert_array_equal(one, other)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", HALF)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_floats_of_16_bits_are_computed_with_as_they_are(name, kind, plain):
    change, type_ = HALF[kind]
    given = arguments(name, plain)

    def rounded(values):
        if values.dtype.kind != "f":
            return values
        if type_ == "bfloat16":
            return torch.from_numpy(values).bfloat16().to(torch.float32).numpy()
        return values.astype(type_).astype(np.float32)

    if name == "perturbed":  # which answers in the images' own type
        for noise in (("gaussian", 0.2), ("salt-and-pepper", 0.3)):
            expected, found = (analysis.perturbed(each(given[0]), *noise) for each in (rounded, change))
            assert (found.double() - expected).abs().max() < 2**-8
        return
    expected, found = numbers(name, changed(given, rounded)), numbers(name, changed(given, change))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "name", ["cca", "cka", "procrustes", "pwcca", "svcca", "area_under_margin", "logit_margin"]
)
@pytest.mark.parametrize("type_", [np.int8, np.int64, np.uint16, np.uint32, bool])
def test_whole_numbers_and_booleans_are_numbers(name, type_, plain):
    given = arguments(name, plain)

    def whole(values):
        if values.dtype.kind != "f":
            return values
        return values > np.median(values) if type_ is bool else np.rint(10 * (values - values.min())).clip(0, 100)

    expected = numbers(name, changed(given, lambda values: whole(values).astype(values.dtype)))
    found = numbers(name, changed(given, lambda v: whole(v).astype(type_) if v.dtype.kind == "f" else v))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


REFUSED = {
    "objects": (lambda values: values.astype(object), "of objects"),
    "complex": (lambda values: values.astype(complex), "complex"),
    "complex tensor": (lambda values: torch.from_numpy(values.astype(np.complex64)), "complex"),
    "strings": (lambda values: values.astype(str), "of strings"),
    "bytes": (lambda values: values.astype("S"), "of strings"),
    "dates": (lambda values: np.zeros(values.shape, "datetime64[s]"), "of dates"),
    "masked": (lambda values: np.ma.masked_array(values, values == values.max()), "masked"),
    "ragged": (lambda values: [[1.0, 2.0], [3.0]], "numpy can make one of"),
    "nothing": (lambda values: None, "of objects"),
    "sparse tensor": (lambda values: torch.from_numpy(values).to_sparse(), "sparse"),
    "sparse": (
        lambda values: scipy.sparse.csr_matrix(values.reshape(len(values), -1) if values.ndim else [[0]]),
        "sparse",
    ),
    "records": (lambda values: np.zeros(values.shape, [("a", float)]), "of [('a'"),
    "on no device": (lambda values: torch.from_numpy(values).to("meta"), "without values"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_no_array_of_numbers_is_one_sentence_that_names_the_parameter(name, kind, plain):
    """Each array in its turn, the others being right."""
    change, words = REFUSED[kind]
    given = arguments(name, plain)
    told = []
    for place, value in enumerate(given):
        if isinstance(value, np.ndarray):
            own = tuple(change(each) if index == place else each for index, each in enumerate(given))
            refused(partial(numbers, name, own), "must be an array of numbers, not", words)
            with pytest.raises(MemstudyError) as error:
                numbers(name, own)
            told.append(str(error.value).split(" must be")[0])
    assert told
    assert len(set(told)) == len(told)


def test_sides_are_named():
    good, bad = np.eye(9)[:, :3], np.full((9, 3), "a")
    for name in ("cca", "svcca", "pwcca", "cka", "procrustes"):
        for side, sides in (("x", (bad, good)), ("y", (good, bad))):
            refused(partial(getattr(analysis, name), *sides), f"{side} must be an array")


def test_what_float32_cannot_hold_is_said_to_be_too_large(plain):
    large = np.full((100, 10), 1e60)
    refused(lambda: analysis.logit_margin(large, plain.noisy), "logits hold values too large for float32")
    refused(lambda: analysis.logit_margin(large * math.inf, plain.noisy), "NaN or infinite")


def test_a_probe_keeps_the_digits_that_it_gets(plain):
    """A small variation about a large mean, and numbers whose squares no float holds, in float64."""
    sides = plain.features[::2], plain.clean[::2], plain.features[1::2], plain.clean[1::2]
    expected = analysis.linear_probe(*sides)
    assert expected > 0.6
    for scale, mean in ((1.0, 1e8), (1e-200, 0.0), (1e200, 0.0)):
        moved = [scale * side.astype(np.float64) + mean for side in sides[::2]]
        assert analysis.linear_probe(moved[0], sides[1], moved[1], sides[3]) == pytest.approx(expected, abs=0.03)


def test_landscapes_have_no_scale(plain):
    expected = analysis.landscape_of_gradients(plain.gradients)
    for scale in (1e-300, 1e-60, 1e250):
        found = analysis.landscape_of_gradients(scale * plain.gradients.astype(np.float64))
        assert torch.allclose(found, expected, rtol=1e-6)
        own = scale * expected.numpy()
        assert analysis.landscape_variation(own) == pytest.approx(analysis.landscape_variation(expected))
        assert analysis.landscape_correlation(own, expected.numpy()) == pytest.approx(1)


def test_a_network_of_another_type_gets_its_own(plain):
    network = plain.network
    single = analysis.landscape_measured(network, plain.images, plain.clean[:20])
    for kind in (torch.float16, torch.float64):
        again = analysis.landscape_measured(network, torch.from_numpy(plain.images).to(kind), plain.clean[:20])
        assert (
            analysis.landscape_correlation(again, single) > 0.98
        )  # where pixels are equal, others are the largest


def test_every_function_is_here():
    assert {*FUNCTIONS, "landscape_predicted"} == {
        n for n in analysis.__all__ if not inspect.isclass(getattr(analysis, n))
    }
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten())
    for shape in (np.array([1, 28, 28]), torch.tensor([1, 28, 28]), (1, 28, 28)):
        assert analysis.landscape_predicted(network, shape).shape == (28, 28)
    refused(
        lambda: analysis.landscape_predicted(network, ["1", "2", "3"]), "the shape of an image must be an array"
    )
