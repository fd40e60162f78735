import math

import numpy as np
import pandas as pd
import pytest

from alliance_stats.errors import DataError
from alliance_stats.report.numbers import (
    bounded,
    decimals_for,
    degrees_of_freedom,
    interval,
    number,
    p_value,
    whole,
    with_interval,
)


@pytest.mark.parametrize(
    ("x", "shown"),
    [
        (-0.62, "\u22120.62"),  # true minus sign, U+2212
        (0.6249, "0.62"),
        (1234.5, "1234.50"),
        (0.0048, "0.0048"),  # two significant digits kept
        (0.036, "0.036"),
        (-0.000001, "0.0000"),  # four decimals at most, and no minus before a zero
        (0, "0.00"),
        (-0.0, "0.00"),
        (math.nan, "—"),
        (None, "—"),
        (pd.NA, "—"),
        (-math.inf, "\u2212∞"),
        (np.float64(2.5), "2.50"),
    ],
)
def test_a_number_reads_as_in_apa_7(x, shown):
    assert number(x) == shown


def test_fixed_decimals_can_be_asked_for():
    assert number(0.0048, 2, keep_small=False) == "0.00"
    assert number(-0.004, 2, keep_small=False) == "0.00"


def test_decimal_comma_parts_an_interval_by_a_semicolon():
    assert number(-1.5, decimal=",") == "−1,50"
    assert interval(-1.5, 2, decimal=",") == "[−1,50; 2,00]"
    assert p_value(0.034, decimal=",") == "= ,034"


@pytest.mark.parametrize(
    ("x", "shown"), [(0.278, ".28"), (-0.28, "−.28"), (1.0, "1.00"), (-1, "−1.00"), (0, ".00"), (math.nan, "—")]
)
def test_what_cannot_exceed_one_has_no_leading_zero(x, shown):
    assert bounded(x) == shown


@pytest.mark.parametrize(
    ("p", "shown"),
    [
        (0.034, "= .034"),
        (0.00099, "< .001"),
        (0, "< .001"),
        (0.001, "= .001"),
        (0.9996, "> .999"),
        (1, "> .999"),
        (0.999, "= .999"),
        (None, "= —"),
    ],
)
def test_a_p_value_carries_its_relation(p, shown):
    assert p_value(p) == shown


def test_a_p_value_outside_its_range_is_refused():
    with pytest.raises(DataError, match=r"1 p value lies outside 0 to 1: 1\.2"):
        p_value(1.2)


def test_an_interval_has_the_same_decimals_at_both_ends():
    assert interval(-0.82, -0.42) == "[−0.82, −0.42]"
    assert interval(0.0264, 0.0457) == "[0.026, 0.046]"  # the width .0193 needs three for two digits


def test_an_interval_shows_on_which_side_of_zero_it_ends():
    assert interval(0.003, 0.82) == "[0.003, 0.820]"


def test_an_interval_of_missing_ends_keeps_its_shape():
    assert interval(None, math.inf) == "[—, ∞]"


@pytest.mark.parametrize(
    ("df", "shown"), [(418, "418"), (418.3, "418"), (12.42, "12.4"), (12.0, "12"), (math.inf, "∞"), (math.nan, "—")]
)
def test_degrees_of_freedom_have_a_decimal_only_when_few(df, shown):
    assert degrees_of_freedom(df) == shown


def test_counts_are_grouped():
    assert (whole(999), whole(12345), whole(12345, decimal=",")) == ("999", "12,345", "12\u202f345")


def test_decimals_follow_the_smallest_value_within_bounds():
    assert decimals_for(6.8, 0.0048) == 4
    assert decimals_for(6.8, 0.036) == 3
    assert decimals_for(6.8, 0, math.nan) == 2  # zero and missing do not count
    assert decimals_for(1e-9) == 4


@pytest.mark.parametrize("bad", ["0.5", "", [1.0], object()])
def test_text_is_no_number(bad):
    with pytest.raises(DataError, match="1 value is no number"):
        number(bad)


def test_an_unknown_decimal_mark_is_refused():
    with pytest.raises(DataError, match=r"';'\. Use '\.' or ','"):
        number(1, decimal=";")


def test_an_estimate_has_the_decimals_of_its_interval():
    assert with_interval(0.2914, 0.2481, 0.3342) == "0.291 [0.248, 0.334]"
    assert with_interval(-0.2, -1.0, 0.6) == "−0.20 [−1.00, 0.60]"
    assert with_interval(0.1, 0.0004, 0.2) == "0.1000 [0.0004, 0.2000]"  # on which side of zero it lies
    assert with_interval(0.5, float("nan"), float("nan")) == "0.50 [—, —]"
