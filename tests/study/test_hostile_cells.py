"""Hostile texts in every column that a person can fill, through every writer that there is."""

import json
import re

import pytest
from hostile_texts import HOSTILE, Tags, assert_no_cell_runs, assert_no_tag_runs

import alliance_stats as als
from alliance_stats.data.codebook import Codebook, Variable
from alliance_stats.data.faults import Fault, faults_frame
from alliance_stats.data.session_table import SessionTable, Source
from alliance_stats.report.figures.canvas import png_bytes, svg_bytes


@pytest.fixture
def sessions(sessions):
    """The same sessions, every text in them hostile."""
    bad = dict(enumerate(HOSTILE))
    frame = sessions.frame.assign(
        patient_id=[f"{bad[int(name[1:]) % len(bad)]} {name}" for name in sessions.frame["patient_id"]],
        therapist_id=[f"{bad[int(name[1:])]} {name}" for name in sessions.frame["therapist_id"]],
    ).sort_values(["patient_id", "session"], ignore_index=True)
    codebook = Codebook(
        (Variable("alliance", HOSTILE[1], "score"), Variable("outcome", HOSTILE[0] + HOSTILE[8], "score"))
    )
    faults = faults_frame([Fault(*(HOSTILE[k] for k in (0, 1)), 2, HOSTILE[7], "kept", HOSTILE[4])])
    source = Source(HOSTILE[9], "0" * 64, len(frame), reading={"citation": HOSTILE[0], "encoding": HOSTILE[0]})
    return SessionTable(frame, codebook, faults, source)


@pytest.fixture
def report(sessions, tmp_path, quick):
    return als.study_report(sessions, tmp_path / "r", title=HOSTILE[0] + HOSTILE[9], assumed=HOSTILE, pseudonyms=False)


def test_no_cell_of_any_table_runs_in_a_spreadsheet(report):
    assert_no_cell_runs(report, 7)


def test_no_page_holds_a_tag_or_a_handler_of_the_data(report):
    assert_no_tag_runs(report)


def test_pictures_in_the_page_are_its_own(report):
    page = report.page.read_text(encoding="utf-8")
    sources = re.findall(r'<img src="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/") for source in sources)


def test_what_a_notebook_shows_holds_no_tag_of_the_data(report, sessions):
    fit = als.mixed("outcome ~ alliance + (1 | patient_id) + (1 | therapist_id)", sessions)
    shown = [sessions, report, fit, fit.report(), fit.influence("therapist_id"), als.growth(sessions, "alliance")]
    for thing in shown:
        tags = Tags(thing._repr_html_())
        assert not tags.seen & {"script", "img"}, type(thing)
        assert tags.handlers == []


def test_tables_in_a_notebook_are_no_mathematics(sessions):
    fit = als.mixed("outcome ~ alliance + (1 | patient_id) + (1 | therapist_id)", sessions)
    for thing in (sessions, fit, fit.influence("therapist_id")):
        assert "tex2jax_ignore mathjax_ignore" in thing._repr_html_()


def test_figures_draw_hostile_labels_as_text(sessions):
    drawn = als.therapist_effects(sessions, "outcome").plot("caterpillar")
    assert png_bytes(drawn)
    assert not Tags(svg_bytes(drawn).decode()).seen & {"script", "img"}


def test_results_are_json_whatever_the_texts(report):
    results = json.loads((report.folder / "results.json").read_text(encoding="utf-8"))
    assert HOSTILE[0] in json.dumps(results)
