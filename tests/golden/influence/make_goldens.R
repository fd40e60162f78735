# Rscript tests/golden/influence/make_goldens.R        (from the root of the checkout; a minute)
# Influence of every level of a grouping by refitting lme4 without its rows: estimates, standard errors, variances, DFBETAS and
# Cook's distances as influence.ME defines them (Nieuwenhuis et al. 2012), and the ratio of the determinants of vcov().
# Writes influence.json. The fits use the data of tests/golden/lme4 and a strict optimiser.

suppressMessages({library(lme4); library(jsonlite)})
control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), calc.derivs = FALSE, check.conv.singular = "ignore")
cases <- list(
  crossed_therapists = list("crossed", "alliance ~ session0 + after_change + since + (1 + session0 | patient_id) + (1 | therapist_id)", "therapist_id"),
  crossed_patients = list("crossed", "alliance ~ session0 + after_change + since + (1 + session0 | patient_id) + (1 | therapist_id)", "patient_id"),
  unbalanced_therapists = list("unbalanced", "outcome ~ alliance_within * phase + alliance_between + (1 | patient_id) + (1 | therapist_id)", "therapist_id"))

one <- function(case) {
  frame <- read.csv(file.path("tests/golden/lme4/data", paste0(case[[1]], ".csv")), colClasses = "character")
  for (name in setdiff(names(frame), c("patient_id", "therapist_id", "phase"))) frame[[name]] <- as.numeric(frame[[name]])
  fit <- function(rows) lmer(as.formula(case[[2]]), frame[rows, ], control = control)
  variances <- function(model) as.data.frame(VarCorr(model))
  full <- fit(TRUE); b <- fixef(full); V <- as.matrix(vcov(full))
  levels <- unique(frame[[case[[3]]]])
  without <- lapply(levels, function(level) {
    model <- fit(frame[[case[[3]]]] != level); bi <- fixef(model); Vi <- as.matrix(vcov(model)); v <- variances(model)
    list(level = level, n_obs = sum(frame[[case[[3]]]] == level), estimate = unname(bi), std_error = unname(sqrt(diag(Vi))),
         dfbetas = unname((b - bi) / sqrt(diag(Vi))), cooks_distance = drop((b - bi) %*% solve(V, b - bi)) / length(b),
         cov_ratio = det(Vi) / det(V), vcov = v$vcov, singular = isSingular(model, tol = 1e-7))
  })
  v <- variances(full)
  list(data = case[[1]], formula = case[[2]], group = case[[3]], terms = names(b), components = paste(v$grp, v$var1, v$var2), without = without)
}
result <- list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4"))), cases = lapply(cases, one))
writeLines(toJSON(result, digits = NA, auto_unbox = TRUE), "tests/golden/influence/influence.json", useBytes = TRUE)
