"""PET-PEESE: the effect in a study of infinite size, by a line or by a parabola in the standard error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.errors import DataError, count, did_you_mean
from alliance_stats.meta.bias.egger import AUTO, MODELS, PrecisionFit, cluster_of, fit_precision, with_precision
from alliance_stats.meta.bias.result import BiasResult, as_independent, check_alternative, pooled
from alliance_stats.names import INTERCEPT

if TYPE_CHECKING:
    from alliance_stats.report.sentences import Sentences


@dataclass(frozen=True, eq=False, repr=False)
class PetPeeseResult(BiasResult):
    """PET, PEESE, and which of them counts; see :func:`pet_peese`."""

    pet: PrecisionFit
    peese: PrecisionFit
    model: str
    alternative: str
    alpha: float

    @property
    def p_one_sided(self) -> float:
        """Of PET's intercept, in the direction of ``alternative``."""
        row = self.pet.row(INTERCEPT)
        rising = row["estimate"] > 0 if self.alternative == "greater" else row["estimate"] < 0
        return float(row["p_value"] / 2 if rising else 1 - row["p_value"] / 2)

    @property
    def chosen(self) -> str:
        """``"PEESE"`` where PET finds an effect, else ``"PET"``."""
        return "PEESE" if self.p_one_sided < self.alpha else "PET"

    @property
    def uncorrected(self) -> float:
        """The mean without precision, by the same model."""
        own = self.pet.mean_of_levels
        return super().uncorrected if own is None else own

    def table(self) -> pd.DataFrame:
        """The mean by PET, by PEESE, and the one that counts (``"PET-PEESE"``)."""
        rows = [fit.table[fit.table["term"] == INTERCEPT].assign(term=name) for name, fit in self._fits().items()]
        rows.append(rows[0 if self.chosen == "PET" else 1].assign(term="PET-PEESE"))
        return pd.concat(rows, ignore_index=True)

    def _fits(self) -> dict[str, PrecisionFit]:
        return {"PET": self.pet, "PEESE": self.peese}

    def _found(self) -> Mapping[str, object]:
        fit = self._fits()[self.chosen]
        row = fit.row(INTERCEPT)
        found = {name: row[name] for name in ("estimate", "std_error", "ci_low", "ci_high")}
        converged = self.pet.converged and self.peese.converged
        found |= {"tau2": fit.tau2, "converged": converged, "chosen": self.chosen, "pet_p_one_sided": self.p_one_sided}
        return found | {"model": self.model, "factor": fit.factor}

    def report(self) -> Sentences:
        """Sentences for the results section."""
        from alliance_stats.meta.bias.words import pet_peese_sentences

        return pet_peese_sentences(self)

    def describe(self) -> str:
        """The analysis in words."""
        model = "random effects" if self.model == "random" else "weighted least squares"
        errors = ", errors robust to effects of the same study (CR2)" if self.pet.dependent else ""
        return f"PET-PEESE of {count(len(self.effects), 'effect')}, {model}{errors}; {self.chosen} counts."

    def _remarks(self) -> tuple[str, ...]:
        found = () if self.pet.dependent else as_independent(self.n_repeated, "leave cluster= as it is.")
        found += self.pet.remarks() or self.peese.remarks()
        i2 = self.observed.fit.i2
        if len(self.effects) < 20 or i2 > 80:
            found += (
                f"With {len(self.effects)} effects and I² = {i2:.0f}% PET-PEESE is unreliable (Stanley, 2017, warns "
                "below 20 studies and above 80%).",
            )
        return found


def pet_peese(
    effects: pd.DataFrame,
    model: str = "random",
    *,
    alternative: str = "greater",
    alpha: float = 0.05,
    method: str = "REML",
    test: str = "z",
    cluster: str | None = AUTO,
    rho: float = 0.6,
    level: float = 0.95,
) -> PetPeeseResult:
    """Estimate the effect in a study of infinite size: PET, or PEESE where PET finds an effect.

    Parameters
    ----------
    effects : DataFrame
        ``yi``, ``vi``.
    model : {"random", "multiplicative"}
        As in :func:`egger`; the authors' own form is ``"multiplicative"``.
    alternative : {"greater", "less"}
        Direction of PET's one-sided test.
    alpha : float
        PEESE counts where PET's one-sided p is below this.
    method, test, cluster, rho, level
        As in :func:`egger`.

    References
    ----------
    Stanley & Doucouliagos (2014), Research Synthesis Methods, 5, 60-78; Stanley (2017), Social Psychological and
    Personality Science, 8, 581-591 (its limits).
    """
    if model not in MODELS:
        raise DataError(f"No model {model!r}. {did_you_mean(model, MODELS)}")
    check_alternative(alternative, ("greater", "less"))
    if not 0 < alpha < 1:
        raise DataError(f"alpha is {alpha!r}; it lies between 0 and 1, e.g. 0.05.")
    observed = pooled(effects, 3, "PET-PEESE", [cluster_of(effects, cluster)], method=method, test=test, level=level)
    fits = [
        fit_precision(with_precision(observed.effects, name, "n"), name, model, None, observed, cluster, rho)
        for name in ("sei", "vi")
    ]
    return PetPeeseResult(observed, fits[0], fits[1], model, alternative, alpha)
