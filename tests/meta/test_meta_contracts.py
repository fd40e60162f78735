"""One contract over every public result of meta-analyses."""

import dataclasses
import pickle

import pandas as pd
import pytest
from matplotlib.axes import Axes
from test_multilevel import EFFECTS

import alliance_stats as als
from alliance_stats.meta.result import GLANCE, VARIANCES
from alliance_stats.names import TABLE_COLUMNS
from alliance_stats.report.figures.canvas import svg_bytes
from alliance_stats.report.sentences import Sentences

SCRIPT = "<script>alert(1)</script>"
ASK = {
    "pool": als.meta.pool,
    "regress": lambda effects: als.meta.regress("yi ~ x + rater", effects, test="knha"),
    "scale": lambda effects: als.meta.regress("yi ~ 1", effects, scale="x"),
    "multilevel": als.meta.multilevel,
    "multilevel with moderators": lambda effects: als.meta.multilevel(effects, mods="x + rater"),
    "robust": als.meta.robust,
    "weighted": lambda effects: als.meta.pool_weighted(effects, "vi"),
}
#: ``bias``, ``two_stage``, ``artefacts``, ``power`` and frames of sensitivity have contracts of their own.
FUNCTIONS = {
    *("bias", "figures", "convert", "effect_sizes", "sampling_covariance", "read_effects", "aggregate"),
    *("leave_one_out", "influence", "cumulative", "baujat", "gosh"),
    *("compare_published", "two_stage", "artefacts", "power"),
}


@pytest.fixture(scope="module")
def results():
    return {name: ask(EFFECTS) for name, ask in ASK.items()}


@pytest.fixture(params=ASK)
def result(request, results):
    return results[request.param]


def test_the_contract_covers_every_public_result():
    assert set(als.meta.__all__) - FUNCTIONS == {"pool", "pool_weighted", "regress", "multilevel", "robust"}


def test_tables_have_the_columns_of_every_result(result):
    table = result.table()
    assert tuple(table.columns) == TABLE_COLUMNS
    assert table["term"].iloc[0] == "(Intercept)"
    assert table.drop(columns="term").notna().all(axis=None)


def test_the_glance_is_one_row_in_order(result):
    glance = result.glance()
    assert len(glance) == 1
    assert tuple(glance.columns[: len(GLANCE)]) == GLANCE
    assert (glance["k"][0], glance["n_studies"][0]) == (len(EFFECTS), EFFECTS["study"].nunique())
    assert 0 <= glance["i2"][0] <= 100
    assert glance["converged"][0]


def test_variances_have_a_row_per_level(result):
    assert tuple(result.variance().columns) == VARIANCES
    assert (result.variance()["variance"] >= 0).all()


def test_figures_know_their_data_and_words(result):
    import matplotlib.pyplot as plt

    drawn = result.plot()
    assert isinstance(drawn, Axes)
    assert len(drawn.data["effects"]) == len(EFFECTS)
    assert drawn.caption
    assert drawn.alt_text
    plt.switch_backend("agg")
    figure, ax = plt.subplots()
    assert result.plot(ax=ax) is ax
    plt.close(figure)
    with pytest.raises(als.errors.DataError, match="no figure 'pie'"):
        result.plot("pie")


def test_reports_are_sentences(result):
    report = result.report()
    assert isinstance(report, Sentences)
    assert report.endswith(".")
    assert "nan" not in report.lower()
    assert "  " not in report
    assert result.describe().endswith(".")


def test_jupyter_shows_a_table_without_the_datas_scripts():
    effects = EFFECTS.assign(rater=EFFECTS["rater"] + SCRIPT, study=EFFECTS["study"] + SCRIPT)
    for name in ("regress", "multilevel with moderators"):
        fit = ASK[name](effects)
        for shown in (fit._repr_html_(), fit.report().html, svg_bytes(fit.plot()).decode()):
            assert "<script" not in shown
    assert "<table" in fit._repr_html_()


def test_results_are_frozen_and_can_be_pickled(result):
    for field in dataclasses.fields(result):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(result, field.name, None)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(result)).table(), result.table())


@pytest.mark.parametrize("ask", ASK.values(), ids=list(ASK))
def test_the_input_is_never_changed_and_never_followed(ask):
    effects = EFFECTS.copy(deep=True)
    fit = ask(effects)
    pd.testing.assert_frame_equal(effects, EFFECTS)
    before = fit.table()
    effects.loc[:, "yi"] = 99.0
    pd.testing.assert_frame_equal(fit.table(), before)
    assert fit.plot().data["effects"]["estimate"].max() < 99


def test_a_glance_that_is_changed_leaves_the_result_as_it_was(result):
    before = result.glance().copy(deep=True)
    glance = result.glance()
    glance["k"] = -1
    pd.testing.assert_frame_equal(result.glance(), before)
