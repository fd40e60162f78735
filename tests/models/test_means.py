"""Marginal means and slopes: contrast matrices made by hand in R, sums by hand, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import DataError
from alliance_stats.models.differences import pairs
from alliance_stats.names import TABLE_COLUMNS

GOLDEN = Path(__file__).parents[1] / "golden"
RECORD = json.loads((GOLDEN / "means" / "means.json").read_text(encoding="utf-8"))
TESTS = RECORD["tests"]
DATA = pd.read_csv(GOLDEN / "lme4" / "data" / "unbalanced.csv")
FRAME = DATA.assign(
    arm=np.where(DATA["therapist_id"].str[1:].astype(int) % 2 == 1, "A", "B"), late=DATA["session"] > 3
)  # late is true or false, a category; in R, a grid of 0 and 1

ASK = {
    "phase": lambda fit, **more: fit.means("phase", **more),
    "proportional": lambda fit, **more: fit.means("phase", weights="proportional", **more),
    "both": lambda fit, **more: fit.means(["phase", "arm"], **more),
    "mean": lambda fit, **more: fit.means([], **more),
    "mean_proportional": lambda fit, **more: fit.means([], weights="proportional", **more),
    "at": lambda fit, **more: fit.means("phase", at={"session": [1, 5, 10]}, **more),
    "pairwise": lambda fit, **more: fit.means("phase", differences="pairwise", **more),
    "pairwise_both": lambda fit, **more: fit.means(["phase", "arm"], differences="pairwise", **more),
    "reference": lambda fit, **more: fit.means("phase", differences="reference", **more),
    "consecutive": lambda fit, **more: fit.means(
        "session", at={"session": [1, 5, 9]}, differences="consecutive", **more
    ),
    "slopes": lambda fit, **more: fit.slopes("alliance_within", by="phase", **more),
    "slope_differences": lambda fit, **more: fit.slopes("alliance_within", "phase", differences="pairwise", **more),
    "curve": lambda fit, **more: fit.slopes("session", at={"session": [1, 5, 10]}, **more),
}
METHODS = {"satterthwaite": "satterthwaite", "kenward-roger": "kenward_roger"}


@pytest.fixture(scope="module")
def fits():
    return {method: als.mixed(RECORD["formula"], FRAME, df=method) for method in METHODS}


@pytest.fixture(scope="module")
def fit(fits):
    return fits["satterthwaite"]


def column(record, name):
    return np.atleast_1d(record[name])


# ---- against R ----


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", TESTS)
def test_means_differences_and_slopes_are_those_of_hand_made_contrasts(fits, name, method):
    table, record = ASK[name](fits[method]), TESTS[name][METHODS[method]]
    error = column(record, "std_error")
    assert_allclose(table["estimate"] / error, column(record, "estimate") / error, rtol=0, atol=1e-7)
    assert_allclose(table["std_error"], error, rtol=1e-7)
    assert_allclose(table["df"], column(record, "df"), rtol=1e-5)
    for limit in ("ci_low", "ci_high"):
        assert_allclose(table[limit] / error, column(record, limit) / error, rtol=0, atol=1e-5)
    # p values of 1e-15 carry the relative error of df many times over
    assert_allclose(table["p_value"], column(record, "p_value"), rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "adjust"),
    [
        (n, a)
        for n in ("pairwise", "pairwise_both", "slope_differences")
        for a in ("holm", "bonferroni", "sidak", "tukey")
    ]
    + [(n, a) for n in ("reference", "consecutive") for a in ("holm", "bonferroni", "sidak")],
)
def test_adjusted_p_values_and_intervals_are_rs(fit, name, adjust):
    record = TESTS[name]["satterthwaite"]
    table = ASK[name](fit, adjust=adjust)
    assert_allclose(table["p_value"], record[adjust], rtol=1e-4, atol=1e-8)  # df agree to 1e-5
    half = record["half_bonferroni" if adjust == "holm" else f"half_{adjust}"]
    assert_allclose((table["ci_high"] - table["ci_low"]) / 2, half, rtol=1e-6)
    assert_allclose((table["ci_high"] + table["ci_low"]) / 2, table["estimate"], rtol=1e-9)
    assert table.attrs["adjust"] == adjust


# ---- by hand ----


@pytest.fixture(scope="module")
def balanced():
    """Eight patients, each once in every phase with every condition."""
    rng = np.random.default_rng(5)
    grid = pd.MultiIndex.from_product([range(8), ["early", "late", "middle"], ["cbt", "pdt"]]).to_frame(index=False)
    frame = grid.set_axis(["patient_id", "phase", "condition"], axis=1)
    own = rng.normal(size=8)[frame["patient_id"]]
    return frame.assign(outcome=10 + own + rng.normal(size=len(frame)), dose=rng.uniform(1, 4, size=len(frame)))


def test_in_balanced_data_the_means_are_those_of_the_scores(balanced):
    fit = als.mixed("outcome ~ phase * condition + (1 | patient_id)", balanced)
    cells = balanced.groupby(["phase", "condition"])["outcome"].mean()
    means = fit.means(["phase", "condition"])
    assert_allclose(means["estimate"], cells.to_numpy())
    assert means[["phase", "condition"]].to_numpy().tolist() == [list(key) for key in cells.index]
    assert_allclose(fit.means("phase")["estimate"], balanced.groupby("phase")["outcome"].mean())
    # balanced: each mean of 16 scores has variance tau2/8 + sigma2/16
    tau2, sigma2 = fit.variance()["vcov"]
    assert_allclose(fit.means("phase")["std_error"], np.sqrt(tau2 / 8 + sigma2 / 16))
    differences = fit.means("phase", differences="pairwise")
    assert_allclose(differences["std_error"], np.sqrt(2 * sigma2 / 16))
    assert_allclose(differences["df"], 48 - 8 - 5, rtol=1e-6)  # the analysis of variance's; our Hessian is numerical


def test_codings_of_the_categories_do_not_change_the_means(balanced):
    plain = als.mixed("outcome ~ phase * condition + dose + (1 | patient_id)", balanced).means("phase")
    for phase in ("C(phase, sum)", "C(phase, helmert)", 'C(phase, treatment("late"))'):
        coded = als.mixed(f"outcome ~ {phase} * condition + dose + (1 | patient_id)", balanced).means("phase")
        pd.testing.assert_frame_equal(coded, plain, rtol=1e-7)


def test_the_order_of_categories_is_that_of_the_column(balanced):
    order = ["early", "middle", "late"]
    frame = balanced.assign(phase=pd.Categorical(balanced["phase"], order))
    fit = als.mixed("outcome ~ phase + condition + (1 | patient_id)", frame)
    assert fit.means("phase")["phase"].tolist() == order
    assert fit.means("phase", differences="consecutive")["term"].tolist() == ["middle - early", "late - middle"]
    assert fit.means("phase", differences="reference")["term"].tolist() == ["middle - early", "late - early"]
    pairwise = fit.means("phase", differences="pairwise")
    assert pairwise["term"].tolist() == ["middle - early", "late - early", "late - middle"]


def test_proportional_weights_are_the_shares_of_the_rows():
    # three rows of cbt to one of pdt
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"patient_id": np.repeat(range(10), 8), "condition": ["cbt", "cbt", "cbt", "pdt"] * 20})
    frame["outcome"] = rng.normal(size=80) + rng.normal(size=10)[frame["patient_id"]]
    fit = als.mixed("outcome ~ condition + (1 | patient_id)", frame)
    cbt, pdt = fit.means("condition")["estimate"]
    assert_allclose(fit.means([])["estimate"], (cbt + pdt) / 2)
    assert_allclose(fit.means([], weights="proportional")["estimate"], 0.75 * cbt + 0.25 * pdt)
    assert fit.means([])["term"].tolist() == ["mean"]


def test_numeric_predictors_stand_at_their_mean_or_where_they_are_put(balanced):
    fit = als.mixed("outcome ~ phase + log(dose) + (1 | patient_id)", balanced)
    beta = fit.table().set_index("term")["estimate"]
    held = beta["(Intercept)"] + beta["log(dose)"] * np.log(balanced["dose"].mean())
    assert_allclose(fit.means("phase")["estimate"].iloc[0], held)
    table = fit.means("phase", at={"dose": [1, 2]})
    assert table.columns.tolist() == ["phase", "dose", *TABLE_COLUMNS]
    assert table["term"].tolist()[:2] == ["early, dose = 1", "early, dose = 2"]
    assert_allclose(table["estimate"].iloc[:2], beta["(Intercept)"] + beta["log(dose)"] * np.log([1, 2]))
    # the same as the population's prediction, with its interval
    new = pd.DataFrame({"phase": ["late"], "dose": [2.0]})
    predicted = fit.predict(new, interval="confidence").iloc[0]
    row = table[(table["phase"] == "late") & (table["dose"] == 2)].iloc[0]
    for name in ("estimate", "std_error", "df", "ci_low", "ci_high"):
        assert_allclose(row[name], predicted[name])


def test_an_offset_stands_at_its_mean(balanced):
    frame = balanced.assign(start=np.linspace(-3, 8, len(balanced)))
    formula = "{} ~ phase + dose + (1 | patient_id)"
    fit = als.mixed(formula.format("outcome"), frame, offset="start")
    rest = als.mixed(formula.format("rest"), frame.assign(rest=frame["outcome"] - frame["start"]))
    own, plain = fit.means("phase"), rest.means("phase")
    for name in ("estimate", "ci_low", "ci_high"):
        assert_allclose(own[name], plain[name] + 2.5)
    assert_allclose(own["statistic"], own["estimate"] / own["std_error"])
    new = pd.DataFrame({"phase": ["late"], "dose": [frame["dose"].mean()], "start": [2.5]})
    assert_allclose(own["estimate"].iloc[1], fit.predict(new)["estimate"].iloc[0])
    for ask in (lambda f: f.means("phase", differences="pairwise"), lambda f: f.slopes("dose")):
        pd.testing.assert_frame_equal(ask(fit), ask(rest))


def test_numbers_inside_c_are_categories(balanced):
    frame = balanced.assign(wave=balanced["phase"].map({"early": 1, "middle": 2, "late": 3}))
    fit = als.mixed("outcome ~ C(wave, sum) + condition + (1 | patient_id)", frame)
    means = fit.means("wave")
    assert means["wave"].tolist() == [1, 2, 3]
    assert means["term"].tolist() == ["wave = 1", "wave = 2", "wave = 3"]
    assert_allclose(means["estimate"], frame.groupby("wave")["outcome"].mean())
    assert_allclose(fit.means("condition")["estimate"], frame.groupby("condition")["outcome"].mean())


def test_conditions_part_the_differences_into_families(balanced):
    fit = als.mixed("outcome ~ phase * condition * dose + (1 | patient_id)", balanced)
    table = fit.means("phase", at={"condition": ["cbt", "pdt"]}, differences="pairwise", adjust="bonferroni")
    assert table["condition"].tolist() == ["cbt"] * 3 + ["pdt"] * 3
    assert table["term"].tolist() == ["late - early", "middle - early", "middle - late"] * 2
    alone = fit.means("phase", at={"condition": "pdt"}, differences="pairwise")
    assert_allclose(table["estimate"].iloc[3:], alone["estimate"])
    assert_allclose(table["p_value"].iloc[3:], np.minimum(1, 3 * alone["p_value"]))  # three, not six
    across = fit.means(["phase", "condition"], differences="pairwise")
    assert len(across) == 15
    assert across["term"].iloc[0] == "(early, pdt) - (early, cbt)"


def test_pairs_are_later_less_earlier():
    assert pairs(3, "pairwise") == [(1, 0), (2, 0), (2, 1)]
    assert pairs(3, "reference") == [(1, 0), (2, 0)]
    assert pairs(3, "consecutive") == [(1, 0), (2, 1)]


# ---- slopes ----


def test_the_slope_of_a_linear_term_is_its_coefficient_exactly(fit):
    own = fit.slopes("alliance_between").iloc[0]
    expected = fit.contrast({"alliance_between": 1}).iloc[0].drop("term").astype(float)
    assert_allclose(own.drop("term").astype(float), expected, rtol=1e-10)
    assert own["term"] == "alliance_between"


def test_the_slope_within_an_interaction_is_the_sum_of_its_terms(fit):
    table = fit.slopes("alliance_within", by="phase")
    late = fit.contrast({"alliance_within": 1, "alliance_within:phase[T.late]": 1}).iloc[0]
    row = table[table["phase"] == "late"].iloc[0]
    for name in ("estimate", "std_error", "df", "p_value"):
        assert_allclose(row[name], late[name], rtol=1e-10)


@pytest.mark.parametrize(
    ("term", "derivative"),
    [
        ("log(dose)", lambda b, x: b[0] / x),
        ("sqrt(dose)", lambda b, x: b[0] / (2 * np.sqrt(x))),
        ("exp(dose)", lambda b, x: b[0] * np.exp(x)),
        ("dose + I(dose**3)", lambda b, x: b[0] + 3 * b[1] * x**2),
        ("poly(dose, 5, raw=True)", lambda b, x: sum((k + 1) * b[k] * x**k for k in range(5))),
    ],
)
def test_the_slope_of_a_curve_is_its_derivative(balanced, term, derivative):
    fit = als.mixed(f"outcome ~ {term} + (1 | patient_id)", balanced)
    b = fit.table()["estimate"].to_numpy()[1:]
    at = np.array([1.0, 2.2, 3.9])
    assert_allclose(fit.slopes("dose", at={"dose": at})["estimate"], derivative(b, at), rtol=1e-8)
    mean = balanced["dose"].mean()
    assert_allclose(fit.slopes("dose")["estimate"], derivative(b, mean), rtol=1e-8)


def test_the_slope_of_a_spline_is_given_at_its_ends(balanced):
    low, high = balanced["dose"].min(), balanced["dose"].max()
    fit = als.mixed("outcome ~ bs(dose, df=3) + (1 | patient_id)", balanced)
    cubic = als.mixed("outcome ~ poly(dose, 3, raw=True) + (1 | patient_id)", balanced)  # the same space
    at = {"dose": [low, 2.5, high]}
    for name, rtol in (("estimate", 1e-7), ("std_error", 1e-7), ("df", 1e-5)):
        own = [fit.slopes("dose", at={"dose": x})[name].iloc[0] for x in at["dose"]]
        assert_allclose(own, cubic.slopes("dose", at=at)[name], rtol=rtol)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        (lambda f: f.means("phse"), r"no predictor 'phse'\. Did you mean 'phase'\?"),
        (lambda f: f.means("patient_id"), "no predictor 'patient_id'"),
        (lambda f: f.means("session"), r"'session' is a number\. Say .* at=\{'session': \[1, 5, 10\]\}"),
        (lambda f: f.means("phase", at={"phase": "lat"}), r"'phase' has no category 'lat'\. Did you mean 'late'\?"),
        (lambda f: f.means("phase", at={"session": "five"}), "'session' is a number and cannot stand at 'five'"),
        (lambda f: f.means("phase", at={"session": [np.nan]}), "'session' is a number and cannot stand at nan"),
        (lambda f: f.means("phase", at={"session": []}), "has no values"),
        (lambda f: f.means("phase", weights="cells"), "weights is 'equal' or 'proportional', not 'cells'"),
        (lambda f: f.means("phase", differences="pairs"), r"no value 'pairs'\. Did you mean 'pairwise'\?"),
        (lambda f: f.means("phase", differences="pairwise", adjust="holms"), r"'holms'\. Did you mean 'holm'\?"),
        (lambda f: f.means("phase", adjust="holm"), "adjust='holm' is for differences"),
        (lambda f: f.means("phase", differences="reference", adjust="tukey"), "adjust='tukey' is for all pairs"),
        (lambda f: f.means([], differences="pairwise"), "nothing to compare it with"),
        (lambda f: f.means("phase", at={"session": np.arange(50_000)}), "has 600000 points"),
        (lambda f: f.slopes("phase"), r"'phase' has categories, not a slope\. Use means\('phase'"),
        (lambda f: f.slopes("sesion"), r"no predictor 'sesion'\. Did you mean 'session'\?"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused_with_the_way_out(fit, ask, match):
    with pytest.raises(DataError, match=match):
        ask(fit)


def test_a_predictor_called_like_a_column_of_the_table_is_refused():
    fit = als.mixed("outcome ~ term + (1 | patient_id)", FRAME.rename(columns={"phase": "term"}))
    with pytest.raises(DataError, match="'term' has the name of a column of the table"):
        fit.means("term")


def test_an_intercept_alone_has_a_mean():
    fit = als.mixed("outcome ~ 1 + (1 | patient_id)", FRAME)
    assert_allclose(fit.means([])["estimate"], fit.table()["estimate"])
