"""Hostile texts in every place of a file that a person can fill, through everything that is shown or written of it."""

import csv
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.report.figures.canvas import png_bytes, svg_bytes

LONG = "x" * 40_000
#: Script, formulas of all kinds, tabs, line breaks, a very long text, Markdown and MathJax links.
HOSTILE = (
    "<script>alert(1)</script>",
    '=HYPERLINK("http://x","y")',
    "@SUM(A1)",
    "+1+cmd",
    "-1+cmd",
    "a\tb\n=1+1",
    "\r\n=1",
    f"<img src=x onerror=alert(1)>{LONG}",
    "[x](javascript:alert(1)) | $\\href{javascript:alert(1)}{x}$",
)
FORMULA = re.compile(r"[\s\"]*[=+@-]")


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.bad = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "img", "iframe", "object"):
            self.bad.append(tag)
        self.bad += [name for name, value in attrs if name.startswith("on") or "javascript:" in str(value)]


def ends(cell):
    """Cut a text in its middle: a sheet and SPSS hold less than a CSV file."""
    return cell[:100] + cell[-100:] if isinstance(cell, str) and len(cell) > 200 else cell


def sound(page):
    assert page
    assert Tags(page).bad == []


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(3)
    n = 60
    patient = np.repeat(np.arange(n), 6)
    made = pd.DataFrame(
        {
            "who <script>alert(1)</script>": [f"{HOSTILE[k % len(HOSTILE)]} {k}" for k in patient],
            "=by(1)": [f"{HOSTILE[k % 7]} {k % 7}" for k in patient],
            "nr": np.tile(np.arange(1, 7), n),
            "=score(1)": rng.integers(1, 6, len(patient)).astype(float),
            "@phq\tscore": rng.integers(0, 28, len(patient)).astype(float),
            '=HYPERLINK("http://x","y")': [HOSTILE[k % len(HOSTILE)] for k in patient],
        }
    )
    for item in range(1, 8):
        made[f"<script>{item}"] = rng.integers(0, 4, len(patient))
    made.loc[3, "=score(1)"] = 99
    return made


ASKED = {
    "patient": "who <script>alert(1)</script>",
    "therapist": "=by(1)",
    "session": "nr",
    "scores": {
        "alliance": {"column": "=score(1)", "range": (1, 5), "label": HOSTILE[1] + HOSTILE[0], "higher": "better"},
        "outcome": {"column": "@phq\tscore", "label": HOSTILE[8] + HOSTILE[5], "higher": "worse"},
    },
    "keep": ['=HYPERLINK("http://x","y")', *(f"<script>{item}" for item in range(1, 8))],
    "on_faults": "leave_out",
}


@pytest.fixture(scope="module", params=["frame", "csv", "xlsx", "sav"])
def sessions(request, frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "=1+1 <script>.csv"
    asked = ASKED
    if request.param == "frame":
        return als.read_sessions(frame, **asked)
    if request.param == "csv":
        frame.to_csv(path, index=False)
        # A tab inside quotes stays; a comma stands between the columns.
        return als.read_sessions(path, **asked, delimiter=",")
    if request.param == "xlsx":
        openpyxl = pytest.importorskip("openpyxl")
        book, held = openpyxl.Workbook(), io.BytesIO()
        for at, row in enumerate([list(frame), *frame.astype(object).to_numpy().tolist()], start=1):
            for column, value in enumerate(row, start=1):
                cell = book.active.cell(at, column, ends(value))
                cell.data_type = "s" if isinstance(value, str) else "n"  # a text, whatever it begins with
        book.save(held)
        path.write_bytes(held.getvalue())
        scores = {**asked["scores"], "outcome": {**asked["scores"]["outcome"], "column": "@phq score"}}
        return als.read_sessions(path, **{**asked, "scores": scores})  # names in sheets are put on one line
    pyreadstat = pytest.importorskip("pyreadstat")
    named = dict(
        zip(frame.columns, ["who", "by", "nr", "wai", "phq", "note", *(f"g{k}" for k in range(1, 8))], strict=True)
    )
    short = frame.rename(columns=named).map(ends)
    pyreadstat.write_sav(
        short,
        str(path),
        column_labels={"wai": HOSTILE[0] + HOSTILE[1], "note": HOSTILE[5]},
        variable_value_labels={"wai": {1: HOSTILE[0], 2: HOSTILE[1], 5: HOSTILE[2]}, "g1": {0: HOSTILE[6]}},
    )
    scores = {
        "alliance": {"column": "wai", "range": (1, 5), "higher": "better"},
        "outcome": {"column": "phq", "higher": "worse"},
    }
    keep = ["note", *(f"g{k}" for k in range(1, 8))]
    return als.read_sessions(
        path, patient="who", therapist="by", session="nr", scores=scores, keep=keep, on_faults="leave_out"
    )


def test_the_texts_were_read_as_they_are(sessions):
    assert sessions.frame["patient_id"].nunique() == 60
    assert any(name.startswith("=HYPERLINK") for name in sessions.frame["patient_id"])
    assert sessions.faults["column"].isin(["=score(1)", "wai"]).any()


def test_findings_cut_long_texts(sessions):
    assert sessions.faults["places"].str.len().max() < 400


def test_what_is_shown_of_the_table_holds_no_tag(sessions):
    for page in (sessions._repr_html_(), sessions.codebook().to_html(), sessions.describe()._repr_html_()):
        sound(page)
        assert "tex2jax_ignore mathjax_ignore" in page  # between dollar signs a text would make a link
    sound(sessions.faults.to_html())


def test_the_codebook_runs_in_no_spreadsheet_and_no_page(sessions, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    sessions.codebook().to_excel(tmp_path / "codebook.xlsx")
    cells = [cell for row in openpyxl.load_workbook(tmp_path / "codebook.xlsx").active.iter_rows() for cell in row]
    texts = [cell.value for cell in cells if cell.value is not None]
    assert any("HYPERLINK" in text for text in texts)
    assert not [cell for cell in cells if cell.data_type == "f" or (cell.value and FORMULA.match(str(cell.value)))]
    lines = sessions.codebook().to_markdown().splitlines()
    assert len(lines) == 2 + len(sessions.codebook)
    bars = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert len(bars) == 1  # no bar and no line break of the data makes a cell
    assert not re.search(r"(?<!\\)<script|\](?=\(javascript)(?<!\\\])", "\n".join(lines))


def test_pictures_draw_the_texts(sessions):
    drawn = sessions.describe().plot()
    assert png_bytes(drawn)
    sound(svg_bytes(drawn).decode())


def test_a_report_holds_no_tag_and_no_formula(sessions, tmp_path, quick):
    report = als.study_report(sessions, tmp_path / "r", pseudonyms=False)
    sound_pages = [report.page, *(report.folder / "tables").glob("*.html")]
    for path in sound_pages:
        page = re.sub(r'<img src="data:image[^>]*>', "", path.read_text(encoding="utf-8"))
        sound(page)
    for path in (report.folder / "tables").glob("*.csv"):
        for delimiter in ",;\t":
            rows = csv.reader(path.open(encoding="utf-8", newline=""), delimiter=delimiter)
            cells = [cell for row in rows for cell in row]
            assert [c for c in cells if FORMULA.match(c) and not re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", c)] == []


def results(sessions):
    fit = als.mixed("outcome ~ alliance + session + (1 | patient_id) + (1 | therapist_id)", sessions)
    names = [name for name in sessions.frame if name.startswith(("<script>", "g"))]
    yield fit
    yield fit.bootstrap(8, seed=1)
    yield fit.influence("therapist_id")
    yield als.score(sessions, "GAD-7", items=names, into="gad").codebook()
    yield als.reliability(sessions, "GAD-7", items=names)
    yield als.reliable_change(sessions, "outcome", reliability=0.8, source=HOSTILE[0] + HOSTILE[1])
    yield als.check_scoring(als.score(sessions, "GAD-7", items=names, into="gad"), "GAD-7", items=names, total="gad")


def test_what_is_shown_of_any_result_holds_no_tag(sessions):
    for result in results(sessions):
        shown = result._repr_html_()
        sound(shown)
        assert "<table" in shown


def test_meta_analyses_of_hostile_studies_hold_no_tag(tmp_path):
    rng = np.random.default_rng(1)
    effects = pd.DataFrame(
        {
            "study": [f"{text} {k}" for k, text in enumerate(HOSTILE * 2)],
            "yi": rng.normal(0.3, 0.1, 18),
            "vi": rng.uniform(0.01, 0.05, 18),
        }
    )
    pooled = als.meta.pool(effects)
    drawn = svg_bytes(pooled.plot("forest")).decode()
    for shown in (pooled._repr_html_(), drawn):
        sound(shown)
    assert "&lt;" in drawn  # the hostile names are there, as text
