"""Planned studies: how precise, in which groups, and what follows for a test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

QUESTIONS = ("mean", "groups", "slope", "heterogeneity")
TESTS = ("z", "knha", "CR2")


@dataclass(frozen=True, eq=False)
class Design:
    """What a meta-analysis is planned to be; see :func:`alliance_stats.meta.power`."""

    question: str
    effect: Floats
    v: Floats
    m: Floats
    tau: float
    omega: float
    rho: float
    shares: Floats
    moderator_sd: float
    test: str
    alpha: float
    alternative: str

    def with_tau(self, tau: float) -> Design:
        """The same with another τ."""
        return replace(self, tau=tau)

    @property
    def least(self) -> int:
        """Fewest studies that leave degrees of freedom."""
        if self.question == "groups":
            return max(len(self.effect) + 1, int(np.ceil(2 / self.shares.min())))
        return 3 if self.question == "slope" else 2

    def studies(self, k: int) -> tuple[Floats, Floats]:
        """Sampling variance and number of effects of each of k studies: evenly spread over those that were given."""
        order = np.lexsort((self.m, self.v))
        at = order[np.minimum(((np.arange(k) + 0.5) * self.v.size / k).astype(int), self.v.size - 1)]
        return self.v[at], self.m[at]

    def groups(self, k: int) -> NDArray[np.int_]:
        """Group of each of k studies, spread over the studies' precision."""
        ends = np.round(np.cumsum(self.shares) * k).astype(int)
        sizes = np.diff(np.r_[0, ends])
        # the group that is furthest behind its share comes next
        places = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes])
        return np.repeat(np.arange(sizes.size), sizes)[np.argsort(places, kind="stable")]

    def moderator(self, k: int) -> Floats:
        """Moderator of each of k studies: quantiles of a normal distribution, in an order of no meaning."""
        from scipy.special import ndtri

        x = ndtri((np.arange(k) + 0.5) / k)
        x *= self.moderator_sd / x.std()
        return np.asarray(np.random.default_rng(k).permutation(x))


@dataclass(frozen=True)
class Power:
    """Power with k studies, and what it comes from."""

    k: int
    n_effects: int
    value: float
    ncp: float
    df: float
    std_error: float


def analytic(of: Design, k: int) -> Power:
    """Power with k studies by formula."""
    from alliance_stats.engine.pooling import power as engine

    v, m = of.studies(k)
    n_effects = round(float(m.sum()))
    w = 1 / engine.study_variance(v, m, of.tau**2, of.omega**2, of.rho)
    error = float(1 / np.sqrt(w.sum()))
    if of.question == "heterogeneity":
        return Power(k, n_effects, engine.q_power(v, of.tau**2, of.alpha), float("nan"), float(k - 1), error)
    if of.question == "groups":
        group = of.groups(k)
        parts = [w[group == g] for g in range(len(of.effect))]
        sums = np.array([part.sum() for part in parts])
        ncp = float(sums @ (of.effect - sums @ of.effect / sums.sum()) ** 2)
        q = len(parts) - 1
        df = {"z": float("inf"), "knha": float(k - q - 1)}.get(of.test, 0.0)
        if of.test == "CR2":
            df = engine.hotelling_df(parts) - q + 1
        value = engine.f_power(ncp, q, df, of.alpha) if df > 0 else 0.0
        return Power(k, n_effects, value, ncp, df, error)
    if of.question == "slope":
        x = of.moderator(k)
        error = float(1 / np.sqrt(w @ (x - w @ x / w.sum()) ** 2))
        df = {"z": float("inf"), "knha": float(k - 2)}.get(of.test) or _slope_df(x, w)
    else:
        df = {"z": float("inf"), "knha": float(k - 1)}.get(of.test) or engine.robust_df(w)
    ncp = float(of.effect[0]) / error
    return Power(k, n_effects, engine.t_power(ncp, df, of.alpha, of.alternative), ncp, df, error)


def _slope_df(x: Floats, w: Floats) -> float:
    """Satterthwaite degrees of freedom of CR2 for the slope over a moderator of studies."""
    from alliance_stats.engine.pooling.robust import Clusters, robust_covariance

    design = np.column_stack([np.ones(x.size), x])
    inverse = np.linalg.inv((design.T * w) @ design)
    places = np.arange(x.size)[:, None]
    clusters = Clusters(design, np.zeros(x.size), inverse, [places], lambda at: 1 / w[at][:, :, None])
    return float(robust_covariance(clusters, "CR2").degrees_of_freedom(np.array([[0.0, 1.0]]))[0])


def fewest(of: Design, target: float, most: int) -> int | None:
    """The smallest number of studies with that power; None if there is none up to ``most``."""
    low, high = of.least, of.least
    while analytic(of, high).value < target:
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if analytic(of, middle).value >= target else (middle, high)
    return low if analytic(of, low).value >= target else high
