"""Reliability of a questionnaire by level: of one occasion, between patients, and of change within them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.data.columns import column_of, id_codes, score_values
from alliance_stats.data.session_table import SessionTable, codebook_of, frame_of
from alliance_stats.engine.reliability.coefficient import Coefficient
from alliance_stats.errors import DataError, DesignError, count, did_you_mean
from alliance_stats.names import PATIENT, SESSION
from alliance_stats.questionnaires.items import Items, read_answers
from alliance_stats.questionnaires.key import TOTAL, MeasureKey
from alliance_stats.questionnaires.known import measure_key
from alliance_stats.report.result import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.sentences import Sentences
    from alliance_stats.report.tables import ResultTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Level = Literal["occasion", "between", "within"]

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


@dataclass(frozen=True)
class NamedReliability:
    """A reliability with its source, for :func:`alliance_stats.reliable_change`.

    Parameters
    ----------
    value : float
    source : str
        Where it comes from, in words.
    """

    value: float
    source: str


@dataclass(frozen=True, eq=False, repr=False)
class ReliabilityResult(Shown):
    """Reliability by level.

    Parameters
    ----------
    coefficients : DataFrame
        See :meth:`table`.
    components : DataFrame or None
        See :meth:`variance`; None where patients have one form each.
    counts : mapping of str to float
        ``n_forms, n_patients, n_items, n_sessions`` (per patient, on average), ``n_incomplete``.
    name : str
        What was rated, in words.
    remarks : tuple of str
    level : float
        Level of the intervals.
    simulated : bool
    """

    coefficients: pd.DataFrame = field(repr=False)
    components: pd.DataFrame | None = field(repr=False)
    counts: dict[str, float]
    name: str
    remarks: tuple[str, ...]
    level: float = 0.95
    simulated: bool = False

    def table(self) -> pd.DataFrame:
        """One row per coefficient: ``level, coefficient, estimate, std_error, ci_low, ci_high, method``.

        ``level`` is ``occasion`` (forms filled in once each), ``between`` (differences between patients) or ``within``
        (changes of a patient).
        """
        return self.coefficients.copy(deep=False)

    def variance(self) -> pd.DataFrame:
        """Variance components of persons × sessions × items: ``component, vcov, share``.

        Raises
        ------
        DataError
            If patients have one form each.
        """
        if self.components is None:
            raise DataError("Every patient has 1 form, so there are no components over sessions. Bring more sessions.")
        return self.components.copy(deep=False)

    def glance(self) -> pd.DataFrame:
        """One row of counts: ``n_forms, n_patients, n_items, n_sessions, n_incomplete``."""
        return pd.DataFrame([self.counts])

    def value(self, level: Level, coefficient: str = "omega") -> NamedReliability:
        """Take one coefficient with its source, to hand on to :func:`alliance_stats.reliable_change`.

        Raises
        ------
        DataError
            If there is no such coefficient.
        """
        own = self.coefficients
        row = own[(own["level"] == level) & (own["coefficient"] == coefficient)]
        if row.empty:
            known = [f"{a}/{b}" for a, b in zip(own["level"], own["coefficient"], strict=True)]
            raise DataError(f"There is no {level}/{coefficient}. {did_you_mean(f'{level}/{coefficient}', known)}")
        n = f"{self.counts['n_forms']:.0f} forms of {self.counts['n_patients']:.0f} patients"
        forms = f"the first form of {self.counts['n_patients']:.0f} patients" if level == "occasion" else n
        where = {"occasion": "of one occasion", "between": "between patients", "within": "within patients"}[level]
        return NamedReliability(float(row["estimate"].iloc[0]), f"{coefficient} {where}, these data ({forms})")

    def plot(self, kind: str = "levels", ax: Axes | None = None) -> Axes:
        """Draw the coefficients of each level with their intervals."""
        if kind != "levels":
            raise DataError(f"A reliability has no figure {kind!r}. {did_you_mean(kind, ('levels',))}")
        from alliance_stats.report.figures.reliability import reliability as draw

        return draw(self.table(), name=self.name, ax=ax, simulated=self.simulated)

    def report(self) -> Sentences:
        """Reliability of one occasion, between patients, and of change."""
        from alliance_stats.questionnaires.reliability_words import reliability_report

        return reliability_report(self)

    def notes(self) -> tuple[str, ...]:
        """What the levels mean, rows left out, and coefficients that could not be estimated."""
        return self.remarks

    def describe(self) -> str:
        """What was analysed."""
        n = self.counts
        return (
            f"Reliability of {self.name}: {n['n_items']:.0f} items, {n['n_forms']:.0f} forms of "
            f"{n['n_patients']:.0f} patients"
        )

    def result_table(self, title: str = "", number: int | None = None) -> ResultTable:
        """The coefficients as an artefact that writes itself."""
        from alliance_stats.report.tables import BLOCK, ResultTable

        words = {"occasion": "One occasion", "between": "Between patients", "within": "Within patients"}
        frame = self.table().assign(**{BLOCK: lambda t: t["level"].map(words)}).drop(columns="level")
        formats = {"estimate": "bounded", "std_error": "bounded:3", "ci_low": "interval:2"}
        headings = {"coefficient": "", "method": "How", "ci_low": f"{100 * self.level:g}% CI"}
        return ResultTable(
            frame,
            title or f"Reliability of {self.name}",
            self.notes(),
            formats=formats,
            headings=headings,
            number=number,
        )


def reliability(
    data: SessionTable | pd.DataFrame,
    measure: str | MeasureKey | None = None,
    *,
    items: Items,
    scale: str | None = None,
    patient: str = PATIENT,
    session: str = SESSION,
    n_sessions: float | None = None,
    level: float = 0.95,
    response: tuple[float, float] | None = None,
    missing: Sequence[float | str] = (),
    on_faults: Literal["raise", "leave_out"] = "raise",
) -> ReliabilityResult:
    """Estimate how reliable a questionnaire is: on one occasion, between patients, and for change within them.

    Parameters
    ----------
    data : SessionTable or DataFrame
        One row per patient and session, with the items. It is not changed.
    measure : str, optional
        Name as in :func:`alliance_stats.measures`; its key says which items are reversed. Left out, ``items`` are
        columns that all point one way.
    items : str, sequence of str, or mapping of int to str
        As in :func:`alliance_stats.score`; without a measure a sequence of columns.
    scale : str, optional
        Subscale; the total by default.
    patient, session : str
        Columns that say whose form it is and when it was filled in.
    n_sessions : float, optional
        Sessions behind the mean in ``RkF``, ``RkR`` and ``ICC(k)``; by default the average per patient.
    level : float
        Level of the intervals.
    response, missing, on_faults
        As in :func:`alliance_stats.score`.

    Returns
    -------
    ReliabilityResult
        ``table()`` has alpha and omega of each patient's first form; alpha, omega, ICC(1), ICC(k), R1F, RkF, R1R and
        RkR between patients; alpha, omega and RC within patients; each with its interval.

    Raises
    ------
    FaultsError
        If answers cannot be right.
    DataError, DesignError
        If there are fewer than two items or three patients, or the answers do not vary.

    Notes
    -----
    Only complete forms are used. An alpha over all sessions would mix the levels, and is not given. ``RC`` asks how
    much of a patient's change in the mean of the items is more than noise of the items; it takes changes that all
    patients share out. Sessions are taken as exchangeable: neighbouring ones that resemble each other count as change.

    References
    ----------
    Cranford et al. (2006), Personality and Social Psychology Bulletin, 32, 917-929. Geldhof, Preacher & Zyphur (2014),
    Psychological Methods, 19, 72-91. Feldt, Woodruff & Salih (1987), Applied Psychological Measurement, 11, 93-103.
    """
    if not 0 < level < 1:
        raise DataError(f"level = {level!r} must lie between 0 and 1, e.g. 0.95.")
    frame = frame_of(data)
    answers, name = _answers(frame, measure, items, scale, response, missing, on_faults)
    who, _ = id_codes(frame, patient)
    complete = ~np.isnan(answers).any(axis=1)
    if not complete.any():
        raise DataError(f"0 of {count(len(frame), 'form')} have all {answers.shape[1]} items. Name other items.")
    forms, person = answers[complete], np.unique(who[complete], return_inverse=True)[1]
    when = column_of(frame, session).iloc[np.flatnonzero(complete)]
    if when.isna().any():
        raise DataError(f"{int(when.isna().sum())} complete forms have no {session!r}. Fill it in or leave them out.")
    _check(forms, person)
    simulated = isinstance(data, SessionTable) and data.source.simulated
    if measure is None and len(frame.columns):
        name = name or codebook_of(data).get(str(next(iter(items)))).title
    estimate = _Estimate(forms, person, np.unique(when, return_inverse=True)[1], n_sessions, level)
    table, components, remarks = estimate.all()
    counts = estimate.counts(int((~complete).sum()))
    return ReliabilityResult(table, components, counts, name, remarks, level, simulated)


def _answers(
    frame: pd.DataFrame,
    measure: str | MeasureKey | None,
    items: Items,
    scale: str | None,
    response: tuple[float, float] | None,
    missing: Sequence[float | str],
    on_faults: str,
) -> tuple[Floats, str]:
    """Answers to the items of one scale, all pointing one way, and its name."""
    if measure is not None:
        key = measure_key(measure)
        if scale is None and key.total is None:
            raise DataError(f"{key.name} has no total. Name the scale: {', '.join(s.name for s in key.scales)}.")
        own = key.scale(scale or TOTAL)
        turned = read_answers(frame, key, items, response, missing, on_faults).reversed(key.reversed)
        name = key.name if own.name == TOTAL else f"{key.name} ({own.name})"
        return turned[:, [item - 1 for item in own.items]], name
    if isinstance(items, str) or not isinstance(items, Sequence):
        raise DataError("Without a measure, items are a list of columns: items=['q1', 'q2', 'q3'].")
    if scale is not None or response is not None or missing:
        raise DataError("scale, response and missing belong to a measure. Name it, or leave them out.")
    return np.column_stack([score_values(frame, name) for name in items]), f"{len(items)} items"


def _check(forms: Floats, person: Ints) -> None:
    if forms.shape[1] < 2:
        raise DataError("1 item has no internal consistency. Name two or more.")
    n_patients = int(person.max()) + 1
    if n_patients < 3:
        raise DesignError(f"{count(n_patients, 'patient')} cannot show how reliable a scale is. Bring three or more.")
    if np.ptp(forms.sum(axis=1)) == 0:
        raise DesignError(f"All {len(forms)} forms have the same total, so nothing is told apart. Check the columns.")


class _Estimate:
    """All coefficients; what cannot be estimated becomes a remark."""

    def __init__(self, forms: Floats, person: Ints, when: Ints, n_sessions: float | None, level: float) -> None:
        self.forms, self.person, self.when, self.level = forms, person, when, level
        self.n_patients = int(person.max()) + 1
        self.k = float(n_sessions if n_sessions is not None else len(forms) / self.n_patients)
        if not self.k >= 1:
            raise DataError(f"n_sessions = {n_sessions!r} must be at least 1.")
        self.rows: list[tuple[object, ...]] = []
        self.remarks: list[str] = []

    def counts(self, n_incomplete: int) -> dict[str, float]:
        n_forms, n_items = self.forms.shape
        return {"n_forms": n_forms, "n_patients": self.n_patients, "n_items": n_items,
                "n_sessions": n_forms / self.n_patients, "n_incomplete": n_incomplete}  # fmt: skip

    def all(self) -> tuple[pd.DataFrame, pd.DataFrame | None, tuple[str, ...]]:
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
        if not model.solution.story.converged:
            self.remarks.append(f"The components are not final: {model.solution.story.message}")
        for name, found in model.coefficients(self.k, self.level).items():
            self._add("within" if name == "RC" else "between", name, found)
        variances = model.variances()
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
