"""Outcomes and predictors that the data cannot tell: refused with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np
import pandas as pd

from alliance_stats.design.formula import Formula
from alliance_stats.errors import DesignError, count
from alliance_stats.names import INTERCEPT

#: Share of a column's variance that must be its own, beside the columns before it.
_COLLINEAR = 1e-9
#: Beyond this size products of predictors leave the range of numbers.
_LARGEST = 1e100


def refuse_constant_outcome(formula: Formula, value: float, n_rows: int) -> NoReturn:
    """Say that the outcome does not vary."""
    raise DesignError(f"The outcome {formula.outcome!r} is {value:g} in all {n_rows} rows: nothing to explain.")


def check_categories(predictors: Mapping[str, pd.Series]) -> None:
    """Refuse text that is the same in every row, or different in most (numbers or dates that were read as text)."""
    for name, column in predictors.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            check_category_counts(name, column.cat.categories, len(column))


def check_category_counts(name: str, categories: pd.Index, n_rows: int) -> None:
    """Refuse a predictor of one category, or of almost as many as rows.

    Parameters
    ----------
    name : str
    categories : Index
        Those that occur.
    n_rows : int
    """
    n_values = len(categories)
    if n_values == 1:
        raise DesignError(f"1 predictor is constant: {name!r} (always {categories[0]!r}). Leave it out.")
    if n_values > 2 and 2 * n_values > n_rows:
        raise DesignError(
            f"{name!r} is text with {n_values} different values in {n_rows} rows. If they are numbers, "
            "convert them; as categories they leave too little to estimate."
        )


def check_predictors(columns: Mapping[str, np.ndarray]) -> None:
    """Name every predictor that is constant, or a combination of those before it."""
    if not columns:
        raise DesignError("The model has no fixed effects at all; add 1 for an intercept.")
    ranges = {name: (float(values.min()), float(values.max())) for name, values in columns.items()}
    check_constant(ranges)
    check_size(ranges)
    names = [name for name in columns if name != INTERCEPT]
    if len(names) > 1:
        rows = np.array([columns[name] for name in names])
        if INTERCEPT in columns:
            rows -= rows.mean(axis=1, keepdims=True)
        rows /= np.abs(rows).max(axis=1, keepdims=True)  # products of large units would leave the range of numbers
        check_collinear(names, rows @ rows.T)


def check_constant(ranges: Mapping[str, tuple[float, float]]) -> None:
    """Refuse predictors that do not vary beside an intercept.

    Parameters
    ----------
    ranges : mapping of str to (float, float)
        Least and largest value of each column.
    """
    constant = {name: low for name, (low, high) in ranges.items() if name != INTERCEPT and low == high}
    if constant and (INTERCEPT in ranges or not all(constant.values())):
        values = ", ".join(f"{name!r} (always {value:g})" for name, value in constant.items())
        raise DesignError(f"{count(len(constant), 'predictor is', 'predictors are')} constant: {values}. Leave it out.")


def check_size(ranges: Mapping[str, tuple[float, float]]) -> None:
    """Refuse predictors whose squares leave the range of numbers.

    Parameters
    ----------
    ranges : mapping of str to (float, float)
        Least and largest value of each column.
    """
    sizes = {name: low if -low > high else high for name, (low, high) in ranges.items()}
    far = {name: size for name, size in sizes.items() if not 1 / _LARGEST <= abs(size) <= _LARGEST}
    if far:
        values = ", ".join(f"{name!r} ({value:g})" for name, value in far.items())
        raise DesignError(
            f"{count(len(far), 'predictor has', 'predictors have')} a largest value beyond ±{_LARGEST:g} or below "
            f"±{1 / _LARGEST:g}: {values}. Correct the values, or take another unit."
        )


def check_collinear(names: Sequence[str], products: np.ndarray) -> None:
    """Refuse predictors that follow from those before them.

    Parameters
    ----------
    names : sequence of str
    products : ndarray of shape (n_names, n_names)
        Sums of products of the columns, which were centred if the model has an intercept.
    """
    size = np.sqrt(products.diagonal())
    gram = products / (size[:, None] * size)
    for k in range(1, len(names)):
        weights = np.linalg.lstsq(gram[:k, :k], gram[:k, k], rcond=1e-12)[0]
        if 1.0 - gram[:k, k] @ weights < _COLLINEAR:
            partners = [names[j] for j in range(k) if abs(weights[j]) > 1e-6]
            raise DesignError(
                f"{names[k]!r} follows exactly from {', '.join(map(repr, partners))}, so their effects cannot be told "
                "apart. Leave one of them out."
            )
