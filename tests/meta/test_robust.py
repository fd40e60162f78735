import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.special import stdtrit
from test_multilevel import EFFECTS

import alliance_stats as als
from alliance_stats.errors import DataError, DesignError
from alliance_stats.meta.result import GLANCE
from alliance_stats.names import TABLE_COLUMNS


@pytest.mark.parametrize("weights", ["CORR", "HIER"])
def test_the_result_keeps_the_contract(weights):
    fit = als.meta.robust(EFFECTS, "x", weights)
    assert tuple(fit.table().columns) == TABLE_COLUMNS
    assert tuple(fit.glance().columns[: len(GLANCE)]) == GLANCE
    assert "nan" not in fit.report().lower()
    assert "<table" in fit._repr_html_()
    assert fit.describe().startswith("Robust variance estimation of")
    assert len(fit.plot().data["effects"]) == len(EFFECTS)
    one, row = fit.test("x").iloc[0], fit.table().iloc[1]
    assert_allclose([one["statistic"], one["p_value"]], [row["statistic"] ** 2, row["p_value"]])
    assert_allclose(fit.contrast({"x": 2.0})["estimate"], 2 * row["estimate"])


def test_effects_of_a_study_share_one_weight():
    fit = als.meta.robust(EFFECTS)
    assert fit.weights().groupby(EFFECTS["study"]).nunique().eq(1).all()


def test_wrong_arguments_are_named():
    with pytest.raises(DataError, match=r"No weights 'COR'. Did you mean 'CORR'"):
        als.meta.robust(EFFECTS, weights="COR")
    with pytest.raises(DesignError, match="need more than 1 studies, and there is 1"):
        als.meta.robust(EFFECTS[EFFECTS["study"] == "s01"])
    with pytest.raises(DataError, match="rho is 1"):
        als.meta.robust(EFFECTS, rho=1)


def test_two_clusters_have_at_least_one_degree_of_freedom_and_an_interval():
    draw = np.random.default_rng(0)
    found = []
    for _ in range(40):  # rounding takes (Σλ)²/Σλ² below 1 in about every fifth
        frame = pd.DataFrame(
            {"study": [1, 1, 2, 2, 2], "yi": draw.normal(0.3, 0.2, 5), "vi": draw.uniform(0.01, 0.1, 5)}
        )
        for fit in (als.meta.robust(frame), als.meta.multilevel(frame, "study")):
            row = fit.table().iloc[0]
            found.append(row["df"])
            half = stdtrit(row["df"], 0.975) * row["std_error"]
            assert_allclose(row["ci_high"] - row["estimate"], half, rtol=1e-9)
    assert min(found) == 1.0
