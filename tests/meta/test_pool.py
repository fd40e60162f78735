import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import alliance_stats as als
from alliance_stats.errors import ColumnError, DataError, DesignError
from alliance_stats.meta.result import GLANCE
from alliance_stats.meta.tidy import carried_back
from alliance_stats.names import TABLE_COLUMNS

EFFECTS = pd.DataFrame(
    {"study": list("abcdef"), "yi": [0.1, 0.4, 0.35, -0.1, 0.6, 0.2], "vi": [0.02, 0.05, 0.01, 0.04, 0.03, 0.02]}
)
METHODS = ("EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM")


def test_the_mean_is_weighted_by_the_inverse_variance():
    fit = als.meta.pool(EFFECTS, method="EE")
    w = 1 / EFFECTS["vi"]
    row = fit.table().iloc[0]
    assert_allclose(row["estimate"], (w * EFFECTS["yi"]).sum() / w.sum())
    assert_allclose(row["std_error"], w.sum() ** -0.5)
    assert_allclose(row["p_value"], 2 * stats.norm.sf(abs(row["statistic"])))
    assert_allclose(fit.weights(), 100 * w / w.sum())


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_the_likelihood_has_its_peak_at_the_estimate(method):
    # against the density of a dense multivariate normal; REML adds the term of the coefficients
    fit = als.meta.pool(EFFECTS, method=method)
    y, v = EFFECTS["yi"].to_numpy(), EFFECTS["vi"].to_numpy()

    def dense(tau2):
        w = 1 / (v + tau2)
        mean = (w * y).sum() / w.sum()
        value = stats.multivariate_normal.logpdf(y, np.full(6, mean), np.diag(v + tau2))
        restricted = 0.5 * np.log(2 * np.pi) + 0.5 * np.log(6) - 0.5 * np.log(w.sum())
        return value + restricted * (method == "REML")

    assert_allclose(fit.fit.log_likelihood(method == "REML"), dense(fit.fit.tau2), rtol=1e-12)
    grid = np.linspace(0, 0.3, 3001)
    assert abs(grid[np.argmax([dense(tau2) for tau2 in grid])] - fit.fit.tau2) <= 1e-4  # the grid's step


def test_the_higher_of_two_peaks_is_taken():
    # twelve precise effects that agree beside a few imprecise ones far away: the likelihood of τ² has two peaks
    y = np.r_[np.linspace(-0.01, 0.01, 12), 3.0, -3.2]
    v = np.r_[np.full(12, 1e-4), 0.5, 0.5]
    fit = als.meta.pool(pd.DataFrame({"yi": y, "vi": v}), method="ML").fit
    from alliance_stats.engine.pooling.likelihood import log_likelihood

    grid = np.r_[0, np.geomspace(1e-9, 50, 4000)]
    assert fit.log_likelihood(False) >= log_likelihood(fit.effects, grid, False).max() - 1e-9


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("test", ["z", "t", "knha", "adhoc"])
def test_every_estimator_and_test_fills_the_contract(method, test):
    result = als.meta.pool(EFFECTS, method=method, test=test)
    assert tuple(result.table().columns) == TABLE_COLUMNS
    glance = result.glance()
    assert tuple(glance.columns[: len(GLANCE)]) == GLANCE
    assert glance["converged"][0]
    assert glance["tau2"][0] >= 0
    assert 0 <= glance["i2"][0] <= 100
    assert "nan" not in result.report().lower()
    assert result.describe()


@pytest.mark.parametrize("method", METHODS[1:])
def test_effects_that_do_not_vary_have_no_variance_between_studies(method):
    result = als.meta.pool(EFFECTS.assign(yi=0.3), method=method)
    assert result.fit.tau2 == 0
    assert_allclose(result.table()["estimate"], 0.3)
    assert result.glance()["i2"][0] == 0
    assert np.isnan(result.glance()["tau2_ci_high"][0])
    assert any("interval of τ² is empty" in note for note in result.notes())


def test_knapp_hartung_has_no_answer_for_equal_effects():
    with pytest.raises(DesignError, match=r"All 6 effects lie on the model exactly.*test='adhoc'"):
        als.meta.pool(EFFECTS.assign(yi=0.3), test="knha")
    plain = als.meta.pool(EFFECTS.assign(yi=0.3), test="t").table()
    assert_allclose(als.meta.pool(EFFECTS.assign(yi=0.3), test="adhoc").table()["std_error"], plain["std_error"])


def test_one_study_is_given_back_and_said_to_be_alone():
    result = als.meta.pool(EFFECTS.head(1))
    assert_allclose(result.table()["estimate"], 0.1)
    assert_allclose(result.table()["std_error"], 0.02**0.5)
    assert result.glance()["tau2"][0] == 0
    assert any("There is 1 effect" in note for note in result.notes())
    with pytest.raises(DesignError, match="1 effect and 1 coefficient leave 0 degrees of freedom for test='knha'"):
        als.meta.pool(EFFECTS.head(1), test="knha")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vi": [0.02, 0.0, 0.01, 0.0, 0.03, 0.02]}, r"2 of 6 variances are zero \(first at row 1, study 'b'\)"),
        (
            {"vi": [0.02, 0.1, -0.01, 0.1, 0.03, 0.02]},
            r"1 of 6 variances are negative \(first at row 2, study 'c': -0.01",
        ),
        ({"vi": [0.02, 0.1, 0.01, 0.1, np.inf, 0.02]}, r"1 of 6 variances are infinite \(first at row 4"),
        ({"yi": [0.02, np.inf, 0.01, 0.1, 0.1, 0.02]}, r"1 of 6 effects are infinite \(first at row 1"),
        ({"yi": np.nan}, "0 of 6 rows have an effect"),
        ({"yi": ["a", 1, 2, 3, 4, 5]}, r"1 of 6 values of 'yi' are no numbers \(first at row 0, study 'a': 'a'\)"),
    ],
)
def test_impossible_effects_are_refused_with_count_and_place(change, message):
    with pytest.raises(DataError, match=message):
        als.meta.pool(EFFECTS.assign(**change))


def test_unknown_words_name_the_nearest():
    with pytest.raises(DataError, match="Did you mean 'REML'"):
        als.meta.pool(EFFECTS, method="RELM")
    with pytest.raises(DataError, match="Did you mean 'knha'"):
        als.meta.pool(EFFECTS, test="khna")
    with pytest.raises(DataError, match="Did you mean 'riley'"):
        als.meta.pool(EFFECTS, prediction="rily")
    with pytest.raises(ColumnError, match=r"No column 'vi'. Did you mean 'v'"):
        als.meta.pool(EFFECTS.rename(columns={"vi": "v"}))
    with pytest.raises(DataError, match="level is 95"):
        als.meta.pool(EFFECTS, level=95)


def test_rows_without_an_effect_are_left_out_and_counted():
    with_gap = pd.concat([EFFECTS, EFFECTS.assign(yi=np.nan).head(2)], ignore_index=True)
    result = als.meta.pool(with_gap)
    assert_allclose(result.table()["estimate"], als.meta.pool(EFFECTS).table()["estimate"])
    assert result.glance()["n_dropped"][0] == 2
    assert any(note.startswith("2 rows without effect") for note in result.notes())


def test_several_effects_of_a_study_are_noted():
    result = als.meta.pool(EFFECTS.assign(study=list("aabbcc")))
    assert result.glance()["n_studies"][0] == 3
    assert any("3 of 6 effects come from a study that has another one" in note for note in result.notes())


def test_a_fit_does_not_depend_on_the_order_of_rows_or_units():
    shuffled = als.meta.pool(EFFECTS.sample(frac=1, random_state=1)).glance()
    first = als.meta.pool(EFFECTS).glance()
    assert_allclose(shuffled["tau2"], first["tau2"], rtol=1e-10)
    large = als.meta.pool(EFFECTS.assign(yi=1e4 * EFFECTS["yi"], vi=1e8 * EFFECTS["vi"])).glance()
    assert_allclose(large["tau2"], 1e8 * first["tau2"], rtol=1e-10)
    far = als.meta.pool(EFFECTS.assign(yi=1000 + EFFECTS["yi"])).glance()
    assert_allclose(far["tau2"], first["tau2"], rtol=1e-8)  # 1000 takes three digits of the effects themselves


def test_the_integral_is_the_mean_correlation_of_the_studies():
    from scipy.integrate import quad

    for tau2 in (0.01, 0.3, 2.0):
        mean = quad(lambda z, s: np.tanh(z) * stats.norm.pdf(z, 0.4, s), -15, 15, args=(tau2**0.5,), points=[0.4])[0]
        assert_allclose(carried_back(np.array([0.4]), "integral", tau2), mean, rtol=1e-9)  # quad's own accuracy
    assert_allclose(carried_back(np.array([0.4]), "integral", 0.0), np.tanh(0.4))


def test_log_odds_come_back_as_ratios_and_a_scale_must_be_known():
    logs = EFFECTS.assign(ai=10, bi=5, ci=[3, 4, 5, 6, 7, 8], di=9)[["study", "ai", "bi", "ci", "di"]]
    result = als.meta.pool(als.meta.effect_sizes(logs, "OR", ai="ai", bi="bi", ci="ci", di="di"))
    assert_allclose(result.back_transformed()["estimate"], np.exp(result.table()["estimate"]))
    with pytest.raises(DataError, match="not known on which scale"):
        als.meta.pool(EFFECTS).back_transformed()


def test_the_report_of_correlations_speaks_of_r():
    sheet = pd.DataFrame({"r": [0.1, 0.3, 0.4, 0.2], "n": [40, 30, 60, 50]})
    text = als.meta.pool(als.meta.effect_sizes(sheet, r="r", n="n"), test="knha").report()
    assert text.startswith("Across 4 studies, the mean effect was positive, z = ")
    mean = als.meta.pool(als.meta.effect_sizes(sheet, r="r", n="n"), test="knha").fit.beta[0]
    assert f"(r = .{100 * np.tanh(mean):.0f}, " in text


def test_the_forest_shows_every_effect_and_the_mean():
    drawn = als.meta.pool(EFFECTS).plot()
    assert len(drawn.data["effects"]) == 6
    assert drawn.data["effects"]["label"].tolist() == list("abcdef")
    assert "diamond" in drawn.caption.lower()
    with pytest.raises(DataError, match="no figure 'pie'"):
        als.meta.pool(EFFECTS).plot("pie")


def test_the_table_is_printed_with_heterogeneity():
    shown = als.meta.pool(EFFECTS).result_table().to_markdown()
    assert "Mean effect" in shown
    assert "95% prediction interval" in shown


@pytest.mark.slow
@pytest.mark.parametrize("k", [10, 20, 40])
def test_knapp_hartung_intervals_cover_as_often_as_they_say(k):
    rng = np.random.default_rng(k)
    covered = np.zeros(2)
    n = 1000
    for _ in range(n):
        v = rng.uniform(0.01, 0.08, k)
        y = 0.3 + rng.normal(0, 0.2, k) + rng.normal(0, np.sqrt(v))
        for at, test in enumerate(("z", "knha")):
            row = als.meta.pool(pd.DataFrame({"yi": y, "vi": v}), test=test).table().iloc[0]
            covered[at] += row["ci_low"] <= 0.3 <= row["ci_high"]
    z, knha = covered / n
    # three standard errors of a share of .95 in 1 000 runs are .021
    assert abs(knha - 0.95) < 0.021
    if k == 10:
        assert z < 0.94  # what the factor is there for


def test_a_mean_that_may_be_zero_is_not_called_positive():
    effects = pd.DataFrame({"yi": [0.3, -0.2, 0.15], "vi": [0.04, 0.05, 0.03]})
    assert "the mean effect did not differ detectably from 0, b = 0.10" in als.meta.pool(effects).report()
