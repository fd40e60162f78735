# Time one analysis of metafor, clubSandwich or robumeta: Rscript metafor_timing.R effects.csv task reps
# Prints one line of JSON: CPU seconds of one call (best of reps rounds, of calls for .2 s each), numbers, versions.
suppressMessages({library(metafor); library(clubSandwich); library(robumeta); library(jsonlite)})
given <- commandArgs(TRUE); dat <- read.csv(given[1]); task <- given[2]; reps <- as.integer(given[3])
dat$effect <- seq_len(nrow(dat))
V <- NULL
if (task %in% c("che", "cr2", "htz")) V <- as.matrix(Matrix::bdiag(impute_covariance_matrix(dat$vi, cluster = dat$study, r = .6)))
ml <- function(V, mods = ~ 1) rma.mv(yi, V, mods = mods, random = ~ 1 | study/effect, data = dat, sparse = TRUE)
fit <- if (task == "cr2") ml(V) else if (task == "htz") ml(V, ~ x + z) else NULL
runs <- list(
  pool = function() { f <- rma(yi, vi, data = dat, control = list(threshold = 1e-10)); c(f$beta, f$se, f$tau2) },
  three_level = function() { f <- ml(dat$vi); c(f$beta, f$se, f$sigma2) },
  che = function() { f <- ml(V); c(f$beta, f$se, f$sigma2) },
  cr2 = function() { f <- coef_test(fit, vcov = "CR2", cluster = dat$study); c(f$SE, f$df) },
  htz = function() { f <- Wald_test(fit, constraints = constrain_zero(2:3), vcov = "CR2", cluster = dat$study); c(f$Fstat, f$df_denom) },
  leave_one_out = function() { f <- leave1out(rma(yi, vi, data = dat)); c(f$estimate[1:3], f$tau2[1:3]) },
  robumeta = function() { f <- robu(yi ~ 1, data = dat, studynum = study, var.eff.size = vi, modelweights = "CORR", rho = .8); c(f$reg_table$SE, f$reg_table$dfs) }
)
cpu <- function(n) { t <- system.time(for (i in seq_len(n)) value <<- runs[[task]]()); (t[["user.self"]] + t[["sys.self"]]) / n }
best <- cpu(1)
if (best < 5) for (i in seq_len(reps)) best <- min(best, cpu(max(1, ceiling(.2 / best))))
cat(toJSON(list(seconds = best, numbers = as.numeric(value), versions = paste("metafor", packageVersion("metafor"), "clubSandwich", packageVersion("clubSandwich"), "robumeta", packageVersion("robumeta"))), digits = NA, auto_unbox = TRUE), "\n")
