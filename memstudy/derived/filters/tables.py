"""Tables of filter statistics: ours pooled over seeds, the paper's own beside them as context."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from memstudy.analysis.filters import COMPARISONS, Tally
from memstudy.analysis.significance import holm, stars
from memstudy.derived.filters import origins
from memstudy.derived.filters.measure import DRAWS, RINGS, SHUFFLED, SIZES, TALLIES, TRAINED
from memstudy.derived.reading import read
from memstudy.report import published
from memstudy.report.cells import amount, frame, mean, number, p_value, starred
from memstudy.report.differences import differences, star_notes
from memstudy.report.folders import SEPARATOR
from memstudy.report.frames import after_epochs, comparable_runs, is_last
from memstudy.report.origin import Cell, Origin
from memstudy.report.table import Table
from memstudy.store.store import Selection

PUBLISHED_NETWORKS = {"inception_v3": "InceptionV3", "vgg16": "VGG16", "resnet50": "ResNet50"}
FARTHEST = 2.83  # the corner of a 5×5 kernel: a table's columns end there
WORD_COLUMNS = ("network", "kernels", "layers")
CHOICE_NOTES = {
    "named": "The neighbor is the weight left of the center, the corner the left-upper one (inferred).",
    "random": "The neighbor and the corner are drawn for each kernel, one of four each (ours).",
    "every": "Every neighbor and every corner is compared (ours); the test by kernels has no such case.",
}


def tables(selection: Selection) -> list[Table]:
    """The tables of every group of comparable networks, after their last kept epoch."""
    makers = {TALLIES: _fractions, RINGS: _rings, SIZES: _sizes}
    measured = {name: read(selection.path / name) for name in makers}
    return [
        makers[name](title, rows, suffix)
        for name, table in measured.items()
        if len(table)
        for title, rows, suffix in each_group_or_file(selection, table[is_last(table, "network")])
    ]


def each_group_or_file(selection: Selection, table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Title, rows and suffix of file names: of each group of comparable runs, then of all files of weights.

    Rows have `label`, `seeds` and `against`.
    """
    if table.empty:
        return
    names, groups = [run.name for run in selection.runs], 0
    for setting, members in comparable_runs(selection):
        labeled = members.rename(columns={"run": "network"})[["network", "label", "seeds", "against"]]
        rows = labeled.merge(table, on="network")  # in the order of the runs
        if len(rows):
            groups += 1
            yield setting.title, rows, setting.suffix
    rows = table[~table["network"].isin(names)]
    if len(rows):
        rows = rows.assign(label=rows["network"], seeds=rows["network"], against="")
        yield "files of weights", rows, f"{SEPARATOR}files" if groups else ""


def _fractions(title: str, rows: pd.DataFrame, suffix: str) -> Table:
    by = ["label", "size", "part"]
    keys = [*by, "comparison", "weights"]
    rows = _counted(rows, keys, "fraction")
    trained = rows["weights"] == TRAINED
    values = pd.DataFrame(
        dict(zip(keys, key, strict=True)) | _pooled(group) for key, group in rows.groupby(keys, sort=False)
    )
    values["p_filters_holm"] = holm(values["p_filters"].where(values["weights"] == TRAINED))
    held = rows.assign(against=rows["against"].where(trained, ""))  # the control is one against .5
    values = values.merge(differences(held, keys, "fraction", epoch="epoch", read=origins.tally_read), on=keys)
    cells = [_cells(key, group) for key, group in values.groupby(by, sort=False)]
    counts = ["networks", *(f.name for f in fields(Tally) if f.name != "squares")]
    values = values.astype(dict.fromkeys(counts, "Int64"))  # the published rows have none
    paper = published.table("loco_filter_stats")
    paper = paper[paper["architecture"].isin(PUBLISHED_NETWORKS)]
    for name in PUBLISHED_NETWORKS:
        cells += [_published(row) for _, row in paper[paper["architecture"] == name].iterrows()]
    context = paper.melt(["architecture", "layers"], var_name="comparison", value_name="fraction")
    context = context.rename(columns={"architecture": "label", "layers": "part"}).assign(size=3)
    values = pd.concat([values.assign(source="ours"), context.assign(source="published")], ignore_index=True)
    ties = rows.loc[trained & (rows["part"] == "all"), "ties"]
    notes = (
        f"Fractions of single kernels, pooled over networks, ± standard deviation over them; the null is .5. "
        f"{CHOICE_NOTES[rows['choice'].iloc[0]]} In 5×5 kernels and larger the corner is the outermost (ours). "
        f"Ties, left out: {ties.sum():,}.",
        "Lower and upper: halves of the layers with such kernels. p: two-sided, taking filters for independent / "
        "kernels for independent (binomial; too small, as kernels of one filter are not), not adjusted for their "
        "number; the CSV has the former adjusted by Holm's method for all rows, too. Shuffled: the same "
        f"kernels, their positions permuted, {DRAWS} times a network; ± is the standard deviation of one.",
        f"{after_epochs(rows['epoch'])}Published: LOCO-Reg's values for networks trained on ImageNet, "
        "context only, as these are other networks on other images.",
        *star_notes(values),
    )
    title = f"Where kernels are large: {title}"
    return Table(f"filters{suffix}", title, notes, frame(cells, absent=""), values, words=WORD_COLUMNS)


def _counted(rows: pd.DataFrame, keys: list[str], value: str) -> pd.DataFrame:
    """Rows without those of collapsed networks, which have no value, where other networks beside them have one."""
    present = rows[value].notna()
    return rows[present | ~present.groupby([rows[key] for key in keys]).transform("any")]


def _pooled(rows: pd.DataFrame) -> dict[str, float]:
    """The tallies of several networks added up to one, so that `kernels`, `filters` and `layers` are sums."""
    total = Tally(**{f.name: np.asarray(rows[f.name]).sum().item() for f in fields(Tally)})
    return {
        "fraction": total.fraction,
        "sd": rows["fraction"].std(),
        "networks": rows["network"].nunique(),
        "p_filters": total.p_filters,
        "p_kernels": total.p_kernels,
        **vars(total),
    }


HEADINGS = {"center_gt_neighbor": "center > neighbor", "neighbor_gt_corner": "neighbor > corner"}


def _cells(key: Sequence[Any], values: pd.DataFrame) -> dict[str, str]:
    """A row of the table: both comparisons with p-values and control, then the counts for one network."""
    label, size, part = key
    cells = {"network": str(label), "kernels": f"{size}×{size}", "layers": str(part)}
    by_comparison: dict[tuple[str, str], dict[Hashable, Any]] = {
        (row["comparison"], row["weights"]): row for row in values.to_dict("records")
    }
    for comparison in COMPARISONS:
        trained, short = by_comparison[comparison, TRAINED], HEADINGS[comparison]
        text = mean(trained["fraction"], trained["sd"], 3) + stars(trained["p_holm"])
        cells[short] = origins.pooled(text, trained)
        text = f"{p_value(trained['p_filters'])} / {p_value(trained['p_kernels'])}"
        cells[f"{short}: p"] = origins.p_values(text, trained)
        control = by_comparison[comparison, SHUFFLED]
        cells[f"{short}, shuffled"] = origins.pooled(mean(control["fraction"], control["sd"], 3), control)
    n = trained["networks"]
    counts = [number(trained[counted] // n, ",") for counted in ("kernels", "filters", "layers")]
    text = f"{n} × {counts[0]} ({counts[1]}, {counts[2]})"
    return cells | {"n: networks × kernels (filters, layers)": origins.counts(text, trained)}


def _published(row: pd.Series) -> dict[str, str]:
    cells = {
        "network": f"published: {PUBLISHED_NETWORKS[row['architecture']]}",
        "kernels": "3×3",
        "layers": row["layers"],
    }
    place = {name: row[name] for name in ("architecture", "layers")}
    return cells | {
        HEADINGS[comparison]: Cell.made(
            number(row[comparison], ".3f"),
            Origin(cited=(published.cited("loco_filter_stats", place, comparison),)),
        )
        for comparison in COMPARISONS
    }


def _rings(title: str, rows: pd.DataFrame, suffix: str) -> Table:
    """Mean |w| by distance, relative to the mean over all positions of the same kernels."""
    by = ["label", "size", "part"]
    keys = [*by, "distance"]
    rows = _counted(rows, keys, "relative")
    values = rows.groupby(keys, sort=False).agg(
        positions=("positions", "first"), weights=("count", "sum"), zeros=("zeros", "sum"),
        mean_abs=("mean_abs", "mean"), relative=("relative", "mean"), sd=("relative", "std"),
        networks=("relative", "size"),
    ).reset_index()  # fmt: skip
    tested = differences(rows, keys, "relative", epoch="epoch", read=origins.ring_read)
    values = values.merge(tested, on=keys)
    each_row = dict(list(rows.groupby(by, sort=False)))
    cells = []
    for (label, size, part), group in values.groupby(by, sort=False):
        cells_of_row = {"network": str(label), "kernels": f"{size}×{size}", "layers": str(part)}
        overall = (group["mean_abs"] * group["positions"]).sum() / group["positions"].sum()
        behind = each_row[label, size, part]
        cells_of_row |= {"mean |w|": origins.magnitude(number(overall, ".3g"), behind, overall)}
        for ring in group.rename(columns={"relative": "mean"}).to_dict("records"):
            cells_of_row[f"{ring['distance']:.2f}"] = starred(ring, 3)
        n = int(group["networks"].iloc[0])
        kernels = int(group["weights"].sum()) // n // int(group["positions"].sum())
        cells.append(cells_of_row | {"n: networks × kernels": f"{n} × {number(kernels, ',')}"})
    zeros = values.loc[values["part"] == "all", "zeros"]
    notes = (
        "Columns are distances from the kernel's center in pixels; 1 is the mean of |w| over all positions. "
        f"Mean ± standard deviation over networks. {after_epochs(rows['epoch'])}Weights that are 0, counted in: "
        f"{zeros.sum():,}.",
        *star_notes(values),
    )
    title = f"Mean |w| by distance from the center: {title}"
    return Table(f"filters_rings{suffix}", title, notes, frame(cells, absent=""), values, words=WORD_COLUMNS)


def _sizes(title: str, rows: pd.DataFrame, suffix: str) -> Table:
    """LOCO-Reg's penalty by kernel size, mean over networks; and how large weights are by distance."""
    by = ["label", "kernel"]
    values = rows.groupby([*by, "distance"], sort=False).agg(
        layers=("layers", "first"), filters=("filters", "first"), weights=("weights", "first"),
        ratio=("ratio", "first"), penalty=("penalty", "mean"), share=("share", "mean"),
        rms=("rms", "mean"), rms_sd=("rms", "std"), networks=("rms", "size"),
    ).reset_index()  # fmt: skip
    each_row = dict(list(rows.groupby(by, sort=False)))
    penalties = rows.groupby([*by, "network"], as_index=False, sort=False)[["penalty", "share"]].sum()
    cells = []
    for (label, kernel), group in values.groupby(by, sort=False):
        first = group.iloc[0]
        of_networks = penalties[(penalties["label"] == label) & (penalties["kernel"] == kernel)]
        cells_of_row = {"network": str(label), "kernels": str(kernel)}
        cells_of_row |= {name: number(first[name], ",") for name in ("layers", "filters")}
        behind = each_row[label, kernel]
        share = mean(100 * of_networks["share"].mean(), 100 * of_networks["share"].std(), 1)
        cells_of_row |= {
            "weights": number(group["weights"].sum(), ","),
            "mean r": number(np.average(group["ratio"], weights=group["weights"]), ".2f"),
            "penalty": origins.mean_of(amount(of_networks["penalty"].mean()), behind, "penalty"),
            "its share, %": origins.mean_of(share, behind, "share", 100),
        }
        for ring in group[group["distance"] <= FARTHEST].to_dict("records"):
            of_ring = behind[behind["distance"] == ring["distance"]]
            text = number(ring["rms"], "#.3g")
            cells_of_row[f"RMS at {ring['distance']:.2f}"] = origins.mean_of(text, of_ring, "rms")
        cells.append(cells_of_row | {"n": str(first["networks"])})
    notes = (
        "Penalty: the sum of r·w² over the weights of kernels of that size, without λ. Depthwise: a kernel sees "
        "one channel. RMS: root mean square of the weights at that distance from the center, in pixels"
        f"{f'; larger ones: {SIZES}' if values['distance'].max() > FARTHEST else ''}. "
        f"{after_epochs(rows['epoch'])}Means over n networks, of the share ± standard deviation.",
    )
    table = frame(cells, absent="")
    names = list(map(str, table.columns))
    rings = sorted(name for name in names if name.startswith("RMS"))
    ordered = [*(name for name in names if name not in [*rings, "n"]), *rings, "n"]
    title = f"LOCO-Reg's penalty by kernel size: {title}"
    return Table(f"filters_sizes{suffix}", title, notes, table[ordered], values, words=WORD_COLUMNS[:2])
