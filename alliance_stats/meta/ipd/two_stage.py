"""Two-stage meta-analysis of patients' data."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, DesignError, count, did_you_mean
from alliance_stats.meta.ipd.first_stage import (
    CORRELATION,
    Model,
    Sessions,
    StudyFit,
    fit_study,
    model_of,
    studies_of,
)
from alliance_stats.meta.ipd.result import Multivariate, TwoStageResult
from alliance_stats.meta.pool import PooledResult, pool
from alliance_stats.meta.settings import check_level
from alliance_stats.names import ALLIANCE, PATIENT, SITE, between, previous, within

_STRUCTURES = ("unstructured", "diagonal")


def two_stage(
    sessions_by_study: Mapping[Hashable, Sessions] | Sessions,
    model: str | Model = "within_between",
    terms: str | Sequence[str] | None = None,
    *,
    by: str = SITE,
    multivariate: bool = False,
    structure: str = "unstructured",
    method: str = "REML",
    test: str | None = None,
    level: float = 0.95,
    min_patients: int = 5,
    drop_boundary: bool = False,
    **arguments: Any,
) -> TwoStageResult:
    """Fit the same model in every study, and pool its coefficients.

    Parameters
    ----------
    sessions_by_study : mapping of study to SessionTable or DataFrame; or one of these with a column ``by``
        One row per patient and session.
    model : str or callable
        First stage: ``"within_between"``, ``"lagged"`` (outcome on the predictor of the session before),
        ``"growth"``, ``"therapist_change"``, ``"therapist_effects"``, ``"correlation"`` (of patients' means, as
        Fisher's z); a formula for :func:`alliance_stats.mixed`; or a function of the sessions whose result has a
        ``table()`` with ``term, estimate, std_error`` (for ``multivariate`` also ``vcov()``, a frame by term).
    terms : str or sequence of str, optional
        Coefficients to pool. For within_between and lagged: the within and the between effect by default.
    by : str
        Column of the studies, where the sessions come in one table.
    multivariate : bool
        Pool all terms together, with their covariance within studies, and a covariance between studies.
    structure : {"unstructured", "diagonal"}
        The covariance between studies, for ``multivariate``.
    method : str
        As for :func:`pool`; ``"REML"`` or ``"ML"`` for ``multivariate``.
    test : str, optional
        As for :func:`pool`, ``"knha"`` by default. For ``multivariate``: ``"t"`` (default; studies with the term
        minus 1 degrees of freedom) or ``"z"``.
    level : float
    min_patients : int
        Studies with fewer are left out, and counted.
    drop_boundary : bool
        Leave out studies with a variance at zero (their coefficients remain usable) instead of noting them.
    **arguments
        For the model: ``outcome=``, ``predictor=``, …

    Returns
    -------
    TwoStageResult
        With every study, used or not and why, in :meth:`TwoStageResult.studies`.

    Raises
    ------
    DesignError
        If fewer than two studies are left; every reason is named.
    DataError
        If an argument is not known, or the model does not tell covariances that ``multivariate`` needs.

    References
    ----------
    Burke, Ensor & Riley (2017), Statistics in Medicine, 36, 855-875; Jackson, Riley & White (2011), Statistics in
    Medicine, 30, 2481-2498.
    """
    check_level(level)
    fit, patient = model_of(model, arguments), str(arguments.get("patient", PATIENT))
    wanted = _terms(model, terms, arguments)
    if structure not in _STRUCTURES:
        raise DataError(f"No structure {structure!r}. {did_you_mean(structure, _STRUCTURES)}")
    sessions = studies_of(sessions_by_study, by)
    fits = tuple(fit_study(name, own, fit, wanted, min_patients, patient) for name, own in sessions.items())
    if drop_boundary:
        fits = tuple(_without_boundary(one) for one in fits)
    used = [one for one in fits if not one.reason]
    if len(used) < 2:
        reasons = "; ".join(f"{one.name}: {one.reason}" for one in fits if one.reason) or "none failed"
        raise DesignError(
            f"{count(len(used), 'study', 'studies')} of {len(fits)} can be pooled, and it takes two ({reasons}). "
            "Bring more studies, or a simpler model."
        )
    measure = "ZCOR" if model == CORRELATION else ""
    for term in wanted:
        n = sum(not np.isnan(one.estimates[wanted.index(term)]) for one in used)
        if n < 2:
            raise DesignError(f"{count(n, 'study', 'studies')} of {len(used)} have the term {term!r}; it takes two.")
    pooled: tuple[PooledResult, ...] = ()
    joint = None
    if multivariate:
        joint = _joint(used, wanted, structure, method, test or "t")
    else:
        pooled = tuple(
            pool(_effects(used, wanted, at), method, test or "knha", level=level, measure=measure or None)
            for at in range(len(wanted))
        )
    simulated = any(getattr(getattr(own, "source", None), "simulated", False) for own in sessions.values())
    name = model if isinstance(model, str) else getattr(model, "__name__", "a function")
    return TwoStageResult(fits, wanted, pooled, joint, name, level, measure, simulated)


def _terms(model: str | Model, terms: str | Sequence[str] | None, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    if terms is not None:
        wanted = (terms,) if isinstance(terms, str) else tuple(terms)
        if not wanted or len(set(wanted)) < len(wanted):
            raise DataError(f"{count(len(wanted), 'term')}, {len(set(wanted))} of them different. Name each once.")
        return wanted
    name = model if isinstance(model, str) else getattr(model, "__name__", "")
    predictor = str(arguments.get("predictor", ALLIANCE))
    if name == CORRELATION:
        return (CORRELATION,)
    if name in ("within_between", "lagged"):
        own = previous(predictor) if name == "lagged" else predictor
        return within(own), between(own)
    raise DataError(f"Name the terms of {name or 'this model'!r} to pool: terms=['…'], as in its table().")


def _without_boundary(one: StudyFit) -> StudyFit:
    return one if one.reason or not one.remark else StudyFit(one.name, one.n_patients, one.n_rows, one.remark)


def _effects(used: Sequence[StudyFit], terms: Sequence[str], at: int) -> pd.DataFrame:
    rows = [(one.name, one.estimates[at], one.covariance[at, at], one.n_patients) for one in used]
    return pd.DataFrame(rows, columns=["study", "yi", "vi", "n_patients"]).dropna(ignore_index=True)


def _joint(used: Sequence[StudyFit], terms: Sequence[str], structure: str, method: str, test: str) -> Multivariate:
    from alliance_stats.engine.pooling.multivariate import Vectors, find_covariance

    if method not in ("REML", "ML"):
        raise DataError(f"No method {method!r} for several terms. {did_you_mean(method, ('REML', 'ML'))}")
    if test not in ("z", "t"):
        raise DataError(f"No test {test!r} for several terms. {did_you_mean(test, ('z', 't'))}")
    y = np.array([one.estimates for one in used])
    v = np.array([one.covariance for one in used])
    there = ~np.isnan(y)
    both = there[:, :, None] & there[:, None, :]
    unknown = np.isnan(v[both]).sum()
    if unknown:
        raise DataError(
            f"{unknown} covariances of terms within studies are not known: the model's result has no vcov(). "
            "Give it one, or use multivariate=False."
        )
    v = np.where(both, v, 0.0)
    for one, own, here in zip(used, v, there, strict=True):
        if np.linalg.eigvalsh(own[np.ix_(here, here)])[0] <= 1e-12 * np.trace(own):
            raise DesignError(
                f"The terms of study {one.name!r} follow from each other (as within, between and contextual effects "
                "do), so they have no joint covariance. Leave one out."
            )
    of = Vectors(np.where(there, y, 0.0), v, there, method == "REML")
    return Multivariate(of, find_covariance(of, structure == "diagonal"), structure, method, test)
