# What is written down of one fit.

columns <- function(frame) lapply(as.list(frame), function(x) if (is.factor(x)) as.character(x) else x)

named <- function(x) as.list(x)

# An lme4 model object (and lmerTest's) at a given theta, without another search.
model_at <- function(parsed, reml, theta, formula) {
  devfun <- devfun_of(parsed, reml)
  value <- devfun(theta)
  # mkMerMod keeps the matrices of the last evaluation, which was this one
  opt <- list(par = theta, fval = value, feval = 1L, conv = 0L, message = "set")
  mod <- lme4::mkMerMod(environment(devfun), opt, parsed$reTrms, fr = parsed$fr)
  mod@call <- call("lmer", formula = formula)
  mod
}

with_lmerTest <- function(mod, parsed, reml) {
  heard <- character(0)
  devfun <- devfun_of(parsed, reml)
  devfun(lme4::getME(mod, "theta"))
  fit <- withCallingHandlers(lmerTest:::as_lmerModLT(mod, devfun),
                             warning = function(w) { heard <<- c(heard, conditionMessage(w)); invokeRestart("muffleWarning") })
  list(fit = fit, warnings = heard)
}

record_model <- function(mod, parsed, reml) {
  tested <- with_lmerTest(mod, parsed, reml)
  table <- summary(tested$fit, ddf = "Satterthwaite")$coefficients
  one <- function(name) named(setNames(table[, name], rownames(table)))
  random <- as.data.frame(lme4::ranef(mod, condVar = TRUE))
  list(
    theta = I(as.numeric(lme4::getME(mod, "theta"))), theta_names = I(names(lme4::getME(mod, "theta"))),
    criterion = as.numeric(if (reml) lme4::REMLcrit(mod) else deviance(mod, REML = FALSE)),
    log_likelihood = as.numeric(logLik(mod)), n_parameters = attr(logLik(mod), "df"),
    aic = AIC(mod), bic = BIC(mod), n_obs = nobs(mod), n_groups = named(lme4::ngrps(mod)),
    estimate = one("Estimate"), std_error = one("Std. Error"), df = one("df"), statistic = one("t value"),
    p_value = one("Pr(>|t|)"), vcov = unname(as.matrix(vcov(mod))), sigma = sigma(mod),
    variance = columns(as.data.frame(lme4::VarCorr(mod))),
    random = list(group = as.character(random$grpvar), level = as.character(random$grp), term = as.character(random$term),
                  estimate = random$condval, conditional_sd = random$condsd),
    fitted_first_10 = unname(head(fitted(mod), 10)), singular = lme4::isSingular(mod),
    lmerTest_warnings = I(tested$warnings))
}

# lme4 as a user meets it: default optimiser, default tolerances.
fit_by_default <- function(formula, frame, reml) {
  suppressWarnings(suppressMessages(lme4::lmer(formula, frame, REML = reml)))
}

dense_check <- function(solved, model) {
  at <- dense_solution(solved$problem, solved$theta)
  V <- at$sigma^2 * at$C
  list(criterion = at$criterion, criterion_difference = at$criterion - solved$criterion,
       vcov = V, vcov_largest_relative_difference = max(abs(V - model$vcov)) / max(abs(V)),
       df = I(dense_satterthwaite(solved$problem, solved$theta, solved$free)), kkt = kkt(solved$problem, solved$theta))
}

record_fit <- function(formula, frame, reml) {
  parsed <- lme4::lFormula(formula, frame, REML = reml)
  solved <- solve_tightly(parsed, reml)
  model <- record_model(model_at(parsed, reml, solved$theta, formula), parsed, reml)
  default <- fit_by_default(formula, frame, reml)
  c(list(formula = deparse1(formula), method = if (reml) "REML" else "ML", REML = reml), model,
    list(free_theta = I(solved$free), optimizers = solved$optimizers, optimizer_gap = solved$optimizer_gap,
         polish_gap = solved$polish_gap, polish_move = solved$polish_move, polish_last_step = solved$last_step,
         lme4_default = list(theta = I(as.numeric(lme4::getME(default, "theta"))),
                             criterion = as.numeric(-2 * logLik(default)), singular = lme4::isSingular(default),
                             messages = I(as.character(unlist(default@optinfo$conv$lme4$messages)))),
         dense_check = dense_check(solved, model)))
}
