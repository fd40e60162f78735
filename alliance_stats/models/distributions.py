"""Tail probabilities and quantiles, which the engine holds for models and meta-analyses alike."""

from __future__ import annotations

import numpy as np

from alliance_stats.engine.distributions import chi2_p_value, f_p_value, t_p_value, t_quantile
from alliance_stats.errors import DataError

__all__ = ["check_level", "chi2_p_value", "f_p_value", "t_p_value", "t_quantile"]


def check_level(level: float) -> None:
    """Refuse a level that is no probability."""
    if not isinstance(level, int | float | np.number) or not 0 < level < 1:
        raise DataError(f"level lies between 0 and 1, such as 0.95, not at {level!r}.")
