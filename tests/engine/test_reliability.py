"""Reliability kernels against psych, lavaan and lme4 (tests/golden/psych), pingouin, and closed forms."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from alliance_stats.engine.reliability.alpha import alpha_of, level_alphas, occasion_alpha
from alliance_stats.engine.reliability.coefficient import logit_interval
from alliance_stats.engine.reliability.generalizability import COMPONENTS, _together, generalizability
from alliance_stats.engine.reliability.intraclass import intraclass
from alliance_stats.engine.reliability.omega import one_factor, two_level_factor
from alliance_stats.errors import DesignError

HOME = Path(__file__).parents[1] / "golden" / "psych"
GOLDEN = json.loads((HOME / "reliability.json").read_text(encoding="utf-8"))
ITEMS = [f"item{k}" for k in range(1, 6)]
CASES = ["items", "items_unbalanced"]
Z = 1.959963984540054


def forms(case):
    frame = pd.read_csv(HOME / f"{case}.csv")
    person = pd.factorize(frame["patient_id"])[0]
    return frame[ITEMS].to_numpy(), person, frame["session"].to_numpy() - 1


def first(case):
    answers, _, session = forms(case)
    return answers[session == 0]


# ---- one occasion ------------------------------------------------------------------------------------------------


def test_alpha_by_hand():
    covariance = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert alpha_of(covariance) == 2 * (1 - 5 / 7)  # k / (k − 1) × (1 − trace / sum)


@pytest.mark.parametrize("case", CASES)
def test_alpha_and_feldts_interval_are_those_of_psych(case):
    golden, ours = GOLDEN[case]["occasion"], occasion_alpha(first(case))
    assert_allclose([ours.estimate, ours.low, ours.high], [golden["alpha"], *golden["feldt"]], rtol=1e-13)


def test_alpha_is_that_of_pingouin():
    import pingouin

    alpha, ends = pingouin.cronbach_alpha(pd.DataFrame(first("items")))
    ours = occasion_alpha(first("items"))
    assert_allclose(ours.estimate, alpha, rtol=1e-13)
    assert_allclose([ours.low, ours.high], ends, atol=5.1e-4)  # pingouin rounds to three decimals


@pytest.mark.parametrize("case", CASES)
def test_omega_of_one_factor_is_that_of_lavaan(case):
    golden, model = GOLDEN[case]["occasion"], one_factor(first(case))
    ours = model.omega(0, Z)
    # lavaan's optimiser stops at about 1e-8 of the loadings
    assert_allclose(ours.estimate, golden["omega"]["estimate"], rtol=1e-8)
    assert_allclose(ours.std_error, golden["omega"]["std_error"], rtol=1e-6)
    estimates = np.concatenate([model.loadings[0], model.unique[0]])
    assert_allclose(estimates, golden["parameters"]["estimate"][:10], rtol=1e-6)
    assert_allclose(np.sqrt(np.diag(model.covariance)), golden["parameters"]["std_error"][:10], rtol=1e-6)


def test_omega_is_near_that_of_another_estimator():
    # minimum residuals (psych) and maximum likelihood agree to the second decimal here
    assert (
        abs(one_factor(first("items")).omega(0, Z).estimate - GOLDEN["items"]["occasion"]["psych_omega_minres"]) < 0.005
    )


def test_omega_equals_alpha_where_all_items_are_equally_good():
    # a covariance matrix with equal covariances: alpha is the reliability (McDonald, 1999)
    rng = np.random.default_rng(3)
    raw = rng.normal(size=(400, 4))
    raw = (raw - raw.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False)).T)
    wanted = np.diag([1.0, 2.0, 0.5, 1.5]) + 0.8
    answers = raw @ np.linalg.cholesky(wanted).T
    assert_allclose(one_factor(answers).omega(0, Z).estimate, 4 * 4 * 0.8 / wanted.sum(), rtol=1e-9)
    assert_allclose(occasion_alpha(answers).estimate, 4 * 4 * 0.8 / wanted.sum(), rtol=1e-12)


def test_units_of_the_items_change_nothing_but_the_units():
    answers = first("items")
    assert_allclose(
        one_factor(1000 * answers).omega(0, Z).estimate, one_factor(answers).omega(0, Z).estimate, rtol=1e-9
    )


# ---- two levels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_omega_at_two_levels_is_that_of_lavaan(case):
    answers, person, _ = forms(case)
    golden, model = GOLDEN[case]["levels"], two_level_factor(answers, person)
    for level in (0, 1):
        ours = model.omega(level, Z)
        assert_allclose(ours.estimate, golden["omega"]["estimate"][level], rtol=1e-6)
        assert_allclose(ours.std_error, golden["omega"]["std_error"][level], rtol=1e-5)
    # its log-likelihood is never above ours, and lies within 1e-6 of it
    n, k = answers.shape
    units = 2 * n * np.log(answers.std(axis=0)).sum() + n * k * np.log(2 * np.pi)
    above = -(model.criterion + units) / 2 - golden["loglik"]
    assert -1e-9 < above < 1e-6


def test_alpha_within_and_between_follow_from_lavaans_saturated_covariances():
    answers, person, _ = forms("items")
    within, between = level_alphas(answers, person)
    golden = GOLDEN["items"]["levels"]
    w, b = np.array(golden["within"]), np.array(golden["between"])
    # balanced: W is the pooled covariance; maximum likelihood divides the squares between by J, not by J − 1
    n_sessions, n = 8, 60
    unbiased = ((w + n_sessions * b) * n / (n - 1) - w) / n_sessions
    assert_allclose(within.estimate, alpha_of(w), rtol=1e-4)  # lavaan's EM stops there
    assert_allclose(between.estimate, alpha_of(unbiased), rtol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_alpha_of_both_levels_by_plain_analysis_of_variance(case):
    answers, person, _ = forms(case)
    within, between = level_alphas(answers, person)
    columns = np.column_stack([answers, answers.sum(axis=1)])
    counts = np.bincount(person)
    n, j = len(answers), counts.size
    n0 = (n - (counts**2).sum() / n) / (j - 1)
    components = []
    for column in columns.T:  # one analysis of variance per item, and one of the total
        groups = [column[person == level] for level in range(j)]
        msw = sum(((g - g.mean()) ** 2).sum() for g in groups) / (n - j)
        msb = sum(len(g) * (g.mean() - column.mean()) ** 2 for g in groups) / (j - 1)
        components.append([msw, (msb - msw) / n0])
    components = np.array(components)
    for at, ours in enumerate((within, between)):
        assert_allclose(ours.estimate, 5 / 4 * (1 - components[:5, at].sum() / components[5, at]), rtol=1e-11)


def test_the_jackknife_leaves_out_one_patient_at_a_time():
    answers, person, _ = forms("items_unbalanced")
    within, _ = level_alphas(answers, person)
    without = np.array([
        level_alphas(answers[person != j], np.unique(person[person != j], return_inverse=True)[1])[0].estimate
        for j in range(60)
    ])  # fmt: skip
    assert_allclose(within.std_error, np.sqrt(59 / 60 * ((without - without.mean()) ** 2).sum()), rtol=1e-9)


# ---- generalizability and ICC ------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_components_are_those_of_lme4(case):
    model = generalizability(*forms(case))
    golden = GOLDEN[case]["generalizability"]
    names = ("id", "time", "items", "id:time", "id:items", "time:items", "Residual")
    # lme4's derivative-free optimiser is good to about 1e-5 of a component; its criterion is never below ours
    assert_allclose(model.variances, [golden["variance"][name] for name in names], rtol=2e-5)
    assert model.criterion <= golden["criterion"] + 1e-9
    assert len(COMPONENTS) == 6


@pytest.mark.parametrize("case", CASES)
def test_means_and_contrasts_of_items_hold_the_whole_likelihood(case):
    apart, together = generalizability(*forms(case)), _together(*forms(case))
    assert apart.joint is None
    assert_allclose(apart.criterion, together.criterion, rtol=1e-12)
    assert_allclose(apart.variances, together.variances, rtol=1e-5)  # where each optimiser stops
    scale = np.sqrt(np.diag(together.covariance))
    assert_allclose(apart.covariance / np.outer(scale, scale), together.covariance / np.outer(scale, scale), atol=2e-4)


def test_coefficients_are_those_of_psych():
    golden = GOLDEN["items"]["generalizability"]["mlr"]
    ours = generalizability(*forms("items")).coefficients(8)
    for name, theirs in (("RkF", "RkF"), ("R1R", "R1R"), ("RkR", "RkR"), ("RC", "Rc")):
        assert_allclose(ours[name].estimate, golden[theirs], rtol=1e-5)  # psych runs lme4 with its defaults


def test_coefficients_by_the_formulas_of_shrout_and_lane():
    model = generalizability(*forms("items_unbalanced"))
    p, t, _, pt, pi, _, e = model.variances
    k, m = 4, 5
    expected = {
        "R1F": (p + pi / m) / (p + pi / m + e / m),
        "RkF": (p + pi / m) / (p + pi / m + e / (k * m)),
        "R1R": (p + pi / m) / (p + pi / m + t + pt + e / m),
        "RkR": (p + pi / m) / (p + pi / m + t / k + pt / k + e / (k * m)),
        "RC": pt / (pt + e / m),
    }
    ours = model.coefficients(k)
    assert set(ours) == set(expected)
    for name, value in expected.items():
        assert_allclose(ours[name].estimate, value, rtol=1e-12)
        assert ours[name].low < value < ours[name].high


def test_errors_of_the_coefficients_are_those_of_balanced_mean_squares():
    """Balanced: RC = 1 − MSe / MS(person × session), whose F distribution is known."""
    answers, person, session = forms("items")
    ours = generalizability(answers, person, session).coefficients(8)["RC"]
    cube = answers.reshape(60, 8, 5)
    of = lambda *axes: cube.mean(axis=axes, keepdims=True)  # noqa: E731
    interaction = of(2) - of(1, 2) - of(0, 2) + of(0, 1, 2)
    residual = cube - of(2) - of(1) - of(0) + of(1, 2) + of(0, 2) + of(0, 1) - of(0, 1, 2)
    df1, df2 = 59 * 7, 59 * 7 * 4
    ms_pt, ms_e = 5 * (interaction**2).sum() / df1, (residual**2).sum() / df2
    assert_allclose(ours.estimate, 1 - ms_e / ms_pt, rtol=1e-6)
    # first-order variance of a ratio of mean squares
    assert_allclose(ours.std_error, ms_e / ms_pt * np.sqrt(2 / df1 + 2 / df2), rtol=1e-4)
    from scipy.stats import f

    exact = [1 - ms_e / ms_pt * f.ppf(q, df1, df2) for q in (0.975, 0.025)]
    assert_allclose([ours.low, ours.high], exact, atol=0.002)


def test_no_change_beyond_noise_gives_zero_with_an_interval_that_says_how_large_it_may_be():
    rng = np.random.default_rng(5)
    person, session = np.repeat(np.arange(25), 5), np.tile(np.arange(5), 25)
    answers = 3 + rng.normal(size=(25, 1))[person] + rng.normal(size=(125, 4))
    answers -= answers.mean(axis=1, keepdims=True) - answers.reshape(25, 5, 4).mean(axis=(1, 2))[person][:, None]
    found = generalizability(answers, person, session).coefficients(5)["RC"]
    assert found.estimate == 0
    assert found.low == 0
    assert 0 < found.high < 0.5


def test_the_intraclass_correlation_is_that_of_lme4_and_of_pingouin():
    import pingouin

    answers, person, session = forms("items")
    single, several = intraclass(answers.mean(axis=1), person, 8)
    assert_allclose(single.estimate, GOLDEN["items"]["generalizability"]["icc"], rtol=1e-6)
    long = pd.DataFrame({"p": person, "s": session, "y": answers.mean(axis=1)})
    theirs = pingouin.intraclass_corr(long, targets="p", raters="s", ratings="y").set_index("Type")["ICC"]
    # balanced: the one-way analysis of variance is the restricted maximum likelihood
    icc1 = theirs.filter(regex=r"^ICC\(?1\)?$|^ICC1$|ICC\(1,1\)").iloc[0]
    assert_allclose(single.estimate, icc1, rtol=1e-6)
    assert_allclose(several.estimate, 8 * icc1 / (1 + 7 * icc1), rtol=1e-6)
    assert single.low < single.estimate < single.high


# ---- refusals ----------------------------------------------------------------------------------------------------


def test_what_the_answers_cannot_tell_is_refused():
    answers, person, _ = forms("items")
    with pytest.raises(DesignError, match="2 items do not determine a factor"):
        one_factor(answers[:, :2])
    with pytest.raises(DesignError, match="4 forms or patients are too few"):
        one_factor(answers[:4])
    constant = answers.copy()
    constant[:, 2] = 3
    with pytest.raises(DesignError, match=r"1 of 5 items do not vary \(first at position 3\)"):
        two_level_factor(constant, person)
    with pytest.raises(DesignError, match="2 patients"):
        level_alphas(answers[:16], person[:16])
    with pytest.raises(DesignError, match="at most 1 complete forms each"):
        level_alphas(answers[::8], np.arange(60))


def test_a_coefficient_at_the_end_of_what_is_possible_has_no_interval():
    for estimate, error in ((1.0, 0.1), (0.0, 0.1), (-0.2, 0.1), (0.5, 0.0), (0.5, np.nan)):
        assert np.isnan(logit_interval(estimate, error, Z).low)


@pytest.mark.slow
def test_intervals_cover_the_truth():
    """200 simulated studies of 50 patients: 95 % intervals cover in 89 to 99 % (three standard errors of a count)."""
    rng = np.random.default_rng(11)
    n, t, m, covered = 50, 6, 4, {"within": 0, "between": 0, "omega_w": 0, "omega_b": 0, "RC": 0, "R1F": 0}
    # equally good items: alpha = omega at both levels; person 1, person × session .5, residual 1, item variance none
    truth = {"within": 4 * 0.5 / (4 * 0.5 + 1), "between": 1.0, "RC": 0.5 / (0.5 + 1 / 4)}
    person_item = 0.25
    truth["between"] = 4 * 1.0 / (4 * 1.0 + person_item)
    truth["R1F"] = (1 + person_item / 4) / (1 + person_item / 4 + 1 / 4)
    truth |= {"omega_w": truth["within"], "omega_b": truth["between"]}
    person, session = np.repeat(np.arange(n), t), np.tile(np.arange(t), n)
    for _ in range(200):
        answers = (
            rng.normal(size=(n, 1))[person]
            + np.sqrt(0.5) * rng.normal(size=(n * t, 1))
            + np.sqrt(person_item) * rng.normal(size=(n, m))[person]
            + rng.normal(size=(n * t, m))
        )
        within, between = level_alphas(answers, person)
        model = two_level_factor(answers, person)
        found = {"within": within, "between": between, "omega_w": model.omega(0, Z), "omega_b": model.omega(1, Z)}
        crossed = generalizability(answers, person, session).coefficients(t)
        found |= {name: crossed[name] for name in ("RC", "R1F")}
        for name, own in found.items():
            covered[name] += own.low < truth[name] < own.high
    for name, times in covered.items():
        assert 0.89 < times / 200 <= 0.995, (name, times)
