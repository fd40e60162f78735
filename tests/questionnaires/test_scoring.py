import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from wai_rows import wai_frame

import alliance_stats as als
from alliance_stats.data.session_table import SessionTable
from alliance_stats.errors import ColumnError, DataError, FaultsError
from alliance_stats.questionnaires.known import _REGISTERED, measure_key

# Every item at its highest answer: forward items give the highest, reversed ones the lowest. Counted by hand.
HIGHEST = {
    "WAI-36": {"total": 54 + 66 + 48, "task": 7 * 7 + 5 * 1, "bond": 9 * 7 + 3 * 1, "goal": 6 * 7 + 6 * 1},
    "WAI-S": {"total": 72, "task": 28, "bond": 28, "goal": 2 * 7 + 2 * 1},
    "WAI-SR": {"total": 60, "task": 20, "bond": 20, "goal": 20},
    "HAq-II": {"total": 14 * 6 + 5 * 1},
    "SRS": {"total": 40},
    "ORS": {"total": 40},
    "OQ-45.2": {"total": 36 * 4},
    "PHQ-9": {"total": 27},
    "GAD-7": {"total": 21},
    "CORE-OM": {
        "total": 10 * 26 * 4 / 34,
        "wellbeing": 10 * 2 * 4 / 4,
        "problems": 40,
        "functioning": 10 * 6 * 4 / 12,
        "risk": 40,
    },
    "CORE-10": {"total": 8 * 4},
    "SCL-90-R": {"total": 4, "somatization": 4, "psychoticism": 4, "hostility": 4},
    "DASS-21": {"depression": 21, "anxiety": 21, "stress": 21},
}
# Item i answered with low + 7 i modulo the number of answers (WAI from 1 to 7: 5 i). Summed outside the package by a
# script of ten lines from the list of keys that this room was started from.
PATTERN = {
    "WAI-36": {"total": 148, "task": 47, "bond": 44, "goal": 57},
    "WAI-S": {"total": 50, "task": 21, "bond": 12, "goal": 17},
    "WAI-SR": {"total": 38, "task": 14, "goal": 12, "bond": 12},
    "HAq-II": {"total": 58},
    "SRS": {"total": 26},
    "ORS": {"total": 26},
    "OQ-45.2": {"total": 88},
    "PHQ-9": {"total": 15},
    "GAD-7": {"total": 12},
    "CORE-OM": {
        "total": 10 * 56 / 34,
        "wellbeing": 10 * 10 / 4,
        "problems": 10 * 15 / 12,
        "functioning": 10 * 14 / 12,
        "risk": 10 * 17 / 6,
    },
    "CORE-10": {"total": 18},
    "SCL-90-R": {
        "total": 180 / 90,
        "somatization": 29 / 12,
        "obsessive_compulsive": 10 / 10,
        "interpersonal_sensitivity": 21 / 9,
        "depression": 26 / 13,
        "anxiety": 24 / 10,
        "hostility": 15 / 6,
        "phobic_anxiety": 9 / 7,
        "paranoid_ideation": 7 / 6,
        "psychoticism": 22 / 10,
    },
    "DASS-21": {"depression": 15, "anxiety": 8, "stress": 10},
}


def answers(measure, answer):
    """One row of answers: ``answer(item, low, high)``."""
    key = measure_key(measure)
    low, high = (int(end) for end in key.response)
    return pd.DataFrame([[answer(item, low, high) for item in range(1, key.n_items + 1)]],
                        columns=[f"i{item}" for item in range(1, key.n_items + 1)])  # fmt: skip


def column(name):
    return "x" if name == "total" else f"x_{name}"


@pytest.mark.parametrize("measure", HIGHEST)
def test_the_highest_answers_give_what_the_hand_counts(measure):
    scored = als.score(answers(measure, lambda item, low, high: high), measure, items="i{}", into="x").iloc[0]
    for name, expected in HIGHEST[measure].items():
        assert_allclose(scored[column(name)], expected, rtol=1e-14)


@pytest.mark.parametrize("measure", PATTERN)
def test_mixed_answers_give_the_sums_of_the_reference_list(measure):
    def answer(item, low, high):
        n = high - low + 1
        return low + ((5 if n == 7 else 7) * item) % n

    scored = als.score(answers(measure, answer), measure, items="i{}", into="x").iloc[0]
    expected = PATTERN[measure]
    assert {column(scale.name) for scale in measure_key(measure).scales} == {column(name) for name in expected}
    for name, value in expected.items():
        assert_allclose(scored[column(name)], value, rtol=1e-14)
        assert scored[f"{column(name)}_answered"] == len(measure_key(measure).scale(name).items)


def test_stored_totals_of_the_wai_are_reproduced_where_their_file_was_right():
    frame = wai_frame()
    scored = als.score(frame, "WAI-36", items="wai_{:02d}", into="wai")
    assert (scored["wai_task"] == frame["stored_task"]).all()
    assert (scored["wai_goal"] == frame["stored_goal"]).all()
    # the file reverses 28 and not 29: its bond is ours + (8 − 2·x28) − (8 − 2·x29)
    mistake = 2 * frame["wai_29"] - 2 * frame["wai_28"]
    assert (scored["wai_bond"] + mistake == frame["stored_bond"]).all()
    assert (mistake != 0).sum() == 8
    assert (scored["wai"] == scored[["wai_task", "wai_bond", "wai_goal"]].sum(axis=1)).all()


@pytest.mark.skipif("ALLIANCE_STATS_DATA" not in os.environ, reason="ALLIANCE_STATS_DATA names no folder with the data")
def test_item_means_of_real_data_equal_their_stored_composites(tmp_path):
    # nine alliance items, centred at their first means: a key of the user's own scores them
    folder = Path(os.environ["ALLIANCE_STATS_DATA"]) / "implement"
    key = tmp_path / "implement.toml"
    scales = "".join(
        f"[subscales.{name}]\nitems = {items}\nrange = [-7, 7]\n"
        for name, items in {"task": [1, 2, 3], "goal": [4, 5, 6], "bond": [7, 8, 9]}.items()
    )
    key.write_text(
        'name = "WAI-9 centred"\ntitle = "x"\nn_items = 9\nresponse = [-7, 7]\ncontinuous = true\nhigher = "better"\n'
        f'reversed = []\nscore = "mean"\nstatus = "own"\nsource = "x"\n[total]\nrange = [-7, 7]\n{scales}'
    )
    try:
        als.register_measure(key)
        scored = als.score(pd.read_csv(folder / "implement_long.csv"), "WAI-9 centred", items="wai_{}", into="wai")
    finally:
        _REGISTERED.clear()
    stored = pd.read_csv(folder / "implement_composites.csv")
    for ours, theirs in (("wai", "wai"), ("wai_task", "task"), ("wai_goal", "goal"), ("wai_bond", "bond")):
        complete = scored[ours].notna()
        assert complete.sum() >= 642  # forms with all nine items
        assert_allclose(scored.loc[complete, ours], stored.loc[complete, theirs], atol=1e-13)


# ---- missing answers ---------------------------------------------------------------------------------------------


def phq(*rows):
    return pd.DataFrame(rows, columns=[f"phq{item}" for item in range(1, 10)])


def test_an_incomplete_form_gets_no_sum():
    scored = als.score(phq([1] * 9, [1] * 8 + [np.nan]), "PHQ-9", items="phq{}", into="outcome")
    assert_allclose(scored["outcome"], [9, np.nan])
    assert scored["outcome_answered"].tolist() == [9, 8]


def test_prorating_is_the_mean_of_the_answered_items_times_all_items():
    frame = phq([3, 2, 1, 0, 1, 2, 3, None, None], [3] + [None] * 8)
    scored = als.score(frame, "PHQ-9", items="phq{}", into="outcome", min_items=7)
    assert_allclose(scored["outcome"], [12 / 7 * 9, np.nan])  # by hand: 3+2+1+0+1+2+3 = 12
    mean = als.score(frame, "PHQ-9", items="phq{}", into="outcome", min_items=1, how="mean")
    assert_allclose(mean["outcome"], [12 / 7, 3])


@pytest.mark.parametrize("blank", ["", " ", None, np.nan, "NA"])
def test_blanks_never_become_values(blank):
    # in the wild: blanks read as 0 became 8 after reversing
    frame = wai_frame().astype({"wai_29": object})
    frame.loc[0, "wai_29"] = blank
    missing = ["NA"] if blank == "NA" else []
    scored = als.score(frame, "WAI-36", items="wai_{:02d}", into="wai", missing=missing)
    assert np.isnan(scored.loc[0, "wai_bond"])
    assert np.isnan(scored.loc[0, "wai"])
    assert scored.loc[0, "wai_task"] == frame.loc[0, "stored_task"]
    assert scored.loc[1:, "wai_bond"].notna().all()


def test_the_rule_of_the_core_om_is_at_most_three_missing_and_one_in_problems_and_functioning():
    frame = answers("CORE-OM", lambda item, low, high: 1)
    frame = pd.concat([frame] * 4, ignore_index=True).astype(float)
    frame.loc[0, ["i2", "i1"]] = np.nan  # one of problems, one of functioning
    frame.loc[1, ["i2", "i5"]] = np.nan  # two of problems
    frame.loc[2, ["i2", "i1", "i4", "i6"]] = np.nan  # four in all
    frame.loc[3, "i4"] = np.nan  # one of the four wellbeing items
    scored = als.score(frame, "CORE-OM", items="i{}", into="x")
    assert scored["x"].isna().tolist() == [False, False, True, False]
    assert scored["x_problems"].isna().tolist() == [False, True, False, False]
    assert scored["x_functioning"].notna().all()
    assert scored["x_wellbeing"].isna().tolist() == [False, False, True, True]
    # by hand: 34 items at 1, 8 of them reversed to 3: 26 + 24 = 50; without one of each kind (2, 1): 48 over 32
    assert_allclose(scored.loc[0, "x"], 10 * 48 / 32)


def test_a_sum_over_missing_items_is_refused():
    with pytest.raises(DataError, match="would count the missing ones as 0"):
        als.score(phq([1] * 9), "PHQ-9", items="phq{}", how="sum", min_items=7)


@pytest.mark.parametrize("wrong", [0, 10, 2.5, True, "9"])
def test_min_items_must_fit_the_scale(wrong):
    with pytest.raises(DataError, match=r"does not fit total of PHQ-9, which has 9 items"):
        als.score(phq([1] * 9), "PHQ-9", items="phq{}", min_items=wrong)


def test_min_items_can_be_given_by_scale():
    frame = wai_frame().astype({"wai_01": float})
    frame.loc[0, "wai_01"] = np.nan
    by_scale = als.score(frame, "WAI-36", items="wai_{:02d}", into="wai", min_items={"bond": 11})
    assert by_scale.loc[0, ["wai", "wai_bond"]].isna().tolist() == [True, False]
    with pytest.raises(DataError, match=r"min_items=\{'total': 10"):
        als.score(frame, "WAI-36", items="wai_{:02d}", min_items=30)
    with pytest.raises(DataError, match="no scale 'bnd'"):
        als.score(frame, "WAI-36", items="wai_{:02d}", min_items={"bnd": 3})


# ---- answers that cannot be right --------------------------------------------------------------------------------


def test_answers_outside_the_range_are_named_and_never_clipped():
    frame = phq([1] * 9, [1] * 8 + [9], [1] * 9, [-1] + [1] * 8)
    with pytest.raises(FaultsError, match=r"2 answers in 2 item columns.*0 to 3") as error:
        als.score(frame, "PHQ-9", items="phq{}", into="outcome")
    assert error.value.faults["column"].tolist() == ["phq1", "phq9"]
    assert "row 1 (9)" in str(error.value)
    left = als.score(frame, "PHQ-9", items="phq{}", into="outcome", on_faults="leave_out")
    assert_allclose(left["outcome"], [9, np.nan, 9, np.nan])
    coded = als.score(frame, "PHQ-9", items="phq{}", into="outcome", missing=[9, -1])
    assert_allclose(coded["outcome"], [9, np.nan, 9, np.nan])


def test_what_was_left_out_stands_in_faults_and_codebook():
    table = SessionTable(phq([1] * 9, [1] * 8 + [9]).assign(patient_id=["a", "b"], session=1))
    scored = als.score(table, "PHQ-9", items="phq{}", into="outcome", on_faults="leave_out")
    assert scored.faults[["column", "n", "done"]].to_numpy().tolist() == [["phq9", 1, "value set to missing"]]
    assert "1 answer outside the possible ones counted as not given" in scored.codebook["outcome"].made_from
    assert table.faults.empty


def test_words_and_halves_are_no_answers():
    frame = phq([1] * 9, [1] * 9).astype(object)
    frame.loc[0, "phq2"], frame.loc[1, "phq3"] = "often", 1.5
    with pytest.raises(FaultsError, match=r"(?s)phq2: 1 answer, item is no number.*phq3: 1 answer, item lies between"):
        als.score(frame, "PHQ-9", items="phq{}")
    line = pd.DataFrame([[1.5, "2.5", 3, 4]], columns=list("abcd"))
    assert als.score(line, "ORS", items=list("abcd"), into="x")["x"].tolist() == [11.0]


def test_another_response_range_is_used_when_told_and_proposed_when_it_fits():
    frame = pd.DataFrame([[7, 1] * 6, [4] * 12], columns=[f"w{item}" for item in range(1, 13)])
    with pytest.raises(FaultsError, match=r"All lie in 1 to 7: .* give response=\(1\.0, 7\.0\)"):
        als.score(frame, "WAI-SR", items="w{}")
    scored = als.score(frame, "WAI-SR", items="w{}", into="x", response=(1, 7))
    assert scored["x"].tolist() == [48, 48]
    with pytest.raises(DataError, match=r"answered on \(1, 5\) or \(1, 7\), not \(0, 4\)"):
        als.score(frame, "WAI-SR", items="w{}", response=(0, 4))


def test_reversal_stays_inside_the_range_that_is_used():
    frame = pd.DataFrame([[1] * 19], columns=[f"h{item}" for item in range(1, 20)])
    assert als.score(frame, "HAq-II", items="h{}", into="x")["x"].tolist() == [14 * 1 + 5 * 6]


def test_a_file_that_counts_from_one_more_is_recognised():
    with pytest.raises(FaultsError, match=r"run from 1 to 4: if the file counts from 1, subtract 1 first"):
        als.score(phq([1, 2, 3, 4, 4, 1, 2, 3, 4]), "PHQ-9", items="phq{}")


# ---- columns and words -------------------------------------------------------------------------------------------


def test_items_can_be_a_pattern_a_list_or_a_mapping():
    frame = wai_frame()
    names = [f"wai_{item:02d}" for item in range(1, 37)]
    by_pattern = als.score(frame, "WAI-36", items="wai_{:02d}", into="wai")
    pd.testing.assert_frame_equal(als.score(frame, "WAI-36", items=names, into="wai"), by_pattern)
    by_number = {item: names[item - 1] for item in range(36, 0, -1)}
    pd.testing.assert_frame_equal(als.score(frame, "WAI-36", items=by_number, into="wai"), by_pattern)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ("wai", "not distinct"),
        ("wai_{", "no pattern for a number"),
        ("wai_{name}", "no pattern for a number"),
        ("wai_{0.real.x}", "no pattern for a number"),
        (["wai_01"], "36 items, but 1 column were named"),
        ({1: "wai_01"}, "has the items 1 to 36"),
        (["wai_01"] * 36, "not distinct"),
    ],
)
def test_item_columns_that_cannot_be_found_out_are_refused(items, said):
    with pytest.raises(DataError, match=said):
        als.score(wai_frame(), "WAI-36", items=items)


def test_item_columns_that_are_not_there_are_named():
    with pytest.raises(
        ColumnError, match=r"36 of the 36 item columns of WAI-36 are not there \(wai_1, wai_2, wai_3, …\)"
    ):
        als.score(wai_frame().drop(columns=["wai_10"]).rename(columns=lambda c: c.replace("wai_", "w")), "WAI-36",
                  items="wai_{}")  # fmt: skip
    with pytest.raises(ColumnError, match="No column 'wai_10'"):
        als.score(wai_frame().drop(columns="wai_10"), "WAI-36", items="wai_{:02d}")


def test_the_codebook_learns_range_direction_label_and_how_it_was_made():
    scored = als.score(SessionTable(wai_frame()), "WAI-36", items="wai_{:02d}", into="alliance", rater="client")
    total, bond = scored.codebook["alliance"], scored.codebook["alliance_bond"]
    assert (total.low, total.high, total.higher, total.role) == (36, 252, "better", "score")
    assert total.label == "Working alliance (WAI-36, patient)"
    assert bond.label == "Working alliance: Bond (WAI-36, patient)"
    assert (bond.low, bond.high) == (12, 84)
    assert bond.made_from == (
        "WAI-36, bond: sum of 12 items answered from 1 to 7, 3 items reversed (1, 20, 29); 0 of 14 not scored "
        "(key: verified)"
    )
    assert scored.codebook["alliance_bond_answered"].high == 12


def test_the_range_in_the_codebook_follows_how_the_score_was_made():
    table = SessionTable(wai_frame())
    mean = als.score(table, "WAI-36", items="wai_{:02d}", into="x", how="mean", min_items={"bond": 10})
    assert (mean.codebook["x"].low, mean.codebook["x"].high) == (1, 7)
    assert_allclose(mean.frame["x_bond"] * 12, als.score(table, "WAI-36", items="wai_{:02d}", into="y").frame["y_bond"])
    doubled = answers("DASS-21", lambda item, low, high: 1)
    frame = als.score(SessionTable(doubled), "DASS-21", items="i{}", into="d", multiply=2)
    assert frame.frame["d_stress"].tolist() == [14]
    assert frame.codebook["d_stress"].high == 42
    core = als.score(answers("CORE-OM", lambda item, low, high: 2), "CORE-OM", items="i{}", into="x", how="mean")
    assert core["x"].tolist() == [2]  # the plain mean, not ten times it


def test_raters_that_the_measure_does_not_know_are_refused():
    with pytest.raises(DataError, match="PHQ-9 is filled in by patient, not by 'therapist'"):
        als.score(phq([1] * 9), "PHQ-9", items="phq{}", rater="therapist")


def test_subscales_can_be_chosen_or_left_out():
    frame = wai_frame()
    columns = lambda **more: set(als.score(frame, "WAI-36", items="wai_{:02d}", into="x", **more)) - set(frame)  # noqa: E731
    assert columns(subscales=False) == {"x", "x_answered"}
    assert columns(subscales=["bond"]) == {"x", "x_answered", "x_bond", "x_bond_answered"}
    with pytest.raises(DataError, match="DASS-21 has no total"):
        als.score(answers("DASS-21", lambda item, low, high: 1), "DASS-21", items="i{}", subscales=False)


def test_scores_are_never_written_over_other_values():
    frame = wai_frame().assign(wai=0.0)
    with pytest.raises(DataError, match="a column 'wai' already"):
        als.score(frame, "WAI-36", items="wai_{:02d}", into="wai")
    with pytest.raises(DataError, match="could not stand in a formula"):
        als.score(wai_frame(), "WAI-36", items="wai_{:02d}", into="wai total")


def test_the_input_is_not_changed_and_scoring_again_changes_nothing():
    frame = wai_frame()
    before = frame.copy(deep=True)
    scored = als.score(frame, "WAI-36", items="wai_{:02d}", into="wai")
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(als.score(scored, "WAI-36", items="wai_{:02d}", into="wai"), scored)


def test_items_kept_by_read_sessions_as_text_are_scored(tmp_path):
    path = tmp_path / "clinic.csv"
    frame = wai_frame()
    frame.to_csv(path, index=False)
    columns = [f"wai_{item:02d}" for item in range(1, 37)]
    sessions = als.read_sessions(path, patient="patient_id", session="session", keep=columns)
    scored = als.score(sessions, "WAI-36", items="wai_{:02d}", into="wai")
    assert scored.frame["wai_task"].tolist() == frame["stored_task"].tolist()
