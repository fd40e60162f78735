# Rscript tests/golden/glmmtmb/make_goldens.R [case ...]        (from the root of the checkout; some minutes for all)
# glmmTMB with crossed therapists and AR(1), continuous-time AR(1) (its "ou") or unequal residual variances. Reads
# data/<case>.csv, writes <case>.json.
#
# In glmmTMB a residual correlation is a random effect per row (ar1 or ou over a factor of times) with the residual itself
# switched off by dispformula = ~0. "Off" means a residual SD of sqrt(sqrt(machine epsilon)) = 1.2e-4, which the dense
# computation copies when it checks glmmTMB's log-likelihood, and leaves out where the optimum is taken.

suppressMessages(library(glmmTMB))
HERE <- "tests/golden/glmmtmb"
for (part in c("dense.R", "record.R")) source(file.path("tests/golden/nlme", part))

INTERCEPTS <- "outcome ~ alliance_within + severity + time + (1 | patient_id) + (1 | therapist_id)"
SLOPE <- "outcome ~ alliance_within + severity + time + (1 + time | patient_id) + (1 | therapist_id)"
ar1 <- list(residual = "ar1", time = "session", group = "patient_id")
car1 <- list(residual = "car1", time = "time", group = "patient_id")

CASES <- list(
  crossed_equal = list(intercepts_ar1 = list(INTERCEPTS, ar1), slope_ar1 = list(SLOPE, ar1)),
  crossed_variances = list(intercepts_variance = list(INTERCEPTS, list(stratum = "phase")),
                           slope_variance = list(SLOPE, list(stratum = "phase"))),
  crossed_gaps = list(intercepts_car1 = list(INTERCEPTS, car1), slope_car1 = list(SLOPE, car1)))

fit_glmmTMB <- function(formula, frame, reml, how) {
  dispersion <- ~ 1
  if (!is.null(how$stratum)) dispersion <- ~ phase
  if (!is.null(how$residual)) {
    dispersion <- ~ 0
    if (how$residual == "ar1") {
      frame$times <- factor(frame[[how$time]])
      formula <- paste(formula, "+ ar1(times + 0 | patient_id)")
    } else {
      frame$times <- numFactor(frame[[how$time]])
      formula <- paste(formula, "+ ou(times + 0 | patient_id)")
    }
  }
  glmmTMB(as.formula(formula), frame, dispformula = dispersion, REML = reml,
          control = glmmTMBControl(optCtrl = list(iter.max = 2000, eval.max = 3000, rel.tol = 1e-14)))
}

# glmmTMB's estimates as parameters of the dense problem, with the residual SD that it calls none.
parameters_from <- function(fit, problem, how) {
  blocks <- VarCorr(fit)$cond
  own <- blocks[!vapply(blocks, function(b) !is.null(attr(b, "blockCode")) && names(attr(b, "blockCode")) %in% c("ar1", "ou"), TRUE)]
  structured <- blocks[vapply(blocks, function(b) names(attr(b, "blockCode")) %in% c("ar1", "ou"), TRUE)]
  rho <- NULL; logs <- NULL; nugget <- 0
  if (length(structured)) {
    block <- structured[[1]]
    sigma <- attr(block, "stddev")[[1]]
    # theta of ou: log SD, log rate; of ar1: log SD, and rho = t / sqrt(1 + t^2)
    last <- tail(fit$fit$par[names(fit$fit$par) == "theta"], 1)
    rho <- if (how$residual == "ar1") last / sqrt(1 + last^2) else exp(-exp(last))
    nugget <- sqrt(.Machine$double.eps) / sigma^2
  } else {
    beta <- fixef(fit)$disp  # of the log variance; the first phase in the alphabet is the reference
    sigma <- exp(beta[[1]] / 2)
    logs <- beta[-1] / 2
  }
  L <- lapply(names(problem$groups), function(g) t(chol(matrix(own[[g]], nrow(own[[g]])))) / sigma)
  list(par = unname(c(unlist(lapply(L, function(l) l[lower.tri(l, diag = TRUE)])), rho, logs)), sigma = sigma, nugget = nugget)
}

# -2 log L of the dense problem at glmmTMB's own parameters, sigma among them.
criterion_there <- function(problem, at) {
  V <- V_of(problem, at$par) + diag(at$nugget, length(problem$y))
  dense <- solution_at(problem, at$par, V)
  dense$dets + dense$m * log(2 * pi * at$sigma^2) + dense$rss / at$sigma^2
}

record_fit <- function(case, label, frame, reml) {
  formula <- CASES[[case]][[label]][[1]]
  how <- CASES[[case]][[label]][[2]]
  problem <- problem_of(formula, frame, reml, how)
  fit <- fit_glmmTMB(formula, frame, reml, how)
  at <- parameters_from(fit, problem, how)
  solved <- solve_dense(problem, at$par)
  record <- record_dense(problem, solved, levels_in(as.formula(formula), frame))
  names <- names(fixef(fit)$cond)
  tool <- list(log_likelihood = as.numeric(logLik(fit)), n_parameters = attr(logLik(fit), "df"),
               criterion_minus_dense_at_its_optimum = -2 * as.numeric(logLik(fit)) - criterion_there(problem, at),
               above_the_optimum = -2 * as.numeric(logLik(fit)) - record$criterion,
               estimate = as.list(fixef(fit)$cond), std_error = as.list(setNames(sqrt(diag(vcov(fit)$cond)), names)))
  c(our_call(formula, reml, how), record, list(glmmTMB = tool))
}

make_case <- function(case) {
  set.seed(1)
  frame <- read.csv(file.path(HERE, "data", paste0(case, ".csv")), stringsAsFactors = TRUE)
  fits <- list()
  for (label in names(CASES[[case]])) for (reml in c(TRUE, FALSE)) {
    key <- paste(label, if (reml) "REML" else "ML", sep = "_")
    fits[[key]] <- record_fit(case, label, frame, reml)
    tell(case, key, fits[[key]], fits[[key]]$glmmTMB$criterion_minus_dense_at_its_optimum, fits[[key]]$glmmTMB$above_the_optimum)
  }
  write_golden(list(case = case, data = paste0("data/", case, ".csv"),
                    versions = tool_versions(c("glmmTMB", "TMB", "lme4", "numDeriv", "jsonlite")), fits = fits),
               file.path(HERE, paste0(case, ".json")))
}

wanted <- commandArgs(trailingOnly = TRUE)
for (case in if (length(wanted)) wanted else names(CASES)) make_case(case)
