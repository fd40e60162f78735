"""From answers to a score: sums, means, prorated sums; nothing from too few answers."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
How = Literal["sum", "mean", "prorated"]


def scale_scores(answers: Floats, how: How, min_items: int, multiply: float = 1.0) -> tuple[Floats, Ints]:
    """Score the items of one scale.

    Parameters
    ----------
    answers : ndarray of shape (n_rows, n_items)
        Answers to the items of the scale, reversed where the key says so; nan where there is none.
    how : {"sum", "mean", "prorated"}
        The sum of the items, which needs all of them; the mean of the answered items; or that mean times the number
        of items, which is the sum with every missing item at the mean of the others.
    min_items : int
        Rows with fewer answers get no score.
    multiply : float
        What the score is multiplied by.

    Returns
    -------
    scores : ndarray of shape (n_rows,)
        nan where fewer than ``min_items`` (for a sum: not all) were answered.
    answered : ndarray of int, shape (n_rows,)
        How many items were answered.
    """
    there = ~np.isnan(answers)
    answered, n_items = there.sum(axis=1), answers.shape[1]
    totals = np.where(there, answers, 0.0).sum(axis=1)
    enough = answered >= max(n_items if how == "sum" else min_items, 1)
    scores = np.full(len(answers), np.nan)
    # the sum of a complete scale is not divided and multiplied again, so that it stays exact
    share = n_items / answered[enough]
    whole = totals[enough] * np.where(share == 1, 1.0, share)
    scores[enough] = multiply * (whole / n_items if how == "mean" else whole)
    return scores, answered
