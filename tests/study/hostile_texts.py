"""Hostile texts, and what a report that holds them must not do."""

import csv
import re
from html.parser import HTMLParser

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


def assert_no_cell_runs(report, least):
    """No cell of any table is a formula to a spreadsheet, whatever it takes for a delimiter."""
    files = sorted((report.folder / "tables").glob("*.csv"))
    assert len(files) >= least
    for path in files:
        for delimiter in ",;\t":
            rows = csv.reader(path.open(encoding="utf-8", newline=""), delimiter=delimiter)
            cells = [cell for row in rows for cell in row]
            assert [c for c in cells if re.match(r'[\s"]*[=+@-]', c) and not NUMBER.match(c)] == []
    assert any("'=HYPERLINK" in path.read_text(encoding="utf-8") for path in files)


def assert_no_tag_runs(report):
    """No page holds a tag or a handler of the data."""
    for path in [report.page, *(report.folder / "tables").glob("*.html")]:
        text = path.read_text(encoding="utf-8")
        tags = Tags(text)
        assert not tags.seen & {"script", "iframe", "object"}
        assert tags.handlers == []
        assert "alert(1)" in text or path != report.page  # it was there to be escaped
        assert "\u202e" not in text
