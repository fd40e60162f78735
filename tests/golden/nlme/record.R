# From a formula and a residual structure to what is written down: search from several starts, Newton steps to a gradient
# of zero, dense inference. Sourced by the scripts of nlme, glmmtmb, dense_residual and lme4_weights, after dense.R.

# Starts: where the tool stopped (if any), and random ones around it.
starts_of <- function(problem, first, n) {
  one <- if (is.null(first)) c(theta_start(problem), residual_start(problem)) else first
  c(list(one), lapply(seq_len(n), function(i) {
    theta <- theta_start(problem) * exp(rnorm(problem$n_theta, 0, 0.7))
    off <- problem$lower != 0
    theta[off] <- rnorm(sum(off), 0, 0.3) / problem$size[seq_len(problem$n_theta)][off]
    rest <- residual_start(problem)
    if (problem$correlation != "none") rest[1] <- if (problem$correlation == "ar1") runif(1, -0.6, 0.8) else runif(1, 0.1, 0.9)
    c(theta, rest)
  }))
}

theta_start <- function(problem) {
  ifelse(problem$lower == 0, 0.8, 0) / problem$size[seq_len(problem$n_theta)]
}

residual_start <- function(problem) {
  c(if (problem$correlation != "none") 0.3, rep(0, nlevels(problem$stratum) - 1))
}

solve_dense <- function(problem, first = NULL, n_starts = 4) {
  searches <- lapply(starts_of(problem, first, n_starts), function(par) search_dense(problem, par))
  values <- vapply(searches, function(s) s$criterion, 0)
  polished <- polish_dense(problem, searches[[which.min(values)]]$par)
  c(polished, list(criterion = solution_at(problem, polished$par)$criterion, starts = I(values)))
}

variance_rows <- function(problem, theta, sigma) {
  rows <- list()
  L <- factors_of(problem, theta)
  for (k in seq_along(L)) {
    D <- sigma^2 * tcrossprod(L[[k]])
    names <- problem$groups[[k]]
    for (i in seq_along(names)) for (j in seq_len(i)) {
      rows[[length(rows) + 1]] <- data.frame(
        grp = names(problem$groups)[k], var1 = names[j], var2 = if (i == j) NA else names[i], vcov = D[i, j],
        sdcor = if (i == j) sqrt(D[i, i]) else D[i, j] / sqrt(D[i, i] * D[j, j]))
    }
  }
  lapply(as.list(do.call(rbind, rows)), I)
}

record_dense <- function(problem, solved, levels_of) {
  at <- solution_at(problem, solved$par)
  values <- parts(problem, solved$par)
  vcov <- at$sigma^2 * at$C
  named <- function(x) as.list(setNames(x, problem$names))
  n <- length(problem$y)
  k <- ncol(problem$X) + sum(vapply(problem$terms, function(t) t$q * (t$q + 1) / 2, 0)) + n_residual(problem) + 1
  strata <- if (nlevels(problem$stratum) == 1) NULL else
    as.list(setNames(at$sigma * values$ratios, levels(problem$stratum)))
  c(list(criterion = at$criterion, log_likelihood = -at$criterion / 2, n_parameters = k, n_obs = n,
         estimate = named(at$beta), std_error = named(sqrt(diag(vcov))), vcov = vcov, sigma = at$sigma,
         residual_sd = strata, correlation = if (problem$correlation == "none") NULL else values$rho,
         variance = variance_rows(problem, values$theta, at$sigma),
         satterthwaite_df = named(satterthwaite(problem, solved$par, solved$held)),
         kenward_roger_first_order = if (problem$reml) kenward_roger(problem, solved$par, solved$held),
         random = as.list(random_effects(problem, solved$par, levels_of)),
         found = list(par = I(solved$par), last_newton_step = solved$last_step, gradient = solved$gradient,
                      least_curvature = solved$least_curvature, held_at_zero = I(which(solved$held)),
                      held_gradient = I(solved$held_gradient), starts = solved$starts)))
}

# The levels in the order of the columns of Z, term by term.
levels_in <- function(formula, frame) {
  re <- lme4::lFormula(formula, frame)$reTrms
  lapply(attr(re$flist, "assign"), function(k) levels(re$flist[[k]]))
}

tool_versions <- function(packages) {
  c(list(R = R.version.string), lapply(setNames(nm = packages), function(p) as.character(packageVersion(p))))
}

write_golden <- function(golden, path) {
  writeLines(toJSON(golden, digits = NA, auto_unbox = TRUE, na = "null", null = "null", pretty = TRUE), path, useBytes = TRUE)
}

# Our call, as the golden keeps it: the arguments of als.mixed.
our_call <- function(formula, reml, how) {
  arguments <- list(formula = formula, method = if (reml) "REML" else "ML", residual = how$residual, residual_time = how$time,
                    residual_group = how$group, variance = how$stratum, weights = how$weights, offset = how$offset)
  list(call = Filter(Negate(is.null), arguments))
}

problem_of <- function(formula, frame, reml, how) {
  residual_problem(as.formula(formula), frame, reml, correlation = if (is.null(how$residual)) "none" else how$residual,
                   time = how$time, group = how$group, stratum = how$stratum, weights = how$weights, offset = how$offset)
}

tell <- function(case, key, fit, tool_gap = NA, default_gap = NA) {
  f <- fit$found
  cat(sprintf("%-20s %-28s %.8f rho %s starts %.1e step %.1e gradient %.1e curvature %.1e tool's criterion - dense there %.1e, above optimum %.1e\n",
              case, key, fit$criterion, format(fit$correlation, digits = 4), max(f$starts) - min(f$starts), f$last_newton_step, f$gradient,
              f$least_curvature, tool_gap, default_gap))
}
