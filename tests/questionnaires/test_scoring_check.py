import numpy as np
import pandas as pd
import pytest
from wai_rows import wai_frame

import alliance_stats as als
from alliance_stats.errors import DataError, FaultsError
from alliance_stats.questionnaires.known import measure_key


def forms(measure, n, seed=1):
    """Random complete forms; the answers to different items are independent."""
    key = measure_key(measure)
    draw = np.random.default_rng(seed).integers(int(key.response[0]), int(key.response[1]) + 1, (n, key.n_items))
    return pd.DataFrame(draw, columns=[f"i{item}" for item in range(1, key.n_items + 1)])


def mistaken(frame, measure, scale="total", reverse=(), forward=(), out=(), extra=()):
    """The total that a mistaken key gives, summed item by item."""
    key = measure_key(measure)
    low, high = key.response
    total = pd.Series(0.0, frame.index)
    for item in {*key.scale(scale).items, *extra} - {*out}:
        turned = (item in key.reversed or item in reverse) and item not in forward
        total += low + high - frame[f"i{item}"] if turned else frame[f"i{item}"]
    return total


def check(frame, measure, total, **more):
    return als.check_scoring(frame.assign(total=total), measure, items="i{}", total="total", **more)


def found(result):
    """The first explanation as ``{item: change}``."""
    table = result.table()
    first = table[table["explanation"] == 1]
    return dict(zip(first["item"], first["change"], strict=True))


def test_the_mistake_found_in_the_wild_is_named():
    result = als.check_scoring(wai_frame(), "WAI-36", items="wai_{:02d}", total="stored_bond", scale="bond")
    assert found(result) == {
        28: "reversed, but the key does not reverse it",
        29: "not reversed, but the key reverses it",
    }
    assert set(result.table()["explanation"]) == {1}
    one = result.glance().iloc[0]
    assert (one["n_compared"], one["n_different"], one["n_explained"], one["largest_difference"]) == (14, 8, 8, 12)
    assert str(result.report()).startswith(
        "8 of 14 stored totals in stored_bond differ from the key of WAI-36 (bond), by up to 12.00 points"
    )
    assert "item 28 is reversed, but the key does not reverse it; item 29 is not reversed" in result.report()


@pytest.mark.parametrize("scale", ["task", "goal"])
def test_right_totals_are_called_right(scale):
    result = als.check_scoring(wai_frame(), "WAI-36", items="wai_{:02d}", total=f"stored_{scale}", scale=scale)
    assert result.table().empty
    assert result.differences().empty
    assert result.report() == f"All 14 stored totals in stored_{scale} are those of the key of WAI-36 ({scale})."


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        ({"reverse": [5]}, {5: "reversed, but the key does not reverse it"}),
        ({"forward": [20]}, {20: "not reversed, but the key reverses it"}),
        ({"out": [8]}, {8: "left out"}),
        ({"extra": [2]}, {2: "counted, but it does not belong to the scale"}),
        ({"out": [8], "extra": [2]}, {8: "left out", 2: "counted, but it does not belong to the scale"}),
        ({"out": [29], "extra": [27]}, {27: "counted (reversed), but it does not belong to the scale", 29: "left out"}),
    ],
)
def test_single_items_and_one_item_for_another_are_named(mistake, expected):
    frame = forms("WAI-36", 30)  # fewer forms than items: the weights of all items are not determined
    result = check(frame, "WAI-36", mistaken(frame, "WAI-36", "bond", **mistake), scale="bond")
    assert found(result) == expected
    assert set(result.table()["explanation"]) == {1}


def test_many_wrong_items_are_named_where_the_forms_determine_them():
    # in the wild: 24 of the 45 items of the OQ were reversed where 9 are
    wrong = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18]
    frame = forms("OQ-45.2", 200)
    result = check(frame, "OQ-45.2", mistaken(frame, "OQ-45.2", reverse=wrong))
    assert found(result) == dict.fromkeys(wrong, "reversed, but the key does not reverse it")
    few = check(frame.head(40), "OQ-45.2", mistaken(frame, "OQ-45.2", reverse=wrong).head(40))
    assert few.table().empty
    assert "No change of one or two items" in few.report()


def test_explanations_that_fit_equally_well_are_all_listed():
    frame = forms("PHQ-9", 12)
    frame["i2"] = frame["i1"]
    result = check(frame, "PHQ-9", mistaken(frame, "PHQ-9", out=[1]))
    assert {1, 2} <= set(result.table().loc[lambda t: t["n_explained"] == result.n_different, "item"])
    assert any("fit these rows equally well" in note for note in result.notes())


def test_a_few_wrong_rows_are_rows_and_not_items():
    frame = forms("PHQ-9", 300)
    total = mistaken(frame, "PHQ-9")
    total[7] += 3
    result = check(frame, "PHQ-9", total)
    assert result.differences()[["row", "difference"]].to_numpy().tolist() == [[7, 3]]
    # one row can be explained by some item or other, but each breaks rows that agreed; the report must say so
    assert result.table().empty or (result.table()["n_broken"] > 0).all()


def test_a_shift_of_the_answers_is_recognised():
    frame = forms("WAI-36", 20)
    result = check(frame, "WAI-36", mistaken(frame, "WAI-36", "bond") - 12, scale="bond")
    assert result.table()["change"].tolist() == ["every total is 12.00 lower: as if all 12 items ran from 0 to 6"]
    turned = check(frame, "WAI-36", mistaken(frame, "WAI-36", "bond") - 3, scale="bond")
    assert "as if the reversed items were 7 minus the answer" in turned.table()["change"].iloc[0]


def test_blanks_that_became_values_are_recognised():
    frame = forms("WAI-36", 20).astype(float)
    total = mistaken(frame, "WAI-36", "bond")
    total[0] += 8 - (8 - frame.loc[0, "i29"])  # in the wild: a blank read as 0 became 8 after reversing
    frame.loc[0, "i29"] = np.nan
    result = check(frame, "WAI-36", total, scale="bond")
    assert result.glance()["n_incomplete"].tolist() == [1]
    assert result.n_different == 0
    assert "1 of 1 equal blanks read as 0 and then reversed like answers" in result.report()


def test_means_are_compared_as_means_with_a_tolerance_for_their_decimals():
    frame = forms("SCL-90-R", 50)
    total = (mistaken(frame, "SCL-90-R") / 90).round(2)
    assert check(frame, "SCL-90-R", total, tolerance=0.005 + 1e-9).n_different == 0
    assert check(frame, "SCL-90-R", total).n_different > 0
    as_sum = check(frame, "SCL-90-R", mistaken(frame, "SCL-90-R"), how="sum")
    assert as_sum.n_different == 0


def test_what_cannot_be_compared_is_refused():
    frame = forms("DASS-21", 5)
    with pytest.raises(DataError, match=r"DASS-21 has no total\. Name the scale: depression, anxiety, stress"):
        check(frame, "DASS-21", 3.0)
    with pytest.raises(DataError, match="0 of 5 rows have all 7 items of stress and a total"):
        check(frame.assign(i1=np.nan), "DASS-21", 3.0, scale="stress")
    with pytest.raises(FaultsError, match="5 answers in 1 item column"):
        check(frame.assign(i1=9), "DASS-21", 3.0, scale="stress")
    with pytest.raises(DataError, match="has no figure 'pie'"):
        check(frame, "DASS-21", 3.0, scale="stress").plot("pie")
