# Rscript tests/golden/lme4_inference/make_goldens.R        (from the root of the checkout; about half a minute)
# Comparisons of models, joint tests and shares of variance, for the data of tests/golden/lme4. Writes inference.json.
# Joint tests stand at the polished theta of tests/golden/lme4; models that are not there are fitted by a tight bobyqa.

suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(performance); library(jsonlite)})
GOLDEN <- "tests/golden/lme4"
for (part in c("dense.R", "solve.R", "record.R")) source(file.path(GOLDEN, part))

read_case <- function(case) read.csv(file.path(GOLDEN, "data", paste0(case, ".csv")), stringsAsFactors = FALSE)
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), calc.derivs = FALSE)
fit <- function(formula, frame, REML = TRUE) lme4::lmer(as.formula(formula), frame, REML = REML, control = tight)

# ---- anova() of models fitted by maximum likelihood ------------------------------------------------------------------

compare <- function(case, formulas) {
  frame <- read_case(case)
  models <- lapply(formulas, fit, frame = frame, REML = FALSE)
  table <- do.call(anova, c(unname(models), list(model.names = as.character(seq_along(models)))))
  list(data = paste0("data/", case, ".csv"), formulas = formulas, model = as.integer(rownames(table)),
       n_parameters = table$npar, aic = table$AIC, bic = table$BIC, deviance = table$deviance,
       statistic = table$Chisq, df = table$Df, plain_p_value = table[["Pr(>Chisq)"]])
}

comparisons <- list(
  unbalanced = compare("unbalanced", c(
    "outcome ~ alliance_within * phase + alliance_between + (1 + alliance_within | patient_id) + (1 | therapist_id)",
    "outcome ~ alliance_within * phase + alliance_between + (1 | patient_id)",
    "outcome ~ alliance_within * phase + alliance_between + (1 | patient_id) + (1 | therapist_id)",
    "outcome ~ alliance_within + alliance_between + (1 | patient_id)")),
  growth = compare("growth", c(
    "alliance ~ session0 + (1 | patient_id)",
    "alliance ~ session0 + (1 + session0 || patient_id)",
    "alliance ~ session0 + (1 + session0 | patient_id)")))

# ---- joint tests -----------------------------------------------------------------------------------------------------

rows_of <- function(names, terms) diag(length(names))[match(terms, names), , drop = FALSE]

joint <- function(case, key, tests) {
  golden <- fromJSON(file.path(GOLDEN, paste0(case, ".json")), simplifyVector = FALSE)$fits[[key]]
  formula <- as.formula(golden$formula)
  reml <- grepl("_REML$", key)
  parsed <- lFormula(formula, read_case(case), REML = reml, control = lmerControl(check.nobs.vs.nRE = "ignore"))
  theta <- unlist(golden$theta)
  model <- model_at(parsed, reml, theta, formula)
  tested <- with_lmerTest(model, parsed, reml)$fit
  one <- function(test) {
    L <- if (is.character(test)) rows_of(names(fixef(model)), test) else test
    s <- contestMD(tested, L)
    answer <- list(terms = if (is.character(test)) I(test) else NULL, weights = L,
                   satterthwaite = list(statistic = s[["F value"]], df_num = s$NumDF, df_den = s$DenDF, p_value = s[["Pr(>F)"]]))
    if (reml && qr(L)$rank == nrow(L)) {
      k <- KRmodcomp(model, L)$test["Ftest", ]
      answer$kenward_roger <- list(statistic = k$stat, df_num = k$ndf, df_den = k$ddf, p_value = k$p.value)
    }
    answer
  }
  list(data = paste0("data/", case, ".csv"), formula = golden$formula, method = if (reml) "REML" else "ML",
       names = names(fixef(model)), tests = lapply(tests, one))
}

of_unbalanced <- list(
  phase = c("phaselate", "phasemiddle"),
  interaction = c("alliance_within:phaselate", "alliance_within:phasemiddle"),
  all_of_phase = c("phaselate", "phasemiddle", "alliance_within:phaselate", "alliance_within:phasemiddle"),
  alliance = c("alliance_within", "alliance_between"),
  single = "alliance_between",
  # middle − late, middle, late: two of the three are independent
  dependent = rbind(c(0, 0, -1, 1, 0, 0, 0), c(0, 0, 0, 1, 0, 0, 0), c(0, 0, 1, 0, 0, 0, 0)))
joint_tests <- list(
  unbalanced_REML = joint("unbalanced", "model_REML", of_unbalanced),
  unbalanced_ML = joint("unbalanced", "model_ML", of_unbalanced),
  crossed_REML = joint("crossed", "model_REML", list(change = c("after_change", "since"))),
  crossed_slopes_REML = joint("crossed_slopes", "model_REML",
                              list(change = c("after_change", "since"), all = c("session0", "after_change", "since"))),
  four_effects_REML = joint("four_effects", "model_REML", list(all = c("x1", "x2", "x3"))))

# lmerTest's own table, without an interaction, where type III is the joint test of a factor's coefficients
without <- "outcome ~ alliance_within + phase + alliance_between + (1 | patient_id) + (1 | therapist_id)"
type3 <- function(ddf) {
  table <- anova(lmerTest::lmer(as.formula(without), read_case("unbalanced"), control = tight), type = 3, ddf = ddf)
  list(terms = rownames(table), statistic = table[["F value"]], df_num = table$NumDF, df_den = table$DenDF,
       p_value = table[["Pr(>F)"]])
}
type_three <- list(data = "data/unbalanced.csv", formula = without, satterthwaite = type3("Satterthwaite"),
                   kenward_roger = type3("Kenward-Roger"))

# ---- shares of variance ----------------------------------------------------------------------------------------------

share <- function(case, formula, REML = TRUE) {
  model <- fit(formula, read_case(case), REML)
  r2 <- r2_nakagawa(model)
  total <- icc(model)
  list(data = paste0("data/", case, ".csv"), formula = formula, method = if (REML) "REML" else "ML",
       marginal = unname(r2$R2_marginal), conditional = unname(r2$R2_conditional), icc_adjusted = total$ICC_adjusted,
       icc_unadjusted = total$ICC_unadjusted)
}
# performance 0.10.2 leaves the slope of (1 + x || g) out of the variance; here the formulas are written out.
share_by_hand <- function(case, formula, slope) {
  frame <- read_case(case)
  model <- fit(formula, frame)
  v <- as.data.frame(VarCorr(model))
  random <- v$vcov[v$var1 %in% "(Intercept)"] + v$vcov[v$var1 %in% slope] * mean(frame[[slope]]^2)
  fixed <- var(as.vector(getME(model, "X") %*% fixef(model)))
  total <- fixed + random + sigma(model)^2
  list(data = paste0("data/", case, ".csv"), formula = formula, method = "REML", marginal = fixed / total,
       conditional = (fixed + random) / total, icc_adjusted = random / (random + sigma(model)^2),
       icc_unadjusted = random / total)
}
shares <- list(
  share("unbalanced", without),
  share("unbalanced", comparisons$unbalanced$formulas[1]),
  share("growth", "alliance ~ session0 + (1 + session0 | patient_id)"),
  share_by_hand("growth", "alliance ~ session0 + (1 + session0 || patient_id)", "session0"),
  share("growth", "alliance ~ session0 + (1 + session0 | patient_id)", REML = FALSE),
  share("nested", "outcome ~ session0 + (1 | site_id/therapist_id) + (1 + session0 | patient_id)"),
  share("three_slopes", "outcome ~ s + s2 + (1 + s + s2 | patient_id)"))

# Rights and Sterba's total variance for a predictor centred within patients: their formulas, written out.
centred <- read_case("unbalanced")
centred$alliance_between <- ave(centred$alliance, centred$patient_id)
centred$alliance_within <- centred$alliance - centred$alliance_between
formula <- "outcome ~ alliance_within + alliance_between + (1 + alliance_within | patient_id)"
model <- fit(formula, centred)
tau <- as.matrix(VarCorr(model)$patient_id)
gamma <- fixef(model)
parts <- c(fixed_within = unname(gamma["alliance_within"]^2 * var(centred$alliance_within)),
           fixed_between = unname(gamma["alliance_between"]^2 * var(centred$alliance_between)),
           slope = tau["alliance_within", "alliance_within"] * var(centred$alliance_within),
           mean = tau["(Intercept)", "(Intercept)"], residual = sigma(model)^2)
in_level <- function(names) as.list(parts[names] / sum(parts[names]))
rights_sterba <- list(data = "data/unbalanced.csv", formula = formula, total = as.list(parts / sum(parts)),
                      within = in_level(c("fixed_within", "slope", "residual")),
                      between = in_level(c("fixed_between", "mean")))

versions <- c(list(R = R.version.string), lapply(setNames(nm = c("lme4", "lmerTest", "pbkrtest", "performance", "insight")),
                                                 function(p) as.character(packageVersion(p))))
result <- list(versions = versions, comparisons = comparisons, joint_tests = joint_tests, type_three = type_three,
               shares = shares, rights_sterba = rights_sterba)
writeLines(toJSON(result, digits = NA, auto_unbox = TRUE, na = "null", null = "null", pretty = TRUE),
           "tests/golden/lme4_inference/inference.json", useBytes = TRUE)
