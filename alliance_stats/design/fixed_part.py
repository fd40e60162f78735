"""The fixed part of a formula alone: columns of a regression, and how to compute them for new rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.design.formula import Formula, parse_formula
from alliance_stats.design.matrices import as_predictor, expand
from alliance_stats.design.predictor_checks import check_categories, check_predictors
from alliance_stats.design.recipes import Recipe, as_fitted
from alliance_stats.errors import ColumnError, DesignError, FormulaError, count
from alliance_stats.names import INTERCEPT

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FixedPart:
    """Columns of a regression.

    Parameters
    ----------
    names : tuple of str
        Terms, in order; the intercept is ``(Intercept)``.
    matrix : ndarray of shape (n_rows, n_terms)
    recipe : Recipe
        How the columns were computed.
    variables : tuple of str
        Columns of the frame that the terms are made of.
    """

    names: tuple[str, ...]
    matrix: Floats
    recipe: Recipe
    variables: tuple[str, ...]

    def new_rows(self, frame: pd.DataFrame) -> Floats:
        """Compute the columns for other rows, with the state of the fit.

        Raises
        ------
        ColumnError
            If a column of the formula is not there.
        DataError
            If a value is missing, or a category was not in the fit.
        """
        lacking = [name for name in self.recipe.names.values() if name not in frame.columns]
        if lacking:
            raise ColumnError(
                f"The new rows lack {count(len(lacking), 'column')} of the formula: {', '.join(map(repr, lacking))}. "
                "Add them, with the values to predict at."
            )
        by_column = {name: self.recipe.categories.get(name) for name in self.recipe.names.values()}
        return self.recipe.evaluate(as_fitted(frame, by_column))


def fixed_part(formula: Formula, frame: pd.DataFrame) -> FixedPart:
    """Evaluate the right side of a formula that has no bar terms.

    Parameters
    ----------
    formula : Formula
    frame : DataFrame
        Complete rows.

    Raises
    ------
    FormulaError
        If there is a bar term.
    DesignError
        If a predictor is constant or follows from others, or there are not more rows than terms.
    """
    if formula.random:
        raise FormulaError(
            f"{formula.text!r} has {count(len(formula.random), 'bar term')}; a meta-regression has none. Give the "
            "levels to multilevel(random=…)."
        )
    variables = tuple(name for name in formula.predictors if name not in (formula.outcome.strip("`"),))
    predictors = {name: as_predictor(frame[name]) for name in variables}
    check_categories(predictors)
    outcome = frame[formula.outcome.strip("`")] if formula.outcome.strip("`") in frame.columns else frame.iloc[:, 0]
    recipes: dict[str, Recipe] = {}
    columns = expand(formula.fixed, predictors or {str(outcome.name): outcome}, recipes)
    check_predictors(columns)
    if len(columns) > len(frame):
        raise DesignError(
            f"The model has {len(columns)} coefficients and the data {count(len(frame), 'effect')}. Leave terms out: "
            f"at most {len(frame)} can be told apart."
        )
    return FixedPart(tuple(columns), np.column_stack(list(columns.values())), recipes[formula.fixed], variables)


def intercept_only(n_rows: int) -> FixedPart:
    """One mean: a column of ones, as :func:`fixed_part` gives for ``y ~ 1``."""
    return FixedPart((INTERCEPT,), np.ones((n_rows, 1)), _intercept_recipe(), ())


@cache
def _intercept_recipe() -> Recipe:
    return fixed_part(parse_formula("y ~ 1"), pd.DataFrame({"y": [0.0, 1.0]})).recipe
