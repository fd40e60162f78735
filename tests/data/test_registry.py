import hashlib
import importlib.util
import shutil
import tomllib

import pandas as pd
import pytest

import alliance_stats as als
from alliance_stats.data import registry
from alliance_stats.design.episodes import change_summary
from alliance_stats.errors import DataError

NAME = "simulated_alliance"


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the data set that may be damaged, in place of the shipped one."""
    folder = tmp_path / NAME
    shutil.copytree(registry.dataset_folder(NAME), folder)
    monkeypatch.setattr(registry, "_folders", lambda: {NAME: folder})
    return folder


def source():
    return tomllib.loads((registry.dataset_folder(NAME) / "SOURCE.toml").read_text(encoding="utf-8"))


def test_list_says_which_data_are_simulated():
    listed = als.datasets()
    contract = ["name", "title", "simulated", "n_rows", "licence", "citation"]
    assert list(listed.columns) == [*contract, "n_columns", "kind", "place", "origin"]
    assert listed.set_index("name").loc[NAME, "simulated"]


def test_simulated_data_say_so_in_title_and_first_glossary_line():
    about = source()
    assert "SIMULATED" in about["title"]
    assert "SIMULATED" in next(iter(about["glossary"].values()))


def test_glossary_explains_every_column():
    header = (registry.dataset_folder(NAME) / "sessions.csv").read_text(encoding="utf-8").splitlines()[0]
    assert list(source()["glossary"]) == header.split(",")


def test_hash_and_row_count_are_those_of_the_file():
    content = (registry.dataset_folder(NAME) / "sessions.csv").read_bytes()
    assert source()["sha256"] == hashlib.sha256(content).hexdigest()
    assert source()["n_rows"] == content.count(b"\n") - 1  # the header


def test_making_the_data_again_gives_the_identical_files(tmp_path):
    folder = registry.dataset_folder(NAME)
    spec = importlib.util.spec_from_file_location("make_simulated_alliance", folder / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    make.write(tmp_path)
    for name in ("sessions.csv", "truth.csv"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_loaded_data_are_marked_simulated_and_carry_their_citation():
    table = als.load_dataset(NAME)
    assert table.source.simulated
    assert table.source.name == NAME
    assert table.source.reading["citation"] == source()["citation"]
    assert len(table) == source()["n_rows"]


def test_loaded_data_have_canonical_columns_and_no_faults_worth_a_row():
    table = als.load_dataset(NAME)
    assert list(table.frame.columns) == ["patient_id", "therapist_id", "session", "alliance", "outcome"]
    assert (table.faults["done"] == "kept").all()
    assert table.codebook["outcome"].higher == "worse"


def test_as_many_change_therapist_as_the_glossary_says():
    changes = change_summary(pd.read_csv(registry.dataset_folder(NAME) / "sessions.csv"))
    assert changes["patient_id"].nunique() == 45
    assert "45 of the 190 patients" in source()["glossary"]["therapist_id"]


def test_loaded_values_are_those_of_the_file():
    raw = pd.read_csv(registry.dataset_folder(NAME) / "sessions.csv")
    loaded = als.load_dataset(NAME).frame
    both = raw.merge(loaded, on=["patient_id", "session"], validate="one_to_one")
    assert len(both) == len(raw)
    assert (both["alliance_x"] == both["alliance_y"]).all()


def test_changed_file_is_refused(copy):
    with (copy / "sessions.csv").open("a", encoding="utf-8") as file:
        file.write("P9999,T01,1,5.00,0.00\n")
    with pytest.raises(DataError, match=r"'simulated_alliance': sessions\.csv is not the file that was shipped"):
        als.load_dataset(NAME)


def test_lost_file_is_named(copy):
    (copy / "sessions.csv").unlink()
    with pytest.raises(DataError, match=r"has no file sessions\.csv"):
        als.load_dataset(NAME)


def test_source_file_that_lacks_a_key_is_refused(copy):
    (copy / "SOURCE.toml").write_text('title = "no more"\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"SOURCE\.toml lacks simulated, n_rows, sha256, licence, citation"):
        als.datasets()


def test_source_file_that_is_no_toml_is_refused(copy):
    (copy / "SOURCE.toml").write_text("title = ", encoding="utf-8")
    with pytest.raises(DataError, match=r"SOURCE\.toml cannot be read"):
        als.datasets()


def test_misspelt_name_gets_the_nearest():
    with pytest.raises(DataError, match="Did you mean 'simulated_alliance'"):
        als.load_dataset("simulated_aliance")


@pytest.mark.parametrize("name", ["../datasets/simulated_alliance", "/etc", "", "."])
def test_name_is_never_taken_as_a_path(name):
    with pytest.raises(DataError, match="There is no data set"):
        registry.dataset_folder(name)


def test_installed_package_looks_inside_itself_and_not_at_its_neighbours(tmp_path, monkeypatch):
    for place in ("alliance_stats/_datasets/ours", "datasets/somebody_elses"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "SOURCE.toml").touch()
    monkeypatch.setattr(registry, "__file__", str(tmp_path / "alliance_stats/data/registry.py"))
    assert list(registry._folders()) == ["ours"]
    (tmp_path / "pyproject.toml").touch()  # now it is a checkout
    assert list(registry._folders()) == ["ours", "somebody_elses"]
