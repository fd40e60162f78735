"""Two-stage meta-analysis of patients' data against lme4 and metafor, end to end."""

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.engine.pooling.multivariate import At, Vectors, find_covariance
from alliance_stats.errors import DataError, DesignError
from alliance_stats.meta.result import GLANCE, VARIANCES
from alliance_stats.names import TABLE_COLUMNS

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "two_stage" / "two_stage.json").read_text(encoding="utf-8"))
SITES = als.load_dataset("simulated_sites")
TERMS = ["alliance_within", "alliance_between"]
two_stage = als.meta.two_stage


@pytest.fixture(scope="module")
def result():
    return two_stage(SITES)


@pytest.fixture(scope="module")
def joint():
    return two_stage(SITES, multivariate=True, test="z")


def vectors(kind, method):
    y = np.array(GOLDEN["made"]["y"] if kind == "made" else GOLDEN["estimates"])
    v = np.array(GOLDEN["made"]["v"] if kind == "made" else GOLDEN["covariances"])
    there = np.ones_like(y, bool)
    if kind == "made":
        there.ravel()[np.array(GOLDEN["made"]["gone"]) - 1] = False
    both = there[:, :, None] & there[:, None, :]
    return Vectors(np.where(there, y, 0.0), np.where(both, v, 0.0), there, method == "REML")


def test_every_site_has_the_coefficients_of_lme4(result):
    studies = result.studies()
    assert studies["study"].tolist() == GOLDEN["sites"]
    # bobyqa stops within 1e-12 in θ; the criterion is flat there to half the digits
    errors = np.sqrt([np.diag(one) for one in GOLDEN["covariances"]])
    assert np.abs((studies[TERMS].to_numpy() - GOLDEN["estimates"]) / errors).max() < 1e-6  # standard errors
    assert_allclose(studies[[f"{term}_std_error" for term in TERMS]], errors, rtol=2e-6)
    criteria = [one.result.fit.solution.criterion for one in result.fits]
    assert_allclose(criteria, GOLDEN["criterion"], rtol=1e-10)
    for one, covariance in zip(result.fits, GOLDEN["covariances"], strict=True):
        assert_allclose(one.covariance, covariance, rtol=5e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "term", "how"),
    [
        ("within_reml_knha", TERMS[0], {}),
        ("between_reml_knha", TERMS[1], {}),
        ("within_dl_z", TERMS[0], {"method": "DL", "test": "z"}),
    ],
)
def test_the_second_stage_has_the_numbers_of_metafor_on_those_of_lme4(name, term, how):
    golden, glance = GOLDEN["pool"][name], two_stage(SITES, **how).glance(term).iloc[0]
    ours = glance[["estimate", "std_error", "ci_low", "ci_high", "q"]].astype(float)
    assert_allclose(ours, [golden[key] for key in ("beta", "se", "ci_low", "ci_high", "QE")], rtol=5e-6)
    assert_allclose(glance["tau2"], golden["tau2"], rtol=2e-5, atol=1e-8)


@pytest.mark.parametrize("name", GOLDEN["multivariate"])
def test_the_joint_second_stage_is_as_high_as_metafor_and_at_its_place(name):
    golden, (kind, structure, method) = GOLDEN["multivariate"][name], name.split()
    peak = find_covariance(vectors(kind, method), structure == "DIAG")
    assert peak.converged
    assert peak.at.value >= golden["ll"] - 1e-12
    assert_allclose(peak.at.value, golden["ll"], rtol=0, atol=5e-9)
    # nlminb's tolerance is on the criterion, so the place is known to its square root; looser where it gave up earlier
    loose = 3e-6 if golden["rel_tol"] > 1e-12 else 1e-7
    assert_allclose(peak.at.beta, golden["beta"], rtol=0, atol=loose)
    assert_allclose(peak.at.covariance, golden["vb"], rtol=0, atol=loose)
    assert_allclose(np.diag(peak.at.between), golden["tau2"], rtol=1e-4, atol=1e-8)
    if structure == "UN":
        sd = np.sqrt(np.diag(peak.at.between))
        assert_allclose(peak.at.between[0, 1] / sd.prod(), golden["rho"], atol=1e-6)


def test_the_likelihood_is_that_of_the_whole_matrix_and_its_slope_that_of_differences():
    of, between = vectors("made", "REML"), np.array([[0.05, 0.02], [0.02, 0.11]])
    keep = of.there.ravel()
    total = np.zeros((50, 50))
    for i in range(25):
        total[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = of.v[i] + between
    total, y, x = total[np.ix_(keep, keep)], of.y.ravel()[keep], np.tile(np.eye(2), (25, 1))[keep]
    inverse = np.linalg.inv(total)
    information = x.T @ inverse @ x
    beta = np.linalg.solve(information, x.T @ inverse @ y)
    logs = [np.linalg.slogdet(m)[1] for m in (total, information, x.T @ x)]
    q = (y - x @ beta) @ inverse @ (y - x @ beta)
    value = -0.5 * ((len(y) - 2) * np.log(2 * np.pi) + logs[0] + logs[1] - logs[2] + q)
    at = At(of, between)
    assert_allclose(at.value, value, rtol=1e-12)
    assert_allclose(at.beta, beta, rtol=1e-12)
    for move in (np.diag([1.0, 0.0]), np.diag([0.0, 1.0]), np.array([[0.0, 1.0], [1.0, 0.0]])):
        change = (At(of, between + 1e-6 * move).value - At(of, between - 1e-6 * move).value) / 2e-6
        assert_allclose((at.slope * move).sum(), change, rtol=1e-6)


def test_the_joint_result_holds_what_the_engine_found(joint):
    golden = GOLDEN["multivariate"]["sites UN REML"]
    assert_allclose(joint.table()["estimate"], golden["beta"], rtol=1e-5)
    assert_allclose(np.diag(joint.between()), golden["tau2"], rtol=1e-4)
    assert any("boundary" in note for note in joint.notes())


def test_a_joint_stage_has_profile_intervals_of_its_variances_and_correlation(joint):
    variance, glance = joint.variance(), joint.glance(TERMS[1]).iloc[0]
    assert_allclose(variance["variance"], np.diag(joint.between()), rtol=1e-12)
    for row in variance.itertuples():
        assert row.ci_low <= row.variance <= row.ci_high < np.inf
    assert_allclose(
        [glance["tau2_ci_low"], glance["tau2_ci_high"]], variance.loc[1, ["ci_low", "ci_high"]].astype(float)
    )
    pair = joint.correlations().iloc[0]
    assert (pair["term"], pair["other"]) == (TERMS[0], TERMS[1])
    # six small sites: the correlation is at the edge (as metafor's), and its interval reaches it
    assert_allclose(abs(pair["estimate"]), 1, atol=1e-6)
    assert 1 in (abs(pair["ci_low"]), abs(pair["ci_high"]))
    assert "SD between studies (alliance_within)" in joint.result_table().to_markdown()
    narrow = two_stage(SITES, multivariate=True, test="z", level=0.8).variance()
    assert (narrow["ci_high"] < variance["ci_high"]).all()
    for other in ({}, {"multivariate": True, "structure": "diagonal"}):
        with pytest.raises(DataError, match="No correlation between studies was estimated"):
            two_stage(SITES, **other).correlations()


def test_results_have_the_one_shape(result, joint):
    for one in (result, joint):
        assert tuple(one.table().columns) == TABLE_COLUMNS
        assert one.table()["term"].tolist() == TERMS
        assert tuple(one.glance().columns[: len(GLANCE)]) == GLANCE
        assert tuple(one.variance().columns) == VARIANCES
        drawn = one.plot(term="alliance_between")
        assert len(drawn.data["effects"]) == 6
        assert drawn.caption.startswith("Simulated data. ")
        assert "nan" not in one.report().lower()
        assert "<table" in one._repr_html_()
        assert one.describe().endswith(".")
        pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(one)).table(), one.table())
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.level = 0.5
    with pytest.raises(DataError, match="no figure 'pie'"):
        result.plot("pie")
    with pytest.raises(DataError, match="Did you mean 'alliance_within'"):
        result.glance("aliance_within")


def test_a_table_by_site_and_a_mapping_of_sites_give_the_same(result):
    by_site = dict(list(SITES.frame.groupby("site_id")))
    pd.testing.assert_frame_equal(two_stage(by_site).table(), result.table())


def test_the_model_may_be_a_function_a_formula_or_a_correlation(result):
    pd.testing.assert_frame_equal(two_stage(SITES, als.within_between).table(), result.table())
    centred = als.center(SITES, "alliance")
    formula = "outcome ~ alliance_within + alliance_between + time + (1 | patient_id) + (1 | therapist_id)"
    table = two_stage(centred.frame.assign(time=centred.frame["session"] - 1), formula, TERMS).table()
    assert_allclose(table["estimate"], result.table()["estimate"], rtol=1e-6)
    means = SITES.frame.groupby(["site_id", "patient_id"])[["alliance", "outcome"]].mean()
    r = means.groupby("site_id").apply(lambda own: np.corrcoef(own.T)[0, 1])
    n = means.groupby("site_id").size()
    own = two_stage(SITES, "correlation")
    assert_allclose(own.studies()["correlation"], np.arctanh(r), rtol=1e-12)
    assert_allclose(own.studies()["correlation_std_error"], 1 / np.sqrt(n - 3), rtol=1e-12)
    assert "r = " in own.report()
    with pytest.raises(DesignError, match="no mixed model"):
        own.one_stage()


def test_lagged_is_within_between_of_the_session_before():
    own, site = two_stage(SITES, "lagged"), SITES.frame.query("site_id == 'S2'")
    by_hand = als.within_between(als.lag(site, "alliance"), "outcome", "previous_alliance").table()
    assert_allclose(own.studies().loc[1, "previous_alliance_within"], by_hand["estimate"][1], rtol=1e-12)
    assert any("sum to zero" in note for note in own.notes())


def test_the_contextual_effect_has_the_covariance_of_a_difference():
    own = two_stage(SITES, terms=["alliance_within", "alliance_contextual"], multivariate=True)
    plain = two_stage(SITES, multivariate=True)
    for one, other in zip(own.fits, plain.fits, strict=True):
        v = other.covariance
        assert_allclose(one.covariance[0, 1], v[0, 1] - v[0, 0], rtol=1e-9)
    assert_allclose(own.beside()["estimate_one_stage"].iloc[1], np.diff(plain.beside()["estimate_one_stage"])[0])


def test_terms_that_follow_from_each_other_are_refused_together():
    with pytest.raises(DesignError, match="follow from each other"):
        two_stage(SITES, terms=[*TERMS, "alliance_contextual"], multivariate=True)


def test_one_stage_is_the_mixed_model_that_one_would_write_by_hand(result):
    frame = SITES.frame
    frame["between"] = frame.groupby("patient_id")["alliance"].transform("mean")
    frame["within"] = frame["alliance"] - frame["between"]
    frame["time"] = frame["session"] - 1.0
    formula = (
        "outcome ~ within + between + site_id + site_id:time + (0 + within + between || site_id) "
        "+ (1 | patient_id) + (1 | therapist_id)"
    )
    by_hand = als.mixed(formula, frame)
    both = result.beside().set_index("term")
    assert_allclose(
        both["estimate_one_stage"],
        [by_hand.table().set_index("term")["estimate"][t] for t in ("within", "between")],
        rtol=1e-6,
    )
    assert "residual variance" in both.attrs["why"]
    assert any("one-stage" in note for note in result.notes())


def test_one_stage_keeps_patients_of_the_same_name_apart():
    frames = dict(list(SITES.frame.groupby("site_id")))
    renamed = {
        name: own.assign(patient_id="P" + own["patient_id"].factorize()[0].astype(str).astype(object))
        for name, own in frames.items()
    }
    assert_allclose(
        two_stage(renamed).beside()["estimate_one_stage"], two_stage(SITES).beside()["estimate_one_stage"], rtol=1e-7
    )


def test_studies_that_fail_are_counted_with_their_reasons():
    frames = dict(list(SITES.frame.groupby("site_id")))
    few = frames["S1"][frames["S1"]["patient_id"].isin(["P0001", "P0002"])]
    own = two_stage({**frames, "few": few, "flat": frames["S2"].assign(alliance=3.0), "none": frames["S2"].iloc[:0]})
    studies = own.studies().set_index("study")
    assert studies["used"].sum() == 6
    assert studies.loc["few", "reason"] == "2 patients, fewer than 5"
    assert "does not vary within" in studies.loc["flat", "reason"]
    assert "0 rows" in studies.loc["none", "reason"]
    assert own.glance()["n_failed"].iloc[0] == 3
    assert sum("left out" in note for note in own.notes()) == 3
    assert "3 could not be used" in own.report()


def test_studies_at_the_boundary_are_named_or_left_out(result):
    edge = [one.name for one in result.fits if one.remark]
    assert edge == ["S3", "S4", "S5"]
    own = two_stage(SITES, drop_boundary=True)
    assert own.studies().query("~used")["study"].tolist() == edge


def test_a_fit_that_did_not_converge_is_no_part_of_the_second_stage():
    class Result:
        def __init__(self, converged):
            self.converged = converged

        def table(self):
            return pd.DataFrame({"term": ["x"], "estimate": [1.0], "std_error": [0.5]})

    own = two_stage(SITES, lambda s: Result(s.frame["site_id"].iloc[0] != "S2"), "x", test="z")
    assert own.studies().set_index("study").loc["S2", "reason"] == "not converged"
    with pytest.raises(DataError, match=r"no vcov\(\)"):
        two_stage(SITES, TwoTerms, ["x", "y"], multivariate=True)


class TwoTerms:
    def __init__(self, sessions):
        pass

    def table(self):
        return pd.DataFrame({"term": ["x", "y"], "estimate": [1.0, 2.0], "std_error": [0.5, 0.4]})


@pytest.mark.parametrize(
    ("how", "error", "match"),
    [
        ({"model": "witin_between"}, DataError, "Did you mean 'within_between'"),
        ({"model": "growth"}, DataError, "Name the terms"),
        ({"terms": "alliance"}, DesignError, "no term 'alliance'"),
        ({"terms": ["alliance_within"] * 2}, DataError, "Name each once"),
        ({"by": "site"}, DataError, "No column 'site'"),
        ({"min_patients": 40}, DesignError, "1 study of 6 can be pooled"),
        ({"structure": "full"}, DataError, "No structure"),
        ({"multivariate": True, "method": "DL"}, DataError, "No method 'DL'"),
        ({"multivariate": True, "test": "knha"}, DataError, "No test 'knha'"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_way_out(how, error, match):
    with pytest.raises(error, match=match):
        two_stage(SITES, **how)


@pytest.mark.slow
def test_the_pooled_effect_is_covered_as_often_as_it_says():
    rng, n, covered = np.random.default_rng(41), 200, {False: 0, True: 0}
    for _ in range(n):
        frames = {}
        for study in range(10):
            slope, size = -1.0 + 0.4 * rng.normal(), int(rng.integers(12, 30))
            patient = np.repeat(np.arange(size), 6)
            mean = 3 + 0.4 * rng.normal(size=size)
            alliance = mean[patient] + 0.5 * rng.normal(size=patient.size)
            own = alliance - np.bincount(patient, alliance)[patient] / 6
            outcome = 20 + 2 * rng.normal(size=size)[patient] + slope * own + 1.5 * rng.normal(size=patient.size)
            frames[study] = pd.DataFrame(
                {
                    "patient_id": patient.astype(str),
                    "session": np.tile(np.arange(1, 7), size),
                    "alliance": alliance,
                    "outcome": outcome,
                }
            )
        for joint in covered:
            row = two_stage(frames, adjust_time=False, multivariate=joint).table().iloc[0]
            covered[joint] += row["ci_low"] <= -1.0 <= row["ci_high"]
    # three Monte Carlo standard errors at 200 samples are 4.6 points
    for joint, hits in covered.items():
        assert abs(hits / n - 0.95) <= 3 * np.sqrt(0.95 * 0.05 / n), (joint, hits / n)


def test_q_of_all_terms_together_is_said_once():
    joint = two_stage(SITES, multivariate=True)
    q = joint.glance().iloc[0]
    assert joint.report().count("Q(") == 1
    assert f"All coefficients of the studies together: Q({q['q_df']}) = {q['q']:.2f}" in joint.report()
    assert two_stage(SITES).report().count("Q(") == len(joint.terms)
