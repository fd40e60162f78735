# Selection models, trim and fill, Egger's and the rank test by metafor 3.8-1; p-uniform* and p-curve by code of our own
# below (plain likelihoods and probits; no package has them here). Run: Rscript make_bias.R
suppressMessages({library(metafor); library(jsonlite)})

set.seed(20240)
# results favoured when positive and significant, so that every interval of p holds some
full <- data.frame(vi = runif(400, .004, .06), x = rbinom(400, 1, .5))
full$yi <- rnorm(400, .15 + .1 * full$x, sqrt(full$vi + .01))
p <- pnorm(full$yi / sqrt(full$vi), lower.tail = FALSE)
dat <- full[runif(400) < ifelse(p < .025, 1, .3), ][1:60, ]
dat$yi <- round(dat$yi, 4); dat$vi <- round(dat$vi, 5)
stopifnot(!anyDuplicated(dat$vi))

fit <- rma(yi, vi, data = dat, method = "ML", control = list(threshold = 1e-13, maxiter = 10000))
fitx <- rma(yi, vi, mods = ~x, data = dat, method = "ML", control = list(threshold = 1e-13, maxiter = 10000))
neg <- rma(-yi, vi, data = dat, method = "ML", control = list(threshold = 1e-13, maxiter = 10000))
# at metafor's own tolerances; tests compare likelihoods at these parameters exactly, and ours must not be lower
take <- function(s) list(beta = as.numeric(s$beta), tau2 = s$tau2, delta = as.numeric(s$delta), se = as.numeric(s$se),
                         se_tau2 = s$se.tau2, se_delta = as.numeric(s$se.delta), ll = as.numeric(logLik(s)), LRT = s$LRT, LRTp = s$LRTp)
sel <- function(x, ...) { r <- take(suppressWarnings(selmodel(x, ..., control = list(maxit = 5000)))); cat(..., "\n"); r }
selection <- list(
  "3PSM" = sel(fit, type = "stepfun", steps = .025),
  "4PSM" = sel(fit, type = "stepfun", steps = c(.025, .5)),
  "three steps" = sel(fit, type = "stepfun", steps = c(.01, .025, .5)),
  "moderator" = sel(fitx, type = "stepfun", steps = .025),
  "two-sided" = sel(fit, type = "stepfun", steps = .05, alternative = "two.sided"),
  "less" = sel(neg, type = "stepfun", steps = .025, alternative = "less"),
  "beta" = sel(fit, type = "beta"),
  "halfnorm" = sel(fit, type = "halfnorm"),
  "negexp" = sel(fit, type = "negexp"),
  "logistic" = sel(fit, type = "logistic"),
  "power" = sel(fit, type = "power"),
  "negexp two-sided" = sel(fit, type = "negexp", alternative = "two.sided"))

reml <- rma(yi, vi, data = dat, control = list(threshold = 1e-13, maxiter = 10000))
fill <- lapply(c(L0 = "L0", R0 = "R0", Q0 = "Q0"), function(e) {
  t <- trimfill(reml, side = "left", estimator = e)
  list(k0 = t$k0, se_k0 = t$se.k0, beta = as.numeric(t$beta), se = t$se, tau2 = t$tau2)})
reg <- function(...) { r <- regtest(reml, ...); list(stat = as.numeric(r$zval), pval = as.numeric(r$pval)) }
egger <- list(sei = reg(predictor = "sei"), vi = reg(predictor = "vi"), lm = reg(predictor = "sei", model = "lm"))
rank20 <- ranktest(dat$yi[1:20], dat$vi[1:20], exact = TRUE)

# ---- p-uniform*: each effect's density given that it was significant, or given that it was not ---------------------
crit <- qnorm(.975) * sqrt(dat$vi); sig <- dat$yi > crit
nll <- function(par, vary) {
  s <- sqrt(dat$vi + if (vary) exp(par[2]) else 0)
  kind <- ifelse(sig, pnorm(crit, par[1], s, lower.tail = FALSE, log.p = TRUE), pnorm(crit, par[1], s, log.p = TRUE))
  -sum(dnorm(dat$yi, par[1], s, log = TRUE) - kind)
}
opt <- optim(c(.1, log(.01)), nll, vary = TRUE, method = "BFGS", control = list(reltol = 1e-16, maxit = 10000))
best <- nlm(nll, opt$par, vary = TRUE, gradtol = 1e-12, steptol = 1e-14, iterlim = 1000)
profile <- function(mu) optimize(function(lt) nll(c(mu, lt), TRUE), c(-30, 2), tol = 1e-12)$objective
gap <- function(mu) 2 * (profile(mu) - best$minimum) - qchisq(.95, 1)
puni <- list(mu = best$estimate[1], tau2 = exp(best$estimate[2]), ll = -best$minimum,
             ci = c(uniroot(gap, c(-3, best$estimate[1]), tol = 1e-12)$root, uniroot(gap, c(best$estimate[1], 3), tol = 1e-12)$root),
             zero = 2 * (profile(0) - best$minimum))

# ---- p-curve: pp values of significant results, combined by Stouffer ------------------------------------------------
z <- (dat$yi / sqrt(dat$vi))[sig]
st <- function(pp) c(sum(qnorm(pp)) / sqrt(length(pp)), length(pp))
p2 <- 2 * pnorm(-z); half <- p2 < .025
ncp <- uniroot(function(m) pnorm(qnorm(.975), m, lower.tail = FALSE) - 1/3, c(0, 5), tol = 1e-14)$root
above <- function(z, m, cut) pnorm(z, m, lower.tail = FALSE) / pnorm(cut, m, lower.tail = FALSE)
power_gap <- function(pw, aim) { m <- qnorm(.975) + qnorm(pw); st(above(z, m, qnorm(.975)))[1] - aim }
pw <- sapply(c(0, qnorm(.05), qnorm(.95)), function(a) uniroot(power_gap, c(.051, .9899), aim = a, tol = 1e-13)$root)
pcurve <- list(right_full = st(p2 / .05), right_half = st(p2[half] / .025),
               flat_full = st(1 - above(z, ncp, qnorm(.975))), flat_half = st(1 - above(z[half], ncp, qnorm(.9875))),
               low = sum(half), binomial = pbinom(sum(half) - 1, length(z), .5, lower.tail = FALSE),
               binomial33 = pbinom(sum(half), length(z), above(qnorm(.9875), ncp, qnorm(.975))), power = pw)

write(toJSON(list(tool = paste("metafor", packageVersion("metafor"), "on", R.version.string), data = dat[c("yi", "vi", "x")],
                  selection = selection, trim_fill = fill, egger = egger, rank20 = list(tau = as.numeric(rank20$tau), pval = rank20$pval),
                  p_uniform = puni, p_curve = pcurve), digits = NA, auto_unbox = TRUE, pretty = TRUE, na = "null"), "bias.json")
