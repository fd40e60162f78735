"""Data in a Dask DataFrame: every partition is summed where it is, and only the sums travel."""

from __future__ import annotations

from typing import Any

from alliance_stats.data.chunks import EXTRA
from alliance_stats.data.session_table import require_columns
from alliance_stats.design.formula import Formula
from alliance_stats.design.matrices import ModelArrays
from alliance_stats.design.part_columns import check_askable, part_variables, plan_parts
from alliance_stats.design.parts import arrays_of_sums
from alliance_stats.design.residuals import ResidualSpec
from alliance_stats.design.summed_parts import join, sum_frame
from alliance_stats.errors import DataError, MissingExtraError

#: Sums that are added up in one step. The tree depends on the partitions alone: any number of workers gives the same.
_TOGETHER = 8


def dask_arrays(formula: Formula, data: Any, missing: str, spec: ResidualSpec) -> ModelArrays:
    """Build the arrays of a mixed model from a Dask DataFrame, in one pass over its partitions.

    Parameters
    ----------
    formula : Formula
    data : dask.dataframe.DataFrame
    missing : {"drop", "raise"}
    spec : ResidualSpec

    Returns
    -------
    ModelArrays
        Whose design has statistics in the place of rows.
    """
    try:
        import dask
    except ImportError:
        raise MissingExtraError(f"A Dask DataFrame needs dask: {EXTRA}") from None
    check_askable(formula, spec)
    meta = data._meta
    require_columns(meta, *part_variables(formula, spec))
    _check_categories_known(data, formula.predictors)
    plan = plan_parts(formula, meta, spec, missing)
    # in the frame's own order: Dask 2026.8 fails to optimise others after categorize()
    columns = [name for name in data.columns if name in plan.variables]
    sums = [dask.delayed(sum_frame)(plan, part) for part in data[columns].to_delayed()]
    while True:
        sums = [dask.delayed(join)(sums[at : at + _TOGETHER]) for at in range(0, len(sums), _TOGETHER)]
        if len(sums) == 1:
            return arrays_of_sums(formula, dask.compute(sums[0])[0])


def _check_categories_known(data: Any, names: tuple[str, ...]) -> None:
    for name in names:
        column = data[name]
        if hasattr(column, "cat") and not column.cat.known:
            raise DataError(
                f"The categories of column {name!r} are not known to Dask. Use data.categorize(columns=[{name!r}])."
            )
