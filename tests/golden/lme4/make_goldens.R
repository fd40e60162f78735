# Rscript tests/golden/lme4/make_goldens.R [case ...]        (from the root of the checkout; about five minutes for all)
# Reads data/<case>.csv, writes <case>.json. IMPLEMENT is read from $ALLIANCE_STATS_DATA and skipped where that is not set.

suppressMessages({library(lme4); library(lmerTest)})
HERE <- "tests/golden/lme4"
for (part in c("dense.R", "solve.R", "record.R")) source(file.path(HERE, part))

CASES <- list(
  growth = list(
    correlated = alliance ~ session0 + (1 + session0 | patient_id),
    uncorrelated = alliance ~ session0 + (1 + session0 || patient_id),
    intercept = alliance ~ session0 + (1 | patient_id)),
  rescaled = list(
    thousands = alliance_small ~ session_thousands + (1 + session_thousands | patient_id),
    thousandths = alliance_small ~ session_thousandths + (1 + session_thousandths | patient_id)),
  nested = list(
    intercepts = outcome ~ session0 + (1 | site_id/therapist_id/patient_id),
    patient_slope = outcome ~ session0 + (1 | site_id/therapist_id) + (1 + session0 | patient_id)),
  crossed = list(
    model = alliance ~ session0 + after_change + since + (1 + session0 | patient_id) + (1 | therapist_id)),
  crossed_slopes = list(
    model = alliance ~ session0 + after_change + since + (1 + session0 | patient_id) + (1 + session0 | therapist_id)),
  crossed_items = list(model = rating ~ 1 + (1 | patient_id) + (1 | rater_id)),
  unbalanced = list(
    model = outcome ~ alliance_within * phase + alliance_between + (1 + alliance_within | patient_id) + (1 | therapist_id)),
  three_slopes = list(model = outcome ~ s + s2 + (1 + s + s2 | patient_id)),
  four_effects = list(model = outcome ~ x1 + x2 + x3 + (1 + x1 + x2 + x3 | patient_id)),
  boundary_intercept = list(model = outcome ~ session0 + (1 | patient_id) + (1 | therapist_id)),
  boundary_slope = list(
    correlated = outcome ~ session0 + (1 + session0 | patient_id),
    uncorrelated = outcome ~ session0 + (1 + session0 || patient_id)),
  boundary_first = list(correlated = y ~ x + (1 + x | g), uncorrelated = y ~ x + (1 + x || g)),
  boundary_first_trap = list(correlated = y ~ x + (1 + x | g), uncorrelated = y ~ x + (1 + x || g)),
  boundary_first_mirrored = list(correlated = y ~ x + (1 + x | g), uncorrelated = y ~ x + (1 + x || g)),
  intercept_only = list(model = alliance ~ 1 + (1 | patient_id)))

DATA_OF <- c(rescaled = "growth")

versions <- function() {
  packages <- c("lme4", "lmerTest", "Matrix", "nloptr", "minqa", "numDeriv", "jsonlite")
  c(list(R = R.version.string), lapply(setNames(nm = packages), function(p) as.character(packageVersion(p))))
}

# Balanced one-way layout, by hand: mean squares between and within patients.
one_way <- function(frame, m = 5, a = 20) {
  means <- tapply(frame$alliance, frame$patient_id, mean)
  msb <- m * sum((means - mean(means))^2) / (a - 1)
  msw <- sum((frame$alliance - means[frame$patient_id])^2) / (a * (m - 1))
  list(ms_between = msb, ms_within = msw, intercept = mean(means), sigma2 = msw,
       tau2_REML = (msb - msw) / m, tau2_ML = ((1 - 1 / a) * msb - msw) / m,
       std_error_REML = sqrt(msb / (a * m)), df_REML = a - 1,
       std_error_ML = sqrt((1 - 1 / a) * msb / (a * m)), df_ML = a)
}

write_golden <- function(golden, case) {
  text <- jsonlite::toJSON(golden, digits = NA, auto_unbox = TRUE, na = "null", pretty = TRUE)
  writeLines(text, file.path(HERE, paste0(case, ".json")), useBytes = TRUE)
}

make_case <- function(case) {
  set.seed(1)
  data <- file.path("data", paste0(if (case %in% names(DATA_OF)) DATA_OF[[case]] else case, ".csv"))
  frame <- read.csv(file.path(HERE, data), stringsAsFactors = TRUE)
  fits <- list()
  for (label in names(CASES[[case]])) for (reml in c(TRUE, FALSE)) {
    key <- paste(label, if (reml) "REML" else "ML", sep = "_")
    fits[[key]] <- record_fit(CASES[[case]][[label]], frame, reml)
    report(case, key, fits[[key]])
  }
  golden <- list(case = case, data = data, versions = versions(), fits = fits)
  if (case == "intercept_only") golden$closed_form <- one_way(frame)
  write_golden(golden, case)
}

# The two models that issue 2 names. The data stay where they are; only numbers computed from them are written.
make_implement <- function() {
  folder <- Sys.getenv("ALLIANCE_STATS_DATA")
  path <- file.path(folder, "implement", "implement_composites.csv")
  if (folder == "" || !file.exists(path)) return(message("implement: skipped, ALLIANCE_STATS_DATA does not lead to it"))
  set.seed(1)
  frame <- read.csv(path)
  frame$time0 <- frame$time - 1
  for (id in c("patient", "therapist")) frame[[id]] <- factor(frame[[id]])
  models <- list(wai = wai ~ time0 + (1 + time0 | patient), bai = bai ~ 1 + (1 | patient) + (1 | therapist))
  fits <- list()
  for (label in names(models)) for (reml in c(TRUE, FALSE)) {
    key <- paste(label, if (reml) "REML" else "ML", sep = "_")
    parsed <- lFormula(models[[label]], frame, REML = reml)
    fits[[key]] <- record_fit(models[[label]], frame, reml)
    default <- fit_by_default(models[[label]], frame, reml)
    fits[[paste0(key, "_default")]] <- c(
      list(formula = deparse1(models[[label]]), method = if (reml) "REML" else "ML", REML = reml),
      record_model(default, parsed, reml),
      list(messages = I(as.character(unlist(default@optinfo$conv$lme4$messages)))))
    report("implement", key, fits[[key]])
  }
  write_golden(list(case = "implement", data = "$ALLIANCE_STATS_DATA/implement/implement_composites.csv",
                    sha256 = unname(sub(" .*", "", system2("sha256sum", path, stdout = TRUE))),
                    versions = versions(), fits = fits), "implement")
}

report <- function(case, key, fit) {
  d <- fit$dense_check
  cat(sprintf("%-24s %-20s %.10f  optimizer gap %.1e polish gap %.1e move %.1e step %.1e  dense %.1e vcov %.1e  kkt %.1e %.1e default +%.1e\n",
              case, key, fit$criterion, fit$optimizer_gap, fit$polish_gap, fit$polish_move, fit$polish_last_step,
              d$criterion_difference, d$vcov_largest_relative_difference, d$kkt$gradient_times_factor,
              min(unlist(d$kkt$eigenvalues_per_term)), fit$lme4_default$criterion - fit$criterion))
}

wanted <- commandArgs(trailingOnly = TRUE)
if (length(wanted) == 0) wanted <- c(names(CASES), "implement")
for (case in wanted) if (case == "implement") make_implement() else make_case(case)
