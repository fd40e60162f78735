"""Centring: a score's part within patients, between patients and between therapists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from alliance_stats.data.codebook import Variable
from alliance_stats.data.session_table import Data, codebook_of, frame_of, rewrap
from alliance_stats.design.columns import Bools, Floats, add_columns, id_codes, names_of, score_values
from alliance_stats.errors import DataError, count
from alliance_stats.names import PATIENT, between, therapist_mean, within


def center(data: Data, score: str | Iterable[str], *, by: str = PATIENT, therapist: str | None = None) -> Data:
    """Split scores into their part within patients and their part between patients.

    Parameters
    ----------
    data : SessionTable or DataFrame
        One row per patient and session. It is not changed.
    score : str or iterable of str
        The score or scores to centre, in scale units.
    by : str
        Column that says whose mean is taken.
    therapist : str, optional
        Column of therapists. When given, the patient means are split again, around the therapist's mean.

    Returns
    -------
    SessionTable or DataFrame
        The same type as ``data``, with, for each score ``x``:

        - ``x_within``: the score minus the patient's own mean;
        - ``x_between``: the patient's mean, or, with ``therapist``, the patient's mean minus the therapist's;
        - ``x_therapist`` (with ``therapist`` only): the mean over all observed sessions held with the
          therapist of that row.

        The parts sum to the score.

    Raises
    ------
    DataError
        If a score holds no numbers, a patient id is missing, or a column would be written over with other values.

    Notes
    -----
    *Missing scores.* A mean is taken over the sessions in which the score was observed. Rows whose score is
    missing have missing parts. The codebook's ``made_from`` says how many sessions a mean rests on and how many
    scores were missing.

    *Patients who change therapist.* A patient has one mean, over all of their sessions, whoever held them; the
    deviations within the patient therefore contain the step at the change. A therapist's mean is over the
    sessions held with that therapist, each session counted once. ``x_therapist`` and ``x_between`` of such a
    patient take one value per therapist. Where no therapist is known, both are missing and ``x_within`` is not.

    A therapist's mean over few patients is an unreliable measure of the therapist: it mixes who they are with
    whom they happened to see.

    References
    ----------
    Curran & Bauer (2011), Annual Review of Psychology, 62, 583-619.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"patient_id": ["a", "a", "b"], "alliance": [3.0, 5.0, 2.0]})
    >>> center(frame, "alliance")["alliance_within"].tolist()
    [-1.0, 1.0, 0.0]
    """
    frame = frame_of(data)
    patient, _ = id_codes(frame, by)
    columns: dict[str, NDArray] = {}
    variables: list[Variable] = []
    for name in names_of(score):
        values = score_values(frame, name)
        original = codebook_of(data).get(name)
        if therapist is None:
            parts = _two_parts(values, patient)
            made = _two_parts_made_from(name, by, values, patient)
        else:
            seen_by, _ = id_codes(frame, therapist, allow_missing=True)
            parts = _three_parts(values, patient, seen_by)
            made = _three_parts_made_from(name, by, therapist, values, patient, seen_by)
        named = dict(zip((within(name), between(name), therapist_mean(name)), parts, strict=False))
        columns |= named
        variables += _variables(original, named, made, therapist)
    return rewrap(data, add_columns(frame, columns), *variables)


def split_within_between(scores: ArrayLike, patient: ArrayLike) -> tuple[Floats, Floats]:
    """Split session scores into each patient's mean and the deviations from it.

    Parameters
    ----------
    scores : array_like of shape (n_sessions,)
        Session scores in scale units (WAI-SR: mean item score, 1 to 5).
    patient : array_like of shape (n_sessions,)
        Who gave each score. Rows may come in any order.

    Returns
    -------
    within, between : ndarray of shape (n_sessions,)
        Deviation from the patient's own mean, and that mean. Same units; they sum to ``scores``.

    Raises
    ------
    DataError
        If a score is missing. A mean over the sessions that happen to be present would
        shift the between-patient effect without a trace.

    References
    ----------
    Curran & Bauer (2011), Annual Review of Psychology, 62, 583-619.
    """
    values = _complete(scores)
    own_mean = _group_mean(values, patient, "patient")
    return values - own_mean, own_mean


def split_within_between_therapist(
    scores: ArrayLike, patient: ArrayLike, therapist: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """Split session scores into parts within patients, between patients of a therapist, and between therapists.

    Parameters
    ----------
    scores : array_like of shape (n_sessions,)
        Session scores in scale units.
    patient, therapist : array_like of shape (n_sessions,)
        Who gave each score and who held the session. A patient may have several therapists.

    Returns
    -------
    within, between, therapist_mean : ndarray of shape (n_sessions,)
        Deviation from the patient's own mean over all sessions; that mean minus the therapist's; the mean over
        the therapist's sessions. They sum to ``scores``.

    Raises
    ------
    DataError
        If a score, a patient or a therapist is missing.
    """
    deviation, own_mean = split_within_between(scores, patient)
    of_therapist = _group_mean(_complete(scores), therapist, "therapist")
    return deviation, own_mean - of_therapist, of_therapist


def _complete(scores: ArrayLike) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    missing = np.isnan(values)
    if missing.any():
        raise DataError(
            f"{missing.sum()} of {values.size} scores are missing (first at row {missing.argmax()}). "
            "Drop or impute them before centring."
        )
    return values


def _group_mean(values: Floats, group: ArrayLike, what: str) -> Floats:
    codes, _ = pd.factorize(np.asarray(group))
    if codes.shape != values.shape:
        raise DataError(f"{values.size} scores but {codes.size} {what} ids. Give one {what} per score.")
    missing = codes < 0
    if missing.any():
        raise DataError(
            f"{missing.sum()} of {values.size} {what} ids are missing (first at row {missing.argmax()}). "
            "Fill them in or leave these rows out."
        )
    sums = np.bincount(codes, weights=values)
    means: Floats = (sums / np.bincount(codes))[codes]
    return means


def _two_parts(values: Floats, patient: NDArray[np.int64]) -> tuple[Floats, ...]:
    observed = ~np.isnan(values)
    parts = split_within_between(values[observed], patient[observed])
    return tuple(_spread(part, observed) for part in parts)


def _three_parts(values: Floats, patient: NDArray[np.int64], therapist: NDArray[np.int64]) -> tuple[Floats, ...]:
    deviation, own_mean = _two_parts(values, patient)
    usable = ~np.isnan(values) & (therapist >= 0)
    if not usable.any():
        raise DataError("0 rows have both a score and a therapist. Centre without `therapist`.")
    of_therapist = _spread(_group_mean(values[usable], therapist[usable], "therapist"), usable)
    return deviation, own_mean - of_therapist, of_therapist


def _spread(part: Floats, rows: Bools) -> Floats:
    column = np.full(rows.size, np.nan)
    column[rows] = part
    return column


def _two_parts_made_from(name: str, by: str, values: Floats, patient: NDArray[np.int64]) -> tuple[str, ...]:
    """Say what the parts are and on how many observed sessions a mean rests."""
    observed = ~np.isnan(values)
    n_patients = np.unique(patient).size
    n_with_mean = np.unique(patient[observed]).size
    basis = (
        f"mean per {by} over {observed.sum() / n_with_mean:.1f} observed sessions on average; "
        f"{values.size - observed.sum()} of {values.size} missing"
    )
    if n_with_mean < n_patients:
        basis += f"; {n_patients - n_with_mean} of {count(n_patients, by, by)} without any observed score"
    return f"{name} minus its {basis}", f"{name}: {basis}"


def _three_parts_made_from(
    name: str, by: str, therapist: str, values: Floats, patient: NDArray[np.int64], seen_by: NDArray[np.int64]
) -> tuple[str, ...]:
    of_within, of_between = _two_parts_made_from(name, by, values, patient)
    usable = ~np.isnan(values) & (seen_by >= 0)
    n_therapists = np.unique(seen_by[usable]).size
    basis = f"mean per {therapist} over {usable.sum() / n_therapists:.1f} observed sessions on average"
    n_unknown = int((seen_by < 0).sum())
    if n_unknown:
        basis += f"; {count(n_unknown, 'row')} without a known {therapist}"
    return of_within, f"{of_between}; minus the {basis}", f"{name}: {basis}"


def _variables(
    original: Variable, columns: dict[str, NDArray], made: tuple[str, ...], therapist: str | None
) -> list[Variable]:
    of_patient = "patient mean" if therapist is None else "patient mean minus therapist mean"
    suffixes = ("deviation from own mean", of_patient, "therapist mean")
    is_mean = (False, therapist is None, True)
    return [
        replace(
            original,
            name=name,
            label=f"{original.title}, {suffix}",
            role="score",
            # A deviation does not keep to the scale's range; a mean does.
            low=original.low if mean else None,
            high=original.high if mean else None,
            made_from=how,
        )
        for name, suffix, mean, how in zip(columns, suffixes, is_mean, made, strict=False)
    ]
