"""How the residuals of a mixed model vary and hang together: strata, weights, AR(1) and continuous-time AR(1).

Relative to σ², two residuals of one group (a patient) at times ``s`` and ``t`` have the covariance
``τ_a τ_b ρ^|t−s| / √(w_a w_b)``: ``τ`` is the standard deviation of the row's stratum relative to the first stratum's,
``w`` a prior weight. The inverse ``Ω`` of that matrix ``R`` couples neighbours in time only. With ``x = ρ^gap``,

    Ω_ii = w_i/τ_i² (1 + g(x before) + g(x after)),    g(x) = x²/(1 − x²)
    Ω_i,i−1 = −√(w_i w_j)/(τ_i τ_j) h(x),              h(x) = x/(1 − x²)

and ``log|R| = Σ 2 log τ_i − log w_i + Σ log(1 − x²)``. Rows with the same strata and gaps share these numbers: they are
one *class*, and a new ρ re-weights sums by class.

References
----------
Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, chapter 5. Jones & Boadi-Boateng (1991), Biometrics,
47, 161-175 (continuous time).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from alliance_stats.engine.mixed.design import Floats, Ints

Correlation = Literal["none", "ar1", "car1"]

#: A correlation of neighbours below this is none, and one above one less this is perfect: limits of the search.
_LIMIT = 1e-8
#: Largest and smallest ratio of standard deviations, as a logarithm.
_RATIO_LIMIT = float(np.log(1e3))
#: Correlation of neighbours that the optimiser starts from.
_START = 0.25


@dataclass(frozen=True)
class ResidualStructure:
    """The residual structure of every row.

    Parameters
    ----------
    correlation : {"none", "ar1", "car1"}
        ``"ar1"``: ρ per unit of time, between −1 and 1, whole gaps; ``"car1"``: ρ per unit of time, between 0 and 1,
        any gaps.
    previous : ndarray of int, shape (n_obs,)
        The row before in the same group, −1 where there is none (everywhere without correlation).
    gap : ndarray of shape (n_obs,)
        Time since that row, above 0; 0 where there is none.
    stratum : ndarray of int, shape (n_obs,)
        Stratum of each row, from 0.
    n_strata : int
    weight : ndarray of shape (n_obs,) or None
        Prior weights: the residual variance is divided by them.
    """

    correlation: Correlation
    previous: Ints
    gap: Floats
    stratum: Ints
    n_strata: int = 1
    weight: Floats | None = None

    @cached_property
    def linked(self) -> Ints:
        """Rows that have a row before them."""
        return np.flatnonzero(self.previous >= 0)

    @cached_property
    def in_order(self) -> list[Ints]:
        """Rows by their place in the group, from the second on: those of a list follow on those of the one before."""
        ancestor = self.previous
        place = (ancestor >= 0).astype(np.int64)
        while (ancestor >= 0).any():
            has = np.flatnonzero(ancestor >= 0)
            place[has] += place[ancestor[has]]
            ancestor = np.where(ancestor >= 0, ancestor[ancestor], -1)
        order = np.argsort(place, kind="stable")
        return np.split(order, np.cumsum(np.bincount(place))[:-1])[1:]

    @cached_property
    def root_weight(self) -> Floats:
        """``√w`` per row."""
        return np.ones(self.gap.size) if self.weight is None else np.sqrt(self.weight)

    @cached_property
    def gap_after(self) -> Floats:
        """Time to the next row of the group, 0 where there is none."""
        after = np.zeros(self.gap.size)
        after[self.previous[self.linked]] = self.gap[self.linked]
        return after


@dataclass(frozen=True)
class ResidualModel:
    """The residual parameters: one for the correlation, then log ratios of standard deviations.

    The correlation is held as ``atanh ρ`` (AR(1)), or in continuous time as the logarithm of the range, the time in
    which it falls to 1/e, in units of the median gap.

    Parameters
    ----------
    correlation : {"none", "ar1", "car1"}
    n_strata : int
    unit, least : float
        Median and least gap between neighbours.
    """

    correlation: Correlation
    n_strata: int
    unit: float = 1.0
    least: float = 1.0

    @property
    def has_correlation(self) -> bool:
        """Whether residuals are correlated."""
        return self.correlation != "none"

    @property
    def n_parameters(self) -> int:
        """Number of residual parameters beside σ²."""
        return int(self.has_correlation) + self.n_strata - 1

    def start(self, correlation: float | None = None, log_ratios: Floats | None = None) -> Floats:
        """Where to start from: this correlation at the median gap (by default a moderate one), these strata (equal)."""
        r = _START if correlation is None else correlation
        first = {"none": [], "ar1": [np.arctanh(r)], "car1": [-np.log(-np.log(r))]}[self.correlation]
        return np.concatenate([first, np.zeros(self.n_strata - 1) if log_ratios is None else log_ratios[1:]])

    @property
    def limits(self) -> tuple[Floats, Floats]:
        """Least and largest values of the parameters."""
        ratios = np.full(self.n_strata - 1, _RATIO_LIMIT)
        if self.correlation == "none":
            return -ratios, ratios
        if self.correlation == "ar1":
            low, high = np.arctanh(_LIMIT - 1), np.arctanh(1 - _LIMIT)
        else:
            low, high = -np.log(-np.log(_LIMIT) * self.unit / self.least), -np.log(_LIMIT)
        return np.append(low, -ratios), np.append(high, ratios)

    def rho(self, parameters: Floats) -> float:
        """Correlation per unit of time; NaN where there is none in the model."""
        if self.correlation == "ar1":
            return float(np.tanh(parameters[0]))
        if self.correlation == "car1":
            return float(np.exp(-np.exp(-parameters[0]) / self.unit))
        return float("nan")

    def log_ratios(self, parameters: Floats) -> Floats:
        """Log of each stratum's standard deviation relative to the first one's, (n_strata,)."""
        return np.concatenate([[0.0], parameters[int(self.has_correlation) :]])

    def decay(self, parameters: Floats, gap: Floats) -> tuple[Floats, Floats, Floats]:
        """Correlation ``x`` at each gap, ``1 − x²``, and ``dx/dparameter``; without a neighbour (gap 0) ``x`` is 0."""
        apart = gap > 0
        if not self.has_correlation:
            return np.zeros(gap.size), np.ones(gap.size), np.zeros(gap.size)
        if self.correlation == "ar1":
            rho = np.tanh(parameters[0])
            x = np.where(apart, rho**gap, 0.0)
            slope = np.where(apart, gap * rho ** np.maximum(gap - 1, 0), 0.0) / np.cosh(parameters[0]) ** 2
            with np.errstate(divide="ignore"):
                rest = -np.expm1(2 * gap * np.log(np.abs(rho)))
            return x, np.where(apart, rest, 1.0), slope
        ranges = gap / self.unit * np.exp(-parameters[0])  # gaps in units of the range
        x = np.where(apart, np.exp(-ranges), 0.0)
        return x, np.where(apart, -np.expm1(-2 * ranges), 1.0), x * ranges


@dataclass(frozen=True)
class ResidualClasses:
    """Rows, and pairs of neighbours, that share strata and gaps.

    Parameters
    ----------
    model : ResidualModel
    row_stratum, before, after : ndarray of shape (n_row_classes,)
        Stratum and gaps (0: no neighbour) of each class of rows.
    first, second, gap : ndarray of shape (n_pair_classes,)
        Strata and gap of each class of pairs.
    n_in_stratum : ndarray of shape (n_strata,)
    n_pairs : ndarray of shape (n_pair_classes,)
        How many pairs each class has.
    log_weights : float
        Sum of the logarithms of the prior weights.
    """

    model: ResidualModel
    row_stratum: Ints
    before: Floats
    after: Floats
    first: Ints
    second: Ints
    gap: Floats
    n_in_stratum: Floats
    n_pairs: Floats
    log_weights: float

    def coefficients(self, parameters: Floats) -> tuple[Floats, Floats]:
        """Entries of ``Ω`` (without prior weights) per class, rows then pairs, (K,), and their derivatives, (k, K)."""
        ratios = self.model.log_ratios(parameters)
        parts = [self.model.decay(parameters, gap) for gap in (self.before, self.after, self.gap)]
        ends, own = parts[:2], np.exp(-2 * ratios[self.row_stratum])
        rows = own * (1 + sum(x**2 / rest for x, rest, _ in ends))
        x, rest, slope = parts[2]
        both = np.exp(-ratios[self.first] - ratios[self.second])
        pairs = -both * x / rest
        derivatives = []
        if self.model.has_correlation:
            by_rows = own * sum(2 * end * step / left**2 for end, left, step in ends)
            derivatives.append(np.append(by_rows, -both * slope * (1 + x**2) / rest**2))
        for s in range(1, self.model.n_strata):
            times = (self.first == s) * 1.0 + (self.second == s)
            derivatives.append(np.append(-2 * rows * (self.row_stratum == s), -pairs * times))
        values = np.append(rows, pairs)
        return values, np.array(derivatives).reshape(len(derivatives), values.size)

    def log_determinant(self, parameters: Floats) -> tuple[float, Floats]:
        """``log|R|`` and its derivatives, (k,)."""
        x, rest, slope = self.model.decay(parameters, self.gap)
        ratios = self.model.log_ratios(parameters)
        value = 2 * float(self.n_in_stratum @ ratios) + float(self.n_pairs @ np.log(rest)) - self.log_weights
        by_correlation = [-2 * float(self.n_pairs @ (x * slope / rest))] if self.model.has_correlation else []
        return value, np.append(by_correlation, 2 * self.n_in_stratum[1:])


def classify(structure: ResidualStructure) -> tuple[ResidualClasses, Ints, Ints]:
    """Sort rows, and pairs of neighbours, into classes.

    Returns
    -------
    classes : ResidualClasses
    row_class : ndarray of int, shape (n_obs,)
    pair_class : ndarray of int, shape (n_linked,)
        Class of the pair that each row of ``structure.linked`` makes with the row before; pair classes are counted on
        from the row classes.
    """
    linked, stratum = structure.linked, structure.stratum
    gaps, gap = np.unique(structure.gap, return_inverse=True)
    after = np.searchsorted(gaps, structure.gap_after)
    row_keys, row_class = _distinct(stratum, gap, after)
    pair_keys, pair_class = _distinct(stratum[linked], stratum[structure.previous[linked]], gap[linked])
    own_gaps = structure.gap[linked] if linked.size else np.ones(1)
    classes = ResidualClasses(
        model=ResidualModel(
            structure.correlation, structure.n_strata, float(np.median(own_gaps)), float(own_gaps.min())
        ),
        row_stratum=row_keys[0],
        before=gaps[row_keys[1]],
        after=gaps[row_keys[2]],
        first=pair_keys[0],
        second=pair_keys[1],
        gap=gaps[pair_keys[2]],
        n_in_stratum=np.bincount(stratum, minlength=structure.n_strata).astype(float),
        n_pairs=np.bincount(pair_class, minlength=pair_keys[0].size).astype(float),
        log_weights=2 * float(np.log(structure.root_weight).sum()),
    )
    return classes, row_class, pair_class + row_keys[0].size


def _distinct(*codes: Ints) -> tuple[list[Ints], Ints]:
    """Distinct combinations of codes: their parts, and the combination of each element."""
    sizes = [int(code.max(initial=0)) + 1 for code in codes]
    key = np.zeros(codes[0].size, dtype=np.int64)
    for code, size in zip(codes, sizes, strict=True):
        key = key * size + code
    unique, which = np.unique(key, return_inverse=True)
    parts: list[Ints] = []
    for size in reversed(sizes):
        unique, part = np.divmod(unique, size)
        parts.insert(0, part)
    return parts, which.astype(np.int64)
