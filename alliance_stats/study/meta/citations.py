"""What to cite for each method; the reference list holds what was used, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reference:
    """A work: how the text names it, and its entry in the list."""

    short: str
    full: str


#: By short key; entries are in APA style.
REFERENCES = {
    "fisher": Reference(
        "Fisher, 1921",
        "Fisher, R. A. (1921). On the “probable error” of a coefficient of correlation deduced from a small sample. "
        "Metron, 1, 3–32.",
    ),
    "che": Reference(
        "Pustejovsky & Tipton, 2022",
        "Pustejovsky, J. E., & Tipton, E. (2022). Meta-analysis with robust variance estimation: Expanding the range "
        "of working models. Prevention Science, 23, 425–438. https://doi.org/10.1007/s11121-021-01246-3",
    ),
    "three level": Reference(
        "Konstantopoulos, 2011",
        "Konstantopoulos, S. (2011). Fixed effects and variance components estimation in three-level meta-analysis. "
        "Research Synthesis Methods, 2(1), 61–76. https://doi.org/10.1002/jrsm.35",
    ),
    "cr2": Reference(
        "Pustejovsky & Tipton, 2018",
        "Pustejovsky, J. E., & Tipton, E. (2018). Small-sample methods for cluster-robust variance estimation and "
        "hypothesis testing in fixed effects models. Journal of Business & Economic Statistics, 36(4), 672–683. "
        "https://doi.org/10.1080/07350015.2016.1247004",
    ),
    "small sample": Reference(
        "Tipton, 2015",
        "Tipton, E. (2015). Small sample adjustments for robust variance estimation with meta-regression. "
        "Psychological Methods, 20(3), 375–393. https://doi.org/10.1037/met0000011",
    ),
    "htz": Reference(
        "Tipton & Pustejovsky, 2015",
        "Tipton, E., & Pustejovsky, J. E. (2015). Small-sample adjustments for tests of moderators and model fit "
        "using robust variance estimation in meta-regression. Journal of Educational and Behavioral Statistics, "
        "40(6), 604–634. https://doi.org/10.3102/1076998615606099",
    ),
    "moment weights": Reference(
        "Hedges et al., 2010",
        "Hedges, L. V., Tipton, E., & Johnson, M. C. (2010). Robust variance estimation in meta-regression with "
        "dependent effect size estimates. Research Synthesis Methods, 1(1), 39–65. https://doi.org/10.1002/jrsm.5",
    ),
    "gosh": Reference(
        "Olkin et al., 2012",
        "Olkin, I., Dahabreh, I. J., & Trikalinos, T. A. (2012). GOSH – a graphical display of study heterogeneity. "
        "Research Synthesis Methods, 3(3), 214–223. https://doi.org/10.1002/jrsm.1053",
    ),
    "estimators": Reference(
        "Viechtbauer, 2005",
        "Viechtbauer, W. (2005). Bias and efficiency of meta-analytic variance estimators in the random-effects "
        "model. Journal of Educational and Behavioral Statistics, 30(3), 261–293. "
        "https://doi.org/10.3102/10769986030003261",
    ),
    "DL": Reference(
        "DerSimonian & Laird, 1986",
        "DerSimonian, R., & Laird, N. (1986). Meta-analysis in clinical trials. Controlled Clinical Trials, 7(3), "
        "177–188. https://doi.org/10.1016/0197-2456(86)90046-2",
    ),
    "PM": Reference(
        "Paule & Mandel, 1982",
        "Paule, R. C., & Mandel, J. (1982). Consensus values and weighting factors. Journal of Research of the "
        "National Bureau of Standards, 87(5), 377–385. https://doi.org/10.6028/jres.087.022",
    ),
    "knha": Reference(
        "Knapp & Hartung, 2003",
        "Knapp, G., & Hartung, J. (2003). Improved tests for a random effects meta-regression with a single "
        "covariate. Statistics in Medicine, 22(17), 2693–2710. https://doi.org/10.1002/sim.1482",
    ),
    "q profile": Reference(
        "Viechtbauer, 2007",
        "Viechtbauer, W. (2007). Confidence intervals for the amount of heterogeneity in meta-analysis. Statistics "
        "in Medicine, 26(1), 37–52. https://doi.org/10.1002/sim.2514",
    ),
    "i2": Reference(
        "Higgins & Thompson, 2002",
        "Higgins, J. P. T., & Thompson, S. G. (2002). Quantifying heterogeneity in a meta-analysis. Statistics in "
        "Medicine, 21(11), 1539–1558. https://doi.org/10.1002/sim.1186",
    ),
    "prediction": Reference(
        "Higgins et al., 2009",
        "Higgins, J. P. T., Thompson, S. G., & Spiegelhalter, D. J. (2009). A re-evaluation of random-effects "
        "meta-analysis. Journal of the Royal Statistical Society: Series A, 172(1), 137–159. "
        "https://doi.org/10.1111/j.1467-985X.2008.00552.x",
    ),
    "orchard": Reference(
        "Nakagawa et al., 2021",
        "Nakagawa, S., Lagisz, M., O’Dea, R. E., Rutkowska, J., Yang, Y., Noble, D. W. A., & Senior, A. M. (2021). "
        "The orchard plot: Cultivating a forest plot for use in ecology, evolution, and beyond. Research Synthesis "
        "Methods, 12(1), 4–12. https://doi.org/10.1002/jrsm.1424",
    ),
    "contours": Reference(
        "Peters et al., 2008",
        "Peters, J. L., Sutton, A. J., Jones, D. R., Abrams, K. R., & Rushton, L. (2008). Contour-enhanced "
        "meta-analysis funnel plots help distinguish publication bias from other causes of asymmetry. Journal of "
        "Clinical Epidemiology, 61(10), 991–996. https://doi.org/10.1016/j.jclinepi.2007.11.010",
    ),
    "egger": Reference(
        "Egger et al., 1997",
        "Egger, M., Davey Smith, G., Schneider, M., & Minder, C. (1997). Bias in meta-analysis detected by a simple, "
        "graphical test. BMJ, 315, 629–634. https://doi.org/10.1136/bmj.315.7109.629",
    ),
    "dependent bias": Reference(
        "Rodgers & Pustejovsky, 2021",
        "Rodgers, M. A., & Pustejovsky, J. E. (2021). Evaluating meta-analytic methods to detect selective reporting "
        "in the presence of dependent effect sizes. Psychological Methods, 26(2), 141–160. "
        "https://doi.org/10.1037/met0000300",
    ),
    "trim and fill": Reference(
        "Duval & Tweedie, 2000",
        "Duval, S., & Tweedie, R. (2000). Trim and fill: A simple funnel-plot–based method of testing and adjusting "
        "for publication bias in meta-analysis. Biometrics, 56(2), 455–463. "
        "https://doi.org/10.1111/j.0006-341X.2000.00455.x",
    ),
    "pet peese": Reference(
        "Stanley & Doucouliagos, 2014",
        "Stanley, T. D., & Doucouliagos, H. (2014). Meta-regression approximations to reduce publication selection "
        "bias. Research Synthesis Methods, 5(1), 60–78. https://doi.org/10.1002/jrsm.1095",
    ),
    "step functions": Reference(
        "Vevea & Hedges, 1995",
        "Vevea, J. L., & Hedges, L. V. (1995). A general linear model for estimating effect size in the presence of "
        "publication bias. Psychometrika, 60(3), 419–435. https://doi.org/10.1007/BF02294384",
    ),
    "fixed weights": Reference(
        "Vevea & Woods, 2005",
        "Vevea, J. L., & Woods, C. M. (2005). Publication bias in research synthesis: Sensitivity analysis using a "
        "priori weight functions. Psychological Methods, 10(4), 428–443. https://doi.org/10.1037/1082-989X.10.4.428",
    ),
    "cluster bootstrap": Reference(
        "Pustejovsky et al., 2025",
        "Pustejovsky, J. E., Citkowicz, M., & Joshi, M. (2025). Estimation and inference for step-function selection "
        "models in meta-analysis with dependent effects. MetaArXiv.",
    ),
    "p-uniform*": Reference(
        "van Aert & van Assen, 2018",
        "van Aert, R. C. M., & van Assen, M. A. L. M. (2018). Correcting for publication bias in a meta-analysis with "
        "the p-uniform* method. MetaArXiv. https://doi.org/10.31222/osf.io/zqjr9",
    ),
    "no best method": Reference(
        "Carter et al., 2019",
        "Carter, E. C., Schönbrodt, F. D., Gervais, W. M., & Hilgard, J. (2019). Correcting for bias in psychology: A "
        "comparison of meta-analytic methods. Advances in Methods and Practices in Psychological Science, 2(2), "
        "115–144. https://doi.org/10.1177/2515245919847196",
    ),
    "aggregate": Reference(
        "Gleser & Olkin, 2009",
        "Gleser, L. J., & Olkin, I. (2009). Stochastically dependent effect sizes. In H. Cooper, L. V. Hedges, & "
        "J. C. Valentine (Eds.), The handbook of research synthesis and meta-analysis (2nd ed., pp. 357–376). Russell "
        "Sage Foundation.",
    ),
    "influence": Reference(
        "Viechtbauer & Cheung, 2010",
        "Viechtbauer, W., & Cheung, M. W.-L. (2010). Outlier and influence diagnostics for meta-analysis. Research "
        "Synthesis Methods, 1(2), 112–125. https://doi.org/10.1002/jrsm.11",
    ),
}


@dataclass
class Citations:
    """Collects what is cited while a report is written."""

    used: set[str] = field(default_factory=set)

    def cite(self, *keys: str) -> str:
        """Cite works in parentheses: ``"(Egger et al., 1997; Tipton, 2015)"``."""
        self.used |= set(keys)
        return f"({'; '.join(sorted(REFERENCES[key].short for key in keys))})"

    def entries(self) -> tuple[str, ...]:
        """The reference list, sorted by author."""
        return tuple(sorted((REFERENCES[key].full for key in self.used), key=str.casefold))
