import pandas as pd
import pytest
from numpy.testing import assert_allclose
from test_multilevel import EFFECTS

import alliance_stats as als
from alliance_stats.errors import DataError
from alliance_stats.meta.published import _GROUPS, topics
from alliance_stats.meta.published_words import short_name
from alliance_stats.meta.result import GLANCE
from alliance_stats.names import TABLE_COLUMNS
from alliance_stats.report.sentences import Sentences

FINDINGS = als.load_dataset("published_findings")


def test_only_verified_rows_with_a_number_are_taken():
    known = topics()
    usable = FINDINGS[FINDINGS["estimate"].notna() & FINDINGS["status"].str.startswith("verified")]
    assert sum(known.values()) == len(usable)
    assert not any("DSEM" in name or "Baldwin" in name for name in known)  # their numbers were only remembered


def test_every_quantity_of_a_topic_is_there():
    for quantities in _GROUPS.values():
        assert set(quantities) <= set(FINDINGS["quantity"])


def test_the_alliance_has_its_six_findings():
    found = als.meta.compare_published("alliance-outcome", 0.3)
    table = found.table()
    assert tuple(table.columns[: len(TABLE_COLUMNS)]) == TABLE_COLUMNS
    assert table["estimate"].tolist() == [0.3, 0.26, 0.275, 0.278, 0.275, 0.29, 0.23]
    assert_allclose(table["difference"][1:], [0.04, 0.025, 0.022, 0.025, 0.01, 0.07], atol=1e-12)
    # printed intervals: [.25, .30], [.256, .299], [.21, .37]; a range is no interval
    assert table["inside"].dropna().tolist() == [True, False, True]
    assert (found.glance()["n_published"][0], found.glance()["n_inside"][0]) == (6, 2)
    assert "lies within 2 of 3 published confidence intervals" in found.report()
    assert any("1 row with a range" in note for note in found.notes())


def test_a_result_is_carried_back_to_r():
    fit = als.meta.multilevel(EFFECTS, measure="ZCOR")
    found = als.meta.compare_published("alliance-outcome", fit)
    back = fit.back_transformed().iloc[0]
    assert_allclose(found.table().loc[0, ["estimate", "ci_low", "ci_high"]].astype(float),
                    back[["estimate", "ci_low", "ci_high"]].astype(float))  # fmt: skip
    assert tuple(found.glance().columns[: len(GLANCE)]) == GLANCE
    assert found.glance()["k"][0] == len(EFFECTS)
    assert found.glance()["pi_high"][0] == back["pi_high"]


@pytest.mark.parametrize(
    "given", [(0.2, 0.1, 0.3), pd.DataFrame({"estimate": [0.2], "ci_low": [0.1], "ci_high": [0.3]})]
)
def test_numbers_and_frames_are_taken(given):
    found = als.meta.compare_published("positive regard-outcome", given)
    assert found.table().loc[0, ["estimate", "ci_low", "ci_high"]].tolist() == [0.2, 0.1, 0.3]
    assert any("1 finding in another metric left out: 1 in d" in note for note in found.notes())


def test_d_and_g_are_read_as_one():
    found = als.meta.compare_published("sudden gains-post outcome", 0.5, metric="g")
    assert found.metric == "d"
    assert len(found.table()) == 3


@pytest.mark.parametrize(
    ("topic", "given", "metric", "message"),
    [
        ("alliance", 0.3, None, "Did you mean 'alliance-outcome'"),
        ("alliance-outcome", 0.3, "d", "No finding on 'alliance-outcome' is in 'd': 6 findings in r"),
        ("alliance-outcome", 1.3, None, "not in the range of r"),
        ("alliance-outcome", float("nan"), None, "finite"),
        ("alliance-outcome", "high", None, "is no estimate"),
        ("alliance-outcome", (0.3, 0.4, 0.5), None, "not between its ends"),
        ("alliance-outcome", (0.3, 0.4), None, "2 numbers"),
        ("alliance-outcome", pd.DataFrame({"x": [1]}), None, "no row with a column 'estimate'"),
    ],
)
def test_what_cannot_be_compared_is_refused(topic, given, metric, message):
    with pytest.raises(DataError, match=message):
        als.meta.compare_published(topic, given, metric=metric)


def test_moderators_and_other_metrics_of_results_are_refused():
    with pytest.raises(DataError, match="2 coefficients"):
        als.meta.compare_published("alliance-outcome", als.meta.regress("yi ~ x", EFFECTS, measure="ZCOR"))
    with pytest.raises(DataError, match="The result is in r"):
        als.meta.compare_published("alliance-outcome", als.meta.pool(EFFECTS, measure="ZCOR"), metric="d")


def test_it_is_a_result():
    found = als.meta.compare_published("alliance-outcome", (0.2, 0.1, 0.3))
    assert isinstance(found.report(), Sentences)
    assert "<table" in found._repr_html_()
    drawn = found.plot()
    assert len(drawn.data["means"]) == 7
    assert drawn.alt_text
    with pytest.raises(DataError, match="no figure 'pie'"):
        found.plot("pie")


def test_names_are_short_where_authors_are_many():
    assert short_name("Tryon, Birch & Verkuilen 2018") == "Tryon et al. 2018"
    assert short_name("Farber & Doolin 2011") == "Farber & Doolin 2011"
    assert short_name("Lin, Kivlighan & Hill") == "Lin, Kivlighan & Hill"


def test_a_glance_of_correlations_has_nothing_of_fishers_z():
    effects = EFFECTS.copy()
    effects.attrs["measure"] = "ZCOR"
    glance = als.meta.compare_published("alliance-outcome", als.meta.pool(effects)).glance().iloc[0]
    assert glance[["std_error", "tau2", "tau2_ci_low", "tau2_ci_high"]].isna().all()
    assert glance[["i2", "q", "pi_low"]].notna().all()
    effects.attrs["measure"] = "COR"  # on its own scale already
    plain = als.meta.compare_published("alliance-outcome", als.meta.pool(effects)).glance().iloc[0]
    own = als.meta.pool(effects).glance().iloc[0]
    assert plain[["std_error", "tau2", "pi_low"]].tolist() == own[["std_error", "tau2", "pi_low"]].tolist()


@pytest.mark.parametrize("measure", ["PCOR", "ZPCOR", "SPCOR", "ZSPCOR"])
def test_partial_correlations_stand_beside_plain_ones_on_request_only(measure):
    pooled = als.meta.pool(EFFECTS, measure=measure)
    with pytest.raises(DataError, match=rf"partial correlations \({measure}\).* metric='r'"):
        als.meta.compare_published("alliance-outcome", pooled)
    assert als.meta.compare_published("alliance-outcome", pooled, metric="r").metric == "r"
