"""Multiple membership: sessions that belong to several therapists, by weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.data.session_table import SessionTable, frame_of, require_columns
from alliance_stats.engine.mixed.design import Membership
from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.names import PATIENT, SESSION, THERAPIST

Rule = Literal["current", "cumulative", "decay"]

COLUMNS = ("row", "level", "weight")
#: How far the weights of a row may be from 1.
_SLACK = 1e-6


def membership(
    sessions: SessionTable | pd.DataFrame,
    rule: Rule = "cumulative",
    *,
    half_life: float | None = None,
    patient: str = PATIENT,
    therapist: str = THERAPIST,
    session: str = SESSION,
) -> pd.DataFrame:
    """Weigh the therapists that each session belongs to.

    Parameters
    ----------
    sessions : SessionTable or DataFrame
        One row per patient and session.
    rule : {"current", "cumulative", "decay"}
        ``"current"``: the session's own therapist, weight 1. ``"cumulative"``: every therapist so far, by the share of
        the patient's sessions held with them, this one included. ``"decay"``: the same, but a session counts half as
        much when it is ``half_life`` sessions ago.
    half_life : float, optional
        In sessions; needed by ``"decay"`` alone.
    patient, therapist, session : str
        Columns.

    Returns
    -------
    DataFrame
        ``row`` (position from 0), ``level`` (therapist), ``weight``; the weights of a row sum to 1. A row whose own
        therapist is unknown has none, and a model leaves it out and counts it.

    Raises
    ------
    DataError
        If the rule is not known, or ``half_life`` is missing, not positive, or given to another rule.
    """
    if rule not in get_args(Rule):
        raise DataError(f"There is no rule {rule!r}. {did_you_mean(str(rule), get_args(Rule))}")
    if (half_life is not None) != (rule == "decay") or (half_life is not None and not half_life > 0):
        raise DataError(
            f"half_life is a positive number of sessions for rule='decay', and for no other; got {half_life!r}."
        )
    frame = frame_of(sessions)
    require_columns(frame, patient, therapist, session)
    own = pd.DataFrame(
        {
            "row": np.arange(len(frame)),
            "who": frame[patient].to_numpy(),
            "level": frame[therapist].to_numpy(),
            "at": frame[session].to_numpy(float),
        }
    ).dropna(subset=["who", "level", "at"])
    if rule == "current":
        return own[["row", "level"]].assign(weight=1.0).reset_index(drop=True)
    pairs = own[["row", "who", "at"]].merge(own[["who", "level", "at"]], on="who", suffixes=("", "_then"))
    pairs = pairs[pairs["at_then"] <= pairs["at"]]
    age = pairs["at"] - pairs["at_then"]
    pairs = pairs.assign(weight=1.0 if half_life is None else 0.5 ** (age / half_life))
    summed = pairs.groupby(["row", "level"], sort=True)["weight"].sum().reset_index()
    summed["weight"] /= summed.groupby("row")["weight"].transform("sum")
    return summed


@dataclass(frozen=True)
class Members:
    """The checked membership of one grouping.

    Parameters
    ----------
    name : str
        The grouping.
    n_rows : int
        Rows of the data.
    row, level : ndarray of int, shape (n,)
        Position of the row, and code of the level; sorted by both.
    weight : ndarray of shape (n,)
    labels : Index
        Labels of the levels.
    """

    name: str
    n_rows: int
    row: np.ndarray
    level: np.ndarray
    weight: np.ndarray
    labels: pd.Index

    @property
    def column(self) -> str:
        """What rows without any member are counted under."""
        return f"mm({self.name})"

    def known(self) -> np.ndarray:
        """1 for rows that have members, missing for the others."""
        known = np.full(self.n_rows, np.nan)
        known[self.row] = 1.0
        return known

    def of_rows(self, rows: np.ndarray) -> tuple[np.ndarray, Membership, pd.Index]:
        """Patterns of the rows used: pattern of each row, the patterns' members, labels of the levels that occur."""
        position = np.full(self.n_rows, -1)
        position[rows] = np.arange(rows.size)
        kept = position[self.row] >= 0
        row, weight = position[self.row[kept]], self.weight[kept]
        used, level = np.unique(self.level[kept], return_inverse=True)
        n_in = np.bincount(row, minlength=rows.size)
        first = np.cumsum(n_in) - n_in
        same = _as_before(row, level, weight, n_in, first)
        pattern = np.cumsum(~same) - 1
        leads = ~same[row]
        return pattern, Membership(pattern[row[leads]], level[leads], weight[leads]), self.labels.take(used)


def _as_before(
    row: np.ndarray, level: np.ndarray, weight: np.ndarray, n_in: np.ndarray, first: np.ndarray
) -> np.ndarray:
    """Whether each row has the same members and weights as the row before it."""
    same = np.zeros(n_in.size, dtype=bool)
    same[1:] = n_in[1:] == n_in[:-1]
    entry = np.flatnonzero(same[row])
    before = first[row[entry] - 1] + (entry - first[row[entry]])
    differs = (level[entry] != level[before]) | (weight[entry] != weight[before])
    same[row[entry[differs]]] = False
    return same


def check_members(names: tuple[str, ...], given: Mapping[str, pd.DataFrame] | None, n_rows: int) -> dict[str, Members]:
    """Check the membership frames of a model.

    Parameters
    ----------
    names : tuple of str
        Groupings that the formula writes as ``mm(…)``.
    given : mapping of str to DataFrame, or None
        Grouping → frame with ``row, level, weight``.
    n_rows : int
        Rows of the data.

    Raises
    ------
    DataError
        If a frame is missing or not used, names rows that there are not, or weights of a row do not sum to 1.
    """
    given = given or {}
    for name in names:
        if name not in given:
            raise DataError(
                f"The formula has mm({name}), but membership= has no frame for {name!r}. "
                f"Give membership={{{name!r}: als.membership(sessions, rule=…)}}."
            )
    unused = [name for name in given if name not in names]
    if unused:
        raise DataError(f"membership= has a frame for {unused[0]!r}, but the formula has no mm({unused[0]}).")
    return {name: _checked(name, given[name], n_rows) for name in names}


def _checked(name: str, frame: pd.DataFrame, n_rows: int) -> Members:
    require_columns(frame, *COLUMNS)
    frame = frame[list(COLUMNS)]
    if frame.isna().any(axis=None):
        raise DataError(f"The membership of {name!r} has {int(frame.isna().any(axis=1).sum())} incomplete rows.")
    row, weight = frame["row"].to_numpy(), frame["weight"].to_numpy(float)
    bad = (row != np.floor(row)) | (row < 0) | (row >= n_rows)
    if bad.any():
        raise DataError(
            f"The membership of {name!r} names {bad.sum()} rows that the data do not have (first "
            f"{row[bad.argmax()]!r}; the data have rows 0 to {n_rows - 1})."
        )
    if (weight < 0).any() or not np.isfinite(weight).all():
        at = int(((weight < 0) | ~np.isfinite(weight)).argmax())
        raise DataError(
            f"The membership of {name!r} has the weight {weight[at]:g} at row {int(row[at])}; weights are 0 to 1."
        )
    level, labels = pd.factorize(frame["level"], sort=True)
    order = np.lexsort((level, row))
    row, level, weight = row[order].astype(np.int64), level[order].astype(np.int64), weight[order]
    total = np.bincount(row, weight, minlength=n_rows)
    wrong = (np.abs(total - 1) > _SLACK) & (np.bincount(row, minlength=n_rows) > 0)
    if wrong.any():
        at = int(wrong.argmax())
        raise DataError(
            f"The membership weights of {name!r} do not sum to 1 in {wrong.sum()} rows (first row {at}: {total[at]:g})."
        )
    positive = weight > 0
    return Members(name, n_rows, row[positive], level[positive], weight[positive], pd.Index([str(v) for v in labels]))
