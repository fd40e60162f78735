import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from alliance_stats.errors import DataError
from alliance_stats.meta import convert

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(2, 40))
Y = Y + 0.4 * X
R = np.corrcoef(X, Y)[0, 1]
REGRESSION = stats.linregress(X, Y)


def test_t_and_p_and_f_of_a_regression_give_back_its_correlation():
    t = REGRESSION.slope / REGRESSION.stderr
    assert_allclose(convert.r_from_t(t, 40).estimate, R)
    assert_allclose(convert.r_from_f(t**2, 40).estimate, R)
    assert_allclose(convert.r_from_p(REGRESSION.pvalue, 40).estimate, R)
    assert_allclose(convert.r_from_p(REGRESSION.pvalue, 40, sign=-1).estimate, -R)
    assert_allclose(convert.r_from_t(t, 40).variance, (1 - R**2) ** 2 / 39)


def test_phi_is_the_correlation_of_two_dichotomies():
    a, b, c, d = 12, 5, 7, 16
    rows = np.repeat([1, 1, 0, 0], [a, b, c, d])
    columns = np.repeat([1, 0, 1, 0], [a, b, c, d])
    phi = np.corrcoef(rows, columns)[0, 1]
    assert_allclose(convert.r_from_2x2(a, b, c, d).estimate, phi)
    chi2 = stats.chi2_contingency([[a, b], [c, d]], correction=False).statistic
    assert_allclose(convert.r_from_chi2(chi2, 40).estimate, phi)


def test_d_gives_the_point_biserial_correlation():
    group = np.repeat([0, 1], [15, 25])
    y = RNG.normal(size=40) + 0.8 * group
    pooled = np.sqrt((14 * y[:15].var(ddof=1) + 24 * y[15:].var(ddof=1)) / 38)
    d = (y[15:].mean() - y[:15].mean()) / pooled
    # Borenstein's a is (n₁ + n₂)²/(n₁n₂); the exact relation has n₁ + n₂ − 2 once in its place
    exact = np.corrcoef(group, y)[0, 1]
    assert_allclose(convert.r_from_d(d, 15, 25).estimate, exact, rtol=0.03)
    assert_allclose(convert.r_from_d(d, 15, 25).estimate, d / np.sqrt(d**2 + 40**2 / (15 * 25)))


def test_variances_follow_the_delta_method():
    step = 1e-6
    r = 0.35
    slope = (convert.d_from_r(r + step, 50).estimate - convert.d_from_r(r - step, 50).estimate) / (2 * step)
    assert_allclose(convert.d_from_r(r, 50).variance, slope**2 * (1 - r**2) ** 2 / 49, rtol=1e-8)
    d = 0.7
    slope = (convert.r_from_d(d + step, 20, 30).estimate - convert.r_from_d(d - step, 20, 30).estimate) / (2 * step)
    v = 50 / 600 + d**2 / 100
    assert_allclose(convert.r_from_d(d, 20, 30).variance, slope**2 * v, rtol=1e-8)


def test_there_and_back_again():
    d = convert.d_from_r(0.3, 60)
    # with equal groups a is 4, and r → d → r returns
    assert_allclose(convert.r_from_d(d.estimate, 30, 30, d.variance).estimate, 0.3)
    assert_allclose(convert.r_from_d(d.estimate, 30, 30, d.variance).variance, (1 - 0.09) ** 2 / 59)
    odds = convert.log_odds_from_r(0.3, 60)
    assert_allclose(odds.estimate, d.estimate * np.pi / np.sqrt(3))
    assert_allclose(convert.r_from_log_odds(*odds, 30, 30).estimate, 0.3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: convert.r_from_f(3.0, 30, df_num=2), "1 of 1 F statistics have more than 1 numerator"),
        (lambda: convert.r_from_f(-3.0, 30), "F statistics are negative"),
        (lambda: convert.r_from_p([0.02, 0.0], 30), r"1 of 2 p values lie outside \(0, 1\] \(first at position 1\)"),
        (lambda: convert.r_from_p(0.02, 30, sign=0), "neither 1 nor −1"),
        (lambda: convert.r_from_chi2(31, 30), "χ² lie outside"),
        (lambda: convert.r_from_2x2(0, 0, 3, 4), "empty row or column"),
        (lambda: convert.d_from_r(1.0, 30), "outside \\(−1, 1\\)"),
        (lambda: convert.r_from_t(2.0, 2), "below 3"),
        (lambda: convert.r_from_beta(0.3), "β.* is not turned into r"),
    ],
)
def test_what_has_no_answer_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()
