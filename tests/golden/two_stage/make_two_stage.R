# Two-stage meta-analysis of patients' data: lme4 in each site, metafor over sites. Sessions: datasets/simulated_sites.
# Run in this folder: Rscript make_two_stage.R
suppressMessages({library(lme4); library(metafor); library(jsonlite)})
d <- read.csv("../../../datasets/simulated_sites/sessions.csv")
d$time <- d$session - 1
d$between <- ave(d$alliance, d$patient_id); d$within <- d$alliance - d$between
ctl <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.02, rhoend = 1e-12, maxfun = 1e6), check.conv.singular = "ignore")
sites <- sort(unique(d$site_id)); terms <- c("within", "between")
fits <- lapply(sites, function(s) lmer(outcome ~ within + between + time + (1 | patient_id) + (1 | therapist_id),
                                       data = d[d$site_id == s, ], control = ctl))
B <- t(sapply(fits, function(f) fixef(f)[terms])); V <- lapply(fits, function(f) as.matrix(vcov(f))[terms, terms])
tight <- list(threshold = 1e-14, maxiter = 100000)
uni <- function(j, method, test) { f <- rma(B[, j], sapply(V, function(v) v[j, j]), method = method, test = test, control = tight)
  list(beta = as.numeric(f$beta), se = f$se, tau2 = f$tau2, ci_low = f$ci.lb, ci_high = f$ci.ub, QE = f$QE) }
# as tight as nlminb bears it: at the edge (a variance of 0, a correlation of 1) it gives up earlier
mv <- function(y, W, term, study, struct, method) { for (tol in c(1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8)) {
  f <- try(rma.mv(y, W, mods = ~ 0 + term, random = ~ term | study, struct = struct, method = method,
                  data = data.frame(y, term = factor(term, levels = unique(term)), study),
                  control = list(optimizer = "nlminb", rel.tol = tol, iter.max = 100000, eval.max = 100000)), silent = TRUE)
  if (!inherits(f, "try-error")) break }
  list(rel_tol = tol, beta = as.numeric(f$beta), vb = unname(f$vb), tau2 = f$tau2, rho = f$rho, ll = as.numeric(logLik(f)), QE = f$QE) }
long <- function(B, V) list(y = as.numeric(t(B)), W = as.matrix(Matrix::bdiag(V)), term = rep(letters[seq_len(ncol(B))], nrow(B)), study = rep(seq_len(nrow(B)), each = ncol(B)))
L <- long(B, V)
# effects that differ much between studies, some missing, so that the optimum is inside
set.seed(4); n <- 25
S <- lapply(1:n, function(i) { A <- matrix(rnorm(4), 2); round(crossprod(A) * .02 + diag(.01, 2), 5) })
E <- round(t(sapply(S, function(s) c(.3, -.5) + MASS::mvrnorm(1, c(0, 0), matrix(c(.09, .05, .05, .16), 2)) + MASS::mvrnorm(1, c(0, 0), s))), 5)
M <- long(E, S); gone <- c(4, 9, 26); keep <- setdiff(seq_along(M$y), gone)
both <- list(); for (st in c("UN", "DIAG")) for (me in c("REML", "ML")) {
  both[[paste("made", st, me)]] <- mv(M$y[keep], M$W[keep, keep], M$term[keep], M$study[keep], st, me)
  both[[paste("sites", st, me)]] <- mv(L$y, L$W, L$term, L$study, st, me) }
write_json(list(tool = paste("lme4", packageVersion("lme4"), "metafor", packageVersion("metafor"), R.version.string),
  sites = sites, terms = terms, estimates = unname(B), covariances = lapply(V, unname),
  criterion = sapply(fits, function(f) as.numeric(-2 * logLik(f))),
  pool = list(within_reml_knha = uni(1, "REML", "knha"), between_reml_knha = uni(2, "REML", "knha"), within_dl_z = uni(1, "DL", "z")),
  made = list(y = E, v = S, gone = gone), multivariate = both), "two_stage.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
