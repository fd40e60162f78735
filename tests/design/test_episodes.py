import time

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from alliance_stats.data.session_table import SessionTable
from alliance_stats.design.episodes import change_summary, therapist_episodes
from alliance_stats.errors import ColumnError, DataError

NAN = np.nan


def course(therapists, sessions=None, patient="a"):
    """One patient's course; ``-`` is a session without a known therapist."""
    names = [None if name == "-" else name for name in therapists]
    numbers = sessions or range(1, len(names) + 1)
    return pd.DataFrame({"patient_id": patient, "therapist_id": pd.array(names, dtype="str"), "session": numbers})


def columns(frame):
    derived = therapist_episodes(frame)
    return derived["therapist_episode"], derived["after_change"], derived["sessions_since_change"]


def test_one_change():
    episode, after, since = columns(course("xxyyy"))
    assert_array_equal(episode, [1, 1, 2, 2, 2])
    assert_array_equal(after, [0, 0, 1, 1, 1])
    assert_array_equal(since, [0, 0, 0, 1, 2])


def test_nobody_changes():
    frame = pd.concat([course("xx"), course("yy", patient="b")])
    episode, after, since = columns(frame)
    assert_array_equal(episode, [1, 1, 1, 1])
    assert_array_equal(after, [0, 0, 0, 0])
    assert_array_equal(since, [0, 0, 0, 0])
    assert change_summary(frame).empty


def test_sessions_since_are_counted_in_session_numbers():
    _, _, since = columns(course("xyy", [1, 4, 9]))
    assert_array_equal(since, [0, 0, 5])  # 9 - 4


def test_sessions_since_start_again_at_a_second_change():
    episode, after, since = columns(course("xyyzz"))
    assert_array_equal(episode, [1, 2, 2, 3, 3])
    assert_array_equal(after, [0, 1, 1, 1, 1])
    assert_array_equal(since, [0, 0, 1, 0, 1])


def test_return_is_an_episode_of_its_own_and_flagged():
    derived = therapist_episodes(course("xyyxx"))
    assert_array_equal(derived["therapist_episode"], [1, 2, 2, 3, 3])
    assert_array_equal(derived["returned_to_former"], [False, False, False, True, True])


def test_same_therapist_with_another_patient_is_no_return():
    both = pd.concat([course("xy"), course("yx", patient="b")])
    assert not therapist_episodes(both)["returned_to_former"].any()


def test_unknown_therapist_between_sessions_with_the_same_one_continues_the_episode():
    episode, after, since = columns(course("xy-y"))
    assert_array_equal(episode, [1, 2, 2, 2])
    assert_array_equal(after, [0, 1, 1, 1])
    assert_array_equal(since, [0, 0, 1, 2])


def test_unknown_therapist_between_two_therapists_is_missing():
    derived = therapist_episodes(course("x-yy"))
    assert_array_equal(derived["therapist_episode"], [1, NAN, 2, 2])
    assert_array_equal(derived["after_change"], [0, NAN, 1, 1])
    assert_array_equal(derived["sessions_since_change"], [0, NAN, 0, 1])  # from the first session known to be with y
    assert_array_equal(derived["returned_to_former"], [False] * 4)


def test_unknown_therapist_at_either_end_is_missing():
    episode, _, _ = columns(course("-xx-"))
    assert_array_equal(episode, [NAN, 1, 1, NAN])


def test_unknown_therapist_does_not_continue_into_the_next_patient():
    episode, _, _ = columns(pd.concat([course("x-"), course("-x", patient="b"), course("--", patient="c")]))
    assert_array_equal(episode, [1, NAN, NAN, 1, NAN, NAN])


def test_columns_are_whole_numbers_where_nothing_is_missing():
    assert {str(column.dtype) for column in columns(course("xy"))} == {"int64"}
    assert {str(column.dtype) for column in columns(course("x-y"))} == {"float64"}


def test_rows_may_come_in_any_order():
    frame = pd.concat([course("xxyx"), course("yxx", patient="b"), course("x-y", patient="c")], ignore_index=True)
    shuffled = frame.sample(frac=1, random_state=3)
    derived = therapist_episodes(shuffled)
    assert list(derived.index) == list(shuffled.index)
    # sorted back, the shuffled rows have what the sorted rows have
    pd.testing.assert_frame_equal(derived.sort_index(), therapist_episodes(frame))


def test_summary_has_one_row_per_change():
    frame = pd.concat([course("xxyx", patient="b"), course("zz"), course("z-w", patient="c")])
    summary = change_summary(frame)
    assert summary.to_dict("list") == {
        "patient_id": ["b", "b", "c"],
        "change": [1, 2, 1],
        "session": [3, 4, 3],
        "from_therapist": ["x", "y", "z"],
        "to_therapist": ["y", "x", "w"],
        "returned": [False, True, False],
    }


def test_codebook_tells_changes_returns_and_unknown_rows():
    frame = pd.concat([course("xyx"), course("x-x-y", patient="b")])
    made = therapist_episodes(SessionTable(frame)).codebook["therapist_episode"].made_from
    assert "3 changes in 2 patients, 1 of them a return to a former therapist" in made
    assert (
        "2 rows without a therapist, 1 of them between sessions with the same one (episode continues), 1 missing"
        in made
    )


def test_names_that_users_pass_are_theirs():
    frame = course("xy").rename(columns={"patient_id": "pid", "therapist_id": "tid", "session": "visit"})
    names = {"patient": "pid", "therapist": "tid", "session": "visit"}
    assert_array_equal(therapist_episodes(frame, **names)["after_change"], [0, 1])
    assert list(change_summary(frame, **names)["pid"]) == ["a"]


def test_deriving_twice_changes_nothing():
    once = therapist_episodes(course("xyx"))
    pd.testing.assert_frame_equal(therapist_episodes(once), once)


def test_no_therapist_at_all_is_refused():
    with pytest.raises(DataError, match="0 of 3 rows have a 'therapist_id'"):
        therapist_episodes(course("---"))


def test_duplicate_session_is_refused_with_its_place():
    with pytest.raises(DataError, match=r"1 row repeat.*patient_id 'a', session 2, rows 1 and 2"):
        therapist_episodes(course("xxy", [1, 2, 2]))


def test_misspelt_therapist_column_names_the_nearest():
    with pytest.raises(ColumnError, match="Did you mean 'therapist_id'"):
        therapist_episodes(course("xy"), therapist="terapist_id")


def test_three_hundred_thousand_rows_take_well_under_a_second():
    n, per_patient = 300_000, 20
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "patient_id": np.repeat(np.arange(n // per_patient), per_patient),
            "therapist_id": rng.integers(0, 50, n),
            "session": np.tile(np.arange(per_patient), n // per_patient),
        }
    )
    start = time.process_time()
    therapist_episodes(frame)
    assert time.process_time() - start < 1.0  # measured: 0.1 s; a loop over patients takes 10 s


def slowly(rows):
    """One patient's episodes by the definition, session by session: {session: (episode, after, since)}."""
    told, episode, begin, last, open_rows = {}, 0, None, None, []
    for session, therapist in sorted(rows):
        if pd.isna(therapist):
            open_rows.append(session)
            continue
        if therapist != last:
            episode, begin, open_rows = episode + 1, session, []
        for number in [*open_rows, session]:
            told[number] = (episode, episode > 1, number - begin if episode > 1 else 0)
        last, open_rows = therapist, []
    return told


@pytest.mark.parametrize("seed", range(5))
def test_all_patients_at_once_give_what_one_session_after_the_other_gives(seed):
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers(0, (12, 15), (90, 2)), axis=0)
    therapists = rng.choice(np.array(["x", "y", "z", None], dtype=object), len(pairs))
    frame = pd.DataFrame({"patient_id": pairs[:, 0], "session": pairs[:, 1], "therapist_id": therapists})
    derived = therapist_episodes(frame.sample(frac=1, random_state=seed)).sort_index()
    for _, rows in derived.groupby("patient_id"):
        told = slowly(list(zip(rows["session"], frame["therapist_id"][rows.index], strict=True)))
        expected = [told.get(session, (NAN, NAN, NAN)) for session in rows["session"]]
        assert_array_equal(rows[["therapist_episode", "after_change", "sessions_since_change"]], expected)
