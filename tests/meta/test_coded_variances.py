"""Standard errors and limits of intervals in the place of variances: converted, said, and compared where both stand."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import DataError, FaultsError
from alliance_stats.study.meta.guess import guess_meta_study

Z95 = 1.959963984540054  # the normal quantile at .975


def frame(**columns):
    return pd.DataFrame({"study": ["a", "b", "c"], "z": [0.2, 0.3, -0.1], **columns})


def faults(effects):
    return {row["fault"]: row for row in effects.attrs["faults"]}


@pytest.mark.parametrize("name", ["sei", "se", "SE", "std_error", "Std. Error", "standard error"])
def test_standard_errors_are_recognised_and_squared(name):
    effects = als.meta.read_effects(frame(**{name: [0.1, 0.2, 0.05]}), yi="z")
    assert_allclose(effects["vi"], [0.01, 0.04, 0.0025], rtol=1e-15)
    assert effects[name].tolist() == [0.1, 0.2, 0.05]
    said = faults(effects)["variance is not coded"]
    assert (said["column"], said["n"], said["places"], said["done"]) == (name, 3, "3 rows", "standard error squared")
    assert effects.attrs["source"]["variances"] == {"se": name}


def test_standard_errors_may_have_any_name_that_is_given():
    effects = als.meta.read_effects(frame(s=[0.1, 0.2, 0.05]), yi="z", se="s")
    assert_allclose(effects["vi"], [0.01, 0.04, 0.0025], rtol=1e-15)


def test_variances_as_coded_are_as_before():
    effects = als.meta.read_effects(frame(v=[0.01, 0.04, 0.0025]), yi="z", vi="v")
    assert effects["vi"].tolist() == [0.01, 0.04, 0.0025]
    assert "v" not in effects
    assert effects.attrs["faults"] == []


def test_limits_of_intervals_give_the_variance_they_were_made_from(tmp_path):
    v = np.array([0.01, 0.04, 0.0025])
    z = frame()["z"]
    for level, quantile in ((0.95, Z95), (0.90, 1.6448536269514722)):
        limits = frame(low=z - quantile * np.sqrt(v), high=z + quantile * np.sqrt(v))
        effects = als.meta.read_effects(limits, yi="z", ci_low="low", ci_high="high", ci_level=level)
        assert_allclose(effects["vi"], v, rtol=1e-12)
        assert faults(effects)["variance is not coded"]["done"] == f"taken from the {100 * level:.0f}% interval"
    # by hand, as printed with two digits: (.40 − .00)/3.92 = .10204
    path = tmp_path / "sheet.csv"
    path.write_text("study,z,ci_low,ci_high\na,.20,.00,.40\nb,.3,.1,.5\n")
    assert_allclose(als.meta.read_effects(path, yi="z")["vi"], (0.40 / (2 * Z95)) ** 2, rtol=1e-12)


def test_each_row_has_the_first_way_that_is_coded():
    mixed = frame(
        vi=[0.01, np.nan, np.nan], sei=[np.nan, 0.2, np.nan], low=[np.nan, np.nan, -0.3], high=[np.nan, np.nan, 0.1]
    )
    effects = als.meta.read_effects(mixed, yi="z", vi="vi", se="sei", ci_low="low", ci_high="high")
    assert_allclose(effects["vi"], [0.01, 0.04, (0.4 / (2 * Z95)) ** 2], rtol=1e-12)
    assert [(row["column"], row["n"]) for row in effects.attrs["faults"]] == [("sei", 1), ("low", 1)]


def test_a_last_zero_that_a_spreadsheet_dropped_counts_as_a_digit():
    sheet = frame(v=[0.0225, 0.05, 0.0144], s=[0.15, 0.2, 0.12])  # .20² is not .05, though .22² would be
    with pytest.raises(FaultsError, match=r"is not the variance in 'v' in column 's': 1 \(row 1 \(0.04 for 0.05\)\)"):
        als.meta.read_effects(sheet, yi="z", vi="v", se="s")
    assert len(als.meta.read_effects(sheet.assign(s=[0.1, 0.2, 0.1]), yi="z", vi="v", se="s")) == 3  # one digit each


def test_only_rows_that_are_used_count_as_converted():
    sheet = pd.DataFrame({"study": list("aabc"), "z": [0.2, 0.2, np.nan, 0.3], "se": 0.1})
    effects = als.meta.read_effects(sheet, yi="z", on_faults="leave_out")  # one repeat, and one without an effect
    assert faults(effects)["variance is not coded"]["n"] == 2


def test_names_of_raters_that_are_nearly_the_same_are_noted():
    sheet = frame(se=0.1, rater=["patient", "Patient", "observer"])
    said = faults(als.meta.read_effects(sheet, yi="z", rater="rater"))["names of raters that are nearly the same"]
    assert (said["column"], said["n"], said["done"]) == ("rater", 1, "kept")
    assert "Give them one name" in said["way_out"]


def test_the_decimal_mark_is_part_of_the_codebook(tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_text("study;z;se\na;0,2;0,1\nb;0,3;0,1\n")
    effects = als.meta.read_effects(path, yi="z")
    assert effects["yi"].tolist() == [0.2, 0.3]
    assert effects.attrs["source"]["reading"]["decimal"] == "comma (found)"


def test_ways_that_disagree_are_a_fault_with_its_rows(tmp_path):
    path = tmp_path / "sheet.csv"
    # .12² = .0144 is the variance .014 as written; .12² is not .03; .2² is .04
    path.write_text("study,z,vi,SE\na,.2,.014,.12\nb,.3,.03,.12\nc,.1,.04,.2\nd,.1,.04,.02\n")
    with pytest.raises(FaultsError) as caught:
        als.meta.read_effects(path, yi="z", vi="vi", se="SE")
    message = str(caught.value)
    assert "squared standard error is not the variance in 'vi' in column 'SE': 2" in message
    assert "line 3 (0.0144 for 0.03), line 5 (0.0004 for 0.04)" in message
    left = als.meta.read_effects(path, yi="z", vi="vi", se="SE", on_faults="leave_out")
    assert left["study"].tolist() == ["a", "c"]
    assert left["vi"].tolist() == [0.014, 0.04]


def test_what_was_computed_from_each_other_agrees_whatever_its_digits():
    draw = np.random.default_rng(5)
    v = draw.uniform(1e-6, 4, 300)
    z = draw.normal(size=300)
    made = pd.DataFrame({"study": np.arange(300), "z": z, "vi": v, "sei": np.sqrt(v)})
    made = made.assign(lo=z - Z95 * made["sei"], hi=z + Z95 * made["sei"])
    for digits in (2, 3, 6, 15):  # the effects and all ways rounded as a sheet may have them
        shown = made.round(digits)
        shown = shown[(shown[["vi", "sei"]] > 0).all(axis=1)]
        effects = als.meta.read_effects(shown, yi="z", vi="vi", se="sei", ci_low="lo", ci_high="hi")
        assert len(effects) == len(shown)


def test_repeats_are_found_where_other_ways_and_sizes_are_empty():
    twice = pd.DataFrame({"study": list("aab"), "z": [0.2, 0.2, 0.2], "se": 0.1, "n": [np.nan, np.nan, 40.0]})
    with pytest.raises(FaultsError, match=r"same study and values again in column 'study': 1 \(row 1"):
        als.meta.read_effects(twice, yi="z", se="se", n="n")
    assert len(als.meta.read_effects(twice.assign(se=[0.1, 0.2, 0.1]), yi="z", se="se", n="n")) == 3


def test_impossible_errors_and_limits_are_listed():
    bad = frame(sei=[0.0, -0.1, 0.1])
    with pytest.raises(FaultsError, match=r"standard error is not positive in column 'sei': 2 \(row 0 \(0\)"):
        als.meta.read_effects(bad, yi="z")
    # the second is the interval of a correlation beside its z; the third is upside down
    limits = frame(low=[0.0, 0.05, 0.1], high=[0.4, 0.48, -0.3]).assign(z=[0.2, 0.31, -0.1])
    with pytest.raises(FaultsError) as caught:
        als.meta.read_effects(limits, yi="z", ci_low="low", ci_high="high")
    assert "interval does not lie evenly around its effect in column 'low': 1 (row 1" in str(caught.value)
    assert "lower limit is not below the upper one in column 'low': 1 (row 2" in str(caught.value)


def test_what_is_missing_is_named_with_the_ways():
    with pytest.raises(
        DataError, match=r"need their variances: vi=, se=, or ci_low= and ci_high=.*columns are study, z, x"
    ):
        als.meta.read_effects(frame(x=1.0), yi="z")
    with pytest.raises(DataError, match="1 limit of the intervals is named"):
        als.meta.read_effects(frame(low=0.0), yi="z", ci_low="low")
    with pytest.raises(DataError, match="level is 95"):
        als.meta.read_effects(frame(low=0.0, high=1.0), yi="z", ci_low="low", ci_high="high", ci_level=95)
    with pytest.raises(DataError, match="a column 'vi' of its own"):
        als.meta.read_effects(frame(vi=1.0, s=0.1), yi="z", se="s")


def test_correlations_need_no_variances():
    effects = als.meta.read_effects(frame(n=40, se=0.5), r="z", n="n")
    assert_allclose(effects["vi"], 1 / 37)


def test_a_sheet_without_a_study_file_is_recognised():
    columns = guess_meta_study(pd.DataFrame(columns=["study", "Fisher z", "SE"]))
    assert (columns.columns.vi, columns.columns.se, columns.columns.measure) == (None, "SE", "ZCOR")
    assert "'SE' is the standard error." in columns.assumed
    limits = guess_meta_study(pd.DataFrame(columns=["study", "yi", "CI lower", "CI upper"])).columns
    assert (limits.ci_low, limits.ci_high) == ("CI lower", "CI upper")
    both = guess_meta_study(pd.DataFrame(columns=["study", "yi", "sei", "ci_low", "ci_high"])).columns
    assert (both.se, both.ci_low) == ("sei", None)
    with_r = guess_meta_study(pd.DataFrame(columns=["study", "r", "n", "se"])).columns
    assert with_r.se is None


def test_the_report_says_what_was_converted(tmp_path, quick):
    sheet = pd.DataFrame({"study": list("abcdef"), "zr": [0.1, 0.2, 0.3, 0.2, 0.4, 0.25], "sei": 0.1})
    report = als.meta_report(sheet, tmp_path / "r")
    words = str(report.document.sections[0].sentences)
    assert "for their sampling variances, standard errors were squared (6 rows)" in words
    fit = als.meta.pool(pd.DataFrame({"yi": sheet["zr"], "vi": 0.01}), test="knha").table()
    assert_allclose(report.results["sections"]["results"]["table"][0]["ci_low"], fit["ci_low"][0], rtol=1e-12)
    path = tmp_path / "study.toml"
    path.write_text('[effects]\nyi = "zr"\nse = "sei"\nmeasure = "ZCOR"\n[report]\nn_boot = 50\n')
    again = als.meta_report(sheet, tmp_path / "q", study=path)
    assert again.results["sections"]["results"]["table"] == report.results["sections"]["results"]["table"]


@pytest.mark.parametrize(
    ("effects", "message"),
    [
        ('yi = "z"\n', "or yi and vi .or se, or ci_low and ci_high"),
        ('yi = "z"\nse = "s"\nci_low = "l"\n', "ci_low and ci_high go together"),
        ('yi = "z"\nse = "s"\nci_level = 95\n', r"\[effects\] ci_level = 95 must be a number in \(0, 1\)"),
        ('yi = "z"\nse = 3\n', r"\[effects\] se = 3 must be the name of a column"),
    ],
)
def test_a_study_file_names_what_is_wrong(tmp_path, effects, message):
    path = tmp_path / "study.toml"
    path.write_text(f"[effects]\n{effects}")
    with pytest.raises(DataError, match=message):
        als.read_meta_study(path)
