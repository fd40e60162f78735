# Mixed models with residual structures by brute force: the whole n x n matrix V. No algebra of nlme, glmmTMB or lme4
# is used; lme4 only reads the formula. Sourced by the scripts of nlme, glmmtmb, dense_residual and lme4_weights.
#
# y - offset ~ N(X beta, sigma^2 V),  V = Z D Z' + S C S,  D = L L' as in ../lme4/dense.R (theta = entries of L),
# C[i,j] = rho^|t_i - t_j| inside a residual group, 0 outside; S = diag(ratio of the row's stratum / sqrt(weight)).
# Parameters: (theta, rho, log of the ratios of all strata but the first). sigma is profiled out where it can be.

suppressMessages({library(lme4); library(numDeriv); library(jsonlite)})
source("tests/golden/lme4/dense.R")  # dense_problem, factors_of, covariance, theta_sizes, scaled_inverse

residual_problem <- function(formula, frame, reml, correlation = "none", time = NULL, group = NULL, stratum = NULL,
                             weights = NULL, offset = NULL) {
  # the check compares random effects with *independent* residuals; here a residual group may have one row per level
  parsed <- lme4::lFormula(formula, frame, REML = reml)
  problem <- dense_problem(parsed, reml)
  problem$names <- colnames(parsed$X)
  problem$groups <- lapply(parsed$reTrms$cnms, identity)
  if (!is.null(offset)) problem$y <- problem$y - frame[[offset]]
  problem$w <- if (is.null(weights)) rep(1, nrow(frame)) else frame[[weights]]
  problem$stratum <- if (is.null(stratum)) factor(rep("all", nrow(frame))) else factor(frame[[stratum]])
  problem$correlation <- correlation
  problem$gap <- if (correlation == "none") NULL else abs(outer(frame[[time]], frame[[time]], "-"))
  problem$same <- if (correlation == "none") diag(nrow(frame)) else
    outer(as.character(frame[[group]]), as.character(frame[[group]]), "==") + 0
  problem$size <- c(theta_sizes(problem), rep(1, n_residual(problem)))
  problem$n_theta <- length(theta_sizes(problem))
  problem
}

n_residual <- function(problem) (problem$correlation != "none") + nlevels(problem$stratum) - 1

parts <- function(problem, par) {
  rest <- par[-seq_len(problem$n_theta)]
  rho <- if (problem$correlation == "none") 0 else rest[1]
  logs <- c(0, if (problem$correlation == "none") rest else rest[-1])
  list(theta = par[seq_len(problem$n_theta)], rho = rho, ratios = exp(logs))
}

# rho^gap; a negative rho has a meaning at whole gaps only
power <- function(rho, gap) if (rho >= 0) rho^gap else ifelse(round(gap) %% 2 == 0, 1, -1) * (-rho)^gap

correlations <- function(problem, rho) if (problem$correlation == "none") problem$same else problem$same * power(rho, problem$gap)

V_of <- function(problem, par) {
  at <- parts(problem, par)
  s <- at$ratios[as.integer(problem$stratum)] / sqrt(problem$w)
  covariance(problem, at$theta) - diag(length(s)) + outer(s, s) * correlations(problem, at$rho)
}

# Derivatives of V in every parameter, as whole matrices.
dV_of <- function(problem, par) {
  at <- parts(problem, par)
  s <- at$ratios[as.integer(problem$stratum)] / sqrt(problem$w)
  R <- outer(s, s) * correlations(problem, at$rho)
  L <- factors_of(problem, at$theta)
  random <- list()
  for (k in seq_along(L)) for (c in seq_len(ncol(L[[k]]))) {  # D = sum of L_c L_c', d/dL[r,c]: A_r (A L_c)' + its transpose
    A <- problem$terms[[k]]$A
    W <- Reduce(`+`, lapply(seq_along(A), function(r) A[[r]] * L[[k]][r, c]))
    for (r in c:nrow(L[[k]])) {
      half <- tcrossprod(A[[r]], W)
      random[[length(random) + 1]] <- half + t(half)
    }
  }
  residual <- list()
  if (problem$correlation != "none") {
    slope <- problem$gap * power(at$rho, pmax(problem$gap - 1, 0) * (problem$gap > 0)) *
      ifelse(problem$gap > 0 & problem$gap < 1, abs(at$rho)^(problem$gap - 1), 1)
    residual[[1]] <- outer(s, s) * problem$same * slope
  }
  for (level in levels(problem$stratum)[-1]) {
    here <- (problem$stratum == level) + 0
    residual[[length(residual) + 1]] <- R * outer(here, here, "+")
  }
  c(random, residual)
}

solution_at <- function(problem, par, V = V_of(problem, par)) {
  n <- length(problem$y); p <- ncol(problem$X)
  R <- chol(V)
  x <- backsolve(R, problem$X, transpose = TRUE)
  y <- backsolve(R, problem$y, transpose = TRUE)
  RX <- chol(crossprod(x))
  C <- chol2inv(RX)
  beta <- C %*% crossprod(x, y)
  rss <- sum((y - x %*% beta)^2)
  m <- if (problem$reml) n - p else n
  dets <- 2 * sum(log(diag(R))) + (if (problem$reml) 2 * sum(log(diag(RX))) else 0)
  list(criterion = dets + m * (1 + log(2 * pi * rss / m)), dets = dets, beta = drop(beta), C = C, rss = rss, m = m,
       sigma = sqrt(rss / m), R = R)
}

# d criterion / d par at a given sigma (default: the profiled one).
gradient_at <- function(problem, par, sigma = NULL) {
  at <- solution_at(problem, par)
  s2 <- if (is.null(sigma)) at$sigma^2 else sigma^2
  Vi <- chol2inv(at$R)
  ViX <- Vi %*% problem$X
  Py <- drop(Vi %*% (problem$y - problem$X %*% at$beta))
  M <- if (problem$reml) Vi - ViX %*% at$C %*% t(ViX) else Vi
  vapply(dV_of(problem, par), function(d) sum(M * d) - sum(Py * (d %*% Py)) / s2, 0)
}

# ---- the optimum -----------------------------------------------------------------------------------------------------

# Search space without bounds (rho by tanh, or by the logistic function for car1), then Newton in the parameters themselves.
free_form <- function(problem) {
  at <- problem$n_theta + 1
  has <- problem$correlation != "none"
  list(
    put = function(x) {
      par <- x / problem$size
      if (has) par[at] <- if (problem$correlation == "ar1") tanh(x[at]) else plogis(x[at])
      par
    },
    take = function(par) {
      x <- par * problem$size
      if (has) x[at] <- if (problem$correlation == "ar1") atanh(par[at]) else qlogis(par[at])
      x
    },
    slope = function(x) {
      d <- 1 / problem$size
      if (has) d[at] <- if (problem$correlation == "ar1") 1 - tanh(x[at])^2 else plogis(x[at]) * (1 - plogis(x[at]))
      d
    })
}

search_dense <- function(problem, par) {
  form <- free_form(problem)
  guard <- function(f, bad) function(x) tryCatch(f(x), error = function(e) bad)
  value <- guard(function(x) solution_at(problem, form$put(x))$criterion, 1e10)
  slope <- guard(function(x) gradient_at(problem, form$put(x)) * form$slope(x), rep(0, length(par)))
  found <- optim(form$take(par), value, slope, method = "BFGS", control = list(maxit = 300, reltol = 1e-13))
  list(par = form$put(found$par), criterion = found$value)
}

# theta whose diagonal entry is (nearly) zero at the optimum is put there and held; everything else takes Newton steps.
polish_dense <- function(problem, par) {
  lower <- problem$lower == 0
  held <- c(lower & abs(par[seq_len(problem$n_theta)] * problem$size[seq_len(problem$n_theta)]) < 1e-3,
            rep(FALSE, length(par) - problem$n_theta))
  par[held] <- 0
  put <- function(x) { full <- par; full[!held] <- x / problem$size[!held]; full }
  score <- function(x) gradient_at(problem, put(x))[!held] / problem$size[!held]
  x <- par[!held] * problem$size[!held]
  last <- NA
  for (i in 1:8) {
    H <- numDeriv::jacobian(score, x)
    step <- drop(solve((H + t(H)) / 2, score(x)))
    x <- x - step
    last <- max(abs(step))
    if (last < 1e-11) break
  }
  theta <- flip_signs(problem, put(x)[seq_len(problem$n_theta)])
  par <- c(theta, put(x)[-seq_len(problem$n_theta)])
  curvature <- eigen((H + t(H)) / 2, symmetric = TRUE, only.values = TRUE)$values
  list(par = par, held = held, last_step = last, gradient = max(abs(gradient_at(problem, par)[!held])),
       least_curvature = min(curvature), held_gradient = gradient_D_diagonal(problem, par, held))
}

# d criterion / d variance for terms of one effect that are held at zero: positive means that zero is the optimum.
gradient_D_diagonal <- function(problem, par, held) {
  if (!any(held)) return(numeric(0))
  base <- solution_at(problem, par)$criterion
  vapply(which(held), function(k) {
    moved <- par
    moved[k] <- 1e-4 / problem$size[k]
    (solution_at(problem, moved)$criterion - base) / 1e-8
  }, 0)
}

flip_signs <- function(problem, theta) {
  unlist(lapply(factors_of(problem, theta), function(L) {
    for (c in seq_len(ncol(L))) if (L[c, c] < 0) L[, c] <- -L[, c]
    L[lower.tri(L, diag = TRUE)]
  }))
}

# ---- inference: sigma joins the parameters ---------------------------------------------------------------------------

# Covariance of (free parameters, sigma^2): twice the inverse of the observed Hessian of -2 log L, from Richardson differences
# of the analytic gradient, taken in (parameters in units of their size, sigma).
parameter_covariance <- function(problem, par, held) {
  at <- solution_at(problem, par)
  size <- problem$size[!held]
  put <- function(phi) { full <- par; full[!held] <- phi[-length(phi)] / size; full }
  score <- function(phi) {
    sigma <- phi[length(phi)]
    c(gradient_at(problem, put(phi), sigma)[!held] / size,
      2 * at$m / sigma - 2 * solution_at(problem, put(phi))$rss / sigma^3)
  }
  H <- numDeriv::jacobian(score, c(par[!held] * size, at$sigma))
  units <- c(1 / size, 2 * at$sigma)
  2 * scaled_inverse((H + t(H)) / 2) * outer(units, units)
}

# Derivatives of sigma^2 V in (free parameters, sigma^2).
derivatives_at <- function(problem, par, held) {
  s2 <- solution_at(problem, par)$sigma^2
  c(lapply(dV_of(problem, par)[!held], function(d) d * s2), list(V_of(problem, par)))
}

# Satterthwaite: df_j = 2 v_j^2 / (g_j' A g_j), A the covariance of the parameters, g_j the gradient of v_j = Var(beta_j): with
# Phi the covariance of beta, d Phi = -Phi dInformation Phi. Where the gradient of the criterion is zero the result does not
# depend on how the parameters are expressed.
satterthwaite <- function(problem, par, held) {
  at <- solution_at(problem, par)
  Phi <- at$sigma^2 * at$C
  Vi <- chol2inv(at$R) / at$sigma^2
  A <- parameter_covariance(problem, par, held)
  VX <- Vi %*% problem$X
  g <- vapply(derivatives_at(problem, par, held), function(d) diag(Phi %*% crossprod(VX, d %*% VX) %*% Phi), Phi[, 1])
  2 * diag(Phi)^2 / rowSums((g %*% A) * g)
}

# Kenward and Roger (1997) without the term in second derivatives of V ("first order"): with it the result depends on the
# parametrisation, without it not. For variances that enter V linearly the two are the same; with the expected information
# they are then pbkrtest's. Here with the inverse of either information: expected (of REML), or observed.
kenward_roger <- function(problem, par, held) {
  at <- solution_at(problem, par)
  Vi <- chol2inv(at$R) / at$sigma^2
  X <- problem$X
  Phi <- at$sigma^2 * at$C
  P <- Vi - Vi %*% X %*% Phi %*% t(X) %*% Vi
  d <- derivatives_at(problem, par, held)
  k <- length(d)
  PdP <- lapply(d, function(one) P %*% one)
  dVX <- lapply(d, function(one) one %*% Vi %*% X)
  Pk <- lapply(dVX, function(one) -crossprod(Vi %*% X, one))
  information <- matrix(0, k, k)
  for (i in seq_len(k)) for (j in seq_len(k)) information[i, j] <- sum(PdP[[i]] * t(PdP[[j]])) / 2
  scale <- 1 / sqrt(diag(information))
  expected <- solve(information * outer(scale, scale)) * outer(scale, scale)
  with_weights <- function(W) {
    U <- 0
    for (i in seq_len(k)) for (j in seq_len(k))
      U <- U + W[i, j] * (crossprod(dVX[[i]], Vi %*% dVX[[j]]) - Pk[[i]] %*% Phi %*% Pk[[j]])
    adjusted <- Phi + 2 * Phi %*% U %*% Phi
    slopes <- lapply(Pk, function(one) Phi %*% one %*% Phi)
    list(std_error = I(sqrt(diag(adjusted))), df = I(vapply(seq_len(ncol(X)), function(r) one_df(slopes, W, Phi, r), 0)))
  }
  list(expected = with_weights(expected), observed = with_weights(parameter_covariance(problem, par, held)))
}

# Degrees of freedom of a single coefficient, where Kenward and Roger's A1 and A2 are the same number.
one_df <- function(slopes, W, Phi, r) {
  moved <- vapply(slopes, function(one) one[r, r] / Phi[r, r], 0)
  A <- drop(moved %*% W %*% moved)
  g <- (2 * A - 5 * A) / (3 * A)
  c <- c(g, 1 - g, 3 - g) / (3 + 2 * (1 - g))
  B <- 7 * A / 2
  E <- 1 / (1 - A)
  V <- 2 * (1 + c[1] * B) / ((1 - c[2] * B)^2 * (1 - c[3] * B))
  4 + 3 / (V / (2 * E^2) - 1)
}

# ---- random effects --------------------------------------------------------------------------------------------------

# b = sigma^2 D Z' (sigma^2 V)^-1 (y - X beta), by term, effect and level.
random_effects <- function(problem, par, levels_of) {
  at <- solution_at(problem, par)
  r <- problem$y - problem$X %*% at$beta
  w <- backsolve(at$R, backsolve(at$R, r, transpose = TRUE))
  L <- factors_of(problem, parts(problem, par)$theta)
  do.call(rbind, lapply(seq_along(L), function(k) {
    term <- problem$terms[[k]]
    Zw <- do.call(cbind, lapply(term$A, function(A) crossprod(A, w)))  # levels x effects
    b <- Zw %*% tcrossprod(L[[k]])
    data.frame(group = names(problem$groups)[k], level = rep(levels_of[[k]], term$q),
               term = rep(problem$groups[[k]], each = nrow(b)), estimate = as.vector(b))
  }))
}
