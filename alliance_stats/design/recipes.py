"""How a piece of a formula was computed in the fit, kept so that new rows are computed in the same way.

``poly``, ``bs``, ``scale`` and categories take something from the data that the model was fitted to: a mean, knots, the
list of categories. Computed afresh from other rows they would be other predictors under the same name.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.design.functions import formula_functions
from alliance_stats.design.safe_names import user_names
from alliance_stats.design.tokens import tokenize
from alliance_stats.errors import AllianceStatsError, DataError, count, did_you_mean

if TYPE_CHECKING:
    from formulaic import ModelSpec


@dataclass(frozen=True)
class Recipe:
    """One expression of a formula, with what it took from the data of the fit.

    Parameters
    ----------
    expression : str
        As the formula has it.
    names : mapping of str to str
        Safe name → column (see :mod:`alliance_stats.design.safe_names`).
    categories : mapping of str to CategoricalDtype
        Categories of those columns that are no numbers.
    spec : ModelSpec or None
        State of the library that evaluates formulas; None for a sum of plain columns.
    intercept : bool
        Whether that sum has an intercept.
    texts : mapping of str to str
        Safe name → text between quotes.
    """

    expression: str
    names: Mapping[str, str]
    categories: Mapping[str, pd.CategoricalDtype]
    spec: ModelSpec | None = None
    intercept: bool = True
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def coded_numbers(self) -> frozenset[str]:
        """Columns that stand inside ``C(…)``: categories, also where they hold numbers."""
        found, depth = set(), 0
        for before, token in pairwise(tokenize(self.expression)):
            if before.text == "C" and token.text == "(" and not depth:
                depth = 1
            elif depth:
                depth += (token.text == "(") - (token.text == ")")
                found |= {token.text} & set(self.names.values())
        return frozenset(found)

    @property
    def n_columns(self) -> int:
        """Number of columns that the expression gives."""
        return len(self.names) + self.intercept if self.spec is None else len(self.spec.column_names)

    def evaluate(self, frame: pd.DataFrame) -> np.ndarray:
        """Compute the expression for other rows.

        Parameters
        ----------
        frame : DataFrame
            Columns as :func:`as_fitted` returns them.

        Returns
        -------
        ndarray of shape (n_rows, n_columns)
            Columns in the order of the fit.

        Raises
        ------
        DataError
            If a function cannot be applied to a value, a value of ``C(…)`` was not in the fit, or the result is not
            finite.
        """
        renamed = frame[list(self.names.values())].set_axis(list(self.names), axis=1)
        if self.spec is None:
            ones = [np.ones((len(frame), 1))] if self.intercept else []
            return np.hstack([*ones, renamed.to_numpy(float)])
        values = self._apply(renamed)
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            raise DataError(
                f"{self.expression!r} is not finite in {bad.sum()} of {bad.size} new rows (first at row "
                f"{bad.argmax()}). Check the values that a function is applied to."
            )
        return values

    def _apply(self, renamed: pd.DataFrame) -> np.ndarray:
        from formulaic.errors import DataMismatchWarning

        assert self.spec is not None
        try:
            with warnings.catch_warnings():
                # else a category that the fit did not have would count as the reference category
                warnings.simplefilter("error", DataMismatchWarning)
                context = formula_functions(new_rows=True) | dict(self.texts)
                matrix = self.spec.get_model_matrix(renamed, context=context)
        except Exception as error:
            cause = error.__cause__ or error
            if isinstance(cause, AllianceStatsError):
                raise cause from None
            if isinstance(cause, DataMismatchWarning):
                raise DataError(
                    f"{self.expression!r} meets a category in the new rows that the fit did not have: "
                    f"{_named_in(str(cause))}. Leave these rows out."
                ) from None
            lines = user_names(str(cause), self.names, self.texts).splitlines()
            reason = lines[0] if lines else type(error).__name__
            raise DataError(
                f"{self.expression!r} cannot be computed for the new rows as it was in the fit: {reason}"
            ) from error
        return np.asarray(matrix, dtype=float)


def _named_in(message: str) -> str:
    """Categories that the library's warning lists between braces, numbers as plain numbers."""
    listed = re.search(r"\{(.*)\}", message)
    return re.sub(r"np\.\w+\(([^)]*)\)", r"\1", listed[1]) if listed else message


def as_fitted(frame: pd.DataFrame, categories: Mapping[str, pd.CategoricalDtype | None]) -> pd.DataFrame:
    """Bring the predictors of new rows to the types that they had in the fit.

    Parameters
    ----------
    frame : DataFrame
        Holds the columns, once each.
    categories : mapping of str to (CategoricalDtype or None)
        For each predictor its categories in the fit; None for a number.

    Raises
    ------
    DataError
        If values are missing or infinite, a category was not in the fit, or a number is none.
    """
    _check_complete(frame, list(categories))
    columns = {
        name: _numbers(frame[name]) if dtype is None else _categories(frame[name], dtype)
        for name, dtype in categories.items()
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))


def _check_complete(frame: pd.DataFrame, names: list[str]) -> None:
    missing = frame[names].isna().to_numpy() if names else np.zeros((len(frame), 0), dtype=bool)
    incomplete = missing.any(axis=1)
    if not incomplete.any():
        return
    counts = ", ".join(f"{name} ({own})" for name, own in zip(names, missing.sum(axis=0), strict=True) if own)
    raise DataError(
        f"{incomplete.sum()} of {count(len(frame), 'new row')} cannot be predicted because values are missing "
        f"(first at row {incomplete.argmax()}): {counts}. Leave these rows out, or fill the values in."
    )


def _numbers(column: pd.Series) -> np.ndarray:
    try:
        if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype.kind in "mM":
            raise TypeError
        values = column.to_numpy(float)
    except (TypeError, ValueError):
        raise DataError(
            f"Column {column.name!r} holds numbers in the fit, but {column.dtype} values in the new rows (first: "
            f"{column.iloc[0]!r}). Convert it to numbers."
        ) from None
    infinite = np.isinf(values)
    if infinite.any():
        raise DataError(
            f"Column {column.name!r} holds {count(int(infinite.sum()), 'infinite value')} in the new rows (first at "
            f"row {infinite.argmax()}). Correct them, or leave these rows out."
        )
    return values


def _categories(column: pd.Series, dtype: pd.CategoricalDtype) -> pd.Categorical:
    known = dtype.categories
    values = column.astype(str if pd.api.types.is_string_dtype(known.dtype) else object)
    unknown = ~values.isin(known).to_numpy()
    if unknown.any():
        first = values.iloc[int(unknown.argmax())]
        raise DataError(
            f"{unknown.sum()} of {count(len(column), 'new row')} have a category of {column.name!r} that the fit did "
            f"not have (first at row {unknown.argmax()}: {first!r}). {did_you_mean(str(first), map(str, known))}"
        )
    return pd.Categorical(values, dtype=dtype)
