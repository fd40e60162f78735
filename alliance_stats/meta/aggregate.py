"""One effect per study, where a study has several."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.meta.columns import EFFECT, STUDY, VARIANCE, take_effects
from alliance_stats.meta.sampling import check_rho

#: Column of the number of effects that went into one.
N_EFFECTS = "n_effects"


def aggregate(effects: pd.DataFrame, rho: float = 0.6, *, study: str = STUDY) -> pd.DataFrame:
    """Pool the effects of each study into one, for methods that take effects as independent.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi`` and the studies; rows that lack one of them are left out.
    rho : float
        Correlation of the sampling errors of one study, in [0, 1).
    study : str
        Column of the studies.

    Returns
    -------
    DataFrame
        A row per study, in order of appearance: the study, ``yi`` and ``vi`` (generalised least squares mean and its
        sampling variance), ``n_effects``, and the columns that do not vary within any study.

    Raises
    ------
    DataError
        If rho lies outside [0, 1), or a variance is not positive.

    Notes
    -----
    True effects of one study are taken as equal; where they differ, a multilevel model weighs studies better.

    References
    ----------
    Gleser & Olkin (2009), in Cooper, Hedges & Valentine (Eds.), The handbook of research synthesis and meta-analysis
    (2nd ed.), 357-376.
    """
    from alliance_stats.engine.pooling.aggregate import aggregate_groups

    kept, _ = take_effects(effects, [study])
    codes, _ = pd.factorize(kept[study])
    y, v = aggregate_groups(
        kept[EFFECT].to_numpy(np.float64), kept[VARIANCE].to_numpy(np.float64), codes.astype(np.int64), check_rho(rho)
    )
    first = np.unique(codes, return_index=True)[1]
    own = {study, EFFECT, VARIANCE, N_EFFECTS}
    others = [name for name in kept.columns if name not in own and _constant(kept[name], codes)]
    columns = {study: kept[study].iloc[first], EFFECT: y, VARIANCE: v, N_EFFECTS: np.bincount(codes)}
    result = pd.DataFrame(columns | {name: kept[name].iloc[first] for name in others}).reset_index(drop=True)
    result.attrs = dict(effects.attrs)
    return result


def _constant(column: pd.Series, codes: np.ndarray) -> bool:
    """Whether a column has one value (or is empty) within every study."""
    values = pd.factorize(column, use_na_sentinel=False)[0]
    return bool(np.unique(codes * (int(values.max()) + 1) + values).size == int(codes.max()) + 1)
