"""``als.mixed`` on data in parts gives what it gives on one frame, to 1e-10, and says what it no longer can."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import ColumnError, DataError, DesignError, FormulaError, RowsNotKeptError

FORMULA = "outcome ~ alliance + session + (1 + session | patient_id) + (1 | therapist_id)"
#: Relative; Satterthwaite's degrees of freedom come from differences of gradients, which leave about ten digits.
SAME = 1e-10


def sessions() -> pd.DataFrame:
    """84 sessions of 12 patients and 3 therapists; some values are missing."""
    frame = als.simulate_sessions(3, 4, 8, 0.5, seed=11).frame.reset_index(drop=True)
    frame["phase"] = pd.Categorical(np.where(frame["session"] > 4, "late", "early"), ["early", "late"])
    frame.loc[[3, 20, 41], "alliance"] = np.nan
    frame.loc[[20, 60], "outcome"] = np.nan
    return frame


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return sessions()


@pytest.fixture(scope="module")
def whole(frame):
    return als.mixed(FORMULA, frame)


def cut(frame: pd.DataFrame, places) -> list[pd.DataFrame]:
    return [frame.iloc[start:stop] for start, stop in zip([0, *places], [*places, len(frame)], strict=True)]


def assert_same(ours, expected, tolerance=SAME):
    """Criterion, estimates, standard errors, degrees of freedom, variances and predicted random effects."""
    numbers = ["estimate", "std_error", "df", "statistic"]
    assert ours.table()["term"].tolist() == expected.table()["term"].tolist()
    assert_allclose(ours.table()[numbers], expected.table()[numbers], rtol=tolerance)
    assert_allclose(ours.solution.criterion, expected.solution.criterion, rtol=tolerance)
    assert_allclose(ours.variance()["vcov"], expected.variance()["vcov"], rtol=tolerance, atol=1e-14)
    for name in expected.arrays.group_names:
        columns = ["level", "term"]
        one, other = (fit.random(name).sort_values(columns, ignore_index=True) for fit in (ours, expected))
        pd.testing.assert_frame_equal(one[columns], other[columns])
        for column in ("estimate", "std_error"):
            size = float(other[column].abs().max())
            assert_allclose(one[column], other[column], rtol=tolerance, atol=tolerance * size)
    left, right = ours.glance(), expected.glance()
    counts = ["n_obs", *(f"n_{name}" for name in expected.arrays.group_names), "n_parameters", "n_dropped"]
    assert left[counts].equals(right[counts])
    pd.testing.assert_frame_equal(ours.dropped, expected.dropped, check_dtype=False)
    assert ours.notes() == expected.notes()


# ---- where the cuts are ----------------------------------------------------------------------------------------------


def test_a_cut_at_any_place_changes_nothing(frame):
    formula = "outcome ~ alliance + session + (1 | patient_id)"
    whole = als.mixed(formula, frame)
    for place in range(len(frame) + 1):
        assert_same(als.mixed(formula, cut(frame, [place])), whole)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 84), max_size=8), st.integers(0, 1000))
def test_random_cuts_of_rows_in_any_order_change_nothing(places, seed):
    frame = sessions()
    shuffled = frame.iloc[np.random.default_rng(seed).permutation(len(frame))]
    places = sorted(min(place, len(frame)) for place in places)
    formula = "outcome ~ alliance + session + (1 | patient_id) + (1 | therapist_id)"
    assert_same(als.mixed(formula, cut(shuffled, places)), als.mixed(formula, frame))


def test_single_rows_change_nothing(frame, whole):
    assert_same(als.mixed(FORMULA, cut(frame, range(1, len(frame)))), whole)


def test_parts_of_one_session_each_change_nothing(frame, whole):
    # in every part the session is constant, and every patient is spread over all parts
    assert_same(als.mixed(FORMULA, [part for _, part in frame.groupby("session")]), whole)


def test_levels_stand_in_order_of_appearance_as_for_a_single_frame(frame, whole):
    ours = als.mixed(FORMULA, cut(frame, [5, 50]))
    for name in ("patient_id", "therapist_id"):
        assert ours.random(name)["level"].tolist() == whole.random(name)["level"].tolist()


def test_empty_parts_and_parts_without_a_complete_row_change_nothing_but_the_count(frame, whole):
    nothing = frame.head(6).assign(outcome=np.nan)
    parts = [frame.head(0), nothing, *cut(frame, [30]), frame.head(0), nothing]
    ours = als.mixed(FORMULA, parts)
    assert_same(ours, als.mixed(FORMULA, pd.concat(parts)))
    assert ours.glance()["n_dropped"].iloc[0] == whole.glance()["n_dropped"].iloc[0] + 12
    assert_allclose(ours.table()["estimate"], whole.table()["estimate"], rtol=SAME)


def test_a_generator_is_read_once_and_only_one_part_at_a_time(frame, whole):
    alive = []

    def parts():
        for part in cut(frame, [10, 40, 70]):
            alive.append(len(alive))
            yield part

    assert_same(als.mixed(FORMULA, parts()), whole)
    assert alive == [0, 1, 2, 3]


def test_many_parts_are_added_up_on_the_way(frame, whole, monkeypatch):
    # a limit so low that the sums are added up at every other part, as for millions of pairs
    monkeypatch.setattr("alliance_stats.design.parts._WAITING", 5000)
    assert_same(als.mixed(FORMULA, cut(frame, range(1, len(frame)))), whole)


@pytest.mark.parametrize("df", ["kenward-roger", "normal"])
def test_every_method_of_degrees_of_freedom_works_from_sums(frame, df):
    ours, expected = (als.mixed(FORMULA, data, df=df) for data in (cut(frame, [7, 31]), frame))
    assert_same(ours, expected)


def weighted(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(weight=1.0 + (np.arange(len(frame)) * 7) % 5, known=0.1 * frame["session"] ** 2)


def test_prior_weights_and_offsets_work_from_sums(frame):
    data = weighted(frame)
    data.loc[8, "weight"] = np.nan
    ours, expected = (
        als.mixed(FORMULA, parts, weights="weight", offset="known", df="kenward-roger")
        for parts in (cut(data, [9, 44]), data)
    )
    assert_same(ours, expected)
    new = data.dropna().head(5)
    one, other = (fit.predict(new, level="all", interval="prediction") for fit in (ours, expected))
    pd.testing.assert_frame_equal(one, other, rtol=1e-9)
    with pytest.raises(RowsNotKeptError):
        ours.residuals("standardised")


MODELS = {
    "maximum likelihood": (FORMULA, {"method": "ML"}),
    "interaction and logarithm": ("outcome ~ alliance * log(session + 1) + (1 | patient_id)", {}),
    "categories": ("outcome ~ phase * alliance + (1 + phase | patient_id)", {}),
    "categories inside C": ("outcome ~ C(phase) + (1 | patient_id)", {}),
    "function of the outcome": ("log(outcome) ~ session + (1 | patient_id)", {}),
    "uncorrelated": ("outcome ~ session + (1 + session || patient_id)", {}),
    "no intercept": ("outcome ~ 0 + session + (0 + session | patient_id)", {}),
    "a slope that is no fixed effect": ("outcome ~ alliance + (1 + session | patient_id)", {}),
    "nested": ("outcome ~ session + (1 | therapist_id/patient_id)", {}),
}


@pytest.mark.parametrize("name", MODELS)
def test_formulas_that_work_row_by_row_give_the_same(frame, name):
    formula, options = MODELS[name]
    ours, expected = (als.mixed(formula, data, **options) for data in (cut(frame, [9, 44]), frame))
    assert_same(ours, expected, 1e-9 if "log(" in formula else SAME)


def test_a_first_part_far_from_the_others_costs_no_digits(frame):
    # a calendar that starts in the year 1 for one row and goes on in the year 2000, by the second
    seconds = frame.assign(session=frame["session"] + 6.3e10)
    seconds.loc[0, "session"] = 0.0
    ours, expected = (
        als.mixed("outcome ~ session + (1 | patient_id)", data) for data in (cut(seconds, [1, 2, 30]), seconds)
    )
    assert_same(ours, expected)


def test_outcome_and_predictors_in_any_units_give_the_same(frame):
    scaled = frame.assign(outcome=frame["outcome"] * 1e6 + 1e9, alliance=frame["alliance"] * 1e-6)
    assert_same(als.mixed(FORMULA, cut(scaled, [20, 40])), als.mixed(FORMULA, scaled))


# ---- ids and types ---------------------------------------------------------------------------------------------------


def test_ids_are_one_whether_they_come_as_whole_numbers_decimals_or_text(frame):
    number = frame["patient_id"].astype("category").cat.codes + 7
    parts = cut(frame.assign(patient_id=number), [25, 50])
    parts[1]["patient_id"] = parts[1]["patient_id"].astype(float)
    parts[2]["patient_id"] = parts[2]["patient_id"].astype(str)
    assert_same(als.mixed(FORMULA, parts), als.mixed(FORMULA, frame.assign(patient_id=number)))


def test_decimal_ids_are_written_alike_in_every_part(frame):
    # a part of whole numbers alone must not write 7 where another, with 7.5 in it, writes 7.0
    number = (frame["patient_id"].astype("category").cat.codes + 7) / 2.0
    data = frame.assign(patient_id=number)
    ours, expected = als.mixed(FORMULA, cut(data, range(1, len(data)))), als.mixed(FORMULA, data)
    assert_same(ours, expected)
    assert set(ours.random("patient_id")["level"]) >= {"4", "3.5"}


def test_numbers_that_come_as_whole_numbers_booleans_or_decimals_are_one_column(frame):
    data = frame.dropna().assign(late=(frame["session"] > 3))
    parts = cut(data, [20, 40])
    parts[1]["late"] = parts[1]["late"].astype(int)
    parts[2]["late"] = parts[2]["late"].astype(float)
    formula = "outcome ~ late + (1 | patient_id)"
    assert_same(als.mixed(formula, parts), als.mixed(formula, data))


def test_categories_may_be_text_or_listed_in_another_order_after_the_first_part(frame):
    parts = cut(frame, [20, 40, 60])
    parts[1]["phase"] = parts[1]["phase"].astype(str)
    parts[2]["phase"] = parts[2]["phase"].cat.reorder_categories(["late", "early"])
    parts[3]["phase"] = parts[3]["phase"].cat.remove_unused_categories()
    formula = "outcome ~ phase + (1 | patient_id)"
    assert_same(als.mixed(formula, parts), als.mixed(formula, frame))


def test_session_tables_are_parts_too_and_say_that_they_are_simulated():
    tables = [als.simulate_sessions(3, 4, 8, 0.5, seed=seed) for seed in (1, 2)]
    tables[1] = tables[1].with_frame(tables[1].frame.assign(patient_id="second " + tables[1].frame["patient_id"]))
    ours = als.mixed(FORMULA, tables)
    assert_same(ours, als.mixed(FORMULA, pd.concat([table.frame for table in tables])))
    assert ours.plot().caption.startswith("Simulated data. ")
    assert ours.codebook == tables[0].codebook


# ---- what cannot be told ---------------------------------------------------------------------------------------------

REFUSED = {
    "poly": (
        "outcome ~ poly(session, 2) + (1 | patient_id)",
        {},
        FormulaError,
        r"poly\(.*session.*, 2\) takes something",
    ),
    "spline": (
        "outcome ~ bs(session, df=4) + (1 | patient_id)",
        {},
        FormulaError,
        r"bs\(.*\) takes something from all",
    ),
    "center": ("outcome ~ center(session) + (1 | patient_id)", {}, FormulaError, r"center\(session\) takes something"),
    "scale in a bar": ("outcome ~ 1 + (1 + scale(session) | patient_id)", {}, FormulaError, r"scale\(session\) takes"),
    "C of numbers": ("outcome ~ C(session) + (1 | patient_id)", {}, FormulaError, r"C\(session\) takes its categories"),
    "text": (
        "outcome ~ therapist_id + (1 | patient_id)",
        {},
        DataError,
        "'therapist_id' is text, and data that come in",
    ),
    "membership": (
        "outcome ~ 1 + (1 | patient_id) + (1 | mm(therapist_id))",
        {},
        FormulaError,
        "needs them all at once",
    ),
    "autoregression": (FORMULA, {"residual": "car1"}, DataError, "residual='car1' needs all rows at once"),
    "strata": (FORMULA, {"variance": "phase"}, DataError, "variance='phase' needs all rows at once"),
    "no bar": ("outcome ~ session", {}, FormulaError, "no bar term"),
    "no column": (
        "outcome ~ sesion + (1 | patient_id)",
        {},
        ColumnError,
        "Part 1 of the data: .*Did you mean 'session'",
    ),
    "missing": (FORMULA, {"missing": "raise"}, DataError, "Part 1 of the data: 2 of 30 rows have missing values"),
    "constant": ("outcome ~ one + (1 | patient_id)", {}, DesignError, r"1 predictor is constant: 'one' \(always 0.1\)"),
    "constant outcome": ("one ~ session + (1 | patient_id)", {}, DesignError, "'one' is 0.1 in all 84 rows: nothing"),
    "collinear": (
        "outcome ~ session + twice + (1 | patient_id)",
        {},
        DesignError,
        "'twice' follows exactly from 'session'",
    ),
    "collinear in a bar": (
        "outcome ~ session + (1 + session + twice | patient_id)",
        {},
        DesignError,
        "'twice' follows exactly from 'session'",
    ),
    "collinear in an uncorrelated bar": (
        "outcome ~ session + (1 + session + twice || patient_id)",
        {},
        DesignError,
        "'twice' follows exactly from 'session'",
    ),
    "one level": ("outcome ~ session + (1 | one)", {}, DesignError, "'one' has 1 level in 82 rows"),
    "as many levels as rows": ("outcome ~ session + (1 | row)", {}, DesignError, "'row' has 82 levels in 82 rows"),
    "too many effects": (
        "outcome ~ session + (1 + session + alliance | pair)",
        {},
        DesignError,
        r"'pair' has 3 effects for each of \d+ levels",
    ),
    "the same division": (
        "outcome ~ session + (1 | patient_id) + (1 | again)",
        {},
        DesignError,
        "divide the rows into the",
    ),
    "saturated": (
        "outcome ~ phase + (1 | patient_id) + (1 | when)",
        {},
        DesignError,
        "already tell all 2 levels of 'when'",
    ),
    "an unused category": (
        "outcome ~ third + (1 | patient_id)",
        {},
        DesignError,
        "do not occur in the 82 rows used: 'never'",
    ),
    "one category": ("outcome ~ always + (1 | patient_id)", {}, DesignError, "1 predictor is constant: 'always'"),
    "a colon in nested ids": ("outcome ~ 1 + (1 | colon:patient_id)", {}, DataError, "ids that hold a colon"),
    "not finite": (
        "outcome ~ log(session - 3) + (1 | patient_id)",
        {},
        DataError,
        "Part 1 of the data: .*is not finite",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_parts_cannot_tell_is_refused_with_the_way_out(frame, name):
    formula, options, kind, message = REFUSED[name]
    data = frame.assign(
        one=0.1,
        twice=2 * frame["session"] + 1,
        row=np.arange(len(frame)),
        pair=np.arange(len(frame)) // 2,
        again="a" + frame["patient_id"],
        when=frame["phase"].astype(str),
        third=frame["phase"].cat.add_categories("never"),
        always=pd.Categorical(["same"] * len(frame)),
        colon="a:" + frame["therapist_id"],
    )
    with pytest.raises(kind, match=message):
        als.mixed(formula, cut(data, [30, 60]), **options)


def test_a_category_that_the_first_part_does_not_know_is_refused(frame):
    parts = cut(frame, [30])
    parts[1]["phase"] = parts[1]["phase"].cat.rename_categories({"late": "last"})
    with pytest.raises(DataError, match="Part 2 of the data: Column 'phase' holds 'last', which is none of"):
        als.mixed("outcome ~ phase + (1 | patient_id)", parts)


def test_text_among_the_numbers_of_a_later_part_is_refused(frame):
    parts = cut(frame, [30])
    parts[1]["session"] = parts[1]["session"].astype(str)
    with pytest.raises(DataError, match="Part 2 of the data: Column 'session' holds numbers elsewhere, but str"):
        als.mixed(FORMULA, parts)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "The data have 0 parts"),
        (5, "Expected a SessionTable or a DataFrame, an iterator of them.*got int"),
        ({"a": [1]}, "got dict"),
        ([[1, 2]], "Part 1 of the data is a list, not a DataFrame"),
        ("no/such/folder", "There is no file or folder 'no/such/folder'"),
    ],
)
def test_data_that_are_no_data_are_refused(data, message):
    with pytest.raises(DataError, match=message):
        als.mixed(FORMULA, data)


def test_parts_without_a_complete_row_are_refused(frame):
    with pytest.raises(
        DataError, match=r"No complete row is left. 168 of 168 rows .* missing values in: outcome \(168\)"
    ):
        als.mixed(FORMULA, [frame.assign(outcome=np.nan, alliance=1.0)] * 2)


def test_a_membership_frame_is_refused(frame):
    with pytest.raises(DataError, match="membership= counts rows from the first"):
        als.mixed(FORMULA, [frame], membership={"therapist_id": als.membership(frame)})


# ---- what the result can still do ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ours(frame):
    return als.mixed(FORMULA, cut(frame, [30, 60]))


@pytest.mark.parametrize(
    "ask",
    [
        lambda fit: fit.fitted(),
        lambda fit: fit.residuals(),
        lambda fit: fit.simulate(),
        lambda fit: fit.predict(),
        lambda fit: fit.r2(),
        lambda fit: fit.influence("therapist_id"),
        lambda fit: fit.icc("adjusted"),
        lambda fit: fit.plot("trajectories"),
        lambda fit: als.anova(fit, fit),
        lambda fit: fit.arrays.sample.rows,
        lambda fit: fit.arrays.sample.frame,
    ],
)
def test_what_needs_the_rows_says_that_they_were_not_kept(ours, ask):
    with pytest.raises(RowsNotKeptError, match=r"the rows of the fit, which were not kept.*Use predict\(new\)"):
        ask(ours)


@pytest.mark.parametrize("level", ["population", "all"])
@pytest.mark.parametrize("interval", [None, "confidence", "prediction"])
def test_new_rows_are_predicted_as_from_a_single_frame(frame, whole, ours, level, interval):
    new = frame.dropna().head(9)
    one, other = (fit.predict(new, level=level, interval=interval) for fit in (ours, whole))
    pd.testing.assert_frame_equal(one, other, rtol=1e-9)


def test_tests_contrasts_icc_and_words_are_those_of_a_single_frame(whole, ours):
    pd.testing.assert_frame_equal(ours.test(["alliance", "session"]), whole.test(["alliance", "session"]), rtol=1e-9)
    weights = {"alliance": 1.0, "session": -1.0}
    pd.testing.assert_frame_equal(ours.contrast(weights), whole.contrast(weights), rtol=1e-9)
    pd.testing.assert_frame_equal(ours.icc(), whole.icc(), rtol=1e-9)
    assert ours.report() == whole.report()
    assert ours.describe() == whole.describe()
    assert ours.optimizer()["message"] == whole.optimizer()["message"]
    assert "<table" in ours._repr_html_()
    assert ours.plot("caterpillar", group="patient_id").data


@pytest.mark.parametrize(
    "ask",
    [
        lambda fit: fit.means("phase"),
        lambda fit: fit.means("late", {"session": [1, 5]}, differences="pairwise"),
        lambda fit: fit.slopes("session", by="phase"),
        lambda fit: fit.slopes("alliance"),
    ],
)
def test_marginal_means_and_slopes_are_those_of_a_single_frame(frame, ask):
    formula = "outcome ~ phase * session + log(alliance) + late + (1 | patient_id)"
    data = frame.assign(late=frame["session"] > 6)
    ours, expected = (ask(als.mixed(formula, parts)) for parts in (cut(data, [20, 30]), data))
    pd.testing.assert_frame_equal(ours, expected, rtol=1e-8)


def test_means_weighted_by_how_often_categories_occur_need_the_rows(frame):
    fit = als.mixed("outcome ~ phase + session + (1 | patient_id)", cut(frame, [20]))
    with pytest.raises(RowsNotKeptError):
        fit.means((), weights="proportional")


def test_a_result_without_rows_can_be_pickled(ours):
    again = pickle.loads(pickle.dumps(ours))
    pd.testing.assert_frame_equal(again.table(), ours.table())
    with pytest.raises(RowsNotKeptError):
        again.fitted()


def test_the_parts_are_never_changed(frame):
    parts = cut(frame, [30])
    before = [part.copy(deep=True) for part in parts]
    als.mixed(FORMULA, parts)
    for part, kept in zip(parts, before, strict=True):
        pd.testing.assert_frame_equal(part, kept)
