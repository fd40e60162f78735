"""Reliable change against clinicalsignificance (tests/golden/clinicalsignificance) and sums by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from alliance_stats.engine.reliability.change import (
    change_rule,
    cutoff_between,
    difference_reliability,
    one_sided_criterion,
    points_rule,
    two_sided_criterion,
    wilson_interval,
)
from alliance_stats.errors import DesignError

HOME = Path(__file__).parents[1] / "golden" / "clinicalsignificance"
CASES = json.loads((HOME / "change.json").read_text(encoding="utf-8"))["cases"]
METHODS = {
    "JT": "jacobson-truax",
    "GLN": "gulliksen-lord-novick",
    "EN": "edwards-nunnally",
    "HA": "hageman-arrindell",
}


def scores(case):
    return np.array(case["pre"], float), np.array(case["post"], float)


@pytest.mark.parametrize("name", CASES)
def test_indices_are_those_of_clinicalsignificance(name, clinical_cases):
    case = clinical_cases[name]
    pre, post = scores(case)
    rule = change_rule(METHODS[case["method"]], case["reliability"], pre.std(ddof=1), pre, post)
    assert_allclose(rule.index(pre, post), case["rci"], rtol=1e-12, atol=1e-12)


def test_the_four_methods_by_hand():
    pre, post = np.array([10.0, 20.0, 30.0]), np.array([8.0, 8.0, 20.0])  # mean 20, means differ by 8
    r, sd = 0.84, 10.0  # noise: 10 √.16 = 4
    assert_allclose(
        change_rule("jacobson-truax", r, sd, pre, post).index(pre, post), np.array([-2, -12, -10]) / 32**0.5
    )
    expected = 20 + 0.84 * (pre - 20)
    gulliksen = change_rule("gulliksen-lord-novick", r, sd, pre, post)
    assert_allclose(gulliksen.index(pre, post), (post - expected) / (10 * (1 - 0.84**2) ** 0.5))
    assert_allclose(change_rule("edwards-nunnally", r, sd, pre, post).index(pre, post), (post - expected) / 4)
    # variance of the differences (−2, −12, −10) is 28; twice the noise is 32 squared points: nothing is left
    with pytest.raises(DesignError, match="vary no more than noise does"):
        change_rule("hageman-arrindell", r, sd, pre, post)
    # with r = .96 the noise is 2 points: 1 − 8 / 28 = 5/7 of the differences is reliable
    own = 5 / 7
    expected_index = ((post - pre) * own + (-8) * (1 - own)) / (own**0.5 * 8**0.5)
    assert_allclose(change_rule("hageman-arrindell", 0.96, sd, pre, post).index(pre, post), expected_index)
    assert_allclose(difference_reliability(2.0, pre, post), own)


def test_criteria_are_those_of_the_normal_distribution():
    assert_allclose([two_sided_criterion(), one_sided_criterion()], [1.959963984540054, 1.6448536269514722], rtol=1e-15)


def test_published_points_count_from_the_point_itself_on():
    rule = points_rule(6)
    change = rule.index(np.array([20.0, 20.0, 20.0]), np.array([14.0, 15.0, 26.0]))
    assert rule.beyond(change).tolist() == [True, False, True]


def test_cutoff_b_takes_the_standard_deviation_of_the_functional_population():
    # clinicalsignificance 1.2.0 takes that of the clinical one; Jacobson and Truax (1991) do not
    cutoff = CASES["bdi/JT b"]["cutoff"]
    assert_allclose(cutoff["value"], cutoff["m_functional"] + 2 * cutoff["sd_clinical"], rtol=1e-14)
    assert cutoff_between("b", (cutoff["m_clinical"], cutoff["sd_clinical"]), (8, 7), 1) == 8 + 2 * 7


@pytest.mark.parametrize("name", ["gds/JT", "bdi/JT a", "bdi/JT c"])
def test_cutoffs_are_those_of_clinicalsignificance(name):
    cutoff = CASES[name]["cutoff"]
    functional = None if cutoff["m_functional"] is None else (cutoff["m_functional"], cutoff["sd_functional"])
    ours = cutoff_between(cutoff["type"], (cutoff["m_clinical"], cutoff["sd_clinical"]), functional, 1)
    assert_allclose(ours, cutoff["value"], rtol=1e-14)


def test_cutoffs_turn_round_where_higher_is_better():
    for kind in ("a", "b", "c"):
        up = cutoff_between(kind, (30, 5), (10, 4), 1)
        assert_allclose(cutoff_between(kind, (-30, 5), (-10, 4), -1), -up)


def test_wilsons_interval_is_that_of_statsmodels():
    from statsmodels.stats.proportion import proportion_confint

    for n, total in ((0, 12), (3, 12), (12, 12), (250, 1000)):
        assert_allclose(wilson_interval(n, total, two_sided_criterion()),
                        proportion_confint(n, total, method="wilson"), rtol=1e-12, atol=1e-15)  # fmt: skip
