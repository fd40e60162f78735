"""The figure of a bootstrap: its parameters named, and handed to the report room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.models.variance_parameters import ModelParameter

if TYPE_CHECKING:
    from alliance_stats.models.bootstrap import Bootstrap
    from alliance_stats.report.figures.canvas import Panels

#: What each kind is called on an axis.
_WORDS = {"sd": "SD", "correlation": "r", "icc": "ICC", "residual_sd": "SD", "rho": "ρ", "sd_ratio": "SD ratio"}


def bootstrap_plot(boot: Bootstrap, kind: str, group: str | None) -> Panels:
    """Draw one kind of parameter, of one grouping or of all."""
    from alliance_stats.report.figures.replicates import replicates

    kinds = tuple(dict.fromkeys(own.kind for own in boot.parameters))
    if kind not in kinds:
        raise DataError(f"This bootstrap has no parameters of the kind {kind!r}. {did_you_mean(kind, kinds)}")
    chosen = [own for own in boot.parameters if own.kind == kind and group in (None, own.group)]
    if not chosen:
        groups = tuple(dict.fromkeys(own.group for own in boot.parameters if own.kind == kind))
        raise DataError(f"No {kind} belongs to {group!r}. {did_you_mean(str(group), groups)}")
    values = pd.DataFrame({_name(own): np.where(boot.refits.converged, boot.values(own), np.nan) for own in chosen})
    estimates = pd.DataFrame([{"name": _name(own)} | boot.summary(own, 0.95) for own in chosen])
    return replicates(values, estimates, simulated=boot.fit.simulated)


def _name(parameter: ModelParameter) -> str:
    parts = [_WORDS.get(parameter.kind, ""), parameter.term or "", parameter.term2 or ""]
    of = "" if parameter.kind == "fixed" else f" ({parameter.group})"
    return " ".join(part for part in parts if part) + of
