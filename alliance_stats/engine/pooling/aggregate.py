"""Effects of one study as one effect: their generalised least squares mean at an assumed correlation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


def aggregate_groups(y: Floats, v: Floats, group: Ints, rho: float) -> tuple[Floats, Floats]:
    """Pool correlated effects within each group.

    Parameters
    ----------
    y, v : ndarray of shape (k,)
        Effects and sampling variances.
    group : ndarray of int, shape (k,)
        Group of each effect, numbered from 0 without gaps.
    rho : float
        Correlation of all sampling errors of one group, in [0, 1).

    Returns
    -------
    estimate, variance : ndarray of shape (n_groups,)

    Notes
    -----
    The inverse of ``S((1 − ρ)I + ρ11')S`` with ``S = diag(√v)`` is known in closed form (Sherman–Morrison), so that
    nothing is inverted and all groups are done at once.
    """
    root = np.sqrt(v)
    size = np.bincount(group)
    shrink = rho / (1 - rho + size * rho)

    def total(values: Floats) -> Floats:
        summed: Floats = np.bincount(group, values).astype(np.float64)
        return summed

    # centred on the group's mean: with rho near 1 the two parts of the sums all but cancel
    middle = (total(y) / size)[group]
    apart = y - middle
    inverse_roots = total(1 / root)
    precision = (total(1 / v) - shrink * inverse_roots**2) / (1 - rho)
    weighted = (total(apart / v) - shrink * inverse_roots * total(apart / root)) / (1 - rho)
    return total(y) / size + weighted / precision, 1 / precision
