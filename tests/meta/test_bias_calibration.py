"""What the tests and corrections promise, by simulation. Bounds are three Monte Carlo standard errors wide."""

import numpy as np
import pandas as pd
import pytest

import alliance_stats as als

bias = als.meta.bias
pytestmark = pytest.mark.slow


def studies(rng, k, mean=0.25, tau=0.1):
    v = 1 / (rng.integers(15, 200, k) - 3.0)  # Fisher's z with usual sample sizes
    return pd.DataFrame({"yi": mean + np.sqrt(v + tau**2) * rng.normal(size=k), "vi": v})


def selected(rng, k, weight, mean=0.15, tau=0.1):
    """Draw studies until k are published; results that are not significant with probability ``weight``."""
    every = studies(rng, 12 * k, mean, tau)
    significant = every["yi"] > 1.959964 * np.sqrt(every["vi"])
    published = every[significant | (rng.random(len(every)) < weight)]
    return published.iloc[:k].reset_index(drop=True)


def within(share, level, n):
    return abs(share - level) <= 3 * np.sqrt(level * (1 - level) / n)


def test_eggers_test_keeps_its_level():
    rng, n = np.random.default_rng(11), 1500
    rejected = sum(bias.egger(studies(rng, 30), test="knha").slope["p_value"] < 0.05 for _ in range(n))
    assert within(rejected / n, 0.05, n)


def test_eggers_first_form_keeps_its_level_without_differences_between_studies():
    rng, n = np.random.default_rng(12), 1500
    fits = (bias.egger(studies(rng, 30, tau=0.0), model="multiplicative") for _ in range(n))
    assert within(sum(fit.slope["p_value"] < 0.05 for fit in fits) / n, 0.05, n)


def test_eggers_test_with_several_effects_per_study_keeps_its_level_where_the_plain_one_does_not():
    rng, n = np.random.default_rng(13), 400
    robust = plain = 0
    for _ in range(n):
        study = np.repeat(np.arange(30), 4)
        v = np.repeat(1 / (rng.integers(15, 200, 30) - 3.0), 4)
        shared = 0.15 * rng.normal(size=30)[study] + np.sqrt(0.7 * v) * rng.normal(size=30)[study]
        yi = 0.25 + shared + np.sqrt(0.3 * v) * rng.normal(size=120)
        frame = pd.DataFrame({"yi": yi, "vi": v, "study": study})
        robust += bias.egger(frame).slope["p_value"] < 0.05
        plain += bias.egger(frame, cluster=None).slope["p_value"] < 0.05
    assert within(robust / n, 0.05, n)
    assert plain / n > 0.15


def test_the_three_parameter_model_finds_mean_spread_and_weight_where_plain_pooling_does_not():
    rng, n = np.random.default_rng(14), 300
    found, covered, plain = [], 0, []
    for _ in range(n):
        frame = selected(rng, 150, weight=0.3)
        fit = bias.selection(frame)
        row = fit.table().iloc[0]
        found.append([row["estimate"], fit.fit.tau2, np.log(fit.fit.delta[0])])
        covered += row["ci_low"] <= 0.15 <= row["ci_high"]
        plain.append(als.meta.pool(frame).fit.beta[0])
    mean, spread = np.median(found, axis=0), np.std(found, axis=0) / np.sqrt(n)
    assert np.abs(mean - [0.15, 0.01, np.log(0.3)]).max() < 0.1
    assert abs(mean[0] - 0.15) < 3 * 1.2533 * spread[0] + 0.003  # maximum likelihood is biased by order 1/k
    assert 0.91 <= covered / n <= 0.98
    assert np.mean(plain) > 0.19


def test_the_test_of_no_selection_keeps_its_level():
    rng, n = np.random.default_rng(15), 600
    rejected = sum(bias.selection(studies(rng, 80, mean=0.1)).likelihood_ratio()["p_value"][0] < 0.05 for _ in range(n))
    assert within(rejected / n, 0.05, n)


def test_p_uniform_covers_the_mean_under_selection():
    rng, n = np.random.default_rng(16), 200
    ends = [bias.p_uniform(selected(rng, 60, weight=0.3)).interval for _ in range(n)]
    covered = np.mean([low <= 0.15 <= high for low, high in ends])
    assert within(covered, 0.95, n)


def test_a_right_skewed_p_curve_is_rare_without_an_effect():
    rng, n = np.random.default_rng(17), 1500
    curves = (bias.p_curve(studies(rng, 800, mean=0.0, tau=0.0)) for _ in range(n))
    assert within(sum(curve.tests["p_value"][0] < 0.05 for curve in curves) / n, 0.05, n)
