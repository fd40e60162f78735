import json
import pickle

import numpy as np
import pandas as pd
import pytest
from metafor_records import data, folder, needs_golden
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import ColumnError, DataError, DesignError
from alliance_stats.meta.result import GLANCE, VARIANCES
from alliance_stats.names import TABLE_COLUMNS

RNG = np.random.default_rng(21)


def simulate(n_studies=14, seed=21, per_study=(1, 6), between=0.2, within=0.15, rho=0.6):
    rng = np.random.default_rng(seed)
    rows = []
    for study in range(n_studies):
        n = int(rng.integers(*per_study))
        v = rng.uniform(0.02, 0.06, n)
        error = np.sqrt(v) * (np.sqrt(rho) * rng.normal() + np.sqrt(1 - rho) * rng.normal(size=n))
        true = 0.3 + between * rng.normal() + within * rng.normal(size=n)
        rows.append(pd.DataFrame({"study": f"s{study:02d}", "yi": true + error, "vi": v}))
    effects = pd.concat(rows, ignore_index=True)
    k = len(effects)
    return effects.assign(
        rater=np.where(np.arange(k) % 3 == 0, "patient", "observer"),
        year=2000 + rng.integers(0, 5, k),
        x=rng.normal(size=k),
    )


EFFECTS = simulate()


def polished():
    return json.loads((folder() / "polished_ml3.json").read_text()) if folder() else []


@needs_golden
@pytest.mark.parametrize("expected", polished(), ids=lambda one: f"{one['dataset'][:10]}-{one['rho']}-{one['method']}")
def test_optima_agree_with_an_independent_solver(expected):
    frame = data(expected["dataset"].removesuffix(".csv"))
    frame = frame.assign(study=frame[expected["cluster"]])
    fit = als.meta.multilevel(
        frame.drop(columns="effect", errors="ignore"), rho=expected["rho"], method=expected["method"], robust="CR2"
    )
    # the reference's own accuracy
    assert_allclose(fit.peak.theta, [expected["sigma2_between"], expected["sigma2_within"]], rtol=1e-9)
    assert_allclose(fit.peak.at.value, expected["loglik"], rtol=1e-9)
    beta, covariance = fit.peak.at.coefficients()
    assert_allclose(beta, expected["beta"], rtol=1e-9)
    assert_allclose(np.sqrt(np.diag(covariance)), expected["se"], rtol=1e-9)
    table = fit.table()
    assert_allclose(table["std_error"], expected["cr2_se"], rtol=1e-9)
    assert_allclose(table["df"], expected["cr2_df"], rtol=1e-9)


@needs_golden
def test_one_call_on_the_positive_regard_data_gives_the_published_three_level_mean():
    sheet = data("mac_positive_regard_es").rename(columns={"id": "study"})
    effects = als.meta.effect_sizes(sheet, r="r", n="n")
    mean = als.meta.multilevel(effects, rho=0.0, robust=None).back_transformed().iloc[0]
    assert [round(mean[name], 3) for name in ("estimate", "ci_low", "ci_high")] == [0.269, 0.157, 0.373]


def test_the_default_is_che_with_cr2():
    fit = als.meta.multilevel(EFFECTS)
    assert [level.name for level in fit.structure.levels] == ["study", "study/effect"]
    assert fit.structure.rho == 0.6
    assert fit.robust == "CR2"
    assert fit.cluster == "study"
    assert "CR2 standard errors clustered by study" in fit.describe()


def test_the_result_keeps_the_contract():
    fit = als.meta.multilevel(EFFECTS, mods="x")
    assert tuple(fit.table().columns) == TABLE_COLUMNS
    glance = fit.glance()
    assert tuple(glance.columns[: len(GLANCE)]) == GLANCE
    assert len(glance) == 1
    assert glance["n_studies"][0] == EFFECTS["study"].nunique()
    variance = fit.variance()
    assert tuple(variance.columns) == VARIANCES
    assert ((variance["ci_low"] <= variance["variance"]) & (variance["variance"] <= variance["ci_high"])).all()
    assert "<table" in fit._repr_html_()
    assert "nan" not in fit.report().lower()
    assert "std_error" in repr(fit)
    assert len(fit.plot().data["effects"]) == len(EFFECTS)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(fit)).table(), fit.table())


def test_the_order_of_rows_does_not_matter():
    mixed = EFFECTS.sample(frac=1, random_state=3)
    one, other = als.meta.multilevel(EFFECTS, mods="x"), als.meta.multilevel(mixed, mods="x")
    assert_allclose(one.peak.theta, other.peak.theta, rtol=1e-9)
    assert_allclose(one.table()["std_error"], other.table()["std_error"], rtol=1e-9)
    assert other.effects.index.tolist() == mixed.index.tolist()
    assert_allclose(one.weights().sort_index(), other.weights().sort_index(), rtol=1e-8)
    assert_allclose(one.predict().sort_index(), other.predict().sort_index(), rtol=1e-8)


def test_one_effect_per_study_is_plain_pooling():
    effects = EFFECTS.drop_duplicates("study")
    fit = als.meta.multilevel(effects, robust=None)
    plain = als.meta.pool(effects)
    assert_allclose(fit.peak.theta, [plain.fit.tau2], rtol=1e-8, atol=1e-14)
    assert_allclose(fit.table()["std_error"], plain.table()["std_error"], rtol=1e-8)
    assert any("Each study holds one effect" in note for note in fit.notes())
    assert als.meta.multilevel(effects).table()["df"][0] > 5  # and clusters of one have robust errors


def test_a_given_covariance_is_the_imputed_one_when_it_is():
    V = als.meta.sampling_covariance(EFFECTS, 0.6)
    imputed = als.meta.multilevel(EFFECTS, mods="x")
    for given in (V, V.matrix(), V.matrix().to_numpy()):
        fit = als.meta.multilevel(EFFECTS, V=given, mods="x")
        assert_allclose(fit.peak.theta, imputed.peak.theta, rtol=1e-8)
        assert_allclose(fit.table()["std_error"], imputed.table()["std_error"], rtol=1e-8)
        assert_allclose(fit.table()["df"], imputed.table()["df"], rtol=1e-7)


def test_correlations_may_differ_by_rater_or_construct():
    by = als.meta.sampling_covariance(EFFECTS, 0.7, by="rater", across=0.3).matrix()
    s = np.sqrt(EFFECTS["vi"].to_numpy())
    same_study = EFFECTS["study"].to_numpy()[:, None] == EFFECTS["study"].to_numpy()
    same_rater = EFFECTS["rater"].to_numpy()[:, None] == EFFECTS["rater"].to_numpy()
    expected = np.where(same_study, np.where(same_rater, 0.7, 0.3), 0) * np.outer(s, s)
    np.fill_diagonal(expected, EFFECTS["vi"])
    assert_allclose(by, expected)
    pairs = pd.DataFrame([[0.7, 0.3], [0.3, 0.7]], index=["patient", "observer"], columns=["patient", "observer"])
    assert_allclose(als.meta.sampling_covariance(EFFECTS, pairs, by="rater").matrix(), expected)


def test_three_nested_levels_and_a_crossed_one_agree_with_their_dense_likelihood():
    effects = EFFECTS.assign(sample=np.arange(len(EFFECTS)) // 2, effect=np.arange(len(EFFECTS)))
    fit = als.meta.multilevel(effects, ["study/sample/effect", "year"], rho=0.4, robust=None)
    assert [level.name for level in fit.structure.levels] == ["study", "study/sample", "study/sample/effect", "year"]
    y, s = effects["yi"].to_numpy(), np.sqrt(effects["vi"].to_numpy())

    def same(*columns):
        text = effects[list(columns)].astype(str).agg("/".join, axis=1).to_numpy()
        return (text[:, None] == text).astype(float)

    dense = np.where(same("study") == 1, 0.4, 0) * np.outer(s, s) + 0.6 * np.diag(s**2)
    for value, groups in zip(
        fit.peak.theta, (["study"], ["study", "sample"], ["study", "effect"], ["year"]), strict=True
    ):
        dense = dense + value * same(*groups)
    w = np.linalg.inv(dense)
    one = np.ones(len(y))
    mean = one @ w @ y / (one @ w @ one)
    assert_allclose(fit.table()["estimate"], mean, rtol=1e-9)
    restricted = -0.5 * (
        (len(y) - 1) * np.log(2 * np.pi)
        + np.linalg.slogdet(dense)[1]
        + np.log(one @ w @ one)
        - np.log(len(y))
        + (y - mean) @ w @ (y - mean)
    )
    assert_allclose(fit.peak.at.value, restricted, rtol=1e-11)


def test_crossed_levels_take_the_clusters_independence_away():
    fit = als.meta.multilevel(EFFECTS, ["study/effect", "year"])
    assert fit.robust is None
    assert any("year joins effects of different clusters" in note for note in fit.notes())
    with pytest.raises(DesignError, match="year joins effects of different clusters"):
        als.meta.multilevel(EFFECTS, ["study/effect", "year"], robust="CR2")


def test_larger_clusters_may_hold_several_studies():
    effects = EFFECTS.assign(lab=EFFECTS["study"].str[1:].astype(int) // 2)
    fit = als.meta.multilevel(effects, cluster="lab")
    assert fit.glance()["n_clusters"][0] == effects["lab"].nunique()
    assert_allclose(fit.peak.theta, als.meta.multilevel(effects).peak.theta)
    with pytest.raises(DesignError, match=r"joins? effects of different clusters"):
        als.meta.multilevel(effects, cluster="rater")


def test_subgroups_have_variances_of_their_own():
    fit = als.meta.multilevel(EFFECTS, "study", mods="0 + rater", working="SCE", subgroup="rater", robust=None)
    # subgroups share nothing, so each is the model of its own effects
    for at, name in enumerate(["observer", "patient"]):
        own = EFFECTS[EFFECTS["rater"] == name]
        alone = als.meta.multilevel(own, "study", robust=None)
        assert_allclose(fit.peak.theta[at], alone.peak.theta[0], rtol=1e-6, atol=1e-9)
        assert_allclose(fit.table()["estimate"][at], alone.table()["estimate"][0], rtol=1e-7)


def test_sensitivity_shows_each_rho():
    fit = als.meta.multilevel(EFFECTS)
    table = fit.sensitivity((0.0, 0.6))
    assert table["rho"].tolist() == [0.0, 0.6]
    assert_allclose(table["estimate"][1], fit.table()["estimate"][0])
    assert_allclose(table["variance (study)"][0], als.meta.multilevel(EFFECTS, rho=0.0).peak.theta[0], rtol=1e-9)
    with pytest.raises(DataError, match="V was given"):
        als.meta.multilevel(EFFECTS, V=als.meta.sampling_covariance(EFFECTS)).sensitivity()


def test_joint_tests_and_contrasts_use_the_robust_errors():
    fit = als.meta.multilevel(EFFECTS, mods="x + rater")
    one = fit.test("x").iloc[0]
    row = fit.table().set_index("term").loc["x"]
    # of a single coefficient HTZ is its t test
    assert_allclose(
        [one["statistic"], one["df_den"], one["p_value"]], [row["statistic"] ** 2, row["df"], row["p_value"]]
    )
    contrast = fit.contrast({"x": 1.0, "rater[T.patient]": -1.0})
    assert np.isfinite(contrast["df"][0])
    with pytest.raises(DataError, match="no term"):
        fit.contrast({"y": 1.0})


def test_few_degrees_of_freedom_are_marked_in_the_table():
    rare = EFFECTS.assign(rare=(EFFECTS["study"] < "s02").astype(float))
    fit = als.meta.multilevel(rare, mods="rare")
    table = fit.table().set_index("term")
    assert table.loc["rare", "df"] < 4
    assert table.loc["rare", "caution"] == "df < 4"
    assert table.loc["(Intercept)", "caution"] == ""
    assert any("fewer than 4 degrees of freedom" in note for note in fit.notes())


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"rho": 1.0}, DataError, r"rho is 1.0; .* lies in \[0, 1\)"),
        ({"rho": -0.1}, DataError, r"rho is -0.1"),
        ({"random": "stduy/effect"}, ColumnError, "Did you mean 'study'"),
        ({"random": "study/study"}, DataError, "names a level twice"),
        ({"random": ""}, DataError, "names no levels"),
        ({"mods": "one"}, DesignError, "constant"),
        ({"robust": "CR9"}, DataError, "No robust standard errors 'CR9'"),
        ({"method": "DL"}, DataError, "No method 'DL' for several levels"),
        ({"working": "SCE"}, DataError, "Name their column with subgroup="),
        ({"working": "XYZ"}, DataError, "Known: CHE, SCE"),
        ({"subgroup": "rater"}, DataError, "belongs to working='SCE'"),
        ({"V": np.eye(3)}, DataError, r"V has the shape \(3, 3\)"),
    ],
)
def test_wrong_arguments_are_named(asked, error, message):
    with pytest.raises(error, match=message):
        als.meta.multilevel(EFFECTS.assign(one=1.0), **asked)


def test_impossible_covariances_are_refused():
    V = als.meta.sampling_covariance(EFFECTS).matrix().to_numpy()
    joined = V.copy()
    joined[0, -1] = joined[-1, 0] = 0.001
    with pytest.raises(DataError, match=r"1 covariance in V joins effects of different studies \(first: rows 0 and"):
        als.meta.multilevel(EFFECTS, V=joined)
    skew = V.copy()
    at = int(np.flatnonzero(EFFECTS["study"].duplicated())[0])
    skew[at, at - 1] *= 2
    with pytest.raises(DataError, match="V is not symmetric"):
        als.meta.multilevel(EFFECTS, V=skew)
    large = V.copy()
    large[at, at - 1] = large[at - 1, at] = 1.0
    with pytest.raises(DataError, match=r"V is not positive definite in 1 of 14 studies"):
        als.meta.multilevel(EFFECTS, V=large)
    with pytest.raises(DataError, match="in other rows or studies"):
        als.meta.multilevel(EFFECTS, V=als.meta.sampling_covariance(EFFECTS.head(20)))


def test_what_the_studies_cannot_tell_is_refused():
    with pytest.raises(DesignError, match=r"The level 'study' has 1 group \('s01'\)"):
        als.meta.multilevel(EFFECTS[EFFECTS["study"] == "s01"])
    two = EFFECTS[EFFECTS["study"].isin(["s02", "s03"])]
    with pytest.raises(DesignError, match=r"2 coefficients need more than 2 clusters|and the data"):
        als.meta.multilevel(two, mods="x")


def test_equal_effects_have_no_variance_at_any_level():
    fit = als.meta.multilevel(EFFECTS.assign(yi=0.25), robust=None)
    assert fit.peak.theta.tolist() == [0.0, 0.0]
    assert fit.peak.converged
    assert any("estimated at zero" in note for note in fit.notes())


@pytest.mark.slow
@pytest.mark.parametrize("n_studies", [10, 20, 40])
def test_robust_intervals_cover_as_often_as_they_say(n_studies):
    # errors correlate by .8 where the working model has .6: what robust errors are there for
    n, covered = 1000, 0
    for seed in range(n):
        row = als.meta.multilevel(simulate(n_studies, seed, rho=0.8)).table().iloc[0]
        covered += row["ci_low"] <= 0.3 <= row["ci_high"]
    # three standard errors of a share of .95 in 1 000 runs are .021
    assert abs(covered / n - 0.95) < 0.021


def test_an_index_with_repeats_changes_nothing():
    repeated = EFFECTS.set_axis([0] * len(EFFECTS))
    plain = als.meta.multilevel(EFFECTS, mods="x")
    assert_allclose(als.meta.multilevel(repeated, mods="x").table()["std_error"], plain.table()["std_error"])
    # and with rows left out beside a matrix of all rows
    gap = repeated.assign(yi=repeated["yi"].where(np.arange(len(repeated)) != 3))
    V = als.meta.sampling_covariance(EFFECTS).matrix().to_numpy()
    rest = als.meta.multilevel(EFFECTS.drop(3), mods="x")
    assert_allclose(als.meta.multilevel(gap, V=V, mods="x").table()["std_error"], rest.table()["std_error"], rtol=1e-7)


def test_leverage_sums_to_the_number_of_coefficients():
    fit = als.meta.multilevel(EFFECTS, mods="x + rater")
    table = fit.residuals()
    assert_allclose(table["hat"].sum(), 3)
    assert_allclose(table["fitted"] + table["residual"], EFFECTS["yi"])
    assert table.index.tolist() == EFFECTS.index.tolist()


def test_effects_that_are_all_equal_have_no_variance_and_no_crash():
    # no residuals: the average information of the climb is exactly 0
    frame = pd.DataFrame({"study": list("aabbcdee"), "yi": np.arctanh(0.3), "vi": 1 / np.arange(47, 55)})
    fit = als.meta.multilevel(frame, robust=None)
    assert fit.variance(intervals=False)["variance"].tolist() == [0, 0]
    assert_allclose(fit.table()["estimate"], np.arctanh(0.3), rtol=1e-12)
    glance, ends = fit.glance().iloc[0], fit.variance()
    assert glance["converged"]
    assert glance["tau2_ci_low"] == 0
    assert 0 < glance["tau2_ci_high"] < 1
    assert ends["ci_high"].between(0, glance["tau2_ci_high"] * 1.5, inclusive="neither").all()


def test_levels_are_named_in_words():
    from alliance_stats.meta.words import level_words

    assert level_words("study") == "studies"
    assert level_words("study/effect") == "effects within studies"
    assert level_words("study/sample/effect") == "effects within samples"
    assert level_words("year") == "levels of year"
    assert level_words("study (rater: patient/observer)") == "studies (rater: patient/observer)"


def test_a_number_for_V_is_the_correlation_and_variances_are_independent():
    plain = als.meta.multilevel(EFFECTS, rho=0.3)
    assert_allclose(als.meta.multilevel(EFFECTS, V=0.3).beta, plain.beta, rtol=1e-12)
    assert als.meta.multilevel(EFFECTS, V=0.3).glance()["rho"].iloc[0] == 0.3
    alone = als.meta.multilevel(EFFECTS, rho=0)
    assert_allclose(als.meta.multilevel(EFFECTS, V=EFFECTS["vi"]).beta, alone.beta, rtol=1e-12)
    assert_allclose(als.meta.multilevel(EFFECTS, V=list(2 * EFFECTS["vi"])).effects["vi"], 2 * EFFECTS["vi"])
    with pytest.raises(DataError, match="need as many variances"):
        als.meta.multilevel(EFFECTS, V=[0.1, 0.2])
    with pytest.raises(DataError, match=r"rho is 1\.2"):
        als.meta.multilevel(EFFECTS, V=1.2)


def nested_in_regions():
    """Rows of EFFECTS in no order, each study in one of 4 regions."""
    shuffled = EFFECTS.sample(frac=1, random_state=2)
    return shuffled.assign(region=pd.factorize(shuffled["study"])[0] % 4, effect=np.arange(len(shuffled)))


def test_sampling_errors_correlate_within_studies_whatever_stands_outside_them():
    effects = nested_in_regions()
    ours = als.meta.multilevel(effects, "region/study/effect", rho=0.7, robust=None)
    # dense: V has correlations within studies alone; the log-likelihood of REML by its definition
    same = effects["study"].to_numpy()[:, None] == effects["study"].to_numpy()
    region = effects["region"].to_numpy()[:, None] == effects["region"].to_numpy()
    s = np.sqrt(effects["vi"].to_numpy())
    V = np.where(same, 0.7, 0.0) * np.outer(s, s)
    np.fill_diagonal(V, s**2)
    variances = ours.peak.theta
    total = V + variances[0] * region + variances[1] * same + variances[2] * np.eye(len(s))
    y, x = effects["yi"].to_numpy(), np.ones((len(s), 1))
    inverse = np.linalg.inv(total)
    information = (x.T @ inverse @ x)[0, 0]
    beta = (x.T @ inverse @ y)[0] / information
    assert_allclose(ours.beta, beta, rtol=1e-9)
    assert_allclose(ours.table()["std_error"], information**-0.5, rtol=1e-9)
    left = y - beta
    dense = np.linalg.slogdet(total)[1] + np.log(information) + left @ inverse @ left
    expected = -0.5 * (dense + (len(s) - 1) * np.log(2 * np.pi) - np.log(len(s)))
    assert_allclose(ours.glance()["log_likelihood"], expected, rtol=1e-10)
    assert ours.glance()["n_studies"].iloc[0] == effects["study"].nunique()
    assert ours.glance()["n_clusters"].iloc[0] == 4
    assert "correlation of 0.7 within studies" in ours.describe()


def test_a_covariance_by_study_serves_levels_outside_studies():
    effects = nested_in_regions()
    V = als.meta.sampling_covariance(effects, 0.7)
    given = als.meta.multilevel(effects, "region/study/effect", V=V, robust=None)
    imputed = als.meta.multilevel(effects, "region/study/effect", rho=0.7, robust=None)
    # two routes, by whole blocks and by sums over groups, climb to the same top
    assert_allclose(given.beta, imputed.beta, rtol=1e-7)
    assert_allclose(given.glance()["log_likelihood"], imputed.glance()["log_likelihood"], rtol=1e-10)


def test_studies_that_cross_the_first_level_are_refused():
    effects = nested_in_regions().assign(year=lambda frame: np.arange(len(frame)) % 5)
    with pytest.raises(
        DesignError, match=r"'study' is not in the first of random= but crosses it.*\['study/effect', 'year'\]"
    ):
        als.meta.multilevel(effects, ["year", "study/effect"])
    alone = als.meta.multilevel(effects, ["year", "study/effect"], rho=0)
    turned = als.meta.multilevel(effects, ["study/effect", "year"], rho=0)
    assert_allclose(alone.beta, turned.beta, rtol=1e-7)


def test_a_frame_for_V_goes_by_the_labels_of_the_effects():
    V = als.meta.sampling_covariance(EFFECTS, 0.4).matrix()
    expected = als.meta.multilevel(EFFECTS, V=V)
    shuffled = EFFECTS.sample(frac=1, random_state=5)
    assert_allclose(als.meta.multilevel(shuffled, V=V).beta, expected.beta, rtol=1e-9)
    plain = pd.DataFrame(V.to_numpy(), index=range(100, 100 + len(V)))  # labels of its own: by position
    assert_allclose(als.meta.multilevel(EFFECTS, V=plain).beta, expected.beta, rtol=1e-12)


def test_a_covariance_made_before_serves_rows_that_lack_a_moderator_too():
    effects = EFFECTS.assign(x=EFFECTS["x"].mask(np.arange(len(EFFECTS)) % 5 == 0))
    V = als.meta.sampling_covariance(effects, 0.4)
    given = als.meta.multilevel(effects, V=V, mods="x")
    assert_allclose(given.beta, als.meta.multilevel(effects.dropna(), rho=0.4, mods="x").beta, rtol=1e-7)


def test_variance_inflation_is_that_of_the_model_based_covariance():
    fit = als.meta.multilevel(EFFECTS.assign(z=EFFECTS["x"] + np.sin(np.arange(len(EFFECTS)))), mods="x + z")
    covariance = als.meta.multilevel(fit.asked["effects"], mods="x + z", robust=None).uncertainty.covariance
    at = [fit.part.names.index(name) for name in ("x", "z")]
    own = covariance[np.ix_(at, at)]
    r = own[0, 1] / np.sqrt(own[0, 0] * own[1, 1])
    assert_allclose(fit.vif()["vif"], [1 / (1 - r**2)] * 2, rtol=1e-10)  # of two, by their correlation
    with pytest.raises(DesignError, match="1 moderator cannot be inflated"):
        als.meta.multilevel(EFFECTS, mods="x").vif()


def test_rows_to_predict_need_the_columns_of_the_formula():
    fit = als.meta.multilevel(EFFECTS, mods="x")
    with pytest.raises(ColumnError, match="The new rows lack 1 column of the formula: 'x'"):
        fit.predict(pd.DataFrame({"z": [1.0]}))


def test_one_correlation_can_be_tried():
    assert als.meta.multilevel(EFFECTS).sensitivity(0.3)["rho"].tolist() == [0.3]
