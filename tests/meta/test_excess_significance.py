from itertools import product

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binom, norm

import alliance_stats as als
from alliance_stats.engine.pooling.excess import at_least, powers
from alliance_stats.errors import DataError, DesignError

FRAME = pd.DataFrame({"yi": [0.62, 0.1, 0.55, 0.41, 0.3], "vi": [0.04, 0.05, 0.03, 0.02, 0.06]})
bias = als.meta.bias


def test_the_law_of_the_count_is_the_sum_over_all_outcomes():
    power = np.array([0.1, 0.35, 0.8, 0.5])
    outcomes = [(sum(one), np.prod(np.where(one, power, 1 - power))) for one in product([0, 1], repeat=4)]
    for n in range(5):
        assert_allclose(at_least(n, power), sum(p for total, p in outcomes if total >= n), rtol=1e-14)
    assert_allclose(at_least(30, np.full(100, 0.2)), binom.sf(29, 100, 0.2), rtol=1e-10)


def test_powers_are_shares_of_simulated_studies():
    rng = np.random.default_rng(5)
    drawn = 0.25 + rng.normal(size=(400_000, 2)) * np.sqrt(np.array([0.02, 0.1]) + 0.03)
    share = (np.abs(drawn) > norm.ppf(0.975) * np.sqrt([0.02, 0.1])).mean(axis=0)
    assert_allclose(powers(np.array([0.02, 0.1]), 0.25, 0.03), share, atol=0.0032)  # four standard errors
    assert_allclose(powers(np.array([0.3]), 0.0, 0.0), 0.05, rtol=1e-12)


def test_turning_all_effects_round_changes_the_sign_of_the_limit_only():
    one, other = bias.excess_significance(FRAME), bias.excess_significance(FRAME.assign(yi=-FRAME["yi"]))
    assert one.limit > 0
    assert_allclose([other.p_value, other.limit], [one.p_value, -one.limit], rtol=1e-10)


def test_the_limit_has_the_p_that_was_asked_for():
    found = bias.excess_significance(FRAME, limit=0.2)
    v = FRAME["vi"].to_numpy()
    assert_allclose(at_least(found.n_significant, powers(v, found.limit, 0.0)), 0.2, rtol=1e-9)


def test_no_significant_result_is_no_surprise():
    found = bias.excess_significance(FRAME.assign(yi=[0.1, 0.0, 0.05, -0.02, 0.2]))
    assert (found.n_significant, found.p_value) == (0, 1.0)
    assert np.isnan(found.limit)
    assert "0 of 5 effects were significant" in str(found.report())


def test_wrong_arguments_are_named():
    with pytest.raises(DataError, match=r"alpha is 1\.5; it lies between 0 and 1"):
        bias.excess_significance(FRAME, alpha=1.5)
    with pytest.raises(DesignError, match="1 effect: a test of excess significance needs at least 2"):
        bias.excess_significance(FRAME.head(1))
