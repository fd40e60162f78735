"""Marginal means and slopes of a mixed model, and their differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.models.differences import Adjust, Differences, adjusted, check_options, difference_rows
from alliance_stats.models.estimates import estimates_table
from alliance_stats.models.mean_grid import Grid, Weights, make_grid

if TYPE_CHECKING:
    from alliance_stats.models.mixed_result import MixedResult

#: What a single mean over everything is called.
_MEAN = "mean"


def marginal_means(
    fit: MixedResult,
    variables: str | Sequence[str],
    at: Mapping[str, object] | None,
    weights: Weights,
    differences: Differences | None,
    adjust: Adjust,
    level: float,
) -> pd.DataFrame:
    """Estimate marginal means; see ``MixedResult.means``."""
    check_options(differences, adjust)
    grid = make_grid(fit, _names(variables), at, weights)
    return _answer(fit, grid, differences, adjust, level)


def marginal_slopes(
    fit: MixedResult,
    variable: str,
    by: str | Sequence[str],
    at: Mapping[str, object] | None,
    weights: Weights,
    differences: Differences | None,
    adjust: Adjust,
    level: float,
) -> pd.DataFrame:
    """Estimate slopes; see ``MixedResult.slopes``."""
    check_options(differences, adjust)
    grid = make_grid(fit, _names(by), at, weights, over=variable)
    return _answer(fit, grid, differences, adjust, level, whole=variable)


def _names(variables: str | Sequence[str]) -> list[str]:
    return [variables] if isinstance(variables, str) else list(variables)


def _answer(
    fit: MixedResult,
    grid: Grid,
    differences: Differences | None,
    adjust: Adjust,
    level: float,
    whole: str = _MEAN,
) -> pd.DataFrame:
    """Grid columns and estimates: of the points themselves, or of their differences."""
    labels = grid.labels() if len(grid.points.columns) else [whole]
    if differences is None:
        table = _combine(fit, grid.rows, labels, level)
        offset = fit.arrays.residuals.offset
        if offset is not None and whole == _MEAN:
            table = _shifted(table, float(offset.mean()), level)
        return fit.captioned(_beside(grid.points, table))
    # what is compared is called by what differs within one set of conditions
    varying = Grid(grid.points.drop(columns=list(grid.given)), grid.rows, ()).labels()
    parts = []
    for members in grid.conditions():
        rows, names = difference_rows(grid.rows, varying, members, differences)
        if not names:
            raise DataError(
                "There is one mean, and nothing to compare it with. Leave out differences=, or name variables."
            )
        table = adjusted(_combine(fit, rows, names, level), adjust, level, n_means=members.size)
        conditions = grid.points.loc[np.repeat(members[:1], len(names)), list(grid.given)]
        parts.append(_beside(conditions, table))
    answer = pd.concat(parts, ignore_index=True)
    answer.attrs["adjust"] = adjust
    return fit.captioned(answer)


def _combine(fit: MixedResult, rows: np.ndarray, labels: list[str], level: float) -> pd.DataFrame:
    return fit.combine(pd.DataFrame(rows, columns=list(fit.arrays.fixed_names)), labels, level)


def _shifted(table: pd.DataFrame, offset: float, level: float) -> pd.DataFrame:
    """Means with the offset at its mean, as other numeric predictors."""
    error, df = table["std_error"].to_numpy(), table["df"].to_numpy()
    return estimates_table(list(table["term"]), table["estimate"].to_numpy() + offset, error, df, level)


def _beside(points: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([points.reset_index(drop=True), table], axis=1)
