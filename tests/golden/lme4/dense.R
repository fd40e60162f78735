# The mixed model by brute force: the whole n x n matrix V, no lme4 algebra. It serves three ends:
# an independent check of lme4's criterion and vcov(beta), an analytic gradient to polish the optimum
# far beyond what a derivative-free search can reach, and degrees of freedom without the noise of a
# numerical Hessian. Slow by design (n <= 800).
#
# y ~ N(X beta, sigma^2 V), V = I + sum over terms k and effects r, s of D_k[r,s] A_r A_s',
# A_r (n x levels) holding effect r of term k in the column of the row's level, D_k = L_k L_k',
# theta = the lower triangles of the L_k, column by column (Bates et al., 2015, JSS 67(1)).

dense_problem <- function(parsed, reml) {
  re <- parsed$reTrms
  Z <- as.matrix(Matrix::t(re$Zt))
  terms <- lapply(seq_along(re$cnms), function(k) {
    q <- length(re$cnms[[k]])
    Zk <- Z[, (re$Gp[k] + 1):re$Gp[k + 1], drop = FALSE]
    A <- lapply(seq_len(q), function(r) Zk[, seq(r, ncol(Zk), by = q), drop = FALSE])
    # size: root mean square of each effect's covariate; theta times size is free of the covariate's units
    list(q = q, A = A, size = vapply(A, function(a) sqrt(mean(rowSums(a)^2)), 0))
  })
  list(y = as.numeric(model.response(parsed$fr)), X = unname(parsed$X[, , drop = FALSE]), reml = reml,
       terms = terms, lower = re$lower)
}

# One number per entry of theta: the size of its row's effect.
theta_sizes <- function(problem) {
  unlist(lapply(problem$terms, function(term) {
    S <- matrix(term$size, term$q, term$q)
    S[lower.tri(S, diag = TRUE)]
  }))
}

factors_of <- function(problem, theta) {
  used <- 0
  lapply(problem$terms, function(term) {
    L <- matrix(0, term$q, term$q)
    size <- term$q * (term$q + 1) / 2
    L[lower.tri(L, diag = TRUE)] <- theta[used + seq_len(size)]
    used <<- used + size
    L
  })
}

covariance <- function(problem, theta) {
  V <- diag(length(problem$y))
  L <- factors_of(problem, theta)
  for (k in seq_along(L)) {
    q <- problem$terms[[k]]$q
    for (c in seq_len(q)) {  # V = I + sum of (A L_c)(A L_c)' over the columns of L
      W <- Reduce(`+`, lapply(seq_len(q), function(r) problem$terms[[k]]$A[[r]] * L[[k]][r, c]))
      V <- V + tcrossprod(W)
    }
  }
  V
}

# Generalised least squares at theta: criterion (sigma profiled out), beta, sigma, (X'V^-1 X)^-1.
dense_solution <- function(problem, theta) {
  n <- length(problem$y); p <- ncol(problem$X)
  R <- chol(covariance(problem, theta))
  half <- function(M) backsolve(R, M, transpose = TRUE)
  x <- half(problem$X); y <- half(problem$y)
  RX <- chol(crossprod(x))
  C <- chol2inv(RX)
  beta <- C %*% crossprod(x, y)
  rss <- sum((y - x %*% beta)^2)
  m <- if (problem$reml) n - p else n
  criterion <- 2 * sum(log(diag(R))) + m * (1 + log(2 * pi * rss / m))
  if (problem$reml) criterion <- criterion + 2 * sum(log(diag(RX)))
  list(criterion = criterion, beta = drop(beta), C = C, rss = rss, m = m, sigma = sqrt(rss / m), R = R)
}

# d criterion / d D_k for every term, at a given sigma (default: the profiled one).
dense_gradient_D <- function(problem, theta, sigma = NULL) {
  at <- dense_solution(problem, theta)
  s2 <- if (is.null(sigma)) at$sigma^2 else sigma^2
  Vi <- chol2inv(at$R)
  ViX <- Vi %*% problem$X
  Py <- drop(Vi %*% (problem$y - problem$X %*% at$beta))
  M <- if (problem$reml) Vi - ViX %*% at$C %*% t(ViX) else Vi
  lapply(problem$terms, function(term) {
    G <- matrix(0, term$q, term$q)
    aPy <- lapply(term$A, function(A) drop(crossprod(A, Py)))
    for (s in seq_len(term$q)) {
      MA <- M %*% term$A[[s]]
      for (r in seq_len(term$q)) G[r, s] <- sum(term$A[[r]] * MA) - sum(aPy[[r]] * aPy[[s]]) / s2
    }
    (G + t(G)) / 2
  })
}

# d criterion / d theta: dD = dL L' + L dL', hence 2 G L on the lower triangle.
dense_gradient <- function(problem, theta, sigma = NULL) {
  G <- dense_gradient_D(problem, theta, sigma)
  L <- factors_of(problem, theta)
  unlist(Map(function(G, L) (2 * G %*% L)[lower.tri(L, diag = TRUE)], G, L))
}

# Inverse of a symmetric matrix whose rows may have very different units; directions without curvature are left out.
scaled_inverse <- function(H, tolerance = 1e-7) {
  s <- 1 / sqrt(pmax(abs(diag(H)), .Machine$double.xmin))
  e <- eigen(H * outer(s, s), symmetric = TRUE)
  keep <- abs(e$values) > tolerance
  V <- e$vectors[, keep, drop = FALSE]
  (V %*% (t(V) / e$values[keep])) * outer(s, s)
}

# Satterthwaite: df_j = 2 v_j^2 / (g_j' A g_j), A = 2 H^-1, H = Hessian of the criterion in (free theta, sigma),
# from Richardson differences of the analytic gradient; g_j = gradient of v_j = Var(beta_j).
dense_satterthwaite <- function(problem, theta, free) {
  at <- dense_solution(problem, theta)
  size <- theta_sizes(problem)[free]
  put <- function(phi) { full <- theta; full[free] <- phi[-length(phi)] / size; full }
  score <- function(phi) {
    sigma <- phi[length(phi)]
    d_sigma <- 2 * at$m / sigma - 2 * dense_solution(problem, put(phi))$rss / sigma^3
    c(dense_gradient(problem, put(phi), sigma)[free] / size, d_sigma)
  }
  variances <- function(phi) phi[length(phi)]^2 * diag(dense_solution(problem, put(phi))$C)
  phi <- c(theta[free] * size, at$sigma)
  H <- numDeriv::jacobian(score, phi)
  A <- 2 * scaled_inverse((H + t(H)) / 2)
  g <- numDeriv::jacobian(variances, phi)
  2 * variances(phi)^2 / rowSums((g %*% A) * g)
}
