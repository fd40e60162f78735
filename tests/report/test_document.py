import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from alliance_stats.errors import DataError
from alliance_stats.report.document import Document, Section, figure_uri, render_html
from alliance_stats.report.figures.caterpillar import caterpillar
from alliance_stats.report.sentences import Sentences
from alliance_stats.report.tables import ResultTable


class _Page(HTMLParser):
    """Tags, attributes and ids of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def values(self, wanted):
        return [value for _, name, value in self.attributes if name == wanted]


def _table(title="T", text="x"):
    return ResultTable(pd.DataFrame({"what": [text], "n": [1]}), title)


def _document(effects, **more):
    sections = (
        Section("people", "Who is in the data", "Who?", Sentences("*N* = 3."), (_table("A"),)),
        Section(
            "therapists",
            "How much therapists differ",
            "How much?",
            Sentences("*b* = 1 < 2."),
            (_table("B"), _table("C")),
            caterpillar(effects, unit="Effect"),
            "A mixed model.",
            ("One row was left out.",),
            ("Not converged.",),
        ),
    )
    return Document(
        **{"title": "Title", "sections": sections, "warnings": ("Whole page.",), "provenance": {"Package": "0.1.0"}}
        | more
    )


def test_the_page_loads_nothing_and_runs_nothing(effects):
    page = _Page(render_html(_document(effects)))
    assert {"script", "link", "iframe", "object", "form", "base"}.isdisjoint(page.tags)
    assert all(value.startswith("data:image/") for value in page.values("src"))
    assert all(value.startswith("#") for value in page.values("href"))
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert any("default-src 'none'" in (value or "") for value in page.values("content"))


def test_the_contents_lead_to_sections_that_are_there(effects):
    page = _Page(render_html(_document(effects)))
    ids = page.values("id")
    assert {value.removeprefix("#") for value in page.values("href")} == {"people", "therapists"} <= set(ids)
    assert len(ids) == len(set(ids))


def test_markup_is_semantic(effects):
    page = _Page(render_html(_document(effects)))
    for tag, n in {
        "h1": 1,
        "h2": 2,
        "figure": 1,
        "figcaption": 1,
        "table": 3,
        "caption": 3,
        "nav": 1,
        "footer": 1,
    }.items():
        assert page.tags.count(tag) == n, tag
    assert [value for tag, name, value in page.attributes if (tag, name) == ("html", "lang")] == ["en"]


def test_the_figure_has_its_alt_text_and_caption(effects):
    document = _document(effects)
    text = render_html(document)
    figure = document.sections[1].figure
    assert _Page(text).values("alt") == [figure.alt_text]
    assert "<b>Figure 1</b> Effect: 3 therapists in rank order" in text


def test_tables_are_numbered_through_the_page(effects):
    document = _document(effects)
    assert re.findall(r"<b>Table (\d)</b><i>(\w)</i>", render_html(document)) == [("1", "A"), ("2", "B"), ("3", "C")]
    assert [table.number for table in document.sections[1].tables] == [2, 3]


def test_warnings_stand_at_the_top_and_in_their_section(effects):
    text = render_html(_document(effects))
    assert text.count("Not converged.") == 2
    assert text.index("Whole page.") < text.index("Not converged.") < text.index('<section id="people"')
    assert text.rindex("Not converged.") > text.index('<section id="therapists"')


def test_a_page_without_warnings_has_no_box():
    text = render_html(Document("T", sections=(Section("a", "A"),)))
    assert 'class="warnings"' not in text


def test_sentences_can_be_pasted_in_three_forms(effects):
    text = render_html(_document(effects))
    assert '<p class="sentences"><i>b</i> = 1 &lt; 2.</p>' in text
    assert "<pre>*b* = 1 &lt; 2.</pre>" in text
    assert r"<pre>\emph{b} = 1 $&lt;$ 2.</pre>" in text


def test_simulated_data_are_named_at_the_top(effects):
    assert '<p class="simulated">Simulated data</p>' in render_html(_document(effects, simulated=True))
    assert 'class="simulated"' not in render_html(_document(effects))


def test_hostile_text_is_neutral_everywhere(effects, hostile):
    hostile += '"><img src=x onerror=alert(1)> {{ 7*7 }} {% raw %} </style></pre>'
    figure = caterpillar(effects.assign(level=hostile), unit=hostile, caption=hostile, alt_text=hostile)
    section = Section(
        "a",
        hostile,
        hostile,
        Sentences.plain(hostile),
        (_table(hostile, hostile),),
        figure,
        hostile,
        (hostile,),
        (hostile,),
    )
    document = Document(hostile, hostile, (section,), (hostile,), {hostile: hostile}, (hostile,), True)
    text = render_html(document)
    page = _Page(text)
    assert {"script"}.isdisjoint(page.tags)
    assert page.tags.count("img") == 1
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "{{ 7*7 }}" in text  # not evaluated to 49
    assert page.values("alt")[0].endswith(hostile)


def test_the_same_document_gives_the_same_page(effects):
    assert render_html(_document(effects)) == render_html(_document(effects))


def test_a_large_svg_gives_way_to_a_png(effects, monkeypatch):
    figure = caterpillar(effects, unit="Effect")
    assert figure_uri(figure).startswith("data:image/svg+xml;base64,")
    monkeypatch.setattr("alliance_stats.report.document._LARGEST_SVG", 10)
    assert figure_uri(figure).startswith("data:image/png;base64,")


@pytest.mark.parametrize("key", ["", "Two words", 'a"b', "<b>", "1a"])
def test_a_section_key_that_is_no_address_is_refused(key):
    with pytest.raises(DataError, match="1 section key cannot be an address"):
        Section(key, "H")


def test_two_sections_of_one_key_are_refused():
    with pytest.raises(DataError, match="1 section key used twice: a"):
        Document("T", sections=(Section("a", "A"), Section("a", "B")))


def test_one_table_or_note_alone_is_taken_as_one():
    section = Section("a", "A", tables=_table(), notes="Only one.")
    assert (len(section.tables), section.notes) == (1, ("Only one.",))


def test_a_section_may_have_several_figures_numbered_through_the_page():
    from alliance_stats.report.figures.canvas import new_axes

    made = [new_axes() for _ in range(3)]
    for number, axes in enumerate(made):
        axes.caption = f"Figure of {number}"
    sections = (
        Section("a", "A", figure=made[0], more_figures=[made[1]]),
        Section("b", "B", more_figures=[made[2]]),
    )
    page = render_html(Document("Title", sections=sections))
    for number in range(3):
        assert f"<b>Figure {number + 1}</b> Figure of {number}" in page
    assert [len(one.figures) for one in sections] == [2, 1]
