# Rscript tests/golden/formula/make_goldens.R        (from the root of the checkout; a few seconds)
# Formulas end to end in lme4: columns of model.matrix(), estimates, and population predictions for new rows. Writes
# formulas.json. The fits use the data "unbalanced" of tests/golden/lme4 and a strict optimiser.

suppressMessages({library(lme4); library(splines); library(mgcv); library(jsonlite)})
control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), check.conv.grad = "ignore")
frame <- read.csv("tests/golden/lme4/data/unbalanced.csv", stringsAsFactors = TRUE)  # levels in alphabetical order
frame$late <- frame$session > 3
new <- data.frame(session = c(1, 2.5, 4, 7, 3, 5), alliance = c(3.1, 2.8, 4.2, 3.7, 3, 5.5), alliance_within = c(0, -.4, .3, 1, -.2, .7),
                  alliance_between = c(3.1, 2.4, 3.9, 2.7, 3.2, 1.8), phase = factor(c("early", "late", "middle", "late", "early", "middle"),
                  levels = levels(frame$phase)), late = c(FALSE, TRUE, TRUE, TRUE, FALSE, TRUE))

coded <- function(contrasts) list(phase = contrasts)
bar <- "(1 | patient_id) + (1 | therapist_id)"
# right side in alliance_stats; the same in R; contrasts of phase in R
cases <- list(
  treatment     = list("C(phase)", "phase", "contr.treatment"),
  reference     = list('C(phase, treatment("late"))', "relevel(phase, 'late')", NULL),
  sum           = list("C(phase, sum)", "phase", "contr.sum"),
  helmert       = list("C(phase, helmert)", "phase", "contr.helmert"),
  sum_by_slope  = list("C(phase, sum) * alliance_within", "phase * alliance_within", "contr.sum"),
  helmert_by_slope = list("alliance_within * C(phase, helmert)", "alliance_within * phase", "contr.helmert"),
  star          = list("alliance_within * phase", "alliance_within * phase", "contr.treatment"),
  colon         = list("alliance_within + alliance_within:phase", "alliance_within + alliance_within:phase", "contr.treatment"),
  only_colon    = list("phase:session", "phase:session", "contr.treatment"),
  power         = list("(alliance_within + alliance_between + session)^2", "(alliance_within + alliance_between + session)^2", NULL),
  slash         = list("phase / alliance_within", "phase / alliance_within", "contr.treatment"),
  no_intercept  = list("0 + phase", "0 + phase", "contr.treatment"),
  minus         = list("alliance_within * session - session", "alliance_within * session - session", NULL),
  log           = list("log(session) + sqrt(alliance)", "log(session) + sqrt(alliance)", NULL),
  arithmetic    = list("I(alliance^2 / session) + exp(alliance_within)", "I(alliance^2 / session) + exp(alliance_within)", NULL),
  logical       = list("late * session", "as.numeric(late) * session", NULL),
  poly          = list("poly(session, 3)", "poly(session, 3)", NULL),
  poly_raw      = list("poly(session, 2, raw=True)", "poly(session, 2, raw = TRUE)", NULL),
  poly_by_phase = list("poly(session, 2) * C(phase, sum)", "poly(session, 2) * phase", "contr.sum"),
  bs            = list("bs(session, df=4)", "bs(session, df = 4)", NULL),
  bs_quadratic  = list("bs(alliance, df=5, degree=2)", "bs(alliance, df = 5, degree = 2)", NULL),
  bs_knots      = list("bs(alliance, knots=c(3.5, 5))", "bs(alliance, knots = c(3.5, 5))", NULL),
  scale         = list("scale(alliance) + center(session)", "scale(alliance) + scale(session, scale = FALSE)", NULL))

record <- function(case) {
  contrasts <- if (is.null(case[[3]])) NULL else coded(case[[3]])
  fit <- lmer(as.formula(paste("outcome ~", case[[2]], "+", bar)), frame, control = control, contrasts = contrasts)
  x <- getME(fit, "X")
  list(formula = paste("outcome ~", case[[1]], "+", bar), r = case[[2]], contrasts = case[[3]], columns = colnames(x),
       rows = c(1, 5, 60, 150, 318), matrix = unname(x[c(1, 5, 60, 150, 318), , drop = FALSE]), sums = unname(colSums(x^2)),
       estimate = unname(fixef(fit)), std_error = unname(sqrt(diag(as.matrix(vcov(fit))))),
       predictions = unname(predict(fit, new, re.form = NA)), criterion = REMLcrit(fit))
}
# codings and curves whose effects vary over a grouping; their covariances differ by the coding, the fit does not
bars <- list(
  bar_sum  = list("alliance_within + (1 + C(phase, sum) | therapist_id) + (1 | patient_id)",
                  "alliance_within + (1 + C(phase, contr.sum(3)) | therapist_id) + (1 | patient_id)"),
  bar_poly = list("poly(session, 2) + (1 + poly(session, 2) | patient_id)", "poly(session, 2) + (1 + poly(session, 2) | patient_id)"),
  bar_log  = list("log(session) + (1 + log(session) | patient_id)", "log(session) + (1 + log(session) | patient_id)"))
record_bar <- function(case) {
  fit <- suppressMessages(suppressWarnings(lmer(as.formula(paste("outcome ~", case[[2]])), frame, control = control)))
  v <- as.data.frame(VarCorr(fit))
  list(formula = paste("outcome ~", case[[1]]), r = case[[2]], estimate = unname(fixef(fit)), vcov = v$vcov, criterion = REMLcrit(fit))
}

# mgcv: cr basis with knots at quantiles of the distinct values, centred; the span is compared, by projections of one vector
smooth <- smoothCon(s(session, bs = "cr", k = 5), data = frame, knots = NULL, absorb.cons = TRUE)[[1]]
basis <- cbind(1, smooth$X)
ols <- lm(frame$outcome ~ 0 + basis)
new_basis <- cbind(1, PredictMat(smooth, new))
cr <- list(formula = paste("outcome ~ cr(session, df=4) +", bar), knots = unname(smooth$xp), n_columns = ncol(smooth$X),
           fitted = unname(fitted(ols)[1:20]), predictions = unname(drop(new_basis %*% coef(ols))))

result <- list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4")), mgcv = as.character(packageVersion("mgcv"))),
               new = lapply(new, function(v) if (is.factor(v)) as.character(v) else v),
               cases = lapply(cases, record), bars = lapply(bars, record_bar), cr = cr)
writeLines(toJSON(result, digits = NA, auto_unbox = TRUE, pretty = FALSE), "tests/golden/formula/formulas.json", useBytes = TRUE)
