import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from alliance_stats.errors import ColumnError, DataError
from alliance_stats.report.sentences import Sentences
from alliance_stats.report.table_cells import grid
from alliance_stats.report.tables import ResultTable

FRAME = pd.DataFrame(
    {
        "term": ["(Intercept)", "alliance_within"],
        "estimate": [20.5, -0.62],
        "std_error": [1.25, 0.1],
        "df": [56.1, 418.0],
        "statistic": [16.4, -6.2],
        "p_value": [1e-20, 0.034],
        "ci_low": [18.0, -0.82],
        "ci_high": [23.0, -0.42],
    }
)
HOSTILE = [
    "<script>alert(1)</script>",
    '=HYPERLINK("http://x","y")',
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "a|b",
    "\\input{x}",
]


def _cells(table):
    return [[str(cell) for cell in line.cells] for line in grid(table).lines]


def test_columns_of_the_contract_are_formatted_by_name():
    assert _cells(ResultTable(FRAME, "T")) == [
        ["(Intercept)", "20.50", "1.25", "56.1", "16.40", "< .001", "[18.00, 23.00]"],
        ["alliance_within", "−0.62", "0.10", "418", "−6.20", ".034", "[−0.82, −0.42]"],
    ]


def test_headings_are_italic_where_apa_wants_it():
    html = ResultTable(FRAME, "T").to_html()
    assert '<th scope="col"><i>SE</i></th>' in html
    assert '<th scope="col">95% CI</th>' in html
    assert "ci_high" not in html


def test_a_column_has_the_same_decimals_throughout():
    table = ResultTable(pd.DataFrame({"x": ["a", "b", "c"], "y": [1.5, 0.0048, np.nan]}), "T")
    assert [row[1] for row in _cells(table)] == ["1.5000", "0.0048", "—"]


def test_kinds_by_row_leave_other_rows_blank():
    frame = pd.DataFrame({"what": ["r", "n", "x"], "kind": ["share", "count", "other"], "value": [0.28, 1234.0, 5.0]})
    table = ResultTable(frame, "T", formats={"value": {"share": "bounded", "count": "whole"}})
    assert _cells(table) == [["r", ".28"], ["n", "1,234"], ["x", ""]]


def test_blocks_get_their_heading_once():
    frame = pd.DataFrame({"block": ["A", "A", "B"], "what": ["x", "y", "z"], "n": [1, 2, 3]})
    assert _cells(ResultTable(frame, "T")) == [["A"], ["x", "1"], ["y", "2"], ["B"], ["z", "3"]]


def test_the_stub_stands_left():
    table = ResultTable(pd.DataFrame({"n": [1], "what": ["x"]}), "T", stub="what")
    assert _cells(table) == [["x", "1"]]


def test_the_decimal_comma_reaches_every_cell():
    row = _cells(ResultTable(FRAME, "T", decimal=","))[1]
    assert row == ["alliance_within", "−0,62", "0,10", "418", "−6,20", ",034", "[−0,82; −0,42]"]


def test_markdown_has_number_title_rule_and_notes():
    table = ResultTable(pd.DataFrame({"what": ["x"], "n": [1]}), "A Title", ("First.", Sentences("*N* = 1.")), number=1)
    assert table.to_markdown() == (
        "**Table 1**\n\n*A Title*\n\n| what | n |\n| :-- | :-: |\n| x | 1 |\n\n*Note.* First. *N* = 1.\n"
    )


def test_latex_has_three_horizontal_rules_and_no_vertical_one():
    latex = ResultTable(FRAME, "A_b", number=2).to_latex()
    assert [latex.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule", "|")] == [1, 1, 1, 0]
    assert r"\begin{tabular}{lcccccc}" in latex
    assert r"alliance\_within & $-$0.62 & 0.10" in latex


def test_csv_holds_every_digit(tmp_path):
    frame = pd.DataFrame({"what": ["x"], "value": [0.1 + 0.2]})
    text = ResultTable(frame, "T", formats={"value": "number:1"}).to_csv(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == text.encode()
    assert text == "what,value\nx,0.30000000000000004\n"


def test_csv_cells_that_look_like_formulas_get_an_apostrophe():
    text = ResultTable(pd.DataFrame({"=x": HOSTILE, "n": range(len(HOSTILE))}), "T").to_csv()
    back = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    assert list(back.columns) == ["'=x", "n"]
    assert [cell[0] for cell in back["'=x"][1:7]] == ["'"] * 6
    assert back["'=x"][0] == HOSTILE[0]


def test_csv_keeps_negative_numbers_and_missing_texts():
    text = ResultTable(pd.DataFrame({"what": ["x", None], "value": [-1.5, np.nan]}), "T").to_csv()
    assert text == "what,value\nx,-1.5\n,\n"


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)


def test_hostile_text_makes_no_tag_and_no_extra_cell():
    frame = pd.DataFrame({"<b>id</b>": HOSTILE, "n": range(len(HOSTILE))})
    table = ResultTable(frame, "<script>1</script>", ("<img src=x onerror=1>",))
    tags = _Tags()
    tags.feed(table.to_html(style=False))
    assert tags.seen == {"div", "table", "caption", "i", "thead", "tbody", "tr", "th", "td", "p"}
    lines = [line for line in table.to_markdown().splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}  # two columns
    assert r"\textbackslash{}input\{x\}" in table.to_latex()


def test_the_frame_is_not_changed_and_not_shared():
    frame = FRAME.copy()
    table = ResultTable(frame, "T")
    frame.loc[0, "term"] = "changed"
    table.to_csv()
    assert table.frame["term"][0] == "(Intercept)"


def test_a_misspelt_format_names_the_nearest_column():
    with pytest.raises(ColumnError, match=r"no column 'estimat'\. Did you mean 'estimate'\?"):
        ResultTable(FRAME, "T", formats={"estimat": "number"})


@pytest.mark.parametrize(
    ("kind", "says"), [("nummer", "Did you mean 'number'"), ("number:x", "count of decimals"), ("number:99", "0 to 15")]
)
def test_an_unknown_kind_is_refused(kind, says):
    with pytest.raises(DataError, match=says):
        ResultTable(FRAME, "T", formats={"estimate": kind})


def test_formats_by_kind_need_the_column_kind():
    with pytest.raises(ColumnError, match="has no column 'kind'"):
        ResultTable(FRAME, "T", formats={"estimate": {"sd": "number"}})


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(ColumnError, match="1 column name used twice"):
        ResultTable(pd.DataFrame([[1, 2]], columns=["a", "a"]), "T")


def test_text_in_a_number_column_says_so():
    with pytest.raises(DataError, match="1 value is no number: 'x'"):
        ResultTable(pd.DataFrame({"a": ["x"]}), "T", formats={"a": "number"}).to_html()


def test_an_empty_frame_is_an_empty_table():
    assert _cells(ResultTable(FRAME.iloc[:0], "T")) == []


def test_intervals_of_what_cannot_exceed_1_have_no_leading_zeros():
    frame = pd.DataFrame(
        {"r": [0.28, 0.5, float("nan")], "low": [-0.05, 0.4, float("nan")], "high": [0.32, 1.0, float("nan")]}
    )
    table = ResultTable(frame, "Correlations", formats={"r": "bounded", "low": "interval_bounded"}, stub="r")
    text = table.to_markdown()
    assert "[−.05, .32]" in text
    assert "[.40, 1.00]" in text
    assert "high" not in text  # shown in the cell before
