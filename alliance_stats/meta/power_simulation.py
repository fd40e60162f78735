"""Power by simulation: effects drawn from the plan, analysed as they would be."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.meta.power_design import Design, Floats, Ints


def simulated(of: Design, k: int, n: int, seed: int) -> float:
    """Share of n simulated meta-analyses of k studies whose test rejects."""
    rng = np.random.default_rng(seed)
    v, m = of.studies(k)
    if of.question == "heterogeneity":
        return _rejected_q(of, v, n, rng)
    n_effects = np.maximum(np.round(m).astype(int), 1)
    means, x = _means(of, k)
    test = _robust if of.test == "CR2" else _plain
    return float(np.mean([test(of, v, n_effects, means, x, rng) for _ in range(n)]))


def _means(of: Design, k: int) -> tuple[Floats, Floats]:
    """Expected effect of each study, and the columns of its moderators."""
    if of.question == "groups":
        group = of.groups(k)
        return of.effect[group], (group[:, None] == np.arange(1, len(of.effect))).astype(float)
    if of.question == "slope":
        x = of.moderator(k)
        return of.effect[0] * x, x[:, None]
    return np.full(k, of.effect[0]), np.empty((k, 0))


def _rejected_q(of: Design, v: Floats, n: int, rng: np.random.Generator) -> float:
    from scipy.special import chdtri

    y = rng.normal(size=(n, v.size)) * np.sqrt(v + of.tau**2)
    mean = (y / v).sum(axis=1) / (1 / v).sum()
    q = ((y - mean[:, None]) ** 2 / v).sum(axis=1)
    return float((q > chdtri(v.size - 1, of.alpha)).mean())


def _plain(of: Design, v: Floats, m: Ints, means: Floats, x: Floats, rng: np.random.Generator) -> bool:
    """One effect per study; τ² by restricted maximum likelihood."""
    from alliance_stats.engine.distributions import f_p_value, t_p_value
    from alliance_stats.engine.pooling.regression import fit_regression

    y = means + rng.normal(size=v.size) * np.sqrt(v + of.tau**2 + of.omega**2)
    design = np.column_stack([np.ones(v.size), x])
    method = "REML" if of.tau or of.omega or of.test == "knha" else "EE"
    fit = fit_regression(y, v, design, method, of.test)
    if of.question == "groups":
        b, covariance = fit.beta[1:], fit.covariance[1:, 1:]
        return f_p_value(float(b @ np.linalg.solve(covariance, b)) / b.size, b.size, fit.df) < of.alpha
    statistic = float(fit.beta[-1] / np.sqrt(fit.covariance[-1, -1]))
    return _rejects(of, statistic, float(t_p_value(statistic, fit.df)))


def _rejects(of: Design, statistic: float, p: float) -> bool:
    if of.alternative == "two-sided":
        return p < of.alpha
    return p / 2 < of.alpha and (statistic > 0) == (of.alternative == "greater")


def _robust(of: Design, v: Floats, m: Ints, means: Floats, x: Floats, rng: np.random.Generator) -> bool:
    """Correlated and hierarchical effects with CR2, as :func:`multilevel` fits them."""
    from alliance_stats.errors import DesignError
    from alliance_stats.meta.multilevel import multilevel

    study = np.repeat(np.arange(v.size), m)
    shared = of.tau * rng.normal(size=v.size) + np.sqrt(of.rho * v) * rng.normal(size=v.size)
    own = np.sqrt(of.omega**2 + (1 - of.rho) * v[study]) * rng.normal(size=study.size)
    frame = pd.DataFrame({"study": study, "yi": (means + shared)[study] + own, "vi": v[study]})
    names = [f"x{place}" for place in range(x.shape[1])]
    for place, name in enumerate(names):
        frame[name] = x[study, place]
    random = "study/effect" if study.size > v.size else "study"
    fit = multilevel(frame, random, mods=" + ".join(names) or None, rho=of.rho)
    if of.question == "groups" and len(names) > 1:
        rows = np.eye(len(names) + 1)[1:]
        try:
            p = float(fit.uncertainty.joint("", rows, fit.beta)["p_value"].iloc[0])
        except DesignError:
            return False
        return p < of.alpha
    row = fit.table().iloc[-1]
    two_sided = of.question == "groups" or of.alternative == "two-sided"
    p = float(row["p_value"])
    return p < of.alpha if two_sided else _rejects(of, float(row["statistic"]), p)
