"""Parametric bootstrap of a mixed model: outcomes drawn from the fit, and the model fitted to each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import count
from alliance_stats.models.distributions import check_level
from alliance_stats.models.intervals import need_optimum
from alliance_stats.models.parallel import CHUNK, in_parallel, spawn
from alliance_stats.models.variance_parameters import Kind, ModelParameter, model_parameters, target_of, values_in
from alliance_stats.names import RESIDUAL

if TYPE_CHECKING:
    from alliance_stats.engine.mixed.refit import Refits
    from alliance_stats.models.mixed_result import MixedResult
    from alliance_stats.report.figures.canvas import Panels


@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap:
    """A model fitted again to outcomes drawn from its own fit.

    Parameters
    ----------
    fit : MixedResult
        The model.
    seed : int or None
        What the draws came from.
    refits : Refits
        Estimates, one per draw.
    """

    fit: MixedResult
    seed: int | None
    refits: Refits

    def __len__(self) -> int:
        return len(self.refits)

    @property
    def n_failed(self) -> int:
        """How many refits did not converge; they are left out of :meth:`table`."""
        return int((~self.refits.converged).sum())

    @property
    def n_boundary(self) -> int:
        """How many converged with a variance of zero or a correlation of ±1: right results, and part of the table."""
        return int((self.refits.converged & self.refits.boundary).sum())

    @cached_property
    def parameters(self) -> tuple[ModelParameter, ...]:
        """The model's parameters, in the order of :meth:`table`."""
        return tuple(model_parameters(self.fit))

    @cached_property
    def _estimates(self) -> dict[ModelParameter, float]:
        return {parameter: target_of(self.fit, parameter).estimate for parameter in self.parameters}

    @cached_property
    def _values(self) -> dict[ModelParameter, np.ndarray]:
        return {parameter: values_in(self.fit, parameter, self.refits) for parameter in self.parameters}

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """What the refits say about each parameter.

        Parameters
        ----------
        level : float
            Level of the intervals.

        Returns
        -------
        DataFrame
            ``group, term, term2, parameter, estimate`` (of the data), ``bias`` (mean of the refits less estimate),
            ``std_error`` (their standard deviation), ``ci_low, ci_high`` (percentiles of the refits), ``basic_low,
            basic_high`` (twice the estimate less the percentiles, within the parameter's range), ``n`` (refits behind
            it: those that converged, and in which a correlation is defined) and ``note``.
        """
        check_level(level)
        rows = [parameter.row() | self.summary(parameter, level) for parameter in self.parameters]
        return pd.DataFrame(rows).astype({"term": "str", "term2": "str"})

    def values(self, parameter: ModelParameter) -> np.ndarray:
        """The parameter's value in each refit, (n,)."""
        return self._values[parameter]

    def summary(self, parameter: ModelParameter, level: float) -> dict[str, object]:
        """One row of :meth:`table`, without the parameter's name."""
        estimate, values = self._estimates[parameter], self._values[parameter]
        values = values[self.refits.converged & np.isfinite(values)]
        row: dict[str, object] = {"estimate": estimate}
        names = ("bias", "std_error", "ci_low", "ci_high", "basic_low", "basic_high")
        note = _note(values.size, len(self) - self.n_failed)
        if values.size < 2:
            return row | dict.fromkeys(names, np.nan) | {"n": values.size, "note": note}
        low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
        basic = np.clip([2 * estimate - high, 2 * estimate - low], *parameter.range)
        numbers = (values.mean() - estimate, values.std(ddof=1), low, high, *basic)
        return row | dict(zip(names, map(float, numbers), strict=True)) | {"n": values.size, "note": note}

    @property
    def replicates(self) -> pd.DataFrame:
        """One row per refit.

        Returns
        -------
        DataFrame
            ``replicate`` (from 1), ``converged``, ``boundary``, ``deviance``, then a column per parameter, named as in
            ``sd__patient_id__(Intercept)``.
        """
        refits = self.refits
        frame = {
            "replicate": np.arange(1, len(self) + 1),
            "converged": refits.converged,
            "boundary": refits.boundary,
            "deviance": refits.criterion,
        }
        return pd.DataFrame(frame | {column_name(own): values for own, values in self._values.items()})

    def glance(self) -> pd.DataFrame:
        """One row: ``n, n_failed, n_boundary, seed, method``."""
        row = {"n": len(self), "n_failed": self.n_failed, "n_boundary": self.n_boundary, "seed": self.seed}
        return pd.DataFrame([row | {"method": self.fit.method}])

    def notes(self) -> tuple[str, ...]:
        """What a reader must know beside the numbers."""
        drawn = f"{count(len(self), 'outcome was', 'outcomes were')} drawn from the fit, and the model fitted to each."
        notes = [drawn]
        if self.n_failed:
            notes.append(f"{count(self.n_failed, 'refit')} did not converge and are left out.")
        if self.n_boundary:
            notes.append(
                f"In {count(self.n_boundary, 'refit')} a variance was zero or a correlation ±1. These are results like "
                "the others, and count."
            )
        return tuple(notes)

    def plot(self, kind: Kind = "sd", *, group: str | None = None) -> Panels:
        """Draw the refits' estimates of one kind of parameter, with the estimate and the interval of each.

        Parameters
        ----------
        kind : {"sd", "correlation", "icc", "residual_sd", "rho", "sd_ratio", "fixed"}
        group : str, optional
            Only those of one grouping; at most four parameters have room.
        """
        from alliance_stats.models.bootstrap_figure import bootstrap_plot

        return bootstrap_plot(self, kind, group)

    def __repr__(self) -> str:
        return f"{' '.join(self.notes())}\n\n{self.table().to_string(index=False)}"

    def _repr_html_(self) -> str:
        from alliance_stats.cells import NO_MATHJAX
        from alliance_stats.report.markup import html_text

        table = self.table().to_html(index=False, escape=True, classes=NO_MATHJAX)
        return f"<p>{html_text(' '.join(self.notes()))}</p>{table}"


def column_name(parameter: ModelParameter) -> str:
    """Name of a parameter's column in ``replicates``."""
    group = None if parameter.group in (RESIDUAL, "fixed") else parameter.group
    return "__".join(part for part in (parameter.kind, group, parameter.term, parameter.term2) if part)


def _note(n_defined: int, n_converged: int) -> str:
    if n_defined == n_converged:
        return ""
    return f"not defined in {n_converged - n_defined} of {n_converged} refits, which are left out"


def bootstrap(fit: MixedResult, n: int, seed: int | None, workers: int, progress: bool) -> Bootstrap:
    """Refit a model to outcomes drawn from it; see :meth:`MixedResult.bootstrap`."""
    from alliance_stats.engine.mixed.refit import Refits, Refitter

    need_optimum(fit)
    seeds = spawn(seed, n)
    chunks = [seeds[at : at + CHUNK] for at in range(0, n, CHUNK)]
    refitter = Refitter(fit.arrays.design, fit.solution)
    return Bootstrap(fit, seed, Refits.joined(list(in_parallel(refitter.drawn, chunks, workers, progress))))
