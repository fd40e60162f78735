"""Columns of a frame of effects as checked arrays, with places named in every error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.errors import ColumnError, DataError, count, did_you_mean

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

#: Columns of a frame of effects.
EFFECT, VARIANCE, STUDY = "yi", "vi", "study"
#: Beyond this size, or its inverse for variances, products of weights and squared effects leave the range of numbers.
LARGEST = 1e50
#: Variances of one frame may differ by this much; beyond, sums of weights keep fewer than five digits of the others.
_MOST_UNEVEN = 1e11


def require(frame: pd.DataFrame, *names: str) -> None:
    """Check that a frame of effects has its columns, each once.

    Raises
    ------
    ColumnError
        Naming every missing column and the nearest that there is.
    """
    if not isinstance(frame, pd.DataFrame):
        way_out = "Give its .effects." if hasattr(frame, "effects") else "Make one with pandas.DataFrame."
        raise DataError(f"Effects come as a DataFrame, not as {type(frame).__name__}. {way_out}")
    if frame.columns.is_unique and all(name in frame.columns for name in names):
        return
    there = [str(column) for column in frame.columns]
    missing = [name for name in names if name not in there]
    if missing:
        hints = " ".join(f"No column {name!r}. {did_you_mean(name, there)}" for name in missing)
        raise ColumnError(f"The effects lack {count(len(missing), 'column')}. {hints}")
    for name in names:
        if there.count(name) > 1:
            raise DataError(f"{there.count(name)} columns have the name {name!r}. Rename them.")


def numbers(frame: pd.DataFrame, name: str) -> Floats:
    """Return one column as floats, missing as NaN.

    Raises
    ------
    DataError
        If it holds something that is no number.
    """
    require(frame, name)
    return _floats(frame, frame[name])


def _floats(frame: pd.DataFrame, column: pd.Series) -> Floats:
    name = column.name
    if column.dtype == np.float64:
        return column.to_numpy()
    if column.dtype.kind in "cmM":
        raise DataError(
            f"{name!r} holds {column.dtype} values, not real numbers. Give effects and variances as real numbers."
        )
    try:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        bad = pd.to_numeric(column, errors="coerce").isna() & column.notna()
        if not bad.any():
            return pd.to_numeric(column).to_numpy(np.float64)
        raise DataError(
            f"{int(bad.sum())} of {len(frame)} values of {name!r} are no numbers "
            f"({places(frame, bad.to_numpy(), column)}). Correct them, or set them to missing."
        ) from None
    return values


def places(frame: pd.DataFrame, bad: Bools, values: pd.Series | Floats | None = None) -> str:
    """Name the first rows of a fault by the frame's index: ``"first at row 3: 1.2"``."""
    at = int(np.argmax(bad))
    shown = "" if values is None else f": {_shown(values, at)}"
    study = f", study {frame[STUDY].iloc[at]!r}" if STUDY in frame.columns else ""
    return f"first at row {frame.index[at]}{study}{shown}"


def _shown(values: pd.Series | Floats, at: int) -> str:
    value = values.iloc[at] if isinstance(values, pd.Series) else values[at]
    return f"{value:g}" if isinstance(value, float | np.floating) else repr(value)


def refuse(frame: pd.DataFrame, bad: Bools, what: str, way_out: str, values: pd.Series | Floats | None = None) -> None:
    """Raise for rows at fault, with their count, the first place and the way out.

    Raises
    ------
    DataError
        If any row is at fault.
    """
    if bad.any():
        raise DataError(f"{int(bad.sum())} of {len(frame)} {what} ({places(frame, bad, values)}). {way_out}")


def take_effects(frame: pd.DataFrame, others: Sequence[str] = ()) -> tuple[pd.DataFrame, int]:
    """Keep the rows whose effect, variance and other named columns are present.

    Parameters
    ----------
    frame : DataFrame
        ``yi``, ``vi`` and what else is named.
    others : sequence of str
        Further columns that must be present.

    Returns
    -------
    effects : DataFrame
        Complete rows, with ``yi`` and ``vi`` as floats.
    n_dropped : int

    Raises
    ------
    DataError
        If a variance is zero, negative or infinite, an effect infinite, or no row is left.
    """
    kept, y, _ = complete_effects(frame, others)
    return kept, len(frame) - y.size


def complete_effects(frame: pd.DataFrame, others: Sequence[str] = ()) -> tuple[pd.DataFrame, Floats, Floats]:
    """As :func:`take_effects`, with the effects and variances of the complete rows as arrays.

    Returns
    -------
    effects : DataFrame
    y, v : ndarray of shape (k,)
    """
    require(frame, EFFECT, VARIANCE, *others)
    effects, variances = frame[EFFECT], frame[VARIANCE]
    y, v = _floats(frame, effects), _floats(frame, variances)
    if not others and y.size and effects.dtype == variances.dtype == np.float64 and _plain(y, v):
        return frame.copy(deep=False), y, v
    present = ~(np.isnan(y) | np.isnan(v))
    for name in others:
        present &= frame[name].notna().to_numpy()
    if not present.any():
        raise DataError(f"0 of {count(len(frame), 'row')} have an effect, a variance and all named columns.")
    y, v = y[present], v[present]
    kept = frame.copy(deep=False) if present.all() else frame.loc[present]
    for name, values in ((EFFECT, y), (VARIANCE, v)):
        if frame[name].dtype != np.float64:
            kept = kept.assign(**{name: values})
    way_out = "Correct the coding, or leave these effects out."
    refuse(kept, np.isinf(y), "effects are infinite", way_out, y)
    refuse(kept, v == 0, "variances are zero", f"A variance of 0 would have all the weight. {way_out}")
    refuse(kept, v < 0, "variances are negative", way_out, v)
    refuse(kept, np.isinf(v), "variances are infinite", way_out, v)
    refuse(kept, np.abs(y) > LARGEST, f"effects lie beyond ±{LARGEST:g}", way_out, y)
    refuse(kept, (v < 1 / LARGEST) | (v > LARGEST), f"variances lie outside [{1 / LARGEST:g}, {LARGEST:g}]", way_out, v)
    if v.max() > _MOST_UNEVEN * v.min():
        least, most = int(v.argmin()), int(v.argmax())
        raise DataError(
            f"The variances of {count(v.size, 'effect')} go from {v[least]:g} (row {kept.index[least]}) to {v[most]:g} "
            f"(row {kept.index[most]}): beside such weights the others leave no digits. Check that vi holds squared "
            "standard errors in the units of yi, or leave the most precise effects out."
        )
    for name in others:
        column = kept[name]
        if column.dtype.kind == "f":
            refuse(kept, np.isinf(column.to_numpy()), f"values of {name!r} are infinite", way_out, column)
    return kept, y, v


def _plain(y: Floats, v: Floats) -> bool:
    """Whether nothing is missing and nothing could be refused."""
    least, most = v.min(), v.max()  # missing values make these, and the comparisons, fail
    even = most <= _MOST_UNEVEN * least
    return bool(even and least >= 1 / LARGEST and most <= LARGEST and y.max() <= LARGEST and y.min() >= -LARGEST)
