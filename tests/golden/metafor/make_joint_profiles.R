# Profile-likelihood intervals of a joint second stage: variances and correlation of rma.mv(random = ~ term | study).
# Data: "made" in ../two_stage/two_stage.json (25 studies, two terms, three effects missing), and three terms made here.
# Run in this folder: Rscript make_joint_profiles.R
suppressMessages({library(metafor); library(jsonlite)})
given <- fromJSON("../two_stage/two_stage.json")$made
long <- function(B, V) list(y = as.numeric(t(B)), W = as.matrix(Matrix::bdiag(V)), term = rep(letters[seq_len(ncol(B))], nrow(B)),
                            study = rep(seq_len(nrow(B)), each = ncol(B)))
V <- lapply(seq_len(dim(given$v)[1]), function(i) given$v[i, , ])
M <- long(given$y, V); keep <- setdiff(seq_along(M$y), given$gone)
two <- list(y = M$y[keep], W = M$W[keep, keep], term = M$term[keep], study = M$study[keep])
set.seed(11); n <- 18
S <- lapply(1:n, function(i) { A <- matrix(rnorm(9), 3); round(crossprod(A) * .01 + diag(.02, 3), 5) })
T <- matrix(c(.10, .04, -.03, .04, .08, .02, -.03, .02, .12), 3)
E <- round(t(sapply(S, function(s) MASS::mvrnorm(1, c(.2, 0, -.4), T + s))), 5)
three <- long(E, S)
fit <- function(d, struct, method) rma.mv(d$y, d$W, mods = ~ 0 + term, random = ~ term | study, struct = struct, method = method,
  data = data.frame(term = factor(d$term), study = d$study),
  control = list(optimizer = "nlminb", rel.tol = 1e-10, iter.max = 100000, eval.max = 100000))
# confint() finds the ends by uniroot: its tolerance on the parameter is given here
ends <- function(f, ...) { one <- confint(f, ..., control = list(tol = 1e-9, maxiter = 10000))$random
  list(estimate = one[1, 1], low = one[1, 2], high = one[1, 3]) }
profiles <- function(d, struct, method) {
  f <- fit(d, struct, method); p <- length(f$tau2)
  list(ll = as.numeric(logLik(f)), tau2 = lapply(seq_len(p), function(j) ends(f, tau2 = j)),
       rho = if (struct == "UN") lapply(seq_along(f$rho), function(j) ends(f, rho = j)) else list()) }
found <- list()
for (st in c("UN", "DIAG")) for (me in c("REML", "ML")) found[[paste("two", st, me)]] <- profiles(two, st, me)
found[["three UN REML"]] <- profiles(three, "UN", "REML")
write_json(list(tool = paste("metafor", packageVersion("metafor"), R.version.string), three = list(y = E, v = S), profiles = found),
           "joint_profiles.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
