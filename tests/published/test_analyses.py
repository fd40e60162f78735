"""Every analysis of ``analyses/`` is run and compared with its ``expected.json``, and issue 2's numbers with both."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als

ROOT = Path(__file__).parents[2]
ANALYSES = sorted(path.parent for path in (ROOT / "analyses").glob("*/analysis.py"))
GOLDEN = json.loads((ROOT / "tests" / "golden" / "lme4" / "implement.json").read_text(encoding="utf-8"))


def every_analysis(test):
    return pytest.mark.parametrize("folder", ANALYSES, ids=lambda folder: folder.name)(test)


def expected_of(folder):
    return json.loads((folder / "expected.json").read_text(encoding="utf-8"))


def data_file(name):
    """Path of a file under ALLIANCE_STATS_DATA; skip the test where it is not there."""
    home = os.environ.get("ALLIANCE_STATS_DATA")
    if not home:
        pytest.skip("ALLIANCE_STATS_DATA is not set: the real data are not part of the project")
    path = Path(home, name.removeprefix("$ALLIANCE_STATS_DATA/"))
    if not path.is_file():
        pytest.skip(f"{path} does not exist: the real data are not part of the project")
    return path


def load(folder):
    spec = importlib.util.spec_from_file_location(f"analysis_{folder.name.replace('-', '_')}", folder / "analysis.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compare(found, expected, tolerances):
    """Compare one model's numbers; every expected number needs a tolerance, every expected note must be found."""
    for name, value in expected.items():
        if name == "golden":
            continue
        if name == "notes":
            for start in value:
                assert any(note.startswith(start) for note in found["notes"]), f"no note starts with {start!r}"
        elif isinstance(value, dict):
            assert found[name].keys() == value.keys()
            ours = [found[name][key] for key in value]
            assert_allclose(ours, list(value.values()), rtol=tolerances[name], err_msg=name)
        elif isinstance(value, bool):
            assert found[name] is value, name
        else:
            assert_allclose(found[name], value, rtol=tolerances[name], err_msg=name)


def test_there_are_analyses():
    assert [folder.name for folder in ANALYSES]  # else the tests below would run over nothing


@every_analysis
def test_analysis_gives_the_expected_numbers(folder, tmp_path):
    expected = expected_of(folder)
    data_file(expected["data"])
    load(folder).main(str(tmp_path / "results.json"))
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["data_sha256"] == expected["data_sha256"]
    assert results["results"].keys() == expected["results"].keys()
    for name, model in expected["results"].items():
        compare(results["results"][name], model, expected["relative_tolerance"])


@every_analysis
def test_analysis_says_where_its_data_must_be(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("ALLIANCE_STATS_DATA", raising=False)
    with pytest.raises(SystemExit, match="Set ALLIANCE_STATS_DATA"):
        load(folder).main(str(tmp_path / "results.json"))
    assert not list(tmp_path.iterdir())


@every_analysis
def test_analysis_has_a_readme_that_says_what_agrees(folder):
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for part in ("**Question.**", "**Data.**", "**What agrees.**", "**What does not, and why.**"):
        assert part in readme


def test_implement_expects_what_lme4_gave():
    expected = expected_of(ROOT / "analyses" / "implement-growth")
    assert expected["data_sha256"] == GOLDEN["sha256"]
    for model in expected["results"].values():
        golden = GOLDEN["fits"][model["golden"]]
        for name in ("n_obs", "criterion", "aic", "bic", "estimate", "std_error", "singular"):
            assert model[name] == golden[name]
        assert list(model["df"].values()) == golden["dense_check"]["df"]
        assert list(model["vcov"].values()) == golden["variance"]["vcov"]


def test_positive_regard_has_the_published_result():
    fit = expected_of(ROOT / "analyses" / "positive-regard")["results"]["three_level"]
    assert [round(fit["r"][name], 3) for name in ("estimate", "ci_low", "ci_high")] == [0.269, 0.157, 0.373]


def test_positive_regard_expects_what_metafor_gave():
    golden = json.loads((ROOT / "tests" / "golden" / "positive_regard" / "reference.json").read_text(encoding="utf-8"))
    for name, model in expected_of(ROOT / "analyses" / "positive-regard")["results"].items():
        for key in ("estimate", "std_error", "ci_low", "ci_high"):
            value = golden[name][key]
            assert model[key] == (value["intrcpt"] if isinstance(value, dict) else value)
        assert model["variance"] == golden[name]["variance"]


# ---- issue 2's formulas and numbers, word for word ------------------------------------------------------------------


@pytest.fixture(scope="module")
def implement():
    frame = pd.read_csv(data_file("implement/implement_composites.csv"), dtype={"patient": "str", "therapist": "str"})
    return frame.assign(time0=frame["time"] - 1)


def test_alliance_growth_has_the_numbers_of_issue_2(implement):
    fit = als.mixed("wai ~ time0 + (1 + time0 | patient)", implement)
    table = fit.table().set_index("term")
    # quoted from lme4 with default settings, which stops early: 1e-4, or half a unit of the last digit quoted
    assert_allclose(table["estimate"], [0.095585, 0.036008], rtol=1e-4)
    assert_allclose(table.loc["time0", "std_error"], 0.004799, rtol=1e-4, atol=5e-7)
    assert_allclose(fit.glance()["deviance"], 592.5971, rtol=1e-4)


def test_anxiety_has_the_numbers_of_issue_2_and_says_that_therapists_do_not_differ(implement):
    fit = als.mixed("bai ~ 1 + (1 | patient) + (1 | therapist)", implement)
    row, variance = fit.glance().iloc[0], fit.variance().set_index("group")
    assert_allclose(row["deviance"], 643.784, rtol=1e-4)
    assert variance.loc["therapist", "vcov"] == 0
    assert row["singular"]
    assert row["converged"]
    assert row["n_therapist"] == 13
    (note,) = (note for note in fit.notes() if "therapist" in note)
    assert "variance of therapist was estimated at zero" in note
    assert "fixed effects remain usable" in note


@pytest.mark.parametrize("label", ["wai", "bai"])
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_implement_reaches_the_exact_optimum(implement, label, method):
    golden = GOLDEN["fits"][f"{label}_{method}"]
    fit = als.mixed(golden["formula"], implement, method)
    assert_allclose(fit.glance()["deviance"], golden["criterion"], rtol=1e-8)
    table = fit.table().set_index("term")
    for name, rtol in (("estimate", 1e-6), ("std_error", 1e-6)):
        assert_allclose(table[name], [golden[name][term] for term in table.index], rtol=rtol)
    assert_allclose(table["df"], golden["dense_check"]["df"], rtol=1e-5)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_lme4_with_default_settings_stops_above_our_criterion(implement, method):
    default = GOLDEN["fits"][f"wai_{method}_default"]
    criterion = als.mixed(default["formula"], implement, method).solution.criterion
    assert 0 < default["criterion"] - criterion < 1e-4 * criterion
