import numpy as np
import pandas as pd
import pytest

from alliance_stats.errors import DataError
from alliance_stats.report.figures.baujat import baujat
from alliance_stats.report.figures.canvas import Panels, svg_bytes
from alliance_stats.report.figures.diagnostics import diagnostics
from alliance_stats.report.figures.left_out import left_out

WHOLE = pd.DataFrame({"estimate": [0.3], "ci_low": [0.2], "ci_high": [0.4]})


def fits(n):
    estimate = np.linspace(0.25, 0.35, n)
    names = [f"Study {at}" for at in range(n)]
    return pd.DataFrame({"label": names, "estimate": estimate, "ci_low": estimate - 0.1, "ci_high": estimate + 0.1})


def test_a_study_without_a_fit_is_written_so():
    rows = fits(3)
    rows.loc[1, ["estimate", "ci_low", "ci_high"]] = np.nan
    drawn = left_out(rows, WHOLE)
    written = [text.get_text() for text in drawn.texts]
    assert written == ["0.250 [0.150, 0.350]", "no fit", "0.350 [0.250, 0.450]"]


def test_many_studies_lose_their_names_and_not_their_marks():
    drawn = left_out(fits(300), WHOLE)
    assert not drawn.texts
    assert len(drawn.collections[-1].get_offsets()) == 300
    assert "300" in drawn.caption


def test_baujat_names_the_outermost():
    rows = pd.DataFrame({"label": list("abcd"), "heterogeneity": [9.0, 1, 0.2, 0.1], "influence": [0.5, 0.01, 0, 0]})
    drawn = baujat(rows)
    assert [text.get_text() for text in drawn.texts] == ["a"]
    assert "farthest out: a" in drawn.caption


def test_diagnostics_mark_what_is_influential():
    rows = pd.DataFrame(
        {"label": list("abc"), "marked": [False, True, False], "Hat": [0.1, 0.8, 0.1], "Cook": [0, 2, 0]}
    )
    drawn = diagnostics(rows, {"Hat": 1 / 3, "Cook": 0.0})
    assert isinstance(drawn, Panels)
    assert len(drawn) == 2
    assert "Marked as influential: b" in drawn.caption
    assert b"Cook" in svg_bytes(drawn)
    with pytest.raises(DataError, match="0 measures"):
        diagnostics(rows, {})
