"""Meta-regression with one variance between studies: coefficients, tests, heterogeneity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from alliance_stats.engine.lazy import lazy
from alliance_stats.engine.pooling.large import one_thread
from alliance_stats.engine.pooling.likelihood import drop_points, log_likelihood
from alliance_stats.engine.pooling.sets import Subsets
from alliance_stats.engine.pooling.sums import Effects, prepare, solve
from alliance_stats.engine.pooling.univariate import estimate_tau2, solve_q, tau2_error

Floats = NDArray[np.floating[Any]]

#: Estimators of τ²; FE is another name of EE.
METHODS = ("EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM")
TESTS = ("z", "t", "knha", "adhoc")


@dataclass(frozen=True)
class Regression:
    """A fitted meta-regression (one column of ones: the pooled effect).

    Parameters
    ----------
    effects : Effects
    method, test : str
    tau2 : float
        Between-study variance, in squared units of the effects.
    beta : ndarray of shape (p,)
    covariance : ndarray of shape (p, p)
        Of the coefficients, with the factor ``scale`` in it.
    scale : float
        Knapp and Hartung's factor (1 for z and t).
    df : float
        Degrees of freedom of the tests; infinite for z.
    q_df : int
        Degrees of freedom of Cochran's Q.
    converged : bool
    """

    effects: Effects
    method: str
    test: str
    tau2: float
    beta: Floats
    covariance: Floats
    scale: float
    df: float
    q_df: int
    converged: bool

    @lazy
    def _fixed(self) -> tuple[float, float]:
        """Q and the trace of P at τ² = 0."""
        at = solve(self.effects, np.zeros(1))
        return float(at.q[0]), float(at.trace_p[0])

    @lazy
    def q(self) -> float:
        """Cochran's Q of the residuals at τ² = 0."""
        return max(self._fixed[0], 0.0) if self.q_df > 0 else 0.0  # rounding may leave it below 0

    @lazy
    def typical_v(self) -> float:
        """The "typical" sampling variance of Higgins & Thompson (2002)."""
        return self.q_df / self._fixed[1] if self.q_df > 0 else float("nan")

    @lazy
    def tau2_error(self) -> float:
        """Standard error of τ² by its large-sample variance; NaN where none is known."""
        if self.q_df <= 0:
            return float("nan")
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            error = tau2_error(self.effects, self.method, self.tau2)
        return error if np.isfinite(error) else float("nan")  # beyond the range of numbers

    @property
    def i2(self) -> float:
        """Share of the variation that is not sampling error, in per cent."""
        if self.q_df == 0:
            return 0.0
        if self.method == "EE":
            return 100 * max(0.0, 1 - self.q_df / self.q) if self.q > 0 else 0.0
        return 100 * self.tau2 / (self.typical_v + self.tau2)

    @property
    def h2(self) -> float:
        """Total variation over sampling error."""
        if self.q_df == 0:
            return 1.0
        return self.q / self.q_df if self.method == "EE" else self.tau2 / self.typical_v + 1

    def heterogeneity(self, tau2: float) -> tuple[float, float]:
        """I² (per cent) and H² at another τ²."""
        return 100 * tau2 / (self.typical_v + tau2), tau2 / self.typical_v + 1

    def log_likelihood(self, restricted: bool) -> float:
        """Log-likelihood at the estimates."""
        return float(log_likelihood(self.effects, np.array([self.tau2]), restricted)[0])


def fit_regression(y: Floats, v: Floats, x: Floats, method: str = "REML", test: str = "z") -> Regression:
    """Fit a meta-regression.

    Parameters
    ----------
    y, v : ndarray of shape (k,)
        Effects and sampling variances.
    x : ndarray of shape (k, p)
        Moderators, with a column of ones for the intercept; of full rank.
    method : str
        One of ``METHODS``.
    test : {"z", "t", "knha", "adhoc"}
        Normal; t with k − p degrees of freedom; Knapp and Hartung's standard errors with t; and these with a factor
        that is never below 1.

    References
    ----------
    Knapp & Hartung (2003), Statistics in Medicine, 22, 2693-2710; Viechtbauer (2010), Journal of Statistical Software,
    36(3).
    """
    with one_thread(y.size):
        return _fit(y, v, x, method, test)


def _fit(y: Floats, v: Floats, x: Floats, method: str, test: str) -> Regression:
    effects = prepare(y, v, x)
    spare = effects.k - effects.p
    estimate = estimate_tau2(Subsets(effects), method)
    tau2 = float(estimate.value[0])
    at = solve(effects, estimate.value)
    scale = knapp_hartung(float(at.q[0]), spare, test)
    return Regression(
        effects,
        method,
        test,
        tau2,
        effects.coefficients(at.beta[0]),
        effects.covariance(at.inverse[0]) * scale,
        scale,
        np.inf if test == "z" else float(spare),
        spare,
        bool(estimate.converged[0]),
    )


def knapp_hartung(q: float, spare: int, test: str) -> float:
    """Factor of the coefficients' covariance: q at the estimated weights over k − p, or 1."""
    if test in ("z", "t") or spare <= 0:
        return 1.0
    scale = q / spare
    return max(1.0, scale) if test == "adhoc" else scale


def q_profile(fit: Regression, level: float = 0.95) -> tuple[float, float]:
    """Interval of τ² by the Q-profile method: where q(τ²) meets the quantiles of its χ² distribution.

    Returns
    -------
    low, high : float
        ``low`` is 0 where q(0) lies below the upper quantile. Both are NaN where q(0) lies below the lower one: the
        effects then vary less than any τ² ≥ 0 explains, and the interval is empty. An end that was not found is NaN.

    References
    ----------
    Viechtbauer (2007), Statistics in Medicine, 26, 37-52.
    """
    if fit.q_df <= 0:
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    target = np.array([chdtri(fit.q_df, tail), chdtri(fit.q_df, 1 - tail)])
    if fit.q < target[1]:
        return float("nan"), float("nan")
    found, good = solve_q(Subsets(fit.effects, np.ones((2, fit.effects.k), bool)), target)
    low, high = np.where(good, found, np.nan)
    return float(low), float(high)


def profile_likelihood(fit: Regression, level: float = 0.95) -> tuple[float, float]:
    """Interval of τ² by the profile likelihood (restricted, unless the method is ML)."""
    restricted = fit.method != "ML"
    tau2 = fit.tau2
    if fit.method not in ("ML", "REML"):
        tau2 = float(estimate_tau2(Subsets(fit.effects), "REML").value[0])
    return drop_points(fit.effects, tau2, restricted, 0.5 * float(chdtri(1, 1 - level)))
