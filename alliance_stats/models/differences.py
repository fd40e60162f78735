"""Differences between estimates, with p values and intervals that allow for how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.models.distributions import t_quantile

Floats = NDArray[np.float64]
Differences = Literal["pairwise", "reference", "consecutive"]
Adjust = Literal["none", "holm", "bonferroni", "sidak", "tukey"]


def check_options(differences: str | None, adjust: str) -> None:
    """Refuse kinds and adjustments that there are not.

    Raises
    ------
    DataError
    """
    if differences is not None and differences not in get_args(Differences):
        raise DataError(f"differences has no value {differences!r}. {did_you_mean(differences, get_args(Differences))}")
    if adjust not in get_args(Adjust):
        raise DataError(f"adjust has no value {adjust!r}. {did_you_mean(str(adjust), get_args(Adjust))}")
    if adjust != "none" and differences is None:
        raise DataError(f"adjust={adjust!r} is for differences; add differences='pairwise', or another kind.")
    if adjust == "tukey" and differences != "pairwise":
        raise DataError("adjust='tukey' is for all pairs: use differences='pairwise', or another adjustment.")


def pairs(n: int, differences: Differences) -> list[tuple[int, int]]:
    """Positions (later, earlier) of the points that are compared; the difference is later − earlier.

    Parameters
    ----------
    n : int
        Number of points.
    differences : {"pairwise", "reference", "consecutive"}
        All pairs, all with the first, or each with the one before it.
    """
    if differences == "reference":
        return [(k, 0) for k in range(1, n)]
    if differences == "consecutive":
        return [(k, k - 1) for k in range(1, n)]
    return [(late, early) for early in range(n) for late in range(early + 1, n)]


def pair_label(late: str, early: str) -> str:
    """``"late - early"``, with parentheses where a point has several parts."""
    return " - ".join(f"({name})" if ", " in name else name for name in (late, early))


def adjusted(table: pd.DataFrame, adjust: Adjust, level: float, n_means: int) -> pd.DataFrame:
    """Adjust the p values and intervals of one family of differences.

    Parameters
    ----------
    table : DataFrame
        ``std_error, df, statistic, p_value`` and intervals of the family.
    adjust : {"none", "holm", "bonferroni", "sidak", "tukey"}
        Holm's method has no intervals of its own; they are then Bonferroni's.
    level : float
        That all intervals hold together.
    n_means : int
        How many means are compared (Tukey).

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics, 6, 65-70. Šidák (1967), Journal of the American Statistical
    Association, 62, 626-633. Tukey (1953), The problem of multiple comparisons; Kramer (1956), Biometrics, 12, 307-310.
    """
    n = len(table)
    if adjust == "none" or n == 0:
        return table
    p, df = table["p_value"].to_numpy(), table["df"].to_numpy()
    if adjust == "tukey":
        p, multiplier = _tukey(table["statistic"].to_numpy(), df, n_means, level)
    else:
        p = {"holm": _holm, "bonferroni": _bonferroni, "sidak": _sidak}[adjust](p)
        each = level ** (1 / n) if adjust == "sidak" else 1 - (1 - level) / n
        multiplier = t_quantile(0.5 + each / 2, df)
    half = np.where(df < 1, np.nan, multiplier * table["std_error"].to_numpy())  # as in estimates_table
    estimate = table["estimate"].to_numpy()
    return table.assign(p_value=p, ci_low=estimate - half, ci_high=estimate + half)


def _holm(p: Floats) -> Floats:
    order = np.argsort(p)
    stepped = np.maximum.accumulate(np.minimum(1.0, p[order] * np.arange(p.size, 0, -1)))
    result = np.empty_like(p)
    result[order] = stepped
    return result


def _bonferroni(p: Floats) -> Floats:
    return np.minimum(1.0, p * p.size)


def _sidak(p: Floats) -> Floats:
    return np.asarray(-np.expm1(p.size * np.log1p(-np.minimum(p, 1 - 1e-16))))


def _tukey(statistic: Floats, df: Floats, n_means: int, level: float) -> tuple[Floats, Floats]:
    """Adjusted p values, and multipliers of the standard errors; each distinct df once, for the quantile takes long."""
    from scipy.stats import studentized_range

    p = studentized_range.sf(np.sqrt(2) * np.abs(statistic), n_means, df)
    distinct, place = np.unique(df, return_inverse=True)
    quantile = np.array([studentized_range.ppf(level, n_means, own) for own in distinct]) / np.sqrt(2)
    return np.asarray(p, float), quantile[place.ravel()]


def difference_rows(
    rows: Floats, labels: Sequence[str], members: NDArray[np.int64], differences: Differences
) -> tuple[Floats, list[str]]:
    """Weights and labels of the differences between some points.

    Parameters
    ----------
    rows : ndarray of shape (n_points, p)
    labels : sequence of str
    members : ndarray of int
        Positions of the points that are compared with one another.
    differences : {"pairwise", "reference", "consecutive"}
    """
    chosen = [(int(members[a]), int(members[b])) for a, b in pairs(members.size, differences)]
    weights = np.array([rows[a] - rows[b] for a, b in chosen]).reshape(len(chosen), rows.shape[1])
    return weights, [pair_label(labels[a], labels[b]) for a, b in chosen]
