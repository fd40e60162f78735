"""Linear mixed models: ``mixed(formula, data)``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Literal, get_args

import pandas as pd

from alliance_stats.data.session_table import SessionTable, codebook_of, frame_of
from alliance_stats.design.formula import parse_formula
from alliance_stats.design.matrices import model_arrays
from alliance_stats.engine.mixed.fit import fit_mixed
from alliance_stats.errors import ConvergenceWarning, DataError, did_you_mean
from alliance_stats.models.mixed_result import DfMethod, Method, MixedResult

__all__ = ["DfMethod", "Method", "MixedResult", "mixed"]


def mixed(
    formula: str,
    data: SessionTable | pd.DataFrame,
    method: Method = "REML",
    *,
    df: DfMethod = "satterthwaite",
    membership: Mapping[str, pd.DataFrame] | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> MixedResult:
    """Fit a linear mixed model with any number of nested or crossed groupings.

    Parameters
    ----------
    formula : str
        As in lme4: ``"outcome ~ alliance_within + session + (1 + session | patient_id) + (1 | therapist_id)"``;
        ``||`` for uncorrelated effects, ``(1 | a/b)`` for nesting.
    data : SessionTable or DataFrame
        One row per session. Never changed.
    method : {"REML", "ML"}
        Restricted or full maximum likelihood.
    df : {"satterthwaite", "kenward-roger", "normal"}
        Degrees of freedom of the fixed effects: Satterthwaite's; Kenward and Roger's, with their adjusted standard
        errors (REML only; best with few therapists); or infinite.
    membership : mapping of str to DataFrame, optional
        For each ``(… | mm(group))`` of the formula, a frame ``row, level, weight`` (``row`` is the position from 0):
        the levels that each row belongs to. :func:`alliance_stats.membership` makes it by a rule.
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
    """
    if df not in get_args(DfMethod):
        raise DataError(f"df has no method {df!r}. {did_you_mean(str(df), get_args(DfMethod))}")
    if df == "kenward-roger" and method == "ML":
        raise DataError("Kenward-Roger degrees of freedom are defined for REML fits. Use method='REML'.")
    if method not in ("REML", "ML"):
        raise DataError(f"method is 'REML' or 'ML', not {method!r}.")
    parsed = parse_formula(formula)
    arrays = model_arrays(parsed, frame_of(data), missing, membership)
    solution = fit_mixed(arrays.design, reml=method == "REML")
    if not solution.story.converged:
        warnings.warn(solution.story.message, ConvergenceWarning, stacklevel=2)
    simulated = isinstance(data, SessionTable) and data.source.simulated
    return MixedResult(parsed, method, arrays, solution, codebook_of(data), simulated, df)
