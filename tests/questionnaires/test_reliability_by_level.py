from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import DataError, DesignError

HOME = Path(__file__).parents[1] / "golden" / "psych"
ITEMS = [f"item{k}" for k in range(1, 6)]


@pytest.fixture(scope="module")
def frame():
    return pd.read_csv(HOME / "items.csv")


@pytest.fixture(scope="module")
def result(frame):
    return als.reliability(frame, items=ITEMS)


def test_every_level_has_its_coefficients_with_intervals(result):
    table = result.table()
    got = {level: own["coefficient"].tolist() for level, own in table.groupby("level", sort=False)}
    assert got == {
        "occasion": ["alpha", "omega"],
        "between": ["alpha", "omega", "ICC(1)", "ICC(k)", "R1F", "RkF", "R1R", "RkR"],
        "within": ["alpha", "omega", "RC"],
    }
    assert ((table["ci_low"] < table["estimate"]) & (table["estimate"] < table["ci_high"])).all()


def test_no_alpha_mixes_the_levels(frame, result):
    # alpha of all 480 forms lies between those of the two levels, and is neither
    pooled = frame[ITEMS].cov()
    mixed = 5 / 4 * (1 - np.trace(pooled) / pooled.to_numpy().sum())
    own = result.table().set_index(["level", "coefficient"])["estimate"]
    assert own["within", "alpha"] < mixed < own["between", "alpha"]
    assert not np.isclose(result.table()["estimate"], mixed, atol=1e-6).any()


def test_the_order_of_rows_plays_no_part(frame, result):
    again = als.reliability(frame.sample(frac=1, random_state=1), items=ITEMS)
    assert_allclose(again.table()["estimate"], result.table()["estimate"], rtol=1e-7)


def test_the_first_form_of_a_patient_is_the_earliest(frame):
    late = frame[~((frame["patient_id"] == "p03") & (frame["session"] == 1))].iloc[::-1]
    first = late.sort_values("session").groupby("patient_id")[ITEMS].first()
    own = als.reliability(late, items=ITEMS).table()
    covariance = first.cov()
    assert_allclose(
        own["estimate"].iloc[0], 5 / 4 * (1 - np.trace(covariance) / covariance.to_numpy().sum()), rtol=1e-12
    )


def test_components_add_up_and_are_given(result):
    variance = result.variance()
    assert variance["component"].tolist()[-1] == "residual"
    assert_allclose(variance["share"].sum(), 1)
    assert (variance["vcov"] > 0).all()


def test_one_form_per_patient_has_one_level(frame):
    result = als.reliability(frame[frame["session"] == 1], items=ITEMS)
    assert result.table()["level"].tolist() == ["occasion", "occasion"]
    assert any("one form" in note for note in result.notes())
    assert "Over" not in result.report()
    with pytest.raises(DataError, match="no components over sessions"):
        result.variance()


def test_two_items_have_alpha_and_no_omega(frame):
    result = als.reliability(frame, items=ITEMS[:2])
    assert "omega" not in set(result.table()["coefficient"])
    assert "RC" in set(result.table()["coefficient"])
    assert sum("2 items do not determine a factor" in note for note in result.notes()) == 2


def test_reversed_items_are_turned_by_the_key(frame):
    rng = np.random.default_rng(2)
    bond = rng.integers(2, 7, (40, 1)) + rng.integers(-1, 2, (40, 4))
    answers = pd.DataFrame({f"w{item}": bond[:, item % 4] for item in range(1, 13)})
    answers[["w4", "w10"]] = 8 - answers[["w4", "w10"]]
    answers = answers.assign(patient_id=np.arange(40) // 2, session=np.arange(40) % 2)
    with_key = als.reliability(answers, "WAI-S", items="w{}", scale="goal").table()
    turned = answers.assign(w4=8 - answers["w4"], w10=8 - answers["w10"])
    by_hand = als.reliability(turned, items=["w4", "w6", "w10", "w11"]).table()
    assert_allclose(with_key["estimate"], by_hand["estimate"], rtol=1e-9)


def test_incomplete_forms_are_left_out_and_counted(frame):
    holes = frame.copy()
    holes.loc[[3, 77], "item2"] = np.nan
    result = als.reliability(holes, items=ITEMS)
    assert result.glance()[["n_forms", "n_incomplete", "n_patients"]].iloc[0].tolist() == [478, 2, 60]


def test_n_sessions_moves_only_what_is_averaged(frame, result):
    one = als.reliability(frame, items=ITEMS, n_sessions=1).table().set_index(["level", "coefficient"])["estimate"]
    own = result.table().set_index(["level", "coefficient"])["estimate"]
    assert_allclose(one["between", "RkF"], own["between", "R1F"])
    assert_allclose(one["between", "RkR"], own["between", "R1R"])
    assert_allclose(one["between", "ICC(k)"], own["between", "ICC(1)"])
    assert_allclose(one["within", "RC"], own["within", "RC"])


def test_a_coefficient_carries_its_source(result):
    named = result.value("within", "RC")
    assert named.source == "RC within patients, these data (480 forms of 60 patients)"
    assert result.value("occasion").source == "omega of one occasion, these data (the first form of 60 patients)"
    with pytest.raises(DataError, match=r"no within/RCC\. Did you mean 'within/RC'"):
        result.value("within", "RCC")


def test_what_cannot_be_told_is_refused(frame):
    with pytest.raises(DataError, match="1 item has no internal consistency"):
        als.reliability(frame, items=["item1"])
    with pytest.raises(DesignError, match="2 patients cannot show"):
        als.reliability(frame[frame["patient_id"].isin(["p01", "p02"])], items=ITEMS)
    with pytest.raises(DesignError, match="the same total"):
        als.reliability(frame.assign(item1=1, item2=2), items=["item1", "item2"])
    with pytest.raises(DataError, match="a list of columns"):
        als.reliability(frame, items="item{}")
    with pytest.raises(DataError, match="belong to a measure"):
        als.reliability(frame, items=ITEMS, scale="bond")
    with pytest.raises(DataError, match="0 of 480 forms have all 5 items"):
        als.reliability(frame.assign(item1=np.where(frame["session"] > 4, 1.0, np.nan),
                                     item2=np.where(frame["session"] < 5, 1.0, np.nan)), items=ITEMS)  # fmt: skip
    with pytest.raises(DataError, match="must lie between 0 and 1"):
        als.reliability(frame, items=ITEMS, level=95)
    with pytest.raises(DataError, match="must be at least 1"):
        als.reliability(frame, items=ITEMS, n_sessions=0)
