"""``fit.bootstrap()``: the same draws for any number of workers, right summaries, right words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import DataError
from alliance_stats.report.figures.canvas import figure_of

DATA = Path(__file__).parents[1] / "golden" / "lme4" / "data"
CROSSED = pd.read_csv(DATA / "crossed.csv")
FORMULA = "alliance ~ session0 + (1 + session0 | patient_id) + (1 | therapist_id)"
COLUMNS = (
    *("group", "term", "term2", "parameter", "estimate", "bias", "std_error", "ci_low", "ci_high"),
    *("basic_low", "basic_high", "n", "note"),
)


@pytest.fixture(scope="module")
def fit():
    return als.mixed(FORMULA, CROSSED)


@pytest.fixture(scope="module")
def boot(fit):
    return fit.bootstrap(60, 1)


def test_results_depend_on_the_seed_and_not_on_the_number_of_workers(fit, boot):
    two = fit.bootstrap(60, 1, workers=2)
    pd.testing.assert_frame_equal(two.replicates, boot.replicates, check_exact=True)
    assert not fit.bootstrap(3, 2).replicates.equals(boot.replicates.head(3))


def test_more_refits_begin_with_the_same_ones(fit, boot):
    few = fit.bootstrap(7, 1)
    pd.testing.assert_frame_equal(few.replicates, boot.replicates.head(7))


def test_a_refit_is_the_fit_of_an_outcome_simulated_with_the_same_seed(fit, boot):
    seed = np.random.SeedSequence(1).spawn(2)[1]
    from alliance_stats.engine.mixed.draw import draw_outcomes

    outcome = draw_outcomes(fit.arrays.design, fit.solution, 1, np.random.default_rng(seed))[:, 0]
    again = als.mixed(FORMULA, CROSSED.assign(alliance=outcome))
    row = boot.replicates.iloc[1]
    assert_allclose(row["deviance"], again.solution.criterion, rtol=1e-9)
    names = ["sd__patient_id__(Intercept)", "sd__patient_id__session0", "sd__therapist_id__(Intercept)", "residual_sd"]
    sds = again.variance()["sdcor"][[0, 1, 3, 4]]
    assert_allclose(row[names].to_numpy(float), sds, rtol=1e-5)
    assert_allclose(row["fixed__session0"], again.solution.beta[1], rtol=1e-6)
    assert_allclose(row[["icc__patient_id", "icc__therapist_id"]].to_numpy(float), again.icc()["icc"], rtol=1e-5)


def test_the_table_summarises_the_replicates(boot):
    table, replicates = boot.table(0.9), boot.replicates
    assert tuple(table.columns) == COLUMNS
    row = table.iloc[0]
    values = replicates.loc[replicates["converged"], "sd__patient_id__(Intercept)"]
    low, high = values.quantile(0.05), values.quantile(0.95)
    assert_allclose([row["ci_low"], row["ci_high"]], [low, high])
    assert_allclose([row["basic_low"], row["basic_high"]], [2 * row["estimate"] - high, 2 * row["estimate"] - low])
    assert_allclose(row["bias"], values.mean() - row["estimate"])
    assert_allclose(row["std_error"], values.std())
    assert row["n"] == len(values)


def test_standard_errors_of_fixed_effects_are_near_those_of_the_model(fit):
    """The bootstrap's variance has a relative error of √(2/400) = 7 %, its root half of that; four of these."""
    table = fit.bootstrap(400, 3).table()
    own = table[table["parameter"] == "fixed"]
    assert_allclose(own["std_error"], fit.table()["std_error"], rtol=0.15)
    assert_allclose(own["bias"], 0, atol=4 * own["std_error"].max() / np.sqrt(400))


def test_boundary_refits_count_as_results():
    frame = pd.read_csv(DATA / "boundary_intercept.csv")
    boot = als.mixed("outcome ~ session0 + (1 | patient_id) + (1 | therapist_id)", frame).bootstrap(50, 2)
    zero = boot.replicates["sd__therapist_id__(Intercept)"] == 0
    assert 10 <= zero.sum() < 50  # about half under a true variance of zero
    assert boot.n_boundary == boot.replicates["boundary"].sum() >= zero.sum()
    assert boot.n_failed == 0
    row = boot.table().query("parameter == 'sd' and group == 'therapist_id'").iloc[0]
    assert (row["ci_low"], row["n"]) == (0, 50)
    assert any("These are results like the others, and count." in note for note in boot.notes())


def test_basic_intervals_stay_within_the_parameters_range():
    frame = pd.read_csv(DATA / "boundary_intercept.csv")
    table = als.mixed("outcome ~ session0 + (1 | patient_id) + (1 | therapist_id)", frame).bootstrap(30, 2).table()
    own = table[table["group"] == "therapist_id"]
    assert (own["basic_low"] == 0).all()


def test_a_correlation_is_counted_where_it_is_defined():
    frame = pd.read_csv(DATA / "boundary_slope.csv")
    boot = als.mixed("outcome ~ session0 + (1 + session0 | patient_id)", frame).bootstrap(40, 1)
    row = boot.table().query("parameter == 'correlation'").iloc[0]
    defined = boot.replicates["correlation__patient_id__(Intercept)__session0"].notna().sum()
    assert row["n"] == defined
    assert (row["note"] == "") == (defined == 40)


def test_residual_structures_are_drawn_and_refitted():
    frame = pd.read_csv(DATA / "growth.csv")
    frame["half"] = np.where(frame["session0"] < 5, "early", "late")
    options = {"residual": "car1", "residual_time": "session0", "variance": "half"}
    fit = als.mixed("alliance ~ session0 + (1 | patient_id)", frame, **options)
    boot = fit.bootstrap(40, 1)
    table = boot.table().set_index("parameter")
    assert_allclose(table.loc["rho", "estimate"], fit.solution.residual.rho)
    assert {"rho__patient_id", "sd_ratio__half[late]__half[early]", "residual_sd__half[late]"} <= {*boot.replicates}
    for kind in ("rho", "sd_ratio"):
        assert abs(table.loc[kind, "bias"]) < 3 * table.loc[kind, "std_error"]
        assert table.loc[kind, "ci_low"] < table.loc[kind, "estimate"] < table.loc[kind, "ci_high"]


def test_one_row_about_the_whole(boot):
    row = boot.glance().iloc[0]
    assert (row["n"], row["n_failed"], row["seed"], row["method"]) == (60, 0, 1, "REML")
    assert len(boot) == 60
    assert "60 outcomes were drawn" in repr(boot)
    assert "<table" in boot._repr_html_()


def test_the_figure_has_a_panel_per_parameter(boot):
    panels = boot.plot("sd", group="patient_id")
    assert len(panels) == 2
    assert isinstance(figure_of(panels), Figure)
    assert panels.data["estimates"]["name"].tolist() == ["SD (Intercept) (patient_id)", "SD session0 (patient_id)"]
    assert len(panels.data["values"]) == 60


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda boot: boot.plot("sds"), "no parameters of the kind 'sds'"),
        (lambda boot: boot.plot("sd", group="therapist"), "No sd belongs to 'therapist'. Did you mean 'therapist_id'"),
        (lambda boot: boot.table(95), "level lies between 0 and 1"),
        (lambda boot: boot.fit.bootstrap(0), "n is a whole number of draws, 1 or more, not 0"),
        (lambda boot: boot.fit.bootstrap(2, -1), "seed is a whole number, 0 or more, not -1"),
        (lambda boot: boot.fit.bootstrap(2, 1, workers=0), "workers is a whole number of processes"),
    ],
)
def test_what_cannot_be_had_is_refused(boot, ask, words):
    with pytest.raises(DataError, match=words):
        ask(boot)


def test_a_short_bootstrap_prints_no_bar(fit, capfd):
    fit.bootstrap(3, 1)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_one_worker_loads_no_parallel_library():
    code = f"""
import sys, pandas as pd, alliance_stats as als
fit = als.mixed("alliance ~ session0 + (1 | patient_id)", pd.read_csv({str(DATA / "growth.csv")!r}))
fit.bootstrap(3, 1), fit.intervals()
print({{"joblib", "matplotlib", "scipy.stats"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
