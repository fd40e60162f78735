# Rscript tests/golden/nlme/make_goldens.R [case ...]        (from the root of the checkout; some minutes for all)
# nlme::lme with residual correlation, unequal residual variances and prior weights. Reads data/<case>.csv, writes <case>.json.

suppressMessages(library(nlme))
HERE <- "tests/golden/nlme"
for (part in c("dense.R", "record.R")) source(file.path(HERE, part))

INTERCEPT <- "outcome ~ alliance_within + severity + time + (1 | patient_id)"
SLOPE <- "outcome ~ alliance_within + severity + time + (1 + time | patient_id)"
NESTED <- "outcome ~ alliance_within + severity + time + (1 | therapist_id/patient_id)"
car1 <- list(residual = "car1", time = "time", group = "patient_id")
ar1 <- list(residual = "ar1", time = "time", group = "patient_id")
with_ <- function(how, ...) c(how, list(...))
on <- function(formula, outcome) sub("^outcome", outcome, formula)

CASES <- list(
  growth_gaps = list(
    intercept_car1 = list(INTERCEPT, car1),
    slope_car1 = list(SLOPE, car1),
    slope_variance = list(SLOPE, list(stratum = "phase")),
    slope_car1_variance = list(SLOPE, with_(car1, stratum = "phase")),
    slope_weights = list(on(SLOPE, "outcome_weighted"), list(weights = "n_items")),
    slope_car1_variance_weights = list(on(SLOPE, "outcome_weighted"), with_(car1, stratum = "phase", weights = "n_items")),
    slope_car1_offset = list(on(SLOPE, "outcome_offset"), with_(car1, offset = "baseline"))),
  equal_times = list(intercept_ar1 = list(INTERCEPT, ar1), slope_ar1 = list(SLOPE, ar1), slope_car1 = list(SLOPE, car1)),
  negative_correlation = list(intercept_ar1 = list(INTERCEPT, ar1), slope_ar1 = list(SLOPE, ar1)),
  nested_gaps = list(
    nested_car1 = list(NESTED, car1),
    nested_variance = list(NESTED, list(stratum = "phase")),
    nested_car1_variance = list(NESTED, with_(car1, stratum = "phase"))))

# ---- the same model in nlme ------------------------------------------------------------------------------------------

RANDOM <- list(INTERCEPT = ~ 1 | patient_id, SLOPE = ~ 1 + time | patient_id, NESTED = ~ 1 | therapist_id/patient_id)

random_part <- function(formula) {
  if (grepl("therapist", formula)) RANDOM$NESTED else if (grepl("1 + time", formula, fixed = TRUE)) RANDOM$SLOPE else RANDOM$INTERCEPT
}

fit_nlme <- function(formula, frame, reml, how) {
  outcome <- sub(" ~.*", "", formula)
  if (!is.null(how$offset)) frame[[outcome]] <- frame[[outcome]] - frame[[how$offset]]
  fixed <- as.formula(paste(outcome, "~ alliance_within + severity + time"))
  random <- random_part(formula)
  inner <- if (grepl("therapist", formula)) ~ time | therapist_id/patient_id else ~ time | patient_id
  if (!is.null(how$weights)) frame$inverse_weight <- 1 / frame[[how$weights]]
  known <- if (!is.null(how$weights)) varFixed(~ inverse_weight)
  strata <- if (!is.null(how$stratum)) varIdent(form = ~ 1 | phase)
  weights <- if (is.null(known)) strata else if (is.null(strata)) known else varComb(known, strata)
  correlation <- if (is.null(how$residual)) NULL else if (how$residual == "car1") corCAR1(0.3, form = inner) else corAR1(0.2, form = inner)
  control <- lmeControl(maxIter = 500, msMaxIter = 2000, niterEM = 50, tolerance = 1e-10, msTol = 1e-12, msMaxEval = 1e5,
                        opt = "nlminb", returnObject = TRUE)
  suppressWarnings(do.call(lme, list(fixed = fixed, data = frame, random = random, correlation = correlation,
                                     weights = weights, method = if (reml) "REML" else "ML", control = control)))
}

# nlme's estimates as parameters of the dense problem, so that both speak of the same point.
parameters_from <- function(fit, problem) {
  # nlme lists the innermost level first, as lme4 does
  matrices <- lapply(names(problem$groups), function(g) {
    name <- if (grepl(":", g)) sub(":.*", "", g) else g
    t(chol(as.matrix(fit$modelStruct$reStruct[[name]])))  # relative to sigma^2
  })
  theta <- unlist(lapply(matrices, function(L) L[lower.tri(L, diag = TRUE)]))
  rho <- if (!is.null(fit$modelStruct$corStruct)) coef(fit$modelStruct$corStruct, unconstrained = FALSE)
  ratios <- strata_of(fit)
  if (nlevels(problem$stratum) > 1) ratios <- ratios[levels(problem$stratum)]
  # nlme's sigma belongs to its first stratum, ours to the first in the alphabet: relative covariances follow
  first <- if (length(ratios)) ratios[[1]] else 1
  c(theta / first, rho, log(ratios[-1] / first))
}

strata_of <- function(fit) {
  weights <- fit$modelStruct$varStruct
  if (inherits(weights, "varComb")) weights <- weights[[2]]
  if (!inherits(weights, "varIdent")) return(numeric(0))
  coef(weights, unconstrained = FALSE, allCoef = TRUE)
}

record_fit <- function(case, label, frame, reml) {
  formula <- CASES[[case]][[label]][[1]]
  how <- CASES[[case]][[label]][[2]]
  problem <- problem_of(formula, frame, reml, how)
  fit <- fit_nlme(formula, frame, reml, how)
  there <- parameters_from(fit, problem)
  solved <- solve_dense(problem, there)
  record <- record_dense(problem, solved, levels_in(as.formula(formula), frame))
  dense_there <- solution_at(problem, there)
  tool <- list(log_likelihood = as.numeric(logLik(fit)), n_parameters = attr(logLik(fit), "df"),
               criterion_minus_dense_at_its_optimum = -2 * as.numeric(logLik(fit)) - dense_there$criterion,
               above_the_optimum = dense_there$criterion - record$criterion,
               estimate = as.list(fixef(fit)), std_error = as.list(sqrt(diag(vcov(fit)))),
               std_error_largest_relative_difference_from_dense =
                 max(abs(sqrt(diag(vcov(fit)) / (dense_there$sigma^2 * diag(dense_there$C))) - 1)),
               sigma = fit$sigma, aic = AIC(fit), bic = BIC(fit))
  c(our_call(formula, reml, how), record, list(nlme = tool))
}

make_case <- function(case) {
  set.seed(1)
  frame <- read.csv(file.path(HERE, "data", paste0(case, ".csv")), stringsAsFactors = TRUE)
  fits <- list()
  for (label in names(CASES[[case]])) for (reml in c(TRUE, FALSE)) {
    key <- paste(label, if (reml) "REML" else "ML", sep = "_")
    fits[[key]] <- record_fit(case, label, frame, reml)
    tell(case, key, fits[[key]], fits[[key]]$nlme$criterion_minus_dense_at_its_optimum, fits[[key]]$nlme$above_the_optimum)
  }
  write_golden(list(case = case, data = paste0("data/", case, ".csv"),
                    versions = tool_versions(c("nlme", "lme4", "numDeriv", "jsonlite")), fits = fits),
               file.path(HERE, paste0(case, ".json")))
}

wanted <- commandArgs(trailingOnly = TRUE)
for (case in if (length(wanted)) wanted else names(CASES)) make_case(case)
