"""Climb the likelihood of variances that cannot be negative."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alliance_stats.engine.pooling.large import one_thread
from alliance_stats.engine.pooling.multilevel import Evaluation, Peak, Problem

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

_STEPS = 100
#: Shares of the effects' variance from which the climb may start.
_STARTS = (0.02, 0.3, 1.0)
#: The same where sampling variances differ by more than ``_UNEVEN``: a few precise effects can make a peak of their own
#: close to zero.
_UNEVEN_STARTS = (0.0, 1e-4, 3e-3, 0.02, 0.3, 1.0)
_UNEVEN = 100.0
#: Above this many effects the likelihood is close to a parabola, and one start is enough.
_LARGE = 20_000
#: Relative step of the differences that give the observed information.
_DIFFERENCE = 1e-5
#: Below this expected gain in the likelihood the observed information is worth its differences.
_NEAR = 1e-4
#: The observed information is computed anew where a step gains more than this share of what the one before gained.
_FALL = 1e-4


def find_peak(of: Problem, start: Floats | None = None, held: dict[int, float] | None = None) -> Peak:
    """Find the variances of highest likelihood.

    Parameters
    ----------
    of : Problem
    start : ndarray, optional
        Where to begin; by default the best of a grid.
    held : mapping of int to float, optional
        Variances that keep a value (for profiles).

    Notes
    -----
    Newton's method on the average information, and near the peak on the observed one, from differences of the exact
    slope. A variance at 0 stays there while the slope points below 0 (the conditions of
    Karush, Kuhn and Tucker), and leaves when it does not.
    """
    with one_thread(of.k):
        return _find_peak(of, start, held or {})


def _find_peak(of: Problem, start: Floats | None, held: dict[int, float]) -> Peak:
    free = np.array([at not in held for at in range(of.n_parameters)], bool)
    if of.n_parameters == 0 or not free.any():
        theta = np.array([held[at] for at in range(of.n_parameters)])
        return Peak(Evaluation(of, theta), True, 1, np.zeros((of.n_parameters, of.n_parameters)))
    # where effects are all alike, sampling errors say what counts as small
    precision = of.covariance.at(np.zeros(of.n_parameters)).diagonal()
    errors = of.k / float(precision.sum())
    uneven = float(precision.max() / precision.min()) > _UNEVEN
    scale = max(float(np.mean(of.y**2)), 1e-6 * errors)
    at, used = (Evaluation(of, _with(start, held)), 1) if start is not None else _best_start(of, scale, held, uneven)
    best = _climb(of, at, free, scale, used)
    if start is None and (best.theta[free] <= 0).any() and of.k <= _LARGE:
        # a variance that came to rest at 0 may have missed a peak inside
        again = _climb(of, Evaluation(of, _with(np.full(of.n_parameters, 0.3 * scale), held)), free, scale, used)
        best = again if again.at.value > best.at.value + 1e-9 else best
    return best


def _with(theta: Floats, held: dict[int, float]) -> Floats:
    theta = np.array(theta, dtype=np.float64)
    for at, value in held.items():
        theta[at] = value
    return theta


def _best_start(of: Problem, scale: float, held: dict[int, float], uneven: bool) -> tuple[Evaluation, int]:
    shares: tuple[float, ...] = _STARTS if of.k <= _LARGE and of.n_parameters <= 4 else _STARTS[1:2]
    if uneven and len(shares) > 1 and of.n_parameters <= 2:
        shares = _UNEVEN_STARTS
    starts = [_with(scale * np.array(one), held) for one in product(shares, repeat=of.n_parameters)]
    tried = [Evaluation(of, theta) for theta in starts]
    return max(tried, key=lambda one: one.value), len(tried)


def _climb(of: Problem, at: Evaluation, free: Bools, scale: float, used: int) -> Peak:
    information, near, last = at.information, False, np.inf
    for _ in range(_STEPS):
        inside = free & ((at.theta > 0) | (at.slope > 0))
        if not inside.any():
            return Peak(at, True, used, information)
        if not near:
            information = at.information
        step = _step(at, inside, information)
        gain = float(at.slope @ step)
        # near the peak the observed information hardly changes: it is kept while each step is far shorter than the last
        if gain < _NEAR and (not near or gain > _FALL * last):
            information, near = _observed(of, at, free, scale), True
            used += int(free.sum())
            step = _step(at, inside, information)
            gain = float(at.slope @ step)
        last = gain
        if np.all(np.abs(step) <= 1e-13 * (at.theta + 1e-3 * scale)):
            return Peak(at, True, used, information)
        new, tries = _search(of, at, step)
        used += tries
        falls = inside & (at.slope < 0) & (at.theta > 0)
        if new is None and falls.any():
            # effects more alike than their errors leave hardly any average information: Newton's step is then no
            # guide, and variances of negative slope are tried at 0
            new, tries = _search(of, at, np.where(falls, -at.theta, 0.0))
            used += tries
        if new is None:  # no step raises the likelihood: rounding is all that is left, or something is wrong
            rest = float(at.slope[inside] @ step[inside])
            return Peak(at, abs(rest) <= 1e-10, used, information)
        at = new
    return Peak(at, False, used, information)


def _observed(of: Problem, at: Evaluation, free: Bools, scale: float) -> Floats:
    """Observed information, from one-sided differences of the slope; the average one where it is not positive."""
    observed = np.zeros((of.n_parameters, of.n_parameters))
    for parameter in np.flatnonzero(free):
        size = _DIFFERENCE * max(at.theta[parameter], 1e-2 * scale)
        moved = at.theta.copy()
        moved[parameter] += size
        observed[:, parameter] = (at.slope - Evaluation(of, moved).slope) / size
    observed = 0.5 * (observed + observed.T)
    own = np.ix_(np.flatnonzero(free), np.flatnonzero(free))
    if np.linalg.eigvalsh(observed[own])[0] <= 0:
        return at.information
    return observed


def _step(at: Evaluation, inside: Bools, information: Floats) -> Floats:
    """Newton's step over the variances that may move; no variance falls below 0."""
    step = np.zeros(at.theta.size)
    active = inside.copy()
    for _ in range(at.theta.size):
        places = np.flatnonzero(active)
        own = information[np.ix_(places, places)]
        step[:] = 0.0
        if not np.trace(own) > 0:  # no residuals at all: average information is 0, and variances that fall are 0
            step[places] = np.where(at.slope[places] < 0, -at.theta[places], 0.0)
            break
        own = own + 1e-12 * np.trace(own) * np.eye(places.size)
        step[places] = np.linalg.solve(own, at.slope[places])
        hits = active & (at.theta + step < 0) & (at.theta == 0)
        if not hits.any():
            break
        active &= ~hits  # at the bound already, and pushed below it by the others
        if not active.any():
            step[:] = 0.0
            break
    return step


def _search(of: Problem, at: Evaluation, step: Floats) -> tuple[Evaluation | None, int]:
    size = 1.0
    noise = 1e-14 * max(abs(at.value), of.k)
    for tries in range(1, 40):
        theta = np.maximum(at.theta + size * step, 0.0)
        if np.array_equal(theta, at.theta):
            return None, tries
        try:
            new = Evaluation(of, theta)
        except np.linalg.LinAlgError:  # too far: beside these variances sampling errors leave no digits
            size /= 2
            continue
        if new.value >= at.value - noise and np.isfinite(new.value):
            # within rounding of the peak the slope decides
            inside = (theta > 0) | (at.theta > 0)
            smaller = np.abs(new.slope[inside]).max() < np.abs(at.slope[inside]).max()
            if new.value > at.value + noise or smaller:
                return new, tries
        size /= 2
    return None, 40
