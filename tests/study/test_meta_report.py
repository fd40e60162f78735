"""The report of a meta-analysis: numbers against the functions behind them and against sums by hand."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats import meta
from alliance_stats.data.registry import dataset_folder
from alliance_stats.errors import ColumnError, DataError, OutputExistsError, StudyFileError
from alliance_stats.study import written
from alliance_stats.study.meta.citations import REFERENCES
from alliance_stats.study.meta.study_file import (
    EffectColumns,
    MetaReportOptions,
    MetaStudy,
    ModelOptions,
    ModeratorOptions,
)

ORDER = ["methods", "flow", "results", "forest", "moderators", "bias", "sensitivity", "published"]
DEMO = dataset_folder("simulated_effects")


def quick_study(**changes):
    """The study file of the demonstration, with few draws of the bootstrap."""
    study = als.read_meta_study(DEMO / "study.toml")
    return replace(study, report=replace(study.report, n_boot=50), **changes)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The report of the demonstration, figures rendered as stand-ins."""
    from alliance_stats.report.figures import canvas

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canvas, "_render", lambda drawn, kind, metadata, dpi: b"<svg></svg>" if kind == "svg" else b"png")
        out = tmp_path_factory.mktemp("demo") / "r"
        return als.meta_report(DEMO / "effects.csv", out, study=quick_study(), simulated=True)


def independent(k, seed=2):
    draw = np.random.default_rng(seed)
    r, n = np.round(draw.uniform(0.1, 0.5, k), 2), draw.integers(30, 100, k)
    return pd.DataFrame({"study": [f"s{at}" for at in range(k)], "r": r, "n": n, "year": 2000 + np.arange(k)})


def dependent(sizes, seed=2):
    draw = np.random.default_rng(seed)
    rows = [
        {"study": f"s{at}", "r": round(draw.uniform(0.1, 0.5), 2), "n": 50 + at, "rater": "pto"[one]}
        for at, size in enumerate(sizes)
        for one in range(size)
    ]
    return pd.DataFrame(rows)


def section(report, key):
    return next(one for one in report.document.sections if one.key == key)


def numbers(report, key):
    return report.results["sections"][key]


# ---- what is written -------------------------------------------------------------------------------------------------


def test_sections_stand_in_order_and_every_number_in_the_json(demo):
    assert [one.key for one in demo.document.sections] == ORDER
    results = json.loads((demo.folder / "results.json").read_text(encoding="utf-8"))
    assert list(results["sections"]) == ORDER
    assert results["package"] == "alliance_stats"
    assert results["kind"] == "meta-analysis"
    assert results["input"]["n_rows"] == 191
    assert results["converged"] is True


def test_every_table_and_figure_has_its_files(demo):
    files = {path.relative_to(demo.folder).as_posix() for path in demo.folder.rglob("*") if path.is_file()}
    expected = {"report.html", "results.json"}
    for one in demo.document.sections:
        for count, folder, kinds in (
            (len(one.tables), "tables", ("csv", "html")),
            (len(one.figures), "figures", ("png", "svg")),
        ):
            names = [one.key if at == 1 else f"{one.key}-{at}" for at in range(1, count + 1)]
            expected |= {f"{folder}/{name}.{kind}" for name in names for kind in kinds}
    assert files == expected
    assert {"figures/bias-3.png", "figures/moderators-2.svg", "tables/sensitivity-4.csv"} <= files


def test_simulated_data_are_said_to_be_on_the_page_and_on_every_figure(demo):
    assert 'class="simulated"' in demo.page.read_text(encoding="utf-8")
    figures = [figure for one in demo.document.sections for figure in one.figures]
    assert len(figures) == 11
    assert all(figure.caption.startswith("Simulated data. ") for figure in figures)


def test_an_existing_folder_is_refused_before_anything_is_estimated(tmp_path, quick, monkeypatch):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "thesis.docx").write_text("")
    monkeypatch.setattr("alliance_stats.study.meta.pipeline.take", lambda *_: pytest.fail("read first"))
    with pytest.raises(OutputExistsError, match="exists already"):
        als.meta_report(independent(5), tmp_path / "r")
    with pytest.raises(OutputExistsError, match="not a report folder"):
        als.meta_report(independent(5), tmp_path / "r", overwrite=True)


def test_a_crash_while_writing_leaves_the_old_report(tmp_path, quick, monkeypatch):
    old = als.meta_report(independent(4), tmp_path / "r").page.read_bytes()

    def disk_full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(written, "save", disk_full)
    with pytest.raises(OSError, match="No space left"):
        als.meta_report(independent(4), tmp_path / "r", title="new", overwrite=True)
    assert (tmp_path / "r" / "report.html").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


# ---- the numbers -----------------------------------------------------------------------------------------------------


def test_the_mean_is_that_of_the_multilevel_model(demo):
    fit = meta.multilevel(quick_study().read())
    found = numbers(demo, "results")
    assert_allclose(found["table"][0]["estimate"], fit.table()["estimate"][0], rtol=1e-12)
    assert_allclose(found["table"][0]["std_error"], fit.table()["std_error"][0], rtol=1e-12)
    assert_allclose([row["i2"] for row in found["variance"]], fit.variance()["i2"], rtol=1e-9)
    # r at the mean z, by hand
    assert_allclose(found["back_transformed"][0]["estimate"], np.tanh(fit.table()["estimate"][0]), rtol=1e-12)


def test_positive_regard_comes_out_as_its_three_level_analysis(tmp_path, quick, monkeypatch):
    # r = .269 [.157, .373]: metafor's three-level model of the same 102 correlations (sampling errors independent)
    import os

    if not os.environ.get("ALLIANCE_STATS_DATA"):
        pytest.skip("the correlations are not part of the project; ALLIANCE_STATS_DATA does not say where they are")
    effects = als.load_dataset("positive_regard", fetch=False)
    study = als.read_meta_study(DEMO / "study.toml")
    columns = replace(study.columns, study="study_id", effect="es_id", rater=None, outcome=None, year=None, higher=None)
    model = ModelOptions(rho=0.0, robust="none")
    asked = MetaStudy(
        columns=columns, model=model, report=replace(study.report, n_boot=50, columns=(), order=None, topic="")
    )
    report = als.meta_report(effects, tmp_path / "r", study=asked)
    row = numbers(report, "results")["back_transformed"][0]
    assert_allclose([row["estimate"], row["ci_low"], row["ci_high"]], [0.269, 0.157, 0.373], atol=5e-4)
    assert "r = .27, 95% CI [.16, .37]" in section(report, "results").sentences


def test_the_flow_adds_up(tmp_path, quick):
    frame = dependent([2, 3, 1, 2, 2, 1]).astype({"r": object})
    frame.loc[0, "r"] = 1.2  # impossible
    frame.loc[3, "r"] = np.nan  # not coded
    study = MetaStudy(
        columns=replace(quick_study().columns, effect=None, outcome=None, year=None, higher=None),
        options=replace(quick_study().options, on_faults="leave_out"),
        report=replace(quick_study().report, columns=(), order=None),
    )
    report = als.meta_report(frame, tmp_path / "r", study=study)
    flow = numbers(report, "flow")
    counts = {row["what"]: row["n"] for row in flow["counts"]}
    left_out = sum(n for what, n in counts.items() if what.startswith("Left out"))
    assert counts["Rows of the sheet"] == 11 == counts["Effects analysed"] + left_out
    assert counts["Left out: correlation outside [−1, 1]"] == 1
    assert counts["Left out: no effect or no variance"] == 1
    assert flow["n_participants"] == sum(range(50, 56))  # each study's sample once: 50, 51, …, 55
    assert "The sheet has 11 rows; 2 of them were left out." in section(report, "flow").sentences


def test_corrections_begin_with_the_main_analysis_and_fit_the_dependence(demo):
    rows = pd.DataFrame(numbers(demo, "bias")["corrections"])
    main = numbers(demo, "results")["table"][0]
    assert rows["method"].iloc[0] == "Without correction"
    assert_allclose(rows.loc[0, ["estimate", "ci_low"]].astype(float), [main["estimate"], main["ci_low"]], rtol=1e-12)
    blocks = rows.groupby("block", sort=False)["method"].apply(list)
    assert blocks["One effect per study"] == [
        "Without correction",
        "Trim and fill (L0)",
        "Trim and fill (R0)",
        "p-uniform*",
    ]
    one = meta.aggregate(quick_study().read(), 0.6)
    filled = meta.bias.trim_fill(one, "L0", "left").table()["estimate"][0]
    assert_allclose(rows.loc[rows["method"] == "Trim and fill (L0)", "estimate"], filled, rtol=1e-12)
    slope = meta.bias.egger(quick_study().read()).slope
    assert_allclose(numbers(demo, "bias")["egger"][1]["estimate"], slope["estimate"], rtol=1e-12)
    assert "robust to effects of the same study" in section(demo, "methods").sentences


def test_moderators_have_the_htz_test_and_their_model_s_means(demo):
    effects = quick_study().read()
    fit = meta.multilevel(effects, mods="rater")
    found = numbers(demo, "moderators")["each"]["rater"]
    assert_allclose(found["test"][0]["p_value"], fit.test("rater")["p_value"][0], rtol=1e-10)
    means = meta.multilevel(effects, mods="0 + rater").table()
    assert_allclose([row["estimate"] for row in found["means"]], means["estimate"], rtol=1e-12)
    drawn = section(demo, "moderators").figures[0].data["means"].set_index("group")["estimate"]
    for row in found["means"]:
        assert_allclose(drawn[row["term"][6:-1]], np.tanh(row["estimate"]), rtol=1e-10)
    bubble = section(demo, "moderators").figures[1]
    assert bubble.get_xlabel() == "year"


def test_every_study_is_left_out_once(demo):
    left_out = pd.DataFrame(numbers(demo, "sensitivity")["leave_one_out"])
    assert left_out["left_out"].nunique() == len(left_out) == 60
    assert left_out["change"].abs().is_monotonic_decreasing
    worst = left_out.iloc[0]
    effects = quick_study().read()
    fit = meta.multilevel(effects[effects["study"] != worst["left_out"]])
    # the climb begins where the whole ended, and stops within its own tolerance
    assert_allclose(worst["estimate"], fit.table()["estimate"][0], rtol=1e-6)
    assert worst["left_out"] in section(demo, "sensitivity").sentences


def test_other_models_are_named_and_near(demo):
    models = pd.DataFrame(numbers(demo, "sensitivity")["models"])
    assert len(models) == 8
    assert models["note"].eq("").all()
    assert models["estimate"].between(0.25, 0.33).all()
    single = meta.pool(meta.aggregate(quick_study().read(), 0.6), "DL").table()["estimate"][0]
    found = models.loc[models["model"] == "One effect per study, DerSimonian-Laird", "estimate"].iloc[0]
    assert_allclose(found, single, rtol=1e-12)


def test_independent_effects_are_pooled_with_knapp_and_hartung(tmp_path, quick):
    frame = independent(8)
    report = als.meta_report(frame, tmp_path / "r")
    fit = meta.pool(meta.effect_sizes(frame, r="r", n="n"), test="knha")
    assert_allclose(numbers(report, "results")["table"][0]["ci_low"], fit.table()["ci_low"][0], rtol=1e-12)
    assert "Knapp and Hartung" in section(report, "methods").sentences
    assert any("Knapp, G." in entry for entry in report.document.references)
    assert "aggregate" not in section(report, "bias").sentences
    assert numbers(report, "bias")["corrections"][0]["block"] == ""


@pytest.mark.parametrize(
    ("model", "said", "unsaid"),
    [
        (ModelOptions(method="FE", test="z"), "Effects were pooled as equal", "one study"),
        (
            ModelOptions(method="DL", test="z"),
            "DerSimonian and Laird's estimator (DerSimonian & Laird, 1986)",
            "Hartung",
        ),
        (ModelOptions(random="study/effect"), "Effects were pooled in a multilevel model", "several effects"),
    ],
    ids=["equal effects", "DL", "levels"],
)
def test_the_methods_say_what_was_asked_for(model, said, unsaid, tmp_path, quick):
    study = MetaStudy(columns=replace(quick_study().columns, effect=None, rater=None, outcome=None, higher=None))
    study = replace(study, model=model, report=replace(quick_study().report, columns=(), topic=""))
    words = str(section(als.meta_report(independent(6), tmp_path / "r", study=study), "methods").sentences)
    assert said in words
    assert unsaid not in words


def test_other_models_differ_from_the_main_one_in_what_they_are_called_by(tmp_path, quick):
    effects = quick_study().read()
    study = quick_study(model=ModelOptions(robust="none"), moderators=ModeratorOptions())
    rows = numbers(als.meta_report(DEMO / "effects.csv", tmp_path / "r", study=study), "sensitivity")["models"]
    models = {row["model"]: row for row in rows}
    by_ml = meta.multilevel(effects, method="ML", robust=None).table()
    assert_allclose(models["The main model by ML"]["std_error"], by_ml["std_error"][0], rtol=1e-12)
    robust = meta.multilevel(effects).table()
    assert_allclose(models["The main model with robust errors"]["std_error"], robust["std_error"][0], rtol=1e-12)
    assert "The main model with model-based errors" not in models


# ---- references ------------------------------------------------------------------------------------------------------


def test_what_the_methods_cite_is_listed_and_nothing_else(demo):
    text = " ".join(str(one.sentences) + " ".join(one.notes) for one in demo.document.sections)
    entries = set(demo.document.references)
    for reference in REFERENCES.values():
        cited = reference.short in text or reference.short.replace("*", "") in text
        assert cited == (reference.full in entries) or reference.short == "Peters et al., 2008", reference.short
    assert list(demo.document.references) == sorted(demo.document.references, key=str.casefold)


def test_every_reference_begins_with_the_authors_that_the_text_names():
    for reference in REFERENCES.values():
        names, year = reference.short.rsplit(", ", 1)
        first = re.split(r" & | et al\.", names)[0]
        assert reference.full.startswith(first), reference.short
        assert f"({year})" in reference.full, reference.short


def test_two_studies_cite_no_method_that_was_not_used(tmp_path, quick):
    entries = " ".join(als.meta_report(independent(2), tmp_path / "r").document.references)
    assert "Egger" not in entries
    assert "Vevea" not in entries
    assert "Knapp" in entries


# ---- few studies, equal effects --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (independent(1), "nothing is pooled"),
        (independent(2), "With so few"),
        (independent(3), "With so few"),
        (dependent([3]), "The level 'study' has 1 group"),
        (dependent([2, 1]), "and the data 3 effects"),
        (dependent([2, 2]), "With so few"),
        (dependent([3, 2, 2]), "With so few"),
        (independent(6).assign(r=0.3), "All 6 effects agree exactly"),
        (dependent([2, 2, 1, 1, 2]).assign(r=0.3), "lie on the model exactly"),
    ],
    ids=["k=1", "k=2", "k=3", "one study", "2+1", "2+2", "3+2+2", "equal", "equal dependent"],
)
def test_small_data_get_a_report_that_says_what_it_leaves_out(frame, said, tmp_path, quick):
    report = als.meta_report(frame, tmp_path / "r")
    assert report.converged or "not final" in " ".join(section(report, "bias").warnings)
    warned = " ".join(section(report, "results").warnings)
    assert said in warned
    m = frame["study"].nunique()
    for key, least in (("bias", 5), ("sensitivity", 3)):
        answered = "not_estimated" not in numbers(report, key) or (key == "bias" and m >= 5)
        assert answered == (m >= least)
        if not answered:
            assert section(report, key).sentences.startswith("These data cannot answer the question")
    text = report.page.read_text(encoding="utf-8")
    assert "nan" not in re.sub(r"<[^>]+>", " ", text).split()
    interval = numbers(report, "results")["table"][0]
    assert interval["ci_low"] < interval["estimate"] < interval["ci_high"]


def test_few_studies_do_not_get_a_small_error_by_chance(tmp_path, quick):
    # two effects that happen to agree: the plain factor of Knapp and Hartung is next to 0
    frame = pd.DataFrame({"study": ["a", "b"], "r": [0.30, 0.301], "n": [50, 50]})
    row = numbers(als.meta_report(frame, tmp_path / "r"), "results")["table"][0]
    assert row["std_error"] == pytest.approx(np.sqrt(1 / (2 * 47)), rel=1e-3)  # that of two equal weights, by hand


def test_a_model_that_did_not_converge_is_said(tmp_path, quick, monkeypatch):
    from alliance_stats.engine.pooling import climb

    find = climb.find_peak
    monkeypatch.setattr(climb, "find_peak", lambda *given: replace(find(*given), converged=False))
    report = als.meta_report(dependent([2, 3, 2, 2]), tmp_path / "r")
    assert not report.converged
    assert report.results["converged"] is False
    assert "did not converge" in report.page.read_text(encoding="utf-8")


# ---- what is asked for -----------------------------------------------------------------------------------------------


def test_a_frame_of_effects_is_taken_as_it_is(tmp_path, quick):
    effects = meta.effect_sizes(independent(4), r="r", n="n")
    report = als.meta_report(effects.drop(columns="study"), tmp_path / "r")
    assert "each row is taken as a study of its own" in report.document.warnings[0]
    assert numbers(report, "flow")["n_studies"] == 4
    assert "r =" in section(report, "results").sentences  # the measure is known from the frame


def test_a_frame_that_was_read_keeps_its_faults_until_rows_are_taken_out(tmp_path, quick):
    sheet = independent(5).astype({"r": object})
    sheet.loc[0, "r"] = 1.5
    read = meta.read_effects(sheet, r="r", n="n", on_faults="leave_out")
    whole = numbers(als.meta_report(read, tmp_path / "r"), "flow")
    assert (whole["n_rows"], whole["k"], len(whole["faults"])) == (5, 4, 1)
    part = numbers(als.meta_report(read.iloc[:3], tmp_path / "s"), "flow")
    assert (part["n_rows"], part["k"], part["faults"]) == (3, 3, [])


def test_one_study_with_several_effects_says_that_they_were_pooled(tmp_path, quick):
    report = als.meta_report(dependent([3]), tmp_path / "r")
    assert "pooled into one, taking their sampling errors to correlate by .60" in section(report, "methods").sentences
    assert any("Gleser" in entry for entry in report.document.references)
    one = meta.aggregate(meta.effect_sizes(dependent([3]), r="r", n="n"), 0.6)
    assert_allclose(numbers(report, "results")["table"][0]["estimate"], one["yi"][0], rtol=1e-12)


def test_what_was_assumed_stands_at_the_top(tmp_path, quick):
    report = als.meta_report(independent(3).rename(columns={"r": "Pearson r", "n": "N"}), tmp_path / "r")
    assert "'Pearson r' is the correlation." in report.document.warnings[0]


def test_columns_that_are_not_there_are_named_together(tmp_path):
    study = quick_study(moderators=ModeratorOptions(each=("raters",)))
    study = replace(study, report=replace(study.report, columns=("outcomes",), by="yeer"))
    with pytest.raises(ColumnError, match=r"3 columns not found.*'outcome'.*'rater'.*'year'"):
        als.meta_report(DEMO / "effects.csv", tmp_path / "r", study=study)
    assert not (tmp_path / "r").exists()


def test_a_test_for_single_effects_is_refused_for_several(tmp_path):
    study = quick_study(model=ModelOptions(test="knha"))
    with pytest.raises(DataError, match="is for one effect per study"):
        als.meta_report(DEMO / "effects.csv", tmp_path / "r", study=study)


def test_moderators_that_cannot_be_tested_say_why(tmp_path, quick):
    frame = dependent([2, 3, 2, 2]).assign(constant="x", half=["a"] + ["b"] * 8)
    study = MetaStudy(moderators=ModeratorOptions(("constant", "rater"), "constant"), report=quick_study().report)
    study = replace(study, columns=replace(study.columns, r="r", n="n", rater="rater"))
    study = replace(study, report=replace(study.report, columns=(), order=None))
    report = als.meta_report(frame, tmp_path / "r", study=study)
    warnings = section(report, "moderators").warnings
    assert warnings[0].startswith("constant: ")
    assert any(one.startswith("Moderators together: ") for one in warnings)
    assert "not_estimated" in numbers(report, "moderators")["each"]["constant"]
    assert "test" in numbers(report, "moderators")["each"]["rater"]


def test_negative_effects_are_favoured_on_their_own_side(tmp_path, quick):
    frame = independent(8)
    report = als.meta_report(frame.assign(r=-frame["r"]), tmp_path / "r")
    assert numbers(report, "bias")["direction"] == "less"
    plain = als.meta_report(frame, tmp_path / "p")
    rows, mirrored = (pd.DataFrame(numbers(one, "bias")["corrections"]) for one in (plain, report))
    # the same methods on mirrored effects; climbs end within their tolerance
    assert_allclose(mirrored["estimate"], -rows["estimate"], atol=2e-4)


def test_the_mean_stands_beside_published_findings_where_the_topic_is_told(demo, tmp_path, quick):
    found = numbers(demo, "published")
    r = numbers(demo, "results")["back_transformed"][0]["estimate"]
    assert found["table"][0]["estimate"] == pytest.approx(r, rel=1e-12)
    published = [row["estimate"] for row in found["table"][1:]]
    assert 0.278 in published  # k = 295
    study = quick_study()
    study = replace(study, report=replace(study.report, topic="", columns=()), moderators=ModeratorOptions())
    study = replace(study, columns=replace(study.columns, effect=None, rater=None, outcome=None, higher=None))
    silent = als.meta_report(independent(4), tmp_path / "s", study=study)
    assert "published" not in [one.key for one in silent.document.sections]
    wrong = replace(study, report=replace(study.report, topic="alliance-outcomes"))
    with pytest.raises(StudyFileError, match="Did you mean 'alliance-outcome'"):
        als.meta_report(independent(4), tmp_path / "w", study=wrong)


def test_effects_of_no_known_measure_are_not_taken_for_correlations(tmp_path, quick):
    frame = meta.effect_sizes(independent(4), r="r", n="n")[["study", "yi", "vi"]].rename(
        columns={"yi": "z", "vi": "v"}
    )
    frame.attrs.clear()
    study = MetaStudy(columns=EffectColumns(yi="z", vi="v"), report=MetaReportOptions(topic="alliance-outcome"))
    report = als.meta_report(frame, tmp_path / "r", study=study)
    assert "not known what the effects are" in section(report, "published").sentences


def test_without_a_sheet_the_study_must_name_one():
    assert len(als.read_meta_study(DEMO / "study.toml").read()) == 191
    with pytest.raises(StudyFileError, match="names no coding sheet"):
        MetaStudy().read()


def test_signs_that_were_reversed_are_said(demo):
    assert "Signs were reversed for BDI-II, PHQ-9, OQ-45, where higher is worse" in section(demo, "methods").sentences
