"""A file of corrupted labels, shown: in words, as a transition matrix, and as a grid of corrupted samples."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memstudy.data import RULES
from memstudy.data.artifact import Artifact
from memstudy.data.images import ImageSet
from memstudy.data.transitions import Matrix, entropy
from memstudy.report.color_scales import round_scale, scale_bar
from memstudy.report.heat_maps import LETTER, PERCENT, foot, heat_map, name_columns, name_rows, reach
from memstudy.report.look import USUAL, Look
from memstudy.report.marks import GRAY
from memstudy.report.panels import fitting, text_scale
from memstudy.report.saving import Drawing

ELSEWHERE = "with --figures"
COMMAND = "memstudy data show"
GRID_ROWS, GRID_COLUMNS = 4, 8
LEAST_IMAGE = 0.75  # inches on paper
WRONG = "#A63603"  # dark orange, of the labels of corrupted samples
MOST_NUMBERS = 12  # classes up to which a matrix is legible as numbers


def describe(artifact: Artifact) -> dict[str, str]:
    """All that the file says, as headings and texts in the order of reading."""
    rule = RULES.get(artifact.rule) if RULES.allows(artifact.rule) else None
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


def draw_matrix(artifact: Artifact, folder: Path, stem: str, look: Look = USUAL) -> list[Path]:
    """The realized transition matrix as a heat map; (K, K) in percent as CSV."""
    with look.applied():
        return matrix(artifact, stem).write(folder, look, COMMAND, ELSEWHERE)


def matrix(artifact: Artifact, stem: str) -> Drawing:
    """The same, not yet written."""
    figure, every = _heat_map(artifact)
    named = f" One of every {every} classes is named." if every > 1 else ""
    caption = (
        "Realized transition matrix: of each true class (row) the share with each noisy label (column), %."
        f"{named} {_told(artifact)}"
    )
    return Drawing(f"{stem}-transition", figure, _long(artifact.transition, artifact), caption)


def _heat_map(artifact: Artifact) -> tuple[Figure, int]:
    """The figure, and one of how many classes is named: names must not touch each other."""
    width, scale = plt.rcParams["figure.figsize"][0], text_scale()
    names = [shortened(name, width / 4) for name in artifact.class_names]
    room = reach(names)
    side = min(width - room - 0.3 * scale, 0.5 * scale * len(names))
    every = math.ceil(0.12 * scale * len(names) / side)
    shown = [name if place % every == 0 else "" for place, name in enumerate(names)]
    below = foot(shown, side / len(names)) + 0.25 * scale
    figure, axis = plt.subplots(figsize=(width, side + below), layout="constrained")
    percent = pd.DataFrame(100 * artifact.transition, columns=shown)
    cell = side / len(names) if len(names) <= MOST_NUMBERS else 0
    ticks = round_scale([0, 100])
    unless_zero = [lambda value, form=form: form(value) if value else "" for form in PERCENT]
    heat_map(axis, percent, ticks, cell, unless_zero)
    name_rows(axis, shown)
    name_columns(axis, shown, side / len(names))
    axis.set(xlabel="noisy label", ylabel="true class")
    scale_bar(figure, ticks, "of the true class, %")
    return figure, every


def shortened(name: str, inches: float) -> str:
    """A name that fits a width as the label of a tick, its middle left out if it must be."""
    most = max(5, int(inches / LETTER / text_scale()))
    return name if len(name) <= most else f"{name[: most - 1 - most // 2]}…{name[-(most // 2) :]}"


def _told(artifact: Artifact) -> str:
    asked = "" if math.isnan(artifact.rate_asked) else f" {artifact.rate_asked:g}"
    wrong = f"{100 * artifact.rate_realized:.2f} % of n = {len(artifact.noisy):,} labels are wrong"
    return f"{artifact.dataset}, {artifact.rule}{asked}, seed {artifact.seed}: {wrong}."


def _long(matrix: Matrix, artifact: Artifact) -> pd.DataFrame:
    """Tidy: one row a pair of classes, in percent; those of one noisy label are together. Names may be equal."""
    names = np.array(artifact.class_names)
    true, noisy = np.tile(names, len(names)), np.repeat(names, len(names))
    return pd.DataFrame({"true": true, "noisy": noisy, "percent": 100 * matrix.T.ravel()})


def draw_samples(artifact: Artifact, source: ImageSet, folder: Path, stem: str, look: Look = USUAL) -> list[Path]:
    """A grid of corrupted samples, spread over the set, each under its true and its noisy label.

    Where no label is corrupted, samples are shown as they are. A narrow figure shows fewer of those in the CSV.
    """
    with look.applied():
        return samples(artifact, source, stem).write(folder, look, COMMAND, ELSEWHERE)


def samples(artifact: Artifact, source: ImageSet, stem: str) -> Drawing:
    """The same, not yet written."""
    wrong = np.flatnonzero(artifact.mask)
    pool = wrong if len(wrong) else np.arange(len(artifact.mask))
    # By class, so that the grid shows all of them; evenly spread, so that the same file gives the same grid.
    pool = pool[np.argsort(artifact.clean[pool], kind="stable")]
    chosen = pool[_spread(len(pool), GRID_ROWS * GRID_COLUMNS)]
    names = np.array(artifact.class_names)
    data = pd.DataFrame(
        {
            "position": artifact.positions[chosen],
            "true": names[artifact.clean[chosen]],
            "noisy": names[artifact.noisy[chosen]],
        }
    )
    what = "Corrupted training samples: true class → noisy label." if len(wrong) else "Training samples."
    return Drawing(f"{stem}-samples", _grid(source, data), data, f"{what} {_told(artifact)}")


def _spread(count: int, most: int) -> np.ndarray:
    """Indices of at most so many of `count` things, evenly spread."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def _grid(source: ImageSet, data: pd.DataFrame) -> Figure:
    width, scale = plt.rcParams["figure.figsize"][0], text_scale()
    columns = fitting(GRID_COLUMNS, LEAST_IMAGE)
    shown = data.iloc[_spread(len(data), GRID_ROWS * columns)]
    rows, side = -(-len(shown) // columns), width / columns
    size = (width, rows * (side - 0.05 + 0.26 * scale))
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    small = plt.rcParams["xtick.labelsize"]
    for axis, (position, true, noisy) in zip(axes.flat, shown.itertuples(index=False), strict=False):
        pixels = source.train_images[int(position)].permute(1, 2, 0).numpy()
        gray = pixels.shape[2] != 3
        axis.imshow(pixels[..., 0] if gray else pixels, cmap="gray" if gray else None, vmin=0, vmax=255)
        given, wrong = shortened(true, side), f"→ {shortened(noisy, side - 3 * LETTER * scale)}"
        title = f"{given}\n{wrong}" if true != noisy else given
        axis.set_title(title, fontsize=small, color=GRAY if true == noisy else WRONG, pad=2)
    return figure
