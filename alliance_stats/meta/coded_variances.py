"""Sampling variances of a coding sheet: coded as such, as standard errors, or as limits of intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.data.faults import Fault
from alliance_stats.data.findings import Findings
from alliance_stats.data.known_columns import plain_name
from alliance_stats.errors import count
from alliance_stats.report.numbers import percent

Floats = NDArray[np.floating[Any]]

#: Role to usual names of columns, the surest first; compared without case, spaces and punctuation.
NAMES = {
    "vi": ("vi", "variance", "samplingvariance", "var", "vz", "varz", "vzr"),
    "se": ("sei", "se", "stderror", "standarderror", "stderr", "seyi", "sezi", "sez"),
    "ci_low": ("cilow", "cilower", "cilb", "lowerci", "lcl", "ll", "ci95low", "95cilow"),
    "ci_high": ("cihigh", "ciupper", "ciub", "upperci", "ucl", "ul", "ci95high", "95cihigh"),
}
#: A finding about rows without a variance of their own, and what was done where there are standard errors.
NOT_CODED, SQUARED = "variance is not coded", "standard error squared"
WAYS = "vi=, se=, or ci_low= and ci_high="
#: Rounding of double precision, which columns that were computed from each other show.
_ROUNDING = 1e-9


def coded(roles: Sequence[str] | Mapping[str, object]) -> bool:
    """Whether some columns give the variances of effects."""
    return "vi" in roles or "se" in roles or {"ci_low", "ci_high"} <= set(roles)


def recognise(header: Sequence[str]) -> dict[str, str]:
    """Find the columns that give variances by their usual names; limits only where there is nothing else."""
    found: dict[str, str] = {}
    for role, names in NAMES.items():
        columns = [column for column in header if plain_name(column) in names]
        if columns:
            found[role] = min(columns, key=lambda column: names.index(plain_name(column)))
    if "vi" in found or "se" in found or not {"ci_low", "ci_high"} <= set(found):
        found = {role: column for role, column in found.items() if role in ("vi", "se")}
    return found


@dataclass(frozen=True)
class _Source:
    """Variances by one of the ways, with the least and the most that the digits as written allow."""

    column: str
    words: str
    v: Floats
    least: Floats
    most: Floats
    done: str = ""


@dataclass(frozen=True)
class Variances:
    """Sampling variances of the rows of a sheet.

    Parameters
    ----------
    v : ndarray of shape (n_rows,)
        The first that is coded, row by row; missing where nothing is.
    sources : tuple
        The ways, in this order.
    """

    v: Floats
    sources: tuple[_Source, ...]

    def note(self, findings: Findings, used: NDArray[np.bool_]) -> None:
        """Say in how many of the rows that are used they were converted, and from what."""
        known = np.zeros(len(self.v), dtype=bool)
        for one in self.sources:
            taken = ~known & ~np.isnan(one.v)
            known |= taken
            n = int((taken & used).sum())
            if one.done and n:
                way_out = "Name the column of variances in vi=, if there is one."
                findings.take_over([Fault(NOT_CODED, one.column, n, count(n, "row"), one.done, way_out)])


def sampling_variances(frame: pd.DataFrame, findings: Findings, given: Mapping[str, str], ci_level: float) -> Variances:
    """Take variances as coded, else as squared standard errors, else from intervals; list what is at fault.

    Parameters
    ----------
    frame : DataFrame
        Numbers.
    findings : Findings
        Takes the faults: what is not positive, intervals that do not lie around their effect, and rows in which two
        ways disagree by more than the digits as written explain.
    given : mapping of str to str
        Role (``yi``, ``vi``, ``se``, ``ci_low``, ``ci_high``) to column.
    ci_level : float
        Level of the intervals.

    Returns
    -------
    Variances
    """
    sources = []
    with np.errstate(invalid="ignore"):
        if "vi" in given:
            sources.append(_of_variances(frame, findings, given["vi"]))
        if "se" in given:
            sources.append(_of_errors(frame, findings, given["se"]))
        if {"ci_low", "ci_high"} <= set(given):
            sources.append(_of_limits(frame, findings, given, ci_level))
        _compare(findings, sources)
    v = np.full(len(frame), np.nan)
    for one in sources:
        v = np.where(np.isnan(v), one.v, v)
    return Variances(v, tuple(sources))


def _of_variances(frame: pd.DataFrame, findings: Findings, column: str) -> _Source:
    v, half = _with_half_units(frame, column)
    way_out = "Is it a standard error, or empty? Correct it."
    findings.rows("sampling variance is not positive", column, v <= 0, frame[column], way_out)
    return _Source(column, "variance", v, v - half, v + half)


def _of_errors(frame: pd.DataFrame, findings: Findings, column: str) -> _Source:
    error, half = _with_half_units(frame, column)
    findings.rows("standard error is not positive", column, error <= 0, frame[column], "Correct it, or empty the cell.")
    return _Source(
        column, "squared standard error", error**2, np.maximum(error - half, 0) ** 2, (error + half) ** 2, SQUARED
    )


def _of_limits(frame: pd.DataFrame, findings: Findings, given: Mapping[str, str], level: float) -> _Source:
    column = given["ci_low"]
    low, half_low = _with_half_units(frame, column)
    high, half_high = _with_half_units(frame, given["ci_high"])
    middle, half_middle = _with_half_units(frame, given["yi"])
    width, slack = high - low, half_low + half_high
    upside_down = width <= 0
    way_out = f"Check them, and {given['ci_high']!r}."
    findings.rows("lower limit is not below the upper one", column, upside_down, frame[column], way_out)
    off = np.abs(low + high - 2 * middle) > slack + 2 * half_middle + _ROUNDING * np.abs(width)
    way_out = (
        f"Limits are on the scale of {given['yi']!r} (Fisher's z, logarithms); those of r or of an odds ratio are not. "
        "Carry them over, or name the standard error."
    )
    findings.rows("interval does not lie evenly around its effect", column, off & ~upside_down, frame[column], way_out)
    twice = 2 * NormalDist().inv_cdf(0.5 + level / 2)
    least, most = np.maximum(width - slack, 0), width + slack
    words = f"variance by the {percent(level)} interval"
    v, low_v, high_v = ((value / twice) ** 2 for value in (width, least, most))
    return _Source(column, words, v, low_v, high_v, f"taken from the {percent(level)} interval")


def _with_half_units(frame: pd.DataFrame, column: str) -> tuple[Floats, Floats]:
    """Values, and half a unit of the last digit that each was written with.

    A spreadsheet drops a last zero: where most values of the column have one digit more, so has this one.
    """
    values = frame[column].to_numpy(np.float64)
    written = [np.format_float_positional(value, trim="-") if np.isfinite(value) else "" for value in values]
    digits = np.array([len(text.partition(".")[2]) for text in written])
    usual = int(np.median(digits[np.isfinite(values)])) if np.isfinite(values).any() else 0
    digits = np.maximum(digits, np.minimum(usual, digits + 1))
    return values, 0.5 * 10.0**-digits


def _compare(findings: Findings, sources: Sequence[_Source]) -> None:
    for at, one in enumerate(sources):
        for other in sources[:at]:
            apart = np.maximum(one.least - other.most, other.least - one.most) > _ROUNDING * np.abs(other.v)
            rows = np.flatnonzero(apart)
            findings.rows(
                f"{one.words} is not the {other.words} in {other.column!r}",
                one.column,
                apart,
                None,
                "Correct one of the two, or name only the right one (intervals from the t distribution are wider).",
                places=[
                    f"{findings.raw.place(int(row))} ({one.v[row]:.4g} for {other.v[row]:.4g})" for row in rows[:3]
                ],
            )
