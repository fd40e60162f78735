"""The numbers that a simulation is made from, each with its unit and meaning."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, did_you_mean


def _parameter(default: float, unit: str, meaning: str) -> Any:
    return field(default=default, metadata={"unit": unit, "meaning": meaning})


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """True values of the model behind :func:`alliance_stats.simulate_sessions`.

    Every field has a default, a unit and a meaning; :meth:`frame` shows them all.

    Raises
    ------
    DataError
        If a value is no finite number, a standard deviation is negative, or a correlation is outside -1 to 1.
    """

    alliance_intercept: float = _parameter(3.3, "alliance points", "expected alliance at session 1")
    alliance_slope: float = _parameter(0.025, "alliance points per session", "expected growth of the alliance")
    alliance_intercept_sd: float = _parameter(0.35, "alliance points", "SD of patients' intercepts (session 1)")
    alliance_slope_sd: float = _parameter(0.015, "alliance points per session", "SD of patients' slopes")
    alliance_correlation: float = _parameter(-0.2, "correlation", "between patients' alliance intercepts and slopes")
    alliance_therapist_sd: float = _parameter(0.15, "alliance points", "SD of therapists' effects on the alliance")
    alliance_residual_sd: float = _parameter(0.22, "alliance points", "SD of the alliance around its expectation")
    change_jump: float = _parameter(-0.30, "alliance points", "step of the alliance at the first change of therapist")
    change_recovery: float = _parameter(
        0.06, "alliance points per session", "additional growth per session since the latest change"
    )
    outcome_intercept: float = _parameter(
        22.0, "outcome points", "expected outcome at session 1 of a patient whose mean alliance is 0"
    )
    outcome_slope: float = _parameter(-0.2, "outcome points per session", "expected change of the outcome")
    outcome_within: float = _parameter(
        -1.2, "outcome points per alliance point", "effect of a session's deviation from the patient's own mean"
    )
    outcome_between: float = _parameter(-2.0, "outcome points per alliance point", "effect of the patient's mean")
    outcome_intercept_sd: float = _parameter(2.2, "outcome points", "SD of patients' intercepts (session 1)")
    outcome_slope_sd: float = _parameter(
        0.0, "outcome points per session", "SD of patients' slopes, independent of their intercepts"
    )
    outcome_therapist_sd: float = _parameter(0.8, "outcome points", "SD of therapists' effects on the outcome")
    outcome_residual_sd: float = _parameter(1.6, "outcome points", "SD of the outcome around its expectation")
    dropout_intercept: float = _parameter(
        -3.3, "log odds", "hazard of leaving after a session whose alliance equals alliance_intercept; -inf: nobody"
    )
    dropout_alliance: float = _parameter(
        -0.9, "log odds per alliance point", "effect of the last session's alliance on the hazard"
    )

    def __post_init__(self) -> None:
        for name, value in self.values().items():
            _check(name, value)
            object.__setattr__(self, name, float(value))

    def values(self) -> dict[str, float]:
        """Return name → value, in order."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def frame(self) -> pd.DataFrame:
        """Return one row per parameter: ``parameter, value, unit, meaning``."""
        rows = [
            (one.name, getattr(self, one.name), one.metadata["unit"], one.metadata["meaning"]) for one in fields(self)
        ]
        return pd.DataFrame(rows, columns=["parameter", "value", "unit", "meaning"])


def parameters_from(given: dict[str, float]) -> Parameters:
    """Build the parameters from keyword arguments.

    Raises
    ------
    DataError
        If a name is not known, naming the nearest.
    """
    known = [one.name for one in fields(Parameters)]
    for name in given:
        if name not in known:
            raise DataError(f"simulate_sessions() has no parameter {name!r}. {did_you_mean(name, known)}")
    return Parameters(**given)


def _check(name: str, value: object) -> None:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not (np.isfinite(value) or (name == "dropout_intercept" and value == -np.inf)):  # type: ignore[call-overload]
        raise DataError(f"{name} is {value!r}. Give a finite number.")
    if name.endswith("_sd") and value < 0:  # type: ignore[operator]
        raise DataError(f"{name} is {value!r}. A standard deviation is 0 or more.")
    if name.endswith("_correlation") and abs(value) > 1:  # type: ignore[arg-type]
        raise DataError(f"{name} is {value!r}. A correlation lies between -1 and 1.")
