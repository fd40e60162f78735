"""Sentences about sensitivity analyses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import count
from alliance_stats.meta.columns import STUDY
from alliance_stats.names import INTERCEPT
from alliance_stats.report.numbers import bounded, decimals_for, number, with_interval
from alliance_stats.report.sentences import Sentences

if TYPE_CHECKING:
    from alliance_stats.meta.sensitivity import SensitivityFrame

#: So many names stand in a sentence.
_NAMED = 5


def effect_names(frame: SensitivityFrame, labels: pd.Series | pd.Index) -> list[str]:
    """Name rows: by study where each row is one effect and studies are told, else by their label."""
    effects = frame.fit.effects
    if not _single(frame) or STUDY not in effects or effects.index.has_duplicates:
        return [str(name) for name in labels]
    studies = effects[STUDY].astype(str)
    twice = studies.duplicated(keep=False)
    return [f"{studies[at]} ({at})" if twice[at] else studies[at] for at in labels]


def _single(frame: SensitivityFrame) -> bool:
    """Whether rows stand for single effects."""
    labels = frame["left_out"] if "left_out" in frame else frame.get("added", frame.index)
    return set(labels) <= set(frame.fit.effects.index) and len(frame.means()) == len(frame.fit.effects)


def sensitivity_sentences(frame: SensitivityFrame) -> Sentences:
    """Say what the analysis shows."""
    return Sentences.plain(_SAY[frame.kind](frame))


def judged(frame: SensitivityFrame) -> list[str]:
    """Coefficients that the question is about: the mean, or all moderators."""
    names = list(frame.fit.part.names)
    return [name for name in names if name != INTERCEPT] or names


def _leave_one_out(frame: SensitivityFrame) -> str:
    return " ".join(_range_of(frame, term) for term in judged(frame))


def _range_of(frame: SensitivityFrame, term: str) -> str:
    rows = frame.means(term)
    known = rows["estimate"].notna()
    what = "the mean effect" if term == INTERCEPT else f"the coefficient of {term}"
    if not known.any():
        return f"Without one at a time, {what} could not be estimated once."
    names = np.array(effect_names(frame, rows["left_out"]), dtype=object)
    estimates = rows["estimate"].to_numpy(np.float64)
    low, high = int(np.nanargmin(estimates)), int(np.nanargmax(estimates))
    ends = [number(estimates[at], decimals_for(rows["std_error"].min())) for at in (low, high)]
    return (
        f"Without one at a time, {what} lay between {ends[0]} (without {names[low]}) and {ends[1]} (without "
        f"{names[high]}); {_clear(frame, rows)}."
    )


def _over_rho(frame: SensitivityFrame) -> str:
    return " ".join(_range_over_rho(frame, term) for term in judged(frame))


def _range_over_rho(frame: SensitivityFrame, term: str) -> str:
    rows = frame.means(term)
    values = rows["estimate"].to_numpy(np.float64)
    ends = [rows.iloc[at] for at in (int(np.nanargmin(values)), int(np.nanargmax(values)))]
    places = decimals_for(rows["std_error"].min())
    low, high = (f"{number(row['estimate'], places)} (ρ = {bounded(row['rho'])})" for row in ends)
    tried = f"{bounded(rows['rho'].min())} to {bounded(rows['rho'].max())}"
    what = "the mean effect" if term == INTERCEPT else f"the coefficient of {term}"
    return (
        f"With sampling errors that correlate by {tried} within studies, {what} lay between {low} and {high}; "
        f"{_clear(frame, rows)}."
    )


def _clear(frame: SensitivityFrame, rows: pd.DataFrame) -> str:
    """In how many fits the coefficient differs from 0."""
    alpha, known = 1 - frame.fit.level, rows["estimate"].notna()
    clear = int((rows["p_value"] < alpha).sum())
    return f"it differed from 0 at the {alpha:.0%} level in {clear} of {count(int(known.sum()), 'fit')}"


def _influence(frame: SensitivityFrame) -> str:
    if "influential" not in frame:
        names = effect_names(frame, frame.index)
        worst = frame["cook_d"].to_numpy(np.float64)
        if np.isnan(worst).all():
            return "No fit could be made without one of the others."
        at = int(np.nanargmax(worst))
        return f"The fit moved most without {names[at]} (Cook's distance {number(worst[at])})."
    names = effect_names(frame, frame.index[frame["influential"]])
    if not names:
        return f"None of {count(len(frame), 'effect')} was influential (Viechtbauer & Cheung, 2010)."
    verb = "was" if len(names) == 1 else "were"
    told = f"{len(names)} of {count(len(frame), 'effect')} {verb} influential (Viechtbauer & Cheung, 2010)"
    return f"{told}: {_listed(names)}."


def _cumulative(frame: SensitivityFrame) -> str:
    rows = frame.means()
    last = rows.iloc[-1]
    inside = rows["estimate"].between(last["ci_low"], last["ci_high"]).to_numpy()
    outside = np.flatnonzero(~inside)
    settled = int(outside[-1]) + 2 if len(outside) else 1
    return (
        f"As {count(len(rows), 'effect')} came in, the mean effect went from {number(rows['estimate'].iloc[0])} to "
        f"{with_interval(last['estimate'], last['ci_low'], last['ci_high'])}; from effect {settled} on it stayed "
        "within that interval."
    )


def _baujat(frame: SensitivityFrame) -> str:
    names = effect_names(frame, frame.index)
    spread, moved = (frame[name].to_numpy(np.float64) for name in ("heterogeneity", "influence"))
    first = int(np.argmax(spread))
    text = f"{names[first]} added most to the heterogeneity ({number(spread[first])} of {number(spread.sum())})"
    if np.isnan(moved).all():
        return f"{text}."
    return f"{text}; {names[int(np.nanargmax(moved))]} moved the mean most."


def _gosh(frame: SensitivityFrame) -> str:
    low, high = frame["estimate"].quantile([0.025, 0.975])
    return (
        f"In {len(frame):,} subsets of {count(len(frame.fit.effects), 'effect')}, 95% of means lay between "
        f"{number(low)} and {number(high)}, and the median I² was {number(frame['i2'].median(), 1)}%."
    )


_SAY = {
    "leave_one_out": _leave_one_out,
    "influence": _influence,
    "cumulative": _cumulative,
    "baujat": _baujat,
    "gosh": _gosh,
    "rho": _over_rho,
}


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def sensitivity_notes(frame: SensitivityFrame) -> tuple[str, ...]:
    """Notes of the fit, and fits that could not be made."""
    missing = _missing(frame)
    known = frame.fit.notes() + _without_residuals(frame)
    if not len(missing):
        return known
    labels = _listed([str(name) for name in missing])
    verb = "is" if len(missing) == 1 else "are"
    said = f"{count(len(missing), 'fit')} could not be made, and {verb} missing: without {labels}."
    return (*known, said)


def _without_residuals(frame: SensitivityFrame) -> tuple[str, ...]:
    """Say why standard errors or tests are missing where estimates are not."""
    if "std_error" not in frame.columns:
        return ()
    alone = int((frame["df"] <= 0).sum())
    said = (f"{count(alone, 'test')} missing: no degrees of freedom are left for it. Use test='z'.",) if alone else ()
    n = int((frame["estimate"].notna() & frame["std_error"].isna()).sum())
    if not n:
        return said
    return (
        *said,
        f"{count(n, 'standard error')} missing: the effects of these fits are alike, and leave no residuals for Knapp "
        "and Hartung's factor. Use test='adhoc'.",
    )


def _missing(frame: SensitivityFrame) -> pd.Index:
    if frame.kind == "leave_one_out":
        rows = frame.means()
        return pd.Index(rows["left_out"][rows["estimate"].isna()])
    if frame.kind == "influence":
        return frame.index[frame["cook_d"].isna()]
    return pd.Index([])
