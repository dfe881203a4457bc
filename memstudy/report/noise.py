"""A file of corrupted labels, shown: in words, as a transition matrix, and as a grid of corrupted samples."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from memstudy.data import RULES
from memstudy.data.artifact import Artifact
from memstudy.data.images import ImageSet
from memstudy.data.transitions import Matrix, entropy
from memstudy.report.lettering import literal
from memstudy.report.saving import save

ELSEWHERE = "with --figures"
GRID_ROWS, GRID_COLUMNS = 4, 8
MOST_NUMBERS = 12  # classes up to which a matrix is legible as numbers


def describe(artifact: Artifact) -> dict[str, str]:
    """All that the file says, as headings and texts in the order of reading."""
    rule = RULES.get(artifact.rule) if artifact.rule in RULES.names() else None
    asked = "none: this rule has no rate"
    if not math.isnan(artifact.rate_asked):
        asked = f"{artifact.rate_asked:g}" + (f", {rule.rate}" if rule is not None else "")
    part = f"{artifact.train_size:,} chosen of" if artifact.train_size else "all of"
    wrong = int(artifact.mask.sum())
    return {
        "data set": f"{artifact.dataset}, {part} its training samples, {len(artifact.class_names)} classes",
        "images": f"SHA-256 {artifact.source_sha256}",
        "rule": artifact.rule + (f": {rule.about}" if rule is not None else ""),
        "seed": str(artifact.seed),
        "rate asked": asked,
        "rate realized": f"{artifact.rate_realized:.4f}: {wrong:,} of {len(artifact.noisy):,} labels are wrong",
        "labels": f"SHA-256 {artifact.labels_sha256}",
        **({} if artifact.distribution is None else {"shares": _shares(artifact.distribution)}),
        "floor": _floor(artifact),
        "format": f"version {artifact.version}",
    }


def _floor(artifact: Artifact) -> str:
    """The floor of these labels (see `dataset`), as far as the file tells it."""
    if artifact.rule == "soft" and artifact.distribution is not None:
        drawn = artifact.distribution[np.arange(len(artifact.noisy)), artifact.noisy]
        return f"{-np.log(drawn).mean():.4f} nats, the mean of -ln P of these labels in the soft ones"
    floor = float(entropy(artifact.transition)[artifact.clean].mean())
    most = "at most " if artifact.rule == "instance" else ""  # the probabilities of each image are not in the file
    return f"{most}{floor:.4f} nats, the entropy of these noisy labels given the true class"


def _shares(distribution: Matrix) -> str:
    """Votes or soft labels (N, K) in words."""
    unanimous = float((distribution.max(axis=1) == 1).mean())
    mean = float(entropy(distribution).mean())
    return f"of the classes for each sample: mean entropy {mean:.4f} nats, {100 * unanimous:.1f} % without doubt"


def matrix_text(artifact: Artifact) -> str:
    """The realized transition matrix in percent; of many classes, each one's three most frequent labels."""
    percent, names = 100 * artifact.transition, artifact.class_names
    if len(names) <= MOST_NUMBERS:
        table = pd.DataFrame(percent, index=list(names), columns=[name[:7] for name in names])
        with pd.option_context("display.unicode.east_asian_width", True):
            return table.to_string(float_format=lambda value: f"{value:.1f}")
    lines = []
    for name, row in zip(names, percent, strict=True):
        most = np.argsort(-row, kind="stable")[:3]
        lines.append(f"{name}: " + ", ".join(f"{names[label]} {row[label]:.1f}" for label in most))
    return "\n".join(lines)


def draw_matrix(artifact: Artifact, folder: Path, stem: str) -> list[Path]:
    """The realized transition matrix as a heat map; (K, K) in percent as CSV."""
    with literal():
        figure = _heat_map(artifact)
    return save(folder, f"{stem}-transition", figure, _long(artifact.transition, artifact), ELSEWHERE)


def _heat_map(artifact: Artifact) -> Figure:
    names, few = artifact.class_names, len(artifact.class_names) <= MOST_NUMBERS
    side = 0.55 * len(names) + 1.5 if few else 9.0
    figure, axis = plt.subplots(figsize=(side + 0.8, side))
    percent = 100 * artifact.transition
    numbers = np.array([[f"{value:.1f}" if value else "" for value in row] for row in percent])
    sns.heatmap(
        percent, ax=axis, cmap="viridis", vmin=0, vmax=100, square=True, annot=numbers if few else False, fmt="",
        annot_kws={"fontsize": 7}, xticklabels=names, yticklabels=names,
        cbar_kws={"label": "of the true class, %", "shrink": 0.8},
    )  # fmt: skip
    axis.tick_params(labelsize=8 if few else 4, length=0)
    axis.tick_params(axis="x", rotation=90 if max(map(len, names)) > 2 else 0)
    axis.tick_params(axis="y", rotation=0)
    axis.set(xlabel="noisy label", ylabel="true class")
    axis.set_title(_title(artifact), fontsize="medium")
    return figure


def _title(artifact: Artifact) -> str:
    asked = "" if math.isnan(artifact.rate_asked) else f" {artifact.rate_asked:g}"
    return (
        f"{artifact.dataset}, {artifact.rule}{asked}, seed {artifact.seed}\n"
        f"{100 * artifact.rate_realized:.2f} % of {len(artifact.noisy):,} labels are wrong"
    )


def _long(matrix: Matrix, artifact: Artifact) -> pd.DataFrame:
    """Tidy: one row a pair of classes, in percent; those of one noisy label are together. Names may be equal."""
    names = np.array(artifact.class_names)
    true, noisy = np.tile(names, len(names)), np.repeat(names, len(names))
    return pd.DataFrame({"true": true, "noisy": noisy, "percent": 100 * matrix.T.ravel()})


def draw_samples(artifact: Artifact, source: ImageSet, folder: Path, stem: str) -> list[Path]:
    """A grid of corrupted samples, spread over the set, each under its true and its noisy label.

    Where no label is corrupted, samples are shown as they are.
    """
    wrong = np.flatnonzero(artifact.mask)
    pool = wrong if len(wrong) else np.arange(len(artifact.mask))
    # By class, so that the grid shows all of them; evenly spread, so that the same file gives the same grid.
    pool = pool[np.argsort(artifact.clean[pool], kind="stable")]
    chosen = pool[np.linspace(0, len(pool) - 1, min(len(pool), GRID_ROWS * GRID_COLUMNS)).round().astype(int)]
    names = np.array(artifact.class_names)
    data = pd.DataFrame(
        {
            "position": artifact.positions[chosen],
            "true": names[artifact.clean[chosen]],
            "noisy": names[artifact.noisy[chosen]],
        }
    )
    return save(folder, f"{stem}-samples", _grid(artifact, source, data), data, ELSEWHERE)


def _grid(artifact: Artifact, source: ImageSet, data: pd.DataFrame) -> Figure:
    figure, axes = plt.subplots(GRID_ROWS, GRID_COLUMNS, figsize=(1.25 * GRID_COLUMNS, 1.6 * GRID_ROWS))
    for axis in axes.flat:
        axis.axis("off")
    for axis, (position, true, noisy) in zip(axes.flat, data.itertuples(index=False), strict=False):
        pixels = source.train_images[int(position)].permute(1, 2, 0).numpy()
        gray = pixels.shape[2] != 3
        axis.imshow(pixels[..., 0] if gray else pixels, cmap="gray" if gray else None, vmin=0, vmax=255)
        axis.set_title(f"{true}\n→ {noisy}" if true != noisy else true, fontsize=7, color=_color(true, noisy))
    figure.suptitle(f"{_title(artifact)}; true class → noisy label", fontsize="medium", y=0.94, va="bottom")
    return figure


def _color(true: str, noisy: str) -> tuple[float, float, float] | str:
    return "0.3" if true == noisy else sns.color_palette("colorblind")[3]
