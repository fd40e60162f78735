import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from test_multilevel import EFFECTS as SEVERAL

import alliance_stats as als
from alliance_stats.errors import DataError, DesignError

RNG = np.random.default_rng(6)
K = 25
EFFECTS = pd.DataFrame(
    {
        "study": np.arange(K) // 2,
        "yi": RNG.normal(0.3, 0.25, K),
        "vi": RNG.uniform(0.01, 0.05, K),
        "x": RNG.normal(size=K),
        "year": RNG.integers(1990, 2000, K),
    },
    index=[f"e{at}" for at in range(K)],
)
METHODS = ("EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM")


@pytest.mark.parametrize("method", METHODS)
def test_leaving_one_out_is_pooling_the_others(method):
    all_at_once = als.meta.leave_one_out(EFFECTS, method, "knha" if method == "REML" else "z")
    for at in (0, 7, 24):
        one = als.meta.pool(EFFECTS.drop(f"e{at}"), method, "knha" if method == "REML" else "z")
        row, expected = all_at_once.iloc[at], one.table().iloc[0]
        assert row["left_out"] == f"e{at}"
        assert_allclose(
            row[["estimate", "std_error", "p_value"]].astype(float),
            expected[["estimate", "std_error", "p_value"]].astype(float),
            rtol=1e-8,
        )
        assert_allclose(row["tau2"], one.fit.tau2, rtol=1e-8, atol=1e-12)
        assert_allclose([row["i2"], row["q"]], one.glance()[["i2", "q"]].iloc[0].astype(float), rtol=1e-8, atol=1e-9)


def test_whole_studies_can_be_left_out():
    table = als.meta.leave_one_out(EFFECTS, by="study")
    assert len(table) == EFFECTS["study"].nunique()
    one = als.meta.pool(EFFECTS[EFFECTS["study"] != 3])
    assert_allclose(table.set_index("left_out").loc[3, "estimate"], one.table()["estimate"][0], rtol=1e-8)
    assert table["k"].iloc[0] == K - 2


def test_a_moderator_keeps_its_row_for_each_fit():
    fit = als.meta.regress("yi ~ x", EFFECTS)
    table = als.meta.leave_one_out(fit)
    assert len(table) == 2 * K
    one = als.meta.regress("yi ~ x", EFFECTS.drop("e4")).table()
    assert_allclose(table[table["left_out"] == "e4"]["estimate"], one["estimate"], rtol=1e-8)


def test_several_levels_lose_a_cluster_at_a_time():
    fit = als.meta.multilevel(SEVERAL, mods="x")
    table = als.meta.leave_one_out(fit)
    rest = als.meta.multilevel(SEVERAL[SEVERAL["study"] != "s05"], mods="x")
    own = table[table["left_out"] == "s05"].reset_index(drop=True)
    assert_allclose(own["estimate"], rest.table()["estimate"], rtol=1e-8)
    assert_allclose(own["df"], rest.table()["df"], rtol=1e-6)
    assert_allclose(own["variance (study)"], rest.peak.theta[0], rtol=1e-7)
    given = als.meta.multilevel(SEVERAL, V=als.meta.sampling_covariance(SEVERAL), mods="x")
    assert_allclose(als.meta.leave_one_out(given)["estimate"], table["estimate"], rtol=1e-7)


def test_several_levels_have_influence_per_cluster():
    fit = als.meta.multilevel(SEVERAL)
    table = als.meta.influence(fit)
    assert table.index.tolist() == SEVERAL["study"].unique().tolist()
    rest = als.meta.multilevel(SEVERAL[SEVERAL["study"] != "s05"])
    change = fit.beta[0] - rest.beta[0]
    assert_allclose(table.loc["s05", "cook_d"], change**2 / fit.table()["std_error"][0] ** 2, rtol=1e-6)


def test_cumulative_fits_grow_by_one_effect():
    table = als.meta.cumulative(EFFECTS, "year")
    ordered = EFFECTS.sort_values("year", kind="stable")
    assert table["added"].tolist() == ordered.index.tolist()
    assert_allclose(table["estimate"][0], ordered["yi"].iloc[0])
    assert_allclose(table["std_error"][0], ordered["vi"].iloc[0] ** 0.5)
    for n in (2, 9, K):
        assert_allclose(table["estimate"][n - 1], als.meta.pool(ordered.head(n)).table()["estimate"][0], rtol=1e-7)


def test_an_effect_far_away_is_called_influential():
    odd = EFFECTS.assign(yi=EFFECTS["yi"].where(EFFECTS.index != "e3", 4.0))
    found = als.meta.influence(odd)
    assert found["influential"].idxmax() == "e3"
    assert abs(found.loc["e3", "rstudent"]) > 5
    numbers = als.meta.baujat(odd)
    assert numbers["heterogeneity"].idxmax() == "e3"


@pytest.mark.parametrize("method", ["REML", "DL"])
def test_gosh_pools_every_subset_where_there_are_few(method):
    few = EFFECTS.head(6)
    table = als.meta.gosh(few, method)
    assert len(table) == 2**6 - 6 - 1
    keep = np.unpackbits(table.attrs["keep"], axis=1, count=6).astype(bool)
    for at in (0, 20, 56):
        one = als.meta.pool(few[keep[at]], method)
        assert_allclose(table["estimate"][at], one.table()["estimate"][0], rtol=1e-8)
        assert_allclose(table["tau2"][at], one.fit.tau2, rtol=1e-7, atol=1e-12)
        assert table["k"][at] == keep[at].sum()


def test_gosh_draws_from_its_seed():
    one, again = (als.meta.gosh(EFFECTS, "DL", n=500, seed=4, progress=False) for _ in range(2))
    pd.testing.assert_frame_equal(one, again)
    assert len(one) == 500
    assert (one["k"] >= 2).all()


def test_too_few_effects_are_refused():
    with pytest.raises(DesignError, match="1 effect: none can be left out"):
        als.meta.leave_one_out(EFFECTS.head(1))
    with pytest.raises(DesignError, match="2 effects: subsets need at least 3"):
        als.meta.gosh(EFFECTS.head(2))
    with pytest.raises(DesignError, match="'year' has 1 group"):
        als.meta.leave_one_out(EFFECTS.assign(year=1), by="year")
    with pytest.raises(DesignError, match="none can be left out"):
        als.meta.influence(EFFECTS.head(2))
    with pytest.raises(DesignError, match="1 effect: none can be left out"):
        als.meta.baujat(EFFECTS.head(1))


def test_single_effects_can_be_left_out_of_several_levels():
    fit = als.meta.multilevel(SEVERAL)
    without = als.meta.leave_one_out(fit, by="effect")
    assert len(without) == len(SEVERAL)
    for at in (0, 5):
        one = als.meta.multilevel(SEVERAL.drop(SEVERAL.index[at])).table().iloc[0]
        assert_allclose(
            without[["estimate", "std_error"]].iloc[at], one[["estimate", "std_error"]].astype(float), rtol=1e-7
        )
    twice = SEVERAL.set_index(np.zeros(len(SEVERAL), int))
    with pytest.raises(DataError, match="holds a label twice"):
        als.meta.leave_one_out(als.meta.multilevel(twice), by="effect")
    alone = als.meta.leave_one_out(EFFECTS, by="effect")
    assert_allclose(alone["estimate"], als.meta.leave_one_out(EFFECTS)["estimate"])


def test_a_result_in_place_of_effects_is_refused_with_the_way_out():
    with pytest.raises(DataError, match=r"not as PooledResult\. Give its \.effects\."):
        als.meta.gosh(als.meta.pool(EFFECTS))
