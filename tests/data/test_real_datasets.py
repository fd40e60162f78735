"""The registered real data sets, loaded end to end where their files are at hand."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.data.dataset_tables import BAI, WAI

FOLDER = Path(os.environ.get("ALLIANCE_STATS_DATA", ""))
pytestmark = pytest.mark.skipif(
    not os.environ.get("ALLIANCE_STATS_DATA") or not (FOLDER / "implement").is_dir(),
    reason="ALLIANCE_STATS_DATA does not name the folder of the real data",
)


def test_implement_from_its_original_has_the_published_counts():
    table = als.load_dataset("implement", fetch=False)
    frame = table.frame
    assert (len(frame), frame["patient_id"].nunique(), frame["session"].max()) == (855, 57, 15)
    # the data's README: WAI 707 and BAI 780 complete
    assert (frame["alliance"].notna().sum(), frame["outcome"].notna().sum()) == (707, 780)
    assert table.faults.empty
    assert not table.source.simulated
    assert table.source.reading["file"] == "finalcompletedata.RDS"
    first = frame[frame["session"] == 1][[*WAI, *BAI]]
    np.testing.assert_allclose(first.mean(), 0, atol=1e-14)
    np.testing.assert_allclose(first.std(ddof=1), 1, rtol=1e-14)


def test_the_text_copy_is_the_original_times_the_spread_of_the_first_occasion():
    original = als.load_dataset("implement", fetch=False).frame
    text = als.load_dataset("implement_long", fetch=False).frame
    assert original[["patient_id", "session"]].equals(text[["patient_id", "session"]])
    for name in (*WAI, *BAI):
        spread = text.loc[text["session"] == 1, name].std(ddof=1)
        assert original[name].isna().equals(text[name].isna())
        # the text has 15 digits
        np.testing.assert_allclose(original[name] * spread, text[name], rtol=0, atol=2e-14)


def test_the_text_copy_has_the_item_means_of_the_composites_and_the_therapists():
    text = als.load_dataset("implement_long", fetch=False).frame
    composites = pd.read_csv(FOLDER / "implement" / "implement_composites.csv")
    np.testing.assert_allclose(text["alliance"], composites["wai"], rtol=0, atol=1e-14)
    np.testing.assert_allclose(text["outcome"], composites["bai"], rtol=0, atol=1e-14)
    assert text["therapist_id"].astype(int).tolist() == composites["therapist"].tolist()


def test_positive_regard_is_102_correlations_of_15_studies():
    frame = als.load_dataset("positive_regard", fetch=False)
    assert (len(frame), frame["study_id"].nunique(), frame["es_id"].is_unique) == (102, 15, True)
    np.testing.assert_allclose(np.arctanh(frame["r"]), frame["z"], rtol=1e-14)
    np.testing.assert_allclose(1 / (frame["n"] - 3), frame["vi_z"], rtol=1e-14)


def test_sgdata_has_every_number_of_its_file():
    table = als.load_dataset("sgdata", fetch=False)
    wide = pd.read_csv(FOLDER / "sgdata" / "suddengains_sgdata.csv", index_col="id")
    frame = table.frame.astype({"patient_id": int})
    for score, stem in (("outcome", "bdi_"), ("rumination", "rq_")):
        back = frame.set_index(["patient_id", "session"])[score].unstack()  # noqa: PD010  # no sums
        ours = wide[[column for column in wide if column.startswith(stem)]]
        np.testing.assert_array_equal(back.to_numpy(), ours.to_numpy(dtype=float))
    assert frame.groupby("phase")["session"].agg(["min", "max"]).to_dict("index") == {
        "baseline": {"min": 1, "max": 1},
        "therapy": {"min": 2, "max": 13},
        "follow-up": {"min": 14, "max": 15},
    }
    assert table.codebook["outcome"].higher == "worse"


@pytest.mark.parametrize("name", ["implement", "implement_long", "sgdata"])
def test_real_sessions_give_a_report_without_the_word_simulated(name, tmp_path, quick):
    table = als.load_dataset(name, fetch=False)
    report = als.study_report(table, tmp_path / "r")
    assert report.converged
    page = report.page.read_text(encoding="utf-8")
    assert "Simulated data" not in page
    assert table.source.reading["licence"] in page
    assert not json.loads((report.folder / "results.json").read_text(encoding="utf-8"))["input"]["simulated"]
