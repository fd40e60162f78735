"""Reference distributions of likelihood-ratio tests in which a variance may lie on the boundary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alliance_stats.models.distributions import chi2_p_value


def statistic_of(smaller: float, larger: float) -> float:
    """Difference of the deviances; zero where it is rounding."""
    difference = smaller - larger
    return difference if difference > 1e-7 + 1e-10 * abs(smaller) else 0.0


def reference_of(df: int, n_bounded: int) -> tuple[Sequence[int], str]:
    """Degrees of freedom of the parts of the (even) mixture, and its name.

    Parameters
    ----------
    df : int
        Parameters that the hypothesis takes out of the model.
    n_bounded : int
        How many of them it sets to the end of their range.
    """
    if n_bounded == 1:
        return (df - 1, df), f"½χ²({df - 1})+½χ²({df})"
    return (df,), f"χ²({df})" + (", conservative" if n_bounded > 1 else "")


def mixture_p_value(statistic: float, mixture: Sequence[int]) -> float:
    """P(statistic or more) under an even mixture of χ² distributions."""
    return float(np.mean([_upper_tail(statistic, k) for k in mixture]))


def _upper_tail(statistic: float, df: int) -> float:
    """P(χ² ≥ statistic); χ²(0) is a point mass at zero."""
    if df == 0:
        return float(statistic <= 0)
    return chi2_p_value(statistic, df)
