"""Every coefficient of reliability that complete forms can tell; what they cannot tell becomes a remark."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.engine.reliability.coefficient import Coefficient
from alliance_stats.errors import DataError, DesignError, count
from alliance_stats.questionnaires.reliability_result import Level

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_COLUMNS = ("level", "coefficient", "estimate", "std_error", "ci_low", "ci_high", "method")
_METHODS = {
    "alpha, occasion": "covariance of the items; Feldt's interval",
    "omega, occasion": "one factor, maximum likelihood; delta method",
    "alpha": "covariance of the items at this level; jackknife over patients",
    "omega": "one factor at each level, maximum likelihood; delta method",
    "ICC(1)": "share of the variance of the scale between patients; profile likelihood",
    "ICC(k)": "ICC(1) stepped up to the mean of {k:.3g} sessions",
    "R1F": "one session, the same for all; generalizability",
    "RkF": "mean of {k:.3g} sessions, the same for all; generalizability",
    "R1R": "one session, whichever; generalizability",
    "RkR": "mean of {k:.3g} sessions, whichever; generalizability",
    "RC": "change from session to session; generalizability",
}


class LevelEstimates:
    """Coefficients of one set of forms.

    Parameters
    ----------
    forms : ndarray of shape (n, k)
        Complete answers, reversed where the key says so.
    person, when : ndarray of int, shape (n,)
        Whose form it is and at which session, from 0 without gaps.
    n_sessions : float or None
        Sessions behind a mean; the average per patient where None.
    level : float
        Level of the intervals.
    """

    def __init__(self, forms: Floats, person: Ints, when: Ints, n_sessions: float | None, level: float) -> None:
        self.forms, self.person, self.when, self.level = forms, person, when, level
        self.n_patients = int(person.max()) + 1
        self.k = float(n_sessions if n_sessions is not None else len(forms) / self.n_patients)
        if not self.k >= 1:
            raise DataError(f"n_sessions = {n_sessions!r} must be at least 1.")
        self.rows: list[tuple[object, ...]] = []
        self.remarks: list[str] = []

    def counts(self, n_incomplete: int) -> dict[str, float]:
        """How many forms, patients, items and sessions there are."""
        n_forms, n_items = self.forms.shape
        return {"n_forms": n_forms, "n_patients": self.n_patients, "n_items": n_items,
                "n_sessions": n_forms / self.n_patients, "n_incomplete": n_incomplete}  # fmt: skip

    def all(self) -> tuple[pd.DataFrame, pd.DataFrame | None, tuple[str, ...]]:
        """Coefficients, variance components (None with one form per patient), and remarks."""
        self._try("one occasion", self._occasion_alpha)
        self._try("one occasion", self._occasion_omega)
        components = None
        if len(self.forms) > self.n_patients:
            self._try("both levels", self._level_alphas)
            self._try("both levels", self._level_omegas)
            self._try("the mean of the items", self._icc)
            components = self._try("sessions and items", self._generalizability)
            self.remarks.append(
                "Sessions are taken as exchangeable; RC counts what neighbouring sessions share as change."
            )
        else:
            self.remarks.append("Every patient has one form, so reliability between and within patients is not known.")
        table = pd.DataFrame(self.rows, columns=list(_COLUMNS))
        order = table["level"].map({"occasion": 0, "between": 1, "within": 2})
        table = table.loc[order.sort_values(kind="stable").index].reset_index(drop=True)
        without = table[table["ci_low"].isna()]
        if len(without):
            names = ", ".join(f"{c} ({at})" for c, at in zip(without["coefficient"], without["level"], strict=True))
            self.remarks.append(f"No interval for {names}: the estimate lies at or beyond the end of what is possible.")
        return table, components, tuple(self.remarks)

    def _try(self, what: str, part: Callable[[], pd.DataFrame | None]) -> pd.DataFrame | None:
        try:
            return part()
        except DesignError as error:
            self.remarks.append(f"Not estimated for {what}: {error}")
            return None

    def _add(self, level: Level, name: str, found: Coefficient, method: str = "") -> None:
        how = _METHODS[method or name].format(k=self.k)
        self.rows.append((level, name, found.estimate, found.std_error, found.low, found.high, how))

    def _first(self) -> Floats:
        order = np.lexsort((self.when, self.person))
        return self.forms[order[np.unique(self.person[order], return_index=True)[1]]]

    def _occasion_alpha(self) -> None:
        from alliance_stats.engine.reliability.alpha import occasion_alpha

        self._add("occasion", "alpha", occasion_alpha(self._first(), self.level), "alpha, occasion")

    def _occasion_omega(self) -> None:
        from alliance_stats.engine.reliability.omega import one_factor

        model = one_factor(self._first())
        self._heywood(model.at_limit[0], "one occasion")
        self._add("occasion", "omega", model.omega(0, self._normal()), "omega, occasion")

    def _level_alphas(self) -> None:
        from alliance_stats.engine.reliability.alpha import level_alphas

        within, between = level_alphas(self.forms, self.person, self.level)
        self._add("between", "alpha", between)
        self._add("within", "alpha", within)

    def _level_omegas(self) -> None:
        from alliance_stats.engine.reliability.omega import two_level_factor

        model = two_level_factor(self.forms, self.person)
        for at, level in ((1, "between"), (0, "within")):
            self._heywood(model.at_limit[at], f"{level} patients")
            self._add(level, "omega", model.omega(at, self._normal()))  # type: ignore[arg-type]

    def _icc(self) -> None:
        from alliance_stats.engine.reliability.intraclass import intraclass

        single, several = intraclass(self.forms.mean(axis=1), self.person, self.k, self.level)
        self._add("between", "ICC(1)", single)
        self._add("between", "ICC(k)", several)

    def _generalizability(self) -> pd.DataFrame:
        from alliance_stats.engine.reliability.generalizability import COMPONENTS, generalizability

        model = generalizability(self.forms, self.person, self.when)
        if model.problem:
            self.remarks.append(f"The components are not final: {model.problem}")
        for name, found in model.coefficients(self.k, self.level).items():
            self._add("within" if name == "RC" else "between", name, found)
        variances = model.variances
        names = [*COMPONENTS, "residual"]
        return pd.DataFrame({"component": names, "vcov": variances, "share": variances / variances.sum()})

    def _heywood(self, at_limit: NDArray[np.bool_], where: str) -> None:
        n = int(at_limit.sum())
        if n:
            self.remarks.append(
                f"Omega, {where}: {count(n, 'item')} without variance of {'its' if n == 1 else 'their'} own at this "
                "level (at the limit); the interval takes that as known."
            )

    def _normal(self) -> float:
        from scipy.special import ndtri

        return float(ndtri((1 + self.level) / 2))
