"""Degrees of freedom by containment: as many as the groups that tell a coefficient, less the coefficients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alliance_stats.errors import DesignError, count
from alliance_stats.meta.levels import Ints, Level
from alliance_stats.meta.tidy import Floats


def containment_df(x: Floats, names: Sequence[str], levels: Sequence[Level]) -> Floats:
    """Degrees of freedom of each coefficient.

    What does not vary inside the groups of a level is known from that many groups at most; the fewest count.

    Parameters
    ----------
    x : ndarray of shape (k, p)
        Columns of the coefficients.
    names : sequence of str
    levels : sequence of Level
        Levels that leave rows out (one subgroup's) are not counted.

    Returns
    -------
    ndarray of shape (p,)

    Raises
    ------
    DesignError
        If fewer than one is left.

    References
    ----------
    Schluchter & Elashoff (1990), Journal of Statistical Computation and Simulation, 37, 69-87.
    """
    k, p = x.shape
    known = np.full(p, k)
    for level in levels:
        if (level.codes >= 0).all():
            known = np.where(_constant_inside(x, level.codes), np.minimum(known, level.n), known)
    df = (known - p).astype(np.float64)
    if (df < 1).any():
        at = int(np.argmin(df))
        raise DesignError(
            f"{names[at]!r} is told by {known[at]} groups, and the model has {count(p, 'coefficient')}: "
            f"{int(df[at])} degrees of freedom are left by containment. Use test='z' or robust errors, or find more "
            "studies."
        )
    return df


def _constant_inside(x: Floats, codes: Ints) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Whether each column is the same for all rows of each group."""
    first = np.unique(codes, return_index=True)[1]
    return np.asarray((x == x[first][codes]).all(axis=0))
