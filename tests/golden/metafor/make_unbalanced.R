# Every estimator with every test of metafor, meta-regression with missing categories, deletion, location–scale and
# multilevel fits left out study by study, on 1 to 30 effects per study simulated here, and on the first 2 and 3 studies.
# Run in this folder: Rscript make_unbalanced.R
suppressMessages({library(metafor); library(clubSandwich); library(jsonlite)})
set.seed(77)
sizes <- c(1, 1, 1, 1, 1, 2, 2, 3, 5, 8, 13, 1, 4, 1, 2, 30, 1, 1, 6, 2)
s <- rep(seq_along(sizes), sizes); k <- length(s)
n <- sample(15:300, length(sizes), TRUE)[s]; year <- sample(1985:2019, length(sizes), TRUE)[s]
rater <- sample(c("patient", "therapist", "observer"), k, TRUE)
yi <- round(.28 + .15 * rnorm(length(sizes))[s] + .1 * rnorm(k) - .08 * (rater == "therapist") + rnorm(k) / sqrt(n - 3), 5)
dep <- data.frame(study = s, yi, n, year, rater, stringsAsFactors = FALSE); dep$vi <- 1 / (n - 3); dep$effect <- seq_len(k)
one <- dep[!duplicated(dep$study), ]; missing <- one; missing$rater[c(3, 8)] <- NA
tight <- list(threshold = 1e-13, maxiter = 10000, tau2.max = 100, tol = 1e-12)
numbers <- function(...) lapply(list(...), as.numeric)

pool <- list()
for (rows in c(2, 3, 20)) for (m in c("EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM"))
  for (t in c("z", "t", "knha", "adhoc")) {
    f <- suppressWarnings(rma(yi, vi, data = head(one, rows), method = m, test = t, control = tight)); p <- predict(f); q <- predict(f, pi.type = "riley")
    pool[[paste(rows, m, t)]] <- numbers(table = c(f$beta, f$se, f$pval, f$ci.lb, f$ci.ub), tau2 = f$tau2, i2 = f$I2, h2 = f$H2,
      q = c(f$QE, f$QEp), pi = c(p$pi.lb, p$pi.ub), riley = c(q$pi.lb, q$pi.ub), fit = c(logLik(f), AIC(f), BIC(f)))
  }
fits <- list()
for (m in c("DL", "ML", "REML")) for (t in c("z", "knha")) {
  f <- rma(yi, vi, mods = ~ rater + year, data = missing, method = m, test = t, control = tight)
  a <- anova(f, btt = 2:3); x <- anova(f, X = c(0, 1, -1, 0)); p <- predict(f, newmods = rbind(c(1, 0, 1999), c(0, 0, 2010)))
  fits[[paste(m, t)]] <- numbers(beta = f$beta, se = f$se, pval = f$pval, tau2 = f$tau2, r2 = f$R2, qm = c(f$QM, f$QMp), qe = f$QE, rater = c(a$QM, a$QMp),
    contrast = c(x$Xb, x$se, x$zval, x$pval), predict = c(p$pred, p$se, p$ci.lb, p$ci.ub, p$pi.lb, p$pi.ub), fit = c(logLik(f), AIC(f), BIC(f)))
}
f <- rma(yi, vi, mods = ~ rater + year, data = missing, control = tight)
v <- vif(f); vb <- vif(f, btt = 2:3)
vifs <- list(each = as.numeric(sapply(v$vif, function(x) x$vif)), rater = as.numeric(vb$vif[[1]]$vif))
i <- influence(rma(yi, vi, data = one, control = tight))$inf
ls <- rma(yi, vi, mods = ~ rater, scale = ~ I(year - 2000), data = one, control = list(optimizer = "nlminb", rel.tol = 1e-10))
V <- as.matrix(Matrix::bdiag(impute_covariance_matrix(dep$vi, cluster = dep$study, r = .6)))
left <- t(sapply(unique(dep$study), function(id) {
  o <- dep$study != id; g <- rma.mv(yi, V[o, o], random = ~ 1 | study/effect, data = dep[o, ], control = list(optimizer = "nlminb", rel.tol = 1e-10))
  c <- coef_test(g, "CR2", cluster = dep$study[o], test = "Satterthwaite"); c(g$beta, c$SE, c$df, g$sigma2) }))
write_json(list(tool = paste("metafor", packageVersion("metafor"), "clubSandwich", packageVersion("clubSandwich"), R.version.string),
  effects = dep, missing_rater = which(is.na(missing$rater)) - 1, pool = pool, regress = fits, vif = vifs,
  influence = numbers(rstudent = i$rstudent, dffits = i$dffits, cook_d = i$cook.d, cov_ratio = i$cov.r, tau2 = i$tau2.del, q = i$QE.del, hat = i$hat),
  location_scale = numbers(beta = ls$beta, se = ls$se, alpha = ls$alpha, se_alpha = ls$se.alpha, ll = logLik(ls), tau2 = mean(ls$tau2)),
  left_out = left), "unbalanced.json", digits = NA, auto_unbox = TRUE, na = "null")
