"""Transition matrices: what the named ones are, and one sentence for whatever is no transition matrix."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from memstudy.data import transitions
from memstudy.data.class_names import CIFAR10, CIFAR100, CLOTHES, SUPERCLASSES
from memstudy.errors import MemstudyError
from tests.kit.contents import Trap, header, npy, npz, write
from tests.kit.sentences import refused

some = settings(deadline=None, derandomize=True, max_examples=60)

classes_ = st.integers(2, 100)
rates = st.floats(0, 1)


@st.composite
def stochastic(draw, largest=20):
    """Rows of any positive numbers and zeros, divided by their sum."""
    classes = draw(st.integers(2, largest))
    entries = st.floats(0, 1e6, allow_subnormal=False).map(lambda value: value if value > 1e-6 else 0.0)
    found = draw(npst.arrays(np.float64, (classes, classes), elements=entries))
    np.fill_diagonal(found, found.diagonal() + 1e-3)
    return found / found.sum(axis=1, keepdims=True)


def written(folder, content, name="matrix.txt"):
    return write(folder, name, content)


# The named matrices


@some
@given(classes=classes_, rate=rates)
def test_symmetric_and_uniform_in_closed_form(classes, rate):
    symmetric, uniform = transitions.symmetric(classes, rate), transitions.uniform(classes, rate)
    for true in range(classes):
        for label in range(classes):
            same = true == label
            wanted = 1 - rate if same else rate / (classes - 1)
            assert symmetric[true, label] == pytest.approx(wanted, abs=1e-12)
            assert uniform[true, label] == pytest.approx((1 - rate) * same + rate / classes, abs=1e-12)


@some
@given(classes=classes_, rate=rates)
def test_uniform_is_symmetric_at_a_lower_rate(classes, rate):
    lower = transitions.symmetric(classes, rate * (classes - 1) / classes)
    np.testing.assert_allclose(transitions.uniform(classes, rate), lower, atol=1e-12)


@some
@given(
    targets=st.integers(2, 30).flatmap(lambda k: st.lists(st.integers(0, k - 1), min_size=k, max_size=k)),
    rate=rates,
)
def test_along_a_map_each_class_becomes_its_target_at_the_rate(targets, rate):
    matrix = transitions.along(targets, rate)
    for label, target in enumerate(targets):
        row = dict.fromkeys(range(len(targets)), 0.0)
        row[label] += 1 - rate
        row[target] += rate
        assert matrix[label].tolist() == pytest.approx(list(row.values()), abs=1e-15)
        if target == label:
            assert matrix[label, label] == 1  # exactly: such a class never moves


@some
@given(classes=classes_, rate=rates)
def test_every_named_matrix_is_a_stochastic_one(classes, rate):
    for matrix in (
        transitions.symmetric(classes, rate),
        transitions.uniform(classes, rate),
        transitions.along(transitions.pair_targets(classes), rate),
    ):
        np.testing.assert_allclose(transitions.check(matrix, classes), matrix, rtol=1e-12, atol=0)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_the_rows_of_a_transition_matrix_add_up_to_one(rate):
    matrix = transitions.symmetric(10, rate)
    assert matrix.sum(axis=1) == pytest.approx(1)
    assert np.diag(matrix) == pytest.approx(1 - rate)


def test_pairs_go_round():
    assert transitions.pair_targets(4) == [1, 2, 3, 0]
    assert transitions.pair_targets(2) == [1, 0]


# The maps of asymmetric noise, by index as others write them


DIGITS = {7: 1, 2: 7, 5: 6, 6: 5, 3: 8}
BY_INDEX = {
    "mnist": DIGITS,
    "mnist5k": DIGITS,
    "digits": DIGITS,
    "fashion": {9: 7, 7: 5, 2: 6, 4: 3, 3: 4},
    "cifar10": {9: 1, 2: 0, 3: 5, 5: 3, 4: 7},
}


@pytest.mark.parametrize("name", BY_INDEX)
def test_the_maps_are_the_usual_ones(name):
    """Patrini et al. 2017; for Fashion-MNIST Zhang & Sabuncu 2018."""
    assert transitions.asymmetric_targets(name) == [BY_INDEX[name].get(label, label) for label in range(10)]


def test_the_maps_by_name():
    cifar10, fashion = (transitions.asymmetric_targets(name) for name in ("cifar10", "fashion"))
    assert CIFAR10[cifar10[CIFAR10.index("cat")]] == "dog"
    assert CIFAR10[cifar10[CIFAR10.index("dog")]] == "cat"
    assert CIFAR10[cifar10[CIFAR10.index("truck")]] == "automobile"
    assert CIFAR10[cifar10[CIFAR10.index("automobile")]] == "automobile"
    assert CLOTHES[fashion[CLOTHES.index("ankle boot")]] == "sneaker"


def superclass(label):
    return next(name for name, members in SUPERCLASSES.items() if CIFAR100[label] in members)


def test_in_cifar100_each_class_stays_in_its_superclass_in_a_single_circle_of_five():
    targets = transitions.asymmetric_targets("cifar100")
    assert sorted(targets) == list(range(100))
    for start in range(100):
        circle = [start]
        while (following := targets[circle[-1]]) != start:
            circle.append(following)
            assert len(circle) <= 5
        assert len(circle) == 5
        assert {superclass(label) for label in circle} == {superclass(start)}


def test_in_cifar100_the_next_class_is_the_next_by_its_number():
    """As in Patrini et al.'s code, which sorts the classes of a superclass by their fine label."""
    targets = transitions.asymmetric_targets("cifar100")
    for members in SUPERCLASSES.values():
        numbers = sorted(CIFAR100.index(name) for name in members)
        assert [targets[number] for number in numbers] == [*numbers[1:], numbers[0]]


@pytest.mark.parametrize("name", ["mine", "", "MNIST"])
def test_a_set_without_a_map_is_refused_with_a_way_out(name):
    refused(lambda: transitions.asymmetric_targets(name), repr(name), "--noise matrix --matrix FILE")


# Checking


@some
@given(matrix=stochastic())
def test_a_stochastic_matrix_passes_as_it_is(matrix):
    found = transitions.check(matrix, len(matrix))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, matrix, rtol=2e-12, atol=0)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=0, atol=2e-12)
    assert not np.shares_memory(found, matrix)


@some
@given(matrix=stochastic())
@example(matrix=np.full((10, 10), 0.1))  # ten times .1 is not 1
def test_a_checked_matrix_is_checked_to_the_same_bits(matrix):
    """Or the same matrix, checked once or twice on its way, would make two recipes."""
    once = transitions.check(matrix)
    assert np.array_equal(transitions.check(once), once)


@some
@given(matrix=stochastic(), error=st.floats(-9e-7, 9e-7))
def test_rows_written_with_few_digits_are_scaled(matrix, error):
    found = transitions.check((matrix * (1 + error)).tolist())
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=0, atol=2e-12)
    np.testing.assert_allclose(found, matrix, rtol=5e-12, atol=0)


@some
@given(matrix=stochastic(), error=st.sampled_from([-0.5, -1e-4, -2e-6, 2e-6, 1e-4, 0.5]), data=st.data())
def test_a_row_that_does_not_add_up_to_one_is_named(matrix, error, data):
    row = data.draw(st.integers(0, len(matrix) - 1))
    matrix[row] *= 1 + error
    refused(lambda: transitions.check(matrix), f"row {row}")


@some
@given(matrix=stochastic(), value=st.sampled_from([-1.0, -1e-9, math.nan, math.inf, -math.inf]), data=st.data())
def test_what_is_no_probability_is_named_with_its_place(matrix, value, data):
    row, column = (data.draw(st.integers(0, len(matrix) - 1)) for _ in range(2))
    matrix[row, column] = value
    refused(lambda: transitions.check(matrix), f"row {row}, column {column} ", f"is {value:g}")


@some
@given(npst.arrays(np.float64, npst.array_shapes(max_dims=3, max_side=4), elements=st.floats(width=64)))
@example(np.array([[1e308, 1e308], [0.5, 0.5]]))
@example(np.array(0.5))
@example(np.zeros((0, 0)))
@example(np.ones((1, 1)))
def test_any_array_passes_as_a_stochastic_matrix_or_is_refused_in_a_sentence(array):
    try:
        found = transitions.check(array)
    except MemstudyError:
        refused(lambda: transitions.check(array))
    else:
        assert found.shape == array.shape
        assert np.isclose(found.sum(axis=1), 1).all()
        assert (found >= 0).all()


def test_a_transposed_matrix_is_recognized():
    matrix = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.3, 0.3, 0.4]])
    assert "its columns do: transpose it" in refused(lambda: transitions.check(matrix.T))
    matrix[0, 0] = 0.5
    assert "transpose" not in refused(lambda: transitions.check(matrix))


NOT_SQUARE = {
    "no rows": (),
    "one number": 0.5,
    "one row": [0.5, 0.5],
    "too few rows": [[0.5, 0.5]],
    "too few columns": [[1.0], [1.0]],
    "one class": [[1.0]],
    "three dimensions": np.full((2, 2, 2), 0.5),
    "rows of other lengths": [[0.5, 0.5], [1.0]],
    "text": [["a", "b"], ["c", "d"]],
    "nothing": None,
    "objects": [[{}, {}], [{}, {}]],
}


@pytest.mark.parametrize("name", NOT_SQUARE)
def test_what_is_no_square_table_of_numbers_is_refused(name):
    refused(lambda: transitions.check(NOT_SQUARE[name], subject="my matrix"), "my matrix must be")


@pytest.mark.parametrize("classes", [2, 4, 10])
def test_a_matrix_for_other_classes_is_refused(classes):
    refused(lambda: transitions.check(np.eye(3), classes), "3×3", f"{classes} classes")


# Files


@some
@given(
    matrix=stochastic(10),
    separator=st.sampled_from([",", " ", ", ", "\t", " ,  "]),
    end=st.sampled_from(["\n", "\r\n", "\n\n"]),
)
def test_a_text_file_is_read_as_it_was_written(tmp_path_factory, matrix, separator, end):
    text = end.join(separator.join(map(repr, row)) for row in matrix.tolist()) + end
    path = written(tmp_path_factory.mktemp("matrix"), text)
    assert np.array_equal(transitions.read(path), transitions.check(matrix))


@some
@given(matrix=stochastic(10), order=st.sampled_from("CF"), kind=st.sampled_from(["<f8", ">f8"]))
def test_a_numpy_file_is_read_as_it_was_written(tmp_path_factory, matrix, order, kind):
    content = npy(np.asarray(matrix, dtype=kind, order=order))
    path = written(tmp_path_factory.mktemp("matrix"), content, "matrix.npy")
    assert np.array_equal(transitions.read(path), transitions.check(matrix))


def test_text_and_numpy_give_the_same_matrix(tmp_path):
    rows = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.0, 0.0, 1.0]]
    text = "\n".join(",".join(map(str, row)) for row in rows)
    one = transitions.read(written(tmp_path, text, "m.csv"))
    other = transitions.read(written(tmp_path, npy(np.array(rows)), "m.npy"))
    assert np.array_equal(one, other)


def test_a_comment_in_a_text_file_is_none_of_its_rows(tmp_path):
    path = written(tmp_path, "# P(noisy | true)\n0.9 0.1\n0.2 0.8\n")
    assert transitions.read(path).tolist() == [[0.9, 0.1], [0.2, 0.8]]


BAD_TEXT = {
    "empty": "",
    "blank": " \n\n",
    "commas alone": ",,\n,,\n",
    "comment alone": "# a matrix\n",
    "text": "a b\nc d\n",
    "header": "cat,dog\n0.5,0.5\n0.5,0.5\n",
    "rows of other lengths": "0.5 0.5\n1.0\n",
    "one number": "1.0\n",
    "one row": "0.5 0.5\n",
    "not a number": "nan nan\n0.5 0.5\n",
    "infinite": "inf 0\n0.5 0.5\n",
    "negative": "1.5 -0.5\n0.5 0.5\n",
    "counts": "9 1\n2 8\n",
    "percent": "90 10\n20 80\n",
    "huge": "1e308 1e308\n0.5 0.5\n",
    "beyond numbers": "1e999 0\n0.5 0.5\n",
    "no UTF-8": b"\xff\xfe0\x00.\x005\x00",
    "NUL": b"0.5 0.5\n0.5 0.5\x00\n",
}


@pytest.mark.parametrize("name", BAD_TEXT)
def test_a_text_file_that_holds_no_matrix_is_refused(tmp_path, name):
    path = written(tmp_path, BAD_TEXT[name])
    refused(lambda: transitions.read(path), str(path))


BAD_NPY = {
    "empty": b"",
    "a pickle": pickle.dumps(Trap()),
    "objects": npy(np.array([[Trap(), 1], [1, 0]], dtype=object)),
    "another archive": npz(arr_0=np.eye(2)),
    "a broken archive": npz(arr_0=np.eye(2))[:100],
    "no magic": b"0.5 0.5\n0.5 0.5\n",
    "complex": npy(np.eye(2) + 0.1j),
    "words": npy(np.array([["a", "b"], ["c", "d"]])),
    "a table": npy(np.zeros(2, dtype=[("x", "f8"), ("y", "f8")])),
    "dates": npy(np.zeros((2, 2), dtype="M8[s]")),
    "a number": npy(np.array(0.5)),
    "no end of its header": header("{'descr': '<f8', 'fortran_order': False, 'shape': ((((2, 2), }"),
    "no dictionary": header("[1, 2]"),
    "another key": header("{'descr': '<f8', 'fortran_order': False, 'form': (2, 2), }"),
    "more than any memory": header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000000), }"),
    "less than nothing": header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 2), }"),
}


@pytest.mark.parametrize("name", BAD_NPY)
def test_a_numpy_file_that_holds_no_matrix_is_refused_and_never_executed(tmp_path, name):
    path = written(tmp_path, BAD_NPY[name], "matrix.npy")
    refused(lambda: transitions.read(path), str(path))


@pytest.mark.parametrize("length", range(0, 200, 7))
def test_a_truncated_numpy_file_is_refused(tmp_path, length):
    content = npy(np.eye(3))
    assert len(content) == 200
    path = written(tmp_path, content[:length], "matrix.npy")
    refused(lambda: transitions.read(path), str(path))


@settings(some, max_examples=200)
@given(place=st.integers(0, 199), value=st.integers(0, 255))
def test_a_numpy_file_with_a_wrong_byte_is_read_or_refused(tmp_path_factory, place, value):
    content = bytearray(npy(np.eye(3)))
    content[place] = value
    path = written(tmp_path_factory.mktemp("matrix"), bytes(content), "matrix.npy")
    try:
        found = transitions.read(path)
    except MemstudyError:
        refused(lambda: transitions.read(path))
    else:
        assert found.shape == (3, 3)


@some
@given(content=st.binary(max_size=60), name=st.sampled_from(["matrix.txt", "matrix.npy"]))
def test_a_file_of_anything_is_read_or_refused(tmp_path_factory, content, name):
    path = written(tmp_path_factory.mktemp("matrix"), content, name)
    try:
        found = transitions.read(path)
    except MemstudyError:
        refused(lambda: transitions.read(path))
    else:
        assert found.shape == (len(found), len(found))


@pytest.mark.parametrize("name", ["gone.txt", "gone.npy", "no/such/folder.txt", "."])
def test_a_missing_file_is_said_to_be_missing(tmp_path, name):
    refused(lambda: transitions.read(tmp_path / name), "cannot read the transition matrix")


# Counting, and the entropy of rows


def test_a_class_that_does_not_occur_has_a_row_of_zeros():
    found = transitions.realized(np.array([0, 0]), np.array([0, 1]), 3)
    assert found.tolist() == [[0.5, 0.5, 0], [0] * 3, [0] * 3]


@some
@given(pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_the_realized_matrix_is_counted(pairs):
    clean, noisy = (np.array(column) for column in zip(*pairs, strict=True))
    found = transitions.realized(clean, noisy, 5)
    for true in range(5):
        for label in range(5):
            share = pairs.count((true, label)) / max((clean == true).sum(), 1)
            assert found[true, label] == pytest.approx(share, abs=1e-15)


def test_the_realized_matrix_of_true_labels_is_the_identity():
    assert np.array_equal(transitions.realized(np.arange(7), np.arange(7), 7), np.eye(7))


@some
@given(matrix=stochastic())
def test_the_entropy_of_rows_is_scipy_s(matrix):
    found = transitions.entropy(matrix)
    assert found.shape == (len(matrix),)
    np.testing.assert_allclose(found, scipy.stats.entropy(matrix, axis=1), rtol=1e-12, atol=1e-12)
    assert (found >= 0).all()
    assert (found <= math.log(len(matrix)) + 1e-12).all()


def test_certainty_has_no_entropy():
    assert transitions.entropy(np.eye(3)).tolist() == [0, 0, 0]
    assert transitions.entropy(np.zeros((1, 3))).tolist() == [0]
