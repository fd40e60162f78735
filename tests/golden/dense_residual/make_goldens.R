# Rscript tests/golden/dense_residual/make_goldens.R        (from the root of the checkout; some minutes)
# Models that no tool in R fits in one call: crossed therapists with CAR(1) residuals *and* unequal residual variances, prior
# weights, offsets, and episodes (patient by therapist) as residual groups. By dense algebra alone (../nlme/dense.R, which
# agrees with nlme and glmmTMB where these can follow). Reads ../glmmtmb/data, writes fits.json.

HERE <- "tests/golden/dense_residual"
for (part in c("dense.R", "record.R")) source(file.path("tests/golden/nlme", part))

INTERCEPTS <- "outcome ~ alliance_within + severity + time + (1 | patient_id) + (1 | therapist_id)"
SLOPE <- "outcome ~ alliance_within + severity + time + (1 + time | patient_id) + (1 | therapist_id)"
UNCORRELATED <- "outcome ~ alliance_within + severity + time + (1 + time || patient_id) + (1 | therapist_id)"
car1 <- list(residual = "car1", time = "time", group = "patient_id")
with_ <- function(how, ...) modifyList(how, list(...))
on <- function(formula, outcome) sub("^outcome", outcome, formula)

CASES <- list(
  crossed_gaps = list(
    slope_car1_variance = list(SLOPE, with_(car1, stratum = "phase")),
    uncorrelated_car1_variance = list(UNCORRELATED, with_(car1, stratum = "phase")),
    intercepts_car1_variance_weights = list(on(INTERCEPTS, "outcome_weighted"),
                                            with_(car1, stratum = "phase", weights = "n_items")),
    slope_car1_variance_offset = list(on(SLOPE, "outcome_offset"), with_(car1, stratum = "phase", offset = "baseline")),
    intercepts_car1_variance_by_episode = list(INTERCEPTS, with_(car1, group = "episode", stratum = "phase"))),
  crossed_equal = list(
    slope_ar1_variance = list(SLOPE, list(residual = "ar1", time = "session", group = "patient_id", stratum = "phase"))))

set.seed(1)
fits <- list()
for (case in names(CASES)) {
  frame <- read.csv(file.path("tests/golden/glmmtmb/data", paste0(case, ".csv")), stringsAsFactors = TRUE)
  for (label in names(CASES[[case]])) for (reml in c(TRUE, FALSE)) {
    formula <- CASES[[case]][[label]][[1]]
    how <- CASES[[case]][[label]][[2]]
    problem <- problem_of(formula, frame, reml, how)
    key <- paste(label, if (reml) "REML" else "ML", sep = "_")
    fits[[key]] <- c(list(data = paste0("../glmmtmb/data/", case, ".csv")), our_call(formula, reml, how),
                     record_dense(problem, solve_dense(problem, n_starts = 6), levels_in(as.formula(formula), frame)))
    tell(case, key, fits[[key]])
  }
}
write_golden(list(versions = tool_versions(c("lme4", "numDeriv", "jsonlite")), fits = fits), file.path(HERE, "fits.json"))
