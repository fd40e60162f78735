"""Small-sample tests that several weighted sums of coefficients are 0 together, from a robust covariance.

All rest on the Wald statistic Q of the robust covariance and differ in the law that it is held against.

References
----------
Tipton & Pustejovsky (2015), Journal of Educational and Behavioral Statistics, 40, 604-634; Pan & Wall (2002),
Statistics in Medicine, 21, 1429-1441 (HTA, HTB); Zhang (2012), Metrika, 75, 1093-1117 (HTZ); Fai & Cornelius (1996),
Journal of Statistical Computation and Simulation, 54, 363-378 (EDF); Cai & Hayes (2008), Journal of Educational and
Behavioral Statistics, 33, 21-40 (EDT); Hill (1970), Communications of the ACM, 13, 617-619 (from t to z).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.pooling.robust import Robust
from alliance_stats.engine.pooling.small_roots import inverse_root

Floats = NDArray[np.floating[Any]]

TESTS = ("HTZ", "HTA", "HTB", "EDF", "EDT", "Naive-F", "chi-sq")
#: Fewer degrees of freedom along a direction have no variance of F; the reference takes them as this many.
FEWEST = 4.1


@dataclass(frozen=True)
class JointTest:
    """A joint test.

    Parameters
    ----------
    statistic, df_num, df_den : float, int, float
        F; infinite ``df_den`` for χ² over its degrees of freedom. Not positive where a Wishart law has fewer degrees
        of freedom than sums: there is no test then.
    raised : bool
        Whether degrees of freedom were raised to ``FEWEST``, which makes EDF too lenient.
    """

    statistic: float
    df_num: int
    df_den: float
    raised: bool = False


def joint_test(of: Robust, rows: Floats, beta: Floats, kind: str = "HTZ") -> JointTest:
    """Test that weighted sums of coefficients are all 0.

    Parameters
    ----------
    of : Robust
    rows : ndarray of shape (q, p)
        Linearly independent.
    beta : ndarray of shape (p,)
    kind : {"HTZ", "HTA", "HTB", "EDF", "EDT", "Naive-F", "chi-sq"}
        Hotelling's T² with the degrees of freedom that match the total variance of the covariance's elements (Z), or
        least squares between all covariances of its elements (A) or of those on and below its diagonal (B); F whose
        moments are those of the statistic along eigenvectors (EDF); normal deviates along them (EDT); F with J − 1
        degrees of freedom; χ².
    """
    q = len(rows)
    if kind == "HTZ":
        return JointTest(*of.hotelling(rows, beta))
    if kind in ("EDF", "EDT"):
        return _along_eigenvectors(of, rows, beta, kind)
    estimate = rows @ beta
    wald = float(estimate @ np.linalg.solve(rows @ of.covariance @ rows.T, estimate))
    if kind == "chi-sq":
        return JointTest(wald / q, q, float("inf"))
    if kind == "Naive-F":
        return JointTest(wald / q, q, of.n_clusters - 1.0)
    df = _wishart_df(covariances(of, rows), below=kind == "HTB")
    return JointTest((df - q + 1) / (df * q) * wald, q, df - q + 1)


def _parts(of: Robust, rows: Floats) -> tuple[Floats, Floats, Floats]:
    """Own and shared parts (n, q, q) of sums, and what joins clusters (n, d, q)."""
    own, across = of.parts(rows)
    return own, np.swapaxes(across, 1, 2) @ of.form @ across, across


def standardising(of: Robust, rows: Floats) -> Floats:
    """``Ω^(−½)``, Ω the expectation of the sums' robust covariance under the working model (q, q)."""
    own, shared, _ = _parts(of, rows)
    return inverse_root((own - shared).sum(axis=0))


def covariances(of: Robust, rows: Floats) -> Floats:
    """Covariances of the elements ``d_st`` and ``d_uv`` of the standardised robust covariance, (q, q, q, q) by s t u v.

    With cluster parts of covariance ``P_ij``, they are sums over i and j of ``P_ij[s,u] P_ij[t,v] + P_ij[s,v]
    P_ij[t,u]``; what joins two clusters is of rank d, so that sums run over clusters once.
    """
    own, shared, across = _parts(of, rows)
    root = inverse_root((own - shared).sum(axis=0))
    own, shared, across = root @ own @ root, root @ shared @ root, across @ root
    same = np.einsum("nsu,ntv->sutv", own, own, optimize=True)
    mixed = np.einsum("nsu,ntv->sutv", own, shared, optimize=True)
    total = np.einsum("nas,nct->asct", across, across, optimize=True)
    joined = np.einsum("ab,cd,bsdt->asct", of.form, of.form, total, optimize=True)
    crossing = np.einsum("asct,aucv->sutv", joined, total, optimize=True)
    pairs = same - mixed - mixed.transpose(2, 3, 0, 1) + crossing
    return np.asarray(np.einsum("sutv->stuv", pairs) + np.einsum("svtu->stuv", pairs))


def _wishart_df(found: Floats, below: bool) -> float:
    """Degrees of freedom η for which ``η cov(D)`` is nearest to the covariances of a Wishart matrix of the identity.

    ``below`` counts each element of D, and each pair of them, once; the reference then takes 2 as the variance of every
    element, also off the diagonal, where it is 1. To agree with published numbers, so does this.
    """
    q = len(found)
    if not below:
        # other covariances are 0 for a Wishart matrix
        fitting = np.einsum("stst->", found) + np.einsum("stts->", found)
        return float(fitting / (found**2).sum())
    places = np.tril_indices(q)
    once = np.tril(found[places][:, *places])
    return float(2 * np.trace(once) / (once**2).sum())


def _along_eigenvectors(of: Robust, rows: Floats, beta: Floats, kind: str) -> JointTest:
    """Tests from one t statistic per eigenvector of the standardised robust covariance."""
    q = len(rows)
    root = standardising(of, rows)
    values, vectors = np.linalg.eigh(root @ rows @ of.covariance @ rows.T @ root)
    directions = vectors.T @ root @ rows
    squares = (directions @ beta) ** 2 / values
    df = of.degrees_of_freedom(directions)
    if kind == "EDT":
        return JointTest(float((normal_deviates(np.sqrt(squares), df) ** 2).mean()), q, float("inf"))
    used = np.maximum(df, FEWEST)
    mean = (used / (used - 2)).sum()
    variance = 2 * (used**2 * (used - 1) / ((used - 2) ** 2 * (used - 4))).sum()
    scale = (mean**2 * (q - 2) + 2 * q * variance) / (mean * (variance + mean**2))
    left = q * variance - 2 * mean**2  # 0 where all degrees of freedom are infinite
    df_den = 4 + 2 * mean**2 * (q + 2) / left if left > 1e-12 * mean**2 else np.inf
    return JointTest(float(scale * squares.sum() / q), q, float(df_den), bool((df < FEWEST).any()))


def normal_deviates(t: Floats, df: Floats) -> Floats:
    """Normal deviates that are exceeded as often as t ≥ 0 is, by Hill's (1970) expansion."""
    a = df - 0.5
    b = 48 * a**2
    c = np.sqrt(a * np.log1p(t**2 / df))
    last = (4 * c**7 + 33 * c**5 + 240 * c**3 + 855 * c) / (10 * b * (b + 0.8 * c**4 + 100))
    return np.asarray(c + (c**3 + 3 * c) / b - last)
