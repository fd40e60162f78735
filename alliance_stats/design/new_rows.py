"""New rows to the arrays that a fitted mixed model predicts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.data.session_table import require_columns
from alliance_stats.design.formula import Formula
from alliance_stats.design.levels import id_texts
from alliance_stats.design.matrices import ModelArrays
from alliance_stats.design.recipes import as_fitted
from alliance_stats.errors import DataError


@dataclass(frozen=True)
class NewRows:
    """Arrays of new rows, in the order of the fit.

    Parameters
    ----------
    fixed : ndarray of shape (n_rows, p)
        Fixed-effect columns.
    random : tuple of ndarray of shape (n_rows, q)
        For each grouping, the columns whose effects vary over its levels.
    codes : tuple of ndarray of int, shape (n_rows,)
        For each grouping, the row's level in the fit; −1 where the fit did not have it, or nobody asked.
    """

    fixed: np.ndarray
    random: tuple[np.ndarray, ...]
    codes: tuple[np.ndarray, ...]


def new_rows(formula: Formula, arrays: ModelArrays, frame: pd.DataFrame, groups: Sequence[str]) -> NewRows:
    """Compute a model's arrays for new rows, with the state of the fit.

    Parameters
    ----------
    formula : Formula
    arrays : ModelArrays
        Those of the fit.
    frame : DataFrame
        Holds the predictors, and the columns of the ``groups``; the outcome is not needed.
    groups : sequence of str
        Groupings whose levels are looked up. A missing id is a level that the fit did not have.

    Raises
    ------
    ColumnError, DataError
        If a column is not there, a predictor is missing or infinite, or a category was not in the fit.
    """
    parts = _groups_of(formula)
    by_column: dict[str, pd.CategoricalDtype | None] = {
        name: recipe.categories.get(name) for recipe in arrays.recipes.values() for name in recipe.names.values()
    }
    needed = list(dict.fromkeys([*by_column, *(name for group in groups for name in parts[group])]))
    require_columns(frame, *needed)
    _check_once(frame, needed)
    predictors = as_fitted(frame, by_column)
    computed = {expression: recipe.evaluate(predictors) for expression, recipe in arrays.recipes.items()}
    none = np.zeros((len(frame), 0))
    random = tuple(
        np.hstack([none, *(computed[term.effects] for term in formula.random if term.group_name == name)])
        for name in arrays.group_names
    )
    unknown = np.full(len(frame), -1)
    codes = tuple(
        _codes(frame, parts[name], levels) if name in groups else unknown
        for name, levels in zip(arrays.group_names, arrays.levels, strict=True)
    )
    return NewRows(computed[formula.fixed], random, codes)


def fixed_rows(formula: Formula, arrays: ModelArrays, frame: pd.DataFrame) -> np.ndarray:
    """Compute the fixed-effect columns alone for new rows, (n_rows, p), from the predictors of the fixed part.

    Raises
    ------
    DataError
        As :func:`new_rows`.
    """
    recipe = arrays.recipes[formula.fixed]
    by_column = {name: recipe.categories.get(name) for name in recipe.names.values()}
    return recipe.evaluate(as_fitted(frame, by_column))


def _groups_of(formula: Formula) -> dict[str, tuple[str, ...]]:
    """Columns of each grouping."""
    return {term.group_name: term.group for term in formula.random}


def _check_once(frame: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        n_columns = int((frame.columns == name).sum())
        if n_columns > 1:
            raise DataError(
                f"{n_columns} columns of the new rows have the name {name!r}, so it is not clear which is meant. "
                "Rename them."
            )


def _codes(frame: pd.DataFrame, columns: tuple[str, ...], levels: pd.Index) -> np.ndarray:
    """Level of each row in the fit, −1 where the fit did not have it."""
    if not levels.is_unique:
        raise DataError(
            f"{levels.duplicated().sum()} levels of {':'.join(columns)} share their label with another one, because "
            "ids hold a colon. Rename these ids."
        )
    label = _texts(frame[columns[0]])
    for name in columns[1:]:
        label = label + ":" + _texts(frame[name])
    missing = np.logical_or.reduce([frame[name].isna().to_numpy() for name in columns])
    codes = levels.get_indexer(pd.Index(label))
    return np.where(missing, -1, codes).astype(np.int64)


def _texts(column: pd.Series) -> pd.Series:
    """Ids as text, as in the fit."""
    return pd.Series(id_texts(column), dtype=object)
