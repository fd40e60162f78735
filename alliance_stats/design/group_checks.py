"""Groupings that the data cannot tell: refused with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from alliance_stats.engine.mixed.design import GroupingFactor, MixedDesign
from alliance_stats.errors import DataError, DesignError
from alliance_stats.names import RESIDUAL

#: Names that results give to rows and columns of their own.
_TAKEN = (RESIDUAL, "obs", "parameters", "dropped")

#: Indicators of levels that the fixed effects leave no more of than this are reproduced by them.
_SATURATED = 1e-8


def check_groups(design: MixedDesign) -> None:
    """Refuse groupings that carry no information, or none beside another.

    Raises
    ------
    DesignError
        If a grouping has one level, as many levels or effects as there are rows, or divides them as another one does.
    DataError
        If its name is one that results use themselves.
    """
    if all(factor.membership is not None for factor in design.factors):
        raise DesignError(
            "Multiple membership needs another grouping beside it, such as (1 | patient_id): the sessions of one "
            "patient "
            "would be taken as independent."
        )
    for at, factor in enumerate(design.factors):
        check_division(factor, design.factors[:at], design.n_obs)
        _check_not_saturated(design, factor)
        check_effects(factor, design.n_obs)


def check_division(factor: GroupingFactor, before: Sequence[GroupingFactor], n_obs: int) -> None:
    """Refuse a grouping by its name, by what it shares with those before it, or by its number of levels.

    Parameters
    ----------
    factor : GroupingFactor
    before : sequence of GroupingFactor
        Codes, in order of appearance, may be those of cells in the place of rows.
    n_obs : int
        Number of rows.
    """
    _check_name(factor)
    _check_differs(factor, before)
    if factor.n_levels == 1:
        raise DesignError(
            f"Grouping {factor.name!r} has 1 level in {n_obs} rows, so its variance cannot be estimated. "
            "Leave this bar term out."
        )
    if factor.n_levels >= n_obs:
        raise DesignError(
            f"Grouping {factor.name!r} has {factor.n_levels} levels in {n_obs} rows: with one row per level "
            "its effects cannot be told from the residual. Leave this bar term out, or check the id column."
        )


def check_effects(factor: GroupingFactor, n_obs: int) -> None:
    """Refuse a grouping with as many effects as there are rows."""
    n_effects = factor.n_levels * factor.n_effects
    if n_effects >= n_obs:
        raise DesignError(
            f"Grouping {factor.name!r} has {factor.n_effects} effects for each of {factor.n_levels} levels: "
            f"{n_effects} random effects in {n_obs} rows cannot be told from the residual. Use fewer "
            "effects per level."
        )


def _check_not_saturated(design: MixedDesign, factor: GroupingFactor) -> None:
    """Refuse a grouping whose every level the fixed effects tell apart already: no variance is left between them."""
    intercept = any(design.columns[k] is None for k in factor.effects)
    if not intercept or factor.n_levels > design.n_fixed or design.n_fixed >= design.n_obs:
        return
    fixed = np.column_stack([np.ones(design.n_obs) if (c := design.columns[k]) is None else c for k in design.fixed])
    fixed = fixed / np.sqrt((fixed**2).mean(axis=0))
    levels = np.column_stack([factor.at_rows(level) for level in np.eye(factor.n_levels)])
    rest = levels - fixed @ np.linalg.lstsq(fixed, levels, rcond=None)[0]
    if np.abs(rest).max() < _SATURATED:
        refuse_saturated(factor)


def refuse_saturated(factor: GroupingFactor) -> NoReturn:
    """Say that the fixed effects leave a grouping nothing."""
    raise DesignError(
        f"The fixed effects already tell all {factor.n_levels} levels of {factor.name!r} apart, so no variance "
        "between them can be estimated. Leave this bar term out, or drop predictors that are constant within its "
        "levels."
    )


def _check_name(factor: GroupingFactor) -> None:
    if factor.name in _TAKEN:
        raise DataError(
            f"A grouping cannot be called {factor.name!r}: results use this name themselves. Rename the column."
        )


def _check_differs(factor: GroupingFactor, others: Sequence[GroupingFactor]) -> None:
    """Refuse a grouping that divides the rows as another one does, for the same effects."""
    for other in others:
        # codes stand in order of appearance, so equal divisions have equal codes
        if set(factor.effects) & set(other.effects) and np.array_equal(factor.codes, other.codes):
            raise DesignError(
                f"Groupings {other.name!r} and {factor.name!r} divide the rows into the same {factor.n_levels} levels, "
                "so their variances cannot be told apart. Leave one of the bar terms out."
            )
