"""Data that come in parts to the arrays of a mixed model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from alliance_stats.data.chunks import FrameParts, Parts
from alliance_stats.data.codebook import Codebook
from alliance_stats.design.formula import Formula
from alliance_stats.design.matrices import ModelArrays
from alliance_stats.design.part_checks import check_sums
from alliance_stats.design.part_columns import PartPlan, check_askable, part_variables, plan_parts
from alliance_stats.design.residuals import ResidualSpec
from alliance_stats.design.sample import SummedSample, check_any_left, complete_rows
from alliance_stats.design.summed_parts import SummedPart, join, sum_frame
from alliance_stats.engine.mixed.summed import finish
from alliance_stats.errors import AllianceStatsError, DataError

#: Numbers that may wait to be added up (128 MB), and what a part counts beside its own.
_WAITING, _OVERHEAD = 2**24, 2**12


def arrays_in_parts(
    formula: Formula, data: Parts, missing: str, spec: ResidualSpec
) -> tuple[ModelArrays, Codebook, bool]:
    """Build the arrays of a mixed model from data in parts of any kind.

    Parameters
    ----------
    formula : Formula
    data : Parts or dask.dataframe.DataFrame
    missing : {"drop", "raise"}
    spec : ResidualSpec
        Prior weights and offset.

    Returns
    -------
    arrays : ModelArrays
        Whose design has statistics in the place of rows.
    codebook : Codebook
    simulated : bool
        Whether any part says that it is simulated.
    """
    if is_dask(data):
        from alliance_stats.design.dask_parts import dask_arrays

        return dask_arrays(formula, data, missing, spec), Codebook(), False
    frames = FrameParts(data, part_variables(formula, spec))
    return summed_arrays(formula, frames, missing, spec), frames.codebook, frames.simulated


def is_dask(data: object) -> bool:
    """Whether the data are a Dask DataFrame (which is found out without loading Dask)."""
    return type(data).__module__.partition(".")[0] in ("dask", "dask_expr") and hasattr(data, "to_delayed")


def summed_arrays(formula: Formula, frames: Iterable[pd.DataFrame], missing: str, spec: ResidualSpec) -> ModelArrays:
    """Build the arrays of a mixed model from frames that come one by one, in one pass.

    Parameters
    ----------
    formula : Formula
    frames : iterable of DataFrame
        Cut anywhere, in any order; a frame may be empty. Only the sums of each are kept.
    missing : {"drop", "raise"}
    spec : ResidualSpec

    Returns
    -------
    ModelArrays
        Whose design has statistics in the place of rows.

    Raises
    ------
    AllianceStatsError
        Of the kind that a single frame would raise; where one part is at fault, the message begins with its number.
    """
    running = RunningSum(formula, missing, spec)
    for frame in frames:
        running.add(frame)
    return arrays_of_sums(formula, running.total())


def arrays_of_sums(formula: Formula, whole: SummedPart) -> ModelArrays:
    """Check what the data cannot tell, and make the arrays of a model from the sums of all rows."""
    check_any_left(whole.sample)
    assert whole.rows is not None
    check_sums(formula, whole.rows)
    design = finish(whole.rows.sums, whole.rows.shape)
    return replace(whole.rows.arrays, design=design, sample=whole.sample.with_moments(whole.rows.moments))


class RunningSum:
    """Parts added up as they come.

    Parameters
    ----------
    formula : Formula
    missing : {"drop", "raise"}
    spec : ResidualSpec
    """

    def __init__(self, formula: Formula, missing: str, spec: ResidualSpec) -> None:
        check_askable(formula, spec)
        self.formula, self.missing, self.spec = formula, missing, spec
        self._plan: PartPlan | None = None
        self._parts: list[SummedPart] = []
        self._waiting = self._settled = self._n_parts = 0

    def add(self, frame: pd.DataFrame) -> None:
        """Sum the rows of the next part.

        Raises
        ------
        AllianceStatsError
            Of the kind that a single frame would raise; the message begins with the number of the part.
        """
        self._n_parts += 1
        try:
            part = self._sum(frame)
        except AllianceStatsError as error:
            raise type(error)(f"Part {self._n_parts} of the data: {error}") from error
        self._parts.append(part)
        self._waiting += _OVERHEAD + (part.rows.sums.size if part.rows else 0)
        if self._waiting > max(_WAITING, self._settled):
            self._parts = [join(self._parts)]
            self._waiting, self._settled = 0, self._parts[0].rows.sums.size if self._parts[0].rows else 0

    def _sum(self, frame: pd.DataFrame) -> SummedPart:
        if self._plan is None:
            variables = part_variables(self.formula, self.spec)
            sample = complete_rows(frame, variables, self.missing)
            if not sample.n_used:
                return SummedPart(SummedSample.of(sample, variables), None)
            self._plan = plan_parts(self.formula, sample.frame, self.spec, self.missing)
        return sum_frame(self._plan, frame)

    def total(self) -> SummedPart:
        """All parts; they are let go, so this can be asked once."""
        if not self._parts:
            raise DataError("The data have 0 parts. Check the iterator: one that was read before is empty.")
        parts, self._parts = self._parts, []
        return join(parts)
