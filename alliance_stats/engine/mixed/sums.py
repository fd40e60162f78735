"""Sums by index: the one primitive that statistics and elimination share."""

from __future__ import annotations

import numpy as np

from alliance_stats.engine.mixed.design import Floats, Ints


def sum_by(index: Ints, values: Floats, size: int) -> Floats:
    """Sum values that share an index.

    Parameters
    ----------
    index : ndarray of int, shape (n,)
    values : ndarray of shape (n,)
    size : int
        Length of the result.
    """
    summed: Floats = np.bincount(index, values, minlength=size).astype(float, copy=False)
    return summed


def sum_rows_by(index: Ints, rows: Floats, size: int) -> Floats:
    """Sum each row of ``rows`` (r, n) by index: (r, size)."""
    summed = np.empty((len(rows), size))
    for at, row in enumerate(rows):
        summed[at] = np.bincount(index, row, minlength=size)
    return summed
