"""Dates are never guessed; ids are texts in natural order."""

import datetime

import numpy as np
import pandas as pd
import pytest

from alliance_stats.data.dates import read_dates
from alliance_stats.data.ids import natural_key, read_ids
from alliance_stats.data.numbers import find_decimal, number_texts, numbers
from alliance_stats.errors import DataError


def dates(*words, **options):
    return read_dates(pd.Series(list(words), dtype="str"), ("", "NA"), **options)


def iso(read):
    return [None if pd.isna(date) else date.date().isoformat() for date in read.dates]


@pytest.mark.parametrize(
    "word", ["2021-01-05", "2021/1/5", "2021.01.05", "20210105", "2021-01-05 14:30", "2021-01-05T14:30:10.5+02:00"]
)
def test_year_first_is_always_understood(word):
    assert iso(dates(word)) == ["2021-01-05"]


def test_a_thirteen_decides_for_all():
    assert iso(dates("05.01.2021", "13.01.2021")) == ["2021-01-05", "2021-01-13"]
    assert iso(dates("05/01/2021", "05/13/2021")) == ["2021-05-01", "2021-05-13"]


def test_nothing_decides_where_all_could_be_swapped():
    read = dates("05.01.2021", "03.03.2021", "NA")
    assert read.order == "undecided"
    assert read.unclear.tolist() == [True, False, False]  # 3 March is 3 March either way
    assert iso(read)[1] == "2021-03-03"


def test_values_may_contradict_each_other():
    assert dates("13.01.2021", "01.13.2021").order == "contradictory"


@pytest.mark.parametrize(
    "word", ["31.02.2021", "2021-02-30", "5.1.21", "4420", "14201", "yesterday", "13.13.2021", "2021-W05"]
)
def test_what_is_no_date_is_bad(word):
    read = dates(word, "14.01.2021")
    assert read.bad.tolist() == [True, False]
    assert iso(read)[0] is None


def test_a_given_format_is_the_only_one():
    read = dates("05.01.21", "2021-01-05", "", date_format="%d.%m.%y")
    assert iso(read) == ["2021-01-05", None, None]
    assert read.bad.tolist() == [False, True, False]


def test_a_senseless_format_says_so():
    with pytest.raises(DataError, match="date_format='%Q' is not understood"):
        dates("05.01.21", date_format="%Q")


def test_dates_of_a_frame_are_taken_as_they_are():
    values = pd.Series([datetime.date(2021, 1, 5), None])
    assert iso(read_dates(values, ("",))) == ["2021-01-05", None]
    zoned = pd.Series(pd.to_datetime(["2021-01-05 23:30+02:00"]))
    assert iso(read_dates(zoned, ("",))) == ["2021-01-05"]  # the clock on the wall


def test_natural_order_reads_digits_as_numbers():
    words = ["P10", "P2", "p1", "10", "2", "007", "P2a", "x"]
    assert sorted(words, key=natural_key) == ["2", "007", "10", "p1", "P2", "P2a", "P10", "x"]


def test_ids_are_stripped_and_counted():
    ids = read_ids(pd.Series(["a", " a", "NA", None, "b"]), ("", "NA"))
    assert ids.codes.tolist() == [0, 0, -1, -1, 1]
    assert ids.words == ("a", "b")
    assert ids.stripped.tolist() == [False, True, False, False, False]


def test_mixed_cells_of_a_frame_are_one_kind_of_id():
    assert read_ids(pd.Series([7, "7", 7.0, np.float64(8)], dtype=object), ("",)).words == ("7", "8")


@pytest.mark.parametrize(
    ("words", "mark"),
    [
        (["3,5", "4"], ","),
        (["3.5", "4"], "."),
        (["3", "4"], "none"),
        (["3,5", "3.5"], "unclear"),
        (["1.234,5"], "none"),  # no number with either mark; it is left to be listed as a fault
    ],
)
def test_decimal_mark_is_found(words, mark):
    assert find_decimal([number_texts(pd.Series(words, dtype="str"))], "semicolon (found)") == mark


def test_numbers_of_frames_know_no_decimal_mark():
    values, bad = numbers(number_texts(pd.Series([1.5, np.nan, -99])), ",", ("", "-99"))
    assert np.array_equal(values, [1.5, np.nan, np.nan], equal_nan=True)
    assert not bad.any()


def test_serial_numbers_of_spreadsheets_are_days_since_the_end_of_1899():
    read = dates("44201", "44201.5", "14.01.2021")
    # 44201 is what spreadsheets show as 2021-01-05; .5 is noon
    assert read.dates.astype(str).tolist() == ["2021-01-05 00:00:00", "2021-01-05 12:00:00", "2021-01-14 00:00:00"]
    assert read.serial.tolist() == [True, True, False]
    assert not read.bad.any()


def test_serial_numbers_from_1904_have_to_be_told():
    read = read_dates(pd.Series(["42739", "x"]), ("",), "excel-1904")
    assert iso(read)[0] == "2021-01-05"  # 1904-01-01 and 42739 days
    assert read.bad.tolist() == [False, True]


def test_english_names_of_months_leave_nothing_open():
    read = dates("05-JAN-2021", "5 January 2021", "05Jan2021 10:30", "5 Foo 2021", "5 Marble 2021", "31 Jun 2021")
    assert iso(read)[:3] == ["2021-01-05"] * 3
    assert read.bad.tolist() == [False, False, False, True, True, True]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["17.0", "17", "3.0"], ["17", "17", "3"]),
        (["17,0", "017"], ["17", "017"]),
        (["1.0", "1.1"], ["1.0", "1.1"]),  # a site and a number: 1.0 is a name of its own
        (["v2.0", "x"], ["v2.0", "x"]),
    ],
)
def test_ids_that_a_float_wrote_lose_their_point(ids, expected):
    read = read_ids(pd.Series(ids), ("",))
    assert read.column().tolist() == expected
    assert read.decimals.tolist() == [one != other for one, other in zip(ids, expected, strict=True)]
