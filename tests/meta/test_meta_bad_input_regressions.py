"""Faults that hostile frames brought to light, one by one."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import DataError, DesignError

meta, bias = als.meta, als.meta.bias


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def effects(k: int = 20, per: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    v = rng.uniform(0.01, 0.1, k)
    study = [f"s{at // per}" for at in range(k)]
    y = rng.normal(0.3, 0.2, k) + rng.normal(0, np.sqrt(v))
    return pd.DataFrame({"study": study, "yi": y, "vi": v, "x": rng.normal(size=k), "year": np.arange(k)})


def without(frame: pd.DataFrame, column: str, at: list[int]) -> pd.DataFrame:
    return frame.assign(**{column: frame[column].where(~frame.index.isin(at))})


# ---- rows that were left out in silence, or taken for others ----------------------------------------------------


def test_selection_counts_the_rows_that_lack_a_moderator():
    result = bias.selection(without(effects(), "x", [2, 5]), "Vevea-Woods", mods="x")
    assert result.glance()[["k", "n_dropped"]].iloc[0].tolist() == [18, 2]
    assert result.notes()[0].startswith("2 rows without")


@pytest.mark.parametrize("model", ["random", "multiplicative"])
def test_egger_counts_the_rows_that_lack_a_moderator_and_says_how_many_it_used(model):
    result = bias.egger(without(effects(20, 1), "x", [2, 5]), mods="x", model=model)
    assert result.glance()[["k", "n_dropped"]].iloc[0].tolist() == [18, 2]


def test_effects_of_no_study_are_not_taken_for_those_of_the_last_one_in_a_bootstrap():
    frame = without(effects(), "study", [0, 7])
    call = {"cluster": "study", "n_boot": 60, "seed": 1, "progress": False}
    found, alone = bias.selection(frame, "Vevea-Woods", **call), bias.selection(frame.dropna(), "Vevea-Woods", **call)
    assert_allclose(found.table().iloc[:, 1:], alone.table().iloc[:, 1:], rtol=1e-12)
    assert found.glance()["n_dropped"].iloc[0] == 2


def test_multiplicative_errors_leave_out_effects_of_no_study():
    frame = without(effects(), "study", [0, 7])
    found = bias.egger(frame, model="multiplicative")
    assert_allclose(
        found.table().select_dtypes("number"),
        bias.egger(frame.dropna(), model="multiplicative").table().select_dtypes("number"),
        rtol=1e-12,
    )
    assert found.glance()["n_dropped"].iloc[0] == 2


def test_an_effect_of_no_study_counts_as_a_study_of_its_own():
    result = meta.pool(without(effects(), "study", [0, 7]))
    assert result.n_studies == 12  # by hand: all 10 studies still have an effect, and 2 effects have none
    assert not any("3 of 20" in note for note in result.notes())
    assert meta.pool(effects().assign(study=None)).n_studies == 20


def test_effects_of_no_study_are_not_of_one_another_s_study():
    frame = effects(20, 1).assign(study=None)
    assert bias.rank_test(frame).n_repeated == 0
    assert not any("come from a study" in note for note in meta.pool(frame).notes())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda frame: meta.leave_one_out(frame, by="study"), "1 of 20 values of 'study' are missing .first at row 3"),
        (lambda frame: meta.cumulative(frame, "year"), "1 of 20 values of 'year' are missing .first at row 3"),
    ],
)
def test_groups_and_orders_that_are_missing_are_refused_with_their_place(call, words):
    with pytest.raises(DataError, match=words):
        call(without(without(effects(), "study", [3]), "year", [3]))


# ---- what has no order, no number, no inverse --------------------------------------------------------------------


def test_an_order_of_numbers_and_words_is_refused():
    with pytest.raises(DataError, match=r"20 values of 'year' cannot be put in order, being of different kinds"):
        meta.cumulative(effects().assign(year=[2000, "x"] * 10), "year")


@pytest.mark.parametrize(
    ("V", "words"), [("V", "rho is 'V'"), ([[1, 2], [3]], "no matrix of numbers .list"), (["a"] * 20, "no matrix of")]
)
def test_a_covariance_of_no_numbers_is_refused(V, words):
    with pytest.raises(DataError, match=words):
        meta.multilevel(effects(), V=V)


def test_a_covariance_with_missing_values_says_how_many_and_where():
    own = np.diag(effects()["vi"].to_numpy())
    own[4, 5] = own[5, 4] = np.nan
    with pytest.raises(DataError, match=r"2 of 400 values of V are missing or infinite .first: rows 4 and 5"):
        meta.multilevel(effects(), V=own)


def test_a_covariance_that_is_not_definite_names_the_study_by_its_id():
    own = np.diag(effects()["vi"].to_numpy())
    own[4, 5] = own[5, 4] = 1.0
    with pytest.raises(DataError, match=r"in 1 of 10 studies .first: 's2'"):
        meta.multilevel(effects(), V=own)


def test_clusters_may_be_named_by_tuples_and_by_nullable_numbers():
    frame = effects(12)
    expected = meta.leave_one_out(meta.multilevel(frame))["estimate"].to_numpy()
    tuples = pd.Series([("a", at // 2) for at in range(12)], dtype=object)
    for ids in (tuples, pd.array(np.arange(12) // 2, dtype="Int64")):
        found = meta.leave_one_out(meta.multilevel(frame.assign(study=ids)))
        assert_allclose(found["estimate"], expected, rtol=1e-10)


def test_moderators_of_any_usual_unit_give_the_same_test_and_absurd_ones_are_refused():
    frame = effects().assign(z=lambda own: own["x"] ** 2)
    expected = meta.regress("yi ~ x + z", frame).table()["statistic"]
    far = meta.regress("yi ~ x + z", frame.assign(x=frame["x"] * 1e60)).table()["statistic"]
    assert_allclose(far, expected, rtol=1e-9)
    with pytest.raises(DesignError, match=r"1 predictor has a largest value beyond .*'x'"):
        meta.regress("yi ~ x", frame.assign(x=frame["x"] * 1e200))


# ---- residuals that are nothing but rounding ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        meta.multilevel,
        meta.robust,
        lambda frame: bias.egger(frame, model="multiplicative"),
        lambda frame: bias.egger(frame, model="multiplicative", cluster=None),
    ],
)
def test_equal_effects_leave_no_errors_from_residuals(call):
    with pytest.raises(DesignError, match=r"All 20 effects lie on the model exactly"):
        call(effects().assign(yi=0.3))


def test_equal_effects_have_model_based_errors():
    frame = effects(20, 1).assign(yi=0.3)
    table = meta.multilevel(frame, robust=None, rho=0.0).table()
    assert_allclose(table["std_error"], (1 / frame["vi"]).sum() ** -0.5, rtol=1e-6)  # inverse variances add up


def test_fits_of_equal_effects_have_no_knapp_hartung_error_and_say_so():
    frame = effects(3, 1).assign(yi=[0.3, 0.3, 1.0])
    found = meta.leave_one_out(frame, test="knha")
    assert found["std_error"].isna().tolist() == [False, False, True]
    assert any(note.startswith("1 standard error missing") for note in found.notes())


def test_rounding_leaves_no_negative_heterogeneity():
    for k in range(3, 30):
        frame = effects(k, 1).assign(yi=0.1 + 0.2)
        assert meta.pool(frame).glance()["q"].iloc[0] >= 0
        assert (meta.leave_one_out(frame)["q"] >= 0).all()


def test_a_moderator_far_from_zero_leaves_a_note_where_its_standard_error_is_missing():
    result = bias.selection(effects(20, 1).assign(x=lambda own: 1e7 + own["x"]), "Vevea-Woods", mods="x")
    missing = result.table()["std_error"].isna().any()
    assert missing == any("Standard errors of coefficients are missing" in note for note in result.notes())


# ---- sampling errors next to nothing -----------------------------------------------------------------------------


def test_sampling_errors_next_to_nothing_are_pointed_out():
    frame = effects().assign(vi=lambda own: own["vi"] * 1e-12)
    assert any("20 of 20 sampling variances are below 1e-08" in note for note in meta.multilevel(frame).notes())
    assert not any("sampling variances are below" in note for note in meta.multilevel(effects()).notes())


def test_a_covariance_without_inverse_is_refused_with_the_variances_that_make_it_so():
    frame = effects(4).assign(yi=[-2.0, 0.0, -1.0, 2.0], vi=[7e-17, 2e-24, 3e-25, 2e-22])
    with pytest.raises(DataError, match=r"from 3e-25 .row 2. to 7e-17 .row 0."):
        meta.multilevel(frame, V=meta.sampling_covariance(frame, 0.5))


def test_residuals_of_effects_that_fix_a_coefficient_have_no_standard_score():
    frame = effects(12, 1).assign(g=["a"] + ["b"] * 11)
    found = meta.multilevel(frame, "study", mods="0 + g", robust=None, rho=0.0).residuals()
    assert np.isfinite(found["rstandard"].iloc[1:]).all()
    assert not np.isinf(found["rstandard"]).any()


def test_a_fit_of_egger_or_pet_peese_that_did_not_converge_is_said_to_be_none():
    from dataclasses import replace

    egger, line = bias.egger(effects()), bias.pet_peese(effects())
    assert not any("not final" in note for note in (*egger.notes(), *line.notes()))
    assert any("not final" in note for note in replace(egger, fit=replace(egger.fit, converged=False)).notes())
    for which in ("pet", "peese"):
        poor = replace(line, **{which: replace(getattr(line, which), converged=False)})
        assert any("not final" in note for note in poor.notes())


#: As drawn: effects a thousandth of their standard errors, with which the average information is next to none.
ALIKE = [1.80, 1.32, 0.36, -1.21, -0.00, 0.66, -1.29, 0.40, 0.43, 0.70, -1.18, -0.66]
THEIR_ERRORS = [6.73, 3.43, 1.37, 1.15, 8.32, 9.21, 6.46, 7.57, 5.89, 9.42, 8.34, 1.02]


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_effects_far_more_alike_than_their_errors_have_variances_of_exactly_zero(unit):
    y, v = np.array(ALIKE) * 1e-3 * unit, np.array(THEIR_ERRORS) * unit**2
    result = meta.multilevel(pd.DataFrame({"yi": y, "vi": v, "study": np.arange(12) // 3}))
    assert result.glance()["converged"].iloc[0]
    assert (result.variance()["variance"] == 0).all()


@pytest.mark.parametrize("method", ["EE", "DL", "REML", "PMM"])
def test_variances_further_apart_than_digits_go_are_refused_with_both_rows(method):
    frame = pd.DataFrame({"yi": [1.0, 2.0, 4.0], "vi": [1e-40, 1.0, 1.0]})  # Q was 0; by hand it is 1 + 9 = 10
    with pytest.raises(DataError, match=r"variances of 3 effects go from 1e-40 .row 0. to 1 .row 1."):
        meta.pool(frame, method)


def test_variances_as_far_apart_as_is_allowed_keep_the_digits_of_q():
    frame = pd.DataFrame({"yi": [1.0, 2.0, 4.0], "vi": [1e-10, 1.0, 1.0]})
    assert_allclose(meta.pool(frame, "EE").glance()["q"], 10.0, rtol=1e-5)  # the mean is 1 to ten digits
