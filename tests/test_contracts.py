"""One contract over every public result."""

import dataclasses
import pickle

import pandas as pd
import pytest
from matplotlib.axes import Axes

import alliance_stats as als
from alliance_stats.data.codebook import Codebook, Variable
from alliance_stats.data.session_table import SessionTable
from alliance_stats.names import RANDOM_COLUMNS, RESIDUAL, TABLE_COLUMNS, VARIANCE_COLUMNS
from alliance_stats.report.figures.canvas import Panels, png_bytes, svg_bytes
from alliance_stats.report.sentences import Sentences

FORMULA = "outcome ~ alliance + session + (1 + session | patient_id) + (1 | therapist_id)"
ASK = {
    "mixed": lambda data: als.mixed(FORMULA, data),
    "growth": als.growth,
    "within_between": als.within_between,
    "therapist_change": als.therapist_change,
    "therapist_effects": als.therapist_effects,
}
GLANCE = (
    *("n_obs", "n_patient_id", "n_therapist_id", "deviance", "log_likelihood", "aic", "bic", "sigma", "method"),
    *("converged", "singular"),
)
#: Results without a mixed model: test_contracts_questionnaires.py.
CHECKED_ELSEWHERE = ("check_scoring", "reliability", "reliable_change", "clinically_significant_change")
SCRIPT, IMAGE = "<script>alert(1)</script>", "<img src=x onerror=alert(1)>"


def simulated():
    return als.simulate_sessions(5, 5, 7, 0.5, seed=6)


def hostile():
    """The same sessions under ids and labels that would run on a page that does not escape them."""
    table = simulated()
    ids = {column: table.frame[column] + SCRIPT for column in ("patient_id", "therapist_id")}
    labels = Codebook(tuple(Variable(name, f"{name} {IMAGE}", "score") for name in ("alliance", "outcome")))
    return SessionTable(table.frame.assign(**ids), labels)


@pytest.fixture(scope="module")
def results():
    data = simulated()
    return {name: ask(data) for name, ask in ASK.items()}


@pytest.fixture(scope="module")
def hostile_results():
    data = hostile()
    return {name: ask(data) for name, ask in ASK.items()}


@pytest.fixture(params=ASK)
def result(request, results):
    return results[request.param]


@pytest.fixture(params=ASK)
def hostile_result(request, hostile_results):
    return hostile_results[request.param]


def test_the_contract_covers_every_question_that_is_public():
    not_results = {
        *("read_sessions", "SessionTable", "read_study", "datasets", "load_dataset", "center", "lag", "errors"),
        *("therapist_episodes", "membership", "simulate_sessions", "study_report", "anova", "meta", "__version__"),
        *("meta_report", "read_meta_study", "propose_wide", "score", "measures", "register_measure"),
        *CHECKED_ELSEWHERE,
    }
    assert set(als.__all__) - not_results == set(ASK)


def test_the_table_has_the_columns_of_the_contract_in_order(result):
    table = result.table()
    assert tuple(table.columns) == TABLE_COLUMNS
    assert table["term"].iloc[0] == "(Intercept)"
    assert table.drop(columns="term").notna().all(axis=None)
    assert table["term"].is_unique


def test_the_glance_is_one_row_with_counts_and_fit(result):
    glance = result.glance()
    assert len(glance) == 1
    assert [name for name in GLANCE if name not in glance] == []
    one, frame = glance.iloc[0], simulated().frame
    assert (one["n_obs"], one["n_patient_id"]) == (len(frame), frame["patient_id"].nunique())
    assert one["n_therapist_id"] == frame["therapist_id"].nunique()
    assert one["log_likelihood"] == -one["deviance"] / 2
    assert one["method"] == "REML"
    assert one["converged"]


def test_the_variances_end_with_the_residual(result):
    variance = result.variance()
    assert tuple(variance.columns) == VARIANCE_COLUMNS
    assert variance["group"].tolist().count(RESIDUAL) == 1
    last = variance.iloc[-1]
    assert last["group"] == RESIDUAL
    assert last["sdcor"] == result.glance()["sigma"].iloc[0]
    single = variance[variance["term2"].isna()]
    assert (single["vcov"] >= 0).all()


@pytest.mark.parametrize("group", ["patient_id", "therapist_id"])
def test_random_effects_have_a_row_per_level_and_term(result, group):
    random, frame = result.random(group), simulated().frame
    assert tuple(random.columns) == RANDOM_COLUMNS
    assert set(random["level"]) == set(frame[group])
    assert not random.duplicated(["level", "term"]).any()
    assert (random["ci_low"] <= random["estimate"]).all()
    assert (random["estimate"] <= random["ci_high"]).all()


def test_the_figure_is_axes_that_know_their_data_and_words(result):
    drawn = result.plot()
    assert isinstance(drawn, Axes | Panels)
    assert drawn.data
    assert all(isinstance(frame, pd.DataFrame) and len(frame) for frame in drawn.data.values())
    assert drawn.caption.startswith("Simulated data. ")
    assert drawn.alt_text.startswith("Simulated data. ")


def test_the_figure_can_be_drawn_on_axes_of_the_users_own(result):
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    figure, axes = plt.subplots(1, 2)
    try:
        panels = isinstance(result.plot(), Panels)
        drawn = result.plot(axes=axes) if panels else result.plot(ax=axes[0])
        assert (drawn[0] if panels else drawn) is axes[0]
        assert drawn.caption
    finally:
        plt.close(figure)


def test_an_unknown_figure_is_refused(result):
    with pytest.raises(als.errors.DataError, match="has no figure 'pie'"):
        result.plot("pie")


def test_the_report_is_text_that_knows_markdown_latex_and_html(result):
    report = result.report()
    assert isinstance(report, Sentences)
    assert report.endswith(".")
    assert "  " not in report
    assert "*b* = " in report.markdown or "*ICC* = " in report.markdown or "Standard deviations" in report
    assert r"\emph{" in report.latex
    assert "<i>" in report.html
    assert "*" not in report
    assert "nan" not in report.lower()


def test_the_model_is_described_in_words(result):
    described = result.describe()
    assert "Linear mixed model of" in described
    assert "restricted maximum likelihood" in described
    assert "Satterthwaite" in described
    assert "~" in described  # and the formula, for those who read formulas


def test_repr_shows_the_model_and_the_numbers(result):
    text = repr(result)
    assert "Linear mixed model" in text
    assert "std_error" in text


def test_jupyter_shows_a_table(result):
    shown = result._repr_html_()
    assert "<table" in shown
    assert "<script" not in shown


def test_hostile_ids_and_labels_are_escaped(hostile_result):
    for shown in (
        hostile_result._repr_html_(),
        hostile_result.report().html,
        svg_bytes(hostile_result.plot()).decode(),
    ):
        assert SCRIPT not in shown
        assert "<img" not in shown
    repr(hostile_result)
    assert png_bytes(
        hostile_result.plot("caterpillar") if "caterpillar" in kinds(hostile_result) else hostile_result.plot()
    )


def kinds(result):
    return (
        ("caterpillar",) if type(result).__name__ in ("MixedResult", "GrowthResult", "TherapistEffectsResult") else ()
    )


def test_hostile_names_change_no_number(result, hostile_result):
    if type(result) is type(hostile_result):
        pd.testing.assert_frame_equal(result.table(), hostile_result.table(), rtol=1e-6)


def test_a_result_is_frozen(result):
    for field in dataclasses.fields(result):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(result, field.name, None)


def test_a_table_that_is_changed_leaves_the_result_as_it_was(result):
    for get in (result.table, result.variance, result.glance):
        before = get().copy(deep=True)
        frame = get()
        frame.iloc[0, 1] = -99.0 if get is result.table else frame.iloc[0, 1]
        frame["extra"] = 1
        pd.testing.assert_frame_equal(get(), before)


def test_a_result_can_be_pickled(result):
    again = pickle.loads(pickle.dumps(result))
    pd.testing.assert_frame_equal(again.table(), result.table())
    assert again.report().source == result.report().source


@pytest.mark.parametrize("ask", ASK.values(), ids=list(ASK))
def test_the_input_is_never_changed(ask):
    data = simulated()
    before = data.frame.copy(deep=True)
    result = ask(data)
    result.report()
    pd.testing.assert_frame_equal(data.frame, before)


def test_notes_say_how_many_rows_were_used(result):
    assert any("rows were used" in note or "rows were left out" in note for note in result.notes())
