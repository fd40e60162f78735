"""Multilevel fits without each cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceStatsError, DataError, DesignError, count
from alliance_stats.meta.columns import require
from alliance_stats.meta.levels import EFFECT_LEVEL, read_random
from alliance_stats.meta.sampling import of_rows
from alliance_stats.meta.tidy import Floats

if TYPE_CHECKING:
    from alliance_stats.meta.multilevel_result import MultilevelResult


def leave_clusters_out(result: MultilevelResult, by: str | None) -> pd.DataFrame:
    """Fit again without each group of a column; see :func:`alliance_stats.meta.leave_one_out`."""
    rows = []
    for label, fit in _without_each(result, by):
        if fit is None:
            empty = result.table().assign(**{name: np.nan for name in result.table().columns if name != "term"})
            rows.append(_labelled(empty, label).assign(k=np.nan))
            continue
        table = fit.table().drop(columns="caution", errors="ignore")
        variances = _variances(fit)
        rows.append(_labelled(table, label).assign(k=fit.problem.k, **variances))
    frame = pd.concat(rows, ignore_index=True)
    first = ["left_out", "k"]
    return frame[[*first, *(name for name in frame.columns if name not in first)]]


def _labelled(table: pd.DataFrame, label: object) -> pd.DataFrame:
    """Add the label to each row, also where it is a tuple."""
    return table.assign(left_out=pd.Series([label] * len(table), index=table.index, dtype=object))


def _variances(fit: MultilevelResult) -> dict[str, float]:
    levels = zip(fit.structure.levels, fit.peak.theta, strict=True)
    return {f"variance ({level.name})": float(value) for level, value in levels}


def cluster_influence(result: MultilevelResult) -> pd.DataFrame:
    """Cook's distance, DFBETAS and variances without each cluster; see :func:`alliance_stats.meta.influence`.

    Cook's distance takes the fit's own covariance of the coefficients (robust, where it is); DFBETAS take standard
    errors at the variances of the fit without the cluster, in all effects.
    """
    names = result.part.names
    inverse = _inverse(result)
    rows: dict[object, list[float]] = {}
    for label, fit in _without_each(result, None):
        if fit is None or fit.part.names != names or fit.problem.n_parameters != result.problem.n_parameters:
            rows[label] = [np.nan] * (1 + len(names) + len(result.structure.levels))
            continue
        change = result.beta - fit.beta
        errors = _errors_at(result, fit.peak.theta)
        rows[label] = [float(change @ inverse @ change), *(change / errors), *fit.peak.theta]
    columns = ["cook_d", *(f"dfbetas: {name}" for name in names)]
    columns += [f"variance ({level.name})" for level in result.structure.levels]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _inverse(result: MultilevelResult) -> Floats:
    covariance = result.uncertainty.covariance
    scale = np.sqrt(np.diag(covariance))
    unit = covariance / np.outer(scale, scale) if (scale > 0).all() else np.zeros_like(covariance)
    if np.linalg.matrix_rank(unit, hermitian=True) < len(scale):
        raise DesignError(
            f"The covariance of {count(len(scale), 'coefficient')} has no inverse (smallest standard error "
            f"{scale.min():.2g}), so Cook's distance has no scale. Check whether effects lie on the model exactly, or "
            "use robust=None."
        )
    return np.asarray(np.linalg.inv(unit) / np.outer(scale, scale))


def _errors_at(result: MultilevelResult, theta: Floats) -> Floats:
    """Model-based standard errors in all effects, at other variances."""
    from alliance_stats.engine.pooling.multilevel import Evaluation

    return np.sqrt(np.diag(Evaluation(result.problem, theta).coefficients()[1]))


def _without_each(result: MultilevelResult, by: str | None):  # type: ignore[no-untyped-def]
    """Each group's label with the fit without it; None where the rest cannot be fitted."""
    from alliance_stats.meta.multilevel import refit

    effects = result.asked["effects"]
    column = by or result.asked["cluster"] or read_random(result.asked["random"])[0][0]
    if column == EFFECT_LEVEL and column not in effects.columns:  # every row is an effect of its own
        if not effects.index.is_unique:
            raise DataError("The effects' index holds a label twice, so effects cannot be named. Use reset_index().")
        labels, used = effects.index.to_series(), result.effects.index.to_series()
    else:
        require(effects, column)
        labels, used = effects[column], result.effects[column]
    for label in pd.unique(used):
        # rows without a label are not the group's: the fit leaves them out by itself
        kept = np.array([own is pd.NA or bool(own != label) for own in labels.tolist()], dtype=bool)
        try:
            V = of_rows(result.asked["V"], effects.index[kept], kept)
            yield label, refit(result, result.peak.theta, effects=effects[kept], V=V)
        except AllianceStatsError:
            yield label, None
