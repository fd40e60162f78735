# Three-level models of the 102 correlations of positive regard and outcome, by metafor, polished.
#   ALLIANCE_STATS_DATA=... Rscript tests/golden/positive_regard/make.R
# Writes numbers only: the data are GPL-2 and no part of the project.
suppressMessages({library(metafor); library(clubSandwich); library(jsonlite)})
folder <- Sys.getenv("ALLIANCE_STATS_DATA")
dat <- read.csv(file.path(folder, "positive_regard", "positive_regard_es102.csv"))
dat <- escalc(measure = "ZCOR", ri = r, ni = n, data = dat)
tight <- list(optimizer = "nlminb", rel.tol = 1e-11, eval.max = 5000, iter.max = 5000)
fit <- function(V, mods = ~ 1) rma.mv(yi, V, mods = mods, random = ~ 1 | study_id/es_id, data = dat, control = tight)
blocks <- vcalc(vi, cluster = study_id, obs = es_id, rho = 0.6, data = dat)
numbers <- function(m) list(k = m$k, estimate = as.list(setNames(c(m$b), rownames(m$b))),
  std_error = as.list(setNames(m$se, rownames(m$b))), ci_low = as.list(setNames(m$ci.lb, rownames(m$b))),
  ci_high = as.list(setNames(m$ci.ub, rownames(m$b))), variance = list(study = m$sigma2[1], "study/effect" = m$sigma2[2]),
  log_likelihood = c(logLik(m)), q = m$QE)
robust <- function(m) {
  ci <- conf_int(m, vcov = "CR2", cluster = dat$study_id, level = 0.95)
  n <- numbers(m)
  n[c("estimate", "std_error", "ci_low", "ci_high")] <- list(ci$beta, ci$SE, ci$CI_L, ci$CI_U)
  c(n, list(df = ci$df))
}
out <- list(tool = paste("metafor", packageVersion("metafor"), "and clubSandwich", packageVersion("clubSandwich"), "in", R.version.string),
  three_level = numbers(fit(dat$vi)), correlated = numbers(fit(blocks)),
  correlated_robust = robust(fit(blocks)))
write(toJSON(out, digits = NA, auto_unbox = TRUE, pretty = TRUE), "tests/golden/positive_regard/reference.json")
