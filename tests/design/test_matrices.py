"""Formula and frame to arrays: names, codes, categories, and everything that the data cannot tell."""

from __future__ import annotations

import contextlib
import decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from alliance_stats.design.formula import parse_formula
from alliance_stats.design.matrices import model_arrays
from alliance_stats.errors import AllianceStatsError, ColumnError, DataError, DesignError, FormulaError

N_PATIENTS, N_SESSIONS = 8, 6
N = N_PATIENTS * N_SESSIONS
PATIENT = np.repeat(np.arange(N_PATIENTS), N_SESSIONS)
SESSION = np.tile(np.arange(1, N_SESSIONS + 1), N_PATIENTS)


def make_frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "patient_id": [f"p{k:02d}" for k in PATIENT],
            "therapist_id": [f"t{k % 3}" for k in PATIENT],
            "session": SESSION,
            "x": rng.normal(size=N),
            "z": rng.normal(size=N),
            "phase": np.where(SESSION > 3, "late", "early"),
            "changed": SESSION > 2,
        }
    )


FRAME = make_frame()


def arrays(formula: str, frame: pd.DataFrame = FRAME, **options):
    return model_arrays(parse_formula(formula), frame, **options)


def fixed(model) -> dict[str, np.ndarray]:
    """Fixed-effect columns by name."""
    columns = [model.design.columns[k] for k in model.design.fixed]
    ones = np.ones(model.design.n_obs)
    return {name: ones if c is None else c for name, c in zip(model.fixed_names, columns, strict=True)}


# ---- the fixed part ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "names"),
    [
        ("1", ["(Intercept)"]),
        ("x", ["(Intercept)", "x"]),
        ("0 + x", ["x"]),
        ("x - 1", ["x"]),
        ("-1 + x", ["x"]),
        ("x*z", ["(Intercept)", "x", "z", "x:z"]),
        ("x*z - x", ["(Intercept)", "z", "x:z"]),
        ("(x + z)^2", ["(Intercept)", "x", "z", "x:z"]),
        ("phase", ["(Intercept)", "phase[T.late]"]),
        ("0 + phase", ["phase[early]", "phase[late]"]),
        ("phase*x", ["(Intercept)", "phase[T.late]", "x", "phase[T.late]:x"]),
        ("changed", ["(Intercept)", "changed"]),
        ("changed:x", ["(Intercept)", "changed:x"]),
        ("session + I(session^2)", ["(Intercept)", "session", "I(session ** 2)"]),
        ("log(session)", ["(Intercept)", "log(session)"]),
        ("poly(x, 2)", ["(Intercept)", "poly(x, 2)[1]", "poly(x, 2)[2]"]),
        ("C(session)", ["(Intercept)", *(f"C(session)[T.{k}]" for k in range(2, 7))]),
        ("C(changed)", ["(Intercept)", "C(changed)[T.1]"]),
    ],
)
def test_terms_are_named_as_in_the_formula(right, names):
    assert list(arrays(f"y ~ {right} + (1 | patient_id)").fixed_names) == names


def test_values_of_the_columns():
    model = fixed(arrays("y ~ changed*x + phase + I(session^2) + log(session) + (1 | patient_id)"))
    assert_array_equal(model["changed"], SESSION > 2)
    assert_allclose(model["changed:x"], (SESSION > 2) * FRAME["x"])
    assert_array_equal(model["phase[T.late]"], FRAME["phase"] == "late")
    assert_allclose(model["I(session ** 2)"], SESSION**2)
    assert_allclose(model["log(session)"], np.log(SESSION))


@pytest.mark.parametrize(
    "name",
    ["a b", "a.b", "größe", "class", "None", "poly", "C", "log", "I", "exp", "np", "Intercept", "1", "0", "x:z", "b[0]",
     "{a}", "a'b", 'a"b', "x + z", "y ~", "%", "\\", "column_0__"],
)  # fmt: skip
@pytest.mark.parametrize(
    "formula",
    ["y ~ {} + (1 | patient_id)", "y ~ {} + log(session) + (1 | patient_id)", "y ~ 0 + {} + (1 | patient_id)",
     "y ~ I({}*2) + (1 | patient_id)"],
)  # fmt: skip
def test_no_name_of_a_column_is_mistaken_for_anything_else(name, formula):
    model = arrays(formula.format(f"`{name}`"), FRAME.rename(columns={"x": name}))
    plain = arrays(formula.format("x"))
    assert list(model.fixed_names) == [term.replace("x", name) for term in plain.fixed_names]
    for own, expected in zip(fixed(model).values(), fixed(plain).values(), strict=True):
        assert_array_equal(own, expected)


@pytest.mark.parametrize("name", ["log", "exp", "I", "poly", "C", "scale"])
def test_a_column_may_be_called_like_a_function_that_the_formula_calls(name):
    model = fixed(arrays(f"y ~ {name} + log(session) + (1 | patient_id)", FRAME.rename(columns={"x": name})))
    assert_array_equal(model[name], FRAME["x"])
    assert_allclose(model["log(session)"], np.log(SESSION))


def test_odd_names_work_as_outcome_slope_and_grouping():
    odd = FRAME.rename(columns={"y": "my y", "x": "1", "patient_id": "class", "therapist_id": "Intercept"})
    model = arrays("`my y` ~ `1` + (1 + `1` | class) + (1 | Intercept)", odd)
    assert_array_equal(model.design.outcome, FRAME["y"])
    assert model.effect_names == (("(Intercept)", "1"), ("(Intercept)",))
    assert model.group_names == ("class", "Intercept")


def test_a_predictor_called_as_the_intercepts_term_is_refused():
    with pytest.raises(DataError, match="Rename it"):
        arrays("y ~ `(Intercept)` + (1 | patient_id)", FRAME.rename(columns={"x": "(Intercept)"}))


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(SESSION.astype("int8"), id="int8"),
        pytest.param(pd.array(SESSION, dtype="Int64"), id="Int64"),
        pytest.param(SESSION.astype("float32"), id="float32"),
        pytest.param([float(k) for k in SESSION], id="float"),
        pytest.param(pd.Series(SESSION.tolist(), dtype=object), id="object of ints"),
        pytest.param(pd.Series([decimal.Decimal(int(k)) for k in SESSION]), id="Decimal"),
    ],
)
def test_numbers_of_any_type_are_numbers(values):
    assert_array_equal(fixed(arrays("y ~ v + (1 | patient_id)", FRAME.assign(v=values)))["v"], SESSION)


def test_whole_numbers_do_not_overflow_in_a_computed_term():
    frame = FRAME.assign(v=pd.Series(SESSION * 20, dtype="int8"))
    # 6 * 20 squared is 14 400, far beyond int8
    assert_allclose(fixed(arrays("y ~ I(v^2) + (1 | patient_id)", frame))["I(v ** 2)"], (SESSION * 20.0) ** 2)


@pytest.mark.parametrize("dtype", [bool, "boolean", object])
def test_true_and_false_are_one_and_zero(dtype):
    frame = FRAME.assign(v=pd.Series(SESSION > 2, dtype=dtype))
    assert_array_equal(fixed(arrays("y ~ v + (1 | patient_id)", frame))["v"], SESSION > 2)


@pytest.mark.parametrize("dtype", [str, "string", object, "category"])
def test_text_is_a_category_with_the_first_as_reference(dtype):
    frame = FRAME.assign(phase=FRAME["phase"].astype(dtype))
    assert arrays("y ~ phase + (1 | patient_id)", frame).fixed_names == ("(Intercept)", "phase[T.late]")


def test_the_order_of_categories_is_the_users():
    frame = FRAME.assign(phase=pd.Categorical(FRAME["phase"], ["late", "early"]))
    assert arrays("y ~ phase + (1 | patient_id)", frame).fixed_names == ("(Intercept)", "phase[T.early]")


@pytest.mark.parametrize("right", ["phase + (1 | patient_id)", "phase + (1 | patient_id/phase)"])
def test_unused_categories_make_no_column(right):
    frame = FRAME.assign(phase=pd.Categorical(FRAME["phase"], ["early", "late", "follow-up"]))
    assert arrays(f"y ~ {right}", frame).fixed_names == ("(Intercept)", "phase[T.late]")


def test_categories_emptied_by_missing_values_make_no_column():
    frame = FRAME.assign(three=np.where(SESSION == 1, "first", FRAME["phase"]))
    frame.loc[frame["three"] == "first", "x"] = np.nan
    assert arrays("y ~ x + three + (1 | patient_id)", frame).fixed_names == ("(Intercept)", "x", "three[T.late]")


# ---- groupings --------------------------------------------------------------------------------------------------


def test_levels_are_text_in_order_of_appearance():
    model = arrays("y ~ x + (1 | patient_id)", FRAME.iloc[::-1])
    assert model.levels[0].tolist() == [f"p{k:02d}" for k in range(7, -1, -1)]
    assert_array_equal(model.design.factors[0].codes, np.repeat(np.arange(8), 6))


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(PATIENT, id="int"),
        pytest.param(PATIENT.astype(float), id="float, made from whole numbers by a missing neighbour"),
        pytest.param(pd.array(PATIENT, dtype="Int64"), id="Int64"),
        pytest.param(pd.Categorical(PATIENT), id="category of ints"),
        pytest.param(pd.Categorical(PATIENT.astype(str)), id="category of text"),
        pytest.param(pd.Series(PATIENT).astype(str).astype("string"), id="string"),
        pytest.param(pd.Series(PATIENT.tolist(), dtype=object), id="object"),
    ],
)
def test_ids_of_any_type_are_the_same_text(values):
    (levels,) = arrays("y ~ x + (1 | id)", FRAME.assign(id=values)).levels
    assert levels.tolist() == [str(k) for k in range(8)]
    assert levels.dtype == "str"


def test_leading_zeros_of_ids_survive():
    assert arrays("y ~ x + (1 | id)", FRAME.assign(id=[f"{k:04d}" for k in PATIENT])).levels[0][3] == "0003"


def test_categories_of_ids_that_do_not_occur_are_no_levels():
    frame = FRAME.assign(id=pd.Categorical(FRAME["patient_id"], [*sorted(set(FRAME["patient_id"])), "p99"]))
    assert len(arrays("y ~ x + (1 | id)", frame).levels[0]) == 8


def test_rows_without_an_id_are_left_out_and_counted():
    frame = FRAME.copy()
    frame.loc[[0, 1, 47], "patient_id"] = None
    model = arrays("y ~ x + (1 | patient_id)", frame)
    assert model.sample.dropped.to_dict("records") == [{"variable": "patient_id", "n_missing": 3, "n_only_this": 3}]
    assert model.design.n_obs == 45


def test_ids_reused_across_sites_are_different_people_when_nested():
    # therapist "1" works in site A and another therapist "1" in site B
    frame = FRAME.assign(site=np.where(PATIENT < 4, "A", "B"), therapist=(PATIENT % 2).astype(str))
    crossed = arrays("y ~ x + (1 | therapist)", frame)
    nested = arrays("y ~ x + (1 | site/therapist)", frame)
    assert crossed.levels[0].tolist() == ["0", "1"]
    assert nested.group_names == ("site", "site:therapist")
    assert nested.levels[1].tolist() == ["A:0", "A:1", "B:0", "B:1"]
    assert_array_equal(nested.design.factors[1].codes[::6], [0, 1, 0, 1, 2, 3, 2, 3])


def test_uncorrelated_effects_are_blocks_of_one():
    (factor,) = arrays("y ~ x + (1 + x + z || patient_id)").design.factors
    assert factor.blocks == ((0,), (1,), (2,))
    (factor,) = arrays("y ~ x + (1 + x + z | patient_id)").design.factors
    assert factor.blocks == ((0, 1, 2),)


def test_uncorrelated_effects_of_a_category():
    model = arrays("y ~ x + (0 + phase || patient_id)")
    assert model.effect_names == (("phase[early]", "phase[late]"),)
    assert model.design.factors[0].blocks == ((0,), (1,))


def test_bar_terms_on_one_grouping_are_blocks_of_one_factor():
    model = arrays("y ~ x + (1 | patient_id) + (0 + x + z | patient_id)")
    assert len(model.design.factors) == 1
    assert model.effect_names == (("(Intercept)", "x", "z"),)
    assert model.design.factors[0].blocks == ((0,), (1, 2))


def test_a_column_that_is_fixed_and_random_is_held_once():
    design = arrays("y ~ x + (1 + x | patient_id) + (0 + x | therapist_id)").design
    assert design.fixed == (0, 1)
    assert [factor.effects for factor in design.factors] == [(0, 1), (1,)]
    assert design.columns[0] is None
    assert len(design.columns) == 2


# ---- what the data cannot tell ----------------------------------------------------------------------------------

CONSTANT = FRAME.assign(c=3.0, text="same")


@pytest.mark.parametrize(
    ("right", "message"),
    [
        ("x + c", r"1 predictor is constant: 'c' \(always 3\)"),
        ("x + text", r"1 predictor is constant: 'text' \(always 'same'\)"),
        ("x:text", r"'text' \(always 'same'\)"),
        ("0 + text", r"'text' \(always 'same'\)"),
        ("C(c)", "constant"),
        ("I(c - 3)", r"'I\(c - 3\)' \(always 0\)"),
    ],
)
def test_constant_predictors_are_named(right, message):
    with pytest.raises(DesignError, match=message):
        arrays(f"y ~ {right} + (1 | patient_id)", CONSTANT)


@pytest.mark.parametrize("effects", ["1 + c", "c", "x + c", "1 + text", "x + I(2*x)", "1 + x + z + I(x + z)"])
@pytest.mark.parametrize("bar", ["|", "||"])
def test_constant_and_collinear_random_effects_are_refused(effects, bar):
    # beside a random intercept, the variance of a constant's effect cannot be told from its own
    with pytest.raises(DesignError, match=r"constant|follows exactly from"):
        arrays(f"y ~ x + ({effects} {bar} patient_id)", CONSTANT)


def test_every_constant_predictor_is_named_at_once():
    with pytest.raises(DesignError, match=r"2 predictors are constant: 'c' \(always 3\), 'd' \(always 4\)"):
        arrays("y ~ c + x + d + (1 | patient_id)", CONSTANT.assign(d=4))


@pytest.mark.parametrize(
    ("right", "named", "partners"),
    [
        ("x + z + w", "'w'", ["'x'", "'z'"]),
        ("x + I(2*x + 1)", r"'I\(2 \* x \+ 1\)'", ["'x'"]),
        ("session + I(session - 3)", "session - 3", ["'session'"]),
        ("phase + late", "'late'", [r"phase\[T.late\]"]),
        ("0 + phase + late", "'late'", [r"phase\[late\]"]),
    ],
)
def test_collinear_predictors_are_named_with_their_partners(right, named, partners):
    frame = FRAME.assign(w=FRAME["x"] - 2 * FRAME["z"], late=(FRAME["phase"] == "late").astype(float))
    with pytest.raises(DesignError, match=f"{named}.* follows exactly from.*{'.*'.join(partners)}"):
        arrays(f"y ~ {right} + (1 | patient_id)", frame)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("shift", [0, 2020])
def test_predictors_on_any_scale_are_not_called_constant_or_collinear(scale, shift):
    frame = FRAME.assign(x=(FRAME["x"] + shift) * scale, z=FRAME["z"] / scale)
    assert arrays("y ~ x + z + x:z + (1 | patient_id)", frame).fixed_names[1:] == ("x", "z", "x:z")


def test_a_grouping_with_one_level_is_refused():
    with pytest.raises(DesignError, match="'site' has 1 level in 48 rows"):
        arrays("y ~ x + (1 | patient_id) + (1 | site)", FRAME.assign(site="A"))


@pytest.mark.parametrize("right", ["(1 | row)", "(1 | patient_id/session)", "(1 | patient_id) + (1 | y)"])
def test_a_grouping_with_as_many_levels_as_rows_is_refused(right):
    with pytest.raises(DesignError, match="has 48 levels in 48 rows: with one row per level"):
        arrays(f"y ~ x + {right}", FRAME.assign(row=range(N)))


def test_too_many_effects_per_level_are_refused():
    # 8 patients × 6 effects = 48 rows
    with pytest.raises(
        DesignError, match="'patient_id' has 6 effects for each of 8 levels: 48 random effects in 48 rows"
    ):
        arrays("y ~ x + (1 + x + z + session + I(x^2) + I(z^2) | patient_id)")


@pytest.mark.parametrize(
    "right",
    [
        "(1 | patient_id) + (1 | again)",
        "(1 | patient_id/therapist_id)",  # nobody changes therapist
        "(1 | patient_id:therapist_id) + (1 | therapist_id:patient_id)",
        "(1 + x | patient_id) + (0 + x | again)",
    ],
)
def test_groupings_that_divide_the_rows_alike_are_refused(right):
    frame = FRAME.assign(again=[f"q{k}" for k in PATIENT])
    with pytest.raises(DesignError, match="divide the rows into the same 8 levels"):
        arrays(f"y ~ x + {right}", frame)


def test_one_effect_twice_in_one_grouping_is_refused():
    with pytest.raises(FormulaError, match=r"\(Intercept\) varies over patient_id in more than one bar term"):
        arrays("y ~ x + (1 | patient_id) + (1 + x | patient_id)")


@pytest.mark.parametrize("name", ["residual", "obs", "parameters", "dropped"])
def test_names_that_results_use_themselves_are_no_groupings(name):
    with pytest.raises(DataError, match=f"'{name}'.*Rename"):
        arrays(f"y ~ x + (1 | {name})", FRAME.rename(columns={"patient_id": name}))


def test_a_formula_without_bar_term_says_what_it_would_be():
    with pytest.raises(
        FormulaError, match=r"no bar term such as .* sessions of one patient would be taken as independent"
    ):
        arrays("y ~ x")


@pytest.mark.parametrize("right", ["0 + (1 | patient_id)", "x - x - 1 + (1 | patient_id)"])
def test_no_fixed_effects_at_all_is_refused(right):
    with pytest.raises(DesignError, match="no fixed effects at all"):
        arrays(f"y ~ {right}")


def test_a_bar_term_without_effects_is_refused():
    with pytest.raises(FormulaError, match=r"\(0 \| patient_id\) holds no effect"):
        arrays("y ~ x + (0 | patient_id)")


def test_misspelt_columns_name_the_nearest():
    with pytest.raises(ColumnError, match=r"No column 'sesion'\. Did you mean 'session'\?"):
        arrays("y ~ sesion + (1 | patient_id)")
    with pytest.raises(ColumnError, match=r"No column 'patientid'\. Did you mean 'patient_id'\?"):
        arrays("y ~ x + (1 | patientid)")


# ---- values that are no predictors or outcomes ------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        pd.date_range("2021-01-01", periods=N),
        pd.date_range("2021-01-01", periods=N, tz="Europe/Berlin"),
        pd.to_timedelta(SESSION, "D"),
        pd.period_range("2021-01", periods=N, freq="M"),
        np.full(N, 1j),
    ],
)
@pytest.mark.parametrize("formula", ["y ~ v + (1 | patient_id)", "v ~ x + (1 | patient_id)"])
def test_dates_durations_and_complex_numbers_are_refused(values, formula):
    with pytest.raises(DataError, match=r"Column 'v' holds .* not numbers"):
        arrays(formula, FRAME.assign(v=values))


def test_a_date_may_group():
    dates = pd.Timestamp("2021-01-01") + pd.to_timedelta(SESSION, "D")
    assert len(arrays("y ~ x + (1 | day)", FRAME.assign(day=dates)).levels[0]) == 6


def test_numbers_that_were_read_as_text_are_suspected():
    frame = FRAME.assign(x=FRAME["x"].astype(str))
    with pytest.raises(
        DesignError, match=r"'x' is text with 48 different values in 48 rows\. If they are numbers, convert"
    ):
        arrays("y ~ x + (1 | patient_id)", frame)


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        ("phase", "'phase' is not numeric .it has 2 categories"),
        ("number", "'number' is not numeric .it has 48 categories"),
        ("c", "'c' is 3 in all 48 rows: nothing to explain"),
        ("I(c*2)", "is 6 in all 48 rows"),
        ("1", "is 1 in all 48 rows"),
        ("(x + z)", "gives 2 columns instead of one number per row"),
        ("poly(x, 2)", "gives 2 columns"),
    ],
)
def test_outcomes_that_cannot_be_explained(outcome, message):
    with pytest.raises(DataError, match=message):
        arrays(f"{outcome} ~ x + (1 | patient_id)", CONSTANT.assign(number=FRAME["y"].astype(str)))


@pytest.mark.parametrize("outcome", ["I(y + z)", "log(session)", "changed", "scale(y)"])
def test_outcomes_may_be_computed(outcome):
    assert arrays(f"{outcome} ~ x + (1 | patient_id)").design.outcome.shape == (N,)


@pytest.mark.parametrize("term", ["log(x)", "sqrt(x)", "exp(1000*session)", "I(x/0)"])
def test_terms_that_are_not_finite_are_counted_and_placed(term):
    with (
        pytest.raises(DataError, match=r"is not finite in \d+ of 48 rows \(first at row \d+\)"),
        np.errstate(all="ignore"),
    ):
        arrays(f"y ~ {term} + (1 | patient_id)")


@pytest.mark.parametrize(
    "term", ["poly(phase, 2)", "log(phase)", "poly(x, 'a')", "log(x, 3, 4, 5)", "C(x=3)", "2*x", "5"]
)
def test_terms_that_cannot_be_computed_are_named_without_our_inner_names(term):
    with pytest.raises(AllianceStatsError) as caught:
        arrays(f"y ~ {term} + (1 | patient_id)")
    assert "column_0__" not in str(caught.value)


@pytest.mark.parametrize("column", ["y", "x"])
def test_infinite_values_are_refused(column):
    frame = FRAME.copy()
    frame.loc[7, column] = np.inf
    with pytest.raises(DataError, match=rf"Column '{column}' holds 1 infinite value \(first at row 7\)"):
        arrays("y ~ x + (1 | patient_id)", frame)


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(DataError, match="2 columns have the name 'patient_id'"):
        arrays("y ~ x + (1 | patient_id)", pd.concat([FRAME, FRAME[["patient_id"]]], axis=1))


def test_the_frame_is_not_changed():
    frame = make_frame()
    frame["phase"] = pd.Categorical(frame["phase"], ["early", "late", "never"])
    before = frame.copy()
    arrays("y ~ x*phase + changed + (1 + session | patient_id) + (1 | therapist_id)", frame)
    pd.testing.assert_frame_equal(frame, before)


def test_rows_are_positions_whatever_the_index():
    frame = FRAME.set_axis([f"row {k}" for k in range(N)])
    frame.loc["row 2", "x"] = np.nan
    model = arrays("y ~ x + (1 | patient_id)", frame)
    assert model.sample.rows.tolist() == [0, 1, *range(3, N)]
    assert_array_equal(model.design.outcome, FRAME["y"].drop(2))


@pytest.mark.parametrize("index", [[5] * N, pd.MultiIndex.from_arrays([PATIENT, SESSION])])
def test_repeated_and_nested_indexes_give_the_same_arrays(index):
    model = arrays("y ~ x*phase + (1 | patient_id)", FRAME.set_axis(index))
    for own, expected in zip(
        fixed(model).values(), fixed(arrays("y ~ x*phase + (1 | patient_id)")).values(), strict=True
    ):
        assert_array_equal(own, expected)


NAMES = "x z session phase changed therapist_id nothing 0 1 2 -1"
CALLS = "log(session) log(x) poly(x,2) poly(x,99) C(session) C(x) I(x^2) I(x/0) scale(x) center(phase) bs(x,df=4)"
PIECES = "x:phase phase*session (x-x) (x+z)^2"
TERMS = st.sampled_from([*NAMES.split(), *CALLS.split(), *PIECES.split()])
OPERATORS = st.sampled_from([" + ", " - ", "*", ":", "/"])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(OPERATORS, TERMS), min_size=1, max_size=4),
    st.lists(TERMS, min_size=1, max_size=2).map(" + ".join),
    st.sampled_from(["|", "||"]),
    st.sampled_from(["patient_id", "therapist_id/patient_id", "phase:therapist_id", "session"]),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_any_formula_gives_finite_arrays_or_our_own_error(right, effects, bar, group):
    text = "y ~ 1" + "".join(operator + term for operator, term in right) + f" + ({effects} {bar} {group})"
    # any other error is a failure of this test
    with contextlib.suppress(AllianceStatsError):
        design = arrays(text).design
        assert all(np.isfinite(column).all() for column in design.columns if column is not None)
        assert {k for factor in design.factors for k in factor.effects} <= set(range(len(design.columns)))


def test_an_outcome_that_names_no_column_is_refused():
    with pytest.raises(DataError, match="'5' names no column"):
        arrays("5 ~ 1 + (1 | patient_id)")
