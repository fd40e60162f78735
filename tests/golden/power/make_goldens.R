# Goldens of power: R 4.2.2's noncentral distributions; Satterthwaite and HTZ degrees of freedom by Debian's clubSandwich
# on fits of metafor 3.8-1; the law of Q by Imhof's integral.   Rscript make_goldens.R > goldens.json
suppressMessages({library(metafor); library(clubSandwich); library(jsonlite)})
v <- 1 / (c(25, 40, 40, 60, 80, 110, 150, 60, 33, 95) - 3); m <- c(1, 2, 5, 3, 2, 4, 1, 6, 2, 3)
o <- order(v, m); v <- v[o]; m <- m[o]; k <- length(v) # the plan is ordered by precision
tau2 <- .15^2; omega2 <- .1^2; rho <- .6; alpha <- .05
two <- function(ncp, df) { c <- qt(1 - alpha / 2, df)
  if (is.infinite(df)) pnorm(ncp - c) + pnorm(-ncp - c) else 1 - pt(c, df, ncp) + pt(-c, df, ncp) }
w <- 1 / (v + tau2); lambda <- .2 * sqrt(sum(w))
mean <- list(z = two(lambda, Inf), knha = two(lambda, k - 1), greater = 1 - pt(qt(.95, k - 1), k - 1, lambda),
             fixed = two(.2 * sqrt(sum(1 / v)), Inf))
group <- rep(1:2, 5); W <- tapply(w, group, sum); theta <- c(.1, .35); bar <- sum(W * theta) / sum(W)
ncp <- sum(W * (theta - bar)^2)
groups <- list(ncp = ncp, z = 1 - pchisq(qchisq(.95, 1), 1, ncp), knha = 1 - pf(qf(.95, 1, k - 2), 1, k - 2, ncp))
W3 <- tapply(c(w, w, w)[1:30], rep(1:3, 10), sum); three <- c(.1, .2, .4); bar <- sum(W3 * three) / sum(W3)
ncp3 <- sum(W3 * (three - bar)^2)
groups3 <- list(W = unname(W3), ncp = ncp3, z = 1 - pchisq(qchisq(.95, 2), 2, ncp3), knha = 1 - pf(qf(.95, 2, 27), 2, 27, ncp3))
imhof <- function(x, weights) { # Imhof (1961)
  f <- function(u) sapply(u, function(u) {
    theta <- .5 * sum(atan(weights * u)) - .5 * x * u
    sin(theta) / (u * prod((1 + weights^2 * u^2)^.25)) })
  .5 + integrate(f, 0, Inf, subdivisions = 20000, rel.tol = 1e-11)$value / pi
}
P <- diag(1 / v) - outer(1 / v, 1 / v) / sum(1 / v); S <- diag(sqrt(v + tau2))
weights <- head(eigen(S %*% P %*% S, symmetric = TRUE)$values, k - 1)
q <- list(power = imhof(qchisq(.95, k - 1), weights),
          equal = 1 - pchisq(qchisq(.95, k - 1) / (1 + tau2 * 57), k - 1))
s2 <- tau2 + rho * v + (omega2 + (1 - rho) * v) / m; u <- 1 / s2
set.seed(1); y <- rnorm(k); study <- 1:k; x <- c(-1.2, .4, .9, -.3, 2.1, -.7, .1, 1.4, -1.9, .6); three_groups <- factor(rep(1:3, length.out = k))
fit <- rma(y, s2, method = "FE"); slope <- rma(y, s2, mods = ~ x, method = "FE")
by_group <- rma(y, s2, mods = ~ three_groups, method = "FE"); two_groups <- rma(y, s2, mods = ~ factor(group), method = "FE")
df <- function(f) coef_test(f, vcov = "CR2", cluster = study)$df
ht <- function(f, at) Wald_test(f, constraints = constrain_zero(at), vcov = "CR2", cluster = study)$df_denom
robust <- list(weights = u, mean = df(fit)[1], slope = df(slope)[2], x = x, groups3 = ht(by_group, 2:3), groups2 = ht(two_groups, 2),
  power = two(.2 * sqrt(sum(u)), df(fit)[1]))
cat(toJSON(list(v = v, m = m, mean = mean, groups = groups, groups3 = groups3, q = q, robust = robust,
  versions = list(R = R.version.string, clubSandwich = as.character(packageVersion("clubSandwich")))), digits = I(16), auto_unbox = TRUE, pretty = TRUE), "\n")
