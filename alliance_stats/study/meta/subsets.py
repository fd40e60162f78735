"""The mean of many subsets of the studies (GOSH): whether a few studies are of another kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from alliance_stats.errors import DataError
from alliance_stats.meta import figures
from alliance_stats.meta.aggregate import aggregate
from alliance_stats.meta.columns import STUDY
from alliance_stats.meta.influence import gosh
from alliance_stats.meta.multilevel_result import MultilevelResult
from alliance_stats.meta.pictures import mean_words
from alliance_stats.meta.sensitivity import SensitivityFrame
from alliance_stats.report.numbers import whole
from alliance_stats.report.sentences import Sentences
from alliance_stats.study.meta.part import Asked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: With fewer studies there are few subsets, and those differ in size more than in kind; of more than these, nearly
#: all subsets have the same mean.
_LEAST, _MOST = 6, 200


@dataclass(frozen=True, eq=False)
class Subsets:
    """Subsets of the studies, and the study that moves the mean most.

    Parameters
    ----------
    fits : SensitivityFrame
        As :func:`alliance_stats.meta.gosh` returns it.
    without : int or None
        The study whose absence is shown in another colour: its place.
    name : str
    """

    fits: SensitivityFrame
    without: int | None
    name: str

    def numbers(self) -> dict[str, object]:
        """How many, and quantiles of their means and I²."""
        places = (0.025, 0.25, 0.5, 0.75, 0.975)
        ends = {name: dict(zip(map(str, places), self.fits[name].quantile(places), strict=True))
                for name in ("estimate", "i2")}  # fmt: skip
        return {"n_subsets": len(self.fits), "study_shown": self.name or None, **ends}

    def sentences(self) -> Sentences:
        """How far the means lie apart."""
        return self.fits.report()

    def draw(self, measure: str) -> Axes:
        """Draw I² over the mean of each subset."""
        return figures.gosh(self.fits, without=self.without, name=self.name, unit=mean_words(measure))


def subsets(asked: Asked, moved_most: str | None) -> Subsets | None:
    """Pool subsets of the studies, one effect for each; None where there are too few or too many, or none is asked for.

    Parameters
    ----------
    asked : Asked
    moved_most : str, optional
        The study without which the mean moves most.
    """
    report, main = asked.coded.study.report, asked.main
    frame = main.effects
    if isinstance(main, MultilevelResult):
        frame, method = aggregate(frame, asked.coded.study.model.rho), main.method
    else:
        method = main.fit.method
    if not (report.n_subsets and _LEAST <= len(frame) <= _MOST):
        return None
    try:
        fits = gosh(frame, method, n=report.n_subsets, seed=report.seed, progress=asked.progress)
    except DataError:
        return None
    places = np.flatnonzero(frame[STUDY].astype(str).to_numpy() == moved_most)
    return Subsets(fits, int(places[0]), str(moved_most)) if len(places) == 1 else Subsets(fits, None, "")


def said(asked: Asked, found: Subsets) -> str:
    """What the section on methods says."""
    each = ", one effect each" if asked.coded.dependent else ""
    n = whole(len(found.fits))
    return f"The mean was computed in {n} subsets of the studies{each} {asked.citations.cite('gosh')}."
