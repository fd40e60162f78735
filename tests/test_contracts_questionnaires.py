"""The contract over results that have no mixed model behind them."""

import dataclasses
import pickle

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import alliance_stats as als
from alliance_stats.data.session_table import SessionTable, Source
from alliance_stats.errors import DataError
from alliance_stats.report.figures.canvas import png_bytes, svg_bytes
from alliance_stats.report.sentences import Sentences

SCRIPT = "<script>alert(1)</script>"


def forms(simulated=True):
    """PHQ-9 forms of twelve patients at two sessions, a stored total whose item 2 was left out, a hostile name."""
    rows = [
        [f"p{patient:02d}", session, *[(patient * item + session * (item + patient)) % 4 for item in range(1, 10)]]
        for patient in range(12)
        for session in (1, 2, 3)
    ]
    frame = pd.DataFrame(rows, columns=["patient_id", "session", *[f"q{item}" for item in range(1, 10)]])
    frame[SCRIPT] = frame.filter(like="q").sum(axis=1) - frame["q2"]
    return SessionTable(als.score(frame, "PHQ-9", items="q{}", into="outcome"), source=Source(simulated=simulated))


ASK = {
    "check_scoring": lambda data: als.check_scoring(data, "PHQ-9", items="q{}", total=SCRIPT),
    "reliability": lambda data: als.reliability(data, items=[SCRIPT, "q1", "q4", "q5", "q7"]),
    "reliable_change": lambda data: als.reliable_change(data, SCRIPT, reliability=0.8, source=SCRIPT, higher="worse"),
    "clinically_significant_change": lambda data: als.clinically_significant_change(
        data, "outcome", measure="PHQ-9", reliability=0.7, source="manual"
    ),
}


@pytest.fixture(params=ASK)
def name(request):
    return request.param


@pytest.fixture
def result(name):
    return ASK[name](forms())


def test_table_and_glance_are_frames_that_leave_the_result_alone(result):
    for get in (result.table, result.glance):
        before = get().copy(deep=True)
        assert isinstance(before, pd.DataFrame)
        assert len(before)
        changed = get()
        changed.iloc[0, 0] = before.iloc[-1, 0]
        changed["extra"] = 1
        pd.testing.assert_frame_equal(get(), before)
    assert len(result.glance()) == 1


def test_the_report_is_text_that_knows_markdown_latex_and_html(result):
    report = result.report()
    assert isinstance(report, Sentences)
    assert report.endswith(".")
    assert "  " not in report
    assert "nan" not in report.lower()


def test_the_figure_knows_its_data_and_words_and_takes_axes(result):
    own = Figure().subplots()
    for drawn in (result.plot(), result.plot(ax=own)):
        assert isinstance(drawn, Axes)
        assert all(isinstance(frame, pd.DataFrame) and len(frame) for frame in drawn.data.values())
        assert drawn.caption.startswith("Simulated data. ")
        assert drawn.alt_text.startswith("Simulated data. ")
        assert png_bytes(drawn)
    assert drawn is own
    with pytest.raises(DataError, match="has no figure 'pie'"):
        result.plot("pie")


def test_real_data_are_not_called_simulated(name):
    assert "Simulated" not in ASK[name](forms(simulated=False)).plot().caption


def test_hostile_names_are_escaped(result):
    for shown in (result._repr_html_(), result.report().html, svg_bytes(result.plot()).decode()):
        assert SCRIPT not in shown
    assert "<table" in result._repr_html_()


def test_words_describe_what_was_done(result):
    assert result.describe()
    assert result.describe() in repr(result)
    assert all(isinstance(note, str) and note for note in result.notes())
    assert result.result_table().to_markdown()
    assert result.result_table().to_latex()


def test_a_result_is_frozen_and_can_be_pickled(result):
    for field in dataclasses.fields(result):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(result, field.name, None)
    again = pickle.loads(pickle.dumps(result))
    pd.testing.assert_frame_equal(again.table(), result.table())
    assert again.report().source == result.report().source


def test_the_input_is_never_changed(name):
    data = forms()
    before = data.frame.copy(deep=True)
    ASK[name](data).report()
    pd.testing.assert_frame_equal(data.frame, before)
