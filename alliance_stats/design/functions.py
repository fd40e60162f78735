"""The functions that formulas may call, beside those of the library that evaluates them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.errors import DesignError


def formula_functions(new_rows: bool = False) -> dict[str, object]:
    """Return the functions by name.

    Parameters
    ----------
    new_rows : bool
        Whether the rows are others than those of the fit. A single new row has one value of ``C(…)``; in a fit that
        is a constant predictor.
    """
    return {
        "log": np.log,
        "log10": np.log10,
        "log2": np.log2,
        "exp": np.exp,
        "sqrt": np.sqrt,
        "abs": np.abs,
        "I": _same,
        "C": _as_category if new_rows else _as_varying_category,
    }


def _same(values: pd.Series) -> pd.Series:
    return values


def _as_varying_category(values: pd.Series, *arguments: object, **options: object) -> object:
    if (values == values.iloc[0]).all():
        raise DesignError(
            f"1 predictor is constant: C(…) of {values.iloc[0]!r} in all {len(values)} rows. Leave it out."
        )
    return _as_category(values, *arguments, **options)


def _as_category(values: pd.Series, *arguments: object, **options: object) -> object:
    """``C(…)``: numbers that are whole keep their plain names (``[T.2]``, not ``[T.2.0]``)."""
    from formulaic.transforms import C

    if values.dtype.kind == "f" and (values == np.trunc(values)).all():
        values = values.astype(np.int64)
    return C(values, *arguments, **options)
