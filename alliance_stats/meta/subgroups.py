"""Means of subgroups, for figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.meta.columns import EFFECT
from alliance_stats.meta.multilevel_result import MultilevelResult
from alliance_stats.meta.pictures import MEAN
from alliance_stats.meta.pool import PooledResult, pool
from alliance_stats.meta.regress import RegressionResult
from alliance_stats.meta.sampling import of_rows

if TYPE_CHECKING:
    from alliance_stats.meta.figures import Drawable


def group_means(result: Drawable, by: str) -> pd.DataFrame:
    """Pool each subgroup as the whole was pooled: ``group`` and the glance; in order of appearance."""
    rows = []
    for name, own in result.effects.groupby(result.effects[by].astype(str), sort=False):
        try:
            glance = _again(result, own, by)
        except DataError:  # too few effects for levels or tests of the whole: their plain mean
            glance = pool(own, "EE", level=result.level).glance()
        rows.append(glance[list(MEAN)].assign(group=str(name)))
    return pd.concat(rows, ignore_index=True)


def is_moderator(result: Drawable, by: str) -> bool:
    """Whether a column is the only moderator of a fit."""
    if not isinstance(result, MultilevelResult | RegressionResult):
        return False
    return [name for name in result.part.variables if name != EFFECT] == [by]


def model_means(result: Drawable, by: str) -> pd.DataFrame:
    """The model's mean of each category: ``group`` and both intervals; in order of appearance."""
    assert isinstance(result, MultilevelResult | RegressionResult)
    new = pd.DataFrame({by: result.effects[by].drop_duplicates()})
    return result.predict(new)[list(MEAN)].assign(group=new[by].astype(str))


def _again(result: Drawable, own: pd.DataFrame, by: str) -> pd.DataFrame:
    if isinstance(result, MultilevelResult):
        from alliance_stats.meta.multilevel import refit

        effects = result.asked["effects"]
        inside = (effects[by].astype(str) == str(own[by].iloc[0])).to_numpy()
        V = of_rows(result.asked["V"], effects.index[inside], inside)
        return refit(result, effects=effects[inside], V=V, mods=None, working="CHE", subgroup=None).glance()
    if isinstance(result, PooledResult | RegressionResult):
        return pool(own, result.fit.method, result.fit.test, level=result.level).glance()
    return pool(own, level=result.level).glance()
