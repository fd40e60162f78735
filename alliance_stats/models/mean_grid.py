"""The grid behind marginal means: which values the predictors take, and the weighted sum of fixed effects at each.

A mean for one category is the population's prediction averaged over the categories of all other predictors, with
numeric predictors held at their mean. It is linear in the fixed effects, so a grid is a matrix of weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.design.new_rows import fixed_rows
from alliance_stats.design.recipes import as_fitted
from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.names import TABLE_COLUMNS

if TYPE_CHECKING:
    from alliance_stats.models.mixed_result import MixedResult

Weights = Literal["equal", "proportional"]
#: Rows that a grid may have, with those that are averaged over.
_MOST = 100_000


@dataclass(frozen=True)
class Grid:
    """Points of a grid, and the weights of the fixed effects at each.

    Parameters
    ----------
    points : DataFrame
        One row per point, a column for every variable that is shown.
    rows : ndarray of shape (n_points, p)
        Weights of the fixed effects.
    given : tuple of str
        Columns of ``points`` that are conditions (from ``at=``), not what is compared.
    """

    points: pd.DataFrame
    rows: np.ndarray
    given: tuple[str, ...]

    def labels(self) -> list[str]:
        """Points in words: ``"late, session = 5"``."""
        if not len(self.points.columns):
            return ["mean"]
        words = [[_word(name, value) for value in column] for name, column in self.points.items()]
        return [", ".join(parts) for parts in zip(*words, strict=True)]

    def conditions(self) -> list[np.ndarray]:
        """Positions of the points that stand at the same conditions, one array for each set of conditions."""
        if not self.given:
            return [np.arange(len(self.points))]
        groups = self.points.groupby(list(self.given), sort=False, observed=True).indices
        return [np.sort(own) for own in groups.values()]


def _word(name: object, value: object) -> str:
    return value if isinstance(value, str) else f"{name} = {value:g}" if _is_number(value) else f"{name} = {value}"


def _is_number(value: object) -> bool:
    return isinstance(value, float | int | np.number) and not isinstance(value, bool | np.bool_)


class Predictors:
    """Predictors of the fixed part: what they are, and which values they take in the rows of the fit."""

    def __init__(self, fit: MixedResult) -> None:
        self.fit = fit
        recipe = fit.arrays.recipes[fit.formula.fixed]
        sample = fit.arrays.sample
        self.categories: dict[str, list[Any] | None] = {}
        for name in recipe.names.values():
            if name in recipe.categories:
                self.categories[name] = list(recipe.categories[name].categories)
            elif name in recipe.coded_numbers:
                self.categories[name] = sorted(set(sample.frame[name].tolist()))
            elif sample.is_boolean(name):
                self.categories[name] = [False, True]
            else:
                self.categories[name] = None

    @property
    def names(self) -> list[str]:
        """Names of all predictors."""
        return list(self.categories)

    def check(self, name: str) -> None:
        """Refuse a name that is no predictor of the fixed part.

        Raises
        ------
        DataError
            With the nearest predictor.
        """
        if name not in self.categories:
            raise DataError(f"The fixed part of the model has no predictor {name!r}. {did_you_mean(name, self.names)}")
        if name in TABLE_COLUMNS:
            raise DataError(f"The predictor {name!r} has the name of a column of the table itself. Rename it.")

    def mean(self, name: str) -> float:
        """Mean of a numeric predictor over the rows of the fit."""
        return self.fit.arrays.sample.mean(name)

    def shares(self, names: Sequence[str], combinations: Sequence[tuple[Any, ...]]) -> np.ndarray:
        """Share of the rows of the fit that each combination of categories has."""
        categories = self.fit.arrays.recipes[self.fit.formula.fixed].categories
        sample = as_fitted(self.fit.arrays.sample.frame[list(names)], {name: categories.get(name) for name in names})
        columns = [sample[name].tolist() for name in names]
        counts: dict[tuple[Any, ...], int] = {}
        for key in zip(*columns, strict=True):
            counts[key] = counts.get(key, 0) + 1
        own = np.array([counts.get(key, 0) for key in combinations], float)
        return own / own.sum()


def make_grid(
    fit: MixedResult,
    variables: Sequence[str],
    at: Mapping[str, Any] | None,
    weights: Weights,
    over: str | None = None,
) -> Grid:
    """Build the grid of some variables.

    Parameters
    ----------
    fit : MixedResult
    variables : sequence of str
        Predictors whose values are compared.
    at : mapping of str to value(s), optional
        Values of predictors; those that are not among the ``variables`` are conditions.
    weights : {"equal", "proportional"}
        How the categories of the other predictors are averaged.
    over : str, optional
        A numeric predictor for which the slope is taken: weights are then those of the derivative.

    Raises
    ------
    DataError
        If a variable is no predictor, a category is not known, or a numeric variable has no values to stand at.
    """
    if weights not in get_args(Weights):
        raise DataError(f"weights is 'equal' or 'proportional', not {weights!r}.")
    predictors = Predictors(fit)
    if over is not None:
        predictors.check(over)
        if predictors.categories[over] is not None:
            raise DataError(f"{over!r} has categories, not a slope. Use means({over!r}, differences='pairwise').")
    shown = _shown(predictors, variables, at or {})
    averaged = {name: own for name, own in predictors.categories.items() if own is not None and name not in shown}
    _check_size(shown, averaged)
    combinations = list(product(*averaged.values()))
    share = np.full(len(combinations), 1 / len(combinations))
    if weights == "proportional" and averaged:
        share = predictors.shares(list(averaged), combinations)
    points = pd.DataFrame(list(product(*shown.values())), columns=list(shown), index=range(_size(shown)))
    frame = _expanded(points, averaged, combinations)
    held = [name for name, own in predictors.categories.items() if own is None and name not in shown]
    frame = frame.assign(**{name: predictors.mean(name) for name in held})
    rows = fixed_rows(fit.formula, fit.arrays, frame) if over is None else slope_rows(fit, frame, over)
    rows = np.tensordot(rows.reshape(len(points), len(combinations), -1), share, axes=([1], [0]))
    return Grid(points, rows, tuple(name for name in shown if name not in variables))


def _shown(predictors: Predictors, variables: Sequence[str], at: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Values of the variables, and of the conditions after them."""
    given = {name: _values(predictors, name, values) for name, values in at.items()}
    shown: dict[str, list[Any]] = {}
    for name in variables:
        predictors.check(name)
        own = given.get(name) or predictors.categories[name]
        if own is None:
            raise DataError(
                f"{name!r} is a number. Say at which values its means are wanted, such as at={{{name!r}: [1, 5, 10]}}."
            )
        shown[name] = own
    return shown | {name: own for name, own in given.items() if name not in shown}


def _values(predictors: Predictors, name: str, values: Any) -> list[Any]:
    """Values of ``at=`` as a list, each known to the fit if it is a category."""
    predictors.check(name)
    single = isinstance(values, str) or not hasattr(values, "__iter__")
    listed = [values] if single else list(values)
    if not listed:
        raise DataError(f"at={{{name!r}: …}} has no values.")
    known = predictors.categories[name]
    for value in listed:
        if known is None and not (_is_number(value) and np.isfinite(float(value))):
            raise DataError(f"{name!r} is a number and cannot stand at {value!r}.")
        if known is not None and value not in known:
            raise DataError(f"{name!r} has no category {value!r}. {did_you_mean(str(value), map(str, known))}")
    return [float(value) for value in listed] if known is None else listed


def _size(values: Mapping[str, list[Any]]) -> int:
    return prod(len(own) for own in values.values())


def _check_size(shown: Mapping[str, list[Any]], averaged: Mapping[str, list[Any]]) -> None:
    size = _size(shown) * _size(averaged)
    if size > _MOST:
        raise DataError(
            f"The grid has {size} points ({', '.join([*shown, *averaged])}); at most {_MOST} are computed. Hold some "
            "predictors at one value by at=."
        )


def _expanded(
    points: pd.DataFrame, averaged: Mapping[str, list[Any]], combinations: Sequence[tuple[Any, ...]]
) -> pd.DataFrame:
    """Every point with every combination of what is averaged over, point by point."""
    frame = points.loc[points.index.repeat(len(combinations))].reset_index(drop=True)
    columns = {name: [own[at] for own in combinations] * len(points) for at, name in enumerate(averaged)}
    return frame.assign(**columns)


#: Steps of a slope's difference, as shares of the predictor's standard deviation. The long one is exact for terms up to
#: the fourth degree and free of rounding; where two lengths of it disagree, the short one is taken (error about 1e-12).
_STEPS = (1.0, 1e-3)
_AGREE = 1e-11
#: Points and weights of the difference, in steps: symmetric, or to one side where a spline ends.
_DIFFERENCES = (((1, -1), (0.5, -0.5)), ((0, 1, 2), (-1.5, 2, -0.5)), ((0, -1, -2), (1.5, -2, 0.5)))


def slope_rows(fit: MixedResult, frame: pd.DataFrame, over: str) -> np.ndarray:
    """Weights of the fixed effects in the slope over a numeric predictor, at each row.

    Parameters
    ----------
    fit : MixedResult
    frame : DataFrame
        Values of all predictors.
    over : str
        The predictor.
    """
    spread = fit.arrays.sample.deviation(over)
    failed: DataError | None = None
    for (points, weights), share in product(_DIFFERENCES, _STEPS):
        try:
            one, half = (
                np.sum(
                    [
                        w / step * fixed_rows(fit.formula, fit.arrays, frame.assign(**{over: frame[over] + p * step}))
                        for p, w in zip(points, weights, strict=True)
                    ],
                    axis=0,
                )
                for step in (share * spread, share * spread / 2)
            )
        except DataError as error:
            failed = failed or error
            continue
        better = np.asarray((4 * half - one) / 3)
        if share < 1 or np.abs(half - one).max() <= _AGREE * np.abs(one).max():
            return better
    assert failed is not None
    raise failed
