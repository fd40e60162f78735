import pytest

import alliance_stats as als
from alliance_stats.errors import DataError, MeasureKeyError
from alliance_stats.questionnaires.key_file import read_key
from alliance_stats.questionnaires.known import _REGISTERED, measure_key

SHIPPED = ["CORE-10", "CORE-OM", "DASS-21", "GAD-7", "HAq-II", "OQ-45.2", "ORS", "PHQ-9", "SCL-90-R", "SRS", "WAI-36",
           "WAI-S", "WAI-SR"]  # fmt: skip
KEY = """
name = "Diary"
title = "Session diary"
n_items = 4
response = [1, 5]
higher = "better"
reversed = [2]
status = "own"
source = "our clinic"
[total]
range = [4, 20]
[subscales.calm]
items = [1, 2]
range = [2, 10]
[subscales.open]
items = [3, 4]
range = [2, 10]
"""


@pytest.fixture
def key_file(tmp_path):
    def write(text):
        path = tmp_path / "diary.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def register(key_file):
    before = dict(_REGISTERED)
    yield lambda text, **more: als.register_measure(key_file(text), **more)
    _REGISTERED.clear()
    _REGISTERED.update(before)


def test_the_measures_that_come_with_the_package_are_listed():
    listed = als.measures()
    assert listed["measure"].tolist() == SHIPPED
    assert (listed["status"] == "verified").all()
    assert listed.drop(columns="reliable_change").notna().all(axis=None)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_value_is_verified_and_has_a_source(name):
    values = als.measures(name)
    assert set(values["status"]) == {"verified"}
    assert (values["source"].str.len() > 3).all()


def test_values_that_are_only_recalled_are_not_shipped():
    # measures_keys.csv: SRS and ORS cutoffs, ORS change, GAD-7 cutoff 10, CORE changes, DASS bands: recalled
    with_cutoff = {name for name in SHIPPED if measure_key(name).cutoffs}
    with_change = {name for name in SHIPPED if measure_key(name).reliable_change}
    assert with_cutoff == {"OQ-45.2", "PHQ-9", "GAD-7", "CORE-OM", "CORE-10"}
    assert with_change == {"OQ-45.2", "PHQ-9", "GAD-7"}
    assert [cut.value for cut in measure_key("GAD-7").cutoffs] == [8]
    assert measure_key("OQ-45.2").subscales == ()  # its item lists are recalled


@pytest.mark.parametrize("written", ["WAI-SR", "wai-sr", "wai_sr", "WAI SR", "waisr"])
def test_a_measure_is_found_however_its_name_is_written(written):
    assert measure_key(written).name == "WAI-SR"


def test_an_unknown_measure_names_the_nearest():
    with pytest.raises(DataError, match=r"no measure 'WAI-SX'\. Did you mean 'WAI-S"):
        als.measures("WAI-SX")


def test_a_sound_key_is_registered_and_listed(register):
    key = register(KEY)
    assert key.scale("calm").items == (1, 2)
    assert key.label == "Session diary"
    assert als.measures().set_index("measure").loc["Diary", "scales"] == "total, calm, open"


def test_a_name_that_is_taken_is_refused_unless_it_is_replaced(register):
    register(KEY)
    register(KEY)  # the same key again is no conflict
    other = KEY.replace("reversed = [2]", "reversed = []")
    with pytest.raises(DataError, match="a measure 'Diary' already"):
        register(other)
    assert register(other, replace=True).reversed == frozenset()
    assert measure_key("diary").reversed == frozenset()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("items = [3, 4]", "items = [2, 3]", r"1 item \(2\) stand in two places"),
        ("items = [3, 4]", "items = [3]", r"1 item \(4\) stand in no subscale"),
        ("items = [3, 4]", "items = [3, 4, 5]", r"open: 1 item \(5\) are not among 1 to 4"),
        ("items = [3, 4]", "items = [3, 3]", "must be a list of item numbers, each once"),
        ("reversed = [2]", "reversed = [2, 9]", r"1 reversed item \(9\) are not among 1 to 4"),
        ("range = [4, 20]", "range = [0, 20]", r"total: range \[0, 20\] is stated, but 4 items .* give \[4, 20\]"),
        ("response = [1, 5]", "response = [1, 7]", r"calm: range \[2, 10\] is stated"),
        ("response = [1, 5]", "response = [5, 1]", "must run from a lower to a higher answer"),
        ("n_items = 4", "n_items = 0", "n_items = 0 must be a positive whole number"),
        ("n_items = 4", 'n_items = "4"', "must be a positive whole number"),
        ('higher = "better"', 'higher = "up"', "must be one of better, worse"),
        ('status = "own"', "", "status is missing"),
        ('source = "our clinic"', "", "source is missing"),
        ('name = "Diary"', "name = 7", "name = 7 must be text"),
        ("reversed = [2]", "reversed = [2]\ncutof = 3", "unknown key 'cutof'"),
        ("range = [4, 20]", "", r"\[total\] range is missing"),
        ("[subscales.calm]", '[subscales."a b"]', "name is a word that can end a column name"),
        ("[total]", "[missing_rule]\nmin_items = { total = 9 }\n[total]", "min_items = 9 must lie between 1 and 4"),
        ("[total]", "[missing_rule]\nmin_items = { mood = 1 }\n[total]", r"no scale 'mood'"),
        ("[total]", '[reliable_change]\nvalue = 17\nstatus = "own"\nsource = "x"\n[total]', "17 lies outside 0 to 16"),
        ("[total]", '[[cutoffs]]\nvalue = 3\nstatus = "own"\nsource = "x"\n[total]', "3 lies outside 4 to 20"),
        ("[total]", "[[cutoffs]]\nvalue = 5\n[total]", r"\[\[cutoffs\]\] status is missing"),
    ],
)
def test_a_key_that_does_not_hold_together_is_refused(register, old, new, said):
    assert old in KEY
    with pytest.raises(MeasureKeyError, match=said):
        register(KEY.replace(old, new, 1))


def test_all_that_is_wrong_is_listed_at_once(register):
    with pytest.raises(MeasureKeyError, match=r"2 problems in diary\.toml"):
        register(KEY.replace("items = [3, 4]", "items = [3]").replace("reversed = [2]", "reversed = [9]"))


def test_a_file_that_is_no_toml_names_the_line(key_file):
    with pytest.raises(MeasureKeyError, match=r"no valid TOML.*line 1"):
        read_key(key_file("name = Diary"))
