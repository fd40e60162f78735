"""Residual structures through ``als.mixed``: identities that need no other tool, what is said, and what is refused.

Numbers of nlme, glmmTMB and lme4 stand in ``test_mixed_nlme.py`` and ``test_mixed_glmmtmb.py``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import ColumnError, DataError, DesignError

FORMULA = "alliance ~ session + (1 + session | patient_id) + (1 | therapist_id)"


@pytest.fixture(scope="module")
def sessions():
    """Eighty patients of the simulated data, with decimal days, phases and weights."""
    frame = als.load_dataset("simulated_alliance").frame
    frame = frame[frame["patient_id"] <= "P0080"].reset_index(drop=True)
    rng = np.random.default_rng(4)
    return frame.assign(
        day=(frame["session"] * 7 + 3 * rng.random(len(frame))).round(2),
        phase=pd.cut(frame["session"], [0, 4, 8, 99], labels=["early", "middle", "late"]),
        w=0.5 + rng.random(len(frame)),
        o=0.1 * frame["session"],
    )


@pytest.fixture(scope="module")
def full(sessions):
    return als.mixed(FORMULA, sessions, residual="car1", residual_time="day", variance="phase", weights="w", offset="o")


def _criterion(fit):
    return fit.glance()["deviance"].iloc[0]


# ---- identities ------------------------------------------------------------------------------------------------------


def test_ar1_and_car1_are_one_model_at_whole_sessions(sessions):
    one, other = (als.mixed(FORMULA, sessions, residual=kind) for kind in ("ar1", "car1"))
    assert one.solution.residual.rho > 0
    assert_allclose(_criterion(one), _criterion(other), rtol=1e-10)
    assert_allclose(one.solution.residual.rho, other.solution.residual.rho, rtol=1e-5)
    assert_allclose(one.table()["df"], other.table()["df"], rtol=1e-5)


def test_correlation_is_per_unit_of_time(sessions):
    days = als.mixed(FORMULA, sessions, residual="car1", residual_time="day")
    weeks = als.mixed(FORMULA, sessions.assign(day=sessions["day"] / 7), residual="car1", residual_time="day")
    assert_allclose(_criterion(days), _criterion(weeks), rtol=1e-10)
    assert_allclose(days.solution.residual.rho**7, weeks.solution.residual.rho, rtol=1e-5)


def test_order_of_rows_does_not_matter(sessions, full):
    shuffled = sessions.sample(frac=1, random_state=1)
    again = als.mixed(
        FORMULA, shuffled, residual="car1", residual_time="day", variance="phase", weights="w", offset="o"
    )
    assert_allclose(_criterion(again), _criterion(full), rtol=1e-11)
    assert_allclose(again.table()["std_error"], full.table()["std_error"], rtol=1e-7)


def test_weights_are_scaled_rows(sessions):
    root = np.sqrt(sessions["w"])
    scaled = sessions.assign(y=sessions["alliance"] * root, one=root, s=sessions["session"] * root)
    weighted = als.mixed("alliance ~ session + (1 | patient_id) + (1 | therapist_id)", sessions, weights="w")
    by_hand = als.mixed("y ~ 0 + one + s + (0 + one | patient_id) + (0 + one | therapist_id)", scaled)
    # the density of the outcome itself, not of the scaled one
    assert_allclose(_criterion(weighted), _criterion(by_hand) - np.log(sessions["w"]).sum(), rtol=1e-10)
    for column in ("estimate", "std_error", "df"):
        assert_allclose(weighted.table()[column], by_hand.table()[column], rtol=1e-6)


def test_kenward_roger_with_weights_is_that_of_scaled_rows(sessions):
    root = np.sqrt(sessions["w"])
    scaled = sessions.assign(y=sessions["alliance"] * root, one=root, s=sessions["session"] * root)
    weighted = als.mixed(
        "alliance ~ session + (1 | patient_id) + (1 | therapist_id)", sessions, weights="w", df="kenward-roger"
    )
    by_hand = als.mixed(
        "y ~ 0 + one + s + (0 + one | patient_id) + (0 + one | therapist_id)", scaled, df="kenward-roger"
    )
    for column in ("std_error", "df"):
        assert_allclose(weighted.table()[column], by_hand.table()[column], rtol=1e-6)


def test_offset_is_taken_from_the_outcome_and_given_back(sessions):
    with_offset = als.mixed(FORMULA, sessions, offset="o")
    without = als.mixed(
        FORMULA.replace("alliance ~", "rest ~"), sessions.assign(rest=sessions["alliance"] - sessions["o"])
    )
    assert_allclose(with_offset.table()["estimate"], without.table()["estimate"], rtol=1e-8)
    assert_allclose(with_offset.fitted(), without.fitted() + sessions["o"], rtol=1e-8)
    assert_allclose(with_offset.residuals(), without.residuals(), atol=1e-8)
    new = sessions.head(3)
    assert_allclose(with_offset.predict(new)["estimate"], without.predict(new)["estimate"] + new["o"], rtol=1e-8)


def test_equal_strata_change_nothing(sessions):
    """Two strata whose residuals happen to vary alike: their ratio is near 1, and the gain in fit small."""
    split = sessions.assign(half=np.where(np.arange(len(sessions)) % 2, "a", "b"))
    one, two = als.mixed(FORMULA, sessions), als.mixed(FORMULA, split, variance="half")
    assert 0 <= _criterion(one) - _criterion(two) < 8  # χ²(1): beyond that once in 200 seeds
    assert abs(np.log(two.solution.residual.ratios[1])) < 0.2


def test_residual_groups_may_end_at_a_change_of_therapist(sessions):
    frame = als.therapist_episodes(sessions)
    by_name = als.mixed(FORMULA, frame, residual="ar1", residual_group="patient_id:therapist_episode")
    by_list = als.mixed(FORMULA, frame, residual="ar1", residual_group=["patient_id", "therapist_episode"])
    whole = als.mixed(FORMULA, frame, residual="ar1")
    assert _criterion(by_name) == _criterion(by_list)
    assert _criterion(by_name) != _criterion(whole)


def test_patients_may_carry_the_correlation_alone(sessions):
    """No random effect of patients, whose sessions still belong together: therapists alone cross the series."""
    fit = als.mixed("alliance ~ session + (1 | therapist_id)", sessions, residual="ar1")
    assert fit.converged
    assert fit.solution.residual.rho > 0.4
    assert fit.variance()["group"].tolist() == ["therapist_id", "residual"]
    assert fit.icc()["group"].tolist() == ["therapist_id"]
    assert len(fit.random()) == sessions["therapist_id"].nunique()
    assert fit.predict(level="all", interval="confidence")["std_error"].gt(0).all()
    assert fit.plot().data["effects"]["level"].isin(sessions["therapist_id"]).all()
    assert "patient_id" not in str(fit.report()).split("Standard deviations")[1]


# ---- what is said ----------------------------------------------------------------------------------------------------


def test_estimates_of_the_structure_are_a_table(full):
    table = full.residual()
    assert table.columns.tolist() == ["parameter", "level", "estimate"]
    assert table["parameter"].tolist() == ["rho", "sd", "sd", "sd", "sd_ratio", "sd_ratio"]
    assert table["level"].tolist()[1:] == ["early", "middle", "late", "middle / early", "late / early"]
    sd = table.loc[table["parameter"] == "sd", "estimate"].to_numpy()
    assert_allclose(table["estimate"].to_numpy()[-2:], sd[1:] / sd[0])
    assert_allclose(full.glance()["rho"], table["estimate"].iloc[0])


def test_variance_has_a_residual_row_per_stratum(full):
    rows = full.variance().query("group == 'residual'")
    assert rows["term"].tolist() == ["phase[early]", "phase[middle]", "phase[late]"]
    assert_allclose(rows["sdcor"], full.residual().query("parameter == 'sd'")["estimate"])


def test_sentences_and_table_name_the_structure(full):
    assert "continuous-time first-order autoregressive residuals over day within patient_id" in full.describe()
    assert "a residual variance for each level of phase" in full.describe()
    assert "The correlation of residuals over one unit of day was ." in str(full.report())
    assert "correlation over one unit of time" in full.result_table().to_markdown()


def test_standardised_residuals_are_divided_by_their_own_deviation(sessions, full):
    ratio = (full.residuals() / full.residuals("standardised")).to_numpy()
    sd = full.residual().query("parameter == 'sd'").set_index("level")["estimate"]
    assert_allclose(ratio, sd.loc[sessions["phase"].astype(str)].to_numpy() / np.sqrt(sessions["w"]))


def test_normalised_residuals_have_lost_their_correlation():
    """An AR(1) series of .8 around each patient's mean: after normalising, neighbours hardly correlate."""
    rng = np.random.default_rng(0)
    n_patients, n_sessions, rho = 150, 20, 0.8
    e = np.empty((n_patients, n_sessions))
    e[:, 0] = rng.normal(size=n_patients)
    for t in range(1, n_sessions):
        e[:, t] = rho * e[:, t - 1] + np.sqrt(1 - rho**2) * rng.normal(size=n_patients)
    frame = pd.DataFrame(
        {
            "patient_id": np.repeat(np.arange(n_patients), n_sessions),
            "session": np.tile(np.arange(1, n_sessions + 1), n_patients),
            "y": e.ravel(),
        }
    )
    fit = als.mixed("y ~ 1 + (1 | patient_id)", frame, residual="ar1")
    assert abs(fit.solution.residual.rho - rho) < 0.05

    def lag_one(values):
        wide = values.to_numpy().reshape(n_patients, n_sessions)
        return np.corrcoef(wide[:, 1:].ravel(), wide[:, :-1].ravel())[0, 1]

    assert lag_one(fit.residuals()) > 0.6
    assert abs(lag_one(fit.residuals("normalised"))) < 0.06
    assert_allclose(fit.residuals("normalised").std(), 1, atol=0.05)


def test_simulated_outcomes_have_the_structure(full):
    """Refitting what the model draws gives back its parameters, on average over 10 draws."""
    draws = full.simulate(10, seed=3)
    frame = als.load_dataset("simulated_alliance").frame
    assert len(draws) == (frame["patient_id"] <= "P0080").sum()
    rho, ratios = [], []
    for _, outcome in draws.items():
        design = full.arrays.design
        from alliance_stats.engine.mixed.design import MixedDesign
        from alliance_stats.engine.mixed.fit import fit_mixed

        y = outcome.to_numpy() - full.arrays.residuals.offset
        fit = fit_mixed(MixedDesign(y, design.columns, design.fixed, design.factors, design.residual))
        rho.append(np.log(-np.log(fit.residual.rho)))
        ratios.append(np.log(fit.residual.ratios[1:]))
    true = full.solution.residual
    error = np.std(rho, ddof=1) / np.sqrt(10)
    assert abs(np.mean(rho) - np.log(-np.log(true.rho))) < 4 * error
    errors = np.std(ratios, axis=0, ddof=1) / np.sqrt(10)
    assert (np.abs(np.mean(ratios, axis=0) - np.log(true.ratios[1:])) < 4 * errors).all()


def test_prediction_interval_takes_the_rows_own_residual(sessions, full):
    new = sessions.head(1).assign(w=1.0)
    rows = pd.concat([new.assign(phase=level) for level in ("early", "middle", "late")])
    mean, outcome = (full.predict(rows, level="all", interval=kind) for kind in ("confidence", "prediction"))
    residual = outcome["std_error"] ** 2 - mean["std_error"] ** 2
    sd = full.residual().query("parameter == 'sd'")["estimate"].to_numpy()
    assert_allclose(residual, sd**2, rtol=1e-8)


def test_anova_knows_that_independence_is_a_special_case(sessions):
    plain = als.mixed(FORMULA, sessions, "ML")
    kinds = {"car1": "½χ²(0)+½χ²(1)", "ar1": "χ²(1)"}  # ρ ≥ 0 has its bound at 0; AR(1) may be negative
    for kind, reference in kinds.items():
        table = als.anova(plain, als.mixed(FORMULA, sessions, "ML", residual=kind))
        assert table["reference"].iloc[1] == reference
    strata = als.mixed(FORMULA, sessions, "ML", variance="phase")
    assert als.anova(plain, strata)["reference"].iloc[1] == "χ²(2)"
    weighted = als.mixed(FORMULA, sessions, "ML", weights="w", variance="phase")
    assert als.anova(plain, weighted)["reference"].iloc[1] == "not nested"


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger", "normal"])
def test_every_df_method_works_with_every_structure(sessions, df):
    fit = als.mixed(FORMULA, sessions, residual="car1", residual_time="day", variance="phase", df=df)
    table = fit.table()
    assert (table["std_error"] > 0).all()
    assert (table["df"] > 5).all()
    assert (np.isinf(table["df"]) == (df == "normal")).all()


def test_rows_with_missing_times_or_weights_are_counted(sessions):
    holes = sessions.assign(day=sessions["day"].where(sessions.index > 2), w=sessions["w"].where(sessions.index != 9))
    fit = als.mixed(FORMULA, holes, residual="car1", residual_time="day", weights="w")
    counted = fit.dropped.set_index("variable")["n_missing"].to_dict()
    assert counted == {"day": 3, "w": 1}


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_two_rows_at_one_time_are_named(sessions):
    twice = sessions.assign(session=sessions["session"].where(sessions.index != 1, 1))
    with pytest.raises(DataError, match=r"1 row has the 'session' of another row.*first at row 1: 1"):
        als.mixed("alliance ~ day + (1 | patient_id)", twice, residual="ar1")


def test_ar1_refuses_broken_steps_and_names_car1(sessions):
    with pytest.raises(DataError, match="Use residual='car1'"):
        als.mixed(FORMULA, sessions, residual="ar1", residual_time="day")


def test_time_must_be_a_number(sessions):
    dated = sessions.assign(day=pd.Timestamp("2024-01-01"))
    with pytest.raises(DataError, match=r"residual_time='day' holds datetime64.*not numbers"):
        als.mixed(FORMULA, dated, residual="car1", residual_time="day")


def test_unknown_names_are_answered(sessions):
    with pytest.raises(DataError, match="no kind 'ar2'"):
        als.mixed(FORMULA, sessions, residual="ar2")
    with pytest.raises(ColumnError, match="Did you mean 'phase'"):
        als.mixed(FORMULA, sessions, variance="phases")


def test_groups_of_one_row_have_no_correlation(sessions):
    once = sessions.groupby("patient_id").head(2).assign(row=lambda f: np.arange(len(f)))
    with pytest.raises(DesignError, match="No row has two rows"):
        als.mixed("alliance ~ 1 + (1 | patient_id)", once, residual="ar1", residual_group="row")


def test_strata_that_cannot_vary_are_refused(sessions):
    with pytest.raises(DesignError, match="one residual variance"):
        als.mixed(FORMULA, sessions.assign(phase="all"), variance="phase")
    with pytest.raises(DesignError, match=r"1 level of variance='phase' with one row only \('x'\)"):
        als.mixed(FORMULA, sessions.assign(phase=np.where(sessions.index == 5, "x", "y")), variance="phase")


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_weights_must_be_positive(sessions, bad):
    wrong = sessions.assign(w=sessions["w"].where(sessions.index != 7, bad))
    with pytest.raises(DataError, match=r"1 weight is not positive in 'w' \(first at row 7"):
        als.mixed(FORMULA, wrong, weights="w")


def test_new_rows_need_a_known_stratum_for_a_prediction_interval(sessions, full):
    new = sessions.head(2).assign(phase=["early", "lat"])
    with pytest.raises(DataError, match=r"1 new row has a level.*'lat'.*Did you mean 'late'"):
        full.predict(new, interval="prediction")
    assert len(full.predict(new, interval="confidence")) == 2  # a mean has no residual
