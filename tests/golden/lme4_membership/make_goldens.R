# Rscript tests/golden/lme4_membership/make_goldens.R        (from the root of the checkout; seconds)
# Multiple membership with lme4: the rows of Zt that belong to therapists are replaced by hand-made weights (share of the
# patient's sessions so far with each therapist, and with a half-life of 3 sessions). Writes membership.json.

suppressMessages({library(lme4); library(jsonlite)})
frame <- read.csv("tests/golden/lme4/data/crossed.csv", stringsAsFactors = FALSE)
formula <- alliance ~ session0 + (1 + session0 | patient_id) + (1 | therapist_id)
TIGHT <- list(xtol_abs = 1e-10, ftol_abs = 1e-10, xtol_rel = 1e-10, ftol_rel = 1e-14, maxeval = 1e6)

weights_of <- function(frame, half_life) {
  levels <- sort(unique(frame$therapist_id))
  W <- matrix(0, nrow(frame), length(levels), dimnames = list(NULL, levels))
  for (i in seq_len(nrow(frame))) {
    past <- which(frame$patient_id == frame$patient_id[i] & frame$session0 <= frame$session0[i])
    size <- 0.5^((frame$session0[i] - frame$session0[past]) / half_life)
    for (k in seq_along(past)) W[i, frame$therapist_id[past[k]]] <- W[i, frame$therapist_id[past[k]]] + size[k]
    W[i, ] <- W[i, ] / sum(W[i, ])
  }
  W
}

fit <- function(half_life, reml) {
  parsed <- lFormula(formula, frame, REML = reml)
  re <- parsed$reTrms
  at <- which(names(re$cnms) == "therapist_id")
  rows <- (re$Gp[at] + 1):re$Gp[at + 1]
  W <- weights_of(frame, half_life)
  stopifnot(identical(levels(re$flist$therapist_id), colnames(W)))
  Zt <- as.matrix(re$Zt)
  Zt[rows, ] <- t(W)
  parsed$reTrms$Zt <- as(Matrix::Matrix(Zt, sparse = TRUE), "dgCMatrix")
  devfun <- do.call(mkLmerDevfun, c(parsed[c("fr", "X", "reTrms")], list(REML = reml)))
  opt <- optimizeLmer(devfun, control = TIGHT, calc.derivs = FALSE)
  opt <- optimizeLmer(devfun, optimizer = "bobyqa", start = list(theta = opt$par + 0),
                      control = list(rhoend = 1e-10, maxfun = 1e5), calc.derivs = FALSE)
  model <- mkMerMod(environment(devfun), opt, parsed$reTrms, fr = parsed$fr)
  variance <- as.data.frame(VarCorr(model))
  list(half_life = if (is.finite(half_life)) half_life else "none", REML = reml, criterion = opt$fval,
       estimate = unname(fixef(model)), std_error = unname(sqrt(diag(as.matrix(vcov(model))))),
       groups = variance$grp, vcov = variance$vcov,
       therapist = list(level = rownames(ranef(model)$therapist_id), estimate = ranef(model)$therapist_id[[1]]))
}

fits <- list()
for (half_life in c(Inf, 3)) for (reml in c(TRUE, FALSE)) fits[[length(fits) + 1]] <- fit(half_life, reml)
writeLines(toJSON(list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4"))),
                       data = "tests/golden/lme4/data/crossed.csv", fits = fits),
                  digits = NA, auto_unbox = TRUE, pretty = TRUE),
           "tests/golden/lme4_membership/membership.json", useBytes = TRUE)
