from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import norm

from alliance_stats.engine.selection.fit import fit_selection
from alliance_stats.engine.selection.likelihood import Problem, evaluate
from alliance_stats.engine.selection.weight_functions import KINDS, OwnSide, SmoothWeights, StepWeights

RNG = np.random.default_rng(3)
V = RNG.uniform(0.005, 0.08, 15)
Y = 0.2 + np.sqrt(V + 0.01) * RNG.normal(size=15)
Z = Y / np.sqrt(V)
X = np.column_stack([np.ones(15), RNG.normal(size=15)])
STEPS = np.array([0.025, 0.5, 1.0])
FORMULAS = {
    "beta": lambda p, d: p ** (d[0] - 1) * (1 - p) ** (d[1] - 1),
    "halfnorm": lambda p, d: np.exp(-d[0] * p**2),
    "negexp": lambda p, d: np.exp(-d[0] * p),
    "logistic": lambda p, d: 2 * np.exp(-d[0] * p) / (1 + np.exp(-d[0] * p)),
    "power": lambda p, d: (1 - p) ** d[0],
}


def functions(two_sided):
    found = {kind: SmoothWeights(Z, V, kind, two_sided) for kind in KINDS}
    found |= {"steps": StepWeights(Z, V, STEPS, two_sided), "own": OwnSide(Z, V, 0.025)}
    return found | {"given": StepWeights(Z, V, STEPS, two_sided, np.array([1.0, 0.5, 0.2]))}


def theta_of(function):
    return np.concatenate([[0.12, 0.05, 0.013], np.array([0.7, 0.6])[: function.lower.size]])


def formula(name, delta, clamp):
    """The weight as the papers write it, of p held inside its limits."""
    if name in FORMULAS:
        return lambda p: FORMULAS[name](np.clip(p, clamp, 1 - clamp), delta)
    weights = np.array([1.0, 0.5, 0.2]) if name == "given" else np.array([1.0, *delta])
    return lambda p: weights[np.searchsorted(STEPS[:-1], p, side="left")]


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("name", [*KINDS, "steps", "given"])
def test_the_likelihood_is_that_of_plain_integration(name, two_sided):
    function = functions(two_sided)[name]
    theta = theta_of(function)
    clamp = getattr(function, "clamp", 0.0)
    weight = formula(name, theta[3:], clamp)
    p_of = lambda y, v: 2 * norm.sf(abs(y) / np.sqrt(v)) if two_sided else norm.sf(y / np.sqrt(v))  # noqa: E731
    expected = 0.0
    for y, v, mu in zip(Y, V, X @ theta[:2], strict=True):
        s = np.sqrt(v + theta[2])
        # kinks of steps and of the clamp are named to the integrator
        z = norm.isf(np.array([0.025, 0.5, clamp or 0.1]) / (2 if two_sided else 1))
        z = [*z, *-z, *norm.isf(0.5 - np.array([0.5, -0.5]) * clamp)]
        z += [0.0, *np.geomspace(1e-5, 1, 11), *-np.geomspace(1e-5, 1, 11)] if two_sided else []
        kinks = [mu - 9 * s, *sorted(np.clip(np.sqrt(v) * np.array(z), mu - 9 * s, mu + 9 * s)), mu + 9 * s]
        of = lambda q, v=v, mu=mu, s=s: weight(p_of(q, v)) * norm.pdf(q, mu, s)  # noqa: E731
        parts = [quad(of, a, b, epsabs=1e-13, epsrel=1e-12, limit=200)[0] for a, b in pairwise(kinks)]
        expected += np.log(weight(p_of(y, v))) + norm.logpdf(y, mu, s) - np.log(sum(parts))
    assert_allclose(evaluate(Problem(Y, V, X, function), theta).value, expected, rtol=0, atol=1e-8)


def test_p_uniform_conditions_each_effect_on_its_own_side():
    function = OwnSide(Z, V, 0.025)
    theta = np.array([0.12, 0.05, 0.013])
    mu, s, cut = X @ theta[:2], np.sqrt(V + theta[2]), norm.isf(0.025) * np.sqrt(V)
    chance = np.where(cut < Y, norm.logsf(cut, mu, s), norm.logcdf(cut, mu, s))
    expected = np.sum(norm.logpdf(Y, mu, s) - chance)
    assert_allclose(evaluate(Problem(Y, V, X, function), theta).value, expected, rtol=1e-13)


def test_p_uniform_holds_far_out_where_probabilities_vanish():
    function = OwnSide(np.array([3.0, 2.5]), np.array([0.01, 0.02]), 0.025)
    y, v = np.array([3.0, 2.5]) * np.sqrt(function.v), function.v
    of = Problem(y, v, np.ones((2, 1)), function)
    theta = np.array([-30.0, 0.001])
    cut, s = norm.isf(0.025) * np.sqrt(v), np.sqrt(v + 0.001)
    expected = np.sum(norm.logpdf(y, -30, s) - norm.logsf(cut, -30, s))
    assert norm.sf(cut, -30, s).max() == 0  # plain probabilities are lost here
    assert_allclose(evaluate(of, theta).value, expected, rtol=1e-9)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("name", [*KINDS, "steps", "given", "own"])
def test_gradient_and_hessian_are_those_of_differences(name, two_sided):
    function = functions(two_sided)[name]
    theta = theta_of(function)
    of = Problem(Y, V, X, function, counts=RNG.integers(0, 3, 15).astype(float))
    here = evaluate(of, theta)
    for at in range(theta.size):
        step = 1e-5 * np.eye(theta.size)[at] * max(theta[at], 0.1)
        up, down = evaluate(of, theta + step), evaluate(of, theta - step)
        width = 2 * step[at]
        assert_allclose((up.value - down.value) / width, here.gradient[at], rtol=1e-6, atol=1e-6)
        assert_allclose((up.gradient - down.gradient) / width, here.hessian[at], rtol=1e-5, atol=1e-4)


def test_counts_stand_for_repeated_effects():
    counts = np.array([2.0] * 5 + [1.0] * 10)
    again = np.repeat(np.arange(15), counts.astype(int))
    theta = np.array([0.1, 0.0, 0.01, 0.4])
    steps = np.array([0.025, 1.0])
    one = evaluate(Problem(Y, V, X, StepWeights(Z, V, steps), counts), theta)
    two = evaluate(Problem(Y[again], V[again], X[again], StepWeights(Z[again], V[again], steps)), theta)
    assert_allclose(one.value, two.value, rtol=1e-13)
    assert_allclose(one.hessian, two.hessian, rtol=1e-11)


def test_weights_of_one_are_no_selection():
    function = StepWeights(Z, V, STEPS, given=np.ones(3))
    theta = np.array([0.1, 0.0, 0.01])
    expected = norm.logpdf(Y, X @ theta[:2], np.sqrt(V + 0.01)).sum()
    assert_allclose(evaluate(Problem(Y, V, X, function), theta).value, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["steps", "beta", "power"])
def test_the_top_is_no_lower_than_a_general_optimiser_finds(name):
    from scipy.optimize import minimize

    function = functions(False)[name]
    of = Problem(Y, V, X[:, :1], function)
    fit = fit_selection(of)
    d = function.lower.size
    bounds = [(None, None), (0, None), *([(1e-5, 100)] * d)]
    best = -np.inf
    for start in ([0.1, 0.01, *[1.0] * d], [0.0, 0.05, *[0.3] * d]):
        found = minimize(lambda theta: -evaluate(of, theta).value, start, bounds=bounds, method="L-BFGS-B")
        best = max(best, -found.fun)
    assert fit.converged
    assert fit.log_likelihood >= best - 1e-9


def test_effects_all_equal_have_a_fit_at_zero_spread():
    y, v = np.full(6, 0.3), np.linspace(0.01, 0.05, 6)
    fit = fit_selection(Problem(y, v, np.ones((6, 1)), StepWeights(y / np.sqrt(v), v, np.array([0.025, 1.0]))))
    assert fit.converged
    assert fit.tau2 == 0


@pytest.mark.parametrize("kind", ["beta", "power"])
def test_effects_that_tell_nothing_about_selection_keep_the_plain_mean_and_its_error(kind):
    v = np.linspace(0.01, 0.05, 12)
    y = 4 + np.sqrt(v) * np.sin(np.arange(12))  # every p is far below the limit, whatever the mean
    fit = fit_selection(Problem(y, v, np.ones((12, 1)), SmoothWeights(y / np.sqrt(v), v, kind)))
    assert fit.converged
    assert_allclose(fit.beta[0], np.average(y, weights=1 / v), rtol=1e-8)
    assert_allclose(fit.errors[0], (1 / v).sum() ** -0.5, rtol=1e-6)
    assert np.isnan(fit.errors[2:]).all()


@pytest.mark.parametrize("scale", [1e-6, 1e3, 1e150])
def test_wild_parameters_give_a_number_or_minus_infinity_without_an_overflow(scale):
    for function in functions(False).values():
        theta = np.concatenate([[scale, -scale, scale], np.full(function.lower.size, min(scale, 100.0))])
        with np.errstate(over="raise", divide="raise"):
            assert not np.isnan(evaluate(Problem(Y, V, X, function), theta).value)
