"""Predictors whose effects the data cannot tell: refused with the reason."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from alliance_stats.errors import DesignError, count
from alliance_stats.names import INTERCEPT

#: Share of a column's variance that must be its own, beside the columns before it.
_COLLINEAR = 1e-9


def check_categories(predictors: Mapping[str, pd.Series]) -> None:
    """Refuse text that is the same in every row, or different in most (numbers or dates that were read as text).

    Raises
    ------
    DesignError
    """
    for name, column in predictors.items():
        if not isinstance(column.dtype, pd.CategoricalDtype):
            continue
        n_values = len(column.cat.categories)
        if n_values == 1:
            raise DesignError(f"1 predictor is constant: {name!r} (always {column.iloc[0]!r}). Leave it out.")
        if n_values > 2 and 2 * n_values > len(column):
            raise DesignError(
                f"{name!r} is text with {n_values} different values in {len(column)} rows. If they are numbers, "
                "convert them; as categories they leave too little to estimate."
            )


def check_predictors(columns: Mapping[str, np.ndarray]) -> None:
    """Name every predictor that is constant, or a combination of those before it.

    Raises
    ------
    DesignError
    """
    if not columns:
        raise DesignError("The model has no fixed effects at all; add 1 for an intercept.")
    constant = [name for name, values in columns.items() if name != INTERCEPT and np.ptp(values) == 0]
    if constant and (INTERCEPT in columns or any(columns[name][0] == 0 for name in constant)):
        values = ", ".join(f"{name!r} (always {columns[name][0]:g})" for name in constant)
        raise DesignError(f"{count(len(constant), 'predictor is', 'predictors are')} constant: {values}. Leave it out.")
    names = [name for name in columns if name != INTERCEPT]
    if len(names) > 1:
        _check_collinear(names, _correlations([columns[name] for name in names], centred=INTERCEPT in columns))


def _correlations(columns: list[np.ndarray], centred: bool) -> np.ndarray:
    """Mean products of the columns in units of their root mean squares, around their means if ``centred``."""
    rows = np.array(columns)
    if centred:
        rows -= rows.mean(axis=1, keepdims=True)
    gram = rows @ rows.T
    scale = np.sqrt(gram.diagonal())
    return gram / (scale[:, None] * scale)


def _check_collinear(names: list[str], gram: np.ndarray) -> None:
    for k in range(1, len(names)):
        weights = np.linalg.lstsq(gram[:k, :k], gram[:k, k], rcond=1e-12)[0]
        if 1.0 - gram[:k, k] @ weights < _COLLINEAR:
            partners = [names[j] for j in range(k) if abs(weights[j]) > 1e-6]
            raise DesignError(
                f"{names[k]!r} follows exactly from {', '.join(map(repr, partners))}, so their effects cannot be told "
                "apart. Leave one of them out."
            )
