"""Robust variance estimation with moment weights: correlated or hierarchical effects, as in robumeta."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.design.fixed_part import FixedPart, fixed_part
from alliance_stats.errors import DataError, DesignError, count, did_you_mean
from alliance_stats.meta.coefficient_tests import CoefficientTests
from alliance_stats.meta.columns import EFFECT, STUDY, take_effects
from alliance_stats.meta.levels import Ints
from alliance_stats.meta.multilevel_digits import check_residuals
from alliance_stats.meta.pooled_result import arrays
from alliance_stats.meta.regress import parse_right_side
from alliance_stats.meta.result import VARIANCES, first_coefficient
from alliance_stats.meta.robust_tests import FEW, Uncertainty
from alliance_stats.meta.sampling import check_rho
from alliance_stats.meta.settings import check_level
from alliance_stats.meta.tidy import Floats
from alliance_stats.names import INTERCEPT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.engine.pooling.moment_weights import MomentWeights
    from alliance_stats.report.sentences import Sentences

WEIGHTS = {"CORR": "correlated effects", "HIER": "hierarchical effects"}


@dataclass(frozen=True, eq=False, repr=False)
class RobustResult(CoefficientTests):
    """Robust variance estimation; see :func:`robust`."""

    beta: Floats
    uncertainty: Uncertainty
    moments: MomentWeights
    part: FixedPart
    effects: pd.DataFrame
    study: Ints
    kind: str
    rho: float
    small: bool
    level: float
    n_dropped: int

    def glance(self) -> pd.DataFrame:
        """One row about the whole analysis; ``tau2`` is the variance between studies, ``omega2`` that within them."""
        from alliance_stats.engine.distributions import chi2_p_value

        row = first_coefficient(self.table())
        fixed, typical = self._fixed
        tau2 = self.moments.tau2 + self.moments.omega2
        i2 = self.moments.i2 if self.kind == "CORR" else 100 * tau2 / (tau2 + typical)
        spare = len(self.effects) - len(self.beta)
        values = {
            "k": len(self.effects),
            "n_studies": int(self.study.max()) + 1,
            **{name: float(row[name]) for name in ("estimate", "std_error", "ci_low", "ci_high")},
            **dict.fromkeys(("pi_low", "pi_high"), np.nan),
            **{"tau2": self.moments.tau2, "tau2_ci_low": np.nan, "tau2_ci_high": np.nan},
            **{"i2": i2, "h2": 1 + tau2 / typical},
            **{"q": fixed, "q_df": spare, "q_p": chi2_p_value(fixed, spare)},
            **{"method": self.kind, "test": "satterthwaite" if self.small else "t", "converged": True},
            **{"omega2": self.moments.omega2, "rho": self.rho, "n_dropped": self.n_dropped},
        }
        return pd.DataFrame([values])

    @cached_property
    def _fixed(self) -> tuple[float, float]:
        """Cochran's Q and the typical sampling variance, effects taken as independent."""
        from alliance_stats.engine.pooling.regression import fit_regression

        fit = fit_regression(*arrays(self.effects), self.part.matrix, "EE")
        return fit.q, fit.typical_v

    def variance(self) -> pd.DataFrame:
        """The variance between studies, and for hierarchical effects that within them; moments have no interval."""
        glance = self.glance().iloc[0]
        n, k = glance["n_studies"], glance["k"]
        total = self.moments.tau2 + self.moments.omega2
        values = [("study", n, self.moments.tau2)]
        values += [("study/effect", k, self.moments.omega2)] if self.kind == "HIER" else []
        rows = [
            (name, groups, value, np.sqrt(value), np.nan, np.nan, glance["i2"] * value / total if total else 0.0)
            for name, groups, value in values
        ]
        return pd.DataFrame(rows, columns=list(VARIANCES))

    def weights(self) -> pd.Series:
        """Weight of each effect, in per cent of their sum."""
        w = self.moments.weights
        return pd.Series(100 * w / w.sum(), index=self.effects.index, name="weight")

    def report(self) -> Sentences:
        """Sentences for the results section."""
        from alliance_stats.meta.regression_words import moderator_sentences
        from alliance_stats.meta.words import mean_sentence
        from alliance_stats.report.sentences import join

        table = self.table()
        if list(self.part.names) == [INTERCEPT]:
            return mean_sentence(table.iloc[0], self.glance().iloc[0], "b", None, self.level)
        return join(*moderator_sentences(table, self.part, self.level))

    def describe(self) -> str:
        """The analysis in words."""
        from alliance_stats.meta.words import studies

        corrected = (
            "CR2 with degrees of freedom after Satterthwaite" if self.small else "without small-sample correction"
        )
        rho = f", ρ = {self.rho:g}" if self.kind == "CORR" else ""
        return (
            f"Robust variance estimation of {studies(self.glance().iloc[0])}, weights of {WEIGHTS[self.kind]}{rho}; "
            f"{corrected}."
        )

    def notes(self) -> tuple[str, ...]:
        """Rows left out, and few degrees of freedom."""
        found = []
        if self.n_dropped:
            found.append(f"{count(self.n_dropped, 'row')} without effect, variance, study or moderator left out.")
        few = int((self.table()["df"] < FEW).sum()) if self.small else 0
        if few:
            found.append(f"{few} of {len(self.beta)} coefficients have fewer than 4 degrees of freedom.")
        return tuple(found)

    def plot(self, kind: str = "forest", *, ax: Axes | None = None) -> Axes:
        """Draw the forest plot."""
        from alliance_stats.meta.pictures import meta_plot

        return meta_plot(self, kind, ax)


def robust(
    effects: pd.DataFrame,
    mods: str | None = None,
    weights: str = "CORR",
    rho: float = 0.8,
    *,
    study: str = STUDY,
    small: bool = True,
    level: float = 0.95,
) -> RobustResult:
    """Pool dependent effects by robust variance estimation with moment weights, as robumeta does.

    For new analyses :func:`multilevel` is the better tool: its working model is estimated by likelihood, and its
    weights use what the levels tell. These weights stand here to reproduce published analyses.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``, the studies and the moderators.
    mods : str, optional
        Moderators, ``"rater + year"``.
    weights : {"CORR", "HIER"}
        Correlated effects (one weight per study), or hierarchical effects.
    rho : float
        Correlation of the sampling errors of one study, for CORR; it moves τ² a little.
    study : str
        Column of the studies.
    small : bool
        CR2 with Satterthwaite's degrees of freedom; else the plain sandwich times J/(J − p), and J − p.
    level : float

    Raises
    ------
    DesignError
        If there are no more studies than coefficients, or with HIER no study has several effects.
    DataError
        If a variance is not positive, rho lies outside [0, 1), or the weights are not known.

    References
    ----------
    Hedges, Tipton & Johnson (2010), Research Synthesis Methods, 1, 39-65; Tipton (2015), Psychological Methods, 20,
    375-393.
    """
    from alliance_stats.engine.pooling.dense_blocks import batches
    from alliance_stats.engine.pooling.moment_weights import correlated_weights, hierarchical_weights
    from alliance_stats.engine.pooling.robust import Clusters, robust_covariance

    if weights not in WEIGHTS:
        raise DataError(f"No weights {weights!r}. {did_you_mean(weights, WEIGHTS)}")
    check_level(level)
    rho = check_rho(rho)
    formula = parse_right_side(mods or "1")
    kept, n_dropped = take_effects(effects, [study, *(name for name in formula.variables if name != EFFECT)])
    part = fixed_part(formula, kept)
    codes = pd.factorize(kept[study])[0]
    n, p = int(codes.max()) + 1, len(part.names)
    if n <= p:
        raise DesignError(
            f"Robust standard errors of {count(p, 'coefficient')} need more than {p} studies, and there "
            f"{'is 1' if n == 1 else f'are {n}'}. Leave moderators out, or find more studies."
        )
    if weights == "HIER" and n == len(kept):
        raise DesignError(
            f"Each of {count(n, 'study', 'studies')} has 1 effect, so differences within studies cannot be told from "
            "those between them. Use weights='CORR', or pool()."
        )
    y, v = arrays(kept)
    x = part.matrix
    own = correlated_weights(y, v, x, codes, rho) if weights == "CORR" else hierarchical_weights(y, v, x, codes)
    w = own.weights
    inverse = np.linalg.inv((x * w[:, None]).T @ x)
    beta = inverse @ (x.T @ (w * y))
    working = lambda places: (1 / w[places])[:, :, None] * np.eye(places.shape[1])  # noqa: E731
    of = Clusters(x, y - x @ beta, inverse, batches(codes), working)
    found = robust_covariance(of, "CR2" if small else "CR1p")
    check_residuals(found.covariance, inverse, len(kept))
    uncertainty = Uncertainty(found.covariance, float(n - p), found if small else None)
    return RobustResult(
        beta,
        uncertainty,
        own,
        part,
        kept,
        codes,
        weights,
        rho if weights == "CORR" else float("nan"),
        small,
        level,
        n_dropped,
    )
