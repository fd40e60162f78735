"""Profile-likelihood intervals of variance parameters.

A parameter is held at one value after the other while the criterion (−2 log-likelihood, or the REML criterion of a REML
fit) is minimised over everything else; the interval holds the values at which it stays within χ²₁ of its minimum.
The end of the parameter's range (a standard deviation of zero, a correlation of ±1) is the end of the interval where
the criterion does not rise that far.

References
----------
Venzon & Moolgavkar (1988), Journal of the Royal Statistical Society C, 37, 87-94. Bates, Mächler, Bolker & Walker
(2015), Journal of Statistical Software, 67(1), section 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError
from scipy.optimize import brentq
from scipy.special import chdtri

from alliance_stats.engine.mixed.constrained import Held, Minimiser
from alliance_stats.engine.mixed.targets import Place, Target
from alliance_stats.engine.threads import one_blas_thread

#: Below this many rows more starts are tried …
SMALL = 400
#: … from these relative variances.
_MORE_STARTS = (0.3, 5.0)
#: Ends are found to this share of the interval's half width.
_PRECISION = 1e-7
#: A search outwards gives up after this many trials.
_MAX_TRIALS = 40
#: How often an end is moved further out because a lower minimum was found there.
_MAX_RESTARTS = 5
#: A minimum lower by this is another one.
_GAIN = 1e-6


@dataclass(frozen=True)
class ProfileInterval:
    """An estimate and its interval.

    Parameters
    ----------
    estimate, low, high : float
        In units of the data.
    low_open, high_open : bool
        Whether the end is that of the parameter's range, because the criterion does not rise enough before it.
    """

    estimate: float
    low: float
    high: float
    low_open: bool = False
    high_open: bool = False


class Profile:
    """The criterion as a function of one parameter, minimised over all others.

    Parameters
    ----------
    target : Target
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.minimise = Minimiser(target)
        self.least = target.solution._evaluation.value
        self._places: dict[float, Place] = {target.estimate: target.start()}
        self._minima: dict[float, Held] = {}

    def rise(self, c: float) -> float:
        """How far the criterion lies above its minimum where the parameter is ``c``."""
        return self.minimum(c).value - self.least

    def minimum(self, c: float) -> Held:
        """The criterion at its minimum over everything else, where the parameter is ``c``."""
        if c not in self._minima:
            self._keep(self._from_anywhere(c, self._inward(c)))
        return self._minima[c]

    def _from_anywhere(self, c: float, start: Place) -> Held:
        """Minimise from the start given; from others where that does not succeed."""
        try:
            return self.minimise(c, start)
        except LinAlgError as failure:
            others = list(self._elsewhere(c))
            if not others:
                raise failure
            return min(others, key=lambda held: held.value)

    def _inward(self, c: float) -> Place:
        """The nearest place on the way from the estimate to ``c``: minima are followed outwards."""
        estimate = self.target.estimate
        on_the_way = [known for known in self._places if (known - estimate) * (c - known) >= 0 and known != c]
        return self._places[min(on_the_way or [estimate], key=lambda known: abs(known - c))]

    def _outward(self, c: float) -> list[Place]:
        """The nearest place beyond ``c``."""
        beyond = [known for known in self._places if (known - c) * (c - self.target.estimate) > 0]
        return [self._places[min(beyond, key=lambda known: abs(known - c))]] if beyond else []

    def _elsewhere(self, c: float) -> Iterator[Held]:
        """Minima at ``c`` that are reached from other places."""
        target = self.target
        starts = [target.start(), *self._outward(c)]
        if target.solution.n_obs < SMALL:
            starts += [target.anywhere(size) for size in _MORE_STARTS]
        for start in starts:
            with suppress(LinAlgError):
                yield Minimiser(target)(c, target.carry(start, c))

    def settle(self, c: float) -> bool:
        """Look for a lower minimum at ``c`` from other places; say whether there is one."""
        before = self.minimum(c).value
        for other in self._elsewhere(c):
            if other.value < self._minima[c].value - _GAIN:
                self._keep(other)
        return self._minima[c].value < before

    def _keep(self, held: Held) -> None:
        self._minima[held.c] = held
        # where the held effect is zero its loadings are unknown: that place is no start for others
        if held.c != self.target.lower or self.target.lower < 0:
            self._places[held.c] = held.place


def profile_interval(target: Target, level: float = 0.95) -> ProfileInterval:
    """Profile-likelihood interval of one parameter.

    Parameters
    ----------
    target : Target
    level : float

    Raises
    ------
    numpy.linalg.LinAlgError
        If the criterion cannot be minimised at some value.
    """
    estimate = target.estimate
    if np.isnan(estimate):
        return ProfileInterval(estimate, np.nan, np.nan)
    limit = float(chdtri(1, 1.0 - level))
    profile = Profile(target)
    with one_blas_thread():
        low, low_open = _end(profile, limit, -1)
        high, high_open = _end(profile, limit, 1)
    return ProfileInterval(estimate, low, high, low_open, high_open)


def _end(profile: Profile, limit: float, side: int) -> tuple[float, bool]:
    """One end of the interval, and whether it is the end of the range."""
    target = profile.target
    bound = target.lower if side < 0 else target.upper
    if target.estimate == bound:
        return bound, True
    if target.reaches(bound) and (
        profile.rise(bound) <= limit or (profile.settle(bound) and profile.rise(bound) <= limit)
    ):
        return bound, True
    inside = target.estimate
    for _ in range(_MAX_RESTARTS):
        bracket = _bracket(profile, limit, inside, side, bound)
        if bracket is None:
            return bound, True
        inside = _root(profile, limit, *bracket)
        if not profile.settle(inside):
            break
    return inside, False


def _root(profile: Profile, limit: float, inside: float, outside: float) -> float:
    """Where the criterion has risen to the limit."""

    def short(c: float) -> float:
        # the root of the criterion's rise is close to a straight line on either side of the estimate
        missing = np.sqrt(max(profile.rise(c), 0.0)) - np.sqrt(limit)
        return 0.0 if abs(missing) < _PRECISION * np.sqrt(limit) else float(missing)

    return float(brentq(short, inside, outside, xtol=1e-3 * _PRECISION * abs(outside - inside), rtol=1e-13))


def _bracket(profile: Profile, limit: float, inside: float, side: int, bound: float) -> tuple[float, float] | None:
    """A value within the interval and one beyond it; None where the criterion never rises enough."""
    target = profile.target
    distance = target.first_step if inside == target.estimate else 1.2 * abs(inside - target.estimate)
    for _ in range(_MAX_TRIALS):
        c = target.estimate + side * distance
        if (c - bound) * side >= 0:
            if target.reaches(bound):  # known to lie beyond the interval
                return inside, bound
            c = 0.5 * (inside + bound)
        rise = profile.rise(c)
        if rise > limit:
            return inside, c
        inside = c
        distance = abs(c - target.estimate) * float(np.clip(1.1 * np.sqrt(limit / max(rise, 1e-300)), 1.2, 4.0))
    return None
