"""Which rows are of a last epoch, how that is said, and what names of files end in."""

import pandas as pd

from memstudy.report.frames import after_epochs, is_last, suffixed


def test_the_first_group_s_files_have_plain_names():
    assert list(suffixed("abc")) == [("a", ""), ("b", "--2"), ("c", "--3")]


def test_last_epochs_are_those_of_each_run():
    rows = pd.DataFrame({"run": ["x", "x", "y", "y", "x"], "epoch": [0, 2, 0, 1, 2]})
    assert is_last(rows).tolist() == [False, True, False, True, True]
    rows = pd.DataFrame({"a": ["x", "x", "x"], "b": ["y", "z", "z"], "epoch_a": [3, 1, 2]})
    assert is_last(rows, "a", "epoch_a").tolist() == [True, False, False]
    assert is_last(rows, ["a", "b"], "epoch_a").tolist() == [True, False, True]


def test_what_has_no_epoch_is_its_own_last():
    rows = pd.DataFrame({"network": ["file", "run", "run"], "epoch": [float("nan"), 0.0, 1.0]})
    assert is_last(rows, "network").tolist() == [True, False, True]
    assert is_last(rows.astype({"epoch": "Int64"}), "network").tolist() == [True, False, True]


def test_epochs_are_counted_from_0_each_named_once():
    epochs = pd.Series([24.0, 4.0, 24.0, float("nan")])
    assert after_epochs(epochs) == "After the last kept epoch (4, 24, counted from 0). "
    assert after_epochs(epochs[:1], "Last: the last epoch") == "Last: the last epoch (24, counted from 0). "
    assert after_epochs(epochs[3:]) == ""
