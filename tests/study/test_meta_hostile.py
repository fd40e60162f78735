"""Hostile texts as names of studies, columns, categories and title, through every writer of a meta-analysis."""

import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hostile_texts import HOSTILE, Tags, assert_no_cell_runs, assert_no_tag_runs
from matplotlib import rc_context

import alliance_stats as als
from alliance_stats.report.figures.canvas import figure_of, png_bytes, svg_bytes
from alliance_stats.study.meta.study_file import (
    EffectColumns,
    MetaReportOptions,
    MetaStudy,
    ModeratorOptions,
)

RATER, YEAR, LEVEL = '=HYPERLINK("http://x","rater")', "<script>alert(1)</script> *year*", "@cmd $x$"


@pytest.fixture(scope="module")
def effects():
    draw = np.random.default_rng(4)
    rows = []
    for at, name in enumerate(HOSTILE):
        for one in range(1 + at % 3):
            r, n = round(float(draw.uniform(0.05, 0.5)), 2), 40 + 3 * at
            rows.append((f"{name} {at}", r, n, HOSTILE[one], 1990 + at))
    return pd.DataFrame(rows, columns=["study", "r", "n", RATER, YEAR])


@pytest.fixture
def report(effects, tmp_path, quick):
    study = MetaStudy(
        title=HOSTILE[0] + HOSTILE[9],
        columns=EffectColumns(r="r", n="n", rater=RATER, year=YEAR),
        moderators=ModeratorOptions((RATER, YEAR)),
        report=MetaReportOptions(columns=(RATER, YEAR), n_boot=50),
        assumed=HOSTILE,
    )
    return als.meta_report(effects, tmp_path / "r", study=study)


def test_no_cell_of_any_table_runs_in_a_spreadsheet(report):
    assert_no_cell_runs(report, 9)


def test_no_page_holds_a_tag_or_a_handler_of_the_data(report):
    assert_no_tag_runs(report)


def test_stars_of_column_names_stay_stars_in_sentences(report):
    words = next(one for one in report.document.sections if one.key == "moderators").sentences
    assert "*year*" in words
    assert "<i>year</i>" not in words.html
    assert "<script>" not in words.html
    assert HOSTILE[0] in str(words)  # the plain text is plain


def test_figures_draw_hostile_names_as_text(report):
    figures = [figure for one in report.document.sections for figure in one.figures]
    assert len(figures) >= 7
    for figure in figures:
        buffer = io.BytesIO()  # the fixture's stand-ins are for the folder; here the figure itself is drawn
        with rc_context({"svg.fonttype": "none"}):
            figure_of(figure).savefig(buffer, format="svg")
        text = buffer.getvalue().decode()
        assert "<text" in text
        assert not Tags(text).seen & {"script", "img"}


def test_a_forest_plot_of_hostile_names_can_be_rendered(effects):
    read = als.meta.read_effects(effects, r="r", n="n", rater=RATER)
    drawn = als.meta.figures.forest(als.meta.multilevel(read), by=RATER, columns=[YEAR, RATER])
    assert png_bytes(drawn)
    svg = svg_bytes(drawn).decode()
    assert not Tags(svg).seen & {"script", "img"}
    assert "&lt;script&gt;" in svg


def test_results_are_json_whatever_the_texts(report):
    results = json.loads((report.folder / "results.json").read_text(encoding="utf-8"))
    assert RATER in results["sections"]["moderators"]["each"]
    assert HOSTILE[0] in json.dumps(results)


def test_a_name_that_cannot_be_quoted_in_a_formula_is_refused_in_words(effects, tmp_path, quick):
    named = effects.rename(columns={RATER: "a`b"})
    study = MetaStudy(columns=EffectColumns(r="r", n="n"), moderators=ModeratorOptions(("a`b",)))
    study = replace(study, report=MetaReportOptions(n_boot=50))
    made = als.meta_report(named, tmp_path / "b", study=study)
    warnings = next(one for one in made.document.sections if one.key == "moderators").warnings
    assert "holds a backtick" in warnings[0]
