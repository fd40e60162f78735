import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import DataError

EFFECTS = pd.DataFrame(
    {
        "study": ["a", "b", "a", "c", "b", "a"],
        "yi": [0.1, 0.5, 0.3, 0.2, 0.4, 0.35],
        "vi": [0.01, 0.04, 0.02, 0.03, 0.05, 0.012],
        "year": [1990, 2001, 1990, 2010, 2001, 1990],
        "rater": ["P", "P", "T", "P", "P", "T"],
    }
)


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.999])
def test_it_is_the_generalised_least_squares_mean_of_each_study(rho):
    found = als.meta.aggregate(EFFECTS, rho).set_index("study")
    for study, own in EFFECTS.groupby("study"):
        s = np.sqrt(own["vi"].to_numpy())
        v = np.outer(s, s) * np.where(np.eye(len(s)) == 1, 1.0, rho)  # dense, inverted by numpy
        precision = np.linalg.inv(v).sum()
        # the inverse loses digits as rho nears 1: its condition number is about 1 / (1 - rho)
        tolerance = 1e-13 / (1 - rho)
        mean = np.linalg.inv(v).sum(axis=0) @ own["yi"].to_numpy() / precision
        assert_allclose(found.loc[study, ["yi", "vi"]].astype(float), [mean, 1 / precision], rtol=tolerance)


def test_equal_variances_give_the_plain_mean_and_a_variance_by_hand():
    frame = pd.DataFrame({"study": ["a"] * 4, "yi": [0.1, 0.2, 0.3, 0.6], "vi": 0.02})
    found = als.meta.aggregate(frame, 0.5).iloc[0]
    assert found["yi"] == pytest.approx(0.3, rel=1e-14)
    assert found["vi"] == pytest.approx(0.02 * (1 + 3 * 0.5) / 4, rel=1e-14)  # v(1 + (k - 1)ρ)/k


def test_what_does_not_vary_within_studies_is_kept():
    found = als.meta.aggregate(EFFECTS)
    assert list(found.columns) == ["study", "yi", "vi", "n_effects", "year"]
    assert found["n_effects"].tolist() == [3, 2, 1]
    assert found["study"].tolist() == ["a", "b", "c"]


def test_the_measure_goes_along():
    effects = als.meta.effect_sizes(pd.DataFrame({"study": ["a", "a"], "r": [0.1, 0.2], "n": [30, 30]}), r="r", n="n")
    assert als.meta.pool(als.meta.aggregate(effects)).measure == "ZCOR"


def test_rho_has_its_bounds():
    with pytest.raises(DataError, match=r"rho is 1"):
        als.meta.aggregate(EFFECTS, 1)
