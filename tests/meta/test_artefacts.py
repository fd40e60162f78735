"""Psychometric meta-analysis against published examples, metafor, and the books' steps by another route."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.meta.result import GLANCE, VARIANCES
from alliance_stats.names import TABLE_COLUMNS

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "psychometric" / "goldens.json").read_text())
STUDIES = pd.DataFrame(GOLDEN["studies"])
ALL = {"rxx": "rxx", "ryy": "ryy"}


def scheme(of):
    if of["restriction"] == "none":
        return ALL
    groups = {"rxx_group": of["group"], "ryy_group": of["group"]}
    return {**ALL, **groups, "ux": "u", "restriction": of["restriction"]}


def published(name):
    data = pd.DataFrame(GOLDEN["published"][name]["data"]).rename(columns={"Rxy": "r", "Rxx": "rxx", "Ryy": "ryy"})
    return data.astype({"r": float, "n": float, "rxx": float, "ryy": float, "u": float})


@pytest.mark.parametrize("name", ["HSJt35", "ABHt32"])
def test_published_examples_of_the_multiplicative_method_are_matched(name):
    record = GOLDEN["published"][name]
    # range restriction belongs to one of the two; psychometric takes rxx as it is, i.e. of the whole population
    u = {"ux": "u", "restriction": "direct", "rxx_group": "unrestricted"} if name == "ABHt32" else {}
    fit = als.meta.artefacts(published(name), **ALL, **u, distribution="multiplicative", test="z")
    glance, table = fit.glance().iloc[0], record["table"]
    assert_allclose(glance["mean_r"], table["rbar"], rtol=1e-12)
    assert_allclose(glance["var_observed"], table["Variance.rbar"], rtol=1e-12)
    assert_allclose(glance["var_error"], record["error"], rtol=1e-12)
    assert_allclose(glance["var_artefacts"], record["artefacts"], rtol=1e-12)
    assert_allclose(glance["var_residual"], record["residual"], rtol=1e-10)
    assert_allclose(glance["estimate"], table["RHO"], rtol=1e-12)
    assert_allclose(glance["tau2"], table["VarianceRho"], rtol=1e-10)
    assert_allclose(glance["pct_error"], table["PercentDueError"], rtol=1e-12)
    assert_allclose(glance["pct_explained"], table["PercentDueErrorCorrect"], rtol=1e-12)
    observed = fit.table().set_index("term").loc["mean r"]
    # psychometric prints the interval for differing studies under HOM; its √((1 − r̄²)²/(N − k) + residual/k) is the
    # book's SD/√k where all n are equal, and within 0.1 % of it here
    limits = [table["HOM95LCL"], table["HOM95UCL"]]
    assert_allclose(observed[["ci_low", "ci_high"]].astype(float), limits, rtol=1e-3)
    limits = [table["CredInt80LCL"], table["CredInt80UCL"]]
    assert_allclose(glance[["pi_low", "pi_high"]].astype(float), limits, rtol=1e-10)


def test_bare_bones_is_metafors_hunter_schmidt_where_they_coincide():
    fit = als.meta.artefacts(STUDIES)
    assert_allclose(fit.rho, GOLDEN["bare"]["mean"], rtol=1e-12)
    assert_allclose(fit.glance()["q"][0], GOLDEN["bare"]["Q"], rtol=1e-12)
    equal = als.meta.artefacts(STUDIES.assign(n=60)).glance().iloc[0]
    assert_allclose(equal["tau2"], GOLDEN["equal"]["tau2"], rtol=1e-10)
    more = als.meta.artefacts(STUDIES.assign(n=60), unbiased=True)
    assert_allclose(more.variance_rho, GOLDEN["equal"]["tau2_k"], rtol=1e-10)
    low, high = GOLDEN["equal"]["ci"]
    assert_allclose(equal["tau2_ci_low"], low, atol=1e-4)  # metafor's uniroot stops at 1e-4
    assert_allclose(equal["tau2_ci_high"], high, rtol=1e-3)


@pytest.mark.parametrize("of", GOLDEN["by_hand"], ids=lambda of: f"{of['restriction']}-{of['group']}")
def test_corrections_follow_the_books_steps(of):
    fit = als.meta.artefacts(STUDIES, **scheme(of))
    own, hand = fit.studies(), of["individual"]
    assert_allclose(own["corrected"], hand["rho"], rtol=1e-10)  # uniroot to 1e-15
    assert_allclose(own["factor"], hand["factor"], rtol=1e-10)
    assert_allclose(fit.rho, hand["mean"], rtol=1e-10)
    glance = fit.glance().iloc[0]
    assert_allclose(glance["var_observed"], hand["observed"], rtol=1e-9)
    assert_allclose(glance["var_error"], hand["error"], rtol=1e-9)
    assert_allclose(glance["tau2"], max(hand["observed"] - hand["error"], 0), atol=1e-11)
    taylor = als.meta.artefacts(STUDIES, **scheme(of), method="distributions")
    assert_allclose(taylor.rho, of["taylor"]["rho"], rtol=1e-10)
    assert_allclose(taylor.spread.artefacts, of["taylor"]["artefacts"], rtol=1e-8)  # slopes by Richardson
    assert_allclose(taylor.found.slope, of["taylor"]["slope"], rtol=1e-8)
    cells = als.meta.artefacts(STUDIES, **scheme(of), method="distributions", distribution="interactive")
    assert_allclose(cells.spread.artefacts, of["interactive"], rtol=1e-9)
    for found in (taylor, cells):
        assert_allclose(found.spread.observed, of["observed"], rtol=1e-12)
        assert_allclose(found.spread.error, of["error"], rtol=1e-12)


def test_results_have_the_one_shape():
    for how in ({}, ALL, {**ALL, "method": "distributions"}):
        fit = als.meta.artefacts(STUDIES, **how)
        assert tuple(fit.table().columns) == TABLE_COLUMNS
        assert tuple(fit.glance().columns[: len(GLANCE)]) == GLANCE
        assert tuple(fit.variance().columns) == VARIANCES
        for kind in ("forest", "corrected"):
            drawn = fit.plot(kind)
            assert len(drawn.data["effects"]) == len(STUDIES)
            assert drawn.caption
            assert drawn.alt_text
        with pytest.raises(als.errors.DataError, match="no figure 'pie'"):
            fit.plot("pie")
        assert fit.report().endswith(".")
        assert "nan" not in fit.report()
        assert "<table" in fit._repr_html_()
        assert fit.describe().endswith(".")


def test_a_distribution_known_from_elsewhere_is_that_of_a_column():
    column = als.meta.artefacts(STUDIES.assign(a=[0.8] * 6 + [0.9] * 4), rxx="a", method="distributions")
    stated = als.meta.artefacts(STUDIES, rxx={0.8: 3, 0.9: 2})
    assert_allclose(stated.glance()[["estimate", "tau2"]], column.glance()[["estimate", "tau2"]], rtol=1e-12)


def test_one_value_for_all_divides_by_its_root():
    assert_allclose(als.meta.artefacts(STUDIES, rxx=0.64).rho, als.meta.artefacts(STUDIES).rho / 0.8, rtol=1e-12)


def test_some_missing_reliabilities_lead_to_distributions_or_are_filled_on_request():
    some = STUDIES.assign(rxx=STUDIES["rxx"].where(STUDIES.index > 2))
    assert als.meta.artefacts(some, **ALL).asked.method == "distributions"
    with pytest.raises(als.errors.DesignError, match=r"3 of 10 studies lack an artefact \(first at row 0\)"):
        als.meta.artefacts(some, **ALL, method="individual")
    filled = als.meta.artefacts(some, **ALL, method="individual", missing="mean")
    assert any("3 artefacts not reported" in note for note in filled.notes())
    mean = some["rxx"].mean()
    assert_allclose(filled.rho, als.meta.artefacts(some.fillna({"rxx": mean}), **ALL).rho, rtol=1e-12)


def test_effects_turned_round_keep_their_sign():
    effects = als.meta.effect_sizes(STUDIES, r="r", n="n", higher="worse")
    fit = als.meta.artefacts(effects)
    assert_allclose(fit.rho, -als.meta.artefacts(STUDIES).rho, rtol=1e-12)
    assert any("10 correlations taken with the sign of yi" in note for note in fit.notes())
    assert_allclose(als.meta.artefacts(effects.drop(columns="r")).rho, fit.rho, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "how", "words"),
    [
        ({"rxx": 0.0}, ALL, r"10 of 10 values of rxx are no reliabilities \(first at row 0: 0\)"),
        ({"ryy": 1.2}, ALL, "10 of 10 values of ryy are no reliabilities"),
        ({"rxx": np.nan}, ALL, "0 of 10 rows have a reliability of x"),
        ({"u": 0.0}, {"ux": "u", "restriction": "direct"}, "10 of 10 ratios of standard deviations are not positive"),
        ({"n": 3}, {}, "10 of 10 sample sizes are below 4"),
        ({"r": 1.1}, {}, "10 of 10 correlations lie outside"),
        ({}, {"ux": "u"}, "ux= was given without restriction="),
        ({"r": np.nan}, {}, "0 of 10 rows have a correlation"),
        ({"u": 0.3, "rxx": 0.8}, {**ALL, "ux": "u", "restriction": "indirect", "rxx_group": "unrestricted"},
         "10 of 10 ratios ux are too small"),
        ({"u": 2.5, "rxx": 0.7}, {**ALL, "ux": "u", "restriction": "direct"}, "would be 0 or less"),
    ],
)  # fmt: skip
def test_impossible_values_are_named(change, how, words):
    with pytest.raises(als.errors.DataError, match=words):
        als.meta.artefacts(STUDIES.assign(**change), **how)


def test_a_negative_residual_is_set_to_zero_and_said():
    fit = als.meta.artefacts(STUDIES.assign(r=[0.30, 0.31] * 5))
    glance = fit.glance().iloc[0]
    assert glance["var_residual"] < 0
    assert (glance["tau2"], glance["i2"], glance["h2"]) == (0, 0, 1)
    assert any("variance of ρ is set to 0" in note for note in fit.notes())


def test_one_study_and_equal_correlations_take_their_error_from_sampling():
    one = als.meta.artefacts(STUDIES.iloc[:1], rxx=0.81)
    by_hand = (1 - 0.21**2) / np.sqrt(39) / 0.9
    assert_allclose(one.table()["std_error"][0], by_hand, rtol=1e-12)
    assert np.isnan(one.glance()["pi_low"][0])
    assert one.report().endswith(".")
    same = als.meta.artefacts(STUDIES.assign(r=0.3, n=50))
    assert_allclose(same.table()["std_error"][0], (1 - 0.09) / np.sqrt(49) / np.sqrt(10), rtol=1e-12)
    assert same.report().endswith(".")


def test_corrected_correlations_beyond_one_are_counted_and_placed():
    fit = als.meta.artefacts(STUDIES.assign(r=[0.9, *STUDIES["r"][1:]]), rxx=0.5, ryy=0.9)
    assert any("1 corrected correlation of 10 beyond 1 (first at row 0: 1.34164)" in note for note in fit.notes())


def simulated(rng, rho, sd, k, restriction):
    """Sessions of k studies drawn person by person: true scores, selection, then errors."""
    rows = []
    for _ in range(k):
        true_rho, n = rng.normal(rho, sd), int(rng.integers(80, 250))
        rxx, ryy = rng.uniform(0.7, 0.9), rng.uniform(0.6, 0.9)
        cut = rng.uniform(0.2, 0.5) if restriction else 0.0
        t = rng.normal(size=6 * n)
        p = true_rho * t + np.sqrt(1 - true_rho**2) * rng.normal(size=t.size)
        x = np.sqrt(rxx) * t + np.sqrt(1 - rxx) * rng.normal(size=t.size)
        y = np.sqrt(ryy) * p + np.sqrt(1 - ryy) * rng.normal(size=t.size)
        by = {"direct": x, "indirect": t}.get(restriction, x)
        kept = np.flatnonzero(by > np.quantile(by, cut))[:n] if restriction else np.arange(n)
        # reliability of y in the group that was selected
        ryy_group = np.corrcoef(p[by > np.quantile(by, cut)], y[by > np.quantile(by, cut)])[0, 1] ** 2
        rows.append((np.corrcoef(x[kept], y[kept])[0, 1], n, rxx, ryy_group, x[by > np.quantile(by, cut)].std()))
    return pd.DataFrame(rows, columns=["r", "n", "rxx", "ryy", "u"])


@pytest.mark.slow
@pytest.mark.parametrize("restriction", [None, "direct", "indirect"])
def test_known_means_and_variances_are_recovered(restriction):
    rng = np.random.default_rng(5)
    found = {"individual": [], "distributions": []}
    for _ in range(60):
        data = simulated(rng, 0.4, 0.12, 40, restriction)
        more = {"ux": "u", "restriction": restriction, "rxx_group": "unrestricted"} if restriction else {}
        for method, kept in found.items():
            fit = als.meta.artefacts(data, **ALL, **more, method=method, unbiased=True)
            kept.append((fit.rho, fit.variance_rho, fit.table()["ci_low"][0] < 0.4 < fit.table()["ci_high"][0]))
    for method, kept in found.items():
        rho, variance, covered = np.mean(kept, axis=0)
        # Monte Carlo error of the mean ρ is about .004; the books' formulas are first-order
        assert abs(rho - 0.4) < 0.015, (method, rho)
        assert abs(variance - 0.0144) < 0.004, (method, variance)
        assert covered > 0.85, (method, covered)
