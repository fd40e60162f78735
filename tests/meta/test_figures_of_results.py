import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from test_multilevel import EFFECTS

import alliance_stats as als
from alliance_stats.errors import DataError, DesignError

figures = als.meta.figures
Z = EFFECTS.copy()
Z.attrs["measure"] = "ZCOR"


def test_a_forest_of_fishers_z_shows_correlations():
    fit = als.meta.pool(Z)
    drawn = figures.forest(fit)
    assert_allclose(drawn.data["effects"]["estimate"], np.tanh(Z["yi"]), rtol=1e-14)
    assert_allclose(drawn.data["pooled"]["estimate"], np.tanh(fit.fit.beta), rtol=1e-14)
    assert drawn.get_xlabel() == "r"
    plain = figures.forest(fit, back=None)
    assert_allclose(plain.data["effects"]["estimate"], Z["yi"], rtol=1e-14)


def test_subgroups_are_pooled_as_the_whole_was():
    fit = als.meta.pool(EFFECTS, "PM", "knha")
    groups = figures.forest(fit, by="rater").data["groups"].set_index("group")
    for name, own in EFFECTS.groupby("rater"):
        expected = als.meta.pool(own, "PM", "knha").glance()
        assert_allclose(
            groups.loc[name, ["estimate", "ci_low"]].to_numpy(float), expected[["estimate", "ci_low"]].iloc[0]
        )


def test_subgroups_of_a_multilevel_result_keep_its_levels():
    fit = als.meta.multilevel(EFFECTS)
    groups = figures.orchard(fit, by="rater").data["means"].set_index("group")
    for name, own in EFFECTS.groupby("rater"):
        assert_allclose(groups.loc[name, "estimate"], als.meta.multilevel(own).glance()["estimate"])


def test_a_bubble_plot_draws_what_the_regression_predicts():
    fit = als.meta.regress("yi ~ x + rater", EFFECTS)
    drawn = figures.bubble(fit)
    curve = drawn.data["curve"]
    most = EFFECTS["rater"].mode().iloc[0]
    expected = fit.predict(pd.DataFrame({"x": [curve["x"].iloc[3]], "rater": [most]}))
    assert_allclose(curve["estimate"].iloc[3], expected["estimate"])
    assert_allclose(curve["pi_high"].iloc[3], expected["pi_high"])
    assert drawn.get_xlabel() == "x"
    assert fit.plot("bubble").data["curve"].equals(curve)


def test_a_bubble_plot_without_numbers_is_refused_with_the_way_out():
    with pytest.raises(DesignError, match=r"1 moderator, none of numbers.*orchard"):
        figures.bubble(als.meta.regress("yi ~ rater", EFFECTS))
    with pytest.raises(DataError, match="No moderator of numbers 'rater'"):
        figures.bubble(als.meta.regress("yi ~ x + rater", EFFECTS), "rater")


def test_cumulative_steps_carry_the_studies_names():
    steps = als.meta.cumulative(EFFECTS)
    drawn = figures.cumulative(steps, EFFECTS)
    assert list(drawn.data["steps"]["label"]) == list(EFFECTS["study"])
    assert_allclose(drawn.data["steps"]["estimate"].iloc[-1], als.meta.pool(EFFECTS).fit.beta[0])


def test_subsets_without_an_effect_are_marked_in_the_gosh_plot():
    own = EFFECTS.iloc[:9]
    subsets = als.meta.gosh(own, progress=False)
    attrs = dict(subsets.attrs)
    drawn = figures.gosh(subsets, without=2)
    keep = np.unpackbits(subsets.attrs["keep"], axis=1, count=9)
    assert (drawn.data["subsets"]["marked"].to_numpy() == (keep[:, 2] == 0)).all()
    assert subsets.attrs.keys() == attrs.keys()
    with pytest.raises(DataError, match="no effect 9"):
        figures.gosh(subsets, without=9)


@pytest.mark.parametrize("kind", ["forest", "funnel", "orchard"])
def test_every_meta_result_draws_these(kind):
    for fit in (als.meta.pool(EFFECTS), als.meta.multilevel(EFFECTS), als.meta.robust(EFFECTS)):
        assert len(fit.plot(kind).data["effects"]) == len(EFFECTS)


def test_an_orchard_of_the_only_moderator_draws_the_means_of_its_model():
    fit = als.meta.multilevel(EFFECTS, mods="0 + rater")
    means = als.meta.figures.orchard(fit, by="rater").data["means"].set_index("group")["estimate"]
    table = fit.table().set_index("term")["estimate"]
    for group, value in means.items():
        assert value == pytest.approx(table[f"rater[{group}]"], rel=1e-10)
    alone = als.meta.figures.orchard(als.meta.multilevel(EFFECTS), by="rater").data["means"].set_index("group")
    own = als.meta.multilevel(EFFECTS[EFFECTS["rater"] == means.index[0]]).table()["estimate"][0]
    assert alone.loc[means.index[0], "estimate"] == pytest.approx(own, rel=1e-8)


def test_slopes_of_a_radial_plot_are_the_effects_and_the_mean():
    fit = als.meta.pool(EFFECTS)
    drawn = fit.plot("radial")
    points = drawn.data["effects"]
    assert np.allclose(points["standardised"] / points["precision"], fit.effects["yi"])
    assert np.allclose(points["precision"] ** -2, fit.effects["vi"] + fit.glance()["tau2"][0])
    line = drawn.lines[0].get_xydata()
    assert line[1, 1] / line[1, 0] == pytest.approx(fit.table()["estimate"][0])
    assert als.meta.figures.radial(EFFECTS[["yi", "vi"]]).data["effects"]["label"][0] == str(EFFECTS.index[0])
    outside = int((abs(points["standardised"] - line[1, 1] / line[1, 0] * points["precision"]) > 1.96).sum())
    assert f"{outside} lie" in drawn.alt_text


def test_a_radial_plot_is_of_one_mean():
    with pytest.raises(DataError, match="one mean of independent effects"):
        als.meta.figures.radial(als.meta.multilevel(EFFECTS))
    with pytest.raises(DataError, match="no figure 'radial'"):
        als.meta.multilevel(EFFECTS).plot("radial")


def test_axes_are_named_after_the_measure():
    effects = als.meta.effect_sizes(pd.DataFrame({"r": [0.1, 0.2, 0.4], "n": [30, 40, 50]}), r="r", n="n")
    assert als.meta.pool(effects).plot("funnel").get_xlabel() == "Fisher's z"
    assert als.meta.bias.trim_fill(effects).plot().get_xlabel() == "Fisher's z"
    assert als.meta.pool(effects.assign(x=1)[["yi", "vi"]], measure="SMD").plot("funnel").get_xlabel() == "Hedges' g"


def test_a_multilevel_model_has_a_bubble_plot():
    drawn = als.meta.multilevel(EFFECTS, mods="x").plot("bubble")
    assert drawn.get_xlabel() == "x"
    assert len(drawn.data["effects"]) == len(EFFECTS)


@pytest.mark.parametrize(
    "fit",
    [
        lambda: als.meta.regress("yi ~ x + rater", EFFECTS, test="knha"),
        lambda: als.meta.multilevel(EFFECTS, mods="x + rater"),
        lambda: als.meta.robust(EFFECTS, "x + rater"),
        lambda: als.meta.regress("yi ~ x + rater", EFFECTS, scale="x"),
    ],
    ids=["regression", "levels", "moment weights", "location and scale"],
)
def test_with_moderators_the_diamond_stands_at_their_average(fit):
    result = fit()
    drawn = figures.forest(result)
    table = result.table().iloc[: len(result.part.names)]
    expected = result.part.matrix.mean(axis=0) @ table["estimate"].to_numpy()
    assert_allclose(drawn.data["pooled"]["estimate"], expected, rtol=1e-12)
    assert "At the average" in [text.get_text() for text in drawn.texts]
    assert_allclose(figures.orchard(result).data["means"]["estimate"], expected, rtol=1e-12)
    # around a mean of 0 stand residuals, dense: effects less the design times the coefficients, row by row
    funnel = figures.funnel(result)
    x = np.column_stack([np.ones(len(EFFECTS)), *(EFFECTS["rater"] == name for name in _others(table)), EFFECTS["x"]])
    beta = table.set_index("term")["estimate"]
    beta = beta[["(Intercept)", *(f"rater[T.{name}]" for name in _others(table)), "x"]]
    assert_allclose(funnel.data["effects"]["estimate"], EFFECTS["yi"] - x.astype(float) @ beta, rtol=1e-9, atol=1e-12)
    assert funnel.data["pooled"]["estimate"].tolist() == [0.0]
    assert "what the moderators leave" in funnel.caption


def _others(table):
    return [term[8:-1] for term in table["term"] if term.startswith("rater[T.")]


def test_the_expected_effect_at_the_average_has_the_intervals_of_predictions():
    fit = als.meta.multilevel(EFFECTS, mods="x")
    there = fit.predict(pd.DataFrame({"x": [EFFECTS["x"].mean()]}))
    assert_allclose(figures.forest(fit).data["pooled"], there[["estimate", "ci_low", "ci_high", "pi_low", "pi_high"]])


def test_subgroups_keep_a_covariance_that_was_given():
    V = als.meta.sampling_covariance(EFFECTS, 0.2)
    groups = figures.forest(als.meta.multilevel(EFFECTS, V=V), by="rater").data["groups"].set_index("group")
    for name, own in EFFECTS.groupby("rater"):
        assert_allclose(groups.loc[name, "estimate"], als.meta.multilevel(own, rho=0.2).glance()["estimate"], rtol=1e-7)


def test_cumulative_steps_are_named_by_their_study():
    effects = EFFECTS.drop_duplicates("study")
    drawn = figures.cumulative(als.meta.cumulative(effects))
    assert drawn.data["steps"]["label"].tolist() == effects["study"].astype(str).tolist()


def test_a_forest_of_a_frame_pools_it_first():
    assert_allclose(figures.forest(EFFECTS).data["pooled"]["estimate"], als.meta.pool(EFFECTS).glance()["estimate"])
