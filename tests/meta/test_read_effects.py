import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import alliance_stats as als
from alliance_stats.errors import ColumnError, DataError, FaultsError

SHEET = """author;r;n;rater;note
007;,30;40;patient;a
007;,10;40;therapist;b
Lee;-,20;55;patient;
Kim;,44;31;patient;c
"""


@pytest.fixture
def csv(tmp_path):
    def write(text, name="effects.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_coding_sheet_becomes_effects(csv):
    effects = als.meta.read_effects(csv(SHEET), study="author", r="r", n="n", rater="rater")
    assert effects["study"].tolist() == ["007", "007", "Lee", "Kim"]  # ids keep their zeros
    assert_allclose(effects["yi"], np.arctanh([0.3, 0.1, -0.2, 0.44]))
    assert_allclose(effects["vi"], 1 / (effects["n"] - 3))
    assert als.meta.multilevel(effects).glance()["n_studies"][0] == 3


def test_mixed_raters_are_noted(csv):
    effects = als.meta.read_effects(csv(SHEET), study="author", r="r", n="n", rater="rater")
    faults = pd.DataFrame(effects.attrs["faults"])
    note = faults[faults["fault"] == "several raters in one study"].iloc[0]
    assert note["n"] == 1
    assert note["places"] == "007"
    assert note["done"] == "kept"


def test_every_fault_is_listed_with_its_line(csv):
    text = "study,r,n\na,1.2,40\nb,.3,2\nc,x,30\nd,.2,30\nd,.2,30\n,.1,20\ne,1,30\nf,.2,30.5\n"
    with pytest.raises(FaultsError) as caught:
        als.meta.read_effects(csv(text), r="r", n="n")
    message = str(caught.value)
    for part in (
        "correlation outside [−1, 1] in column 'r': 1 (line 2 (1.2))",
        "sample size below 4 in column 'n': 1 (line 3",
        "r is no number in column 'r': 1 (line 4 ('x'))",
        "same study and values again in column 'study': 1 (line 6",
        "no study in column 'study': 1 (line 7)",
        "correlation of 1 or −1 in column 'r': 1 (line 8",
        "sample size is no whole number in column 'n': 1 (line 9",
    ):
        assert part in message
    assert len(caught.value.faults) == 7


def test_faults_can_be_left_out_and_counted(csv):
    text = "study,r,n\na,1.2,40\nb,.3,50\nc,.1,30\n"
    effects = als.meta.read_effects(csv(text), r="r", n="n", on_faults="leave_out")
    assert effects["study"].tolist() == ["b", "c"]
    assert [fault["done"] for fault in effects.attrs["faults"]] == ["row left out"]
    with pytest.raises(FaultsError, match="leaves 0 rows"):
        als.meta.read_effects(csv("study,r,n\na,1.2,40\n"), r="r", n="n", on_faults="leave_out")


def test_duplicates_that_differ_in_rater_are_none(csv):
    text = "study,r,n,rater\na,.2,40,patient\na,.2,40,therapist\n"
    assert len(als.meta.read_effects(csv(text), r="r", n="n", rater="rater")) == 2
    with pytest.raises(FaultsError, match="same study and values again"):
        als.meta.read_effects(csv(text), r="r", n="n")


def test_effects_and_variances_may_be_coded_themselves(csv):
    text = "study,z,v,n\na,.2,.02,53\nb,.3,.14,53\nc,.1,.9,53\n"
    effects = als.meta.read_effects(csv(text), yi="z", vi="v", n="n")
    assert_allclose(effects["yi"], [0.2, 0.3, 0.1])
    note = effects.attrs["faults"][0]
    assert (note["fault"], note["n"], note["places"]) == ("variance far from 1/(n − 3)", 1, "line 4")
    with pytest.raises(FaultsError, match=r"sampling variance is not positive in column 'v': 2 \(line 2 \(0\), line 3"):
        als.meta.read_effects(csv("study,z,v\na,.2,0\nb,.3,-1\n"), yi="z", vi="v")


def test_spreadsheets_are_read_as_text(tmp_path):
    pytest.importorskip("openpyxl")
    path = tmp_path / "sheet.xlsx"
    pd.DataFrame({"study": ["007", "8"], "r": [0.2, 0.3], "n": [40, 50]}).to_excel(path, index=False)
    effects = als.meta.read_effects(path, r="r", n="n")
    assert effects["study"].tolist() == ["007", "8"]
    assert_allclose(effects["yi"], np.arctanh([0.2, 0.3]))
    with pytest.raises(DataError, match="has no sheet 'other'"):
        als.meta.read_effects(path, r="r", n="n", sheet="other")


def test_frames_are_checked_in_the_same_way():
    frame = pd.DataFrame({"id": ["a", "b"], "r": [0.2, -1.4], "n": [40, 50]})
    with pytest.raises(FaultsError, match=r"outside \[−1, 1\] in column 'r': 1 \(row 1 \(-1.4\)\)"):
        als.meta.read_effects(frame, study="id", r="r", n="n")


def test_columns_must_be_there(csv):
    with pytest.raises(ColumnError, match=r"No column 'R'. Did you mean 'r'"):
        als.meta.read_effects(csv(SHEET), study="author", r="R", n="n")
    with pytest.raises(DataError, match="need r= and n=, or yi= and vi="):
        als.meta.read_effects(csv(SHEET), study="author", r="r")
    with pytest.raises(ColumnError, match="a column 'study' of its own"):
        als.meta.read_effects(pd.DataFrame({"study": [1], "id": [2], "r": [0.1], "n": [30]}), study="id", r="r", n="n")


def test_effects_that_were_read_can_be_joined_and_filled_in(csv):
    # pandas compares attrs when it joins frames: a frame in them would break every join
    text = "study,r,n\n" + "".join(f"s{k},.{k}1,{20 + 9 * k}\n" for k in range(1, 9)) + "s9,x,30\n"
    effects = als.meta.read_effects(csv(text), r="r", n="n", on_faults="leave_out")
    assert len(pd.concat([effects, effects])) == 16
    assert als.meta.bias.trim_fill(effects).glance()["converged"][0]


def test_signs_are_aligned_by_outcome(csv):
    text = "study,r,n,outcome\na,-.2,40,BDI\na,.3,40,GAF\nb,.1,50,GAF\n"
    ask = {"r": "r", "n": "n", "outcome": "outcome"}
    effects = als.meta.read_effects(csv(text), **ask, higher={"BDI": "worse", "GAF": "better"})
    assert_allclose(effects["yi"], np.arctanh([0.2, 0.3, 0.1]))
    with pytest.raises(DataError, match="1 of 3 outcomes in 'outcome' have no direction"):
        als.meta.read_effects(csv(text), **ask, higher={"GAF": "better"})
    coded = als.meta.read_effects(csv("study,z,v,d\na,.2,.02,worse\nb,.3,.1,better\n"), yi="z", vi="v", higher="d")
    assert_allclose(coded["yi"], [-0.2, 0.3])


def test_coded_effects_are_of_no_known_measure_until_it_is_said(csv):
    text = "study,z,v\na,.2,.02\nb,.3,.1\n"
    assert "measure" not in als.meta.read_effects(csv(text), yi="z", vi="v").attrs
    assert als.meta.read_effects(csv(text), yi="z", vi="v", measure="ZCOR").attrs["measure"] == "ZCOR"
    with pytest.raises(DataError, match="No measure 'SMD' of r and n"):
        als.meta.read_effects(csv("study,r,n\na,.2,40\n"), r="r", n="n", measure="SMD")


def test_ids_of_effects_tell_apart_what_agrees_in_all_else(csv):
    text = "study,id,r,n\na,1,.2,40\na,2,.2,40\n"
    assert len(als.meta.read_effects(csv(text), effect="id", r="r", n="n")) == 2
    with pytest.raises(FaultsError, match="same study and effect again"):
        als.meta.read_effects(csv(text.replace("a,2", "a,1")), effect="id", r="r", n="n")


def test_studies_spelt_nearly_the_same_are_noted(csv):
    faults = als.meta.read_effects(csv("study,r,n\nLee,.2,40\nlee,.3,40\n"), r="r", n="n").attrs["faults"]
    assert [(fault["fault"], fault["n"]) for fault in faults] == [("names of studies that are nearly the same", 1)]
