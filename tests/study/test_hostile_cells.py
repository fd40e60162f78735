"""Hostile texts in every column that a person can fill, through every writer that there is."""

import csv
import json
import re
from html.parser import HTMLParser

import pytest

import alliance_stats as als
from alliance_stats.data.codebook import Codebook, Variable
from alliance_stats.data.faults import Fault, faults_frame
from alliance_stats.data.session_table import SessionTable, Source
from alliance_stats.report.figures.canvas import png_bytes, svg_bytes

HOSTILE = (
    "<script>alert(1)</script>",
    '=HYPERLINK("http://x","y")',
    "+1+cmd",
    "-1+cmd",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "a;=1+1",
    "$\\href{javascript:alert(1)}{x}$",
    '"><img src=x onerror=alert(1)>',
    "\u202e=1",
)
NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?|-?inf")


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.seen, self.handlers = set(), []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.handlers += [
            name
            for name, value in attrs
            if name.startswith("on") or (name in ("href", "src") and "javascript:" in str(value))
        ]


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
    files = sorted((report.folder / "tables").glob("*.csv"))
    assert len(files) > 6
    for path in files:
        for delimiter in ",;\t":
            rows = csv.reader(path.open(encoding="utf-8", newline=""), delimiter=delimiter)
            cells = [cell for row in rows for cell in row]
            assert [c for c in cells if re.match(r'[\s"]*[=+@-]', c) and not NUMBER.match(c)] == []
    assert any("'=HYPERLINK" in path.read_text(encoding="utf-8") for path in files)


def test_no_page_holds_a_tag_or_a_handler_of_the_data(report):
    for path in [report.page, *(report.folder / "tables").glob("*.html")]:
        tags = Tags(path.read_text(encoding="utf-8"))
        assert not tags.seen & {"script", "iframe", "object"}
        assert tags.handlers == []
        assert "alert(1)" in path.read_text(encoding="utf-8") or path != report.page  # it was there to be escaped
        assert "\u202e" not in path.read_text(encoding="utf-8")


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
