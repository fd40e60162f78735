import numpy as np
import pandas as pd
import pytest

from alliance_stats.errors import ColumnError, DataError
from alliance_stats.report.model_table import NOT_CONVERGED, SINGULAR, model_table
from alliance_stats.report.table_cells import grid

FIXED = pd.DataFrame(
    [
        ["(Intercept)", 0.095585, 0.056, 56.1, 1.707, 0.0934, -0.0166, 0.2078],
        ["session", 0.036008, 0.004799, 47.13, 7.503, 1.4e-9, 0.0264, 0.04566],
    ],
    columns=["term", "estimate", "std_error", "df", "statistic", "p_value", "ci_low", "ci_high"],
)
VARIANCE = pd.DataFrame(
    [
        ["patient_id", "(Intercept)", None, 0.16, 0.4],
        ["patient_id", "session", np.nan, 0.0004, 0.02],
        ["patient_id", "(Intercept)", "session", 0.00056, 0.07],
        ["residual", "", "", 0.1, 0.3162],
    ],
    columns=["group", "term", "term2", "vcov", "sdcor"],
)
GLANCE = pd.DataFrame(
    [
        {
            "n_obs": 1342,
            "n_patient_id": 57,
            "deviance": 592.5971,
            "log_likelihood": -296.29855,
            "aic": 604.5971,
            "bic": 635.8,
            "sigma": 0.3162,
            "method": "REML",
            "converged": True,
            "singular": False,
        }
    ]
)


def _lines(**changes):
    table = model_table(FIXED, VARIANCE, GLANCE.assign(**changes), "T")
    return [[str(cell) for cell in line.cells] for line in grid(table).lines]


def test_the_blocks_stand_in_apa_order():
    assert [line[0] for line in _lines() if len(line) == 1] == ["Fixed effects", "Random effects", "Counts", "Fit"]


def test_the_fixed_block_has_the_decimals_of_its_smallest_standard_error():
    assert _lines()[2] == ["session", "0.0360", "0.0048", "[0.0264, 0.0457]", "7.50", "47.1", "< .001"]


def test_the_random_block_names_deviations_and_correlations():
    shown = {line[0]: line[1] for line in _lines() if len(line) > 1}
    assert shown["Patients: SD of intercept"] == "0.4000"
    assert shown["Patients: SD of session"] == "0.0200"
    assert shown["Patients: correlation of intercept and session"] == ".07"
    assert shown["Residual SD"] == "0.3162"


def test_counts_and_criteria_follow():
    shown = {line[0]: line[1] for line in _lines() if len(line) > 1}
    assert (shown["Observations"], shown["Patients"]) == ("1,342", "57")
    assert (shown["REML criterion"], shown["AIC"], shown["BIC"]) == ("592.60", "604.60", "635.80")


def test_under_maximum_likelihood_the_criterion_is_the_deviance():
    assert ["−2 log-likelihood", "592.60"] in [line[:2] for line in _lines(method="ML")]


def test_lines_without_a_test_are_blank_not_dashed():
    residual = next(line for line in _lines() if line[0] == "Residual SD")
    assert residual[2:] == ["", "", "", "", ""]


def test_a_model_that_did_not_converge_says_so_first():
    notes = model_table(FIXED, VARIANCE, GLANCE.assign(converged=False, singular=True), "T", ("Mine.",)).notes
    assert notes[:2] == (NOT_CONVERGED, SINGULAR)
    assert notes[-1] == "Mine."


def test_a_converged_model_has_no_warning():
    notes = model_table(FIXED, VARIANCE, GLANCE, "T").notes
    assert NOT_CONVERGED not in notes
    assert SINGULAR not in notes


def test_labels_replace_terms_and_groups():
    table = model_table(FIXED, VARIANCE, GLANCE, "T", labels={"session": "Session (per week)", "patient_id": "Clients"})
    terms = list(table.frame["term"])
    assert terms[1] == "Session (per week)"
    assert "Clients: correlation of intercept and Session (per week)" in terms
    assert "Clients" in terms


def test_the_csv_holds_the_estimates_in_full():
    assert "0.036008,0.004799" in model_table(FIXED, VARIANCE, GLANCE, "T").to_csv()


def test_without_degrees_of_freedom_the_statistic_is_z():
    table = model_table(FIXED.assign(df=np.inf), VARIANCE, GLANCE, "T")
    assert [str(heading) for heading in grid(table).headings] == ["", "Estimate", "SE", "95% CI", "z", "df", "p"]


def test_inputs_are_not_changed():
    before = [frame.copy() for frame in (FIXED, VARIANCE, GLANCE)]
    model_table(FIXED, VARIANCE, GLANCE, "T")
    for frame, copy in zip((FIXED, VARIANCE, GLANCE), before, strict=True):
        pd.testing.assert_frame_equal(frame, copy)


def test_two_models_at_once_are_refused():
    with pytest.raises(DataError, match=r"glance\(\) has 2 rows"):
        model_table(FIXED, VARIANCE, pd.concat([GLANCE, GLANCE]), "T")


def test_a_model_without_terms_is_refused():
    with pytest.raises(DataError, match="0 rows"):
        model_table(FIXED.iloc[:0], VARIANCE, GLANCE, "T")


def test_a_frame_without_its_columns_names_all_that_are_missing():
    with pytest.raises(ColumnError, match=r"table\(\) lacks 2 of its columns.*std_error.*p_value"):
        model_table(FIXED.drop(columns=["std_error", "p_value"]), VARIANCE, GLANCE, "T")
    with pytest.raises(ColumnError, match="no column 'converged'"):
        model_table(FIXED, VARIANCE, GLANCE.drop(columns="converged"), "T")
