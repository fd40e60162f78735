# Location-scale models of metafor's rma(scale=). Run in this folder: Rscript make_location_scale.R
suppressMessages({library(metafor); library(jsonlite)})
set.seed(7); k <- 40
vi <- round(runif(k, .01, .08), 4); z <- round(rnorm(k), 3); g <- rep(c(0, 1), length.out = k); x <- round(rnorm(k), 3)
yi <- round(.3 + .1 * x + rnorm(k) * sqrt(exp(-1.5 + .6 * z + .4 * g)) + rnorm(k) * sqrt(vi), 4)
fit <- function(method, mods, scale) {
  f <- rma(yi, vi, mods = mods, scale = scale, method = method, control = list(optimizer = "nlminb", rel.tol = 1e-10))
  list(beta = as.numeric(f$beta), se = f$se, alpha = as.numeric(f$alpha), se_alpha = f$se.alpha, ll = as.numeric(logLik(f)))
}
res <- list(REML = fit("REML", ~ x, ~ z + g), ML = fit("ML", ~ x, ~ z + g), REML_mean = fit("REML", ~ 1, ~ z))
write_json(list(tool = paste("metafor", packageVersion("metafor"), R.version.string), yi = yi, vi = vi, x = x, z = z, g = g, result = res),
           "location_scale.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
