# Pooling, meta-regression and multilevel models of metafor with clubSandwich's tests, on effects simulated here.
# Run in this folder: Rscript make_models.R
suppressMessages({library(metafor); library(clubSandwich); library(jsonlite)})
set.seed(11)
study <- rep(seq_len(18), times = sample(1:5, 18, replace = TRUE)); k <- length(study)
vi <- round(runif(k, .01, .08), 4); x <- round(rnorm(k), 3); g <- sample(c("a", "b"), k, replace = TRUE)
yi <- round(.3 + .1 * x + .4 * rnorm(18)[study] + .1 * rnorm(k) + sqrt(vi) * rnorm(k), 4)
dat <- data.frame(study, yi, vi, x, g); dat$effect <- seq_len(k)
tight <- list(threshold = 1e-13, maxiter = 10000)
uni <- function(f) list(beta = as.numeric(f$beta), se = f$se, tau2 = f$tau2, I2 = f$I2, QE = f$QE, pval = f$pval)
ci <- confint(rma(yi, vi, data = dat, control = tight), control = list(tol = 1e-13, maxiter = 10000))$random
V <- as.matrix(Matrix::bdiag(impute_covariance_matrix(dat$vi, cluster = dat$study, r = .6)))
mv <- rma.mv(yi, V, mods = ~ x + g, random = ~ 1 | study/effect, data = dat, control = list(rel.tol = 1e-10))
ct <- coef_test(mv, vcov = "CR2", cluster = dat$study); wt <- Wald_test(mv, constraints = constrain_zero(2:3), vcov = "CR2", cluster = dat$study)
res <- list(
  pool_REML = uni(rma(yi, vi, data = dat, control = tight)), pool_DL_knha = uni(rma(yi, vi, data = dat, method = "DL", test = "knha")),
  regress = uni(rma(yi, vi, mods = ~ x + g, data = dat, control = tight)), q_profile = as.numeric(ci[1, 2:3]),
  multilevel = list(beta = as.numeric(mv$beta), se = mv$se, sigma2 = mv$sigma2, ll = as.numeric(logLik(mv)),
                    cr2_se = ct$SE, cr2_df = ct$df, htz_F = wt$Fstat, htz_df = wt$df_denom))
write_json(list(tool = paste("metafor", packageVersion("metafor"), "clubSandwich", packageVersion("clubSandwich"), R.version.string),
  study = study, yi = yi, vi = vi, x = x, g = g, result = res), "models.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
