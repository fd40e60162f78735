import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from alliance_stats.data.session_table import SessionTable
from alliance_stats.design.lags import lag
from alliance_stats.errors import ColumnError, DataError

NAN = np.nan


def frame(patient, session, score):
    return pd.DataFrame({"patient_id": list(patient), "session": session, "outcome": np.array(score, dtype=float)})


GAP = frame("aaabb", [1, 2, 4, 3, 4], [9, 8, 6, 5, 4])


def test_previous_is_the_session_before_and_not_the_row_before():
    # a: 1 is first, 2 has 1, 4 has no 3; b starts at 3, so 4 has 3
    assert_array_equal(lag(GAP, "outcome")["previous_outcome"], [NAN, 9, NAN, NAN, 5])


def test_rows_may_come_in_any_order():
    shuffled = GAP.iloc[[4, 2, 0, 3, 1]]
    lagged = lag(shuffled, "outcome")
    assert_array_equal(lagged["previous_outcome"], [5, NAN, NAN, NAN, 9])
    assert_array_equal(lagged.index, [4, 2, 0, 3, 1])


def test_two_sessions_before():
    # a's 4 looks at 2; nobody else has a session two before
    assert_array_equal(lag(GAP, "outcome", k=2)["previous_outcome"], [NAN, NAN, 8, NAN, NAN])


def test_two_lags_side_by_side_under_names_of_their_own():
    both = lag(lag(GAP, "outcome"), "outcome", k=2, into="outcome_2_before")
    assert_array_equal(both["previous_outcome"], [NAN, 9, NAN, NAN, 5])
    assert_array_equal(both["outcome_2_before"], [NAN, NAN, 8, NAN, NAN])


def test_second_lag_does_not_write_over_the_first():
    with pytest.raises(DataError, match="have a column 'previous_outcome' already"):
        lag(lag(GAP, "outcome"), "outcome", k=2)


def test_patients_do_not_borrow_from_each_other():
    # a ends at 2, b starts at 3
    assert_array_equal(lag(frame("aab", [1, 2, 3], [1, 2, 3]), "outcome")["previous_outcome"], [NAN, 1, NAN])


def test_codebook_tells_why_there_is_no_previous_value():
    scores = frame("aaaabb", [1, 2, 3, 5, 1, 2], [9, NAN, 7, 6, 5, 4])
    made = lag(SessionTable(scores), "outcome").codebook["previous_outcome"].made_from
    # first: a1, b1; gap: a5 (no 4); missing: a3 (2 has no score)
    assert "4 of 6 rows have none: 2 first session, 1 gap, 1 score missing there" in made


def test_reasons_look_back_as_far_as_the_lag():
    scores = frame("aaaa", [1, 2, 4, 5], [9, 8, 7, 6])
    made = lag(SessionTable(scores), "outcome", k=2).codebook["previous_outcome"].made_from
    # 1 and 2 are too early, 4 has 2, 5 has no 3
    assert "3 of 4 rows have none: 2 first 2 sessions, 1 gap, 0 score missing there" in made


def test_session_table_stays_one_and_the_given_is_not_changed():
    table = SessionTable(GAP)
    assert isinstance(lag(table, "outcome"), SessionTable)
    assert list(GAP.columns) == ["patient_id", "session", "outcome"]


def test_duplicate_session_names_count_place_and_way_out():
    double = frame("aabbb", [1, 2, 7, 7, 7], range(5))
    message = r"2 rows repeat .* \(first: patient_id 'b', session 7, rows 2 and 3\)\. Keep one row"
    with pytest.raises(DataError, match=message):
        lag(double, "outcome")


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "1", 10**30])
def test_lag_that_is_no_count_is_refused(k):
    with pytest.raises(DataError, match="Give the number of sessions to look back"):
        lag(GAP, "outcome", k=k)


@pytest.mark.parametrize(("bad", "shown"), [(2.5, "2.5"), (NAN, "nan"), (np.inf, "inf"), (1e300, "1e\\+300")])
def test_session_that_is_no_whole_number_is_refused(bad, shown):
    with pytest.raises(
        DataError, match=rf"1 of 3 rows have no whole number in 'session' \(row 1; the first is {shown}"
    ):
        lag(frame("aaa", [1, bad, 3], [1, 2, 3]), "outcome")


def test_session_as_text_is_refused():
    with pytest.raises(DataError, match="'session' holds no session numbers"):
        lag(frame("aa", ["1", "2"], [1, 2]), "outcome")


def test_whole_floats_are_session_numbers():
    assert_array_equal(lag(frame("aa", [1.0, 2.0], [4, 5]), "outcome")["previous_outcome"], [NAN, 4])


def test_names_and_scores_have_to_match():
    with pytest.raises(DataError, match="1 scores but 2 different names"):
        lag(GAP, "outcome", into=["a", "b"])


def test_misspelt_session_column_names_the_nearest():
    with pytest.raises(ColumnError, match="Did you mean 'session'"):
        lag(GAP, "outcome", session="sesion")


def test_session_numbers_as_large_as_dates_do_not_overflow():
    many = frame(np.arange(1000).astype(str), np.full(1000, 20_240_101_123_456), np.ones(1000))
    again = many.assign(session=many["session"] + 1)
    lagged = lag(pd.concat([many, again]), "outcome")["previous_outcome"]
    assert lagged.notna().sum() == 1000  # each patient's second session has its first


@pytest.mark.parametrize("k", [1, 3])
def test_all_rows_at_once_give_what_looking_up_each_gives(k):
    rng = np.random.default_rng(k)
    pairs = rng.permutation(np.unique(rng.integers(0, (8, 20), (100, 2)), axis=0))
    scores = frame(pairs[:, 0].astype(str), pairs[:, 1], rng.normal(size=len(pairs)))
    there = {(p, s): y for p, s, y in scores.itertuples(index=False)}
    expected = [there.get((p, s - k), NAN) for p, s, _ in scores.itertuples(index=False)]
    assert_array_equal(lag(scores, "outcome", k=k)["previous_outcome"], expected)
