import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest
from bias_golden import effects, golden
from numpy.testing import assert_allclose
from scipy.special import ndtr, ndtri
from test_multilevel import EFFECTS

import alliance_stats as als
from alliance_stats.engine.selection.likelihood import Problem, evaluate
from alliance_stats.errors import DataError, DesignError
from alliance_stats.meta.result import GLANCE, VARIANCES
from alliance_stats.names import TABLE_COLUMNS
from alliance_stats.report.sentences import Sentences

bias = als.meta.bias
ASK = {
    "trim_fill": bias.trim_fill,
    "egger": bias.egger,
    "rank_test": bias.rank_test,
    "excess_significance": bias.excess_significance,
    "pet_peese": bias.pet_peese,
    "fail_safe_n": bias.fail_safe_n,
    "selection": bias.selection,
    "p_curve": bias.p_curve,
    "p_uniform": bias.p_uniform,
    "compare": lambda frame: bias.compare(frame, methods=("trim and fill (L0)", "PET-PEESE", "3PSM", "p-uniform*")),
}
SELECTION = {
    "3PSM": {},
    "4PSM": {"model": "4PSM"},
    "three steps": {"model": "steps", "steps": (0.01, 0.025, 0.5)},
    "moderator": {"mods": "x"},
    "two-sided": {"steps": (0.05,), "alternative": "two-sided"},
    "less": {"alternative": "less"},
    "beta": {"model": "beta"},
    "halfnorm": {"model": "halfnorm"},
    "negexp": {"model": "negexp"},
    "logistic": {"model": "logistic"},
    "power": {"model": "power"},
    "negexp two-sided": {"model": "negexp", "alternative": "two-sided"},
}
#: Where metafor's record is short of the top, or its integral is inexact: how far its log-likelihood is off.
INEXACT = {"beta": 4e-4, "halfnorm": 3e-4, "negexp": 2e-4, "logistic": 1e-4, "power": 2e-4}
SIMULATED = effects()


@pytest.fixture(scope="module")
def results():
    return {name: ask(SIMULATED) for name, ask in ASK.items()}


@pytest.fixture(params=ASK)
def result(request, results):
    return results[request.param]


def test_the_contract_covers_every_public_function():
    assert set(bias.__all__) == set(ASK)


def test_tables_begin_with_the_columns_of_every_result(result):
    assert tuple(result.table().columns[: len(TABLE_COLUMNS)]) == TABLE_COLUMNS


def test_the_glance_is_one_row_with_the_columns_of_every_meta_analysis(result):
    glance = result.glance()
    assert len(glance) == 1
    assert tuple(glance.columns[: len(GLANCE)]) == GLANCE
    assert tuple(result.variance().columns) == VARIANCES
    assert_allclose(glance["uncorrected"], als.meta.pool(SIMULATED).fit.beta[0], atol=2e-3)  # ML in selection models


def test_words_figures_and_pictures_of_every_result(result):
    assert isinstance(result.report(), Sentences)
    assert result.report().endswith(".")
    assert "nan" not in f"{result.report()}{result.describe()}{result.notes()}".lower()
    assert "<table" in result._repr_html_()
    drawn = result.plot()
    assert len(drawn.caption) > 30
    assert len(drawn.alt_text) > 30
    with pytest.raises(DataError, match="no figure 'pie'"):
        result.plot("pie")


def test_results_are_frozen_and_can_be_pickled(result):
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.observed = None
    again = pickle.loads(pickle.dumps(result))
    pd.testing.assert_frame_equal(again.table(), result.table())


@pytest.mark.parametrize("ask", ASK.values(), ids=list(ASK))
def test_the_input_is_never_changed(ask):
    frame = SIMULATED.copy(deep=True)
    ask(frame)
    pd.testing.assert_frame_equal(frame, SIMULATED)


# ---- numbers of other tools ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SELECTION)
def test_selection_models_agree_with_metafor(name):
    expected, arguments = golden()["selection"][name], SELECTION[name]
    sign = -1.0 if name == "less" else 1.0
    ours = bias.selection(SIMULATED.assign(yi=sign * SIMULATED["yi"]), **arguments)
    delta = np.atleast_1d(expected["delta"])[-ours.fit.delta.size :]
    beta = np.atleast_1d(expected["beta"])
    problem = Problem(SIMULATED["yi"].to_numpy(), SIMULATED["vi"].to_numpy(), ours.part.matrix, ours.function)
    at = evaluate(problem, np.concatenate([sign * beta, [expected["tau2"]], delta])).value
    # metafor's beta integral misses the kink that its limit of p makes; step functions have closed forms in both tools
    assert_allclose(at, expected["ll"], rtol=0, atol=4e-4 if name == "beta" else 1e-9)
    assert at - 1e-12 <= ours.fit.log_likelihood <= at + INEXACT.get(name, 1e-8) + 4e-4 * (name == "beta")
    assert ours.fit.converged
    if name in INEXACT:
        return
    assert_allclose(ours.table()["estimate"], beta, rtol=0, atol=5e-6)
    assert_allclose(ours.fit.tau2, expected["tau2"], rtol=0, atol=1e-6)
    assert_allclose(ours.fit.delta, delta, rtol=0, atol=5e-5)
    # metafor's Hessian comes from differences
    assert_allclose(ours.table()["std_error"], np.atleast_1d(expected["se"]), rtol=1e-4)
    assert_allclose(ours.likelihood_ratio()["statistic"][0], expected["LRT"], rtol=1e-6)
    assert_allclose(ours.likelihood_ratio()["p_value"][0], expected["LRTp"], rtol=1e-5)


def test_p_uniform_agrees_with_a_plain_likelihood_in_r():
    expected, ours = golden()["p_uniform"], bias.p_uniform(SIMULATED)
    assert_allclose(ours.fit.beta[0], expected["mu"], rtol=1e-7)
    assert_allclose(ours.fit.tau2, expected["tau2"], rtol=1e-6)
    assert_allclose(ours.fit.log_likelihood, expected["ll"], rtol=1e-12)
    assert_allclose(ours.interval, expected["ci"], rtol=1e-8)
    assert_allclose(ours.zero, expected["zero"], rtol=1e-9)


def test_p_curve_agrees_with_probits_in_r():
    expected, ours = golden()["p_curve"], bias.p_curve(SIMULATED)
    tests = ours.tests.set_index("term")
    names = {"right_full": "right skew, full", "right_half": "right skew, half"}
    names |= {"flat_full": "flatness, full", "flat_half": "flatness, half"}
    for theirs, mine in names.items():
        assert_allclose(tests.loc[mine, ["statistic", "n"]].to_numpy(float), expected[theirs], rtol=1e-10)
    assert_allclose(tests.loc["right skew, binomial", "p_value"], expected["binomial"], rtol=1e-10)
    assert_allclose(tests.loc["flatness, binomial", "p_value"], expected["binomial33"], rtol=1e-10)
    assert_allclose([ours.power, ours.power_low, ours.power_high], expected["power"], rtol=1e-10)


@pytest.mark.parametrize("estimator", ["L0", "R0", "Q0"])
def test_trim_and_fill_agrees_with_metafor(estimator):
    expected, ours = golden()["trim_fill"][estimator], bias.trim_fill(SIMULATED, estimator, "left")
    assert ours.trimmed.n == expected["k0"]
    assert_allclose(ours.trimmed.error, expected["se_k0"], rtol=1e-12)
    # metafor refits the filled set at its own threshold for τ²
    assert_allclose(ours.table()["estimate"], expected["beta"], rtol=0, atol=1e-6)
    assert_allclose(ours.glance()["tau2"], expected["tau2"], rtol=0, atol=1e-5)


def test_eggers_test_agrees_with_metafor():
    expected = golden()["egger"]
    for name, ours in {
        "sei": bias.egger(SIMULATED),
        "vi": bias.egger(SIMULATED, "vi"),
        "lm": bias.egger(SIMULATED, model="multiplicative"),
    }.items():
        assert_allclose(ours.slope["statistic"], expected[name]["stat"], rtol=1e-10)
        assert_allclose(ours.slope["p_value"], expected[name]["pval"], rtol=1e-9)


def test_the_exact_rank_test_agrees_with_metafor():
    ours = bias.rank_test(SIMULATED.iloc[:20])
    assert ours.exact
    assert_allclose([ours.tau, ours.p_value], [golden()["rank20"]["tau"], golden()["rank20"]["pval"]], rtol=1e-12)


# ---- what must hold --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trim_fill", "selection", "p_uniform", "p_curve", "pet_peese"])
def test_turning_all_signs_turns_the_answer(name):
    turned = SIMULATED.assign(yi=-SIMULATED["yi"])
    way = {"side": "right"} if name == "trim_fill" else {"alternative": "less"}
    there = getattr(bias, name)(SIMULATED, **({"side": "left"} if name == "trim_fill" else {})).glance().iloc[0]
    back = getattr(bias, name)(turned, **way).glance().iloc[0]
    assert_allclose(back["estimate"], -there["estimate"], rtol=1e-9)
    assert_allclose([back["ci_low"], back["ci_high"]], [-there["ci_high"], -there["ci_low"]], rtol=1e-7)


def test_p_curves_effect_makes_conditional_p_values_uniform():
    from scipy.stats import norm

    ours = bias.p_curve(SIMULATED)
    s = np.sqrt(SIMULATED["vi"].to_numpy())
    y = SIMULATED["yi"].to_numpy()
    taken = y / s > norm.isf(0.025)
    pp = norm.sf(y, ours.effect, s)[taken] / norm.sf(norm.isf(0.025) * s, ours.effect, s)[taken]
    assert_allclose(norm.ppf(pp).sum(), 0, atol=1e-9)


def test_general_fail_safe_n_is_the_first_number_that_reaches_the_target():
    from alliance_stats.engine.pooling.fail_safe import general

    y, v = SIMULATED["yi"].to_numpy(), SIMULATED["vi"].to_numpy()
    found = bias.fail_safe_n(SIMULATED, "General", target=0.05)
    assert found.estimate_then <= 0.05
    assert general(y, v, "REML", 0.05, found.estimate_then + 1e-12).n == found.n
    assert found.n > 100  # many null results against sixty studies


def test_fail_safe_n_says_what_it_is_not():
    found = bias.fail_safe_n(SIMULATED)
    assert "corrects nothing" in found.report()
    assert any("corrects nothing" in note for note in found.notes())
    assert "not a correction" in found.describe()


def test_by_default_effects_of_one_study_get_robust_errors():
    ours = bias.egger(EFFECTS)
    direct = als.meta.multilevel(EFFECTS.assign(sei=np.sqrt(EFFECTS["vi"])), mods="sei")
    pd.testing.assert_frame_equal(ours.table(), direct.table())
    assert ours.glance()["test"][0] == "satterthwaite"
    plain = bias.egger(EFFECTS, cluster=None)
    assert any("come from a study that has another one here" in note for note in plain.notes())
    assert not any("has another one here" in note for note in ours.notes())


def test_multiplicative_egger_with_clusters_of_one_is_cr2_of_independent_effects():
    frame = SIMULATED.assign(study=np.arange(60))
    ours = bias.egger(frame, model="multiplicative", cluster="study")
    y, v = frame["yi"].to_numpy(), frame["vi"].to_numpy()
    x = np.column_stack([np.ones(60), np.sqrt(v)])
    w = 1 / v
    bread = np.linalg.inv((x * w[:, None]).T @ x)
    residual = y - x @ bread @ (x.T @ (w * y))
    # with one effect per cluster A = (1 − h)^(-1/2), h the leverage (Bell & McCaffrey, 2002)
    leverage = np.einsum("ip,pq,iq->i", x, bread, x) * w
    score = x * (w * residual / np.sqrt(1 - leverage))[:, None]
    expected = np.sqrt(np.diag(bread @ score.T @ score @ bread))
    assert_allclose(ours.table()["std_error"], expected, rtol=1e-10)


def test_the_cluster_bootstrap_with_a_study_per_effect_is_near_the_plain_error():
    frame = SIMULATED.assign(study=np.arange(60))
    plain = bias.selection(frame)
    boot = bias.selection(frame, cluster="study", n_boot=400, seed=1, progress=False)
    assert boot.fit.log_likelihood == plain.fit.log_likelihood
    # 400 draws know a standard deviation to about 4%, and the two errors differ by what a sample of 60 leaves open
    assert_allclose(boot.table()["std_error"], plain.table()["std_error"], rtol=0.35)
    low, high = boot.table()[["ci_low", "ci_high"]].iloc[0]
    assert low < boot.table()["estimate"][0] < high
    again = bias.selection(frame, cluster="study", n_boot=400, seed=1, progress=False)
    pd.testing.assert_frame_equal(again.table(), boot.table())


def test_doubling_every_effect_halves_nothing_in_the_cluster_bootstrap():
    frame = SIMULATED.assign(study=np.arange(60))
    twice = pd.concat([frame, frame], ignore_index=True)
    naive = bias.selection(twice).table()["std_error"][0]
    boot = bias.selection(twice, cluster="study", n_boot=300, seed=2, progress=False).table()["std_error"][0]
    once = bias.selection(frame).table()["std_error"][0]
    assert_allclose(naive, once / np.sqrt(2), rtol=1e-3)
    assert boot > 1.2 * naive


def test_comparison_puts_failures_in_the_note_and_keeps_the_rest():
    few = SIMULATED[SIMULATED["yi"] > 1.96 * np.sqrt(SIMULATED["vi"])].iloc[:12]
    ours = bias.compare(few)
    table = ours.table().set_index("term")
    assert table.index[0] == "uncorrected"
    assert np.isnan(table.loc["3PSM", "estimate"])
    assert "hold no effect" in table.loc["3PSM", "note"]
    assert np.isfinite(table.loc["PET-PEESE", "estimate"])


def test_comparison_carries_fishers_z_back():
    frame = SIMULATED.copy()
    frame.attrs["measure"] = "ZCOR"
    table = bias.compare(frame, methods=("PET",)).table()
    assert_allclose(table["r"], np.tanh(table["estimate"]), rtol=1e-14)
    assert bias.compare(SIMULATED, methods=("PET",)).table()["r"].isna().all()


# ---- bad input -------------------------------------------------------------------------------------------------


def test_intervals_without_effects_are_named_with_the_way_out():
    significant = SIMULATED[SIMULATED["yi"] > 1.96 * np.sqrt(SIMULATED["vi"])]
    with pytest.raises(
        DesignError, match=r"1 of 2 intervals of p hold no effect \(first: 0.025 < p ≤ 1\).*Vevea-Woods"
    ):
        bias.selection(significant)
    assert bias.selection(significant, "Vevea-Woods").fit.converged


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda f: bias.selection(f, steps=(0.5, 0.025)), DataError, "rise inside"),
        (lambda f: bias.selection(f, "5PSM"), DataError, "No selection model '5PSM'"),
        (lambda f: bias.selection(f, "steps", weights=(1, 0.5, 0.2)), DataError, "3 weights for 2 intervals"),
        (lambda f: bias.selection(f, alternative="up"), DataError, "No direction 'up'"),
        (lambda f: bias.selection(f.iloc[:3]), DesignError, "3 effects and 3 parameters"),
        (lambda f: bias.trim_fill(f, "L1"), DataError, "No estimator 'L1'"),
        (lambda f: bias.trim_fill(f.iloc[:2]), DesignError, "2 effects: trim and fill needs at least 3"),
        (lambda f: bias.egger(f, "size"), DataError, "No predictor 'size'"),
        (lambda f: bias.egger(f, "ninv"), DataError, "No column 'n'"),
        (lambda f: bias.egger(f.assign(vi=0.04)), DesignError, "All 60 effects have the same standard error"),
        (lambda f: bias.rank_test(f.assign(vi=0.04)), DesignError, "All 60 sampling variances are equal"),
        (lambda f: bias.p_uniform(f.assign(yi=-f["yi"].abs())), DesignError, "0 of 60 effects are significant"),
        (lambda f: bias.p_curve(f.assign(yi=-f["yi"].abs())), DesignError, "0 of 60 effects are significant"),
        (lambda f: bias.fail_safe_n(f, target=0.0), DataError, "never reached"),
        (lambda f: bias.compare(f, methods=("magic",)), DataError, "No correction 'magic'"),
        (lambda f: bias.selection(f.assign(s=1), cluster="s"), DesignError, "1 cluster in 's'"),
    ],
)
def test_errors_name_count_place_and_way_out(ask, error, message):
    with pytest.raises(error, match=message):
        ask(SIMULATED)


def test_trim_and_fill_of_equal_effects_finds_nothing_missing():
    equal = pd.DataFrame({"yi": 0.3, "vi": np.linspace(0.01, 0.05, 8)})
    ours = bias.trim_fill(equal)
    assert ours.trimmed.n == 0
    assert_allclose(ours.table()["estimate"], 0.3)


def test_a_mean_that_points_the_other_way_is_noted():
    ours = bias.selection(SIMULATED.assign(yi=-SIMULATED["yi"]), "Vevea-Woods")
    assert any("alternative='less'" in note for note in ours.notes())


def test_the_mean_without_correction_allows_for_dependent_effects_where_the_method_does():
    plain = als.meta.multilevel(EFFECTS).glance().iloc[0]
    for result in (bias.egger(EFFECTS), bias.pet_peese(EFFECTS), bias.compare(EFFECTS, methods=("PET",))):
        assert_allclose(result.glance()["uncorrected"], plain["estimate"], rtol=1e-10)
    compared = bias.compare(EFFECTS, methods=("PET",)).glance().iloc[0]
    assert_allclose(compared[["estimate", "std_error", "tau2"]].to_numpy(float),
                    plain[["estimate", "std_error", "tau2"]].to_numpy(float), rtol=1e-10)  # fmt: skip
    independent = bias.egger(EFFECTS, cluster=None).glance()["uncorrected"]
    assert_allclose(independent, als.meta.pool(EFFECTS).glance()["estimate"], rtol=1e-12)


def test_selection_models_go_by_their_words_too():
    words = {"half-normal": "halfnorm", "negative exponential": "negexp"}
    for model, name in words.items():
        assert_allclose(
            bias.selection(SIMULATED, model).table()["estimate"], bias.selection(SIMULATED, name).table()["estimate"]
        )


def test_the_p_curve_counts_significant_values_and_what_is_expected_of_them():
    p = np.array([0.001, 0.004, 0.0099, 0.012, 0.03, 0.049, 0.2, 0.9])
    effects = pd.DataFrame({"yi": -0.1 * ndtri(p / 2), "vi": 0.01})
    result = bias.p_curve(effects)
    shares = result.shares()
    assert_allclose(shares["observed"], 100 * np.array([3, 1, 1, 0, 1]) / 6, rtol=1e-12)  # counted
    # with a power of 1/3: what of the tail beyond 1.96 lies in each step, from a mean of 1.96 + Φ⁻¹(1/3)
    mean = -ndtri(0.025) + ndtri(1 / 3)
    tail = ndtr(mean + ndtri(np.arange(1, 6) / 200)) * 3
    assert_allclose(shares["third"], 100 * np.diff(tail, prepend=0), rtol=1e-10)
    assert_allclose(shares["no_effect"], 20)
    turned = bias.p_curve(effects.assign(yi=-effects["yi"]), alternative="less").shares()
    pd.testing.assert_frame_equal(turned, shares)
    assert result.plot().data["shares"]["observed"].tolist() == shares["observed"].tolist()
    assert "effects" in result.plot("funnel").data
    with pytest.raises(DataError, match="no figure 'curv'"):
        result.plot("curv")


def test_several_predictors_of_egger_stand_in_mods():
    with pytest.raises(DataError, match="and others in mods="):
        bias.egger(SIMULATED, ["sei", "x"])
    assert bias.egger(SIMULATED, mods="x").table()["term"].tolist() == ["(Intercept)", "sei", "x"]


def test_the_results_behind_a_comparison_are_kept():
    found = bias.compare(SIMULATED, methods=("PET", "PEESE", "3PSM", "p-uniform*"), cluster=None)
    assert list(found.results) == ["uncorrected", "PET", "PEESE", "3PSM", "p-uniform*"]
    assert found.results["PET"] is found.results["PEESE"]  # one pair of regressions serves both
    again = bias.selection(SIMULATED, "3PSM").table()
    pd.testing.assert_frame_equal(found.results["3PSM"].table(), again)
    assert list(bias.compare(SIMULATED.head(4), methods=("4PSM",), cluster=None).results) == ["uncorrected"]
