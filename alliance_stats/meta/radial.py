"""The radial (Galbraith) plot of a pooled effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.meta.columns import STUDY
from alliance_stats.meta.pool import PooledResult, pool
from alliance_stats.meta.pooled_result import arrays

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def radial(result: PooledResult | pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the radial (Galbraith) plot: effects over their standard deviations, against one over these.

    Parameters
    ----------
    result : PooledResult or DataFrame
        Of :func:`alliance_stats.meta.pool`; a frame of effects is pooled first.
    ax : Axes, optional

    Raises
    ------
    DataError
        If the result is not a single mean of independent effects: there is no one line then.
    """
    from alliance_stats.report.figures.radial import radial as draw

    known = pool(result) if isinstance(result, pd.DataFrame) else result
    if not isinstance(known, PooledResult):
        raise DataError("A radial plot shows one mean of independent effects. Draw that of pool(effects).")
    return draw(radial_rows(known), known.glance(), ax=ax)


def radial_rows(result: PooledResult) -> pd.DataFrame:
    """Return ``label, precision, standardised``; standard deviations hold τ²."""
    y, v = arrays(result.effects)
    spread = np.sqrt(v + result.fit.tau2)
    names = result.effects[STUDY] if STUDY in result.effects.columns else result.effects.index.to_series()
    columns = {"label": names.astype(str).to_numpy(), "precision": 1 / spread, "standardised": y / spread}
    return pd.DataFrame(columns)
