"""No text of the data becomes a formula, in whatever program a file is opened."""

import csv
import io
import re
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alliance_stats.cells import harmless, harmless_cell
from alliance_stats.report.tables import ResultTable

RUNS = re.compile('[\\s\u200b-\u200f\u2060\ufeff"]*[=+\\-@＝＋－＠]')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('=HYPERLINK("http://x","y")', '\'=HYPERLINK("http://x","y")'),
        ("+49 30 1", "'+49 30 1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1", "'＝1"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        ("\t=1", "'\t'=1"),
        (" =1", " '=1"),
        ("\u200b=1", "\u200b'=1"),
        ('"=1"', '"\'=1"'),
        ("\x00=1", "'=1"),
        ("a;=1;+2", "a;'=1;'+2"),
        (";=1", ";'=1"),
        ("a\n=1", "a\n'=1"),
        ("\ud800x", "\ufffdx"),
    ],
)
def test_formulas_get_an_apostrophe_where_a_program_would_start_them(text, expected):
    assert harmless(text) == expected


HARMLESS = ["", "WAI-SR", "a = b", "1-5", "x@y", "Zürich; Bern", "'=1", "<script>", "a\nb", "−0.5"]


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays_as_it_is(text):
    assert harmless(text) == text
    assert harmless_cell(text) is text


class Formula:
    def __str__(self):
        return "=1+1"


@pytest.mark.parametrize("value", [None, -1, -1.5, np.float64(-2), np.int64(-3), Decimal("-1"), date(2024, 1, 2), True])
def test_numbers_and_dates_stay_what_they_are(value):
    assert harmless_cell(value) is value


def test_a_thing_that_prints_a_formula_becomes_harmless_text():
    assert harmless_cell(Formula()) == "'=1+1"
    assert harmless_cell(["x"]) == ["x"]


def cells(text, delimiter):
    return [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) for cell in row]


@given(st.lists(st.text(alphabet="=+-@\t\r\n;,\" 'ax＝\u200b\x00\ud800", max_size=12), min_size=1, max_size=4))
@example(["x;=1", 'a,"b;=1', '"\n=1'])
def test_no_cell_of_a_written_table_runs_whatever_the_delimiter_of_the_program(texts):
    heading = texts[0].replace("\ud800", "") + "."  # pyarrow takes no halves of characters in names of columns
    frame = pd.DataFrame({heading: pd.Series(texts, dtype="object"), "n": range(len(texts))})
    written = ResultTable(frame, "T").to_csv()
    written.encode("utf-8")
    for delimiter in ",;\t":
        assert [cell for cell in cells(written, delimiter) if RUNS.match(cell)] == []


def test_a_table_with_halves_of_characters_can_be_written(tmp_path):
    table = ResultTable(pd.DataFrame({"id": pd.Series(["\ud800"], dtype="object"), "n": [1]}), "T")
    table.to_csv(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "id,n\n\ufffd,1\n"
