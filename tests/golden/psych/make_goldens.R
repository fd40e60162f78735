# Rscript tests/golden/psych/make_goldens.R      (from the root of the checkout; half a minute)
# Reads items.csv and items_unbalanced.csv, writes reliability.json: alpha and omega of one occasion (psych, lavaan),
# omega at two levels (lavaan), generalizability (psych::mlr, and lme4 with a tight optimiser).

suppressMessages({library(psych); library(lavaan); library(lme4); library(jsonlite)})
HERE <- "tests/golden/psych"
ITEMS <- paste0("item", 1:5)
TIGHT <- lmerControl(optimizer = "nloptwrap", calc.derivs = FALSE,
                     optCtrl = list(xtol_abs = 1e-10, ftol_abs = 1e-10, xtol_rel = 1e-10, ftol_rel = 1e-14, maxeval = 1e5))

factor_of <- function(prefix) {
  l <- paste0(prefix, "l", 1:5); u <- paste0(prefix, "u", 1:5)
  paste(c(paste0(prefix, "f =~ ", paste0(l, "*", ITEMS, collapse = " + ")),
          paste0(ITEMS, " ~~ ", u, "*", ITEMS)), collapse = "\n")
}
omega_of <- function(prefix) {
  s <- paste0("(", paste0(prefix, "l", 1:5, collapse = "+"), ")^2")
  u <- paste0("(", paste0(prefix, "u", 1:5, collapse = "+"), ")")
  paste0(prefix, "omega := ", s, "/(", s, "+", u, ")")
}
defined <- function(fit) {
  e <- parameterEstimates(fit)
  e <- e[e$op == ":=", ]
  list(name = e$lhs, estimate = e$est, std_error = e$se)
}
loadings_of <- function(fit) {
  e <- parameterEstimates(fit)
  list(label = e$label[e$label != ""], estimate = e$est[e$label != ""], std_error = e$se[e$label != ""])
}

occasion <- function(d) {
  x <- d[d$session == 1, ITEMS]
  a <- psych::alpha(x, warnings = FALSE)
  fit <- cfa(paste(factor_of(""), omega_of(""), sep = "\n"), data = x, std.lv = TRUE, optim.force.converged = TRUE,
             control = list(rel.tol = 1e-13, eval.max = 1e5, iter.max = 1e5))
  list(n = nrow(x), alpha = a$total$raw_alpha, feldt = unlist(a$feldt[c("lower.ci", "upper.ci")]),
       omega = defined(fit), parameters = loadings_of(fit), psych_omega_minres = suppressWarnings(psych::omega(x, nfactors = 1, plot = FALSE))$omega.tot)
}
levels_of <- function(d) {
  model <- paste("level: 1", factor_of("w"), "level: 2", factor_of("b"), omega_of("w"), omega_of("b"), sep = "\n")
  fit <- cfa(model, data = d, cluster = "patient_id", std.lv = TRUE, information = "observed", observed.information = "hessian",
             optim.method = "nlminb", optim.force.converged = TRUE, control = list(rel.tol = 1e-13, eval.max = 1e5, iter.max = 1e5), em.h1.iter.max = 20000, em.h1.tol = 1e-14)
  saturated <- lavInspect(cfa(model, data = d, cluster = "patient_id", std.lv = TRUE, se = "none", em.h1.iter.max = 50000, em.h1.tol = 1e-14), "h1")
  list(converged = lavInspect(fit, "converged"), loglik = as.numeric(logLik(fit)), omega = defined(fit), parameters = loadings_of(fit),
       within = unclass(saturated$within$cov), between = unclass(saturated$patient_id$cov))
}
generalizability <- function(d, balanced) {
  long <- data.frame(id = rep(d$patient_id, 5), time = factor(rep(d$session, 5)), items = rep(ITEMS, each = nrow(d)),
                     values = unlist(d[ITEMS]))
  fit <- lmer(values ~ 1 + (1 | id) + (1 | time) + (1 | items) + (1 | id:time) + (1 | id:items) + (1 | time:items),
              data = long, control = TIGHT)
  v <- as.data.frame(VarCorr(fit))
  out <- list(variance = setNames(as.list(v$vcov), v$grp), criterion = REMLcrit(fit))
  if (balanced) {
    m <- suppressWarnings(suppressMessages(psych::mlr(d, grp = "patient_id", Time = "session", items = ITEMS, lmer = TRUE,
                                                      lme = FALSE, aov = TRUE, alpha = FALSE)))
    out$mlr <- list(R1F = m$R1F, RkF = m$RkF, R1R = m$R1R, RkR = m$RkR, Rc = m$Rc)
    out$mlr_aov <- m$s.aov[[1]]
  }
  intercepts <- lmer(rowMeans(d[ITEMS]) ~ 1 + (1 | patient_id), data = d, control = TIGHT)
  w <- as.data.frame(VarCorr(intercepts))$vcov
  out$icc <- w[1] / sum(w)
  out
}

record <- list()
for (name in c("items", "items_unbalanced")) {
  d <- read.csv(file.path(HERE, paste0(name, ".csv")))
  record[[name]] <- list(occasion = occasion(d), levels = levels_of(d), generalizability = generalizability(d, name == "items"))
}
record$items$generalizability$mlr_aov <- NULL
record$versions <- list(R = R.version.string, psych = as.character(packageVersion("psych")), lavaan = as.character(packageVersion("lavaan")),
                        lme4 = as.character(packageVersion("lme4")))
write(toJSON(record, digits = NA, auto_unbox = TRUE, pretty = TRUE), file.path(HERE, "reliability.json"))
