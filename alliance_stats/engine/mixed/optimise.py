"""Damped Newton with average information, pivots bounded at zero, and an honest end.

Every step starts from a fresh order of pivots. A pivot at zero is left there while the gradient points out of the
parameter space; at the end the whole cone of covariances is checked (``Γ`` must have no negative eigenvalue), not only
the coordinates. Where average information converges slowly (few rows), the Hessian is taken from differences of the
analytic gradient. The limit on steps is never reported as convergence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import lapack

from alliance_stats.engine.mixed.covariance import state
from alliance_stats.engine.mixed.design import Floats, GroupingFactor
from alliance_stats.engine.mixed.deviance import Evaluation
from alliance_stats.engine.mixed.parameters import State
from alliance_stats.engine.mixed.residual_basis import ResidualBasis
from alliance_stats.engine.mixed.secant import Secant
from alliance_stats.engine.mixed.start import moment_start
from alliance_stats.engine.mixed.statistics import Statistics
from alliance_stats.engine.mixed.story import Start, Story, free_parameters, least_eigenvalues

#: A fit has converged when a Newton step promises less than this in the criterion …
TOLERANCE = 1e-13
#: … or, where the numbers are too coarse for that, when no step of any length gains this much.
COARSE = 1e-7
_MAX_STEPS = 100
#: From here on average information should converge fast; where it does not, the observed Hessian takes over.
_LOCAL = 0.1
#: Relative variances (in standardised columns) to start from when the first start is not enough.
_MORE_STARTS = (0.3, 0.02, 5.0)
#: Correlation of neighbouring residuals that these starts have.
_LATER_CORRELATION = 0.7
#: On the way from these starts a relative variance above ``_SETTLED`` keeps this share of itself in a step. A full
#: Newton step may throw it to zero in one go, from where there may be no way back to a better optimum.
_KEPT, _SETTLED = 0.3, 0.01
#: Below this many rows further starts are always tried: they cost milliseconds, and small data have local optima.
_SMALL = 400


class _Counter:
    """Evaluates the criterion and counts."""

    def __init__(self, source: Statistics | ResidualBasis, reml: bool) -> None:
        self.source, self.reml, self.n = source, reml, 0

    def __call__(self, at: State, near: Evaluation | None = None) -> Evaluation | None:
        """Evaluate at a state; ``near`` lends its statistics where the residual parameters are the same."""
        self.n += 1
        try:
            if near is not None:
                return near.at(at)
            if isinstance(self.source, Statistics):
                return Evaluation(self.source, at.covariance, self.reml)
            point = self.source.point(at.residual)
            return Evaluation(point.statistics, at.covariance, self.reml, point)
        except LinAlgError:
            return None


def optimise(
    source: Statistics | ResidualBasis, factors: Sequence[GroupingFactor], reml: bool, near: State | None = None
) -> tuple[Evaluation, Story]:
    """Minimise the criterion over the relative covariances and the residual parameters.

    Parameters
    ----------
    source : Statistics or ResidualBasis
        In standardised coordinates; a basis where there are residual parameters.
    factors : sequence of GroupingFactor
    reml : bool
    near : State, optional
        A point to start from that is thought to be near the optimum.

    Returns
    -------
    evaluation : Evaluation
        At the best point found.
    story : Story
    """
    evaluate = _Counter(source, reml)
    best: tuple[Evaluation, Story] | None = None
    starts = 0
    for size in (None, *_MORE_STARTS):
        start = near if near is not None and size is None else _start(source, factors, size)
        run = _run(evaluate, start, careful=size is not None)
        starts += 1
        if run is not None and (best is None or _better(run, best)):
            best = run
        if best is not None and best[1].converged and not _worth_another_start(best[0], near is not None):
            break
    if best is None:
        raise LinAlgError("the criterion could not be evaluated at any starting point")
    evaluation, story = best
    return evaluation, replace(story, evaluations=evaluate.n, starts=starts)


def _start(source: Statistics | ResidualBasis, factors: Sequence[GroupingFactor], size: float | None) -> State:
    """Start from moments; later from variances of one ``size``, correlated residuals and unequal strata."""
    if isinstance(source, Statistics):
        statistics, residual, model = source, np.zeros(0), None
    else:
        model = source.classes.model
        residual = model.start(_LATER_CORRELATION, source.log_ratios()) if size else model.start()
        statistics = source.point(residual).statistics
    guess = moment_start(statistics, factors) if size is None else [size * np.eye(f.n_effects) for f in factors]
    return State(state(factors, guess), residual, model)


def _better(run: tuple[Evaluation, Story], best: tuple[Evaluation, Story]) -> bool:
    gain = best[1].value - run[1].value
    return gain > COARSE or (run[1].converged and not best[1].converged and gain > -COARSE)


def _worth_another_start(evaluation: Evaluation, near: bool) -> bool:
    """Whether an optimum may not be the best one: in small data, and at a boundary that was reached from far away."""
    return evaluation.statistics.n_obs < _SMALL or (bool(evaluation.state.on_boundary.any()) and not near)


def _run(evaluate: _Counter, start: State, careful: bool = False) -> tuple[Evaluation, Story] | None:
    """Newton steps from one starting point until the optimality conditions hold or nothing helps.

    A ``careful`` run takes variances to zero by several steps.
    """
    current = evaluate(start)
    if current is None:
        return None
    began = _beginning(current)  # the evaluation itself is large, and need not outlive the first step
    damping, observed, last = 0.0, False, np.inf
    secant = Secant()
    for step_number in range(_MAX_STEPS):
        free = free_parameters(current)
        hessian = secant.corrected(current, free, near=last < _LOCAL)
        if observed:
            hessian = _curvature(evaluate, current, free, hessian)
        newton = _step(hessian, current.gradient, free, 0.0)
        decrement = float(-current.gradient @ newton)
        if decrement < 0:  # by rounding the curvature is not positive, and the step goes up
            hessian = _upright(hessian, free)
            newton = _step(hessian, current.gradient, free, 0.0)
            decrement = abs(float(current.gradient @ newton))
        # what the next step will leave, were it as good as the last and the curvature no better than there; a last one
        # from afar says nothing about that
        contraction = min(1.0, max(decrement / last, secant.surprise)) if last < _LOCAL else 1.0
        if decrement * contraction < TOLERANCE:
            moved = _escape(evaluate, current)
            if moved is None:
                final = _last_step(evaluate, current, newton, free)
                return final, _tell(began, final, step_number + 1, decrement * contraction, converged=True)
            current, last = moved, np.inf
            continue
        observed = observed or (decrement < _LOCAL and decrement > 0.05 * last)
        last = decrement
        moved, damping = _line_search(evaluate, current, hessian, free, newton, damping, careful)
        if moved is None:
            moved = _escape(evaluate, current)
            if moved is None:
                return current, _tell(began, current, step_number, decrement, converged=decrement < COARSE)
        current = moved
    return current, _tell(began, current, _MAX_STEPS, decrement, converged=False)


def _curvature(evaluate: _Counter, current: Evaluation, free: np.ndarray, otherwise: Floats) -> Floats:
    """Observed Hessian in the free parameters, or ``otherwise`` where it cannot be computed."""
    exact = observed_hessian(current, free)
    evaluate.n += 2 * int(free.sum())
    if not np.isfinite(exact).all():
        return otherwise
    hessian = otherwise.copy()
    hessian[np.ix_(free, free)] = _positive(exact)
    return hessian


def _upright(hessian: Floats, free: np.ndarray) -> Floats:
    """Turn negative curvature around, each parameter in units of its own curvature."""
    unit = 1 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), np.finfo(float).tiny))
    result = hessian.copy()
    own = np.outer(unit, unit)[np.ix_(free, free)]
    result[np.ix_(free, free)] = _positive(hessian[np.ix_(free, free)] * own) / own
    return result


def _positive(matrix: Floats) -> Floats:
    """Turn negative curvature around, so that a Newton step goes down."""
    values, vectors = np.linalg.eigh(matrix)
    floor = 1e-8 * max(float(np.abs(values).max(initial=0.0)), 1e-300)
    return (vectors * np.maximum(np.abs(values), floor)) @ vectors.T


def observed_hessian(evaluation: Evaluation, free: np.ndarray) -> Floats:
    """Hessian of the criterion in the free parameters, by central differences of the analytic gradient.

    Steps are a thousandth of a parameter's standard error, and never across zero for a pivot.
    """
    state = evaluation.state
    at = np.flatnonzero(free)
    hessian = np.empty((at.size, at.size))
    curvature = np.diag(evaluation.average_information)
    for row, r in enumerate(at):
        value = state.values[r]
        step = 1e-3 * min(np.sqrt(2 / curvature[r]) if curvature[r] > 0 else 1.0, max(1.0, abs(value)))
        back = min(step, 0.5 * value) if state.pivots[r] else step
        slopes = []
        for shift in (step if back == 0 else back, -back):
            values = state.values.copy()
            values[r] += shift
            slopes.append(_gradient_at(evaluation, state.moved(values)))
        hessian[row] = ((slopes[0] - slopes[1]) / ((step if back == 0 else back) + back))[at]
    return 0.5 * (hessian + hessian.T)


def _gradient_at(evaluation: Evaluation, at: State) -> Floats:
    try:
        return evaluation.at(at).gradient
    except LinAlgError:
        return np.full(at.values.size, np.nan)


def _step(hessian: Floats, gradient: Floats, free: np.ndarray, damping: float) -> Floats:
    """Damped Newton step in the free parameters; zero in the others."""
    step = np.zeros_like(gradient)
    if not free.any():
        return step
    own = hessian if free.all() else hessian[np.ix_(free, free)]
    diagonal = own.diagonal()
    scale = np.sqrt(np.maximum(diagonal, 1e-12 * max(float(diagonal.max()), 1e-100)))
    scaled = own / (scale[:, None] * scale)
    scaled.ravel()[:: own.shape[0] + 1] += damping + 1e-12
    own_gradient = gradient[free] / scale
    _, solved, info = lapack.dposv(scaled, own_gradient)
    if info == 0:
        step[free] = -solved / scale
        return step
    try:
        step[free] = -np.linalg.solve(scaled, own_gradient) / scale
    except LinAlgError:
        step[free] = -np.linalg.lstsq(scaled, own_gradient, rcond=1e-14)[0] / scale
    return step


def _line_search(
    evaluate: _Counter,
    current: Evaluation,
    hessian: Floats,
    free: np.ndarray,
    newton: Floats,
    damping: float,
    careful: bool,
) -> tuple[Evaluation | None, float]:
    """Raise the damping until a step goes down; return where it led, and the damping for the next one."""
    here = current.state
    least = np.where(here.pivots & (here.values > _SETTLED), _KEPT * here.values, -np.inf) if careful else -np.inf
    for _ in range(14):
        step = _step(hessian, current.gradient, free, damping) if damping else newton
        values = np.maximum(here.after(step), least)
        promised = float(current.gradient @ (values - here.values))
        moved = evaluate(here.reordered(values), current)
        if moved is not None and promised < 0 and moved.value <= current.value + 1e-4 * promised + _noise(current):
            return moved, damping / 10 if damping > 1e-4 else 0.0
        damping = max(10 * damping, 1e-3)
    return None, damping


def _noise(evaluation: Evaluation) -> float:
    """Rounding error of the criterion."""
    return 1e-14 * (abs(evaluation.value) + evaluation.statistics.n_obs)


def _last_step(evaluate: _Counter, current: Evaluation, newton: Floats, free: np.ndarray) -> Evaluation:
    """Take the step that promises next to nothing in the criterion: it still halves the error of the estimates."""
    here = current.state
    values = here.values + newton
    if (here.clamped(values) != values)[free].any():
        return current
    moved = evaluate(here.moved(values), current)
    if moved is None or moved.value > current.value + 10 * _noise(current):
        return current
    return moved


def _escape(evaluate: _Counter, current: Evaluation) -> Evaluation | None:
    """Leave a point where variance added in some direction would fit better; None where there is none."""
    covariance, best = current.covariance, None
    if (covariance.values[covariance.pivots] > 0).all():
        return None
    at_zero = {
        p.factor for p, value in zip(covariance.parameters, covariance.values, strict=True) if p.pivot and value <= 0
    }
    for f, (least, direction) in enumerate(least_eigenvalues(current)):
        if f not in at_zero or least >= -1e-6 * np.sqrt(current.statistics.n_obs):
            continue  # inside the parameter space a gradient of zero is all there is to check
        for size in (1.0, 0.1, 0.01, 1e-3, 1e-4):
            matrices = list(covariance.matrices)
            matrices[f] = matrices[f] + size * np.outer(direction, direction)
            moved = evaluate(current.state.with_covariance(state(covariance.factors, matrices)), current)
            if moved is not None and moved.value < (best or current).value - COARSE / 10:
                best = moved
    return best


def _beginning(first: Evaluation) -> Start:
    return Start(
        covariances=tuple(first.sigma2 * matrix for matrix in first.covariance.matrices),
        sigma2=first.sigma2,
        residual=first.state.residual,
        value=first.value,
    )


def _tell(start: Start, evaluation: Evaluation, steps: int, decrement: float, converged: bool) -> Story:
    if converged:
        message = f"Converged after {steps} Newton steps; another step would change the criterion by {decrement:.1g}."
    else:
        message = (
            f"Did not converge: after {steps} Newton steps another one still promises {decrement:.2g} in the "
            "criterion. "
            "Simplify the random effects, or look for predictors on very different scales."
        )
    return Story(
        converged=converged,
        evaluations=0,
        steps=steps,
        starts=1,
        value=evaluation.value,
        decrement=decrement,
        message=message,
        start=start,
        _final=evaluation,
    )
