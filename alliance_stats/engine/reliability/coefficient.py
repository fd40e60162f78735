"""A coefficient with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Nearer to 0 or 1 than this a coefficient stands on the boundary, where its logit says nothing.
_BOUNDARY = 1e-12


@dataclass(frozen=True)
class Coefficient:
    """An estimated reliability.

    Parameters
    ----------
    estimate : float
        At most 1; alpha can be negative.
    std_error : float
        nan where the interval does not come from one.
    low, high : float
        Ends of the interval; nan where there is none.
    """

    estimate: float
    std_error: float
    low: float
    high: float


def logit_interval(estimate: float, std_error: float, quantile: float) -> Coefficient:
    """Interval on the logit scale, so that it stays between 0 and 1.

    Parameters
    ----------
    estimate, std_error : float
        On the coefficient's own scale.
    quantile : float
        Of the normal or t distribution.

    Returns
    -------
    Coefficient
        Without interval where the estimate is not between 0 and 1 or has no standard error.
    """
    if not (_BOUNDARY < estimate < 1 - _BOUNDARY and std_error > 0 and math.isfinite(std_error)):
        return Coefficient(estimate, math.nan, math.nan, math.nan)
    centre = math.log(estimate / (1 - estimate))
    half = quantile * std_error / (estimate * (1 - estimate))
    low, high = (1 / (1 + math.exp(-value)) for value in (centre - half, centre + half))
    return Coefficient(estimate, std_error, low, high)
