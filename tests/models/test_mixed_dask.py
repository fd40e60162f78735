"""``als.mixed`` on Parquet and Dask: the same numbers, whatever the files, partitions and workers."""

from __future__ import annotations

import sys

import pandas as pd
import pytest
from test_mixed_parts import FORMULA, assert_same, cut, sessions

import alliance_stats as als
from alliance_stats.errors import ColumnError, DataError, MissingExtraError

pytest.importorskip("pyarrow")
dd = pytest.importorskip("dask.dataframe")


@pytest.fixture(scope="module")
def frame():
    return sessions()


@pytest.fixture(scope="module")
def whole(frame):
    return als.mixed(FORMULA, frame)


@pytest.fixture(scope="module")
def folder(frame, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sessions")
    for at, part in enumerate(cut(frame, [13, 50])):
        part.to_parquet(folder / f"{at}.parquet", row_group_size=7)
    return folder


def test_a_folder_of_parquet_files_gives_the_same(folder, whole):
    assert_same(als.mixed(FORMULA, folder), whole)
    assert_same(als.mixed(FORMULA, str(folder)), whole)


def test_categories_of_parquet_dictionary_columns_give_the_same(folder, frame):
    formula = "outcome ~ phase * session + (1 | patient_id)"
    assert_same(als.mixed(formula, folder), als.mixed(formula, frame))


@pytest.mark.parametrize("n_partitions", [1, 2, 9, 30])
def test_any_number_of_partitions_gives_the_same(frame, whole, n_partitions):
    assert_same(als.mixed(FORMULA, dd.from_pandas(frame, npartitions=n_partitions)), whole)


def test_a_dask_frame_of_parquet_gives_the_same_also_by_kenward_and_roger(folder, frame):
    assert_same(
        als.mixed(FORMULA, dd.read_parquet(folder), df="kenward-roger"), als.mixed(FORMULA, frame, df="kenward-roger")
    )


def test_the_workers_of_a_cluster_give_the_same_to_the_last_digit_however_many(frame, whole):
    distributed = pytest.importorskip("dask.distributed")
    data = dd.from_pandas(frame.sample(frac=1.0, random_state=2), npartitions=11, sort=False)
    tables = []
    for n_workers in (1, 2):
        with (
            distributed.LocalCluster(
                n_workers=n_workers, threads_per_worker=1, processes=False, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster),
        ):
            ours = als.mixed(FORMULA, data)
        assert_same(ours, whole)
        tables.append(ours.table())
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_partitions_without_a_row_change_nothing(frame, whole):
    data = dd.from_pandas(frame.assign(keep=frame["session"] < 99), npartitions=5)
    nothing = dd.from_pandas(frame.assign(keep=False), npartitions=3)
    both = dd.concat([nothing, data, nothing])
    assert_same(als.mixed(FORMULA, both[both["keep"]]), whole)


def test_categories_that_dask_does_not_know_are_refused_until_it_does(frame):
    data = dd.from_pandas(frame.assign(phase=frame["phase"].astype(str)), npartitions=3)
    formula = "outcome ~ phase + (1 | patient_id)"
    with pytest.raises(DataError, match="Column 'phase' is text"):
        als.mixed(formula, data)
    unknown = data.assign(phase=data["phase"].astype("category"))
    with pytest.raises(DataError, match=r"not known to Dask. Use data.categorize\(columns=\['phase'\]\)"):
        als.mixed(formula, unknown)
    assert_same(als.mixed(formula, unknown.categorize(columns=["phase"])), als.mixed(formula, frame))


def test_a_column_that_is_not_there_is_named_before_anything_is_computed(frame):
    with pytest.raises(ColumnError, match="Did you mean 'session'"):
        als.mixed("outcome ~ sesion + (1 | patient_id)", dd.from_pandas(frame, npartitions=2))


def test_without_dask_the_extra_that_brings_it_is_named(frame, monkeypatch):
    data = dd.from_pandas(frame, npartitions=2)
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'alliance-stats\[distributed\]'"):
        als.mixed(FORMULA, data)
