"""Keyed pseudonyms: stable, not to be had without the key, and nothing of the ids left anywhere."""

import hashlib
import hmac
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.data.codebook import Codebook, Variable
from alliance_stats.data.faults import Fault, faults_frame
from alliance_stats.data.session_table import SessionTable
from alliance_stats.errors import ColumnError, DataError

KEY = "d8f1a6c0b7e94f2c95d3"
FRAME = pd.DataFrame(
    {
        "patient_id": ["Anna", "Anna", "Bert", "Cleo"],
        "therapist_id": ["Dr. X", "Dr. Y", "Dr. X", None],
        "session": [1, 2, 1, 1],
        "date": pd.to_datetime(["2024-02-03", "2024-02-10", "2024-02-03", None]),
        "site_id": ["Bern", "Bern", "Anna", "Bern"],
        "phase": ["early", "late", "early", "early"],
        "alliance": [3.0, 4, np.nan, 5],
    }
).astype({"patient_id": "str", "therapist_id": "str", "site_id": "str", "phase": "str"})
NAMES = ["Anna", "Bert", "Cleo", "Dr.", "Bern"]


def table(frame=FRAME, **parts):
    return SessionTable(frame, **parts)


def by_scores(shown, column):
    """Pseudonyms by the rows' scores, whatever the order of rows."""
    return dict(zip(shown.frame["alliance"].fillna(-1), shown.frame[column], strict=True))


def test_a_pseudonym_is_the_keyed_hash_of_the_id():
    shown = by_scores(table().pseudonymize(KEY), "patient_id")
    by_hand = hmac.new(KEY.encode(), b"alliance_stats/patient_id\x00Anna", hashlib.sha256).hexdigest()[:16]
    assert shown[3.0] == shown[4.0] == f"P{by_hand}"
    assert len({shown[3.0], shown[-1.0], shown[5.0]}) == 3


def test_no_name_is_left_in_the_table_its_findings_or_its_codebook():
    faults = faults_frame([Fault("same session again", "sess", 1, "line 3 (patient 'Anna')", "kept", "Look.")])
    codebook = Codebook((Variable("patient_id", "Patient", "id", made_from="pid"),))
    shown = table(faults=faults, codebook=codebook).pseudonymize(KEY)
    text = shown.frame.to_csv() + shown.faults.to_csv() + shown.codebook.frame.to_csv() + repr(shown)
    assert [name for name in NAMES if name in text] == []
    assert shown.faults["n"].tolist() == [1]
    assert shown.codebook["patient_id"].made_from == "pseudonym (keyed)"
    assert shown.codebook["patient_id"].label == "Patient"


def test_same_key_same_pseudonyms_in_another_file_and_order():
    other = pd.concat([FRAME.iloc[::-1], FRAME.assign(patient_id="Dora", alliance=2.0).iloc[:1]])
    first, second = table().pseudonymize(KEY), table(other).pseudonymize(KEY.encode())
    for column in ("patient_id", "therapist_id", "site_id"):
        known = by_scores(first, column)
        again = by_scores(second, column)
        assert {score: again[score] for score in (3.0, 4.0, -1.0)} == {
            score: known[score] for score in (3.0, 4.0, -1.0)
        }


def test_another_key_gives_other_pseudonyms():
    ours, theirs = table().pseudonymize(KEY), table().pseudonymize(KEY[::-1])
    for column in ("patient_id", "therapist_id", "site_id"):
        assert not set(ours.frame[column].dropna()) & set(theirs.frame[column].dropna())


def test_a_patient_and_a_site_of_the_same_name_get_unlike_pseudonyms():
    shown = table().pseudonymize(KEY).frame
    ids = {name[1:] for column in ("patient_id", "therapist_id", "site_id") for name in shown[column].dropna()}
    assert len(ids) == 3 + 2 + 2


def test_missing_ids_stay_missing_and_all_else_stays_as_it_is():
    shown = table().pseudonymize(KEY).frame
    assert shown["therapist_id"].isna().sum() == 1
    assert shown.dtypes.equals(FRAME.dtypes)
    kept = ["session", "date", "phase", "alliance"]
    pd.testing.assert_frame_equal(
        shown[kept].sort_values(["alliance", "session"], ignore_index=True),
        FRAME[kept].sort_values(["alliance", "session"], ignore_index=True),
    )


def test_rows_do_not_stand_in_the_order_of_the_ids():
    ids = pd.DataFrame({"patient_id": [f"{k:03d}" for k in range(60)], "session": 1, "alliance": np.arange(60) / 9})
    shown = table(ids).pseudonymize(KEY).frame
    assert shown["patient_id"].is_monotonic_increasing
    assert abs(np.corrcoef(np.arange(60), shown["alliance"])[0, 1]) < 0.4


def test_sessions_of_a_patient_stay_in_order():
    shown = als.simulate_sessions(4, 5, 6, seed=1).pseudonymize(KEY).frame
    assert (shown.groupby("patient_id")["session"].diff().dropna() > 0).all()
    assert shown.groupby("patient_id").ngroups == (shown["patient_id"] != shown["patient_id"].shift()).sum()


def test_a_model_of_pseudonyms_has_the_same_numbers():
    sessions = als.simulate_sessions(5, 5, 7, seed=6)
    formula = "outcome ~ alliance + (1 | patient_id) + (1 | therapist_id)"
    ours, theirs = als.mixed(formula, sessions), als.mixed(formula, sessions.pseudonymize(KEY))
    pd.testing.assert_frame_equal(theirs.table(), ours.table(), rtol=1e-6)


def test_ids_that_are_numbers_or_categories_work_too():
    for kind in ("int64", "category"):
        frame = pd.DataFrame({"patient_id": pd.Series([1, 1, 22]).astype(kind), "session": [1, 2, 1]})
        shown = table(frame).pseudonymize(KEY).frame
        assert shown["patient_id"].nunique() == 2
        assert shown["patient_id"].str.fullmatch("P[0-9a-f]{16}").all()


# ---- dates -----------------------------------------------------------------------------------------------------------


def shifts_of(frame, days, key=KEY):
    frame = frame.assign(alliance=np.arange(float(len(frame))))
    shown = table(frame).pseudonymize(key, shift_dates=days).frame.sort_values("alliance", ignore_index=True)
    return (shown["date"] - frame["date"]).dt.days


def many(n=300, date="2024-03-01"):
    return pd.DataFrame({"patient_id": [f"p{k}" for k in range(n)], "session": 1, "date": pd.Timestamp(date)})


def test_all_dates_of_a_patient_move_by_the_same_days():
    dated = FRAME.assign(intake=FRAME["date"] - pd.Timedelta(days=30))
    shown = table(dated).pseudonymize(KEY, shift_dates=90).frame
    anna = shown[shown["alliance"].isin([3.0, 4.0])].sort_values("session")
    assert (anna["date"].diff().dt.days.iloc[1], anna["session"].tolist()) == (7, [1, 2])
    assert ((shown["date"] - shown["intake"]).dropna().dt.days == 30).all()
    assert shown["date"].isna().sum() == 1


def test_shifts_are_never_zero_never_longer_than_asked_and_reach_both_ends():
    shifts = shifts_of(many(), 3)
    assert set(shifts) == {-3, -2, -1, 1, 2, 3}
    # 300 draws over six days: each is expected 50 times, with a standard deviation of 6.5
    assert shifts.value_counts().between(25, 75).all()


def test_the_shift_hangs_on_key_and_patient_alone():
    frame = many()
    assert shifts_of(frame, 90).equals(shifts_of(frame.assign(date=pd.Timestamp("2019-01-01 10:30")), 90))
    assert not shifts_of(frame, 90).equals(shifts_of(frame, 90, KEY[::-1]))


def test_dates_stay_where_no_shift_is_asked_for():
    assert set(table().pseudonymize(KEY).frame["date"].dropna()) == set(FRAME["date"].dropna())


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_times_of_day_and_units_survive_a_shift(unit):
    frame = many(2, "2024-03-01 14:45").astype({"date": f"datetime64[{unit}]"})
    shown = table(frame).pseudonymize(KEY, shift_dates=10).frame
    assert shown["date"].dtype == frame["date"].dtype
    assert (shown["date"].dt.strftime("%H:%M") == "14:45").all()


def test_a_date_at_the_end_of_time_is_named_and_not_wrapped_around():
    frame = many(4, "2262-04-11").astype({"date": "datetime64[ns]"})
    with pytest.raises(DataError, match="Dates in 'date' lie too near the end"):
        table(frame).pseudonymize(KEY, shift_dates=36_500)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "hunter2", b"0123456789abcde", "a" * 40, "abab" * 10])
def test_a_key_that_can_be_guessed_is_refused_and_not_repeated(key):
    with pytest.raises(DataError, match=r"can be guessed. Make one with secrets.token_hex\(\)") as error:
        table().pseudonymize(key)
    assert not key or str(key) not in str(error.value)


def test_a_key_of_another_type_is_refused():
    with pytest.raises(DataError, match="key is int"):
        table().pseudonymize(12345678901234567890)


def test_texts_that_may_name_people_are_refused_until_they_are_named():
    frame = FRAME.assign(remark=["says Anna", "", "", ""], ward=["a", "b", "c", "d"])
    with pytest.raises(DataError, match=r"2 columns may name people: 'remark', 'ward'. Leave them out"):
        table(frame).pseudonymize(KEY)
    with pytest.raises(DataError, match=r"1 column may name people: 'remark'. Leave it out"):
        table(frame).pseudonymize(KEY, keep="ward")
    shown = table(frame.drop(columns="remark")).pseudonymize(KEY, keep=["ward"]).frame
    assert set(shown["ward"]) == set("abcd")


def test_ids_carried_along_as_numbers_are_refused():
    frame = pd.DataFrame({"patient_id": ["0017", "0017", "0022"], "session": [1, 2, 1], "pid": [17.0, 17.0, 22.0]})
    with pytest.raises(DataError, match=r"1 column may name people: 'pid'"):
        table(frame).pseudonymize(KEY)


def test_a_column_to_keep_must_be_there():
    with pytest.raises(ColumnError, match="No column 'wards'"):
        table().pseudonymize(KEY, keep="wards")


@pytest.mark.parametrize("days", [0, -3, 1.5, True, 36_501, "30"])
def test_a_shift_that_is_no_number_of_days_is_refused(days):
    with pytest.raises(DataError, match=r"shift_dates is .* whole days, 1 to 36500"):
        table().pseudonymize(KEY, shift_dates=days)


def test_a_shift_without_dates_is_refused():
    with pytest.raises(DataError, match="0 columns of dates to shift"):
        table(FRAME.drop(columns="date")).pseudonymize(KEY, shift_dates=30)


def test_two_ids_with_one_pseudonym_are_refused(monkeypatch):
    monkeypatch.setattr("alliance_stats.data.pseudonymize._DIGITS", 0)
    with pytest.raises(DataError, match="Two ids in 'patient_id' get the same pseudonym"):
        table().pseudonymize(KEY)


def test_the_table_itself_is_left_alone():
    frame = FRAME.copy(deep=True)
    table(frame).pseudonymize(KEY, shift_dates=30)
    pd.testing.assert_frame_equal(frame, FRAME)


def test_a_simulated_table_stays_simulated():
    shown = als.simulate_sessions(3, 4, seed=1).pseudonymize(KEY)
    assert shown.source.simulated
    assert shown.truth["change_jump"] == -0.3
    assert replace(shown, frame=FRAME).source.simulated
