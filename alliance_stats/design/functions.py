"""The functions that formulas may call, beside those of the library that evaluates them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, DesignError, did_you_mean


def formula_functions(new_rows: bool = False) -> dict[str, object]:
    """Return the functions by name, and the codings that ``C(…)`` takes.

    Parameters
    ----------
    new_rows : bool
        Whether the rows are others than those of the fit. A single new row has one value of ``C(…)``, and need not be
        in the reference category; in a fit that is a constant predictor, or a category that is not there.
    """
    from formulaic.transforms.contrasts import HelmertContrasts, SumContrasts, TreatmentContrasts

    return {
        "log": np.log,
        "log10": np.log10,
        "log2": np.log2,
        "exp": np.exp,
        "sqrt": np.sqrt,
        "abs": np.abs,
        "I": _same,
        "poly": _polynomials(),
        "cr": _centred_spline(),
        "C": _as_category if new_rows else _as_varying_category,
        "treatment": TreatmentContrasts,
        "sum": SumContrasts,
        "helmert": HelmertContrasts,
    }


def _same(values: pd.Series) -> pd.Series:
    return values


def _polynomials() -> Callable[..., object]:
    """``poly(…)``: columns are called 1, 2, … whether they are orthogonal or (``raw=True``) plain powers."""
    from formulaic.materializers.types import FactorValues
    from formulaic.transforms import poly
    from formulaic.utils.stateful_transforms import stateful_transform

    def named(x: pd.Series, degree: int = 1, raw: bool = False, _state: dict[str, object] | None = None) -> object:
        if not raw:
            return poly(x, degree, _state=_state)
        powers = np.asarray(x, float)[:, None] ** np.arange(1, degree + 1)
        return FactorValues(powers, column_names=tuple(str(k) for k in range(1, degree + 1)))

    transform: Callable[..., object] = stateful_transform(named)
    return transform


def _centred_spline() -> Callable[..., object]:
    """``cr(…)``: a natural cubic spline with as many columns as ``df``, each with a mean of 0 over the rows of the fit.

    Uncentred, its columns sum to 1 in every row and cannot stand beside an intercept. mgcv centres them, too.
    """
    from functools import partial

    from formulaic.transforms.cubic_spline import cubic_spline
    from formulaic.utils.stateful_transforms import stateful_transform

    transform: Callable[..., object] = stateful_transform(partial(cubic_spline, constraints="center"))
    return transform


def _as_varying_category(values: pd.Series, coding: object = None) -> object:
    if (values == values.iloc[0]).all():
        raise DesignError(
            f"1 predictor is constant: C(…) of {values.iloc[0]!r} in all {len(values)} rows. Leave it out."
        )
    known = list(values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else np.unique(values))
    reference = getattr(coding, "base", None)
    if isinstance(reference, str | int | float) and reference not in known:
        shown = [str(int(own)) if isinstance(own, float) and own == int(own) else str(own) for own in known]
        raise DataError(f"treatment({reference!r}) names no category. {did_you_mean(str(reference), shown)}")
    return _as_category(values, coding)


def _as_category(values: pd.Series, coding: object = None) -> object:
    """``C(…)``: numbers that are whole keep their plain names (``[T.2]``, not ``[T.2.0]``)."""
    from formulaic.transforms import C

    if values.dtype.kind == "f" and (values == np.trunc(values)).all():
        values = values.astype(np.int64)
    return C(values, coding)
