"""Small counts are not shown, nor what is told by them; everything else stays."""

import numpy as np
import pandas as pd
import pytest

from alliance_stats.errors import DataError
from alliance_stats.report.small_cells import (
    Suppressed,
    check_min_cell,
    few,
    is_count,
    is_small,
    suppress,
    suppress_table,
)
from alliance_stats.report.tables import ResultTable

MEANS = pd.DataFrame(
    {"at": [-1, 0, 1], "mean": [3.1, 3.2, 3.3], "ci_low": [3.0] * 3, "ci_high": [3.5] * 3, "n": [12, 4, 5]}
)


def test_a_small_count_and_the_mean_that_rests_on_it_disappear():
    shown = suppress(MEANS, 5)
    assert shown["n"].tolist() == [12, "< 5", 5]
    assert isinstance(shown["n"][1], Suppressed)
    assert shown["mean"].tolist()[::2] == [3.1, 3.3]
    assert shown.loc[1, ["mean", "ci_low", "ci_high"]].isna().all()
    assert shown["at"].tolist() == [-1, 0, 1]


def test_nothing_changes_where_no_count_is_small():
    pd.testing.assert_frame_equal(suppress(MEANS, 1), MEANS)
    pd.testing.assert_frame_equal(suppress(MEANS, 4), MEANS)
    table = ResultTable(MEANS, "T")
    assert suppress_table(table, 4) is table


def test_zero_is_no_person_and_is_shown():
    assert suppress(pd.DataFrame({"n": [0, 1]}), 5)["n"].tolist() == [0, "< 5"]


@pytest.mark.parametrize(
    ("n", "small"),
    [
        *((n, True) for n in (1, 4, 4.0, np.int64(3))),
        *((n, False) for n in (5, 0, -3, "3", None, float("nan"), True)),
    ],
)
def test_small_is_above_zero_and_below_the_least_that_may_be_shown(n, small):
    assert is_small(n, 5) is small


def test_columns_of_counts_are_known_by_name():
    assert [name for name in ("n", "n_patients", "n_only_this", "n_parameters", "name", "mean") if is_count(name)] == [
        "n",
        "n_patients",
        "n_only_this",
    ]


def test_rows_of_counts_in_a_model_table_are_counts_but_for_parameters():
    frame = pd.DataFrame(
        {
            "term": ["slope", "Patients", "Parameters", "Rows left out"],
            "kind": ["coefficient", "count", "count", "count"],
            "estimate": [2.0, 40.0, 3.0, 2.0],
        }
    )
    assert suppress(frame, 5)["estimate"].tolist() == [2.0, 40.0, 3.0, "< 5"]


def test_page_csv_and_other_formats_show_the_same_and_say_so():
    frame = pd.DataFrame({"what": ["Therapists", "Changes"], "n": [1200, 3], "value": ["7 (5–14)", "2 (1–2)"]})
    table = suppress_table(ResultTable(frame, "T", ("Own note.",), formats={"value": "text"}), 5)
    assert table.to_csv() == "what,n,value\nTherapists,1200,7 (5–14)\nChanges,< 5,\n"
    html, markdown = table.to_html(style=False), table.to_markdown()
    assert "<td>&lt; 5</td>" in html
    assert "<td>1,200</td>" in html
    assert "| Changes | < 5 |" in markdown
    assert "$<$ 5" in table.to_latex()
    for written in (html, markdown):
        assert "Own note." in written
        assert "Counts below 5 are not shown." in written
    for written in (html, markdown, table.to_latex(), table.to_csv()):
        assert "2 (1" not in written


def test_a_model_table_with_a_hidden_count_can_be_written():
    frame = pd.DataFrame(
        {"term": ["slope", "Rows left out"], "kind": ["coefficient", "count"], "estimate": [0.1 + 0.2, 2.0]}
    )
    formats = {"estimate": {"coefficient": "number", "count": "whole"}}
    table = suppress_table(ResultTable(frame, "T", formats=formats), 5)
    assert "&lt; 5" in table.to_html()
    assert "0.30000000000000004" in table.to_csv()


@pytest.mark.parametrize(("n", "words"), [(0, "0 patients"), (1, "fewer than 5 patients"), (5, "5 patients")])
def test_few_people_are_named_as_few(n, words):
    assert few(n, "patient", 5) == words
    assert few(1, "patient", 1) == "1 patient"


@pytest.mark.parametrize("min_cell", [0, -1, 2.5, True, "5", None])
def test_a_least_count_that_is_none_is_refused(min_cell):
    with pytest.raises(DataError, match=r"min_cell is .* 1 \(all\) or more"):
        check_min_cell(min_cell)


def test_the_frame_is_not_changed():
    before = MEANS.copy(deep=True)
    suppress(MEANS, 10)
    pd.testing.assert_frame_equal(MEANS, before)
