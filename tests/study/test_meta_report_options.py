"""What the study file of a meta-analysis asks for reaches every section of the report."""

import html
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats import meta
from alliance_stats.errors import ColumnError, DataError
from alliance_stats.report.figures.canvas import figure_of
from alliance_stats.study.meta.study_file import (
    EffectColumns,
    MetaReportOptions,
    MetaStudy,
    ModelOptions,
    ModeratorOptions,
)

COLUMNS = EffectColumns(r="r", n="n", year="year", rater="rater")
REPORT = MetaReportOptions(n_boot=50, topic="alliance-outcome", by="rater")


def sheet(sizes, seed=2):
    draw = np.random.default_rng(seed)
    rows = [
        (f"s{at}", round(draw.uniform(0.1, 0.5), 2), 50 + 3 * at, "pto"[one], 1990 + at)
        for at, size in enumerate(sizes)
        for one in range(size)
    ]
    return pd.DataFrame(rows, columns=["study", "r", "n", "rater", "year"])


DEPENDENT, INDEPENDENT = sheet([2, 3, 1, 2, 2, 1, 3, 2]), sheet([1] * 9)


def asked(model, moderators=("rater", "year"), **report):
    return MetaStudy(
        columns=COLUMNS, model=model, moderators=ModeratorOptions(tuple(moderators)), report=replace(REPORT, **report)
    )


def numbers(report, key):
    return report.results["sections"][key]


def words_of(report):
    """All that a reader sees: the page without style sheet, and the texts in the figures."""
    page = report.page.read_text(encoding="utf-8")
    page = html.unescape(re.sub(r"<style.*?</style>|base64,[A-Za-z0-9+/=]*|<[^>]*>", " ", page, flags=re.DOTALL))
    figures = [figure_of(drawn) for one in report.document.sections for drawn in one.figures]
    texts = [text.get_text() for figure in figures for text in figure.findobj(lambda one: hasattr(one, "get_text"))]
    return " ".join([page, *texts])


@pytest.mark.parametrize("frame", [DEPENDENT, INDEPENDENT], ids=["several effects", "one effect"])
def test_the_level_is_that_of_every_interval_of_the_page(frame, tmp_path, quick):
    moderators = ("rater", "year") if frame is DEPENDENT else ("year",)
    report = als.meta_report(frame, tmp_path / "r", study=asked(ModelOptions(level=0.8), moderators))
    words = words_of(report)
    # the funnel's lines hold 95% of effects whatever the level, and so do the draws of GOSH
    rest = re.sub(r"where 95% of effects would lie|95% of means", "", words)
    assert re.findall(r".{40}95\s?%.{20}", rest) == []
    assert "All intervals have a level of 80%." in words
    # a table's heading for each: mean, as a correlation, moderators, Egger, corrections, models, left out, and figures
    assert words.count("80% CI") >= 8
    kind = MetaStudy(columns=COLUMNS).read(frame)
    if frame is DEPENDENT:
        fit = meta.multilevel(kind, level=0.8)
        plain = meta.multilevel(kind, mods="rater", level=0.8)
        assert_allclose(
            [row["ci_high"] for row in numbers(report, "moderators")["each"]["rater"]["table"]],
            plain.table()["ci_high"],
            rtol=1e-10,
        )
    else:
        fit = meta.pool(kind, test="knha", level=0.8)
        cumulative = meta.cumulative(kind.sort_values("year"), "year", level=0.8)
        assert_allclose(
            [row["ci_low"] for row in numbers(report, "sensitivity")["cumulative"]], cumulative["ci_low"], rtol=1e-10
        )
    found = numbers(report, "results")["glance"]
    for name in ("ci_low", "ci_high", "pi_low", "pi_high", "tau2_ci_high"):
        assert_allclose(found[name], fit.glance()[name][0], rtol=1e-10)
    egger = meta.bias.egger(kind, test="z" if frame is DEPENDENT else "knha", level=0.8).table()
    assert_allclose(numbers(report, "bias")["egger"][1]["ci_high"], egger["ci_high"][1], rtol=1e-10)
    assert numbers(report, "methods")["model"]["level"] == 0.8


def test_a_wider_level_widens_every_interval_and_moves_no_mean(tmp_path, quick):
    narrow, wide = (
        als.meta_report(DEPENDENT, tmp_path / f"{level}", study=asked(ModelOptions(level=level)))
        for level in (0.8, 0.99)
    )
    for key, table in (("bias", "corrections"), ("sensitivity", "models"), ("sensitivity", "leave_one_out"),
                       ("sensitivity", "rho"), ("bias", "selection_weights")):  # fmt: skip
        frames = [pd.DataFrame(numbers(one, key)[table]) for one in (narrow, wide)]
        known = frames[0]["ci_low"].notna().to_numpy() & frames[1]["ci_low"].notna().to_numpy()
        spans = [(one["ci_high"] - one["ci_low"])[known] for one in frames]
        assert (spans[1] > spans[0]).all(), table
        name = "weight" if table == "selection_weights" else "estimate"
        # climbs that begin elsewhere end within their own tolerance
        assert_allclose(frames[0][name].astype(float), frames[1][name].astype(float), rtol=1e-6)


def test_the_prediction_interval_may_be_another(tmp_path, quick):
    report = als.meta_report(INDEPENDENT, tmp_path / "r", study=asked(ModelOptions(prediction="riley"), ()))
    fit = meta.pool(MetaStudy(columns=COLUMNS).read(INDEPENDENT), test="knha", prediction="riley")
    assert_allclose(numbers(report, "results")["glance"]["pi_low"], fit.glance()["pi_low"][0], rtol=1e-12)
    with pytest.raises(DataError, match=r"\[model\] prediction = 'riley' is for one effect per study"):
        als.meta_report(DEPENDENT, tmp_path / "q", study=asked(ModelOptions(prediction="riley")))


def test_subgroups_have_the_working_model_of_subgroup_correlated_effects(tmp_path, quick):
    report = als.meta_report(DEPENDENT, tmp_path / "r", study=asked(ModelOptions(subgroup="rater"), ()))
    fit = meta.multilevel(MetaStudy(columns=COLUMNS).read(DEPENDENT), working="SCE", subgroup="rater")
    found = numbers(report, "results")
    assert_allclose(found["table"][0]["std_error"], fit.table()["std_error"][0], rtol=1e-10)
    assert [row["level"] for row in found["variance"]] == list(fit.variance()["level"])
    said = str(report.document.sections[0].sentences)
    assert "within studies and values of rater (the working model of subgroup correlated effects)" in said
    # one effect per study and rater: no variance within
    assert "random effects of studies (rater: o), studies (rater: p) and studies (rater: t), and sampling" in said
    with pytest.raises(ColumnError, match=r"\[model\] subgroup: no column 'ratr'. Did you mean 'rater'"):
        als.meta_report(DEPENDENT, tmp_path / "q", study=asked(ModelOptions(subgroup="ratr"), ()))


def test_published_findings_keep_their_own_level(tmp_path, quick):
    report = als.meta_report(INDEPENDENT, tmp_path / "r", study=asked(ModelOptions(level=0.8), ()))
    part = next(one for one in report.document.sections if one.key == "published")
    text = part.tables[0].to_markdown()
    assert "Interval, as published" in text
    assert "95% CI" not in text
    assert "This estimate has its 80% confidence interval." in text
    assert "Flückiger et al. 2020 (range)" in text


# ---- subsets of the studies ------------------------------------------------------------------------------------------


def test_subsets_are_those_of_one_effect_per_study(tmp_path, quick):
    report = als.meta_report(DEPENDENT, tmp_path / "r", study=asked(ModelOptions(rho=0.5), (), n_subsets=1000, seed=7))
    one = meta.aggregate(MetaStudy(columns=COLUMNS).read(DEPENDENT), 0.5)
    fits = meta.gosh(one, "REML", n=1000, seed=7)
    found = numbers(report, "sensitivity")["subsets"]
    assert found["n_subsets"] == len(fits) == 2**8 - 8 - 1  # all of at least two of the eight studies
    assert_allclose(list(found["estimate"].values()), fits["estimate"].quantile([0.025, 0.25, 0.5, 0.75, 0.975]))
    worst = numbers(report, "sensitivity")["leave_one_out"][0]["left_out"]
    part = next(one for one in report.document.sections if one.key == "sensitivity")
    drawn = part.figures[-1].data["subsets"]
    keep = np.unpackbits(fits.attrs["keep"], axis=1, count=8)
    assert drawn["marked"].tolist() == (keep[:, one["study"].tolist().index(worst)] == 0).tolist()
    assert found["study_shown"] == worst
    assert "247 subsets of the studies, one effect each (Olkin et al., 2012)" in str(
        report.document.sections[0].sentences
    )


@pytest.mark.parametrize(
    ("frame", "n"), [(DEPENDENT, 0), (sheet([1] * 5), 1000), (sheet([1] * 201), 1000)], ids=["none", "few", "many"]
)
def test_no_subsets_where_none_are_asked_for_or_they_tell_nothing(frame, n, tmp_path, quick):
    report = als.meta_report(frame, tmp_path / "r", study=asked(ModelOptions(), (), n_subsets=n))
    assert numbers(report, "sensitivity")["subsets"] is None
    assert not any("GOSH" in entry for entry in report.document.references)


# ---- what a reader stumbled over -------------------------------------------------------------------------------------


def test_years_in_names_are_not_said_twice(tmp_path, quick):
    frame = INDEPENDENT.assign(study=[f"Author {at} (1990)" if at == 0 else f"s{at}" for at in range(9)])
    report = als.meta_report(frame, tmp_path / "r", study=asked(ModelOptions(), ()))
    part = next(one for one in report.document.sections if one.key == "sensitivity")
    labels = [tick.get_text() for tick in part.figures[1].get_yticklabels()]
    assert labels[:2] == ["Author 0 (1990)", "+ s1 (1991)"]


def test_axes_of_means_say_the_scale(tmp_path, quick):
    report = als.meta_report(DEPENDENT, tmp_path / "r", study=asked(ModelOptions(), ()))
    sections = {one.key: one for one in report.document.sections}
    drawn = [sections["bias"].figures[1], *sections["sensitivity"].figures]
    assert [axes.get_xlabel() for axes in drawn] == ["Mean effect (Fisher's z)"] * 4


def test_a_category_of_one_study_is_named_and_not_called_a_perfect_fit(tmp_path, quick):
    frame = DEPENDENT.assign(rater=["Patient" if study == "s2" else rater for study, rater in
                                    zip(DEPENDENT["study"], DEPENDENT["rater"], strict=True)])  # fmt: skip
    report = als.meta_report(frame, tmp_path / "r", study=asked(ModelOptions(), ("rater",)))
    part = next(one for one in report.document.sections if one.key == "moderators")
    assert "rater[Patient]) has a robust standard error of 0" in part.warnings[0]
    assert "lie on the model exactly" not in part.warnings[0]


def test_correlations_beside_published_ones_have_no_leading_zero(tmp_path, quick):
    report = als.meta_report(DEPENDENT, tmp_path / "r", study=asked(ModelOptions(), ()))
    part = next(one for one in report.document.sections if one.key == "published")
    text = part.tables[0].to_markdown()
    assert "| .278 | [.256, .299] |" in text
    assert "0.2" not in text
    assert re.search(r"\*r\* = \.\d\d, 95% CI \[\.\d\d, \.\d\d\]", part.sentences.markdown)
    assert part.tables[0].frame["k"].iloc[0] == 8  # studies of this estimate
