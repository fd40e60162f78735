import copy
import pickle

import numpy as np
import pandas as pd
import pytest

from alliance_stats.errors import ColumnError, DataError
from alliance_stats.report.sentences import (
    Sentences,
    estimate_part,
    full,
    higher_or_lower,
    join,
    literal,
    statistic_part,
)

# the example of the design paper, ecosystem.md "Sentences"
ROW = {
    "term": "alliance_within",
    "estimate": -0.62,
    "std_error": 0.10,
    "df": 418.0,
    "statistic": -6.2,
    "p_value": 1e-8,
    "ci_low": -0.82,
    "ci_high": -0.42,
}


def test_the_whole_part_reads_as_in_apa_7():
    assert full(ROW) == "b = −0.62, SE = 0.10, 95% CI [−0.82, −0.42], t(418) = −6.20, p < .001"


def test_markdown_has_italics_and_nothing_else():
    assert full(ROW).markdown == ("*b* = −0.62, *SE* = 0.10, 95% CI [−0.82, −0.42], *t*(418) = −6.20, *p* < .001")


def test_latex_has_emphasis_and_mathematical_signs():
    assert statistic_part(ROW).latex == r"\emph{t}(418) = $-$6.20, \emph{p} $<$ .001"


def test_html_is_escaped():
    assert statistic_part(ROW).html == "<i>t</i>(418) = −6.20, <i>p</i> &lt; .001"


@pytest.mark.parametrize("df", [np.inf, np.nan, None])
def test_without_finite_degrees_of_freedom_the_statistic_is_z(df):
    assert statistic_part({**ROW, "df": df}) == "z = −6.20, p < .001"


def test_a_series_will_do():
    assert full(pd.Series(ROW)) == full(ROW)


def test_the_standard_error_sets_the_decimals():
    small = {**ROW, "estimate": 0.036008, "std_error": 0.004799, "ci_low": 0.0264, "ci_high": 0.0457}
    assert estimate_part(small) == "b = 0.0360, SE = 0.0048, 95% CI [0.0264, 0.0457]"


def test_what_is_missing_is_left_out():
    bare = {"estimate": 0.28, "std_error": np.nan, "ci_low": np.nan, "ci_high": np.nan}
    assert estimate_part(bare, symbol="r") == "r = 0.28"


def test_confidence_is_named():
    assert "90% CI [" in estimate_part(ROW, confidence=0.9)


def test_a_row_without_its_column_names_the_nearest():
    with pytest.raises(ColumnError, match=r"no 'std_error'\. Did you mean 'std_err'\?"):
        estimate_part({"estimate": 1.0, "std_err": 1.0, "ci_low": 0.0, "ci_high": 2.0})


def test_joining_keeps_italics_and_takes_plain_text_as_it_is():
    text = join("a*b* rose,", statistic_part(ROW)) + "."
    assert text == "a*b* rose, t(418) = −6.20, p < .001."
    assert text.html == "a*b* rose, <i>t</i>(418) = −6.20, <i>p</i> &lt; .001."
    assert ("So " + Sentences("*b*")).html == "So <i>b</i>"


def test_literal_text_stays_what_it_was():
    name = r"wai*2*\x"
    assert Sentences(f"*b* of {literal(name)}") == rf"b of {name}"
    assert "<i>2</i>" not in Sentences(f"*b* of {literal(name)}").html


@pytest.mark.parametrize("source", ["2 * 3 * 4", "*", "**", "a * b", "* a*"])
def test_stars_that_touch_no_word_are_stars(source):
    assert Sentences(source) == source


def test_hostile_text_is_neutral_in_every_language():
    text = Sentences("<script>alert(1)</script> [x](javascript:1) $x$ 5% \\input{a} & `c`")
    assert "<script" not in text.html
    assert r"\<script>" in text.markdown
    assert r"\](" in text.markdown
    assert r"\`c\`" in text.markdown
    assert r"\$x\$ 5\% \textbackslash{}input\{a\} \& `c`" in text.latex


def test_line_starts_make_no_heading_or_list():
    assert Sentences("# a").markdown == r"\# a"
    assert Sentences("1. a").markdown == r"1\. a"
    assert Sentences("- a").markdown == r"\- a"


def test_control_and_direction_characters_vanish():
    assert Sentences("a\x00b\u202ec\nd") == "abc d"


def test_copies_and_pickles_keep_the_source():
    text = Sentences(r"\*a\* *b*")
    for twin in (copy.deepcopy(text), pickle.loads(pickle.dumps(text)), Sentences(text)):
        assert (twin, twin.html) == ("*a* b", "*a* <i>b</i>")


def test_direction_words():
    assert [higher_or_lower(x) for x in (0.1, -0.1, 0)] == ["higher", "lower", "equal"]
    assert higher_or_lower(-3, "rose", "fell") == "fell"


def test_a_missing_estimate_has_no_direction():
    with pytest.raises(DataError, match="missing and has no direction"):
        higher_or_lower(np.nan)
