"""Frames of sensitivity analyses that are results as well: table, one line, figure, sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.meta.multilevel_result import MultilevelResult
    from alliance_stats.meta.pooled_result import UnivariateResult
    from alliance_stats.report.figures.canvas import Panels
    from alliance_stats.report.sentences import Sentences

    Fit: TypeAlias = UnivariateResult | MultilevelResult

Kind: TypeAlias = Literal["leave_one_out", "influence", "cumulative", "baujat", "gosh", "rho"]

#: Kinds whose rows are coefficients of a fit each.
_FITS = ("leave_one_out", "cumulative", "rho")


class SensitivityFrame(pd.DataFrame):
    """A frame of one row per fit or effect, with the methods that every result has.

    Made by :func:`leave_one_out`, :func:`influence`, :func:`cumulative`, :func:`baujat`, :func:`gosh` and
    :meth:`MultilevelResult.sensitivity`. What is computed from it (slices, sorted copies) is a plain frame, and
    ``describe`` is that of frames.
    """

    _metadata = ["fit", "kind"]  # noqa: RUF012  # the name and type that pandas asks for

    #: The fit that is judged: of all effects.
    fit: Fit
    kind: Kind

    @classmethod
    def of(cls, frame: pd.DataFrame, fit: Fit, kind: Kind) -> SensitivityFrame:
        """Give a frame the methods of a result."""
        made = cls(frame)
        made.attrs = frame.attrs
        object.__setattr__(made, "fit", fit)
        object.__setattr__(made, "kind", kind)
        return made

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Coefficients: of every fit, where each row is one; else of the fit that is judged."""
        return pd.DataFrame(self) if self.kind in _FITS else self.fit.table()

    def glance(self) -> pd.DataFrame:
        """One row: that of the fit judged, and ``estimate_low, estimate_high`` of all fits, or ``n_influential``."""
        return self.fit.glance().assign(**self._extremes())

    def _extremes(self) -> dict[str, float]:
        if self.kind == "influence" and "influential" in self:
            return {"n_influential": int(self["influential"].sum())}
        if "estimate" not in self:
            return {}
        values = self.means()["estimate"].dropna().to_numpy(np.float64)
        if not len(values):
            return {"estimate_low": np.nan, "estimate_high": np.nan}
        return {"estimate_low": float(values.min()), "estimate_high": float(values.max())}

    def means(self, term: str | None = None) -> pd.DataFrame:
        """The rows of one coefficient, by default the first: of the mean, where there are no moderators."""
        if "term" not in self:
            return pd.DataFrame(self)
        return self[self["term"] == (term or self["term"].iloc[0])].reset_index(drop=True)

    def report(self) -> Sentences:
        """Sentences for the results section."""
        from alliance_stats.meta.sensitivity_words import sensitivity_sentences

        return sensitivity_sentences(self)

    def notes(self) -> tuple[str, ...]:
        """What a reader must know: of the fit, and fits that could not be made."""
        from alliance_stats.meta.sensitivity_words import sensitivity_notes

        return sensitivity_notes(self)

    def plot(self, *, ax: Axes | None = None) -> Axes | Panels:  # type: ignore[override]  # results draw their own figure
        """Draw the figure of this analysis."""
        from alliance_stats.meta.sensitivity_pictures import draw_sensitivity

        return draw_sensitivity(self, ax)
