"""Intervals for the variance parameters of a mixed model: by profile likelihood, or by parametric bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd
from numpy.linalg import LinAlgError

from alliance_stats.errors import DataError, RowsNotKeptError, did_you_mean
from alliance_stats.models.distributions import check_level
from alliance_stats.models.variance_parameters import Kind, ModelParameter, model_parameters, target_of

if TYPE_CHECKING:
    from alliance_stats.engine.mixed.profile import ProfileInterval
    from alliance_stats.models.bootstrap import Bootstrap
    from alliance_stats.models.mixed_result import MixedResult

IntervalMethod = Literal["profile", "bootstrap"]

#: Columns of ``intervals()``.
INTERVAL_COLUMNS = ("group", "term", "term2", "parameter", "estimate", "ci_low", "ci_high", "method", "note")


def intervals(
    fit: MixedResult,
    parameters: Kind | Sequence[Kind] | None,
    method: IntervalMethod,
    level: float,
    n: int,
    seed: int | None,
    workers: int,
    progress: bool,
) -> pd.DataFrame:
    """Intervals of variance parameters; see :meth:`MixedResult.intervals`."""
    if method not in get_args(IntervalMethod):
        raise DataError(f"method has no value {method!r}. {did_you_mean(str(method), get_args(IntervalMethod))}")
    check_level(level)
    wanted = _wanted(fit, parameters)
    need_optimum(fit)
    if method == "profile":
        if any(parameter.kind == "fixed" for parameter in wanted) and fit.method == "REML":
            raise DataError(
                "REML criteria with different fixed effects cannot be compared, so fixed effects have no profile in a "
                "REML fit. Fit with method='ML', use method='bootstrap', or take the intervals of table()."
            )
        rows = [_profiled(fit, parameter, level) for parameter in wanted]
    else:
        boot = fit.bootstrap(n, seed, workers=workers, progress=progress)
        rows = [_bootstrapped(boot, parameter, level) for parameter in wanted]
    frame = pd.DataFrame(rows, columns=list(INTERVAL_COLUMNS))
    return frame.astype(
        {"term": "str", "term2": "str", "note": "str"} | dict.fromkeys(("estimate", "ci_low", "ci_high"), float)
    )


def need_optimum(fit: MixedResult) -> None:
    """Refuse a fit that did not converge: rises of the criterion are counted from its minimum."""
    if not fit.converged:
        raise DataError(
            "The model did not converge, so its estimates are no point to start from. Simplify the random effects "
            "until glance() says that it converged."
        )


def _wanted(fit: MixedResult, parameters: Kind | Sequence[Kind] | None) -> list[ModelParameter]:
    known = model_parameters(fit)
    if parameters is None:
        return [parameter for parameter in known if parameter.kind != "fixed"]
    asked = [parameters] if isinstance(parameters, str) else list(parameters)
    present = {parameter.kind for parameter in known}
    for kind in asked:
        if kind not in get_args(Kind):
            raise DataError(f"parameters has no kind {kind!r}. {did_you_mean(str(kind), get_args(Kind))}")
        if kind not in present:
            raise DataError(f"The model has no parameter of the kind {kind!r}. It has: {', '.join(sorted(present))}.")
    return [parameter for parameter in known if parameter.kind in asked]


def _profiled(fit: MixedResult, parameter: ModelParameter, level: float) -> dict[str, object]:
    from alliance_stats.engine.mixed.profile import profile_interval

    low, high, note = np.nan, np.nan, ""
    try:
        target = target_of(fit, parameter)
    except RowsNotKeptError:
        note = "not found: it depends on the prior weights of the rows, which were not kept"
        return parameter.row() | {"estimate": np.nan, "ci_low": low, "ci_high": high, "method": "profile", "note": note}
    estimate = target.estimate
    if np.isnan(estimate):
        note = "not defined: a standard deviation was estimated at zero"
    else:
        try:
            found = profile_interval(target, level)
            low, high, note = found.low, found.high, _note(found, parameter)
        except LinAlgError:
            note = "not found: the likelihood could not be maximised with this parameter held; use method='bootstrap'"
    ends = {"estimate": estimate, "ci_low": low, "ci_high": high}
    return parameter.row() | ends | {"method": "profile", "note": note}


def _note(found: ProfileInterval, parameter: ModelParameter) -> str:
    """Say where the data do not bound the parameter."""
    open_ends = [end for end, is_open in ((found.low, found.low_open), (found.high, found.high_open)) if is_open]
    if not open_ends:
        return ""
    named = " and ".join("any size" if np.isinf(end) else f"{end:g}".replace("-", "−") for end in open_ends)
    return f"reaches {named}: the likelihood falls too little to exclude it"


def _bootstrapped(boot: Bootstrap, parameter: ModelParameter, level: float) -> dict[str, object]:
    summary = boot.summary(parameter, level)
    ends = {key: summary[key] for key in ("estimate", "ci_low", "ci_high")}
    return parameter.row() | ends | {"method": "bootstrap", "note": summary["note"]}
