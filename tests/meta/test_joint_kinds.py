"""The public face of joint tests and saddlepoint tests."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from test_multilevel import EFFECTS

import alliance_stats as als
from alliance_stats.engine.pooling.joint_tests import TESTS
from alliance_stats.errors import DataError

COLUMNS = ["test", "statistic", "df_num", "df_den", "p_value"]


@pytest.fixture(scope="module")
def fit():
    return als.meta.multilevel(EFFECTS, mods="x")


def test_htz_is_the_default(fit):
    assert fit.test().equals(fit.test(joint="HTZ"))


@pytest.mark.parametrize("kind", ["HTZ", "HTA", "HTB", "EDF"])
def test_tests_of_one_coefficient_are_its_t_test(fit, kind):
    row, found = fit.table().iloc[1], fit.test("x", kind).iloc[0]
    assert_allclose(
        [found["statistic"], found["df_den"], found["p_value"]], [row["statistic"] ** 2, row["df"], row["p_value"]]
    )


@pytest.mark.parametrize("kind", TESTS)
def test_every_kind_has_the_columns_of_a_test(fit, kind):
    for result in (fit, als.meta.robust(EFFECTS, "x")):
        found = result.test(joint=kind)
        assert list(found.columns) == COLUMNS
        assert 0 < found["p_value"][0] < 1


def test_edf_says_where_it_is_too_lenient():
    few = EFFECTS[EFFECTS["study"].isin(sorted(EFFECTS["study"].unique())[:5])]
    fit = als.meta.multilevel(few, mods="x", rho=0.6)
    assert fit.table()["df"].min() < 4
    assert list(fit.test(joint="EDF").columns) == [*COLUMNS, "caution"]
    assert fit.test(joint="EDF")["caution"][0] == "df < 4"


def test_sums_of_coefficients_are_tested_too(fit):
    weights = pd.DataFrame({"x": [1.0]}, index=["slope"])
    for result in (fit, als.meta.robust(EFFECTS, "x")):
        assert_allclose(result.test(weights)["p_value"], result.test("x")["p_value"])
        assert result.test(weights)["test"][0] == "slope"


def test_saddlepoints_stand_beside_the_table(fit):
    for result in (fit, als.meta.robust(EFFECTS, "x")):
        found, table = result.saddlepoint(), result.table()
        assert list(found.columns) == ["term", "estimate", "std_error", "statistic", "saddlepoint", "p_value"]
        for name in ("term", "estimate", "std_error", "statistic"):
            assert (found[name] == table[name]).all()
        # with many degrees of freedom both say the same, to the error of the approximation
        assert (table["df"] > 8).any()
        many = table["df"] > 8
        assert_allclose(found["p_value"][many], table["p_value"][many], rtol=0.25)


def test_wrong_calls_say_what_to_do(fit):
    with pytest.raises(DataError, match=r"No joint test 'HTX'. Did you mean 'HTZ'"):
        fit.test(joint="HTX")
    plain = als.meta.multilevel(EFFECTS, mods="x", robust=None)
    with pytest.raises(DataError, match=r"'EDF' is of robust standard errors, and these are not. Leave joint= out"):
        plain.test(joint="EDF")
    with pytest.raises(DataError, match="Saddlepoint tests are of robust standard errors"):
        plain.saddlepoint()
    with pytest.raises(DataError, match=r"at most 2000, and there are 2001. The degrees of freedom of table"):
        als.meta.robust(_many(2001)).saddlepoint()


def _many(n):
    return pd.DataFrame({"study": np.arange(n), "yi": np.sin(np.arange(n)), "vi": 0.02})
