"""Multiple membership: ``(1 | mm(therapist_id))`` against lme4 with a hand-made membership matrix, and by hand.

The references stand in ``tests/golden/lme4_membership`` with the script that made them. lme4's optimisers stop within
about 1e-9 of the criterion's minimum, which leaves 1e-5 of a variance.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import DataError, FormulaError

GOLDEN = Path(__file__).parents[1] / "golden"
FITS = json.loads((GOLDEN / "lme4_membership" / "membership.json").read_text())["fits"]
FORMULA = "alliance ~ session0 + (1 + session0 | patient_id) + (1 | mm(therapist_id))"


@pytest.fixture(scope="module")
def frame():
    return pd.read_csv(GOLDEN / "lme4" / "data" / "crossed.csv")


def _members(frame, half_life=None):
    rule = "cumulative" if half_life is None else "decay"
    return {"therapist_id": als.membership(frame, rule, half_life=half_life, session="session0")}


@pytest.mark.parametrize("golden", FITS, ids=lambda fit: f"half-life {fit['half_life']}, REML {fit['REML']}")
def test_equals_lme4_with_a_hand_made_matrix(frame, golden):
    half_life = None if golden["half_life"] == "none" else golden["half_life"]
    fit = als.mixed(FORMULA, frame, "REML" if golden["REML"] else "ML", membership=_members(frame, half_life))
    assert_allclose(fit.glance()["deviance"].iloc[0], golden["criterion"], rtol=1e-8)
    table = fit.table()
    assert_allclose(table["estimate"], golden["estimate"], rtol=1e-6)
    assert_allclose(table["std_error"], golden["std_error"], rtol=1e-5)
    variance = fit.variance().set_index("group")["vcov"]
    assert_allclose(variance["therapist_id"], golden["vcov"][golden["groups"].index("therapist_id")], rtol=1e-4)
    assert_allclose(variance["residual"], golden["vcov"][golden["groups"].index("Residual")], rtol=1e-5)
    effects = fit.random("therapist_id").set_index("level")["estimate"]
    assert_allclose(effects[golden["therapist"]["level"]], golden["therapist"]["estimate"], atol=1e-5)


def test_current_membership_is_the_crossed_model(frame):
    plain = als.mixed(FORMULA.replace("mm(therapist_id)", "therapist_id"), frame)
    members = {"therapist_id": als.membership(frame, "current", session="session0")}
    several = als.mixed(FORMULA, frame, membership=members)
    assert_allclose(several.table().drop(columns="term"), plain.table().drop(columns="term"), rtol=1e-7)
    assert_allclose(several.fitted(), plain.fitted(), rtol=1e-7)


def test_kenward_roger_equals_the_crossed_model_too(frame):
    plain = als.mixed(FORMULA.replace("mm(therapist_id)", "therapist_id"), frame, df="kenward-roger")
    members = {"therapist_id": als.membership(frame, "current", session="session0")}
    several = als.mixed(FORMULA, frame, membership=members, df="kenward-roger")
    assert_allclose(several.table()["df"], plain.table()["df"], rtol=1e-6)


SESSIONS = pd.DataFrame({"patient_id": list("aaab"), "session": [1, 2, 3, 1], "therapist_id": ["T1", "T2", "T2", "T1"]})


def test_cumulative_weights_are_shares_of_sessions_so_far():
    weights = als.membership(SESSIONS, "cumulative").set_index(["row", "level"])["weight"]
    # a: session 1 all T1; session 2 half and half; session 3 one of three with T1
    expected = {(0, "T1"): 1, (1, "T1"): 1 / 2, (1, "T2"): 1 / 2, (2, "T1"): 1 / 3, (2, "T2"): 2 / 3, (3, "T1"): 1}
    assert weights.to_dict() == pytest.approx(expected)


def test_decay_halves_the_weight_with_every_half_life():
    weights = als.membership(SESSIONS, "decay", half_life=1).set_index(["row", "level"])["weight"]
    # row 2: session 1 (T1) counts 1/4, sessions 2 and 3 (T2) 1/2 and 1
    assert weights[2, "T1"] == pytest.approx(0.25 / 1.75)
    assert weights[2, "T2"] == pytest.approx(1.5 / 1.75)


def test_rows_come_in_any_order():
    shuffled = als.membership(SESSIONS.iloc[[2, 0, 3, 1]], "cumulative").set_index(["row", "level"])["weight"]
    assert shuffled[0, "T2"] == pytest.approx(2 / 3)  # position 0 is now session 3 of a


def test_rows_without_a_therapist_are_left_out_and_counted(frame):
    holes = frame.assign(therapist_id=frame["therapist_id"].where(frame.index != 5))
    fit = als.mixed(FORMULA, holes, membership=_members(holes))
    assert fit.dropped.to_numpy().tolist() == [["mm(therapist_id)", 1, 1]]
    assert fit.glance()["n_obs"].iloc[0] == len(frame) - 1


def test_weights_that_do_not_sum_to_one_name_the_row(frame):
    members = _members(frame)["therapist_id"]
    members.loc[members["row"] == 7, "weight"] *= 0.5
    with pytest.raises(DataError, match=r"do not sum to 1 in 1 rows \(first row 7: 0\.5\)"):
        als.mixed(FORMULA, frame, membership={"therapist_id": members})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: None, "membership= has no frame for 'therapist_id'"),
        (lambda m: {"therapist": m}, "has no frame for 'therapist_id'"),
        (lambda m: {"therapist_id": m, "site": m}, "has a frame for 'site'"),
        (lambda m: {"therapist_id": m.assign(row=m["row"] + 10_000)}, "rows that the data do not have"),
        (lambda m: {"therapist_id": m.assign(weight=-m["weight"])}, "weights are 0 to 1"),
        (lambda m: {"therapist_id": m.rename(columns={"weight": "wieght"})}, "No column 'weight'"),
    ],
)
def test_a_faulty_membership_is_refused(frame, change, message):
    with pytest.raises(DataError, match=message):
        als.mixed(FORMULA, frame, membership=change(_members(frame)["therapist_id"]))


def test_one_grouping_cannot_be_both_plain_and_weighted(frame):
    for terms in ("(1 | therapist_id) + (1 | mm(therapist_id))", "(1 | mm(therapist_id)) + (1 | therapist_id)"):
        with pytest.raises(FormulaError, match="'therapist_id' is a grouping already"):
            als.mixed(f"alliance ~ 1 + {terms}", frame, membership=_members(frame))


def test_membership_alone_is_refused_with_the_reason(frame):
    with pytest.raises(DataError, match="another grouping"):
        als.mixed("alliance ~ 1 + (1 | mm(therapist_id))", frame, membership=_members(frame))


@pytest.mark.parametrize(("rule", "half_life"), [("decay", None), ("decay", 0), ("cumulative", 2), ("curent", None)])
def test_rules_say_what_they_need(rule, half_life):
    with pytest.raises(DataError, match=r"half_life is a positive number|Did you mean 'current'"):
        als.membership(SESSIONS, rule, half_life=half_life)


def test_rows_without_members_weights_or_offsets_are_refused_or_counted_by_variable(frame):
    rows = frame.assign(w=1.0, start=0.0)
    rows.loc[[0, 1], "w"] = np.nan
    rows.loc[[1, 2], "start"] = np.nan
    members = als.membership(frame, "cumulative", session="session0")
    more = {"membership": {"therapist_id": members[members["row"] > 2]}, "weights": "w", "offset": "start"}
    counted = als.mixed(FORMULA, rows, **more).dropped.set_index("variable")
    assert counted["n_missing"].to_dict() == {"mm(therapist_id)": 3, "w": 2, "start": 2}
    assert counted["n_only_this"].to_dict() == {"mm(therapist_id)": 0, "w": 0, "start": 0}
    match = r"3 of 400 rows have missing values, in: mm\(therapist_id\) \(3\), w \(2\), start \(2\)"
    with pytest.raises(DataError, match=match):
        als.mixed(FORMULA, rows, missing="raise", **more)
