"""What data that came in parts cannot tell, found from their sums: refused as for a single frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from alliance_stats.design.formula import Formula
from alliance_stats.design.group_checks import check_division, check_effects, refuse_saturated
from alliance_stats.design.predictor_checks import (
    check_category_counts,
    check_collinear,
    check_constant,
    refuse_constant_outcome,
)
from alliance_stats.design.summed_parts import SummedRows
from alliance_stats.engine.mixed.design import Floats, GroupingFactor
from alliance_stats.engine.mixed.parts import Part
from alliance_stats.engine.mixed.sums import sum_by
from alliance_stats.errors import DesignError
from alliance_stats.names import INTERCEPT

#: Share of a level's rows, less what the fixed effects explain of its indicator, that is rounding.
_SATURATED = 1e-10


def check_sums(formula: Formula, rows: SummedRows) -> None:
    """Refuse what the rows cannot tell.

    Raises
    ------
    DesignError
        As for a single frame; and if a categorical predictor has categories that do not occur.
    """
    sums = rows.sums
    if sums.least[-1] == sums.largest[-1]:
        refuse_constant_outcome(formula, float(sums.least[-1]), sums.n_obs)
    _check_categories(rows)
    _check_fixed(sums, rows.arrays.fixed_names)
    _check_random(formula, rows)
    _check_groups(rows)


def _check_categories(rows: SummedRows) -> None:
    for name, seen in rows.seen.items():
        check_category_counts(name, seen.index[seen], rows.sums.n_obs)
        if not seen.all():
            unused = ", ".join(repr(category) for category in seen.index[~seen])
            raise DesignError(
                f"Column {name!r} has categories that do not occur in the {rows.sums.n_obs} rows used: {unused}. Leave "
                "them out of its categories (in every part)."
            )


def _check_fixed(sums: Part, names: tuple[str, ...]) -> None:
    check_constant(_ranges(sums, names, sums.fixed))
    _check_collinear(names, sums.total[:-1, :-1])


def _check_collinear(names: tuple[str, ...], products: Floats) -> None:
    """Check sums of products of columns, centred by the intercept if it is among them."""
    kept = [at for at, name in enumerate(names) if name != INTERCEPT]
    if INTERCEPT in names and kept:
        one = names.index(INTERCEPT)
        products = products - np.outer(products[one], products[one]) / products[one, one]
    check_collinear([names[at] for at in kept], products[np.ix_(kept, kept)])


def _ranges(sums: Part, names: tuple[str, ...], places: tuple[int, ...]) -> dict[str, tuple[float, float]]:
    return {
        name: (float(sums.least[place]), float(sums.largest[place])) for name, place in zip(names, places, strict=True)
    }


def _check_random(formula: Formula, rows: SummedRows) -> None:
    """Check the columns of every bar term."""
    arrays, taken = rows.arrays, dict.fromkeys(rows.arrays.group_names, 0)
    for term in formula.random:
        at = arrays.group_names.index(term.group_name)
        first = taken[term.group_name]
        own = slice(first, first + arrays.recipes[term.effects].n_columns)
        taken[term.group_name] = own.stop
        names, places = arrays.effect_names[at][own], rows.sums.effects[at][own]
        check_constant(_ranges(rows.sums, names, places))
        product = rows.sums.cells.product
        _check_collinear(names, np.array([[product(a, b).sum() for b in places] for a in places]))


def _check_groups(rows: SummedRows) -> None:
    sums = rows.sums
    before: list[GroupingFactor] = []
    for factor, codes in zip(rows.arrays.design.factors, sums.cells.left, strict=True):
        coded = GroupingFactor(factor.name, codes, factor.n_levels, factor.effects, factor.blocks)
        check_division(coded, before, sums.n_obs)
        _check_not_saturated(sums, replace(coded, effects=sums.effects[len(before)]))
        check_effects(coded, sums.n_obs)
        before.append(coded)


def _check_not_saturated(sums: Part, factor: GroupingFactor) -> None:
    """Refuse a grouping whose every level the fixed effects tell apart already."""
    one = next((k for k in factor.effects if sums.ones[k]), None)
    if one is None or factor.n_levels > len(sums.fixed) or len(sums.fixed) >= sums.n_obs:
        return

    def per_level(column: int) -> Floats:
        return sum_by(factor.codes, sums.cells.product(one, column), factor.n_levels)

    n_rows = per_level(one)
    with_fixed = np.array([per_level(column) for column in sums.fixed])
    size = np.sqrt(np.diag(sums.total)[:-1])
    with_fixed = with_fixed / size[:, None]
    weights = np.linalg.lstsq(sums.total[:-1, :-1] / np.outer(size, size), with_fixed, rcond=1e-12)[0]
    left = n_rows - np.einsum("pl,pl->l", with_fixed, weights)
    if (left <= _SATURATED * n_rows).all():
        refuse_saturated(factor)
