"""Frames of sensitivity analyses are results: the same methods as every result, over the numbers they hold."""

import pickle

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from numpy.testing import assert_allclose
from test_multilevel import EFFECTS as SEVERAL

import alliance_stats as als
from alliance_stats.meta.result import GLANCE
from alliance_stats.names import TABLE_COLUMNS
from alliance_stats.report.figures.canvas import Panels, svg_bytes
from alliance_stats.report.sentences import Sentences

SCRIPT = "<script>alert(1)</script>"
HERE = {
    "left out": als.meta.leave_one_out,
    "studies left out": lambda effects: als.meta.leave_one_out(effects, by="study"),
    "left out of a regression": lambda effects: als.meta.leave_one_out(als.meta.regress("yi ~ x", effects)),
    "left out of levels": lambda effects: als.meta.leave_one_out(als.meta.multilevel(effects)),
    "influence": als.meta.influence,
    "influence of clusters": lambda effects: als.meta.influence(als.meta.multilevel(effects, mods="x")),
    "cumulative": als.meta.cumulative,
    "Baujat": als.meta.baujat,
    "correlations": lambda effects: als.meta.multilevel(effects).sensitivity(),
    "correlations of a regression": lambda effects: als.meta.multilevel(effects, mods="x").sensitivity((0.2, 0.7)),
    "GOSH": lambda effects: als.meta.gosh(effects, n=200, progress=False),
}


@pytest.fixture(scope="module")
def made():
    return {name: ask(SEVERAL) for name, ask in HERE.items()}


@pytest.fixture(params=HERE)
def result(request, made):
    return made[request.param]


def test_tables_and_glances_have_the_columns_of_every_result(result):
    assert {*TABLE_COLUMNS} <= {*result.table().columns}
    assert tuple(result.glance().columns[: len(GLANCE)]) == GLANCE
    assert len(result.glance()) == 1
    assert result.glance()["k"][0] == len(SEVERAL)


def test_words_are_sentences(result):
    assert isinstance(result.report(), Sentences)
    assert result.report().endswith(".")
    assert "nan" not in result.report().lower()
    assert isinstance(result.notes(), tuple)


def test_figures_have_words_and_draw_where_they_are_told(result):
    import matplotlib.pyplot as plt

    drawn = result.plot()
    assert isinstance(drawn, Axes | Panels)
    assert drawn.caption
    assert drawn.alt_text
    plt.switch_backend("agg")
    figure, ax = plt.subplots()
    assert result.plot(ax=ax) is ax
    plt.close(figure)


def test_they_are_frames_that_make_plain_frames(result):
    assert isinstance(result, pd.DataFrame)
    assert type(result.head(1)) is pd.DataFrame
    assert type(result.assign(x=1)) is pd.DataFrame
    again = pickle.loads(pickle.dumps(result))
    assert again.report() == result.report()


def test_hostile_names_stay_text():
    effects = SEVERAL.assign(study=SEVERAL["study"] + SCRIPT)
    for ask in HERE.values():
        result = ask(effects)
        for shown in (result._repr_html_(), result.report().html, svg_bytes(result.plot()).decode()):
            assert "<script" not in shown


def test_the_report_of_leaving_out_names_the_ends():
    table = als.meta.leave_one_out(SEVERAL, by="study")
    low = table.loc[table["estimate"].idxmin()]
    assert f"{low['estimate']:.3f} (without {low['left_out']})".replace("-", "−") in table.report()
    assert_allclose(table.glance()["estimate_low"][0], low["estimate"])
    clear = int((table["p_value"] < 0.05).sum())
    assert f"in {clear} of {len(table)} fits" in table.report()


def test_moderators_are_judged_instead_of_the_intercept():
    report = als.meta.leave_one_out(als.meta.regress("yi ~ x + rater", SEVERAL)).report()
    assert "the coefficient of x lay" in report
    assert "(Intercept)" not in report


def test_an_outlier_is_named_as_influential_and_as_the_source_of_heterogeneity():
    odd = SEVERAL.assign(study=[f"Study {at}" for at in range(len(SEVERAL))])
    odd.loc[odd.index[3], "yi"] = 5.0
    found = als.meta.influence(odd)
    assert "1 of" in found.report()
    assert "Study 3" in found.report()
    assert found.glance()["n_influential"][0] == 1
    assert found.plot()[0].data["effects"]["marked"].sum() == 1
    assert als.meta.baujat(odd).report().startswith("Study 3 added most")


def test_the_cumulative_mean_is_said_to_settle_where_it_does():
    effects = pd.DataFrame({"yi": [2.0, 0.3, 0.3, 0.3, 0.3, 0.3], "vi": [0.01] * 6})
    steps = als.meta.cumulative(effects, method="EE")
    last = steps.iloc[-1]
    inside = steps["estimate"].between(last["ci_low"], last["ci_high"])
    first = int(np.flatnonzero(~inside)[-1]) + 2
    assert f"from effect {first} on" in steps.report()
    assert first > 1


def test_fits_that_cannot_be_made_are_counted():
    effects = SEVERAL.copy()
    one = effects["study"].iloc[0]
    effects["only"] = (effects["study"] == one).astype(float)
    table = als.meta.leave_one_out(als.meta.multilevel(effects, mods="only"))
    assert table["estimate"].isna().any()
    assert f"1 fit could not be made, and is missing: without {one}." in table.notes()


def test_correlations_of_sampling_errors_are_refits():
    fit = als.meta.multilevel(SEVERAL)
    tried = fit.sensitivity((0.1, 0.8))
    assert tried["rho"].tolist() == [0.1, 0.8]
    other = als.meta.multilevel(SEVERAL, rho=0.8).table()
    assert_allclose(tried[["estimate", "std_error", "df"]].iloc[1], other[["estimate", "std_error", "df"]].iloc[0])
    assert "correlate by .10 to .80 within studies, the mean effect lay between" in tried.report()
    assert [text.get_text() for text in tried.plot().get_yticklabels()] == ["ρ = .10", "ρ = .80"]
    with pytest.raises(als.errors.DataError, match="names 0 correlations"):
        fit.sensitivity(())
