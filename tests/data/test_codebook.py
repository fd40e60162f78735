"""The codebook says what each column means, and is written so that nothing in it can run."""

import re

import pytest

from alliance_stats.data.codebook import SHOWN, Codebook, Variable
from alliance_stats.data.read_sessions import read_sessions

HOSTILE = ('=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "<script>alert(1)</script>", "a|b")
BOOK = Codebook(
    (
        Variable("patient_id", "Patient", "id", made_from="pid", type="text"),
        Variable(
            *("alliance", "WAI-SR", "score", 1.0, 5.0, "better", "wai", "number", ("-99",)),
            {"1": "rarely", "5": "always"},
        ),
        Variable("low_only", low=0.0),
    )
)


def test_it_is_an_attribute_and_can_be_called():
    assert BOOK() is BOOK


def test_its_frame_has_the_old_columns_first():
    assert list(BOOK.frame) == [
        *("name", "label", "role", "low", "high", "higher", "made_from", "type", "missing", "value_labels")
    ]


def test_shown_in_words():
    shown = BOOK.shown()
    assert list(shown) == SHOWN
    assert shown.iloc[1].tolist() == [
        *("alliance", "WAI-SR", "number", "1 to 5", "better", "-99", "1 = rarely; 5 = always", "wai")
    ]
    assert shown["Range"].tolist() == ["", "1 to 5", "from 0"]


def test_what_is_read_is_described_in_full(tmp_path):
    path = tmp_path / "clinic.csv"
    path.write_text("pid,s,day,wai,phq,note\na,1,2021-01-05,3.5,12,x\n")
    scores = {"wai": {"column": "wai", "range": (1, 5), "higher": "better", "label": "WAI-SR"}, "phq": "phq"}
    book = read_sessions(path, patient="pid", session="s", date="day", scores=scores, keep="note").codebook()
    assert book.shown()["Type"].tolist() == ["text", "whole number", "date", "number", "whole number", "text"]
    assert book.shown()["How it was made"].tolist() == ["pid", "s", "day", "wai", "phq", "note"]
    assert book["wai"].missing == ("NA",)


@pytest.fixture
def hostile():
    return Codebook(tuple(Variable(f"v{at}", text, made_from=text) for at, text in enumerate(HOSTILE)))


def test_html_is_escaped(hostile, tmp_path):
    page = hostile.to_html(tmp_path / "codebook.html")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert (tmp_path / "codebook.html").read_text() == page
    assert hostile._repr_html_() == page


def test_markdown_has_one_line_per_variable_and_as_many_bars(hostile, tmp_path):
    text = hostile.to_markdown(tmp_path / "codebook.md")
    lines = text.splitlines()
    assert len(lines) == 2 + len(HOSTILE)
    bars = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert bars == {len(SHOWN) + 1}
    assert "<script" not in text.replace(r"\<script", "")  # a backslash makes it a letter


def test_excel_holds_no_formulas(hostile, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    hostile.to_excel(tmp_path / "codebook.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "codebook.xlsx").active
    assert [cell.value for cell in sheet[1]] == SHOWN
    for row, text in zip(sheet.iter_rows(min_row=2), HOSTILE, strict=True):
        assert row[1].data_type == "s"
        assert row[1].value == (f"'{text}" if text[0] in "=+-@" else text)


def test_excel_needs_its_extra(hostile, tmp_path, monkeypatch):
    import sys

    from alliance_stats.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'alliance-stats\[excel\]'"):
        hostile.to_excel(tmp_path / "codebook.xlsx")
