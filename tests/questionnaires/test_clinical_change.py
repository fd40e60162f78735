import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.data.codebook import Codebook, Variable
from alliance_stats.data.session_table import SessionTable
from alliance_stats.errors import DataError, DesignError

HOME = Path(__file__).parents[1] / "golden" / "clinicalsignificance"
CASES = json.loads((HOME / "change.json").read_text(encoding="utf-8"))["cases"]
METHODS = {
    "JT": "jacobson-truax",
    "GLN": "gulliksen-lord-novick",
    "EN": "edwards-nunnally",
    "HA": "hageman-arrindell",
}


def sessions(pre, post, between=None):
    """Two sessions per patient, or three with one between."""
    columns = [pre, post] if between is None else [pre, between, post]
    rows = [(f"p{who:02d}", at + 1, values[who]) for who in range(len(pre)) for at, values in enumerate(columns)]
    return pd.DataFrame(rows, columns=["patient_id", "session", "outcome"])


def asked(frame, **more):
    return als.clinically_significant_change(frame, "outcome", **{"higher": "worse", **more})


# cutoff b of the package takes the wrong standard deviation (tests/engine/test_reliable_change.py)
@pytest.mark.parametrize("name", [name for name in CASES if not name.endswith(" b")])
def test_groups_and_cutoffs_are_those_of_clinicalsignificance(name, clinical_cases):
    case = clinical_cases[name]
    cutoff = case["cutoff"]
    norms = {} if cutoff["m_functional"] is None else {
        "functional": (cutoff["m_functional"], cutoff["sd_functional"]), "cutoff_source": "norms"}  # fmt: skip
    result = asked(
        sessions(case["pre"], case["post"]), reliability=case["reliability"], source="manual",
        method=METHODS[case["method"]], cutoff=cutoff["type"][0], **norms,
    )  # fmt: skip
    patients = result.patients()
    assert patients["group"].tolist() == [group.replace("harmed", "deteriorated") for group in case["groups"]]
    assert_allclose(patients["index"], case["rci"], rtol=1e-12, atol=1e-12)
    assert_allclose(result.cutoff.value, cutoff["value"], rtol=1e-12)
    assert patients["functional_post"].tolist() == case["functional_post"]
    if case["method"] == "HA":
        assert_allclose(result.cutoff.true_distance(np.array(case["post"], float)), case["cs_indiv"], rtol=1e-10)
    else:
        assert patients["clinical_pre"].tolist() == case["clinical_pre"]


@pytest.mark.parametrize("method", METHODS.values())
def test_a_score_turned_round_gives_the_same_groups(method, clinical_cases):
    case = clinical_cases["bdi/JT c"]
    more = {"reliability": 0.81, "source": "manual", "method": method, "cutoff": "c", "cutoff_source": "norms"}
    worse = asked(sessions(case["pre"], case["post"]), functional=(8, 7), **more)
    turned = sessions(63 - np.array(case["pre"]), 63 - np.array(case["post"]))
    better = asked(turned, higher="better", functional=(55, 7), **more)
    assert better.patients()["group"].tolist() == worse.patients()["group"].tolist()
    assert_allclose(better.cutoff.value, 63 - worse.cutoff.value)


def test_the_groups_by_hand():
    # SD of the pre scores is taken as 10, r = .84: noise 4, reliable beyond 1.96 √2 4 = 11.09 points; cutoff 15
    pre, post = [30.0, 30, 30, 12, 12, 14, 40], [14.0, 18, 20, 0.5, 24, 16, 52]
    result = asked(sessions(pre, post), reliability=0.84, source="manual", sd=10, sd_source="norms", cutoff=15.0,
                   cutoff_source="manual")  # fmt: skip
    assert result.patients()["group"].tolist() == [
        *("recovered", "improved", "unchanged", "improved", "deteriorated", "unchanged", "deteriorated")
    ]
    assert result.patients()["harmed"].tolist() == [False, False, False, False, True, False, False]
    assert_allclose(result.glance()["reliable_points"], 1.959963984540054 * 32**0.5)
    table = result.table()
    assert table["n"].tolist() == [1, 2, 2, 2]
    assert_allclose(table["share"].sum(), 1)
    assert ((table["ci_low"] < table["share"]) & (table["share"] < table["ci_high"])).all()


def test_published_points_and_cutoff_of_a_measure():
    # PHQ-9: 6 points, 10 and more is a case; by hand
    pre, post = [15.0, 15, 15, 9, 5, 10], [9.0, 10, 8, 3, 11, 4]
    result = als.clinically_significant_change(sessions(pre, post), "outcome", measure="PHQ-9")
    assert result.patients()["group"].tolist() == [
        *("recovered", "unchanged", "recovered", "improved", "deteriorated", "recovered")
    ]
    assert "6.0 points or more, as published for the measure" in result.plot().caption
    assert "Cutoff: 10.00 and higher is clinical (PHQ-9: caseness from here on" in " ".join(result.notes())


def test_without_a_cutoff_nobody_is_recovered():
    frame = sessions([30.0, 30, 20], [10.0, 29, 33])
    result = als.reliable_change(frame, "outcome", reliability=0.84, source="manual", sd=10, sd_source="norms",
                                 higher="worse")  # fmt: skip
    assert result.table()["group"].tolist() == ["improved", "unchanged", "deteriorated"]
    assert result.table()["n"].tolist() == [1, 1, 1]
    assert "clinical_pre" not in result.patients()


def test_every_caption_and_report_names_the_source_of_the_reliability():
    frame = sessions([30.0, 30, 20], [10.0, 29, 33])
    for ask in (als.reliable_change, als.clinically_significant_change):
        result = ask(frame, "outcome", reliability=0.84, source="manual, n = 504", higher="worse")
        for text in (result.plot().caption, result.plot().alt_text, result.report(), " ".join(result.notes())):
            assert "reliability of .84 (manual, n = 504)" in text
            assert "standard deviation of 5.77 (pre scores of these 3 patients)" in text
        with pytest.raises(DataError, match=r"The reliability 0\.84 has no source"):
            ask(frame, "outcome", reliability=0.84, higher="worse")


def test_a_reliability_of_these_data_brings_its_source():
    items = pd.read_csv(HOME.parent / "psych" / "items.csv")
    names = [f"item{k}" for k in range(1, 6)]
    estimate = als.reliability(items, items=names)
    frame = items.assign(outcome=items[names].mean(axis=1))
    result = als.reliable_change(frame, "outcome", reliability=estimate.value("occasion", "alpha"), higher="worse")
    assert_allclose(result.glance()["reliability"], estimate.table()["estimate"].iloc[0])
    assert "alpha of one occasion, these data (the first form of 60 patients)" in result.plot().caption


def test_first_and_last_are_the_observed_ones_and_sessions_can_be_named():
    frame = sessions([30.0, 20, 25], [10.0, np.nan, 24], [28.0, 19, np.nan])
    more = {"reliability": 0.84, "source": "manual", "higher": "worse"}
    last = als.reliable_change(frame.iloc[::-1], "outcome", **more).patients()
    assert last["post"].tolist() == [10, 19, 24]
    assert last["post_session"].tolist() == [3, 2, 3]
    named = als.reliable_change(frame, "outcome", pre=1, post=3, **more)
    assert named.patients()["post"].tolist() == [10, 24]
    assert "1 patient without both scores is left out." in named.notes()
    assert "session 1 to session 3" in named.report()


def test_the_direction_comes_from_the_codebook_or_must_be_given():
    frame = sessions([30.0, 30, 20], [10.0, 29, 33])
    more = {"reliability": 0.84, "source": "manual"}
    with pytest.raises(DataError, match="not known what a higher 'outcome' means"):
        als.reliable_change(frame, "outcome", **more)
    table = SessionTable(frame, Codebook((Variable("outcome", "Wellbeing", "score", higher="better"),)))
    result = als.reliable_change(table, "outcome", **more)
    assert result.patients()["group"].tolist() == ["deteriorated", "unchanged", "improved"]
    assert "Wellbeing" in result.report()


def test_the_band_is_where_the_change_is_not_reliable(clinical_cases):
    case = clinical_cases["bdi/GLN c"]
    frame = sessions(case["pre"], case["post"])
    for method in METHODS.values():
        result = asked(frame, reliability=0.81, source="manual", method=method)
        patients, band = result.patients(), result.band()
        low, high = (np.interp(patients["pre"], band["pre"], band[end]) for end in ("low", "high"))
        inside = (low <= patients["post"]) & (patients["post"] <= high)
        assert ((patients["group"] == "unchanged") == inside).all()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"reliability": 1.0}, "must lie between 0 and 1"),
        ({"reliability": 0.0}, "must lie between 0 and 1"),
        ({"reliability": None}, "Give a reliability with its source, or a measure"),
        ({"reliability": None, "measure": "CORE-10"}, "CORE-10 ships no verified reliable change"),
        ({"sd": 10}, "name its sd_source"),
        ({"sd": -1, "sd_source": "x"}, "must be positive"),
        ({"method": "JT"}, "method has no 'JT'"),
        ({"criterion": 0}, "criterion = 0 must be positive"),
        ({"cutoff": "d"}, "cutoff has no kind 'd'"),
        ({"cutoff": 15}, "The cutoff 15 has no source"),
        ({"cutoff": "c"}, "needs functional="),
        ({"functional": (8, 7)}, "cutoff_source=, where these norms come from"),
        ({"functional": (8, 0), "cutoff_source": "x"}, "a mean and a positive standard deviation"),
        ({"higher": "up"}, "higher is 'better' or 'worse'"),
        ({"pre": "start"}, "pre and post are 'first', 'last' or the number"),
        ({"post": 9}, "0 patients have 'outcome' at the first session and at session 9"),
    ],
)
def test_what_cannot_be_judged_is_refused(more, said):
    frame = sessions([30.0, 30, 20], [10.0, 29, 33])
    with pytest.raises(DataError, match=said):
        asked(frame, **{"reliability": 0.84, "source": "manual", **more})


def test_degenerate_scores_are_refused():
    with pytest.raises(DesignError, match="pre scores of 3 patients do not vary"):
        asked(sessions([30.0, 30, 30], [10.0, 29, 33]), reliability=0.84, source="manual")
    with pytest.raises(DesignError, match="vary no more than noise does"):
        asked(sessions([30.0, 20, 40], [29.0, 19, 39]), reliability=0.84, source="m", method="hageman-arrindell")
    twice = pd.concat([sessions([30.0, 20], [10.0, 19]), sessions([31.0, 20], [10.0, 19])])
    with pytest.raises(DataError, match=r"4 rows repeat a patient × session"):
        asked(twice, reliability=0.84, source="manual")
