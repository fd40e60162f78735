"""Power of a planned meta-analysis: for the mean, a moderator, or heterogeneity; by formula and by simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, DesignError, count, did_you_mean
from alliance_stats.meta.power_design import QUESTIONS, TESTS, Design, Floats, Power, analytic, fewest
from alliance_stats.meta.result import GLANCE
from alliance_stats.names import TABLE_COLUMNS
from alliance_stats.report.result import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.sentences import Sentences
    from alliance_stats.report.tables import ResultTable

Numbers: TypeAlias = "float | Sequence[float] | Floats"
#: The search for a number of studies ends here.
MOST = 2_000


@dataclass(frozen=True, eq=False, repr=False)
class PowerResult(Shown):
    """Power of a planned meta-analysis; see :func:`power`."""

    design: Design
    found: tuple[Power, ...]
    target: float | None
    rates: tuple[float, ...]
    n_simulated: int

    def table(self) -> pd.DataFrame:
        """A row per number of studies.

        Returns
        -------
        DataFrame
            The columns of every result, with the power in ``estimate`` and the noncentrality in ``statistic``; then
            ``n_studies, n_effects, simulated, simulated_error`` (missing without simulation).
        """
        rows = []
        for at, one in enumerate(self.found):
            rate = self.rates[at] if self.rates else np.nan
            error = np.sqrt(rate * (1 - rate) / self.n_simulated) if self.rates else np.nan
            rows.append(
                {
                    "term": f"power, {count(one.k, 'study', 'studies')}",
                    "estimate": one.value,
                    "df": one.df,
                    "statistic": one.ncp,
                    "n_studies": one.k,
                    "n_effects": one.n_effects,
                    "simulated": rate,
                    "simulated_error": error,
                }
            )
        more = ["n_studies", "n_effects", "simulated", "simulated_error"]
        return pd.DataFrame(rows).reindex(columns=[*TABLE_COLUMNS, *more])

    def glance(self) -> pd.DataFrame:
        """One row about the largest plan: what is assumed, and what is expected of it.

        ``estimate`` is the assumed effect (missing for several groups), ``std_error`` what its standard error will be,
        the intervals those expected with it, ``tau2`` the assumed variance between studies, ``i2`` the share that it
        has. Then ``power``, ``target``, ``alpha``, ``alternative``, ``question``.
        """
        return self._glance.copy(deep=False)

    @cached_property
    def _glance(self) -> pd.DataFrame:
        from alliance_stats.engine.distributions import t_quantile

        of, last = self.design, self.found[-1]
        v, _ = of.studies(last.k)
        typical = float(v.size / (1 / v).sum())
        effect = float(of.effect[0]) if of.question in ("mean", "slope") else np.nan
        half = float(t_quantile(0.975, last.df)) * last.std_error
        ahead = float(t_quantile(0.975, last.df)) * np.sqrt(last.std_error**2 + of.tau**2)
        mean = of.question == "mean"
        spread = of.tau**2 + of.omega**2
        values: dict[str, object] = {
            "k": last.n_effects,
            "n_studies": last.k,
            "estimate": effect,
            "std_error": last.std_error,
            "ci_low": effect - half,
            "ci_high": effect + half,
            "pi_low": effect - ahead if mean else np.nan,
            "pi_high": effect + ahead if mean else np.nan,
            "tau2": of.tau**2,
            "tau2_ci_low": np.nan,
            "tau2_ci_high": np.nan,
            "i2": 100 * spread / (spread + typical),
            "h2": spread / typical + 1,
            "q": np.nan,
            "q_df": last.k - 1,
            "q_p": np.nan,
            "method": "analytic and simulation" if self.rates else "analytic",
            "test": "Q" if of.question == "heterogeneity" else of.test,
            "converged": True,
        }
        assert tuple(values) == GLANCE
        more = {"power": last.value, "target": np.nan if self.target is None else self.target, "alpha": of.alpha}
        return pd.DataFrame([values | more | {"alternative": of.alternative, "question": of.question}])

    def curve(self, n_studies: Sequence[int] | None = None) -> pd.DataFrame:
        """Power over numbers of studies, for the assumed τ and for half and one and a half of it.

        Returns
        -------
        DataFrame
            ``n_studies, power, tau, label``.
        """
        least, most = self.design.least, max(2 * self.found[-1].k, self.design.least + 10)
        chosen = (
            np.unique(np.linspace(least, most, 40).astype(int)) if n_studies is None else np.asarray(n_studies, int)
        )
        tau = self.design.tau
        taus = [tau] if tau == 0 else [0.5 * tau, tau, 1.5 * tau]
        rows = [
            (int(k), analytic(self.design.with_tau(value), int(k)).value, value, f"τ = {value:.3g}")
            for value in taus
            for k in chosen
        ]
        return pd.DataFrame(rows, columns=["n_studies", "power", "tau", "label"])

    def plot(self, kind: str = "curve", *, ax: Axes | None = None) -> Axes:
        """Draw power over the number of studies."""
        if kind != "curve":
            raise DataError(f"This result has no figure {kind!r}. {did_you_mean(kind, ('curve',))}")
        from alliance_stats.report.figures.power_curve import power_curve

        points = self.table()[["n_studies", "estimate"]].rename(columns={"estimate": "power"})
        return power_curve(self.curve(), points, target=self.target, ax=ax)

    def report(self) -> Sentences:
        """Sentences for the methods section."""
        from alliance_stats.meta.power_words import sentences

        return sentences(self)

    def describe(self) -> str:
        """The plan in words."""
        from alliance_stats.meta.power_words import described

        return described(self)

    def notes(self) -> tuple[str, ...]:
        """What the numbers rest on."""
        from alliance_stats.meta.power_words import remarks

        return remarks(self)

    def result_table(self, title: str = "", number: int | None = None) -> ResultTable:
        """The table as an artefact that writes itself as HTML, Markdown, LaTeX or CSV."""
        from alliance_stats.meta.power_words import printed

        return printed(self, title or "Power of the Planned Meta-Analysis", number)


def power(
    effect: Numbers,
    n_studies: int | Sequence[int] | None = None,
    *,
    v: Numbers | None = None,
    n: Numbers | None = None,
    tau: float = 0.0,
    question: str = "mean",
    test: str | None = None,
    effects_per_study: Numbers = 1,
    omega: float = 0.0,
    rho: float = 0.6,
    shares: Sequence[float] | None = None,
    moderator_sd: float = 1.0,
    alpha: float = 0.05,
    alternative: str = "two-sided",
    target: float | None = None,
    simulate: int = 0,
    seed: int = 0,
) -> PowerResult:
    """Compute the power of a planned meta-analysis, or the number of studies that it needs.

    Parameters
    ----------
    effect : float or sequence of float
        On the scale of the analysis (Fisher's z: ``np.arctanh(r)``). The mean; with ``question="groups"`` the mean of
        each group; with ``"slope"`` the change per unit of the moderator; not used for ``"heterogeneity"``.
    n_studies : int or sequence of int, optional
        Left out, the smallest number with the power ``target`` is looked for.
    v, n : float or sequence of float
        One of them: sampling variance of an effect; or cases per study, for Fisher's z with ``1 / (n − 3)``. Several
        are spread over the planned studies; those of a pilot search may be given.
    tau, omega : float
        Standard deviation of true effects between studies; and within studies, for several effects per study.
    question : {"mean", "groups", "slope", "heterogeneity"}
    test : {"z", "knha", "CR2"}, optional
        Normal (the default of :func:`pool`; too optimistic with few studies); t after Knapp and Hartung; t or HTZ with
        robust errors, the only one for several effects per study. By default the last for these, else ``"knha"``.
    effects_per_study : float or sequence of float
        Beside ``v`` or ``n`` study by study, if both are several.
    rho : float
        Correlation of sampling errors within studies.
    shares : sequence of float, optional
        Share of studies in each group; by default equal.
    moderator_sd : float
        Standard deviation of the moderator between studies.
    alpha, alternative
        Level of the test; ``"two-sided"``, ``"greater"`` or ``"less"`` (mean and slope).
    target : float, optional
        Power that is wanted; 0.80 if ``n_studies`` is left out.
    simulate, seed : int
        Simulated meta-analyses for each number of studies, and where random numbers start.

    Returns
    -------
    PowerResult

    Raises
    ------
    DataError
        If an argument is impossible.
    DesignError
        If there are too few studies for the test, or no number of studies up to 2 000 has the power that is wanted.

    References
    ----------
    Hedges & Pigott (2001), Psychological Methods, 6, 203-217; (2004), Psychological Methods, 9, 426-445; Vembye,
    Pustejovsky & Pigott (2023), Journal of Educational and Behavioral Statistics, 48, 70-102.
    """
    variance, m = _studies(v, n, effects_per_study)
    several = bool((m > 1).any())
    groups = _numbers("effect", effect)
    part = np.full(groups.size, 1 / groups.size) if shares is None else _numbers("shares", shares)
    chosen = test or ("CR2" if several else "knha")
    design = Design(question, groups, variance, m, float(tau), float(omega), float(rho), part / part.sum(),
                    float(moderator_sd), chosen, float(alpha), alternative)  # fmt: skip
    _check(design, several, simulate)
    if n_studies is None:
        target = 0.80 if target is None else target
    if target is not None and not 0 < target < 1:
        raise DataError(f"target is {target!r}; power lies between 0 and 1, e.g. 0.80.")
    wanted = _search(design, target) if n_studies is None else _whole("n_studies", n_studies)
    if wanted[0] < design.least:
        raise DesignError(f"{count(wanted[0], 'study', 'studies')}: this test needs at least {design.least}.")
    found = tuple(analytic(design, k) for k in wanted)
    rates: tuple[float, ...] = ()
    if simulate:
        from alliance_stats.meta.power_simulation import simulated

        rates = tuple(simulated(design, k, simulate, seed) for k in wanted)
    return PowerResult(design, found, target, rates, simulate)


def _numbers(name: str, values: Numbers | None) -> Floats:
    """One number or several as an array."""
    try:
        array = np.atleast_1d(np.asarray(values, float))
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.size == 0 or array.ndim > 1:
        raise DataError(f"{name} is {values!r}. Give a number, or several.")
    return array


def _whole(name: str, values: int | Sequence[int]) -> list[int]:
    """Different whole numbers, in order."""
    array = _numbers(name, values)
    if not (np.isfinite(array) & (array == np.floor(array))).all():
        raise DataError(f"{name} is {values!r}. Give a whole number, or several.")
    return sorted({int(k) for k in array})


def _studies(v: Numbers | None, n: Numbers | None, m: Numbers) -> tuple[Floats, Floats]:
    if (v is None) == (n is None):
        raise DataError("Give one of v= (sampling variances) and n= (cases per study), not both or neither.")
    if v is None:
        cases = _numbers("n", n)
        if not (cases > 3).all():
            raise DataError(f"{int((~(cases > 3)).sum())} of {cases.size} values of n are not above 3. Correct them.")
        variance: Floats = 1 / (cases - 3)
    else:
        variance = _numbers("v", v)
    effects = _numbers("effects_per_study", m)
    if not ((variance > 0) & np.isfinite(variance)).all():
        raise DataError("A sampling variance is not positive. Correct v=.")
    if not ((effects >= 1) & np.isfinite(effects)).all():
        raise DataError("A study has at least 1 effect. Correct effects_per_study=.")
    if variance.size != effects.size and 1 not in (variance.size, effects.size):
        raise DataError(
            f"{count(variance.size, 'study', 'studies')} in v= or n=, and {effects.size} in effects_per_study=. Give "
            "as many, or one for all."
        )
    both = np.broadcast_arrays(variance, effects)
    return both[0].copy(), both[1].copy()


def _check(of: Design, several: bool, simulate: int) -> None:
    from alliance_stats.engine.pooling.power import ALTERNATIVES

    known = {"question": QUESTIONS, "test": TESTS, "alternative": ALTERNATIVES}
    for name, allowed in known.items():
        if getattr(of, name) not in allowed:
            raise DataError(f"No {name} {getattr(of, name)!r}. {did_you_mean(getattr(of, name), allowed)}")
    if not np.isfinite(of.effect).all():
        raise DataError("An effect is missing or infinite. Correct effect=.")
    if (of.question == "groups") != (of.effect.size > 1):
        raise DataError(
            f"{count(of.effect.size, 'effect')} with question={of.question!r}. Give one per group with "
            "question='groups', else one number."
        )
    if of.shares.size != of.effect.size or not (of.shares > 0).all():
        raise DataError(f"{of.shares.size} shares for {count(of.effect.size, 'group')}. Give one above 0 for each.")
    if not (of.tau >= 0 and of.omega >= 0 and of.moderator_sd > 0 and 0 <= of.rho < 1 and 0 < of.alpha < 1):
        raise DataError(
            "tau and omega are 0 or more, moderator_sd above 0, rho in [0, 1), alpha between 0 and 1. Correct them."
        )
    if several and of.question == "heterogeneity":
        raise DesignError("Cochran's Q is for independent effects. Use effects_per_study=1.")
    if several and of.test != "CR2":
        raise DesignError(f"test={of.test!r} takes effects as independent. Use test='CR2' with several per study.")
    if not isinstance(simulate, int | np.integer) or simulate < 0:
        raise DataError(f"simulate is {simulate!r}; it counts simulated meta-analyses.")


def _search(design: Design, target: float | None) -> list[int]:
    assert target is not None
    k = fewest(design, target, MOST)
    if k is None:
        reached = analytic(design, MOST).value
        raise DesignError(
            f"{MOST} studies have a power of {reached:.3f}, and {target} was wanted. Assume a larger effect, or more "
            "cases per study."
        )
    return [k]
