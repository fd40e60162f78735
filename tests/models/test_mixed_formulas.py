"""Codings, interactions, functions and splines in formulas, end to end, against R's model.matrix, lme4 and mgcv."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import DataError

GOLDEN = Path(__file__).parents[1] / "golden"
RECORD = json.loads((GOLDEN / "formula" / "formulas.json").read_text(encoding="utf-8"))
CASES, BARS = RECORD["cases"], RECORD["bars"]
FRAME = pd.read_csv(GOLDEN / "lme4" / "data" / "unbalanced.csv").assign(late=lambda f: f["session"] > 3)
NEW = pd.DataFrame(RECORD["new"])


@pytest.fixture(scope="module")
def fits():
    return {name: als.mixed(case["formula"], FRAME) for name, case in (CASES | BARS).items()}


def matrix(fit) -> np.ndarray:
    design = fit.arrays.design
    columns = [design.columns[k] for k in design.fixed]
    return np.column_stack([np.ones(design.n_obs) if own is None else own for own in columns])


@pytest.mark.parametrize("name", CASES)
def test_columns_are_those_of_model_matrix(fits, name):
    case, own = CASES[name], matrix(fits[name])
    assert own.shape[1] == len(case["columns"])
    # every column by its sum of squares, and five rows with their signs
    assert_allclose((own**2).sum(axis=0), case["sums"], rtol=1e-10)
    rows = own[np.array(case["rows"]) - 1]
    assert_allclose(rows, case["matrix"], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_estimates_are_lme4s(fits, name):
    case, table = CASES[name], fits[name].table()
    error = np.array(case["std_error"])
    assert_allclose(table["estimate"] / error, case["estimate"] / error, rtol=0, atol=1e-6)
    assert_allclose(table["std_error"], error, rtol=1e-6)
    assert_allclose(fits[name].glance()["deviance"], case["criterion"], rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_new_rows_are_computed_with_the_state_of_the_fit(fits, name):
    predicted = fits[name].predict(NEW)["estimate"]
    assert_allclose(predicted, CASES[name]["predictions"], rtol=0, atol=1e-7 * FRAME["outcome"].std())
    # one row by itself knows neither means nor knots nor the other categories
    one = pd.concat([fits[name].predict(NEW.iloc[[k]]) for k in range(len(NEW))])["estimate"]
    assert_allclose(one, predicted, rtol=1e-12)


@pytest.mark.parametrize("name", BARS)
def test_bar_terms_take_the_same_functions(fits, name):
    case, fit = BARS[name], fits[name]
    error = fit.table()["std_error"]
    assert_allclose(fit.table()["estimate"] / error, case["estimate"] / error, rtol=0, atol=1e-5)
    deviance = fit.glance()["deviance"].iloc[0]
    assert abs(deviance - case["criterion"]) < 1e-5 or deviance < case["criterion"]
    predicted = fit.predict(FRAME.iloc[:7], level="all")["estimate"]
    assert_allclose(predicted, fit.fitted().iloc[:7], rtol=1e-10)


@pytest.mark.parametrize("name", BARS)
def test_variances_of_coded_effects_are_lme4s(fits, name):
    theirs = np.array(BARS[name]["vcov"])
    own = fits[name].variance()["vcov"].to_numpy()
    # lme4 lists the groupings by their number of levels
    assert_allclose(np.sort(own), np.sort(theirs), rtol=0, atol=1e-4 * theirs.max())


def test_the_natural_spline_is_mgcvs():
    # any basis of the same space gives the same least-squares fit
    case = RECORD["cr"]
    fit = als.mixed(case["formula"], FRAME)
    own = matrix(fit)
    assert own.shape[1] == 1 + case["n_columns"]
    assert_allclose(own[:, 1:].mean(axis=0), 0, atol=1e-12)  # centred, so that it can stand beside an intercept
    assert_allclose(fit.arrays.recipes["cr(session, df=4)"].spec.transform_state["cr(column_0__, df=4)"]["knots"],
                    case["knots"], rtol=1e-12)  # fmt: skip
    beta = np.linalg.lstsq(own, FRAME["outcome"], rcond=None)[0]
    assert_allclose((own @ beta)[:20], case["fitted"], rtol=1e-10)
    from alliance_stats.design.new_rows import new_rows

    assert_allclose(new_rows(fit.formula, fit.arrays, NEW, ()).fixed @ beta, case["predictions"], rtol=1e-10)


def test_codings_change_the_coefficients_and_not_the_model(fits):
    same = [fits[name] for name in ("treatment", "reference", "sum", "helmert", "no_intercept")]
    predictions = [fit.predict(NEW)["estimate"].to_numpy() for fit in same]
    for own in predictions[1:]:
        assert_allclose(own, predictions[0], rtol=1e-9)


def test_terms_carry_the_coding_as_it_was_written(fits):
    assert list(fits["sum"].arrays.fixed_names) == ["(Intercept)", "C(phase, sum)[S.early]", "C(phase, sum)[S.late]"]
    assert list(fits["helmert"].arrays.fixed_names)[1:] == ["C(phase, helmert)[H.late]", "C(phase, helmert)[H.middle]"]
    late = list(fits["reference"].arrays.fixed_names)[1:]
    assert late == ['C(phase, treatment("late"))[T.early]', 'C(phase, treatment("late"))[T.middle]']
    joint = [fits[name].test(term) for name, term in (("sum", "C(phase, sum)"), ("helmert", "phase"))]
    assert_allclose(joint[0]["statistic"], joint[1]["statistic"], rtol=1e-8)


def test_categories_of_any_name_may_be_the_reference():
    for label in ("early (1)", "it's", 'a "b"', "x{y}", "a\\", "a`b", "T.x]", "['0']", "column_0__", "a\nb"):
        frame = FRAME.assign(phase=FRAME["phase"].replace({"late": label}))
        quote = "'" if '"' in label else '"'
        fit = als.mixed(f"outcome ~ C(phase, treatment({quote}{label}{quote})) + (1 | patient_id)", frame)
        # the mean of the reference category is the intercept, as where it is the first by its name
        plain = als.mixed("outcome ~ 0 + phase + (1 | patient_id)", FRAME)
        expected = plain.table().set_index("term")["estimate"]["phase[late]"]
        assert_allclose(fit.table()["estimate"].iloc[0], expected, rtol=1e-8)


def test_a_fit_with_codings_and_splines_can_be_pickled(fits):
    for name in ("reference", "sum_by_slope", "bs_knots", "poly_raw"):
        again = pickle.loads(pickle.dumps(fits[name]))
        assert_allclose(again.predict(NEW)["estimate"], fits[name].predict(NEW)["estimate"])


@pytest.mark.parametrize(
    ("term", "match"),
    [
        ('C(phase, treatment("lat"))', r"treatment\('lat'\) names no category\. Did you mean 'late'\?"),
        ("C(phase, treatment(5))", r"treatment\(5\) names no category\. Known: early, late, middle\."),
        ("C(session, treatment(99))", r"treatment\(99\) names no category\. Did you mean '9'\?"),
        ('C(session, treatment("3"))', r"treatment\('3'\) names no category\. Did you mean '3'\?"),
    ],
)
def test_a_reference_category_that_is_not_there_is_named(term, match):
    with pytest.raises(DataError, match=match):
        als.mixed(f"outcome ~ {term} + (1 | patient_id)", FRAME)


def test_a_column_that_is_called_like_a_term_of_another_is_refused():
    frame = FRAME.assign(**{"phase[T.late]": FRAME["alliance"]})
    with pytest.raises(DataError, match=r"A column has the name of another term .* Rename it"):
        als.mixed("outcome ~ phase + `phase[T.late]` + (1 | patient_id)", frame)
