import numpy as np
import pytest
from numpy.testing import assert_array_equal

from alliance_stats.errors import DataError
from alliance_stats.simulate.courses import caseloads_of, plan_courses


def plan(n_patients=400, n_therapists=4, n_sessions=12, change_rate=0.5, return_rate=0.0, seed=1):
    loads = np.full(n_therapists, n_patients // n_therapists)
    return plan_courses(loads, n_sessions, change_rate, return_rate, np.random.default_rng(seed))


def change_sessions(courses):
    """First session with another therapist than at session 1, of those who have one."""
    moved = courses.therapist != courses.therapist[:, :1]
    return moved.argmax(axis=1)[moved.any(axis=1)] + 1


def test_share_who_change_is_exact():
    assert change_sessions(plan(400, change_rate=0.3)).size == 120  # 0.3 * 400


def test_change_leaves_two_sessions_on_either_side():
    assert set(change_sessions(plan())) == set(range(3, 12))  # first with the new one: 3 to 11 of 12


@pytest.mark.parametrize(("n_sessions", "possible"), [(2, {2}), (3, {2, 3}), (4, {3}), (5, {3, 4})])
def test_short_courses_change_where_they_can(n_sessions, possible):
    assert set(change_sessions(plan(n_sessions=n_sessions))) == possible


def test_nobody_changes_to_the_therapist_they_have():
    assert change_sessions(plan(change_rate=1.0)).size == 400


def test_every_other_therapist_is_drawn():
    courses = plan(change_rate=1.0)
    assert {(a, b) for a, b in courses.therapist[:, [0, -1]]} == {(a, b) for a in range(4) for b in range(4) if a != b}


def test_return_goes_back_to_the_first_therapist():
    courses = plan(change_rate=1.0, return_rate=0.25)
    moved = courses.therapist != courses.therapist[:, :1]
    back = moved.any(axis=1) & ~moved[:, -1]
    # 100 of 400, fewer only where none of the drawn can: change at 11 leaves session 12 for the return
    assert back.sum() == 100


def test_counting_columns_fit_the_therapists():
    courses = plan(8, 2, 6, change_rate=1.0, return_rate=1.0, seed=4)
    for therapist, after, since in zip(
        courses.therapist, courses.after_change, courses.sessions_since_change, strict=True
    ):
        new = np.flatnonzero(np.diff(therapist)) + 1  # where a new episode begins
        assert_array_equal(after, np.arange(6) >= new[0])
        expected = [0 if s < new[0] else s - new[new <= s][-1] for s in range(6)]
        assert_array_equal(since, expected)


def test_one_therapist_cannot_be_changed():
    with pytest.raises(DataError, match=r"50 patients should change .* there is 1 therapist\. Use n_therapists=2"):
        plan(100, 1)


def test_one_session_cannot_hold_a_change():
    with pytest.raises(DataError, match="there is 1 session per patient"):
        plan(n_sessions=1)


def test_one_therapist_is_fine_where_nobody_changes():
    assert (plan(100, 1, change_rate=0.0).therapist == 0).all()


def test_uneven_caseloads():
    assert_array_equal(caseloads_of([3, 1], 2), [3, 1])


@pytest.mark.parametrize("loads", [[1, 2], [1, 2, 0], [1, 2, 1.5], 0, 2.5, True, "8"])
def test_impossible_caseloads_are_refused(loads):
    with pytest.raises(DataError, match="patients_per_therapist"):
        caseloads_of(loads, 3)
