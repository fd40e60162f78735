"""Cronbach's alpha: of one occasion, within patients, between patients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.reliability.coefficient import Coefficient, logit_interval
from alliance_stats.errors import DesignError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def alpha_of(covariance: Floats) -> float:
    """Alpha of a covariance matrix of items: k / (k − 1) × (1 − trace / sum)."""
    k = covariance.shape[0]
    return _alpha(float(np.trace(covariance)), float(covariance.sum()), k)


def _alpha(items: float, total: float, k: int) -> float:
    """Alpha from the summed variances of the items and the variance of their sum."""
    return k / (k - 1) * (1 - items / total) if total > 0 else np.nan


def occasion_alpha(items: Floats, level: float = 0.95) -> Coefficient:
    """Alpha of forms filled in once each, with Feldt's interval.

    Parameters
    ----------
    items : ndarray of shape (n, k)
        Complete answers, reversed where the key says so.
    level : float

    References
    ----------
    Feldt, Woodruff & Salih (1987), Applied Psychological Measurement, 11, 93-103.
    """
    from scipy.special import fdtri

    n, k = items.shape
    estimate = alpha_of(np.cov(items, rowvar=False))
    tail = (1 - level) / 2
    df1, df2 = n - 1, (n - 1) * (k - 1)
    low, high = (1 - (1 - estimate) * float(fdtri(df1, df2, p)) for p in (1 - tail, tail))
    return Coefficient(estimate, np.nan, low, high)


def level_alphas(items: Floats, patient: Ints, level: float = 0.95) -> tuple[Coefficient, Coefficient]:
    """Alpha within and between patients, from the covariance of items at each level.

    Parameters
    ----------
    items : ndarray of shape (n, k)
        Complete answers of all sessions.
    patient : ndarray of int, shape (n,)
        Patient of each session, from 0 without gaps.
    level : float

    Returns
    -------
    within, between : Coefficient
        With intervals from the jackknife over patients, on the logit scale, Student's t.

    Raises
    ------
    DesignError
        If fewer than three patients, or none with two sessions.

    Notes
    -----
    The within covariance is the pooled one; the between covariance is that of analysis of variance,
    ``(MSB − MSW) / n₀``, which allows for different numbers of sessions. Where its total variance is not positive,
    alpha between patients is missing.

    References
    ----------
    Geldhof, Preacher & Zyphur (2014), Psychological Methods, 19, 72-91. Searle, Casella & McCulloch (1992), Variance
    Components, chapter 3.
    """
    from scipy.special import stdtrit

    sums = _sums(items, patient)
    n_patients, most = len(sums), int(sums[:, 0].max())
    if n_patients < 3 or most < 2:
        raise DesignError(
            f"{n_patients} patients with at most {most} complete forms each cannot tell levels "
            "apart. Bring three patients, and some with two sessions."
        )
    k, whole = items.shape[1], sums.sum(axis=0)
    estimate = _both(whole, n_patients, k)
    without = np.array([_both(whole - own, n_patients - 1, k) for own in sums])
    quantile = float(stdtrit(n_patients - 1, (1 + level) / 2))
    within, between = (logit_interval(float(estimate[at]), _jackknife(without[:, at]), quantile) for at in (0, 1))
    return within, between


def _sums(items: Floats, patient: Ints) -> Floats:
    """Per patient: sessions, sessions², squares within of items and of their total, squares of means, sums of items."""
    n_patients = int(patient.max()) + 1
    centred = items - items.mean(axis=0)  # so that squares of means do not swallow the digits
    counts = np.bincount(patient, minlength=n_patients).astype(float)
    totals = np.zeros((n_patients, items.shape[1]))
    np.add.at(totals, patient, centred)
    means = totals / counts[:, None]
    around = centred - means[patient]
    within_items = np.bincount(patient, (around**2).sum(axis=1), n_patients)
    within_total = np.bincount(patient, around.sum(axis=1) ** 2, n_patients)
    square_items = counts * (means**2).sum(axis=1)
    square_total = counts * means.sum(axis=1) ** 2
    return np.column_stack([counts, counts**2, within_items, within_total, square_items, square_total, totals])


def _both(sums: Floats, n_patients: int, k: int) -> Floats:
    """Alpha within and between from sums over patients."""
    n, squared, totals = float(sums[0]), float(sums[1]), sums[6:]
    df_within, df_between = n - n_patients, n_patients - 1
    if df_within < 1:
        return np.array([np.nan, np.nan])
    ms_within = sums[2:4] / df_within
    grand = np.array([(totals**2).sum(), totals.sum() ** 2]) / n
    between = ((sums[4:6] - grand) / df_between - ms_within) / ((n - squared / n) / df_between)
    return np.array([_alpha(float(part[0]), float(part[1]), k) for part in (ms_within, between)])


def _jackknife(without: Floats) -> float:
    """Standard error from estimates that leave out one patient each."""
    n = without.size
    return float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))
