"""Predicted random effects of pooled effects and meta-regressions."""

import numpy as np
import pandas as pd
from numpy.testing import assert_allclose
from test_multilevel import EFFECTS

import alliance_stats as als


def test_the_mean_and_the_deviation_are_the_predicted_effect():
    fit = als.meta.pool(EFFECTS, test="knha")
    random = fit.random()
    assert_allclose(random["estimate"] + fit.table()["estimate"][0], fit.predicted_effects()["estimate"], rtol=1e-12)
    assert list(random["level"]) == list(EFFECTS["study"])


def test_deviations_from_moderators_are_those_of_one_level_with_a_group_per_effect():
    fit = als.meta.regress("yi ~ x", EFFECTS)
    frame = EFFECTS.assign(effect=[f"e{at:03d}" for at in range(len(EFFECTS))])
    levels = als.meta.multilevel(frame, "effect", rho=0, mods="x", robust=None)
    expected = levels.random().set_index("level").loc[frame["effect"]]
    found = fit.random()
    # two climbs to the same τ²: 1e-8 apart at most
    for name in ("estimate", "std_error", "ci_low", "ci_high"):
        assert_allclose(found[name], expected[name], rtol=1e-6, atol=1e-9)


def test_without_differences_between_studies_none_deviates():
    random = als.meta.pool(EFFECTS, "EE").random()
    assert (random[["estimate", "std_error", "ci_low", "ci_high"]] == 0).all(axis=None)


def test_rows_are_named_by_the_index_where_there_is_no_study():
    frame = pd.DataFrame({"yi": [0.1, 0.5, 0.3], "vi": [0.02, 0.01, 0.03]}, index=["a", "b", "c"])
    assert list(als.meta.pool(frame).random()["level"]) == ["a", "b", "c"]
    assert np.isfinite(als.meta.pool(frame).random()["estimate"]).all()
