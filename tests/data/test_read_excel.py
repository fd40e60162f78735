"""Excel files written by openpyxl: sheets, titles, merged headers, merged cells, dates."""

import datetime

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from alliance_stats.data.read_file import read_header
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.data.read_sessions import read_sessions
from alliance_stats.data.sheet_header import sheet_header
from alliance_stats.errors import DataError, FaultsError

pytest.importorskip("python_calamine")
openpyxl = pytest.importorskip("openpyxl")
DAY = datetime.date(2021, 1, 5)
SIMPLE = [["id", "session", "day", "wai"], ["007", 1, DAY, 3.5], ["007", 2, datetime.datetime(2021, 1, 12), None]]
ASKED = {"patient": "id", "session": "session", "scores": ["wai"]}


@pytest.fixture
def write(tmp_path):
    def write_sheets(sheets, merges=()):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for name, rows in sheets.items():
            sheet = book.create_sheet(name)
            for row in rows:
                sheet.append(row)
            for cells in merges:
                sheet.merge_cells(cells)
        book.save(tmp_path / "clinic.xlsx")
        return tmp_path / "clinic.xlsx"

    return write_sheets


def test_texts_numbers_and_dates_are_read_as_such(write):
    table = read_sessions(write({"Data": SIMPLE}), **ASKED, date="day")
    frame = table.frame
    assert frame["patient_id"].tolist() == ["007", "007"]  # a text in Excel, zeros and all
    assert frame["date"].astype(str).tolist() == ["2021-01-05", "2021-01-12"]
    assert_array_equal(frame["wai"], [3.5, np.nan])
    assert table.source.reading["sheet"] == "Data"
    assert table.faults.empty


def test_numbers_as_ids_lose_their_point(write):
    rows = [["id", "session", "wai"], [17, 1, 2], [17.0, 2, 3], ["3 ", 1, 2]]
    assert read_sessions(write({"Data": rows}), **ASKED).frame["patient_id"].tolist() == ["3", "17", "17"]


def test_faults_name_the_row_that_excel_shows(write):
    rows = [["Export of 5 May"], [], *SIMPLE, ["007", "three", DAY, 4]]
    with pytest.raises(FaultsError, match=r"no positive whole number.*row 6 \('three'\)"):
        read_sessions(write({"Data": rows}), **ASKED)


def test_titles_and_merged_headers_are_found_and_reported(write):
    rows = [
        ["Clinic, all sessions", None, None, None, None],
        ["id", "session", "WAI", None, "PHQ"],
        [None, None, "item 1", "item 2", "total"],
        ["a", 1, 3, 4, 12],
        ["a", 2, 5, 4, 11],
    ]
    path = write({"Data": rows}, ["A1:E1", "A2:A3", "B2:B3", "C2:D2"])
    assert read_header(path) == ("id", "session", "WAI item 1", "WAI item 2", "PHQ total")
    table = read_sessions(path, patient="id", session="session", scores={"one": "WAI item 1", "two": "WAI item 2"})
    assert table.frame[["one", "two"]].to_numpy().tolist() == [[3, 4], [5, 4]]
    (note,) = table.faults.itertuples()
    assert note.fault == "names of columns put together from merged header rows"
    assert (note.n, note.done) == (3, "kept")
    assert note.places == "rows 2 to 3: 'WAI item 1', 'WAI item 2', 'PHQ total'"
    assert table.source.reading["header"] == "rows 2 to 3"


def test_a_header_without_merges_is_one_row(write):
    rows = [["id", "session", "wai"], ["a", 1, 3]]
    assert read_header(write({"Data": rows})) == ("id", "session", "wai")


def test_the_rows_of_the_header_can_be_told(write):
    rows = [["group", "", "WAI"], ["id", "session", "total"], ["a", 1, 3]]
    path = write({"Data": rows})
    assert read_header(path, ReadOptions(header_rows=2)) == ("id", "session", "total")
    assert read_header(path, ReadOptions(header_rows=(1, 2))) == ("group id", "session", "WAI total")
    with pytest.raises(DataError, match="has 3 rows, so its header cannot stand in row 9"):
        read_header(path, ReadOptions(header_rows=9))


def test_a_patient_merged_over_rows_holds_for_all_of_them(write):
    rows = [["id", "session", "wai"], ["a", 1, 3], [None, 2, 4], [None, 3, 5], ["b", 1, 2]]
    table = read_sessions(write({"Data": rows}, ["A2:A4"]), **ASKED)
    assert table.frame["patient_id"].tolist() == ["a", "a", "a", "b"]
    note = table.faults.set_index("fault").loc["rows under a merged cell got its value"]
    assert (note["n"], note["places"]) == (2, "row 3, row 4")


def test_a_blank_id_that_is_not_merged_stays_a_fault(write):
    rows = [["id", "session", "wai"], ["a", 1, 3], [None, 2, 4]]
    with pytest.raises(FaultsError, match=r"patient id is missing.*row 3"):
        read_sessions(write({"Data": rows}), **ASKED)


def test_of_several_sheets_the_one_that_has_the_columns_is_read(write):
    path = write({"Read me": [["Version", "2"], ["Made", "today"]], "Data": SIMPLE, "Empty": []})
    assert read_sessions(path, **ASKED).source.reading["sheet"] == "Data"


def test_sheets_that_fit_equally_have_to_be_named(write):
    path = write({"2020": SIMPLE, "2021": SIMPLE})
    with pytest.raises(DataError, match=r"2 sheets with data \('2020', '2021'\), and 2 of them have the columns"):
        read_sessions(path, **ASKED)
    with pytest.raises(DataError, match=r"has no sheet '2012'\. Did you mean '2021'"):
        read_sessions(path, **ASKED, sheet="2012")
    assert len(read_sessions(path, **ASKED, sheet="2021")) == 2


def test_several_sheets_are_read_one_below_the_other(write):
    second = [["session", "id", "wai", "day"], [1, "b", 2, DAY], [1, "c", 4, None]]
    path = write({"Weber": SIMPLE, "Huber": second})
    table = read_sessions(path, **ASKED, therapist="{sheet}", sheet="*")
    assert table.frame["patient_id"].tolist() == ["007", "007", "b", "c"]
    assert table.frame["therapist_id"].tolist() == ["Weber", "Weber", "Huber", "Huber"]
    assert table.frame["wai"].tolist()[2:] == [2, 4]


def test_rows_of_several_sheets_are_placed_with_their_sheet(write):
    path = write({"Weber": SIMPLE, "Huber": SIMPLE})
    with pytest.raises(
        FaultsError, match=r"row 2, sheet 'Huber' \(patient '007', session 1, first at row 2, sheet 'Weber'"
    ):
        read_sessions(path, **ASKED, sheet=["Weber", "Huber"])


def test_sheets_with_other_columns_do_not_go_together(write):
    path = write({"Weber": SIMPLE, "Huber": [["id", "session", "phq"], ["a", 1, 3]]})
    with pytest.raises(DataError, match=r"differ in 3 columns.*one below the other"):
        read_sessions(path, **ASKED, sheet="*")


@pytest.mark.parametrize("rows", [[], [["only one cell"]], [["id", "session", "wai"]]])
def test_sheets_without_a_table_say_so(write, rows):
    with pytest.raises(DataError, match=r"0 rows|no header"):
        read_sessions(write({"Data": rows}), **ASKED)


def test_a_header_goes_on_only_under_merged_cells():
    rows = [["id", "WAI", ""], ["", "i1", "i2"], ["a", 1, 2]]
    assert sheet_header(rows, [((0, 1), (0, 2))], "x").names == ("id", "WAI i1", "WAI i2")
    assert sheet_header(rows, [], "x").names == ("id", "WAI", "")


@pytest.mark.parametrize("option", [{"sheet": "2021"}, {"header_rows": 2}])
def test_options_for_sheets_are_refused_where_there_are_none(tmp_path, option):
    (tmp_path / "clinic.csv").write_text("id,session,wai\na,1,3\n")
    with pytest.raises(DataError, match=r"is given, but clinic\.csv is a file of delimited text"):
        read_sessions(tmp_path / "clinic.csv", **ASKED, **option)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"sheet": 1}, "Give the name of a sheet"),
        ({"sheet": []}, "Give the name of a sheet"),
        ({"header_rows": 0}, "Give the number of the row"),
        ({"header_rows": (3, 2)}, "Give the number of the row"),
        ({"header_rows": "2"}, "Give the number of the row"),
    ],
)
def test_options_for_sheets_that_make_no_sense_are_refused(write, option, message):
    with pytest.raises(DataError, match=message):
        read_sessions(write({"Data": SIMPLE}), **ASKED, **option)
