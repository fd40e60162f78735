"""Columns to a residual structure: who follows whom in time, strata, prior weights, offset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from alliance_stats.data.session_table import require_columns
from alliance_stats.engine.mixed.residual import Correlation, ResidualStructure
from alliance_stats.errors import DataError, DesignError, count, did_you_mean


@dataclass(frozen=True)
class ResidualSpec:
    """What the user said about residuals.

    Parameters
    ----------
    correlation : {"none", "ar1", "car1"}
    time : str
        Column with the time of a row; read only where residuals are correlated.
    group : tuple of str
        Columns whose combinations are the groups within which residuals are correlated.
    variance : str or None
        Column whose levels have a residual variance each.
    weights : str or None
        Column of prior weights: the residual variance is divided by them.
    offset : str or None
        Column that is added to the prediction with a coefficient of 1.
    """

    correlation: Correlation = "none"
    time: str = ""
    group: tuple[str, ...] = ()
    variance: str | None = None
    weights: str | None = None
    offset: str | None = None

    @property
    def variables(self) -> tuple[str, ...]:
        """Columns that are needed."""
        of_time = (self.time, *self.group) if self.correlation != "none" else ()
        others = (self.variance, self.weights, self.offset)
        return tuple(dict.fromkeys([*of_time, *(name for name in others if name is not None)]))

    @property
    def has_structure(self) -> bool:
        """Whether residuals are anything but independent and of one variance."""
        return self.correlation != "none" or self.variance is not None or self.weights is not None

    @property
    def group_name(self) -> str:
        """The group as written: ``a`` or ``a:b``."""
        return ":".join(self.group)


@dataclass(frozen=True)
class Residuals:
    """The residual structure of the rows used, and its names.

    Parameters
    ----------
    spec : ResidualSpec
    structure : ResidualStructure or None
        None for independent residuals of one variance.
    strata : tuple of str
        Labels of the strata, the reference first; empty where there is one variance.
    offset : ndarray of shape (n_obs,) or None
    """

    spec: ResidualSpec = field(default_factory=ResidualSpec)
    structure: ResidualStructure | None = None
    strata: tuple[str, ...] = ()
    offset: np.ndarray | None = None


def residual_columns(frame: pd.DataFrame, spec: ResidualSpec) -> Residuals:
    """Read the residual structure off the rows used.

    Parameters
    ----------
    frame : DataFrame
        Complete rows; its index holds their positions in the data, for messages.
    spec : ResidualSpec

    Raises
    ------
    DataError
        If times are no numbers, repeat within a group, or are no whole steps for ``"ar1"``; if weights are not
        positive.
    DesignError
        If no group has two rows, or a stratum is too small to have a variance.
    """
    offset = None if spec.offset is None else _numbers(frame, spec.offset, "offset")
    if not spec.has_structure:
        return Residuals(spec, offset=offset)
    previous, gap = np.full(len(frame), -1), np.zeros(len(frame))
    if spec.correlation != "none":
        previous, gap = _neighbours(frame, spec)
    strata: tuple[str, ...] = ()
    stratum = np.zeros(len(frame), dtype=np.int64)
    if spec.variance is not None:
        stratum, strata = _strata(frame, spec.variance)
    weight = None if spec.weights is None else _weights(frame, spec.weights)
    structure = ResidualStructure(spec.correlation, previous, gap, stratum, max(len(strata), 1), weight)
    return Residuals(spec, structure, strata, offset)


def group_columns(group: str | Sequence[str], columns: pd.Index) -> tuple[str, ...]:
    """Columns of a residual group: one name, several, or ``"a:b"``."""
    if not isinstance(group, str):
        return tuple(group)
    return (group,) if group in columns else tuple(part.strip() for part in group.split(":"))


def group_codes(frame: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Number the combinations of columns, in order of appearance."""
    codes = np.zeros(len(frame), dtype=np.int64)
    for name in columns:
        more, labels = pd.factorize(frame[name])
        codes = pd.factorize(codes * len(labels) + more)[0].astype(np.int64)
    return codes


def _neighbours(frame: pd.DataFrame, spec: ResidualSpec) -> tuple[np.ndarray, np.ndarray]:
    """Each row's predecessor in time within its group (−1: none), and the time since it (0: none)."""
    time, codes = _numbers(frame, spec.time, "residual_time"), group_codes(frame, spec.group)
    order = np.lexsort((time, codes))
    follows = codes[order][1:] == codes[order][:-1]
    steps = np.diff(time[order])
    tied = follows & (steps <= 0)
    if tied.any():
        first = order[1:][tied][0]
        raise DataError(
            f"{count(int(tied.sum()), 'row has', 'rows have')} the {spec.time!r} of another row of the same "
            f"{spec.group_name} (first at row {frame.index[first]}: {time[first]:g}), so their order in time is not "
            "known. Number the sessions anew, name another residual_time=, or a finer residual_group=."
        )
    if not follows.any():
        raise DesignError(
            f"No {spec.group_name} has two rows, so a correlation of residuals over time cannot be estimated. Leave "
            "residual= out, or name a wider residual_group=."
        )
    if spec.correlation == "ar1":
        _check_whole(frame, spec, order[1:][follows], steps[follows])
    previous, gap = np.full(len(frame), -1), np.zeros(len(frame))
    previous[order[1:][follows]], gap[order[1:][follows]] = order[:-1][follows], steps[follows]
    return previous, gap


def _check_whole(frame: pd.DataFrame, spec: ResidualSpec, rows: np.ndarray, steps: np.ndarray) -> None:
    broken = np.abs(steps - np.round(steps)) > 1e-9
    if broken.any():
        at = rows[broken][0]
        raise DataError(
            f"residual='ar1' needs whole steps of {spec.time!r}; "
            f"{count(int(broken.sum()), 'row follows', 'rows follow')} the one before at another distance (first at "
            f"row {frame.index[at]}: {steps[broken][0]:g}). Use residual='car1', which takes any times."
        )


def _strata(frame: pd.DataFrame, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Stratum of each row and the strata's labels: categories in their order, else sorted."""
    column = frame[name]
    if not isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype("category")
    column = column.cat.remove_unused_categories()
    labels, codes = column.cat.categories, column.cat.codes.to_numpy(np.int64)
    sizes = np.bincount(codes, minlength=len(labels))
    if len(labels) == 1:
        raise DesignError(
            f"variance={name!r} is {labels[0]!r} in all {len(frame)} rows: there is one residual variance. Leave "
            "variance= out."
        )
    if sizes.min() < 2:
        few = ", ".join(repr(label) for label in labels[sizes < 2][:5])
        raise DesignError(
            f"{count(int((sizes < 2).sum()), 'level')} of variance={name!r} with one row only ({few}) cannot have a "
            "variance. Combine levels, or leave variance= out."
        )
    return codes, tuple(str(label) for label in labels)


def _weights(frame: pd.DataFrame, name: str) -> np.ndarray:
    values = _numbers(frame, name, "weights")
    wrong = values <= 0
    if wrong.any():
        first = int(wrong.argmax())
        raise DataError(
            f"{count(int(wrong.sum()), 'weight is', 'weights are')} not positive in {name!r} (first "
            f"at row {frame.index[first]}: {values[first]:g}). Leave these rows out, or correct them."
        )
    return values


def _numbers(frame: pd.DataFrame, name: str, argument: str) -> np.ndarray:
    column = frame[name]
    if not pd.api.types.is_numeric_dtype(column.dtype):
        way_out = (
            "Count days (or sessions) from a start, and use that." if argument == "residual_time" else "Convert them."
        )
        raise DataError(f"{argument}={name!r} holds {column.dtype} values, not numbers. {way_out}")
    return column.to_numpy(float)


# ---- new rows ------------------------------------------------------------------------------------------------------


def new_offset(residuals: Residuals, frame: pd.DataFrame | None) -> np.ndarray | None:
    """Offset of new rows (None: of the rows of the fit); None where the model has none.

    Raises
    ------
    ColumnError, DataError
        If the column is not there, or holds no number in a row.
    """
    name = residuals.spec.offset
    if name is None or frame is None:
        return residuals.offset
    return _complete(frame, name, "offset")


def new_noise(residuals: Residuals, frame: pd.DataFrame | None) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Stratum and prior weight of new rows (None: of the rows of the fit), where the model has any.

    Raises
    ------
    ColumnError, DataError
        If a column is not there, or a stratum was not in the fit.
    """
    structure, spec = residuals.structure, residuals.spec
    if structure is None:
        return None, None
    if frame is None:
        return structure.stratum, structure.weight
    stratum = None
    if spec.variance is not None:
        require_columns(frame, spec.variance)
        labels = frame[spec.variance].astype(str)
        stratum = pd.Index(residuals.strata).get_indexer(pd.Index(labels))
        if (stratum < 0).any():
            first = int((stratum < 0).argmax())
            raise DataError(
                f"{count(int((stratum < 0).sum()), 'new row has', 'new rows have')} a level of "
                f"variance={spec.variance!r} that the fit did not have (first at row {first}: {labels.iloc[first]!r}). "
                f"{did_you_mean(labels.iloc[first], residuals.strata)}"
            )
    weight = None if spec.weights is None else _complete(frame, spec.weights, "weights")
    return stratum, weight


def _complete(frame: pd.DataFrame, name: str, argument: str) -> np.ndarray:
    require_columns(frame, name)
    values = _numbers(frame, name, argument)
    missing = ~np.isfinite(values)
    if missing.any():
        raise DataError(
            f"{argument}={name!r} is missing or infinite in {count(int(missing.sum()), 'new row')} (first at row "
            f"{missing.argmax()}). Fill the values in, or leave these rows out."
        )
    return values
