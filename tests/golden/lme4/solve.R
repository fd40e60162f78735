# From a formula to an optimum that is exact to about 1e-10: lme4's own criterion, two optimisers, several starts,
# then Newton steps on the analytic gradient of dense.R.

TIGHT <- list(xtol_abs = 1e-10, ftol_abs = 1e-10, xtol_rel = 1e-10, ftol_rel = 1e-14, maxeval = 1e6)

# lme4's C++ writes through to the vectors it is given: two criteria made from one parsed formula share their memory, and
# evaluating one silently changes the other (and every model made from it). So each gets a copy of its own.
devfun_of <- function(parsed, reml) {
  own <- unserialize(serialize(parsed[c("fr", "X", "reTrms")], NULL))
  do.call(lme4::mkLmerDevfun, c(own, list(REML = reml)))
}

search_from <- function(devfun, theta) {
  run <- function(optimizer, control, start) {
    opt <- suppressWarnings(suppressMessages(lme4::optimizeLmer(
      devfun, optimizer = optimizer, start = list(theta = start), control = control, calc.derivs = FALSE)))
    list(theta = opt$par + 0, criterion = opt$fval)
  }
  nlopt <- run("nloptwrap", TIGHT, theta)
  bobyqa <- run("bobyqa", list(rhoend = 1e-10, maxfun = 1e5), nlopt$theta)
  list(nlopt = nlopt, bobyqa = bobyqa, best = if (bobyqa$criterion < nlopt$criterion) bobyqa else nlopt)
}

# Other starts: the first optimum with every entry stretched, the off-diagonal ones with either sign.
other_starts <- function(theta, lower, n) {
  floor <- ifelse(abs(theta) < 1e-6, 0.3, abs(theta))
  lapply(seq_len(n), function(i) {
    size <- floor * exp(stats::rnorm(length(theta), 0, 0.7))
    ifelse(lower == 0, size, size * sample(c(-1, 1), length(theta), replace = TRUE))
  })
}

# The entries of theta that belong to each term.
entries <- function(problem) {
  used <- 0
  lapply(problem$terms, function(term) {
    at <- used + seq_len(term$q * (term$q + 1) / 2)
    used <<- max(at)
    at
  })
}

# Put what is practically on the boundary exactly there. A 2 x 2 factor (0, b, c) describes the same covariance matrix as
# (0, sqrt(b^2 + c^2), 0), in which the first entry is free and the last on the boundary: the form in which the criterion
# is smooth around an optimum of rank one. "Near zero" is judged in units of the residual SD, whatever the covariate's.
onto_boundary <- function(problem, theta, near_zero = 5e-3) {
  free <- rep(TRUE, length(theta))
  for (k in seq_along(problem$terms)) {
    term <- problem$terms[[k]]
    at <- entries(problem)[[k]]
    diagonal <- at[problem$lower[at] == 0]
    small <- theta[diagonal] * term$size < near_zero
    if (term$q == 2 && small[1] && !all(small)) {
      theta[at] <- c(theta[at[1]], sqrt(sum(theta[at[2:3]]^2)), 0)
      small <- c(FALSE, TRUE)
    }
    free[diagonal[small]] <- FALSE
    theta[diagonal[small]] <- 0
  }
  list(theta = theta, free = free)
}

polish <- function(problem, theta) {
  start <- onto_boundary(problem, theta)
  theta <- start$theta
  free <- start$free
  size <- theta_sizes(problem)[free]
  put <- function(x) { full <- theta; full[free] <- x / size; full }
  gradient <- function(x) dense_gradient(problem, put(x))[free] / size
  last <- 0
  for (i in seq_len(if (any(free)) 8 else 0)) {
    x <- theta[free] * size
    H <- numDeriv::jacobian(gradient, x, method = "simple")
    step <- drop(scaled_inverse((H + t(H)) / 2) %*% gradient(x))
    theta <- put(x - step)
    last <- max(abs(step))
    if (last < 1e-13) break
  }
  list(theta = flip(theta, problem), free = free, last_step = last)
}

# lme4's convention: diagonal entries are not negative (a column may change its sign; where the diagonal entry is zero,
# its largest entry is made positive).
flip <- function(theta, problem) {
  unlist(lapply(factors_of(problem, theta), function(L) {
    for (c in seq_len(ncol(L))) {
      leading <- if (abs(L[c, c]) > 1e-10) c else which.max(abs(L[, c]))
      if (L[leading, c] < 0) L[, c] <- -L[, c]
    }
    L[abs(L) < 1e-14 * max(abs(L))] <- 0
    L[lower.tri(L, diag = TRUE)]
  }))
}

# Is it an optimum of the constrained problem? D is optimal on the cone of covariance matrices when G = d criterion / dD
# has no negative eigenvalue and G D = 0 (Karush-Kuhn-Tucker), both in units of the residual SD.
kkt <- function(problem, theta) {
  size <- lapply(problem$terms, function(term) term$size)
  G <- Map(function(G, s) G / outer(s, s), dense_gradient_D(problem, theta), size)
  L <- Map(function(L, s) L * s, factors_of(problem, theta), size)
  eigenvalues <- lapply(G, function(g) I(eigen(g, symmetric = TRUE, only.values = TRUE)$values))
  list(gradient_times_factor = max(abs(unlist(Map(function(G, L) G %*% L, G, L)))),
       eigenvalues_per_term = eigenvalues)
}

# Largest change of the relative covariances D between two theta, in units of the residual variance.
moved <- function(problem, one, two) {
  D <- function(theta) Map(function(L, term) tcrossprod(L * term$size), factors_of(problem, theta), problem$terms)
  max(abs(unlist(D(one)) - unlist(D(two))))
}

solve_tightly <- function(parsed, reml, n_starts = 8) {
  devfun <- devfun_of(parsed, reml)
  problem <- dense_problem(parsed, reml)
  first <- search_from(devfun, parsed$reTrms$theta)
  starts <- other_starts(first$best$theta, parsed$reTrms$lower, if (length(first$best$theta) > 1) n_starts else 0)
  searches <- c(list(first), lapply(starts, function(s) search_from(devfun, s)))
  values <- vapply(searches, function(s) s$best$criterion, 0)
  best <- searches[[which.min(values)]]
  polished <- polish(problem, best$best$theta)
  criterion <- devfun(polished$theta)
  c(polished, list(
    criterion = criterion, problem = problem,
    optimizers = list(nloptwrap = best$nlopt$criterion, bobyqa = best$bobyqa$criterion, starts = I(values)),
    optimizer_gap = abs(best$nlopt$criterion - best$bobyqa$criterion),
    polish_gap = best$best$criterion - criterion,
    polish_move = moved(problem, polished$theta, best$best$theta)))
}
