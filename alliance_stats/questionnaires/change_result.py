"""Who recovered, improved, stayed, deteriorated: the result of reliable and clinically significant change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alliance_stats.engine.reliability.change import ChangeRule, two_sided_criterion, wilson_interval
from alliance_stats.errors import DataError, did_you_mean
from alliance_stats.report.result import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.report.sentences import Sentences
    from alliance_stats.report.tables import ResultTable

Floats = NDArray[np.float64]
#: The groups, best first; without a cutoff nobody is recovered.
GROUPS = ("recovered", "improved", "unchanged", "deteriorated")


@dataclass(frozen=True)
class Spread:
    """Which reliability and standard deviation an index rests on, and whose they are."""

    method: str
    reliability: float
    source: str
    sd: float
    sd_source: str


@dataclass(frozen=True)
class Cutoff:
    """Where the clinical side begins.

    Parameters
    ----------
    value : float
        In points; a score there is on the clinical side.
    source : str
    worse : {-1, 1}
        1 where a higher score is worse.
    mean, reliability, noise, criterion : float
        Of the post scores, where true scores are judged (Hageman and Arrindell); a criterion of 0 means that they are
        not.
    """

    value: float
    source: str
    worse: int
    mean: float = 0.0
    reliability: float = 1.0
    noise: float = 1.0
    criterion: float = 0.0

    def clinical(self, scores: Floats) -> NDArray[np.bool_]:
        """Which scores are on the clinical side."""
        return self.worse * (scores - self.value) >= 0

    def functional_end(self, post: Floats) -> NDArray[np.bool_]:
        """Which post scores are on the functional side, surely so where true scores are judged."""
        if not self.criterion:
            return ~self.clinical(post)
        return self.worse * self.true_distance(post) < -self.criterion

    def true_distance(self, post: Floats) -> Floats:
        """Distance of the true post score from the cutoff, in its standard errors."""
        true = self.mean + (post - self.mean) * self.reliability
        return (true - self.value) / (np.sqrt(self.reliability) * self.noise)


@dataclass(frozen=True, eq=False, repr=False)
class ChangeResult(Shown):
    """Reliable change, and where there is a cutoff clinically significant change.

    Parameters
    ----------
    pairs : DataFrame
        Patient, ``pre_session, post_session, pre, post``.
    patient : str
        Name of the patient column.
    score : str
        Label of the score.
    worse : {-1, 1}
        1 where a higher score is worse.
    rule : ChangeRule
    spread : Spread or None
        Reliability behind the rule; None where a measure publishes points.
    cutoff : Cutoff or None
    compared : str
        Which sessions, in words.
    n_without : int
        Patients without both scores.
    simulated : bool
    """

    pairs: pd.DataFrame = field(repr=False)
    patient: str
    score: str
    worse: int
    rule: ChangeRule
    spread: Spread | None
    cutoff: Cutoff | None
    compared: str
    n_without: int
    simulated: bool = False

    def patients(self) -> pd.DataFrame:
        """One row per patient, with index and group.

        Returns
        -------
        DataFrame
            The patient, ``pre_session, post_session, pre, post, change`` (points), ``index`` (negative: the score
            fell), ``group``; with a cutoff also ``clinical_pre, functional_post`` and ``harmed`` (deteriorated from the
            functional to the clinical side).
        """
        frame = self.pairs.copy()
        pre, post = frame["pre"].to_numpy(float), frame["post"].to_numpy(float)
        frame["change"] = post - pre
        frame["index"] = self.rule.index(pre, post)
        reliable = self.rule.beyond(frame["index"].to_numpy())
        better = reliable & (self.worse * frame["index"].to_numpy() < 0)
        worse = reliable & ~better
        group = np.where(better, "improved", np.where(worse, "deteriorated", "unchanged")).astype(object)
        if self.cutoff is not None:
            ill, well = self.cutoff.clinical(pre), self.cutoff.functional_end(post)
            began = np.ones_like(ill) if self.cutoff.criterion else ill
            group[better & began & well] = "recovered"
            frame["clinical_pre"], frame["functional_post"] = ill, well
            frame["harmed"] = worse & ~ill & self.cutoff.clinical(post)
        frame["group"] = group
        return frame

    def table(self) -> pd.DataFrame:
        """How many are in each group: ``group, n, share, ci_low, ci_high`` (Wilson's 95 % interval)."""
        groups = self.patients()["group"]
        total, z = len(groups), two_sided_criterion()
        names = GROUPS if self.cutoff is not None else GROUPS[1:]
        counts = [int((groups == name).sum()) for name in names]
        ends = np.array([wilson_interval(n, total, z) for n in counts])
        return pd.DataFrame(
            {
                "group": names,
                "n": counts,
                "share": np.array(counts) / total,
                "ci_low": ends[:, 0],
                "ci_high": ends[:, 1],
            }
        )

    def glance(self) -> pd.DataFrame:
        """One row: counts, reliability with its source, standard deviation, error, criterion, cutoff, mean change."""
        spread, cutoff = self.spread, self.cutoff
        change = self.pairs["post"] - self.pairs["pre"]
        return pd.DataFrame(
            {
                "n_patients": [len(self.pairs)],
                "n_without": [self.n_without],
                "method": ["published points" if spread is None else spread.method],
                "reliability": [np.nan if spread is None else spread.reliability],
                "reliability_source": ["" if spread is None else spread.source],
                "sd": [np.nan if spread is None else spread.sd],
                "sd_source": ["" if spread is None else spread.sd_source],
                "error": [self.rule.error],
                "criterion": [self.rule.criterion],
                "reliable_points": [self.rule.half_width],
                "cutoff": [np.nan if cutoff is None else cutoff.value],
                "cutoff_source": ["" if cutoff is None else cutoff.source],
                "mean_change": [float(change.mean())],
            }
        )

    def plot(self, kind: str = "pre_post", ax: Axes | None = None) -> Axes:
        """Draw each patient's post score over the pre score, with the band of no reliable change and the cutoff."""
        if kind != "pre_post":
            raise DataError(f"A result of change has no figure {kind!r}. {did_you_mean(kind, ('pre_post',))}")
        from alliance_stats.questionnaires.change_words import basis
        from alliance_stats.report.figures.pre_post import pre_post

        return pre_post(
            self.patients()[["pre", "post", "group"]],
            self.band(),
            score=self.score,
            basis=basis(self),
            cutoff=None if self.cutoff is None else self.cutoff.value,
            ax=ax,
            simulated=self.simulated,
        )

    def band(self) -> pd.DataFrame:
        """Post scores without reliable change over the range of scores: ``pre, expected, low, high``."""
        scores = self.pairs[["pre", "post"]].to_numpy(float)
        pre = np.array([scores.min(), scores.max()])
        expected = self.rule.expected(pre)
        half = self.rule.half_width
        return pd.DataFrame({"pre": pre, "expected": expected, "low": expected - half, "high": expected + half})

    def report(self) -> Sentences:
        """How many are in each group, by which method, and whose reliability was used."""
        from alliance_stats.questionnaires.change_words import change_report

        return change_report(self)

    def notes(self) -> tuple[str, ...]:
        """Reliability and cutoff with their sources, and patients without both scores."""
        from alliance_stats.questionnaires.change_words import change_notes

        return change_notes(self)

    def describe(self) -> str:
        """What was asked."""
        what = "Reliable change" if self.cutoff is None else "Clinically significant change"
        return f"{what} of {self.score}, {self.compared}, {len(self.pairs)} patients"

    def result_table(self, title: str = "", number: int | None = None) -> ResultTable:
        """The groups as an artefact that writes itself."""
        from alliance_stats.report.sentences import Sentences
        from alliance_stats.report.tables import ResultTable

        what = "Reliable Change" if self.cutoff is None else "Clinically Significant Change"
        frame = self.table().assign(group=lambda t: t["group"].str.capitalize())
        for column in ("share", "ci_low", "ci_high"):
            frame[column] = 100 * frame[column]
        return ResultTable(
            frame,
            title or f"{what} of {self.score}",
            self.notes(),
            formats={"share": "number:1", "ci_low": "interval:1"},
            headings={"group": "", "n": Sentences("*n*"), "share": "%"},
            number=number,
        )
