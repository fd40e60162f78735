"""The two scores of each patient that a change is taken between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.data.columns import column_of, id_codes, score_values
from alliance_stats.errors import DataError, count

#: Which session is meant: the first or last observed one, or a session number.
When = str | int


@dataclass(frozen=True, eq=False)
class PrePost:
    """Pairs of scores.

    Parameters
    ----------
    frame : DataFrame
        One row per patient with both scores: patient, ``pre_session, post_session, pre, post``.
    n_without : int
        Patients without one of them.
    words : str
        What was compared.
    """

    frame: pd.DataFrame
    n_without: int
    words: str


def pre_post(frame: pd.DataFrame, score: str, patient: str, session: str, pre: When, post: When) -> PrePost:
    """Take each patient's first and last observed score, or those of two sessions.

    Raises
    ------
    DataError
        If a patient has two scores at one session, or fewer than two patients have both scores.
    """
    id_codes(frame, patient)
    rows = pd.DataFrame({
        "who": column_of(frame, patient).to_numpy(),
        "when": column_of(frame, session).to_numpy(),
        "score": score_values(frame, score),
    }).dropna()  # fmt: skip
    again = rows.duplicated(["who", "when"])
    if again.any():
        first = rows[again].iloc[0]
        raise DataError(
            f"{count(int(again.sum()), 'row')} repeat a patient × session with another {score!r} (first: {patient} "
            f"{first['who']!r}, {session} {first['when']!r}). Keep one row of each."
        )
    rows = rows.sort_values(["who", "when"], kind="stable")
    before, after = _at(rows, pre, session), _at(rows, post, session)
    both = before.merge(after, on="who", suffixes=("_pre", "_post"), validate="one_to_one")
    both = both[both["when_pre"] < both["when_post"]]
    if len(both) < 2:
        raise DataError(
            f"{count(len(both), 'patient')} have {score!r} at {_words(pre, session)} and at {_words(post, session)}. "
            "Two or more are needed; check the sessions."
        )
    found = pd.DataFrame({
        patient: both["who"].to_numpy(),
        "pre_session": both["when_pre"].to_numpy(),
        "post_session": both["when_post"].to_numpy(),
        "pre": both["score_pre"].to_numpy(float),
        "post": both["score_post"].to_numpy(float),
    })  # fmt: skip
    n_all = frame[patient].nunique()
    return PrePost(found, int(n_all - len(found)), f"from {_words(pre, session)} to {_words(post, session)}")


def _at(rows: pd.DataFrame, when: When, session: str) -> pd.DataFrame:
    if when in ("first", "last"):
        return rows.groupby("who", sort=True).head(1) if when == "first" else rows.groupby("who", sort=True).tail(1)
    if isinstance(when, str | bool) or not isinstance(when, int | np.integer):
        raise DataError(f"pre and post are 'first', 'last' or the number of a {session}, not {when!r}.")
    return rows[rows["when"] == when]


def _words(when: When, session: str) -> str:
    return f"the {when} {session}" if isinstance(when, str) else f"{session} {when}"
