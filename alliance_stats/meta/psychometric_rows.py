"""Correlations, sample sizes and artefacts from the columns of a frame, checked, all in one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd

from alliance_stats.errors import ColumnError, DataError, count, did_you_mean
from alliance_stats.meta.columns import EFFECT, Floats, numbers, refuse, require
from alliance_stats.meta.tidy import carried_back

if TYPE_CHECKING:
    from alliance_stats.engine.pooling.attenuation import Artefacts
    from alliance_stats.engine.pooling.hunter_schmidt import Distribution

#: A column, one value for all studies, or a distribution: values and how often each was found.
Source: TypeAlias = "str | float | Mapping[float, float]"
#: Artefacts by argument, in words.
NAMES = {"rxx": "reliability of x", "ryy": "reliability of y", "ux": "range restriction of x"}
GROUPS = ("restricted", "unrestricted")
#: Fewest cases that tell anything about a correlation and its sampling error.
FEWEST = 4
#: Beside larger ones the others leave no digits.
MOST = 1e10
_MEASURES = {"ZCOR": "tanh", "COR": "", "UCOR": ""}


@dataclass(frozen=True)
class Scheme:
    """What is corrected, and to which group the artefacts belong."""

    restriction: str | None
    rxx_group: str
    ryy_group: str
    u_scores: str

    @property
    def indirect(self) -> bool:
        """Selection on the true x."""
        return self.restriction == "indirect"

    @property
    def y_whole(self) -> bool:
        """Reliability of y of the whole population, where that differs from the studies' own."""
        return self.restriction is not None and self.ryy_group == "unrestricted"


@dataclass(frozen=True, eq=False)
class Rows:
    """Checked rows.

    Parameters
    ----------
    frame : DataFrame
        As given.
    used : ndarray of bool
        Rows with a correlation and a sample size.
    r, n : ndarray
        Of all rows; NaN where missing.
    given : mapping of str to ndarray
        Artefacts by argument, of all rows.
    stated : mapping of str to Distribution
        Artefacts that came as a distribution.
    n_turned : int
        Correlations that have the sign of ``yi``, not their own.
    """

    frame: pd.DataFrame
    used: np.ndarray
    r: Floats
    n: Floats
    given: Mapping[str, Floats]
    stated: Mapping[str, Distribution]
    n_turned: int

    @property
    def n_incomplete(self) -> int:
        """Used rows that lack one of the artefacts."""
        lacking = np.zeros(len(self.frame), bool)
        for values in self.given.values():
            lacking |= np.isnan(values)
        return int((lacking & self.used).sum())


def take_rows(frame: pd.DataFrame, r: str, n: str, sources: Mapping[str, Source | None]) -> Rows:
    """Read and check the columns.

    Raises
    ------
    ColumnError
        If a column is not there.
    DataError
        If a correlation, sample size or artefact is impossible, or no row has a correlation and n.
    """
    require(frame, n)
    correlations, n_turned = _correlations(frame, r)
    cases = numbers(frame, n)
    used = ~(np.isnan(correlations) | np.isnan(cases))
    if not used.any():
        raise DataError(f"0 of {count(len(frame), 'row')} have a correlation and a sample size.")
    refuse(frame, np.abs(correlations) > 1, "correlations lie outside [−1, 1]", "Correct them.", correlations)
    if abs(correlations[used].sum()) > (1 - 1e-9) * used.sum():
        raise DataError(
            f"All of {count(int(used.sum()), 'correlation')} are 1 or all are −1: at such a mean there is no sampling "
            "error to correct for. Check them."
        )
    refuse(
        frame,
        used & ((cases < FEWEST) | (cases > MOST)),
        f"sample sizes are below {FEWEST} or above {MOST:g}",
        "They tell nothing about a correlation. Correct them, or leave these studies out.",
        cases,
    )
    given: dict[str, Floats] = {}
    stated: dict[str, Distribution] = {}
    for name, source in sources.items():
        if isinstance(source, Mapping):
            stated[name] = _stated(name, source)
        elif source is not None:
            given[name] = _artefact(frame, name, source, used)
    return Rows(frame, used, correlations, cases, given, stated, n_turned)


def _correlations(frame: pd.DataFrame, r: str) -> tuple[Floats, int]:
    """Correlations; of frames with effects, those that ``yi`` stands for, with its sign."""
    back = _MEASURES.get(str(frame.attrs.get("measure", "")))
    if r not in frame.columns and not (back is not None and r == "r" and EFFECT in frame.columns):
        raise ColumnError(f"No column {r!r} of correlations. {did_you_mean(r, [str(c) for c in frame.columns])}")
    values = numbers(frame, r) if r in frame.columns else np.full(len(frame), np.nan)
    if EFFECT not in frame.columns:
        return values, 0
    y = numbers(frame, EFFECT)
    if back is not None:
        from_effect = carried_back(y, back) if back else y
        values = np.where(np.isnan(values), from_effect, values)
    # sign alignment turns yi and leaves r as it was coded
    same = np.isclose(np.abs(np.tanh(y)), np.abs(values), atol=1e-9) | np.isclose(np.abs(y), np.abs(values), atol=1e-9)
    turned = same & (np.sign(y) * np.sign(values) < 0)
    return np.where(turned, -values, values), int(turned.sum())


def _artefact(frame: pd.DataFrame, name: str, source: str | float, used: np.ndarray) -> Floats:
    values = numbers(frame, source) if isinstance(source, str) else np.full(len(frame), float(source))
    if np.isnan(values).all():
        raise DataError(
            f"0 of {count(len(frame), 'row')} have a {NAMES[name]}. Leave {name}= out, or give its distribution, e.g. "
            f"{name}={{0.8: 5, 0.9: 3}} from other studies."
        )
    if isinstance(source, str):
        _check_values(frame, name, values)
    else:
        _check_values(pd.DataFrame(index=[f"{name}="]), name, values[:1])
    return values


def _check_values(frame: pd.DataFrame, name: str, values: Floats) -> None:
    with np.errstate(invalid="ignore"):
        if name == "ux":
            bad = (values <= 0) | np.isinf(values)
            refuse(frame, bad, "ratios of standard deviations are not positive", "Write restricted over whole.", values)
        else:
            way_out = "A reliability lies above 0 and is at most 1; correct it, or set it to missing."
            refuse(frame, (values <= 0) | (values > 1), f"values of {name} are no reliabilities", way_out, values)


def _stated(name: str, source: Mapping[float, float]) -> Distribution:
    from alliance_stats.engine.pooling.hunter_schmidt import Distribution

    values, shares = np.array(list(source), float), np.array(list(source.values()), float)
    if not values.size or not (shares >= 0).all() or not 0 < shares.sum() < np.inf:
        raise DataError(f"{name}= has {count(len(source), 'value')} and no counts above 0. Write {{value: count, …}}.")
    if np.isnan(values).any():
        raise DataError(f"1 value of {name}= is missing. Leave it out.")
    _check_values(pd.DataFrame(index=[f"{name}="] * values.size), name, values)
    return Distribution(values, shares / shares.sum())


def fill(rows: Rows) -> tuple[dict[str, Floats], int]:
    """Put the mean of those that are known where an artefact is missing; return how many were filled."""
    filled = {name: np.where(np.isnan(values), np.nanmean(values), values) for name, values in rows.given.items()}
    n = sum(int((np.isnan(values) & rows.used).sum()) for values in rows.given.values())
    return filled, n


def of_each(rows: Rows, given: Mapping[str, Floats], scheme: Scheme) -> Artefacts:
    """Artefacts of each used study, carried to the form that the engine takes."""
    from alliance_stats.engine.pooling.attenuation import Artefacts

    frame = rows.frame.loc[rows.used]
    one = np.ones(len(frame))
    u = given["ux"][rows.used] if "ux" in given else one
    rxx = given["rxx"][rows.used] if "rxx" in given else one
    ryy = given["ryy"][rows.used] if "ryy" in given else one
    whole = _whole(frame, rxx, u, scheme, "rxx" in given)
    return Artefacts(np.sqrt(whole), np.sqrt(ryy), _ratio(frame, u, whole, scheme), scheme.indirect, scheme.y_whole)


def as_distributions(rows: Rows, scheme: Scheme, by_n: bool) -> dict[str, Distribution]:
    """Distributions of the artefacts, in the form that the engine takes.

    Where turning one artefact into another form needs a second one that a study does not report, its mean is used.
    """
    from alliance_stats.engine.pooling.hunter_schmidt import Distribution

    raw = {**rows.stated, **{name: _reported(rows, values, by_n) for name, values in rows.given.items()}}
    none = Distribution(np.ones(1), np.ones(1))
    x, y, u = (raw.get(name, none) for name in ("rxx", "ryy", "ux"))
    beside = _beside(rows, "rxx", rows.given.get("ux"), u.mean, x.points.size)
    whole = Distribution(_whole(_places(rows, "rxx"), x.points, beside, scheme, "rxx" in raw), x.shares)
    carried = None
    if "rxx" in rows.given:
        carried = np.full(len(rows.frame), np.nan)
        carried[~np.isnan(rows.given["rxx"])] = whole.points
    beside = _beside(rows, "ux", carried, whole.mean, u.points.size)
    ratio = Distribution(_ratio(_places(rows, "ux"), u.points, beside, scheme), u.shares)
    return {"qx": _roots(whole), "qy": _roots(y), "u": ratio}


def _roots(of: Distribution) -> Distribution:
    from alliance_stats.engine.pooling.hunter_schmidt import Distribution

    return Distribution(np.sqrt(of.points), of.shares)


def _places(rows: Rows, name: str) -> pd.DataFrame:
    """The rows that report an artefact, so that an error can name them."""
    if name in rows.given:
        return rows.frame.loc[~np.isnan(rows.given[name])]
    size = rows.stated[name].points.size if name in rows.stated else 1
    return pd.DataFrame(index=[f"{name}="] * size)


def _reported(rows: Rows, values: Floats, by_n: bool) -> Distribution:
    from alliance_stats.engine.pooling.hunter_schmidt import Distribution

    there = ~np.isnan(values)
    shares = rows.n[there] if by_n else np.ones(int(there.sum()))
    refuse(
        rows.frame.loc[there],
        np.isnan(shares),
        "artefacts have no sample size to be weighed by",
        "Use artefact_weights='equal'.",
    )
    return Distribution(values[there], shares / shares.sum())


def _beside(rows: Rows, at: str, values: Floats | None, mean: float, size: int) -> Floats:
    """For each reported value of one artefact the other one of the same study, or its mean."""
    if at not in rows.given or values is None:
        return np.full(size, mean)
    own = values[~np.isnan(rows.given[at])]
    return np.where(np.isnan(own), mean, own)


def _whole(frame: pd.DataFrame, rxx: Floats, u: Floats, scheme: Scheme, named: bool) -> Floats:
    """Reliability of x in the whole population."""
    from alliance_stats.engine.pooling.attenuation import restrict, whole_reliability

    if scheme.restriction is None or scheme.rxx_group == "unrestricted" or not named:
        return rxx
    if scheme.u_scores == "true":
        return restrict(np.sqrt(rxx), 1 / u) ** 2
    whole = whole_reliability(rxx, u)
    refuse(
        frame,
        whole <= 0,
        "reliabilities of x would be 0 or less in the whole population",
        "The ratio ux is too large for them; correct one, or say rxx_group='unrestricted'.",
        rxx,
    )
    return whole


def _ratio(frame: pd.DataFrame, u: Floats, whole: Floats, scheme: Scheme) -> Floats:
    """Ratio of standard deviations of the scores that the selection is about."""
    from alliance_stats.engine.pooling.attenuation import true_ratio

    if not scheme.indirect or scheme.u_scores == "true":
        return u
    ratio = true_ratio(u, whole)
    refuse(
        frame,
        ~(ratio > 0),
        "ratios ux are too small for the reliability of x",
        "Errors alone have the standard deviation √(1 − rxx) in the whole population, and no group can have less. "
        "Correct ux or rxx, or say restriction='direct'.",
        u,
    )
    return ratio
