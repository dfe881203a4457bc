"""The derived tables: which command makes each, and of what kind its columns are. They are read only here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from memstudy import files


@dataclass(frozen=True)
class Derived:
    """A table's columns: names; whole numbers from `low` to `high` (`gaps`: or none); numbers of at most `size`.

    Names and `key` together tell its rows apart, if there is one (bins of rounded losses may fall together); of
    `every`, each of its groups has all values that there are.
    """

    command: str
    text: str
    whole: str
    numbers: str = ""
    gaps: str = ""
    key: str = "epoch"
    every: str = ""
    low: int = -1
    high: int = 2**40
    size: float = 1e100


_SIDES = "relation run_a run_b keep"
_EPOCHS = "epoch_a epoch_b"
TABLES = {
    "svcca": Derived(
        "svcca", _SIDES, f"{_EPOCHS} n p_a p_b rank_a rank_b kept_a kept_b",
        "cca svcca pwcca pwcca_back cka cka_unbiased procrustes", key=_EPOCHS,
    ),
    "svcca_coefficients": Derived("svcca", _SIDES, f"{_EPOCHS} index", "coefficient", key=f"{_EPOCHS} index"),
    "ablation_curves": Derived(
        "ablate", "run protocol", "epoch orders seed order", "fraction accuracy", key="epoch order fraction"
    ),
    "ablation_areas": Derived("ablate", "run protocol", "epoch", "area half_width"),
    "probe": Derived("probe", "run layer", "epoch samples", "accuracy head_accuracy"),
    "landscape": Derived("landscape", "run kind", "epoch images row column", "value", key="epoch row column"),
    "landscape_flatness": Derived("landscape", "run kind", "epoch images", "cv max_over_min correlation"),
    "landscape_noise": Derived(
        "landscape", "run noise", "epoch images", "strength accuracy", key="epoch strength"
    ),
    "dynamics": Derived("dynamics", "run score", "epoch", "auc accuracy"),
    "dynamics_counts": Derived(
        "dynamics", "run quantity group", "value count epochs", key="value", low=0, high=10**8
    ),
    "dynamics_losses": Derived("dynamics", "run part", "epoch", "loss density", key=""),
    "filters": Derived(
        "filters", "network choice weights part comparison",
        "size draw larger smaller ties kernels filters layers", "squares fraction p_kernels p_filters", "epoch",
        key="epoch size draw", every="comparison",
    ),
    "filters_rings": Derived(
        "filters", "network part", "size positions count zeros", "distance mean_abs relative", "epoch",
        key="epoch size distance",
    ),
    "filters_log_weights": Derived(
        "filters", "network place", "size count", "low", "epoch", key="epoch size low", size=400
    ),
    "filters_sizes": Derived(
        "filters", "network kernel", "layers filters weights", "distance ratio squares rms penalty share", "epoch",
        key="epoch distance",
    ),
}  # fmt: skip
"""By the beginnings of files' names, up to a hyphen."""


def read(path: Path) -> pd.DataFrame:
    """A derived table with its types; empty if it has not been made.

    A MemstudyError if a column is missing, a value in it is of another kind, or a row is there twice.
    """
    kind = TABLES.get(path.stem.partition("-")[0], Derived("study", "", "", key=""))
    cure = f"remove it; 'memstudy {kind.command}' makes it anew"
    if not path.is_file():
        return pd.DataFrame()
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(kind.text.split(), str), low_memory=False)
    except (OSError, ValueError, OverflowError) as error:
        raise files.damaged(path, error, cure) from error
    for column in f"{kind.text} {kind.whole} {kind.numbers} {kind.gaps}".split():
        if column not in table:
            raise files.damaged(path, f"it has no column {column}", cure)
        if not _fits(table[column], kind):
            raise files.damaged(path, f"its column {column} has values that it cannot have", cure)
    if kind.key and (why := _odd(table, kind)):
        raise files.damaged(path, why, cure)
    return table


def _odd(table: pd.DataFrame, kind: Derived) -> str | None:
    """What is wrong with the rows, each of which may be right; None if nothing is."""
    key = [*kind.text.split(), *kind.key.split()]
    if table.duplicated(key).any():
        return "it has rows twice"
    if kind.every:
        values = table.groupby([name for name in key if name != kind.every], dropna=False)[kind.every].nunique()
        if (values < table[kind.every].nunique()).any():
            return "rows are missing"
    return None


def _fits(column: pd.Series, kind: Derived) -> bool:
    name = str(column.name)
    if name in kind.text.split():
        return bool(column.notna().all())
    if name in kind.numbers.split():
        return _is_numeric(column) and bool((column.abs() <= kind.size)[np.isfinite(column)].all())
    there = column.dropna() if name in kind.gaps.split() else column
    if not _is_numeric(there):
        return name in kind.gaps.split() and bool(column.isna().all())
    return bool(((there % 1 == 0) & there.between(kind.low, kind.high)).all())


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
