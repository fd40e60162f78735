"""First stage: the same model in every study, its coefficients and their covariance, and what failed and why."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.data.session_table import SessionTable, frame_of, require_columns, rewrap
from alliance_stats.design.lags import lag
from alliance_stats.errors import ConvergenceWarning, DataError, count, did_you_mean
from alliance_stats.names import ALLIANCE, OUTCOME, PATIENT, previous

Floats = NDArray[np.floating[Any]]
Sessions = SessionTable | pd.DataFrame
Model = Callable[..., Any]

#: Term of the correlation of patients' means.
CORRELATION = "correlation"
NAMES = ("within_between", "growth", "therapist_change", "therapist_effects", "lagged", CORRELATION)


@dataclass(frozen=True)
class StudyFit:
    """One study of the first stage.

    Parameters
    ----------
    name : str
    n_patients, n_rows : int
    reason : str
        Why the study is not part of the second stage; empty if it is.
    remark : str
        What must be known of a study that is (a variance at zero).
    estimates : ndarray of shape (p,)
        Coefficients of the terms; missing where the study has none.
    covariance : ndarray of shape (p, p), optional
        Their sampling covariance; off the diagonal missing where the model does not tell it.
    result : object
        What the model returned.
    frame : DataFrame, optional
        The rows given, with the columns that the model made.
    """

    name: str
    n_patients: int
    n_rows: int
    reason: str = ""
    remark: str = ""
    estimates: Floats = field(default_factory=lambda: np.zeros(0))
    covariance: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    result: Any = None
    frame: pd.DataFrame | None = None


def studies_of(sessions: Mapping[Hashable, Sessions] | Sessions, by: str) -> dict[str, Sessions]:
    """Return the sessions of each study, in order of appearance.

    Raises
    ------
    DataError
        If a study is not named, or two names are the same text.
    """
    if isinstance(sessions, Mapping):
        found = {str(name): own for name, own in sessions.items()}
        if len(found) < len(sessions):
            raise DataError(f"{len(sessions)} studies have {len(found)} different names. Name each once.")
        return found
    frame = frame_of(sessions)
    require_columns(frame, by)
    unnamed = int(frame[by].isna().sum())
    if unnamed:
        raise DataError(f"{unnamed} of {len(frame)} rows have no {by!r}. Fill it in, or leave these rows out.")
    return {str(name): rewrap(sessions, own) for name, own in frame.groupby(by, sort=False, observed=True)}


def model_of(model: str | Model, arguments: Mapping[str, Any]) -> Model:
    """Return the function that is fitted in each study.

    Raises
    ------
    DataError
        If there is no model of that name.
    """
    if callable(model):
        return lambda sessions: model(sessions, **arguments)
    if "~" in model:
        from alliance_stats.models.mixed import mixed

        return lambda sessions: mixed(model, sessions, **arguments)
    if model == CORRELATION:
        return lambda sessions: correlation_of_means(sessions, **arguments)
    if model == "lagged":
        return lambda sessions: lagged(sessions, **arguments)
    if model not in NAMES:
        raise DataError(f"No model {model!r}. {did_you_mean(model, NAMES)} Or a formula, or a function.")
    from importlib import import_module

    function = getattr(import_module(f"alliance_stats.models.{model}"), model)
    return lambda sessions: function(sessions, **arguments)


def lagged(sessions: Sessions, outcome: str = OUTCOME, predictor: str = ALLIANCE, **arguments: Any) -> Any:
    """Fit the outcome on the predictor of the session before, within and between patients."""
    from alliance_stats.models.within_between import within_between

    names = {name: arguments[name] for name in ("patient", "session") if name in arguments}
    before = rewrap(sessions, frame_of(lag(sessions, predictor, **names)))  # type: ignore[type-var]
    return within_between(before, outcome, previous(predictor), **arguments)


@dataclass(frozen=True)
class Correlation:
    """Fisher's z of patients' means."""

    r: float
    n: int

    def table(self) -> pd.DataFrame:
        """``term, estimate, std_error``: Fisher's z, with variance 1 / (n − 3)."""
        from alliance_stats.meta.effect_sizes import effect_sizes

        row = effect_sizes(pd.DataFrame({"r": [self.r], "n": [self.n]}), r="r", n="n").iloc[0]
        return pd.DataFrame({"term": [CORRELATION], "estimate": [row["yi"]], "std_error": [np.sqrt(row["vi"])]})


def correlation_of_means(
    sessions: Sessions, outcome: str = OUTCOME, predictor: str = ALLIANCE, patient: str = PATIENT
) -> Correlation:
    """Correlate patients' means of two scores, over the sessions in which both are present.

    Raises
    ------
    DataError
        If fewer than four patients have both, or a score's means are all the same.
    """
    frame = frame_of(sessions)
    require_columns(frame, outcome, predictor, patient)
    means = frame.dropna(subset=[outcome, predictor, patient]).groupby(patient, observed=True)[[outcome, predictor]]
    values = means.mean().to_numpy(np.float64)
    if len(values) < 4:
        raise DataError(f"{count(len(values), 'patient')} with both scores: a correlation needs 4 at least.")
    if (np.ptp(values, axis=0) <= 1e-12 * np.abs(values).max(axis=0)).any():
        raise DataError(f"All {len(values)} patients have the same mean of a score, so it correlates with nothing.")
    return Correlation(float(np.corrcoef(values.T)[0, 1]), len(values))


def fit_study(
    name: str, sessions: Sessions, fit: Model, terms: Sequence[str], min_patients: int, patient: str
) -> StudyFit:
    """Fit one study; a refusal becomes its reason."""
    try:
        frame = frame_of(sessions)
        require_columns(frame, patient)
    except DataError as refusal:
        return StudyFit(name, 0, 0, f"refused: {refusal}")
    n_patients, n_rows = int(frame[patient].nunique()), len(frame)
    if n_patients < min_patients:
        return StudyFit(name, n_patients, n_rows, f"{count(n_patients, 'patient')}, fewer than {min_patients}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # becomes the reason, below
            result = fit(sessions)
    except (ValueError, ArithmeticError) as refusal:
        return StudyFit(name, n_patients, n_rows, f"refused: {refusal}")
    reason, estimates, covariance = _read(result, terms)
    model = getattr(result, "fit", result)
    remark = "a variance is estimated at zero or a correlation at ±1" if getattr(model, "singular", False) else ""
    own = getattr(result, "frame", frame)
    return StudyFit(name, n_patients, n_rows, reason, remark, estimates, covariance, result, own)


def _read(result: Any, terms: Sequence[str]) -> tuple[str, Floats, Floats]:
    if not getattr(result, "converged", True):
        return "not converged", np.zeros(0), np.zeros((0, 0))
    table = result.table().set_index("term")
    there = [term for term in terms if term in table.index]
    if not there:
        return f"no term {' or '.join(map(repr, terms))}", np.zeros(0), np.zeros((0, 0))
    estimates = table["estimate"].reindex(list(terms)).to_numpy(np.float64)
    errors = table["std_error"].reindex(list(terms)).to_numpy(np.float64)
    known = ~np.isnan(estimates)
    if not (np.isfinite(estimates[known]) & np.isfinite(errors[known]) & (errors[known] > 0)).all():
        return "a standard error is zero, missing or infinite", np.zeros(0), np.zeros((0, 0))
    covariance = _covariance(result, terms)
    np.fill_diagonal(covariance, errors**2)
    return "", estimates, covariance


def _covariance(result: Any, terms: Sequence[str]) -> Floats:
    """Sampling covariance of terms; missing where the result does not tell it."""
    model = getattr(result, "fit", result)
    if hasattr(model, "arrays") and hasattr(model, "solution"):
        names, known = list(model.arrays.fixed_names), model.solution.covariance
        if model.df_method == "kenward-roger":
            known = model.solution.kenward_roger.adjusted
    elif hasattr(result, "vcov"):
        names, known = list(result.vcov().index), result.vcov().to_numpy(np.float64)
    else:
        return np.full((len(terms), len(terms)), np.nan)
    rows = np.full((len(terms), len(names)), np.nan)
    for at, term in enumerate(terms):
        if term in names:
            rows[at] = np.eye(len(names))[names.index(term)]
        elif term.endswith("_contextual"):
            stem = term.removesuffix("_contextual")
            pair = [f"{stem}_between", f"{stem}_within"]
            if all(name in names for name in pair):
                rows[at] = np.eye(len(names))[names.index(pair[0])] - np.eye(len(names))[names.index(pair[1])]
    return np.asarray(rows @ known @ rows.T)
