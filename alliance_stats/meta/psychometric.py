"""Psychometric meta-analysis: correlations corrected for measurement error and range restriction."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, DesignError, did_you_mean
from alliance_stats.meta.columns import refuse
from alliance_stats.meta.psychometric_result import ArtefactsResult, Asked
from alliance_stats.meta.psychometric_rows import (
    GROUPS,
    Rows,
    Scheme,
    Source,
    as_distributions,
    fill,
    of_each,
    take_rows,
)
from alliance_stats.meta.settings import check_level

METHODS = ("bare-bones", "individual", "distributions")


def artefacts(
    frame: pd.DataFrame,
    r: str = "r",
    n: str = "n",
    *,
    rxx: Source | None = None,
    ryy: Source | None = None,
    ux: Source | None = None,
    restriction: str | None = None,
    rxx_group: str = "restricted",
    ryy_group: str = "restricted",
    u_scores: str = "observed",
    method: str | None = None,
    distribution: str = "taylor",
    missing: str | None = None,
    artefact_weights: str = "equal",
    unbiased: bool = False,
    test: str = "t",
    level: float = 0.95,
    credibility: float = 0.80,
) -> ArtefactsResult:
    """Correct correlations for artefacts, and pool them after Hunter and Schmidt.

    Parameters
    ----------
    frame : DataFrame
        One row per correlation; ``study`` if known. A frame of :func:`effect_sizes` or :func:`read_effects` does: a
        correlation that it turned round (``higher=``) is taken with the sign of ``yi``.
    r, n : str
        Columns of correlations and sample sizes (4 or more).
    rxx, ryy : str, float or mapping, optional
        Reliability of x and of y: a column (missing where a study reports none), one value for all, or a distribution
        known from elsewhere, ``{value: how often}``. What is left out is not corrected for. With
        ``method="distributions"``, rows without a correlation still tell about artefacts.
    ux : str, float or mapping, optional
        Range restriction: standard deviation of x in the study over that in the population of interest.
    restriction : {"direct", "indirect"}
        Must be said with ``ux``: selection on x itself (Case II), or on the true x or something that goes with it
        (Case IV). The two give quite different answers.
    rxx_group, ryy_group : {"restricted", "unrestricted"}
        The group that the reliabilities were found in: each study's own (default), or the population of interest.
    u_scores : {"observed", "true"}
        ``ux`` is about observed scores (default) or, with indirect restriction, about true scores.
    method : {"bare-bones", "individual", "distributions"}, optional
        Correct nothing but sampling error; each correlation by its own artefacts; the mean and variance by
        distributions of artefacts. By default the first if no artefact is named, the second if every study reports all
        that are named, else the third.
    distribution : {"taylor", "interactive", "multiplicative"}
        How differences in artefacts become variance of r: by derivatives at the mean artefacts; over all combinations
        of values; as a product of independent factors (not for indirect restriction).
    missing : {"mean"}, optional
        With ``method="individual"``: what to put where an artefact is missing. By default such rows are refused.
    artefact_weights : {"equal", "n"}
        Weight of each reported value in its distribution.
    unbiased : bool
        Multiply the observed variance by k/(k − 1). Without it the variance of ρ is too small with few studies.
    test : {"t", "z"}
        Interval and test of the mean: t with k − 1 degrees of freedom, or normal.
    level, credibility : float
        Level of the confidence intervals, and share of true correlations in the credibility interval, which stands in
        ``pi_low`` and ``pi_high``.

    Returns
    -------
    ArtefactsResult

    Raises
    ------
    ColumnError
        If a column is not there.
    DataError
        If correlations, sample sizes or artefacts are impossible, alone or together, or an argument is not known.
    DesignError
        If studies lack artefacts that the method needs.

    References
    ----------
    Hunter & Schmidt (2004), Methods of meta-analysis (2nd ed.); Schmidt & Hunter (2015; 3rd ed.); Hunter, Schmidt &
    Le (2006), Journal of Applied Psychology, 91, 594-612 (Case IV); Raju & Burke (1983), Journal of Applied Psychology,
    68, 382-395 (Taylor series); Callender & Osburn (1980), Journal of Applied Psychology, 65, 543-558 (multiplicative).
    """
    from alliance_stats.engine.pooling import hunter_schmidt as hs

    sources = {"rxx": rxx, "ryy": ryy, "ux": ux}
    scheme = _scheme(sources, restriction, rxx_group, ryy_group, u_scores)
    _check(method, distribution, missing, artefact_weights, test, scheme)
    check_level(level)
    if not 0 < credibility < 1:
        raise DataError(f"credibility is {credibility!r}; it lies between 0 and 1, e.g. 0.80.")
    rows = take_rows(frame, r, n, sources)
    chosen = _chosen(method, rows)
    asked = Asked(chosen, distribution, scheme, test, level, credibility, unbiased)
    used, cases = rows.r[rows.used], rows.n[rows.used]
    plain = hs.bare_bones(used, cases, unbiased)
    if chosen == "bare-bones":
        return ArtefactsResult(asked, rows, plain, plain)
    if chosen == "distributions":
        given = as_distributions(rows, scheme, artefact_weights == "n")
        found = hs.distributions(plain, given, distribution, scheme.indirect, scheme.y_whole)
        _check_mean(found.rho, used)
        return ArtefactsResult(asked, rows, plain, found.observed, given=given, found=found)
    values, n_filled = _complete(rows, missing)
    own = of_each(rows, values, scheme)
    spread, factor = hs.individual(used, cases, own, unbiased)
    refuse(
        frame.loc[rows.used],
        np.isnan(spread.y) | np.isnan(spread.v),
        "correlations cannot come from these artefacts",
        "They exceed 1 before the range restriction is undone. Correct the reliabilities, ux, or r.",
        used,
    )
    return ArtefactsResult(asked, rows, plain, spread, own=own, factor=factor, n_filled=n_filled)


def _scheme(
    sources: Mapping[str, Source | None], restriction: str | None, rxx_group: str, ryy_group: str, u_scores: str
) -> Scheme:
    if restriction not in (None, "direct", "indirect"):
        raise DataError(f"No restriction {restriction!r}. {did_you_mean(restriction, ('direct', 'indirect'))}")
    for name, group in (("rxx_group", rxx_group), ("ryy_group", ryy_group)):
        if group not in GROUPS:
            raise DataError(f"No {name} {group!r}. {did_you_mean(group, GROUPS)}")
    if u_scores not in ("observed", "true"):
        raise DataError(f"No u_scores {u_scores!r}. {did_you_mean(u_scores, ('observed', 'true'))}")
    if (sources["ux"] is None) != (restriction is None):
        given, other = ("restriction", "ux") if sources["ux"] is None else ("ux", "restriction")
        raise DataError(
            f"{given}= was given without {other}=. Name the ratio of standard deviations with ux=, and say whether "
            "people were selected on x itself (restriction='direct') or on something else (restriction='indirect')."
        )
    if u_scores == "true" and restriction != "indirect":
        raise DataError(
            "u_scores='true' goes with restriction='indirect' only: direct selection is on observed scores."
        )
    return Scheme(restriction, rxx_group, ryy_group, u_scores)


def _check(method: str | None, distribution: str, missing: str | None, weights: str, test: str, scheme: Scheme) -> None:
    from alliance_stats.engine.pooling.hunter_schmidt import DISTRIBUTIONS

    known = {
        "method": (method, (None, *METHODS)),
        "distribution": (distribution, DISTRIBUTIONS),
        "missing": (missing, (None, "mean")),
        "artefact_weights": (weights, ("equal", "n")),
        "test": (test, ("t", "z")),
    }
    for name, (value, allowed) in known.items():
        if value not in allowed:
            raise DataError(f"No {name} {value!r}. {did_you_mean(str(value), [str(a) for a in allowed if a])}")
    if distribution == "multiplicative" and scheme.indirect:
        raise DataError("Indirect restriction is no product of independent factors. Use distribution='taylor'.")


def _chosen(method: str | None, rows: Rows) -> str:
    """The method, by default from what the studies report."""
    if not rows.given and not rows.stated:
        if method in ("individual", "distributions"):
            raise DataError(f"method={method!r} corrects for artefacts, and 0 were named. Name rxx=, ryy= or ux=.")
        return "bare-bones"
    if method is None:
        return "distributions" if rows.stated or rows.n_incomplete else "individual"
    if method == "individual" and rows.stated:
        raise DataError(f"{next(iter(rows.stated))}= is a distribution; single studies have none of their own. "
                        "Use method='distributions', or one value for all.")  # fmt: skip
    return method


def _complete(rows: Rows, missing: str | None) -> tuple[Mapping[str, np.ndarray], int]:
    if not rows.n_incomplete:
        return rows.given, 0
    if missing == "mean":
        return fill(rows)
    lacking = np.any([np.isnan(values) for values in rows.given.values()], axis=0) & rows.used
    first = rows.frame.index[int(np.argmax(lacking))]
    raise DesignError(
        f"{rows.n_incomplete} of {int(rows.used.sum())} studies lack an artefact (first at row {first}). Use "
        "method='distributions', or missing='mean' to put the mean of the others there."
    )


def _check_mean(rho: float, r: np.ndarray) -> None:
    if np.isnan(rho):
        raise DataError(
            f"The mean of {r.size} correlations cannot come from the mean artefacts: it exceeds 1 before the range "
            "restriction is undone. Correct the reliabilities or ux."
        )
