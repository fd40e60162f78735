"""Whether one mixed model is a special case of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.mixed.design import GroupingFactor, MixedDesign

#: Share of a column's size beyond which it is not a combination of the others.
_OUTSIDE = 1e-7


def is_nested(small: MixedDesign, large: MixedDesign) -> bool:
    """Whether every model that ``small`` can be, ``large`` can be.

    The fixed effects of ``small`` must be combinations of those of ``large``, and each of its blocks of correlated
    random effects must be so within one block of ``large``, over the same levels. Columns are compared, not names: a
    time axis that starts elsewhere spans the same courses. Residuals of ``small`` must be independent or correlated as
    in ``large``, its strata unions of those of ``large``, and the prior weights the same.

    Parameters
    ----------
    small, large : MixedDesign
        Designs of the same rows, in one order.
    """
    if not _spans(large, large.fixed, small, small.fixed) or not _residual_inside(small, large):
        return False
    return all(
        any(_block_inside(small, factor, block, large, other) for other in large.factors)
        for factor in small.factors
        for block in factor.blocks
    )


def _residual_inside(small: MixedDesign, large: MixedDesign) -> bool:
    """Whether the residual structure of ``small`` is a special case of that of ``large``."""
    one, two = small.residual, large.residual
    ones = np.ones(small.n_obs)
    if not np.array_equal(ones if one is None else one.root_weight, ones if two is None else two.root_weight):
        return False
    if one is None:
        return True
    if one.correlation != "none":
        same = two is not None and one.correlation == two.correlation and np.array_equal(one.previous, two.previous)
        if not same or two is None or not np.array_equal(one.gap, two.gap):
            return False
    if one.n_strata == 1:
        return True
    if two is None:
        return False
    pairs = np.unique(np.column_stack([two.stratum, one.stratum]), axis=0)
    return bool(np.unique(pairs[:, 0]).size == len(pairs))


def _block_inside(
    small: MixedDesign, factor: GroupingFactor, block: Sequence[int], large: MixedDesign, other: GroupingFactor
) -> bool:
    if not _same_levels(factor, other):
        return False
    own = [factor.effects[k] for k in block]
    return any(_spans(large, [other.effects[k] for k in wider], small, own) for wider in other.blocks)


def _same_levels(factor: GroupingFactor, other: GroupingFactor) -> bool:
    """Whether two groupings divide the rows alike (levels are numbered in order of appearance)."""
    if (factor.membership is None) != (other.membership is None) or factor.n_levels != other.n_levels:
        return False
    if not np.array_equal(factor.codes, other.codes):
        return False
    one, two = factor.membership, other.membership
    if one is None or two is None:
        return True
    return all(np.array_equal(getattr(one, part), getattr(two, part)) for part in ("pattern", "level", "weight"))


def _spans(wide: MixedDesign, places: Sequence[int], narrow: MixedDesign, own: Sequence[int]) -> bool:
    """Whether each column ``own`` of ``narrow`` is a combination of the columns ``places`` of ``wide``."""
    known, wanted = _columns(wide, places), _columns(narrow, own)
    if wanted.shape[1] > known.shape[1]:
        return False
    weights = np.linalg.lstsq(known, wanted, rcond=1e-13)[0]
    return bool((np.sqrt(np.mean((wanted - known @ weights) ** 2, axis=0)) < _OUTSIDE).all())


def _columns(design: MixedDesign, places: Sequence[int]) -> NDArray[np.float64]:
    """Columns side by side, each of unit root mean square."""
    found = [design.columns[place] for place in places]
    matrix = np.column_stack([np.ones(design.n_obs) if column is None else column for column in found])
    size = np.sqrt(np.mean(matrix**2, axis=0))
    return matrix / np.where(size > 0, size, 1.0)
