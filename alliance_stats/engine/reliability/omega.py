"""Omega of one factor: of one occasion, and at both levels of sessions within patients, by maximum likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from alliance_stats.engine.reliability.coefficient import Coefficient, logit_interval
from alliance_stats.errors import DesignError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Smallest unique variance, as a share of the item's variance: below it an item is the factor (Heywood).
_LEAST = 1e-6
_STEP = 1e-5


@dataclass(frozen=True)
class FactorModel:
    """A fitted one-factor model (or one at each level).

    Parameters
    ----------
    loadings, unique : ndarray of shape (n_levels, k)
        In units of the items: loadings on a factor of variance 1, unique variances.
    covariance : ndarray of shape (2 k n_levels, 2 k n_levels)
        Of the estimates: loadings and unique variances, level by level. Entries of parameters at their limit are nan.
    criterion : float
        −2 log-likelihood, without its constant.
    at_limit : ndarray of bool, shape (n_levels, k)
        Unique variances at zero.
    """

    loadings: Floats
    unique: Floats
    covariance: Floats
    criterion: float
    at_limit: NDArray[np.bool_]

    def omega(self, level: int, quantile: float) -> Coefficient:
        """Omega of one level with its interval by the delta method, on the logit scale."""
        loadings, unique = self.loadings[level], self.unique[level]
        common, rest = loadings.sum() ** 2, unique.sum()
        estimate = float(common / (common + rest))
        slope_loading = 2 * loadings.sum() * rest / (common + rest) ** 2
        slope_unique = -common / (common + rest) ** 2
        k = loadings.size
        slopes = np.concatenate([np.full(k, slope_loading), np.full(k, slope_unique)])
        at = slice(2 * k * level, 2 * k * (level + 1))
        own = np.nan_to_num(self.covariance[at, at])  # what stands at its limit is taken as known
        return logit_interval(estimate, float(np.sqrt(max(slopes @ own @ slopes, 0.0))), quantile)


def one_factor(items: Floats) -> FactorModel:
    """Fit one factor to forms filled in once each.

    Parameters
    ----------
    items : ndarray of shape (n, k)
        Complete answers, reversed where the key says so; three items or more.

    Returns
    -------
    FactorModel
        With the covariance from the expected information, as lavaan has it.

    Raises
    ------
    DesignError
        If there are too few items or forms, or an item does not vary.

    References
    ----------
    McDonald (1999), Test Theory, chapter 6. Jöreskog (1967), Psychometrika, 32, 443-482.
    """
    n, k = items.shape
    _check(items, n)
    scale = items.std(axis=0)
    sample = np.cov(items / scale, rowvar=False, bias=True)

    def objective(values: Floats) -> tuple[float, Floats]:
        loadings, unique = values[:k], values[k:]
        sigma = np.outer(loadings, loadings) + np.diag(unique)
        inverse, logdet = _inverse(sigma)
        slope = inverse - inverse @ sample @ inverse
        gradient = np.concatenate([2 * slope @ loadings, np.diag(slope)])
        return n * (logdet + float((sample * inverse).sum())), n * gradient

    found, value = _minimise(objective, _start(sample), _lower(k, 1))
    inverse, _ = _inverse(np.outer(found[:k], found[:k]) + np.diag(found[k:]))
    information = n / 2 * _expected(inverse, found[:k])
    return _model(found, information, value, scale, 1, k, n)


def two_level_factor(items: Floats, patient: Ints) -> FactorModel:
    """Fit one factor within patients and one between them, by maximum likelihood.

    Parameters
    ----------
    items : ndarray of shape (n, k)
        Complete answers of all sessions.
    patient : ndarray of int, shape (n,)
        Patient of each session, from 0 without gaps.

    Returns
    -------
    FactorModel
        Level 0 within, 1 between; the covariance from the observed information.

    Raises
    ------
    DesignError
        If there are too few items, patients or sessions, or an item does not vary.

    Notes
    -----
    With ``n_j`` sessions, ``S`` the sum of squares within and ``d_j`` the patient's mean minus μ, −2 log L is
    ``(n − J) log|W| + tr(W⁻¹S) + Σ_j log|V_j| + n_j d_j'V_j⁻¹d_j``, ``V_j = W + n_j B``; μ is profiled out.

    References
    ----------
    McDonald & Goldstein (1989), British Journal of Mathematical and Statistical Psychology, 42, 215-232. Geldhof,
    Preacher & Zyphur (2014), Psychological Methods, 19, 72-91.
    """
    n, k = items.shape
    n_patients = int(patient.max()) + 1
    _check(items, n_patients)
    if n - n_patients <= k:
        raise DesignError(
            f"{n} complete forms of {n_patients} patients cannot show how {k} items vary within patients. "
            "Bring more sessions."
        )
    scale = items.std(axis=0)
    levels = _Levels.of(items / scale, patient)
    start = np.concatenate([_start(levels.within / levels.df), _start(levels.moment_between())])
    found, value = _minimise(levels.objective, start, _lower(k, 2))
    information = _observed(levels.objective, found) / 2
    return _model(found, information, value, scale, 2, k, n_patients)


@dataclass(frozen=True)
class _Levels:
    """Sums of two levels: squares within, and means by number of sessions."""

    within: Floats
    df: int
    sizes: Floats
    means: tuple[Floats, ...]

    @classmethod
    def of(cls, items: Floats, patient: Ints) -> _Levels:
        counts = np.bincount(patient)
        totals = np.zeros((counts.size, items.shape[1]))
        np.add.at(totals, patient, items)
        means = totals / counts[:, None]
        around = items - means[patient]
        sizes = np.unique(counts)
        by_size = tuple(means[counts == size] for size in sizes)
        return cls(around.T @ around, items.shape[0] - counts.size, sizes.astype(float), by_size)

    def moment_between(self) -> Floats:
        """A positive definite guess at the covariance between patients."""
        means = np.concatenate(self.means)
        size = float(np.average(self.sizes, weights=[len(m) for m in self.means]))
        guess = np.cov(means, rowvar=False, bias=True) - self.within / self.df / size
        values, vectors = np.linalg.eigh(guess)
        return (vectors * np.maximum(values, 0.02)) @ vectors.T

    def objective(self, values: Floats) -> tuple[float, Floats]:
        """−2 log-likelihood and its gradient."""
        k = self.within.shape[0]
        (lw, uw), (lb, ub) = values[: 2 * k].reshape(2, k), values[2 * k :].reshape(2, k)
        w, b = np.outer(lw, lw) + np.diag(uw), np.outer(lb, lb) + np.diag(ub)
        inverse, logdet = _inverse(w)
        value = self.df * logdet + float((inverse * self.within).sum())
        slope_w = self.df * inverse - inverse @ self.within @ inverse
        slope_b = np.zeros_like(slope_w)
        parts = [_inverse(w + size * b) for size in self.sizes]
        mu = self._mean([inverse for inverse, _ in parts])
        for size, means, (inverse, logdet) in zip(self.sizes, self.means, parts, strict=True):
            off = (means - mu) @ inverse
            value += len(means) * logdet + size * float((off * (means - mu)).sum())
            slope = len(means) * inverse - size * off.T @ off
            slope_w += slope
            slope_b += size * slope
        gradient = [2 * slope_w @ lw, np.diag(slope_w), 2 * slope_b @ lb, np.diag(slope_b)]
        return value, np.concatenate(gradient)

    def _mean(self, inverses: list[Floats]) -> Floats:
        weight = sum(s * len(m) * v for s, m, v in zip(self.sizes, self.means, inverses, strict=True))
        total = sum(s * v @ m.sum(axis=0) for s, m, v in zip(self.sizes, self.means, inverses, strict=True))
        return np.linalg.solve(weight, total)


def _check(items: Floats, n: int) -> None:
    k = items.shape[1]
    if k < 3:
        raise DesignError(f"{k} items do not determine a factor. Omega needs three or more; use alpha.")
    if n <= k:
        raise DesignError(f"{n} forms or patients are too few for a factor of {k} items. Use alpha, or fewer items.")
    constant = np.flatnonzero(np.ptp(items, axis=0) == 0)
    if constant.size:
        raise DesignError(
            f"{constant.size} of {k} items do not vary (first at position {constant[0] + 1}). Leave them out."
        )


def _inverse(sigma: Floats) -> tuple[Floats, float]:
    root = np.linalg.cholesky(sigma)
    inverse = np.linalg.inv(root)
    return inverse.T @ inverse, 2 * float(np.log(np.diag(root)).sum())


def _start(sample: Floats) -> Floats:
    """Loadings from the first principal component of what items share."""
    variances = np.diag(sample)
    values, vectors = np.linalg.eigh(sample)
    first = vectors[:, -1] * np.sqrt(max(values[-1] - values[:-1].mean(), 0.1 * values[-1]))
    loadings = first if first.sum() >= 0 else -first
    unique = np.maximum(variances - loadings**2, 0.2 * variances)
    return np.concatenate([loadings, unique])


def _lower(k: int, n_levels: int) -> Floats:
    return np.tile(np.concatenate([np.full(k, -np.inf), np.full(k, _LEAST)]), n_levels)


def _minimise(
    objective: Callable[[Floats], tuple[float, Floats]], start: Floats, lower: Floats
) -> tuple[Floats, float]:
    from scipy.optimize import minimize

    def guarded(values: Floats) -> tuple[float, Floats]:
        try:
            return objective(values)
        except LinAlgError:
            return 1e300, np.zeros(values.size)

    bounds = [(None if np.isinf(low) else low, None) for low in lower]
    options = {"maxiter": 5000, "maxfun": 50000, "ftol": 1e-15, "gtol": 1e-8, "maxcor": 30}
    found = minimize(guarded, np.maximum(start, lower), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return _polished(objective, found.x, lower)


def _polished(objective: Callable[[Floats], tuple[float, Floats]], at: Floats, lower: Floats) -> tuple[Floats, float]:
    """Newton steps in the free parameters, as long as they lead down."""
    value, gradient = objective(at)
    for _ in range(20):
        free = (at > lower * (1 + 1e-9)) | (gradient < 0)
        hessian = _observed(objective, at)[np.ix_(free, free)]
        try:
            root = np.linalg.cholesky(hessian)
        except LinAlgError:
            break
        step = np.zeros_like(at)
        step[free] = -np.linalg.solve(root.T, np.linalg.solve(root, gradient[free]))
        following = np.maximum(at + step, lower)
        try:
            new, slopes = objective(following)
        except LinAlgError:
            break
        if not new <= value + 1e-10 * abs(value):
            break
        moved = float(np.abs(following - at).max())
        at, value, gradient = following, new, slopes
        if moved < 1e-10:
            break
    return at, value


def _observed(objective: Callable[[Floats], tuple[float, Floats]], at: Floats) -> Floats:
    """Second derivatives, from differences of the gradient."""
    rows = []
    for k in range(at.size):
        step = np.zeros(at.size)
        step[k] = _STEP * max(abs(at[k]), 0.1) if at[k] > 2 * _STEP else _LEAST / 4
        rows.append((objective(at + step)[1] - objective(at - step)[1]) / (2 * step[k]))
    hessian = np.array(rows)
    return (hessian + hessian.T) / 2


def _expected(inverse: Floats, loadings: Floats) -> Floats:
    """tr(Σ⁻¹ ∂ₐΣ Σ⁻¹ ∂ᵦΣ) for loadings and unique variances."""
    solved = inverse @ loadings
    both = 2 * (float(loadings @ solved) * inverse + np.outer(solved, solved))
    mixed = 2 * inverse * solved[None, :]
    return np.block([[both, mixed], [mixed.T, inverse**2]])


def _model(
    found: Floats, information: Floats, value: float, scale: Floats, n_levels: int, k: int, n: int
) -> FactorModel:
    parts = found.reshape(n_levels, 2, k)
    unit = np.tile(np.concatenate([scale, scale**2]), n_levels)
    free = found > np.where(np.isinf(_lower(k, n_levels)), -np.inf, 2 * _LEAST)
    covariance = np.full((found.size, found.size), np.nan)
    try:
        covariance[np.ix_(free, free)] = np.linalg.inv(information[np.ix_(free, free)])
    except LinAlgError as error:
        raise DesignError(
            f"The factor of {k} items is not determined by {n} forms or patients. Use alpha, or fewer items."
        ) from error
    unique = np.where(parts[:, 1] > 2 * _LEAST, parts[:, 1], 0.0)
    return FactorModel(parts[:, 0] * scale, unique * scale**2, covariance * np.outer(unit, unit), value, unique == 0)
