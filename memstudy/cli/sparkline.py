"""A curve in one line of a terminal."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = ".:-=+*#@"
"""The same eight heights where there is no Unicode."""
GAP = " "


def sparkline(values: ArrayLike, width: int, blocks: str = BLOCKS) -> str:
    """A character a value, in their order, from the least to the greatest; a gap where one is not finite.

    Where there are more values, (n,), than `width`, each character is the mean of a stretch of them. If all are
    equal the line is flat, at half height.
    """
    numbers = np.asarray(values, dtype=float)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    if not len(numbers):
        return ""
    means = _means(numbers / max(1.0, np.nanmax(np.abs(numbers), initial=0.0)), width)  # the largest have a sum
    least, greatest = np.nanmin(means, initial=np.inf), np.nanmax(means, initial=-np.inf)
    if not least < greatest:
        heights = np.full(len(means), (len(blocks) - 1) / 2)
    else:
        heights = (means - least) / (greatest - least) * (len(blocks) - 1)
    return "".join(
        GAP if np.isnan(mean) else blocks[round(height)] for mean, height in zip(means, heights, strict=True)
    )


def _means(numbers: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Of `width` stretches as equal as can be, or the numbers themselves if there are no more; NaN if of none."""
    parts = np.array_split(numbers, min(width, len(numbers)))
    known = [part[~np.isnan(part)] for part in parts]
    # rounding must not put the mean of equal values beside them
    return np.array([np.clip(part.mean(), part.min(), part.max()) if len(part) else np.nan for part in known])
