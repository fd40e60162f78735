"""Names that may be two spellings of one are listed; names that are merely alike in kind are not."""

import pytest

from alliance_stats.data.similar_names import similar_names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Dr. Müller, Anna", "Anna Mueller"),
        ("A. Müller", "Müller, Anna"),
        ("Schmidt", "Schmitd"),
        ("Schmidt", "Schmit"),
        ("Garcia", "García"),
        ("Dr Weber", "Weber"),
        ("O'Neill", "O Neill"),
    ],
)
def test_spellings_of_one_name_are_listed(one, other):
    (group,) = similar_names([one, "Somebody Else", other])
    assert repr(one) in group
    assert repr(other) in group


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("T1", "T2"),
        ("T0001", "T0002"),
        ("therapist 1", "therapist 2"),
        ("Max", "Mia"),
        ("Anna Weber", "Peter Weber"),
        ("Anna Weber", "Anna Huber"),
        ("smith", "Smith"),  # by case only: listed with the ids already
    ],
)
def test_other_names_are_left_alone(one, other):
    assert similar_names([one, other]) == []


def test_three_spellings_make_one_group():
    assert similar_names(["Schmidt", "Schmitt", "Schmit"]) == ["'Schmidt', 'Schmit', 'Schmitt'"]


def test_thousands_of_codes_take_no_time():
    assert similar_names([f"T{number:05d}" for number in range(5000)]) == []
