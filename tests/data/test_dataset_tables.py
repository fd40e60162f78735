"""Files of R, in the shapes of the registered data sets, become one row per patient and session."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alliance_stats.data.dataset_tables import (
    BAI,
    OCCASIONS,
    WAI,
    implement_arrays,
    implement_text,
    read_table,
    sgdata_wide,
)
from alliance_stats.data.read_r import read_r
from alliance_stats.data.registry import dataset_entry
from alliance_stats.errors import DataError, MissingExtraError

R_FILES = Path(__file__).parents[1] / "golden" / "rdata"
pytest.importorskip("rdata", reason="the extra 'data' is not installed")


def test_an_array_of_r_is_unfolded_by_patient_occasion_and_variable():
    frame = implement_arrays(R_FILES / "arrays.rds")
    step = 2 / 71  # R fills arrays from the first index on: seq(-1, 1, length.out = 72)
    assert frame[["patient_id", "session"]].to_numpy().tolist() == [[p, s] for p in (1, 2) for s in (1, 2, 3)]
    for place, name in enumerate((*BAI, *WAI)):  # anxiety stands first in the file
        for row, (patient, session) in enumerate([(p, s) for p in (0, 1) for s in (0, 1, 2)]):
            value = frame[name][row]
            if (patient, session, place) == (1, 2, 0):
                assert np.isnan(value)
            else:
                assert value == pytest.approx(-1 + step * (patient + 2 * session + 6 * place), abs=1e-14)


def test_scale_means_need_three_quarters_of_the_items():
    frame = implement_arrays(R_FILES / "arrays.rds")
    assert frame["outcome"].isna().tolist() == [False] * 5 + [True]  # two of three parcels are too few
    assert frame["alliance"].notna().all()
    assert frame["alliance"][0] == pytest.approx(sum(frame[name][0] for name in WAI) / 9, abs=1e-15)
    assert frame["outcome"][0] == pytest.approx(sum(frame[name][0] for name in BAI) / 3, abs=1e-15)


def test_a_tibble_of_r_becomes_one_row_per_measurement():
    frame = sgdata_wide(R_FILES / "wide.RData").sort_values(["patient_id", "session"], ignore_index=True)
    assert len(frame) == 3 * 15 - 1  # person 2 has neither score at s2
    first = frame[frame["patient_id"] == 1]
    assert first["session"].tolist() == list(range(1, 16))
    assert first["outcome"].tolist() == [30 - k for k in range(1, 16)]
    assert first["rumination"].tolist() == [40 - k for k in range(1, 16)]
    assert first["phase"].tolist() == ["baseline"] + ["therapy"] * 12 + ["follow-up"] * 2
    third = frame[(frame["patient_id"] == 3) & (frame["session"] == 1 + OCCASIONS.index("s5"))]
    assert (third["outcome"].isna().item(), third["rumination"].item()) == (True, 20 - 6)
    assert not ((frame["patient_id"] == 2) & (frame["session"] == 3)).any()


def test_the_number_of_rows_must_be_the_registered_one():
    with pytest.raises(DataError, match=r"'sgdata': wide\.RData gave 44 rows, and 594 are registered"):
        read_table(dataset_entry("sgdata"), R_FILES / "wide.RData")


def test_another_file_of_r_is_refused_with_what_it_lacks():
    with pytest.raises(DataError, match=r"wide\.RData has no data frame called 'data'.*sgdata"):
        implement_arrays(R_FILES / "wide.RData")
    with pytest.raises(DataError, match=r"arrays\.rds has no data frame called 'sgdata'. Did you mean 'data'"):
        sgdata_wide(R_FILES / "arrays.rds")
    with pytest.raises(DataError, match=r"text\.rds has no data frame called 'data'"):
        implement_arrays(R_FILES / "text.rds")


def test_an_array_of_another_shape_is_refused(tmp_path):
    narrow = pd.DataFrame({"dim1": [1], "dim2": [1], "v1": [0.0]})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("alliance_stats.data.dataset_tables._r_frame", lambda path, name: narrow)
        with pytest.raises(DataError, match=r"holds no array of patients, occasions and 12 variables"):
            implement_arrays(tmp_path / "x.rds")


@pytest.mark.parametrize("content", [b"", b"no file of R", b"RDX3\nX\n\x00\x00"])
def test_a_file_that_is_none_of_r_is_refused(content):
    with pytest.raises(DataError, match=r"x\.rds cannot be read as a file of R"):
        read_r(content, "x.rds")


def test_without_rdata_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rdata", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'alliance-stats\[r\]'"):
        implement_arrays(R_FILES / "arrays.rds")


def test_columns_are_those_of_the_glossary():
    glossary = dataset_entry("implement").glossary
    assert sorted(implement_arrays(R_FILES / "arrays.rds").columns) == sorted(glossary)
    assert isinstance(sgdata_wide(R_FILES / "wide.RData"), pd.DataFrame)
    assert sorted(sgdata_wide(R_FILES / "wide.RData").columns) == sorted(dataset_entry("sgdata").glossary)


def test_text_with_seven_of_nine_items_has_a_mean_and_with_six_none(tmp_path):
    header = ["patient", "therapist", "time", *WAI, *BAI]
    items = [list(range(1, 10)), [*range(1, 8), "", ""], [*range(1, 7), "", "", ""]]
    rows = [[1, 4, k, *row, 1, 2, 6] for k, row in enumerate(items, 1)]
    (tmp_path / "x.csv").write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]), encoding="utf-8")
    frame = implement_text(tmp_path / "x.csv")
    assert frame["alliance"].fillna(-1).tolist() == [5, 4, -1]  # 45 / 9, 28 / 7
    assert frame["outcome"].tolist() == [3, 3, 3]
    assert frame["therapist_id"].tolist() == [4, 4, 4]
