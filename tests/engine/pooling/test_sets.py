"""All effects but one group, from a table over τ², against the same sums written out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from alliance_stats.engine.pooling.sets import LeftOut, Subsets, raw_variance
from alliance_stats.engine.pooling.sums import prepare

RNG = np.random.default_rng(9)
K = 60
X = np.column_stack([np.ones(K), RNG.normal(size=K)])
CODES = np.repeat(np.arange(25), RNG.multinomial(K - 25, np.full(25, 0.04)) + 1)[RNG.permutation(K)]
KEEP = np.arange(25)[:, None] != CODES


@pytest.mark.parametrize("spread", [1.0, 1e4])
def test_sums_without_a_group_are_exact_at_any_variance(spread):
    v = np.geomspace(0.01, 0.01 * spread, K)[RNG.permutation(K)]
    effects = prepare(RNG.normal(0, 0.5, K), v, X)
    tau2 = np.concatenate([[0.0], np.geomspace(1e-6, 50, 24)])  # beyond the table, too
    ours, plain = LeftOut(effects, CODES).solve(tau2), Subsets(effects, KEEP).solve(tau2)
    for name in ("first", "second", "third"):
        for part in ("one", "xx", "xy", "yy"):
            expected = getattr(getattr(plain, name), part)
            size = np.abs(expected).max(axis=tuple(range(1, expected.ndim)), keepdims=True)
            # rounding of the whole sum is left where nearly all of it is taken off again
            assert np.all(np.abs(getattr(getattr(ours, name), part) - expected) <= 1e-11 * np.maximum(size, 1e-3))
    assert_allclose(ours.q, plain.q, rtol=1e-9)
    assert_allclose(ours.beta, plain.beta, rtol=1e-8, atol=1e-11)


def test_counts_and_raw_variances_are_those_of_the_rest():
    effects = prepare(RNG.normal(0, 0.5, K), np.full(K, 0.02), X)
    ours, plain = LeftOut(effects, CODES), Subsets(effects, KEEP)
    assert ours.n == plain.n == 25
    assert ours.count.tolist() == plain.count.tolist() == KEEP.sum(axis=1).tolist()
    assert_allclose(raw_variance(ours), raw_variance(plain), rtol=1e-10)
    whole = effects.y + effects.basis @ effects.start
    assert_allclose(raw_variance(ours)[3], whole[KEEP[3]].var(), rtol=1e-10)
