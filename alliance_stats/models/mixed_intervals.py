"""Intervals and tests of the variance parameters of a mixed model: thin methods over the modules that answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.models.part_of_result import PartOfResult

if TYPE_CHECKING:
    from alliance_stats.models.bootstrap import Bootstrap
    from alliance_stats.models.intervals import IntervalMethod
    from alliance_stats.models.variance_parameters import Kind
    from alliance_stats.models.variance_tests import TestMethod


class MixedIntervals(PartOfResult):
    """Intervals, bootstrap and tests of variance parameters of a mixed model."""

    def intervals(
        self,
        parameters: Kind | Sequence[Kind] | None = None,
        method: IntervalMethod = "profile",
        level: float = 0.95,
        *,
        n: int = 1000,
        seed: int | None = None,
        workers: int = 1,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Intervals for standard deviations, correlations, shares of variance and residual parameters.

        Parameters
        ----------
        parameters : str or sequence of str, optional
            Kinds: ``"sd"``, ``"correlation"``, ``"icc"`` (as in :meth:`icc`), ``"residual_sd"``, ``"rho"``,
            ``"sd_ratio"``, ``"fixed"``; by default all that the model has but fixed effects.
        method : {"profile", "bootstrap"}
            "profile": the values at which the likelihood (for REML fits, the restricted one), maximised over
            everything else, is within χ²(1) of its maximum. "bootstrap": percentiles of :meth:`bootstrap`.
        level : float
        n, seed, workers, progress
            Of the bootstrap.

        Returns
        -------
        DataFrame
            ``group, term, term2, parameter, estimate, ci_low, ci_high, method, note``. ``note`` says where an interval
            ends because the parameter's range does (a standard deviation of zero, a correlation of ±1), and why one is
            missing.

        Raises
        ------
        DataError
            If the model has no such parameter, or fixed effects of a REML fit are to be profiled.

        References
        ----------
        Bates, Mächler, Bolker & Walker (2015), Journal of Statistical Software, 67(1), section 5.
        """
        from alliance_stats.models.intervals import intervals

        return intervals(self._whole(), parameters, method, level, n, seed, workers, progress)

    def bootstrap(
        self, n: int = 1000, seed: int | None = None, *, workers: int = 1, progress: bool = True
    ) -> Bootstrap:
        """Parametric bootstrap: draw outcomes from the fit, and fit the model to each.

        Parameters
        ----------
        n : int
            How many times.
        seed : int, optional
            The same seed gives the same draws, whatever the number of workers.
        workers : int
            Processes.
        progress : bool
            Show a bar on stderr, where it takes longer than two seconds.

        Returns
        -------
        Bootstrap
            With ``table()``, ``replicates``, ``n_failed`` and ``plot()``.

        References
        ----------
        Davison & Hinkley (1997), Bootstrap methods and their application, chapter 5.
        """
        from alliance_stats.models.bootstrap import bootstrap

        return bootstrap(self._whole(), n, seed, workers, progress)

    def test_variance(
        self,
        group: str | None = None,
        method: TestMethod = "mixture",
        *,
        n: int = 1000,
        seed: int | None = None,
        workers: int = 1,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Test each random effect against zero, by the likelihood ratio of the models with and without it.

        Parameters
        ----------
        group : str, optional
            Only effects of this grouping.
        method : {"mixture", "bootstrap"}
            Where p values come from: a mixture of χ² distributions, or outcomes drawn from the model without the
            effect, which is better with few levels.
        n, seed, workers, progress
            Of the bootstrap.

        Returns
        -------
        DataFrame
            ``group, term, statistic, df, p_value, reference``. ``df`` counts the variance and the covariances that
            vanish with it.

        Notes
        -----
        A variance of zero lies on the boundary, so plain χ² would find too little: for an effect that is correlated
        with k others, the reference is an even mixture of χ²(k) and χ²(k + 1). It takes many levels, and variances of
        the others above zero; with few levels it errs towards zero variance. An effect is tested as the model codes it:
        an intercept beside slopes where the predictors are 0.

        References
        ----------
        Self & Liang (1987), Journal of the American Statistical Association, 82, 605-610. Stram & Lee (1994),
        Biometrics, 50, 1171-1177.
        """
        from alliance_stats.models.variance_tests import variance_tests

        return variance_tests(self._whole(), group, method, n, seed, workers, progress)
