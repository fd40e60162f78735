"""``fit.optimizer()``, and what a fit that did not converge says of itself."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.engine.mixed import optimise as optimiser
from alliance_stats.errors import ConvergenceWarning

DATA = Path(__file__).parents[1] / "golden" / "lme4" / "data"
CROSSED = "alliance ~ session0 + after_change + (1 + session0 | patient_id) + (1 | therapist_id)"


@pytest.fixture(scope="module")
def frame():
    return pd.read_csv(DATA / "crossed.csv")


@pytest.fixture(scope="module")
def fit(frame):
    return als.mixed(CROSSED, frame)


@pytest.fixture(scope="module")
def at_zero(frame):
    """Therapists differ less than chance would have it."""
    flat = frame["alliance"] - frame.groupby("therapist_id")["alliance"].transform("mean")
    return als.mixed(CROSSED, frame.assign(alliance=flat))


# ---- the start ----


def test_the_start_is_given_in_the_units_of_the_data(fit, frame):
    story = fit.optimizer()
    assert list(story["start"]) == ["patient_id (Intercept)", "patient_id session0", "therapist_id (Intercept)",
                                    "residual"]  # fmt: skip
    assert all(value > 0 for value in story["start"].values())
    scaled = als.mixed(CROSSED, frame.assign(alliance=10 * frame["alliance"], session0=frame["session0"] / 7))
    for name, value in scaled.optimizer()["start"].items():
        unit = 100 * (49 if name == "patient_id session0" else 1)
        assert_allclose(value, unit * story["start"][name], rtol=1e-6)


def test_residual_parameters_have_a_start_too(frame):
    story = als.mixed(CROSSED, frame, residual="ar1", residual_time="session0", variance="after_change").optimizer()
    assert -1 < story["start"]["rho"] < 1
    assert [name for name in story["start"] if name.startswith("residual")] == [
        "residual after_change[0]", "residual after_change[1]",
    ]  # fmt: skip


# ---- boundaries ----


def test_inside_the_parameter_space_nothing_lies_on_a_boundary(fit):
    story = fit.optimizer()
    assert story["on_boundary"] == ""
    assert story["boundary_slopes"] == {}
    assert story["message"] == fit.solution.story.message


def test_at_a_boundary_the_criterion_rises_into_the_parameter_space(at_zero):
    story = at_zero.optimizer()
    assert story["on_boundary"] == "therapist_id"
    slope = story["boundary_slopes"]["therapist_id"]
    assert slope > 0
    assert story["message"].endswith(
        "; therapist_id lies on the boundary, and from it no step into the parameter space would fit better."
    )


def test_a_correlation_of_residuals_at_its_limit_is_named():
    # alternating residuals: no positive correlation fits
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"patient_id": np.repeat(range(20), 10), "session": np.tile(range(1, 11), 20)})
    noise = np.where(frame["session"] % 2, 1.0, -1.0) + 0.3 * rng.normal(size=200)
    frame["outcome"] = rng.normal(size=20)[frame["patient_id"]] + noise
    story = als.mixed("outcome ~ 1 + (1 | patient_id)", frame, residual="car1").optimizer()
    assert story["on_boundary"] == "rho"
    assert story["boundary_slopes"]["rho"] >= 0
    assert "rho lies on the boundary" in story["message"]


# ---- a fit that did not converge ----


@pytest.fixture
def unfinished(frame, monkeypatch):
    monkeypatch.setattr(optimiser, "_MAX_STEPS", 1)
    with pytest.warns(ConvergenceWarning, match="Did not converge"):
        return als.mixed("alliance ~ session0 + after_change + (1 + session0 | patient_id)", frame)


def test_it_says_so_wherever_its_numbers_are_read(unfinished):
    said = "Did not converge: after 1 Newton steps"
    assert not unfinished.glance()["converged"].iloc[0]
    assert not unfinished.optimizer()["converged"]
    assert unfinished.optimizer()["message"].startswith(said)
    for table in (
        unfinished.table(),
        unfinished.table(level=0.9),
        unfinished.contrast({"session0": 2}),
        unfinished.means([]),
        unfinished.means("session0", at={"session0": [0, 1]}, differences="reference"),
        unfinished.slopes("session0"),
    ):
        assert table.attrs["caption"].startswith(said)
    assert str(unfinished.report()).startswith(said)
    assert said in repr(unfinished)


def test_its_printed_table_says_so_in_title_and_notes(unfinished):
    for title in ("", "Growth of the Alliance"):
        printed = unfinished.result_table(title)
        assert printed.title == f"{title or 'Estimates of the Mixed Model'} (Not Converged: Not Final)"
        assert printed.notes[0].startswith("The optimiser did not reach the optimum: these numbers are not final")
        for text in (printed.to_html(), printed.to_markdown(), printed.to_latex()):
            assert "Not Converged" in text
            assert "these numbers are not final" in text


def test_questions_built_on_it_say_so(monkeypatch):
    sessions = als.load_dataset("simulated_alliance")
    monkeypatch.setattr(optimiser, "_MAX_STEPS", 1)
    with pytest.warns(ConvergenceWarning):
        change = als.therapist_change(sessions, "alliance")
    assert not change.glance()["converged"].iloc[0]
    assert change.table().attrs["caption"].startswith("Did not converge")
    assert "Not Converged" in change.result_table().title


def test_a_converged_table_has_no_such_caption(fit):
    assert "caption" not in fit.table().attrs
    assert "Not Converged" not in fit.result_table().title


@pytest.mark.parametrize("name", ["fit", "unfinished"])
def test_no_table_prints_stars(name, request):
    result = request.getfixturevalue(name)
    printed = result.result_table()
    assert (result.table()["p_value"] < 0.01).any()  # where others would
    for text in (printed.to_html(style=False), printed.to_latex(), printed.to_csv(), repr(result)):
        assert "*" not in text
    assert not re.search(r"\d\*", printed.to_markdown())  # its other stars are italics
