import numpy as np
import pandas as pd
import pytest
from metafor_records import data, needs_golden, result
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import ColumnError, DataError

SHEET = pd.DataFrame(
    {
        "study": ["a", "a", "b", "c"],
        "r": [0.3, np.nan, -0.2, np.nan],
        "t": [np.nan, 2.0, np.nan, np.nan],
        "n": [20, 40, 50, 30],
        "measure": ["BDI", "BDI", "ORS", "ORS"],
    }
)


@needs_golden
@pytest.mark.parametrize(("dataset", "r", "n"), [("dat_molloy2014", "ri", "ni"), ("mac_positive_regard_es", "r", "n")])
def test_fisher_z_is_metafors(dataset, r, n):
    effects = als.meta.effect_sizes(data(dataset).drop(columns=["yi", "vi"]), r=r, n=n)
    expected = result(dataset, "escalc_ZCOR")
    assert_allclose(effects["yi"], expected["yi"], rtol=1e-10)
    assert_allclose(effects["vi"], expected["vi"], rtol=1e-10)


def test_the_frame_keeps_its_columns_and_is_not_changed():
    before = SHEET.copy(deep=True)
    effects = als.meta.effect_sizes(SHEET, r="r", n="n")
    pd.testing.assert_frame_equal(SHEET, before)
    assert list(effects.columns) == [*SHEET.columns, "yi", "vi"]
    assert effects["yi"].isna().tolist() == effects["vi"].isna().tolist() == [False, True, False, True]


def test_missing_correlations_come_from_another_statistic_and_say_so():
    effects = als.meta.effect_sizes(SHEET, "COR", r="r", n="n", t="t")
    assert effects["r_from"].tolist() == ["r", "t", "r", ""]
    assert_allclose(effects["yi"][1], 2 / np.sqrt(4 + 38))  # by hand: t/√(t² + n − 2)
    assert np.isnan(effects["yi"][3])


def test_better_outcomes_are_positive():
    mapped = als.meta.effect_sizes(
        SHEET, "COR", r="r", n="n", higher={"BDI": "worse", "ORS": "better"}, outcome="measure"
    )
    assert_allclose(mapped["yi"], [-0.3, np.nan, -0.2, np.nan])
    assert_allclose(als.meta.effect_sizes(SHEET, "COR", r="r", n="n", higher="worse")["yi"], -SHEET["r"])
    by_column = SHEET.assign(direction=["worse", "worse", "better", "better"])
    assert_allclose(als.meta.effect_sizes(by_column, "COR", r="r", n="n", higher="direction")["yi"], mapped["yi"])


def test_an_outcome_without_direction_is_named():
    with pytest.raises(DataError, match=r"2 of 4 outcomes in 'measure' have no direction \(first at row 2, study 'b'"):
        als.meta.effect_sizes(SHEET, r="r", n="n", higher={"BDI": "worse"}, outcome="measure")
    with pytest.raises(DataError, match="neither 'better' nor 'worse'"):
        als.meta.effect_sizes(SHEET.assign(way="up"), r="r", n="n", higher="way")
    with pytest.raises(DataError, match="Name it with outcome="):
        als.meta.effect_sizes(SHEET, r="r", n="n", higher={"BDI": "worse"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r": [1.2, 0.1, 0.2, -3]}, r"2 of 4 correlations lie outside \[−1, 1\] \(first at row 0, study 'a': 1.2\)"),
        ({"r": [0.1, 0.1, 1.0, 0.2]}, r"1 of 4 correlations are 1 or −1 \(first at row 2, study 'b': 1\)"),
        ({"r": 0.1, "n": [20, 3, 50, 2]}, r"2 of 4 sample sizes are below 4 \(first at row 1, study 'a': 3\)"),
        ({"r": ["x", ".2", ".3", ".1"]}, r"1 of 4 values of 'r' are no numbers \(first at row 0"),
    ],
)
def test_impossible_values_are_refused_with_count_and_place(change, message):
    with pytest.raises(DataError, match=message):
        als.meta.effect_sizes(SHEET.assign(**change), r="r", n="n")


def test_a_measure_says_what_it_needs():
    with pytest.raises(ColumnError, match="SMD needs m1, m2, sd1, sd2, n1, n2; 5 of them not named"):
        als.meta.effect_sizes(SHEET, "SMD", n1="n")
    with pytest.raises(DataError, match="Did you mean 'ZCOR'"):
        als.meta.effect_sizes(SHEET, "ZCORR", r="r", n="n")
    with pytest.raises(ColumnError, match="Did you mean 'n'"):
        als.meta.effect_sizes(SHEET, r="r", n="N ")


def test_regression_weights_are_refused_with_the_reason():
    with pytest.raises(DataError, match="depends on which other predictors"):
        als.meta.effect_sizes(SHEET, beta="r", n="n")


def test_a_standardised_difference_can_come_from_d():
    effects = als.meta.effect_sizes(SHEET.assign(d=0.5), "SMD", d="d", n1=20, n2=20)
    j = 1 - 3 / (4 * 38 - 1)
    assert_allclose(effects["yi"], 0.5 * j, rtol=3e-5)  # j is Hedges' approximation of the exact factor
    assert_allclose(effects["vi"], 1 / 10 + effects["yi"] ** 2 / 80)


def test_one_number_may_stand_for_a_column():
    assert_allclose(als.meta.effect_sizes(SHEET, r="r", n=28)["vi"].dropna(), 1 / 25)


def test_correlations_come_from_a_table_of_cells():
    cells = pd.DataFrame(
        {"ai": [5, np.nan], "bi": [10, 4], "ci": [3, 6], "di": [20, 6], "r": [np.nan, 0.2], "n": [np.nan, 20]}
    )
    named = {name: name for name in ("ai", "bi", "ci", "di")}
    effects = als.meta.effect_sizes(cells, "COR", r="r", n="n", **named)
    assert effects["r_from"].tolist() == ["2x2", "r"]
    # by hand: (5·20 − 10·3)/√(15·23·8·30), of 38 cases
    assert_allclose(effects["yi"], [70 / np.sqrt(15 * 23 * 8 * 30), 0.2], rtol=1e-12)
    assert_allclose(als.meta.effect_sizes(cells.head(1), **named)["vi"], [1 / 35], rtol=1e-12)
    with pytest.raises(DataError, match="cells bi are negative"):
        als.meta.effect_sizes(cells.assign(bi=-1.0), **named)


def test_an_effect_of_zero_has_no_sign():
    effects = als.meta.effect_sizes(SHEET.assign(r=0.0), r="r", n="n", higher="worse")
    assert not np.signbit(effects["yi"]).any()
