import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from alliance_stats.data.codebook import Codebook, Variable
from alliance_stats.data.session_table import SessionTable
from alliance_stats.design.centering import center, split_within_between, split_within_between_therapist
from alliance_stats.errors import ColumnError, DataError

SCORES = np.array([3.0, 2.0, 5.0, 2.0, 5.0])
PATIENT = np.array(["a", "b", "a", "b", "b"])


def frame(**columns):
    return pd.DataFrame({"patient_id": PATIENT, "alliance": SCORES} | columns)


def test_between_is_the_patient_mean():
    _, between = split_within_between(SCORES, PATIENT)
    assert_allclose(between, [4, 3, 4, 3, 3])  # by hand: (3+5)/2 and (2+2+5)/3


def test_within_is_the_deviation_from_the_own_mean():
    within, _ = split_within_between(SCORES, PATIENT)
    assert_allclose(within, [-1, -1, 1, -1, 2])  # by hand: 3-4, 2-3, 5-4, 2-3, 5-3


def test_missing_score_says_how_many_and_where():
    with pytest.raises(DataError, match=r"1 of 5 scores are missing \(first at row 2\)"):
        split_within_between(np.where(np.arange(5) == 2, np.nan, SCORES), PATIENT)


def test_missing_patient_in_the_kernel_says_where():
    with pytest.raises(DataError, match=r"1 of 2 patient ids are missing \(first at row 1\)"):
        split_within_between([1.0, 2.0], np.array(["a", None], dtype=object))


def test_lengths_that_differ_are_named():
    with pytest.raises(DataError, match="5 scores but 4 patient ids"):
        split_within_between(SCORES, PATIENT[:4])


def test_frame_gets_both_parts_and_is_not_changed():
    given = frame()
    centred = center(given, "alliance")
    assert list(given.columns) == ["patient_id", "alliance"]
    assert_allclose(centred["alliance_within"], [-1, -1, 1, -1, 2])
    assert_allclose(centred["alliance_between"], [4, 3, 4, 3, 3])


def test_rows_keep_their_order_and_index():
    given = frame().set_axis([9, 9, 3, 1, 0])
    assert list(center(given, "alliance").index) == [9, 9, 3, 1, 0]
    assert_allclose(center(given, "alliance")["alliance_within"], [-1, -1, 1, -1, 2])


def test_several_scores_at_once():
    centred = center(frame(outcome=[10.0, 1, 20, 2, 3]), ["alliance", "outcome"])
    assert_allclose(centred["outcome_between"], [15, 2, 15, 2, 2])  # (10+20)/2 and (1+2+3)/3
    assert "alliance_within" in centred


def test_mean_is_over_observed_sessions_and_parts_of_a_missing_score_are_missing():
    centred = center(frame(alliance=[3.0, 2.0, np.nan, 2.0, 5.0]), "alliance")
    assert_allclose(centred["alliance_between"], [3, 3, np.nan, 3, 3])  # a: 3/1; b: 9/3
    assert_allclose(centred["alliance_within"], [0, -1, np.nan, -1, 2])


def test_codebook_tells_sessions_per_mean_and_missing_scores():
    scores = [3.0, 2.0, np.nan, 2.0, 5.0]
    book = Codebook((Variable("alliance", "WAI-SR", "score", 1, 5, "better"),))
    table = center(SessionTable(frame(alliance=scores), codebook=book), "alliance")
    made = table.codebook["alliance_between"]
    # 4 observed scores of 2 patients: 2.0 sessions per mean
    assert made.made_from == "alliance: mean per patient_id over 2.0 observed sessions on average; 1 of 5 missing"
    assert (made.label, made.low, made.high, made.higher) == ("WAI-SR, patient mean", 1, 5, "better")
    assert table.codebook["alliance_within"].low is None  # a deviation does not keep to 1 to 5


def test_codebook_tells_patients_without_any_score():
    table = center(SessionTable(frame(alliance=[np.nan, 2.0, np.nan, 2.0, 5.0])), "alliance")
    assert "1 of 2 patient_id without any observed score" in table.codebook["alliance_between"].made_from


# a: sessions 1, 2 with x, then 3 with y; b: two sessions with y
CHANGER = pd.DataFrame(
    {
        "patient_id": ["a", "a", "a", "b", "b"],
        "therapist_id": ["x", "x", "y", "y", "y"],
        "alliance": [2.0, 4.0, 6.0, 1.0, 5.0],
    }
)


def test_three_parts_of_a_patient_who_changes_therapist():
    centred = center(CHANGER, "alliance", therapist="therapist_id")
    # patient means: a (2+4+6)/3 = 4, b (1+5)/2 = 3; therapist means: x (2+4)/2 = 3, y (6+1+5)/3 = 4
    assert_allclose(centred["alliance_within"], [-2, 0, 2, -2, 2])
    assert_allclose(centred["alliance_therapist"], [3, 3, 4, 4, 4])
    assert_allclose(centred["alliance_between"], [1, 1, 0, -1, -1])  # 4-3, 4-3, 4-4, 3-4, 3-4


def test_three_parts_sum_to_the_score():
    rng = np.random.default_rng(5)
    scores, patient, therapist = rng.normal(size=200), rng.integers(0, 20, 200), rng.integers(0, 6, 200)
    assert_allclose(sum(split_within_between_therapist(scores, patient, therapist)), scores, atol=1e-14)


def test_unknown_therapist_leaves_the_within_part():
    known = CHANGER.assign(therapist_id=["x", "x", None, "y", "y"])
    centred = center(SessionTable(known), "alliance", therapist="therapist_id")
    assert_allclose(centred.frame["alliance_within"], [-2, 0, 2, -2, 2])
    assert_allclose(centred.frame["alliance_therapist"], [3, 3, np.nan, 3, 3])  # y now (1+5)/2
    assert_allclose(centred.frame["alliance_between"], [1, 1, np.nan, 0, 0])
    assert "1 row without a known therapist_id" in centred.codebook["alliance_therapist"].made_from


def test_no_score_with_a_known_therapist_is_refused():
    lost = CHANGER.assign(therapist_id=["x", "x", None, None, None], alliance=[np.nan, np.nan, 1, 2, 3])
    with pytest.raises(DataError, match="0 rows have both a score and a therapist"):
        center(lost, "alliance", therapist="therapist_id")


def test_centring_twice_changes_nothing():
    once = center(frame(), "alliance")
    pd.testing.assert_frame_equal(center(once, "alliance"), once)


def test_centring_again_after_rows_left_is_refused():
    # b's mean of the first two rows is 2, not the 3 that stands there
    with pytest.raises(DataError, match="have a column 'alliance_within' already, with other values"):
        center(center(frame(), "alliance").head(4), "alliance")


def test_misspelt_score_names_the_nearest():
    with pytest.raises(ColumnError, match="Did you mean 'alliance'"):
        center(frame(), "aliance")


@pytest.mark.parametrize("values", [list("abcde"), [None] * 5, ["3", "4", "5", "6", "7"]])
def test_score_without_numbers_is_refused(values):
    with pytest.raises(DataError, match="'alliance' holds no numbers"):
        center(frame(alliance=values), "alliance")


def test_score_without_any_value_is_refused():
    with pytest.raises(DataError, match="0 of 5 values of 'alliance' are observed"):
        center(frame(alliance=[np.nan] * 5), "alliance")


def test_infinite_score_is_refused_with_its_row():
    with pytest.raises(DataError, match=r"1 of 5 values of 'alliance' are infinite \(row 3\)"):
        center(frame(alliance=[1, 2, 3, np.inf, 4]), "alliance")


def test_missing_patient_id_says_how_many_and_where():
    with pytest.raises(DataError, match=r"4 of 5 rows have no 'patient_id' \(rows 1, 2, 3, …\)"):
        center(frame(patient_id=["a", None, None, None, None]), "alliance")


def test_two_columns_of_one_name_are_refused():
    twice = pd.concat([frame(), frame()[["alliance"]]], axis=1)
    with pytest.raises(DataError, match="2 columns are called 'alliance'"):
        center(twice, "alliance")


def test_no_score_named_is_refused():
    with pytest.raises(DataError, match="0 scores were named"):
        center(frame(), [])


def test_frame_without_rows_is_refused():
    with pytest.raises(DataError, match="0 rows"):
        center(frame().head(0), "alliance")


def test_nullable_numbers_are_scores_too():
    centred = center(frame(alliance=pd.array([3, 2, None, 2, 5], dtype="Int64")), "alliance")
    assert_allclose(centred["alliance_between"], [3, 3, np.nan, 3, 3])
    assert centred["alliance_between"].dtype == np.float64
