# Time what comes after a fit, and residual structures, in R:  Rscript benchmarks/inference_timing.R task data.csv out.json
#
# Tasks: kenward-roger (pbkrtest on an lmer fit), bootstrap (200 refits by lme4's bootMer), residual (nlme: CAR(1) with a
# standard deviation per phase, patients nested in therapists). CPU seconds, user + system, one run.

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 3) stop("3 arguments are needed: task data.csv out.json; found ", length(arguments))
frame <- read.csv(arguments[2], stringsAsFactors = TRUE)

cpu_seconds <- function(run) {
  gc(FALSE)
  before <- proc.time()
  value <- run()
  list(seconds = sum((proc.time() - before)[c("user.self", "sys.self")]), value = value)
}

crossed <- wai ~ session + changed + since + (1 + session | patient) + (1 | therapist)

kenward_roger <- function() {
  suppressMessages({library(lme4); library(pbkrtest)})
  fit <- lmer(crossed, frame)
  took <- cpu_seconds(function() {
    adjusted <- vcovAdj(fit)
    terms <- diag(length(fixef(fit)))
    list(std_error = sqrt(diag(as.matrix(adjusted))), df = apply(terms, 1, function(L) Lb_ddf(L, vcov(fit), adjusted)))
  })
  list(program = paste("pbkrtest", packageVersion("pbkrtest")), seconds = took$seconds, numbers = took$value)
}

bootstrap <- function() {
  suppressMessages(library(lme4))
  fit <- lmer(crossed, frame, control = lmerControl(calc.derivs = FALSE))
  took <- cpu_seconds(function() bootMer(fit, fixef, nsim = 200, seed = 1))
  list(program = paste("lme4", packageVersion("lme4"), "bootMer"), seconds = took$seconds,
       numbers = list(std_error = apply(took$value$t, 2, sd)))
}

residual <- function() {
  suppressMessages(library(nlme))
  took <- cpu_seconds(function() lme(
    wai ~ session, frame, random = list(therapist = ~1, patient = ~session),
    correlation = corCAR1(form = ~ day | therapist / patient), weights = varIdent(form = ~ 1 | phase),
    control = lmeControl(opt = "nlminb", maxIter = 200, msMaxIter = 500, msMaxEval = 5000)))
  fit <- took$value
  list(program = paste("nlme", packageVersion("nlme")), seconds = took$seconds,
       numbers = list(estimate = unname(fixef(fit)), rho = unname(coef(fit$modelStruct$corStruct, unconstrained = FALSE)),
                      criterion = -2 * as.numeric(logLik(fit))))
}

tasks <- list("kenward-roger" = kenward_roger, bootstrap = bootstrap, residual = residual)
jsonlite::write_json(tasks[[arguments[1]]](), arguments[3], digits = NA, auto_unbox = TRUE, pretty = TRUE)
