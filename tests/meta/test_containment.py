import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_multilevel import EFFECTS

import alliance_stats as als
from alliance_stats.errors import DesignError

N_STUDIES, K = EFFECTS["study"].nunique(), len(EFFECTS)


def fit(frame, mods=None, **more):
    return als.meta.multilevel(frame, mods=mods, robust=None, test="containment", **more)


def test_a_mean_has_studies_less_one():
    assert fit(EFFECTS).table()["df"][0] == N_STUDIES - 1
    assert fit(EFFECTS).glance()["test"][0] == "containment"


def test_what_varies_inside_studies_has_effects_and_what_does_not_has_studies():
    own = np.random.default_rng(1).normal(size=N_STUDIES)
    frame = EFFECTS.assign(inside=np.arange(K) % 2, between=own[EFFECTS["study"].astype("category").cat.codes])
    found = fit(frame, "inside + between")
    assert_allclose(found.table()["df"], [N_STUDIES - 3, K - 3, N_STUDIES - 3])  # by hand
    # sums and joint tests have the fewest of their coefficients
    assert found.contrast({"inside": 1.0, "between": -1.0})["df"][0] == N_STUDIES - 3
    assert found.test(["inside", "between"])["df_den"][0] == N_STUDIES - 3
    assert found.test("inside")["df_den"][0] == K - 3


def test_standard_errors_are_those_of_the_normal_test():
    plain = als.meta.multilevel(EFFECTS, robust=None)
    assert_allclose(fit(EFFECTS).table()["std_error"], plain.table()["std_error"], rtol=1e-12)
    assert fit(EFFECTS).table()["p_value"][0] > plain.table()["p_value"][0]


def test_subgroup_levels_do_not_count():
    found = fit(EFFECTS, "0 + rater", random="study", working="SCE", subgroup="rater")
    assert_allclose(found.table()["df"], K - len(found.part.names))


def test_too_few_groups_are_named():
    frame = EFFECTS[EFFECTS["study"].isin(sorted(EFFECTS["study"].unique())[:2])]
    frame = frame.assign(between=(frame["study"] == frame["study"].iloc[0]).astype(float))
    with pytest.raises(DesignError, match="is told by 2 groups, and the model has 2 coefficients: 0 degrees"):
        fit(frame, "between")
