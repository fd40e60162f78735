# Rscript tests/golden/lme4_weights/make_goldens.R        (from the root of the checkout; a minute or two)
# lme4's and lmerTest's weights= and offset=. Reads data of ../nlme and ../glmmtmb, writes fits.json. Residual variance of a row
# is sigma^2 / weight, and the criterion counts log(weight) as a density does; the dense computation (../nlme/dense.R) agrees.

suppressMessages(library(lmerTest))
HERE <- "tests/golden/lme4_weights"
for (part in c("dense.R", "record.R")) source(file.path("tests/golden/nlme", part))

SLOPE <- "outcome ~ alliance_within + severity + time + (1 + time | patient_id)"
CROSSED <- "outcome ~ alliance_within + severity + time + (1 + time | patient_id) + (1 | therapist_id)"
on <- function(formula, outcome) sub("^outcome", outcome, formula)

CASES <- list(
  slope_weights = list("../nlme/data/growth_gaps.csv", on(SLOPE, "outcome_weighted"), list(weights = "n_items")),
  slope_offset = list("../nlme/data/growth_gaps.csv", on(SLOPE, "outcome_offset"), list(offset = "baseline")),
  crossed_weights = list("../glmmtmb/data/crossed_equal.csv", on(CROSSED, "outcome_weighted"), list(weights = "n_items")),
  crossed_weights_offset = list("../glmmtmb/data/crossed_equal.csv", on(CROSSED, "outcome_offset"),
                                list(weights = "n_items", offset = "baseline")))

fit_lme4 <- function(formula, frame, reml, how) {
  arguments <- list(formula = as.formula(formula), data = frame, REML = reml,
                    control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), calc.derivs = FALSE))
  if (!is.null(how$weights)) arguments$weights <- frame[[how$weights]]
  if (!is.null(how$offset)) arguments$offset <- frame[[how$offset]]
  do.call(lmerTest::lmer, arguments)
}

set.seed(1)
fits <- list()
for (label in names(CASES)) for (reml in c(TRUE, FALSE)) {
  data <- CASES[[label]][[1]]; formula <- CASES[[label]][[2]]; how <- CASES[[label]][[3]]
  frame <- read.csv(file.path(HERE, data), stringsAsFactors = TRUE)
  fit <- fit_lme4(formula, frame, reml, how)
  problem <- problem_of(formula, frame, reml, how)
  there <- lme4::getME(fit, "theta")
  solved <- solve_dense(problem, unname(there))
  criterion <- as.numeric(if (reml) lme4::REMLcrit(fit) else deviance(fit, REML = FALSE))
  key <- paste(label, if (reml) "REML" else "ML", sep = "_")
  record <- record_dense(problem, solved, levels_in(as.formula(formula), frame))
  tool <- list(criterion = criterion,
               criterion_minus_dense_at_its_optimum = criterion - solution_at(problem, unname(there))$criterion,
               above_the_optimum = criterion - record$criterion, estimate = as.list(fixef(fit)),
               std_error = as.list(sqrt(diag(as.matrix(vcov(fit))))),
               lmerTest_df = as.list(summary(fit)$coefficients[, "df"]), n_parameters = attr(logLik(fit), "df"))
  fits[[key]] <- c(list(data = data), our_call(formula, reml, how), record, list(lme4 = tool))
  tell(label, key, fits[[key]], tool$criterion_minus_dense_at_its_optimum, tool$above_the_optimum)
}
write_golden(list(versions = tool_versions(c("lme4", "lmerTest", "numDeriv", "jsonlite")), fits = fits), file.path(HERE, "fits.json"))
