"""Weighted sums and tests of coefficients, for results with robust errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from alliance_stats.design.fixed_part import FixedPart
from alliance_stats.meta.joint_tests import rows_of_terms
from alliance_stats.meta.robust_tests import Uncertainty, with_caution
from alliance_stats.meta.tidy import Floats, coefficients_table
from alliance_stats.meta.weighted_sums import WeightedSums


class CoefficientTests(WeightedSums):
    """What can be asked of coefficients whose errors are robust or model-based."""

    beta: Floats
    uncertainty: Uncertainty
    part: FixedPart
    level: float

    def table(self) -> pd.DataFrame:
        """Coefficients: ``term, estimate, std_error, df, statistic, p_value, ci_low, ci_high``.

        Where robust tests have fewer than 4 degrees of freedom, a last column ``caution`` says so in those rows.
        """
        return self._estimates(np.eye(len(self.part.names)), self.part.names)

    def _estimates(self, rows: Floats, labels: Sequence[str]) -> pd.DataFrame:
        errors, df = self.uncertainty.errors(rows), self.uncertainty.degrees_of_freedom(rows)
        table = coefficients_table(labels, rows @ self.beta, errors, df, self.level)
        return with_caution(table, self.uncertainty.robust is not None)

    def test(self, terms: str | Sequence[str] | pd.DataFrame | None = None, joint: str | None = None) -> pd.DataFrame:
        """Test several coefficients together: the HTZ test with robust errors, else F or χ².

        Parameters
        ----------
        terms : str, sequence of str, or DataFrame, optional
            Coefficients, terms of the formula, or weighted sums; by default all but the intercept.
        joint : {"HTZ", "HTA", "HTB", "EDF", "EDT", "Naive-F", "chi-sq"}, optional
            Which test, with robust errors: Hotelling's T² with approximate degrees of freedom (HTZ, the best with few
            studies; HTA, HTB), along eigenvectors (EDF, EDT), F with J − 1 degrees of freedom, or χ². The others are
            here to reproduce published tests; the last two are far too lenient with few studies.

        Returns
        -------
        DataFrame
            One row: ``test, statistic, df_num, df_den, p_value``. A last column ``caution`` says where EDF took
            degrees of freedom below 4.1 as 4.1, so that it is too lenient.

        Raises
        ------
        DesignError
            If the sums follow from each other, or there are too few clusters for so many.
        DataError
            If there is no such term or test, or errors are model-based and a robust test is asked for.

        References
        ----------
        Tipton & Pustejovsky (2015), Journal of Educational and Behavioral Statistics, 40, 604-634.
        """
        if isinstance(terms, pd.DataFrame):
            rows, label = self._rows(terms), ", ".join(map(str, terms.index))
        else:
            rows = rows_of_terms(terms, self.part.names, self.part.variables)
            label = "moderators" if terms is None else terms if isinstance(terms, str) else ", ".join(terms)
        return self.uncertainty.joint(label, rows, self.beta, joint)

    def saddlepoint(self) -> pd.DataFrame:
        """Test each coefficient by the saddlepoint approximation, an alternative to Satterthwaite's.

        It holds with fewer degrees of freedom than Satterthwaite's t, but gives no interval.

        Returns
        -------
        DataFrame
            ``term, estimate, std_error, statistic, saddlepoint, p_value``.

        Raises
        ------
        DataError
            If errors are model-based, or there are more than 2 000 clusters.

        References
        ----------
        McCaffrey & Bell (2006), Statistics in Medicine, 25, 4081-4098; Tipton (2015), Psychological Methods, 20,
        375-393.
        """
        return self.uncertainty.saddlepoint(self.part.names, self.beta)
