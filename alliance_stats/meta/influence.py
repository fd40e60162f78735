"""Which effects and studies the result hangs on: left out one at a time, taken in one after the other, in subsets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, DesignError, count
from alliance_stats.meta.columns import refuse, require
from alliance_stats.meta.levels import EFFECT_LEVEL, Ints
from alliance_stats.meta.multilevel_result import MultilevelResult
from alliance_stats.meta.pool import pool
from alliance_stats.meta.pooled_result import UnivariateResult, arrays
from alliance_stats.meta.sensitivity import SensitivityFrame
from alliance_stats.meta.tidy import coefficients_table

if TYPE_CHECKING:
    from alliance_stats.engine.pooling.many_fits import ManyFits


def leave_one_out(
    effects: pd.DataFrame | UnivariateResult | MultilevelResult,
    method: str = "REML",
    test: str = "z",
    *,
    by: str | None = None,
) -> SensitivityFrame:
    """Fit again without each effect, or without each study.

    Parameters
    ----------
    effects : DataFrame or result
        Effects to pool, or a result of :func:`pool`, :func:`regress` or :func:`multilevel`, fitted again as it was.
    method, test : str
        For a frame, as in :func:`pool`.
    by : str, optional
        Column whose groups are left out whole, such as ``"study"``; by default single effects, and for a multilevel
        result its clusters (``"effect"`` for single effects).

    Returns
    -------
    SensitivityFrame
        ``left_out, k``, the columns of ``table()`` (a row for each coefficient), then ``q, q_p, tau2, i2, h2``; with
        several levels their variances instead. Values are missing where the rest cannot tell the coefficients apart.
    """
    if isinstance(effects, MultilevelResult):
        from alliance_stats.meta.multilevel_influence import leave_clusters_out

        return SensitivityFrame.of(leave_clusters_out(effects, by), effects, "leave_one_out")
    result = effects if isinstance(effects, UnivariateResult) else pool(effects, method, test)
    if len(result.effects) < 2:
        raise DesignError("1 effect: none can be left out.")
    labels, codes = _groups(result.effects, by)
    fits = _without_each(result, codes)
    return SensitivityFrame.of(_table(result, fits, "left_out", labels), result, "leave_one_out")


def _groups(effects: pd.DataFrame, by: str | None) -> tuple[list[object], Ints]:
    if by is None or (by == EFFECT_LEVEL and by not in effects.columns):  # every row is an effect of its own
        return list(effects.index), np.arange(len(effects))
    require(effects, by)
    missing = effects[by].isna().to_numpy()
    refuse(effects, missing, f"values of {by!r} are missing", "Fill them in, or leave these effects out.")
    codes, labels = pd.factorize(effects[by])
    if len(labels) < 2:
        raise DesignError(f"{by!r} has {count(len(labels), 'group')}: none can be left out.")
    return list(labels), codes


def _without_each(result: UnivariateResult, codes: Ints) -> ManyFits:
    from alliance_stats.engine.pooling.many_fits import fit_sets
    from alliance_stats.engine.pooling.sets import LeftOut

    fit = result.fit
    return fit_sets(LeftOut(fit.effects, codes), fit.method, fit.test, fit.tau2)


def _table(result: UnivariateResult, fits: ManyFits, name: str, labels: Sequence[object]) -> pd.DataFrame:
    from scipy.special import chdtrc

    n, p = fits.beta.shape
    spare = fits.k - p
    error = np.sqrt(np.diagonal(fits.covariance, axis1=1, axis2=2))
    df = np.full(n, np.inf) if result.fit.test == "z" else np.maximum(spare, 0.0)
    terms = [*result.part.names] * n
    table = coefficients_table(terms, fits.beta.ravel(), error.ravel(), np.repeat(df, p), result.level)
    table.insert(0, name, pd.Series([label for label in labels for _ in range(p)]))
    table.insert(1, "k", np.repeat(fits.k.astype(np.int64), p))
    more = {"q": fits.q, "q_p": np.where(spare > 0, chdtrc(np.maximum(spare, 1), fits.q), 1.0)}
    more |= {"tau2": fits.tau2, "i2": fits.i2, "h2": fits.h2}
    return table.assign(**{column: np.repeat(values, p) for column, values in more.items()})


def influence(result: UnivariateResult | MultilevelResult | pd.DataFrame) -> SensitivityFrame:
    """How much each effect (for several levels: each cluster) moves the fit.

    Parameters
    ----------
    result : result or DataFrame
        Of :func:`pool`, :func:`regress` or :func:`multilevel`; a frame of effects is pooled first.

    Returns
    -------
    SensitivityFrame
        A row per effect: ``rstudent`` (its residual from the fit without it, over its standard error), ``dffits``,
        ``cook_d``, ``cov_ratio``, ``tau2``, ``q`` (without it), ``hat``, ``weight`` (per cent), ``dfbetas: …`` for each
        coefficient, and ``influential``. For several levels a row per cluster: ``cook_d``, ``dfbetas: …`` and the
        variances without it.

    Notes
    -----
    ``influential`` is true beyond any of: dffits beyond ±3√(p/(k − p)); the lower tail of χ²ₚ at Cook's distance above
    1/2; hat > 3p/k; any dfbetas beyond ±1.

    References
    ----------
    Viechtbauer & Cheung (2010), Research Synthesis Methods, 1, 112-125.
    """
    if isinstance(result, MultilevelResult):
        from alliance_stats.meta.multilevel_influence import cluster_influence

        return SensitivityFrame.of(cluster_influence(result), result, "influence")
    result = result if isinstance(result, UnivariateResult) else pool(result)
    from alliance_stats.engine.pooling.deletion import deletion_diagnostics

    y, _ = arrays(result.effects)
    k = len(y)
    if k - len(result.part.names) < 2:
        raise DesignError(
            f"{count(k, 'effect')} and {count(len(result.part.names), 'coefficient')}: none can be left out."
        )
    fits = _without_each(result, np.arange(k))
    found = deletion_diagnostics(result.fit, y, result.part.matrix, fits)
    columns: dict[str, object] = {name: getattr(found, name) for name in ("rstudent", "dffits", "cook_d", "cov_ratio")}
    columns |= {"tau2": fits.tau2, "q": fits.q, "hat": found.hat, "weight": result.weights().to_numpy()}  # type: ignore[attr-defined]
    columns |= {f"dfbetas: {name}": found.dfbetas[:, at] for at, name in enumerate(result.part.names)}
    frame = pd.DataFrame(columns, index=result.effects.index)
    return SensitivityFrame.of(frame.assign(influential=found.influential), result, "influence")


def cumulative(
    effects: pd.DataFrame,
    order: str | None = None,
    method: str = "REML",
    test: str = "z",
    *,
    level: float = 0.95,
) -> SensitivityFrame:
    """Pool the first effect, the first two, and so on.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``.
    order : str, optional
        Column to sort by, such as ``"year"``; rows that tie keep their order. By default the order of the frame.
    method, test, level
        As in :func:`pool`.

    Returns
    -------
    SensitivityFrame
        ``added`` (the row's index), ``k``, the columns of ``table()``, ``q, q_p, tau2, i2, h2``.
    """
    from alliance_stats.engine.pooling.many_fits import fit_growing

    if order is not None:
        effects = _sorted(effects, order)
    result = pool(effects, method, test, level=level)
    fits = fit_growing(result.fit.effects, result.fit.method, test)
    return SensitivityFrame.of(_table(result, fits, "added", list(result.effects.index)), result, "cumulative")


def _sorted(effects: pd.DataFrame, order: str) -> pd.DataFrame:
    require(effects, order)
    missing = effects[order].isna().to_numpy()
    refuse(effects, missing, f"values of {order!r} are missing", "Fill them in, or leave these effects out.")
    try:
        return effects.sort_values(order, kind="stable")
    except TypeError:
        kinds = ", ".join(sorted({type(value).__name__ for value in effects[order]}))
        raise DataError(
            f"{count(len(effects), 'value')} of {order!r} cannot be put in order, being of different kinds ({kinds}). "
            "Write all of them as numbers, or all as text."
        ) from None


def baujat(result: UnivariateResult | pd.DataFrame) -> SensitivityFrame:
    """How much each effect adds to heterogeneity, and how much it moves the mean.

    Returns
    -------
    SensitivityFrame
        ``heterogeneity`` (squared Pearson residual), ``influence`` (squared change of its predicted effect when left
        out, over that prediction's variance), indexed as the effects.

    References
    ----------
    Baujat et al. (2002), Statistics in Medicine, 21, 2641-2652.
    """
    result = result if isinstance(result, UnivariateResult) else pool(result)
    y, v = arrays(result.effects)
    if len(y) < 2:
        raise DesignError("1 effect: none can be left out.")
    x = result.part.matrix
    fitted = x @ result.fit.beta
    fits = _without_each(result, np.arange(len(y)))
    moved = fitted - np.einsum("ip,ip->i", x, fits.beta)
    spread = np.einsum("ip,ipq,iq->i", x, fits.covariance, x)
    columns = {"heterogeneity": (y - fitted) ** 2 / (v + result.fit.tau2), "influence": moved**2 / spread}
    return SensitivityFrame.of(pd.DataFrame(columns, index=result.effects.index), result, "baujat")


def gosh(
    effects: pd.DataFrame,
    method: str = "REML",
    *,
    n: int = 100_000,
    seed: int | np.random.Generator = 0,
    progress: bool = True,
) -> SensitivityFrame:
    """Pool subsets of the effects: a graphical look at heterogeneity.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``.
    method : str
        As in :func:`pool`.
    n : int
        Subsets drawn at random, all equally likely; where there are no more than ``n`` of at least two effects, each is
        taken once.
    seed : int or Generator
    progress : bool
        Show a bar on the standard error when it takes more than 2 seconds.

    Returns
    -------
    SensitivityFrame
        ``k, estimate, tau2, i2, q``, a row per subset. ``.attrs["keep"]`` says which effects it holds:
        ``numpy.unpackbits(keep, axis=1, count=k)``.

    References
    ----------
    Olkin, Dahabreh & Trikalinos (2012), Research Synthesis Methods, 3, 214-223.
    """
    from alliance_stats.engine.pooling.many_fits import fit_sets, joined, pieces
    from alliance_stats.engine.pooling.sets import Subsets

    result = pool(effects, method)
    k = len(result.effects)
    if k < 3:
        raise DesignError(f"{count(k, 'effect')}: subsets need at least 3.")
    if n < 1:
        raise DataError(f"{n} subsets are none. Ask for 100000.")
    total = 2**k - k - 1 if k <= 30 else n + 1
    every = total <= n
    generator = np.random.default_rng(seed)
    fits, packed = [], []
    for at in _with_bar(list(pieces(total if every else n, k)), progress):
        keep = _every_subset(k)[at] if every else _random_subsets(k, at.stop - at.start, generator)
        packed.append(np.packbits(keep, axis=1))
        fits.append(fit_sets(Subsets(result.fit.effects, keep), result.fit.method, "z"))
    found = joined(fits)
    frame = pd.DataFrame({"k": found.k.astype(np.int64), "estimate": found.beta[:, 0], "tau2": found.tau2})
    frame = frame.assign(i2=found.i2, q=found.q)
    frame.attrs["keep"] = np.concatenate(packed)
    return SensitivityFrame.of(frame, result, "gosh")


def _every_subset(k: int) -> np.ndarray:
    """All subsets of at least two effects."""
    bits = (np.arange(2**k)[:, None] >> np.arange(k)) & 1
    return bits[bits.sum(axis=1) >= 2] == 1


def _random_subsets(k: int, n: int, generator: np.random.Generator) -> np.ndarray:
    """Subsets of at least two effects, all equally likely."""
    found = generator.random((n, k)) < 0.5
    small = found.sum(axis=1) < 2
    while small.any():
        found[small] = generator.random((int(small.sum()), k)) < 0.5
        small = found.sum(axis=1) < 2
    return found


def _with_bar(parts: list[slice], progress: bool):  # type: ignore[no-untyped-def]
    if not progress or len(parts) < 2:
        return parts
    from tqdm import tqdm

    return tqdm(parts, desc="Subsets", unit="piece", delay=2, leave=False)
