"""Sampling covariances of effects from the same study: imputed from a correlation, or given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.errors import DataError, count, did_you_mean
from alliance_stats.meta.columns import STUDY, VARIANCE, require, take_effects
from alliance_stats.meta.levels import nested_in

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class SamplingCovariance:
    """Sampling covariances of the effects of a frame, none across studies.

    Parameters
    ----------
    codes : ndarray of int, shape (k,)
        Study of each row.
    matrices : tuple of ndarray
        One covariance per study, rows in the frame's order.
    index : Index
        The frame's index, so that rows can be told again.
    words : str
        How they came about.
    """

    codes: Ints
    matrices: tuple[Floats, ...]
    index: pd.Index
    words: str

    def matrix(self) -> pd.DataFrame:
        """The whole k × k matrix; for looking at, not for computing with."""
        whole = np.zeros((self.codes.size, self.codes.size))
        for code, own in enumerate(self.matrices):
            at = np.flatnonzero(self.codes == code)
            whole[np.ix_(at, at)] = own
        return pd.DataFrame(whole, index=self.index, columns=self.index)


def check_rho(rho: float) -> float:
    """Refuse a correlation outside [0, 1)."""
    if not isinstance(rho, int | float | np.number) or not 0 <= float(rho) < 1:
        raise DataError(
            f"rho is {rho!r}; the correlation of sampling errors within a study lies in [0, 1). Take 0.6, and see with "
            "sensitivity() how much depends on it."
        )
    return float(rho)


def simple_covariance(asked: dict[str, Any]) -> dict[str, Any]:
    """Read what may be given for V in short.

    A number is the correlation, k numbers are the variances of independent sampling errors, and a frame whose labels
    are those of the effects in another order is put into theirs.
    """
    V = asked["V"]
    if isinstance(V, pd.DataFrame):
        return {**asked, "V": _in_order_of(asked["effects"], V)}
    if V is None or isinstance(V, SamplingCovariance):
        return asked
    n_axes = 0 if isinstance(V, str) else _as_numbers(V).ndim
    if n_axes == 2:
        return asked
    if n_axes == 0:
        return {**asked, "V": None, "rho": V}
    effects = asked["effects"]
    require(effects, VARIANCE)
    values = np.asarray(V)
    if values.shape != (len(effects),):
        raise DataError(
            f"V has the shape {values.shape}; {count(len(effects), 'row')} of effects need as many variances."
        )
    return {**asked, "V": None, "rho": 0.0, "effects": effects.assign(**{VARIANCE: values})}


def _in_order_of(effects: object, V: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(effects, pd.DataFrame) or not effects.index.is_unique:
        return V
    labels = set(effects.index)
    if not (V.index.is_unique and V.columns.is_unique and set(V.index) == labels == set(V.columns)):
        return V  # labels of its own: by position
    return V.reindex(index=effects.index, columns=effects.index)


def sampling_covariance(
    effects: pd.DataFrame,
    rho: float | pd.DataFrame = 0.6,
    *,
    study: str = STUDY,
    by: str | Sequence[str] | None = None,
    across: float = 0.0,
) -> SamplingCovariance:
    """Impute the covariances of effects from the same study: ``r √(v_i v_j)``.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``, the studies, and the columns in ``by``.
    rho : float or DataFrame
        Correlation of sampling errors in [0, 1). With one column in ``by``, a frame may give a correlation for each
        pair of its categories (patient with therapist, alliance with outcome); rows and columns are the categories, the
        diagonal holds correlations within a category.
    study : str
        Column of the studies.
    by : str or sequence of str, optional
        Construct, rater, …: ``rho`` holds for effects that agree in these columns, ``across`` for others.
    across : float
        Correlation of effects that do not agree in ``by``.

    Returns
    -------
    SamplingCovariance
        For ``multilevel(V=…)``.

    Raises
    ------
    DataError
        If a correlation lies outside [0, 1), a category is not in the frame of correlations, or a study's matrix is not
        positive definite.

    References
    ----------
    Pustejovsky & Tipton (2022), Prevention Science, 23, 425-438.
    """
    names = [] if by is None else [by] if isinstance(by, str) else list(by)
    kept, _ = take_effects(effects, [study, *names])
    codes, ids = pd.factorize(kept[study])
    correlations = _pairs(kept, rho, names, across)
    s = np.sqrt(kept[VARIANCE].to_numpy(np.float64))
    matrices = []
    for code in range(len(ids)):
        at = np.flatnonzero(codes == code)
        own = correlations(at)
        np.fill_diagonal(own, 1.0)
        matrices.append(own * np.outer(s[at], s[at]))
    words = f"imputed with correlations {'by ' + ', '.join(names) if names else rho}"
    found = SamplingCovariance(codes.astype(np.int64), tuple(matrices), kept.index, words)
    check_definite(found, [str(one) for one in ids])
    return found


def _pairs(kept: pd.DataFrame, rho: float | pd.DataFrame, names: list[str], across: float):  # type: ignore[no-untyped-def]
    """Return a function from row positions to their correlations."""
    if isinstance(rho, pd.DataFrame):
        if len(names) != 1:
            raise DataError(f"A frame of correlations goes with one column in by=, not with {len(names)}.")
        known = [str(name) for name in rho.index]
        column = kept[names[0]].astype(str)
        strange = sorted(set(column) - set(known))
        if strange:
            raise DataError(
                f"{count(len(strange), 'category', 'categories')} of {names[0]!r} not among the correlations: "
                f"{strange[0]!r}. {did_you_mean(strange[0], known)}"
            )
        table = rho.set_axis(known, axis=0).set_axis([str(name) for name in rho.columns], axis=1)
        values = table.reindex(columns=known).to_numpy(np.float64)
        if not np.allclose(values, values.T, equal_nan=False) or (np.abs(values) >= 1).any():
            raise DataError(
                "The correlations are not symmetric, not complete, or not inside (−1, 1). Correct the frame."
            )
        place = pd.Index(known).get_indexer(pd.Index(column))
        return lambda at: values[np.ix_(place[at], place[at])].copy()
    within, other = check_rho(rho), check_rho(across)
    if not names:
        return lambda at: np.full((at.size, at.size), within)
    groups = pd.MultiIndex.from_frame(kept[names]).factorize()[0]
    return lambda at: np.where(groups[at][:, None] == groups[at], within, other)


def given_covariance(V: object, kept: pd.DataFrame, n: int, kept_rows: Ints, study: Ints) -> SamplingCovariance:
    """Take a covariance as it is given: imputed before, or a k × k matrix over the rows of the frame.

    Parameters
    ----------
    V : SamplingCovariance, DataFrame or ndarray
    kept : DataFrame
        The rows used.
    n : int
        Rows of the frame that was given.
    kept_rows : ndarray of int
        Positions of the rows used in it.
    study : ndarray of int
        Study of each row used.

    Raises
    ------
    DataError
        If it does not fit the rows, joins effects of different studies, is not symmetric or not positive definite.
    """
    labels = _studies(kept, study)
    if isinstance(V, SamplingCovariance):
        return _again(V, kept, study)
    values = _as_numbers(V)
    if values.shape != (n, n):
        raise DataError(
            f"V has the shape {values.shape}; {count(n, 'row')} of effects need {n} × {n}. Give the matrix of all "
            "rows, or make one with sampling_covariance()."
        )
    rows = np.arange(n) if len(kept) == n else kept_rows
    values = values[np.ix_(rows, rows)]
    if not np.isfinite(values).all():
        i, j = np.argwhere(~np.isfinite(values))[0]
        raise DataError(
            f"{int((~np.isfinite(values)).sum())} of {values.size} values of V are missing or infinite (first: rows "
            f"{kept.index[i]} and {kept.index[j]}). Set covariances of different studies to 0, and give all others."
        )
    if not np.allclose(values, values.T, rtol=1e-10, atol=0):
        raise DataError("V is not symmetric. Give variances on the diagonal, and each covariance on both sides.")
    outside = (study[:, None] != study) & (values != 0)
    if outside.any():
        i, j = np.argwhere(outside)[0]
        found_outside = int(outside.sum()) // 2
        verb = "joins" if found_outside == 1 else "join"
        raise DataError(
            f"{count(found_outside, 'covariance')} in V {verb} effects of different studies (first: rows "
            f"{kept.index[i]} and {kept.index[j]}). Studies are independent samples; set these to 0, or name the "
            "column in which they are one study as the first level of random=."
        )
    matrices = tuple(values[np.ix_(at, at)] for at in (np.flatnonzero(study == code) for code in range(len(labels))))
    found = SamplingCovariance(study, matrices, kept.index, "as given")
    check_definite(found, labels)
    return found


def _as_numbers(V: object) -> Floats:
    try:
        return np.asarray(V, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"V is no matrix of numbers ({type(V).__name__}). Give a k × k array or DataFrame, or make one with "
            "sampling_covariance()."
        ) from None


def _studies(kept: pd.DataFrame, study: Ints) -> list[str]:
    """Names of the studies, where the frame has them, else of the first row of each."""
    first = np.unique(study, return_index=True)[1]
    names = kept[STUDY] if STUDY in kept.columns else kept.index
    return (
        [str(one) for one in names[first]] if isinstance(names, pd.Index) else [str(one) for one in names.iloc[first]]
    )


def _again(V: SamplingCovariance, kept: pd.DataFrame, study: Ints) -> SamplingCovariance:
    if len(V.index) > len(kept) and V.index.is_unique and kept.index.isin(V.index).all():
        V = _of_labels(V, kept.index)  # rows that lack a moderator were left out since
    same = V.index.equals(kept.index)
    if same and nested_in(V.codes, study) and int(study.max()) < int(V.codes.max()):
        return _joined(V, study)
    if not same or not np.array_equal(pd.factorize(V.codes)[0], pd.factorize(study)[0]):
        raise DataError(
            f"V was made for {count(len(V.index), 'effect')} in other rows or studies than the {len(kept)} used here. "
            "Make it from the same frame, with the first level of random= as its study."
        )
    return V


def _joined(V: SamplingCovariance, outer: Ints) -> SamplingCovariance:
    """The covariance by larger groups: nothing joins the groups inside them."""
    matrices = []
    for code in range(int(outer.max()) + 1):
        own = V.codes[outer == code]
        whole = np.zeros((own.size, own.size))
        for inside in np.unique(own):
            at = np.flatnonzero(own == inside)
            whole[np.ix_(at, at)] = V.matrices[inside]
        matrices.append(whole)
    return SamplingCovariance(outer, tuple(matrices), V.index, V.words)


def _of_labels(V: SamplingCovariance, labels: pd.Index) -> SamplingCovariance:
    found = of_rows(V, labels, V.index.isin(labels))
    assert isinstance(found, SamplingCovariance)
    return found


def of_rows(V: object, index: pd.Index, kept: NDArray[np.bool_]) -> object:
    """Restrict a covariance to some rows of the frame that it was given with."""
    if V is None:
        return None
    if not isinstance(V, SamplingCovariance):
        return np.asarray(V)[np.ix_(kept, kept)]
    own = kept if kept.size == len(V.index) else V.index.isin(index)
    codes, _ = pd.factorize(V.codes[own])
    matrices = []
    for code, matrix in enumerate(V.matrices):
        inside = own[V.codes == code]
        if inside.any():
            matrices.append(matrix[np.ix_(inside, inside)])
    return SamplingCovariance(codes.astype(np.int64), tuple(matrices), V.index[own], V.words)


def check_definite(V: SamplingCovariance, labels: Sequence[str]) -> None:
    """Refuse covariances that are not positive definite, naming the study."""
    bad = [code for code, own in enumerate(V.matrices) if not _definite(own)]
    if bad:
        raise DataError(
            f"V is not positive definite in {len(bad)} of {count(len(V.matrices), 'study', 'studies')} (first: "
            f"{labels[bad[0]]!r}). Correlations contradict each other there; lower them."
        )


def _definite(matrix: Floats) -> bool:
    scale = np.sqrt(np.abs(np.diag(matrix)))
    if not (scale > 0).all():
        return False
    return bool(np.linalg.eigvalsh(matrix / np.outer(scale, scale))[0] > 1e-12)
