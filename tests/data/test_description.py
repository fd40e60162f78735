"""describe(): every count by hand on a table small enough to see."""

import numpy as np
import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.data.session_table import SessionTable
from alliance_stats.errors import DataError

FRAME = pd.DataFrame(
    {
        "p": ["a", "a", "a", "a", "b", "b", "c"],
        "t": ["T1", "T1", "T2", "T1", "T2", None, "T2"],
        "s": [1, 2, 4, 5, 1, 2, 3],
        "d": [f"2021-01-{day:02d}" for day in (4, 11, 25, 30, 4, 6, 20)],
        "wai": [3, 4, np.nan, 5, 2, 3, np.nan],
        "phq": [20, np.nan, 18, np.nan, 9, np.nan, 7],
    }
)


@pytest.fixture(scope="module")
def described():
    scores = {"wai": {"column": "wai", "label": "WAI-SR"}, "phq": "phq"}
    return read_sessions(FRAME, patient="p", therapist="t", session="s", date="d", scores=scores).describe()


def test_the_overview_counts(described):
    rows = described.overview.set_index("what")
    assert rows["n"].to_dict() == {
        "patients": 3,
        "sessions (rows)": 7,
        "sessions per patient": 3,
        "patients with gaps in their numbers": 1,  # a: 3 is left out
        "patients with one session only": 1,  # c
        "days between sessions": 4,
        "therapists": 2,
        "patients per therapist": 2,
        "sessions without a therapist": 1,
        "changes of therapist": 2,
        "patients who changed therapist": 1,
    }
    assert rows.loc["sessions per patient", ["median", "low", "high"]].tolist() == [2, 1, 4]
    assert rows.loc["days between sessions", ["median", "low", "high"]].tolist() == [6, 2, 14]  # 7, 14, 5 and 2


def test_the_patients_one_by_one(described):
    table = described.patients
    assert table["patient_id"].tolist() == ["a", "b", "c"]
    assert table["n_sessions"].tolist() == [4, 2, 1]
    assert table["n_gaps"].tolist() == [1, 0, 0]  # c begins at session 3, which is no gap between sessions
    assert table["n_therapists"].tolist() == [2, 1, 1]
    assert table["n_changes"].tolist() == [2, 0, 0]
    assert table["last_date"].astype(str).tolist() == ["2021-01-30", "2021-01-06", "2021-01-20"]


def test_changes_and_caseloads(described):
    assert described.changes.to_numpy().tolist() == [["a", 4, "T1", "T2"], ["a", 5, "T2", "T1"]]
    assert described.caseloads.to_numpy().tolist() == [["T2", 3, 3], ["T1", 1, 3]]


def test_scores_and_their_schedules(described):
    scores = described.scores.set_index("score")
    assert scores.loc["wai", ["label", "n", "missing", "mean", "low", "high"]].tolist() == ["WAI-SR", 5, 2, 3.4, 2, 5]
    assert scores.loc["phq", "share_missing"] == 3 / 7
    assert scores.loc["wai", "sd"] == pytest.approx(np.std([3, 4, 5, 2, 3], ddof=1), rel=1e-15)
    # patient a has phq at sessions 1 and 4, wai at 1, 2 and 5; patient b has wai at 1 and 2
    assert scores["usual_interval"].tolist() == [1, 3]
    assert scores["first_session"].tolist() == [1, 1]


def test_what_is_missing_by_session(described):
    assert described.by_session.to_numpy().tolist() == [[1, 2], [2, 2], [3, 1], [4, 1], [5, 1]]
    phq = described.missing[described.missing["score"] == "phq"]
    assert phq[["session", "n", "n_missing", "missing"]].to_numpy().tolist() == [
        [1, 2, 0, 0],
        [2, 2, 2, 1],
        [3, 1, 0, 0],
        [4, 1, 0, 0],
        [5, 1, 1, 1],
    ]


def test_the_figure_draws_these_numbers(described):
    ax = described.plot()
    lines = {line.get_label(): line.get_ydata().tolist() for line in ax.get_lines()}
    assert lines == {"WAI-SR": [0, 0, 1, 1, 0], "phq": [0, 1, 0, 0, 1]}
    assert ax._repr_png_().startswith(b"\x89PNG")
    assert "2 patients at session 1" in ax.alt_text
    assert ax.data["missing"] is not None


def test_simulated_data_say_so():
    ax = als.load_dataset("simulated_alliance").describe().plot()
    assert ax.caption.startswith("Simulated data. ")


def test_tables_with_less_in_them_are_described_too():
    table = read_sessions(pd.DataFrame({"p": ["a"], "s": [1]}), patient="p", session="s", scores={}).describe()
    assert table.overview["what"].tolist()[:2] == ["patients", "sessions (rows)"]
    assert table.caseloads.empty
    assert table.changes.empty
    assert "patients" in repr(table)
    with pytest.raises(DataError, match="0 scores"):
        table.plot()
    with pytest.raises(DataError, match="0 rows"):
        SessionTable(pd.DataFrame({"patient_id": [], "session": []})).describe()


def test_names_in_jupyter_are_escaped():
    scores = {"wai": {"column": "wai", "label": "<script>"}}
    table = read_sessions(FRAME, patient="p", session="s", scores=scores)
    assert "<script" not in table.describe()._repr_html_()


def test_it_says_from_when_to_when_where_there_are_dates():
    frame = pd.DataFrame(
        {"p": ["a", "a", "b"], "s": [1, 2, 1], "x": [1.0, 2, 3], "d": ["2021-03-09", "2021-03-16", ""]}
    )
    asked = {"patient": "p", "session": "s", "scores": ["x"]}
    table = als.read_sessions(frame, **asked, date="d").describe()
    assert repr(table).startswith("From 2021-03-09 to 2021-03-16.\n")
    assert "From 2021-03-09 to 2021-03-16." in table._repr_html_()
    assert "From" not in repr(als.read_sessions(frame, **asked).describe())
    undated = als.read_sessions(frame.assign(d=""), **asked, date="d").describe()
    assert "From" not in repr(undated)
