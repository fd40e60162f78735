# Rscript tests/golden/lme4_profile/make_goldens.R        (from the root of the checkout; about four minutes)
# Profile-likelihood intervals for the data of tests/golden/lme4, by lme4's own profile() of fits by maximum likelihood
# (interpolated by splines), and by a search of our own on lme4's criterion, for REML and ML. Likelihood-ratio tests of
# single random effects by lmerTest::ranova. Writes intervals.json.

suppressMessages({library(lme4); library(lmerTest); library(jsonlite)})
GOLDEN <- "tests/golden/lme4"
read_case <- function(case) read.csv(file.path(GOLDEN, "data", paste0(case, ".csv")), stringsAsFactors = FALSE)
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), calc.derivs = FALSE)

# ---- lme4's profile --------------------------------------------------------------------------------------------------

profiled <- function(case, formula) {
  model <- lme4::lmer(as.formula(formula), read_case(case), REML = FALSE, control = tight)
  table <- confint(profile(model, signames = FALSE, devtol = 1e-6), level = 0.95)
  list(data = paste0("data/", case, ".csv"), formula = formula, method = "ML", names = rownames(table),
       ci_low = unname(table[, 1]), ci_high = unname(table[, 2]))
}

FORMULAS <- list(
  growth = "alliance ~ session0 + (1 + session0 | patient_id)",
  crossed = "alliance ~ session0 + after_change + since + (1 + session0 | patient_id) + (1 | therapist_id)",
  nested = "outcome ~ session0 + (1 | site_id/therapist_id/patient_id)",
  boundary_intercept = "outcome ~ session0 + (1 | patient_id) + (1 | therapist_id)",
  three_slopes = "outcome ~ s + s2 + (1 + s + s2 | patient_id)",
  intercept_only = "alliance ~ 1 + (1 | patient_id)")

# ---- a search on lme4's criterion ------------------------------------------------------------------------------------
# For (1 + x | patient) + (1 | therapist), with theta = (intercept, covariance, slope, therapist): each target is held by
# writing theta and sigma as functions of the others, so that a search without constraints is left.

criterion_of <- function(formula, frame, reml) {
  parsed <- lFormula(as.formula(formula), frame, REML = reml)
  objective <- do.call(mkLmerDevfun, parsed)
  inside <- environment(objective)
  n <- nrow(parsed$fr)
  free <- n - reml * ncol(parsed$X)
  function(theta, sigma) {
    objective(theta)
    rss <- inside$pp$sqrL(1) + inside$resp$wrss()
    value <- inside$pp$ldL2() + reml * inside$pp$ldRX2()
    if (is.null(sigma)) value + free * (1 + log(2 * pi * rss / free)) else
      value + free * log(2 * pi * sigma^2) + rss / sigma^2
  }
}

# name: how to write (theta, sigma) at the value c with the others free; how to read the value from a fit
TARGETS <- list(
  intercept_sd = list(write = function(c, v) list(c(c / exp(v[4]), v[1:3]), exp(v[4])),
                      free = function(t, s) c(t[2:4], log(s)), read = function(t, s) s * t[1]),
  slope_sd = list(write = function(c, v) {
                    s <- exp(v[4])
                    list(c(v[1], c / s * cos(v[2]), c / s * sin(v[2]), v[3]), s)
                  },
                  free = function(t, s) c(t[1], atan2(t[3], t[2]), t[4], log(s)),
                  read = function(t, s) s * sqrt(t[2]^2 + t[3]^2)),
  correlation = list(write = function(c, v) list(c(v[1], c * v[2], sqrt(1 - c^2) * v[2], v[3]), NULL),
                     free = function(t, s) c(t[1], sqrt(t[2]^2 + t[3]^2), t[4]),
                     read = function(t, s) t[2] / sqrt(t[2]^2 + t[3]^2)),
  therapist_sd = list(write = function(c, v) list(c(v[1:3], c / exp(v[4])), exp(v[4])),
                      free = function(t, s) c(t[1:3], log(s)), read = function(t, s) s * t[4]),
  residual_sd = list(write = function(c, v) list(v, c), free = function(t, s) t, read = function(t, s) s),
  therapist_icc = list(write = function(c, v) list(c(v, sqrt(c / (1 - c) * (1 + v[1]^2))), NULL),
                       free = function(t, s) t[1:3], read = function(t, s) t[4]^2 / (1 + t[1]^2 + t[4]^2)),
  patient_icc = list(write = function(c, v) list(c(sqrt(c / (1 - c) * (1 + v[3]^2)), v), NULL),
                     free = function(t, s) t[2:4], read = function(t, s) t[1]^2 / (1 + t[1]^2 + t[4]^2)))

minimum <- function(f, start) {
  best <- list(par = start, value = f(start))
  for (round in 1:20) {
    found <- nlminb(best$par, f, control = list(rel.tol = 1e-15, x.tol = 1e-12, eval.max = 5000, iter.max = 5000))
    again <- optim(found$par, f, method = "Nelder-Mead", control = list(reltol = 1e-15, maxit = 5000))
    gain <- best$value - min(found$objective, again$value)
    best <- if (again$value < found$objective) again[c("par", "value")] else list(par = found$par, value = found$objective)
    if (gain < 1e-9) break
  }
  best
}

searched <- function(case, formula, reml) {
  frame <- read_case(case)
  model <- lme4::lmer(as.formula(formula), frame, REML = reml, control = tight)
  criterion <- criterion_of(formula, frame, reml)
  polished <- minimum(function(t) criterion(t, NULL), getME(model, "theta"))
  theta <- abs(polished$par) * c(1, sign(polished$par[2]), 1, 1)
  sigma <- {criterion(theta, NULL); optimize(function(s) criterion(theta, s), sigma(model) * c(0.9, 1.1), tol = 1e-12)$minimum}
  limit <- polished$value + qchisq(0.95, 1)
  one <- function(target) {
    estimate <- target$read(theta, sigma)
    held <- function(c, start) minimum(function(v) {
      at <- target$write(c, v)
      value <- criterion(at[[1]], at[[2]])
      if (is.finite(value)) value else 1e10
    }, start)
    end <- function(side) {
      start <- target$free(theta, sigma)
      over <- function(c) {
        found <- held(c, start)
        start <<- found$par
        found$value - limit
      }
      step <- if (target$read(theta, sigma) < 0) 0.05 else 0.05 * estimate
      c <- estimate
      repeat {
        beyond <- c + side * step
        if (over(beyond) > 0) break
        c <- beyond
      }
      uniroot(over, sort(c(c, beyond)), tol = 1e-10)$root
    }
    list(estimate = estimate, ci_low = end(-1), ci_high = end(1))
  }
  list(data = paste0("data/", case, ".csv"), formula = formula, method = if (reml) "REML" else "ML",
       criterion = polished$value, intervals = lapply(TARGETS, one))
}

# ---- tests of single random effects ----------------------------------------------------------------------------------

ranova_of <- function(case, formula, reml) {
  model <- lmerTest::lmer(as.formula(formula), read_case(case), REML = reml, control = tight)
  table <- ranova(model)[-1, ]
  list(data = paste0("data/", case, ".csv"), formula = formula, method = if (reml) "REML" else "ML",
       terms = rownames(table), statistic = table$LRT, df = table$Df)
}

# ---- residual structures: nlme at fixed values ----------------------------------------------------------------------
# nlme has no profile, but fits with a parameter fixed; where its deviance has risen by the quantile is the end.

suppressMessages(library(nlme))
tight_nlme <- lmeControl(opt = "optim", optimMethod = "BFGS", maxIter = 500, msMaxIter = 1000, tolerance = 1e-10, msTol = 1e-12,
                         optCtrl = list(reltol = 1e-14))
deviance_of <- function(model) -2 * as.numeric(logLik(model))
held_ends <- function(deviance_at, estimate, best, step) {
  over <- function(c) deviance_at(c) - best - qchisq(0.95, 1)
  list(estimate = estimate, ci_low = uniroot(over, c(estimate - step, estimate), tol = 1e-9)$root,
       ci_high = uniroot(over, c(estimate, estimate + step), tol = 1e-9)$root)
}
residual_profiles <- function(method) {
  growth <- read_case("growth")
  growth$half <- factor(ifelse(growth$session0 < 5, "early", "late"))
  fit <- function(...) lme(alliance ~ session0, random = ~ 1 | patient_id, data = growth, method = method,
                           control = tight_nlme, ...)
  rho_of <- function(c, fixed) corCAR1(value = c, form = ~ session0 | patient_id, fixed = fixed)
  free <- fit(correlation = rho_of(0.3, FALSE))
  rho <- unname(coef(free$modelStruct$corStruct, unconstrained = FALSE))
  ar_of <- function(c, fixed) corAR1(value = c, form = ~ session0 | patient_id, fixed = fixed)
  free_ar <- fit(correlation = ar_of(0.3, FALSE))
  rho_ar <- unname(coef(free_ar$modelStruct$corStruct, unconstrained = FALSE))
  ratio_of <- function(c, fixed) varIdent(value = c(late = c), form = ~ 1 | half, fixed = if (fixed) c(late = c) else NULL)
  free_ratio <- fit(weights = ratio_of(1.1, FALSE))
  ratio <- unname(coef(free_ratio$modelStruct$varStruct, unconstrained = FALSE))
  held <- function(c) fit(weights = varIdent(form = ~ 1 | half, fixed = c(late = c)))
  list(data = "data/growth.csv", method = method,
       car1 = held_ends(function(c) deviance_of(fit(correlation = rho_of(c, TRUE))), rho, deviance_of(free), min(0.25, rho - 1e-3)),
       ar1 = held_ends(function(c) deviance_of(fit(correlation = ar_of(c, TRUE))), rho_ar, deviance_of(free_ar), 0.3),
       sd_ratio = held_ends(function(c) deviance_of(held(c)), ratio, deviance_of(free_ratio), 0.4))
}

versions <- c(list(R = R.version.string),
              lapply(setNames(nm = c("lme4", "lmerTest", "nlme")), function(p) as.character(packageVersion(p))))
result <- list(versions = versions,
               profiled = lapply(setNames(nm = names(FORMULAS)), function(case) profiled(case, FORMULAS[[case]])),
               searched = list(searched("crossed", FORMULAS$crossed, TRUE), searched("crossed", FORMULAS$crossed, FALSE)),
               residual = list(residual_profiles("REML"), residual_profiles("ML")),
               ranova = list(ranova_of("crossed", FORMULAS$crossed, TRUE), ranova_of("crossed", FORMULAS$crossed, FALSE),
                             ranova_of("nested", FORMULAS$nested, TRUE),
                             ranova_of("three_slopes", FORMULAS$three_slopes, TRUE)))
writeLines(toJSON(result, digits = NA, auto_unbox = TRUE, na = "null", null = "null", pretty = TRUE),
           "tests/golden/lme4_profile/intervals.json", useBytes = TRUE)
