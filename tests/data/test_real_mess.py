"""What real exports look like: each kind of mess is read, or is a fault that is named; nothing is guessed."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.errors import DataError, FaultsError

PHQ = {"outcome": {"column": "phq", "range": (0, 27), "higher": "worse"}}


@pytest.fixture
def write(tmp_path):
    def write_text(text, encoding="utf-8", name="export.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write_text


def found(table):
    return {row.fault: (row.n, row.places) for row in table.faults.itertuples()}


# --- ids -------------------------------------------------------------------------------------------------------------


def test_ids_as_floats_are_the_same_patient_as_without_the_point(write):
    table = read_sessions(write("id,s,wai\n17.0,1,3\n17,2,4\n3.0,1,2\n"), patient="id", session="s", scores=["wai"])
    assert table.frame["patient_id"].tolist() == ["3", "17", "17"]
    assert found(table)["ids like 17.0 read as 17"] == (2, "line 2 ('17.0'), line 4 ('3.0')")


def test_leading_zeros_and_case_are_kept_apart_and_listed(write):
    table = read_sessions(
        write("id,s,wai\n007,1,3\n7,1,4\nab,1,1\nAB,1,2\n"), patient="id", session="s", scores=["wai"]
    )
    assert table.frame["patient_id"].nunique() == 4
    assert found(table)["ids differ only by case or leading zeros"] == (2, "'007', '7'; 'AB', 'ab'")


def test_therapists_in_several_spellings_are_listed_and_not_merged(write):
    rows = ["id,s,t", "a,1,Dr. Müller", "a,2,Mueller", "b,1,Schmidt", "b,2,Schmitd", "c,1,Huber"]
    table = read_sessions(write("\n".join(rows)), patient="id", session="s", therapist="t", scores={})
    n, places = found(table)["names of therapists that are nearly the same"]
    assert (n, places) == (2, "'Dr. Müller', 'Mueller'; 'Schmidt', 'Schmitd'")
    assert table.frame["therapist_id"].nunique() == 5


# --- codes for missing values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["99", "-99", "999", "-9"])
def test_codes_out_of_range_are_proposed_and_not_applied(write, code):
    path = write(f"id,s,phq\na,1,12\na,2,{code}\n")
    with pytest.raises(FaultsError, match=rf'If {code} stands for missing values, give missing=\("", "NA", "{code}"\)'):
        read_sessions(path, patient="id", session="s", scores=PHQ)
    table = read_sessions(path, patient="id", session="s", scores=PHQ, missing=("", "NA", code))
    assert_array_equal(table.frame["outcome"], [12, np.nan])
    assert table.codebook["outcome"].missing == ("NA", code)


def test_codes_and_mistypings_are_told_apart(write):
    with pytest.raises(FaultsError, match=r"If 99 stands.*Others: correct them.*\(1 distinct value: 271\)"):
        read_sessions(write("id,s,phq\na,1,99\na,2,271\n"), patient="id", session="s", scores=PHQ)


def test_a_code_can_hold_for_one_score_only(write):
    path = write("id,s,phq,oq\na,1,99,99\na,2,3,40\n")
    scores = {
        "outcome": {"column": "phq", "range": (0, 27), "missing": [99]},
        "oq": {"column": "oq", "range": (0, 180)},
    }
    table = read_sessions(path, patient="id", session="s", scores=scores)
    assert_array_equal(table.frame["outcome"], [np.nan, 3])
    assert table.frame["oq"].tolist() == [99, 40]


def test_codes_far_from_all_other_scores_are_noted_where_no_range_is_stated(write):
    table = read_sessions(write("id,s,phq\na,1,12\na,2,-99\na,3,9\n"), patient="id", session="s", scores=["phq"])
    assert found(table)["values that look like codes for missing values"] == (1, "line 3 (-99)")
    assert table.frame["phq"].tolist() == [12, -99, 9]
    # 99 among scores from 80 to 110 is a score
    near = read_sessions(write("id,s,oq\na,1,80\na,2,99\na,3,110\n"), patient="id", session="s", scores=["oq"])
    assert near.faults["fault"].tolist() == []


# --- session numbers -------------------------------------------------------------------------------------------------

RESTART = "id,s,t,wai\na,1,T1,3\na,2,T1,4\na,3,T1,4\na,1,T2,2\na,2,T2,3\nb,1,T1,5\n"


@pytest.mark.parametrize("on_faults", ["raise", "leave_out"])
def test_numbers_that_begin_anew_with_another_therapist_are_refused(write, on_faults):
    with pytest.raises(FaultsError, match=r"begin anew with another therapist.*1 \(line 5 \(patient 'a'\)\)") as caught:
        read_sessions(write(RESTART), patient="id", session="s", therapist="t", scores=["wai"], on_faults=on_faults)
    assert "restarts='continue'" in str(caught.value)
    assert "same patient and session again" not in str(caught.value)


def test_numbers_go_on_when_asked_for(write):
    table = read_sessions(write(RESTART), patient="id", session="s", therapist="t", scores=["wai"], restarts="continue")
    assert table.frame["session"].tolist() == [1, 2, 3, 4, 5, 1]
    assert table.frame["wai"].tolist() == [3, 4, 4, 2, 3, 5]
    assert found(table)["patients whose session numbers began anew with another therapist"] == (1, "patients 'a'")
    assert table.codebook["session"].made_from.endswith("numbers go on over changes of therapist (patients: 1)")


def test_dates_order_the_therapists_where_there_are_dates(write):
    text = "id,s,t,d\na,1,T2,2021-03-01\na,2,T2,2021-03-08\na,1,T1,2021-01-05\na,2,T1,2021-01-12\n"
    table = read_sessions(
        write(text), patient="id", session="s", therapist="t", date="d", scores={}, restarts="continue"
    )
    assert table.frame["therapist_id"].tolist() == ["T1", "T1", "T2", "T2"]
    assert table.frame["session"].tolist() == [1, 2, 3, 4]


def test_a_session_entered_under_two_therapists_is_a_doubled_session_and_no_restart(write):
    text = "id,s,t,wai\na,1,T1,3\na,2,T1,4\na,2,T2,2\na,3,T1,3\n"
    with pytest.raises(FaultsError, match="same patient and session again, values in conflict"):
        read_sessions(write(text), patient="id", session="s", therapist="t", scores=["wai"], restarts="continue")


def test_numbers_with_gaps_are_kept_and_noted(write):
    table = read_sessions(write("id,s,wai\na,1,3\na,5,4\n"), patient="id", session="s", scores=["wai"])
    assert table.frame["session"].tolist() == [1, 5]
    assert found(table)["patients with gaps in their session numbers"] == (1, "patient 'a'")


def test_words_for_sessions_can_be_numbered(write):
    path = write("id,s,wai\na,Baseline,3\na,Session 1,4\na,Follow-up,5\n")
    with pytest.raises(FaultsError, match=r"occasions=\{'Baseline': 1, …\}"):
        read_sessions(path, patient="id", session="s", scores=["wai"])
    occasions = ["Baseline", "Session 1", "Follow-up"]
    table = read_sessions(path, patient="id", session="s", scores=["wai"], occasions=occasions)
    assert table.frame[["session", "wai"]].to_numpy().tolist() == [[1, 3], [2, 4], [3, 5]]
    assert "occasions numbered: Baseline = 1" in table.codebook["session"].made_from
    with pytest.raises(FaultsError, match=r"session is none of the occasions.*line 4 \('Follow-up'\)"):
        read_sessions(path, patient="id", session="s", scores=["wai"], occasions=occasions[:2])


@pytest.mark.parametrize("occasions", ["ab", 5, ["a", "a"], {"a": 0}, {"a": 1.5}])
def test_occasions_that_make_no_sense_are_refused(write, occasions):
    with pytest.raises(DataError, match="occasions"):
        read_sessions(write("id,s\na,1\n"), patient="id", session="s", occasions=occasions)


def test_numbers_that_are_absent_come_from_dates_or_are_asked_for(write):
    path = write("id,d,wai\na,2021-02-01,3\na,2021-01-05,4\n")
    assert read_sessions(path, patient="id", date="d", scores=["wai"]).frame["wai"].tolist() == [4, 3]
    with pytest.raises(DataError, match="the sessions have no order"):
        read_sessions(path, patient="id", scores=["wai"])


# --- dates -----------------------------------------------------------------------------------------------------------


def test_formats_that_leave_nothing_open_may_be_mixed(write):
    text = "id;d\na;2021-01-05\na;13.01.2021\na;44216\na;26-Jan-2021\na;\n"
    table = read_sessions(write(text), patient="id", date="d", scores={}, on_faults="leave_out")
    assert table.frame["date"].astype(str).tolist() == ["2021-01-05", "2021-01-13", "2021-01-20", "2021-01-26"]
    assert found(table)["serial numbers of a spreadsheet read as dates"] == (1, "line 4 ('44216')")


def test_day_and_month_that_could_be_swapped_are_a_fault(write):
    with pytest.raises(FaultsError, match=r"order of day and month is unclear, no value decides.*date_format="):
        read_sessions(write("id,d\na,05/01/2021\na,06/02/2021\n"), patient="id", date="d", scores={})


# --- schedules, encodings, shapes ------------------------------------------------------------------------------------


def test_measures_on_different_schedules_leave_no_session_out(write):
    rows = ["id,s,wai,phq"] + [f"a,{s},{3 if s % 2 else ''},{9 if s % 5 == 1 else ''}" for s in range(1, 11)]
    table = read_sessions(write("\n".join(rows)), patient="id", session="s", scores=["wai", "phq"])
    assert len(table) == 10
    assert table.frame["wai"].notna().sum() == 5
    assert table.frame.loc[table.frame["phq"].notna(), "session"].tolist() == [1, 6]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-8", "UTF-8 (found)"),
        ("utf-8-sig", "UTF-8 with byte order mark (found)"),
        ("utf-16", "UTF-16 (found)"),
        ("utf-16-le", "UTF-16-LE (found)"),
        ("latin-1", "Windows-1252 (cp1252) (found)"),
    ],
)
def test_letters_survive_every_usual_encoding(write, encoding, words):
    text = "Patientin;Sitzung;Therapeutin;WAI\n1;1;Müßig;3,5\n1;2;Müßig;4,25\n"
    table = read_sessions(
        write(text, encoding), patient="Patientin", session="Sitzung", therapist="Therapeutin", scores={"wai": "WAI"}
    )
    assert table.frame["therapist_id"].tolist() == ["Müßig", "Müßig"]
    assert table.frame["wai"].tolist() == [3.5, 4.25]  # decimal commas
    assert table.source.reading["encoding"] == words


@pytest.mark.parametrize(("text", "message"), [("", "is empty"), ("\n\n", "is empty"), ("wai\n3\n", "1 column only")])
def test_files_without_a_table_say_so(write, text, message):
    with pytest.raises(DataError, match=message):
        read_sessions(write(text), patient="id", session="s")


def test_doubled_sessions_are_told_apart(write):
    text = "id,s,wai\na,1,3\na,1,3.0\na,2,4\na,2,5\n"
    with pytest.raises(FaultsError) as caught:
        read_sessions(write(text), patient="id", session="s", scores=["wai"])
    listed = caught.value.faults.set_index("fault")["places"]
    assert listed["same patient and session again, values identical"].startswith("line 3")
    assert listed["same patient and session again, values in conflict"].startswith("line 5")


def test_a_format_is_found_by_content_whatever_the_file_is_called(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"id": ["a"], "s": [1], "wai": [3.0]})
    frame.to_parquet(tmp_path / "really_parquet.csv")
    frame.to_csv(tmp_path / "really_csv.xlsx", index=False)
    for name in ("really_parquet.csv", "really_csv.xlsx"):
        table = read_sessions(tmp_path / name, patient="id", session="s", scores=["wai"])
        assert table.frame["wai"].tolist() == [3]


def test_compressed_files_and_documents_say_what_they_are(tmp_path):
    import gzip

    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"id,s\na,1\n"))
    (tmp_path / "b.csv").write_bytes(b"%PDF-1.7 rest")
    with pytest.raises(DataError, match=r"is compressed .* Unpack it first"):
        read_sessions(tmp_path / "a.csv.gz", patient="id", session="s")
    with pytest.raises(DataError, match="is a PDF"):
        read_sessions(tmp_path / "b.csv", patient="id", session="s")
