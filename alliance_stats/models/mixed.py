"""Linear mixed models: ``mixed(formula, data)``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args

import pandas as pd

from alliance_stats.data.chunks import Parts
from alliance_stats.data.codebook import Codebook
from alliance_stats.data.session_table import SessionTable, codebook_of, frame_of
from alliance_stats.design.formula import Formula, parse_formula
from alliance_stats.design.matrices import ModelArrays, model_arrays
from alliance_stats.design.parts import arrays_in_parts
from alliance_stats.design.residuals import ResidualSpec, group_columns
from alliance_stats.engine.mixed.fit import fit_mixed
from alliance_stats.engine.mixed.residual import Correlation
from alliance_stats.errors import ConvergenceWarning, DataError, did_you_mean
from alliance_stats.models.mixed_result import DfMethod, Method, MixedResult
from alliance_stats.names import PATIENT, SESSION

__all__ = ["DfMethod", "Method", "MixedResult", "ResidualKind", "mixed"]

ResidualKind = Literal["independent", "ar1", "car1"]


def mixed(
    formula: str,
    data: SessionTable | pd.DataFrame | Parts,
    method: Method = "REML",
    *,
    df: DfMethod = "satterthwaite",
    membership: Mapping[str, pd.DataFrame] | None = None,
    residual: ResidualKind = "independent",
    residual_time: str = SESSION,
    residual_group: str | Sequence[str] = PATIENT,
    variance: str | None = None,
    weights: str | None = None,
    offset: str | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> MixedResult:
    """Fit a linear mixed model with any number of nested or crossed groupings.

    Parameters
    ----------
    formula : str
        As in lme4: ``"outcome ~ alliance_within + session + (1 + session | patient_id) + (1 | therapist_id)"``;
        ``||`` for uncorrelated effects, ``(1 | a/b)`` for nesting.
    data : SessionTable or DataFrame; or Parts, for more rows than memory holds
        One row per session. Never changed. Parts are an iterator of frames, the path of a Parquet file or folder, a
        pyarrow dataset, or a Dask DataFrame (extra ``[distributed]``): rows are read once, part by part, and only their
        sums are kept. Estimates are the same; what needs the rows, such as ``residuals()``, is refused.
    method : {"REML", "ML"}
        Restricted or full maximum likelihood.
    df : {"satterthwaite", "kenward-roger", "normal"}
        Degrees of freedom of the fixed effects: Satterthwaite's; Kenward and Roger's, with their adjusted standard
        errors (REML only; best with few therapists); or infinite.
    membership : mapping of str to DataFrame, optional
        For each ``(… | mm(group))`` of the formula, a frame ``row, level, weight`` (``row`` is the position from 0):
        the levels that each row belongs to. :func:`alliance_stats.membership` makes it by a rule.
    residual : {"independent", "ar1", "car1"}
        Correlation of residuals over time within a patient: none; ``"ar1"``, ρ per step between equally spaced
        sessions (a missed session is two steps); or ``"car1"``, ρ^(time between), for any times.
    residual_time : str
        Column with the time, read where residuals are correlated.
    residual_group : str or sequence of str
        Within what residuals are correlated: patients, or ``"patient_id:therapist_episode"``, where the correlation
        ends with a change of therapist.
    variance : str, optional
        Column whose levels (phases, raters, …) have a residual standard deviation each.
    weights : str, optional
        Column of prior weights, as in lme4: the residual variance of a row is σ² / weight.
    offset : str, optional
        Column that enters the prediction with a coefficient of 1.
    missing : {"drop", "raise"}
        Rows with a missing value in any column of the formula are left out and counted, or refused.

    Returns
    -------
    MixedResult

    Raises
    ------
    FormulaError, ColumnError, DesignError, DataError
        When the formula cannot be read or the data cannot tell what it asks; the message names the place.

    Warns
    -----
    ConvergenceWarning
        If the optimiser did not reach the optimum; ``glance()["converged"]`` is then False.

    References
    ----------
    Bates, Mächler, Bolker & Walker (2015), Journal of Statistical Software, 67(1). Kuznetsova, Brockhoff &
    Christensen (2017), Journal of Statistical Software, 82(13). Kenward & Roger (1997), Biometrics, 53, 983-997.
    Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, chapter 5 (residual structures).
    """
    if df not in get_args(DfMethod):
        raise DataError(f"df has no method {df!r}. {did_you_mean(str(df), get_args(DfMethod))}")
    if df == "kenward-roger" and method == "ML":
        raise DataError("Kenward-Roger degrees of freedom are defined for REML fits. Use method='REML'.")
    if method not in ("REML", "ML"):
        raise DataError(f"method is 'REML' or 'ML', not {method!r}.")
    if residual not in get_args(ResidualKind):
        raise DataError(f"residual has no kind {residual!r}. {did_you_mean(str(residual), get_args(ResidualKind))}")
    parsed = parse_formula(formula)
    correlation: Correlation = "none" if residual == "independent" else residual
    spec = ResidualSpec(correlation, residual_time, (), variance, weights, offset)
    arrays, codebook, simulated = _arrays(parsed, data, missing, membership, spec, residual_group)
    solution = fit_mixed(arrays.design, reml=method == "REML")
    if not solution.story.converged:
        warnings.warn(solution.story.message, ConvergenceWarning, stacklevel=2)
    return MixedResult(parsed, method, arrays, solution, codebook, simulated, df)


def _arrays(
    formula: Formula,
    data: SessionTable | pd.DataFrame | Parts,
    missing: str,
    membership: Mapping[str, pd.DataFrame] | None,
    spec: ResidualSpec,
    residual_group: str | Sequence[str],
) -> tuple[ModelArrays, Codebook, bool]:
    """Arrays, codebook, and whether the data are simulated."""
    if isinstance(data, SessionTable | pd.DataFrame):
        frame = frame_of(data)
        spec = replace(spec, group=group_columns(residual_group, frame.columns))
        simulated = isinstance(data, SessionTable) and data.source.simulated
        return model_arrays(formula, frame, missing, membership, spec), codebook_of(data), simulated
    if membership:
        raise DataError("membership= counts rows from the first of the data, and needs them all in one data frame.")
    return arrays_in_parts(formula, data, missing, spec)
