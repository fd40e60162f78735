# Goldens of psychometric meta-analyses. Debian's r-cran-psychometric 2.3 and r-cran-metafor 3.8-1; R 4.2.2.
#   Rscript make_goldens.R > goldens.json
# The two published examples (Hunter, Schmidt & Jackson, 1982, table 3.5; Arthur, Bennett & Huffcutt, 2001, table 3.2)
# come with the package psychometric. "by_hand" is computed here along the books' steps with uniroot() in place of
# inverses, grad by Richardson extrapolation in place of derivatives, and loops over all cells.
suppressMessages({library(psychometric); library(metafor); library(jsonlite)})
data(HSJt35); data(ABHt32)
published <- lapply(list(HSJt35 = HSJt35, ABHt32 = ABHt32), function(d) {
  table <- MetaTable(d)
  list(data = as.list(d[, c("study", "Rxy", "n", "Rxx", "Ryy", "u")]), table = as.list(table),
       artefacts = varAV(d), residual = varResT(d), error = vare(d))
})

studies <- data.frame(
  r = c(.21, .35, -.08, .44, .29, .17, .52, .31, .26, .38), n = c(40, 85, 33, 120, 64, 210, 51, 75, 96, 150),
  rxx = c(.91, .84, .78, .88, .93, .81, .86, .90, .75, .83), ryy = c(.70, .82, .76, .65, .88, .79, .73, .85, .68, .80),
  u = c(.72, .85, .65, .92, .78, .60, 1.10, .81, .70, .88))

# unequal n: Q and the mean; equal n: tau2 too
bare <- function(r, n) {
  dat <- escalc(measure = "COR", ri = r, ni = n, vtype = "AV")
  weighted <- rma(yi, vi, weights = n, data = dat, method = "HS"); plain <- rma(yi, vi, data = dat, method = "HS")
  unbiased <- rma(yi, vi, data = dat, method = "HSk")
  ci <- confint(plain)$random
  list(mean = as.numeric(coef(weighted)), Q = plain$QE, tau2 = plain$tau2, tau2_k = unbiased$tau2,
       ci = unname(ci["tau^2", c("ci.lb", "ci.ub")]))
}

case2 <- function(R, u) u * R / sqrt(1 + (u^2 - 1) * R^2)
# expected r by steps: a population with unit variances, restricted, then with errors put on
shrink <- function(rho, rxxa, ryy, u, restriction, y_whole) {
  if (y_whole) rho <- rho * sqrt(ryy)
  if (restriction == "direct") r <- case2(rho * sqrt(rxxa), u)
  else { # u of true scores
    true_var <- u^2 * rxxa
    r <- case2(rho, u) * sqrt(true_var / (true_var + 1 - rxxa))
  }
  if (y_whole) r else r * sqrt(ryy)
}
grad <- function(f, x, h = 1e-3) { # Richardson, error of order h^6
  d <- function(h) (f(x + h) - f(x - h)) / (2 * h)
  (64 * d(h / 4) - 20 * d(h / 2) + d(h)) / 45
}
prepare <- function(d, restriction, group) {
  if (restriction == "none") { d$a <- d$rxx; d$w <- 1; return(d) }
  d$a <- if (group == "restricted") 1 - d$u^2 * (1 - d$rxx) else d$rxx
  d$w <- if (restriction == "indirect") sqrt((d$u^2 - (1 - d$a)) / d$a) else d$u
  d
}
weigh <- function(x, w) sum(w * x) / sum(w)
solve_rho <- function(r, a, y, w, restriction, y_whole)
  uniroot(function(rho) shrink(rho, a, y, w, restriction, y_whole) - r, c(-.9999, .9999), tol = 1e-15)$root
hand <- function(d, restriction, group) {
  y_whole <- restriction != "none" && group == "unrestricted"
  d <- prepare(d, restriction, group); kind <- if (restriction == "none") "direct" else restriction
  mean_r <- weigh(d$r, d$n); e <- (1 - mean_r^2)^2 / (d$n - 1)
  rho <- mapply(function(r, a, y, w) solve_rho(r, a, y, w, kind, y_whole), d$r, d$a, d$ryy, d$w)
  slope <- mapply(function(p, a, y, w) 1 / grad(function(x) shrink(x, a, y, w, kind, y_whole), p), rho, d$a, d$ryy, d$w)
  A <- d$r / rho; weight <- d$n * A^2; m <- weigh(rho, weight)
  individual <- list(rho = rho, factor = A, mean = m, observed = weigh((rho - m)^2, weight),
                     error = weigh(e * slope^2, weight))
  q <- list(x = sqrt(d$a), y = sqrt(d$ryy), w = d$w)
  at <- sapply(q, mean); v <- sapply(q, function(x) mean((x - mean(x))^2))
  f <- function(p, x, y, w) shrink(p, x^2, y^2, w, kind, y_whole)
  centre <- uniroot(function(p) f(p, at[1], at[2], at[3]) - mean_r, c(-.9999, .9999), tol = 1e-15)$root
  b <- c(grad(function(x) f(centre, x, at[2], at[3]), at[1]), grad(function(y) f(centre, at[1], y, at[3]), at[2]),
         grad(function(w) f(centre, at[1], at[2], w), at[3]))
  b0 <- grad(function(p) f(p, at[1], at[2], at[3]), centre)
  cells <- expand.grid(x = q$x, y = q$y, w = q$w); each <- f(centre, cells$x, cells$y, cells$w)
  list(restriction = restriction, group = group, individual = individual,
       taylor = list(rho = unname(centre), artefacts = sum(b^2 * v), slope = unname(1 / b0)),
       interactive = mean((each - mean(each))^2), mean_r = mean_r, error = weigh(e, d$n),
       observed = weigh((d$r - mean_r)^2, d$n))
}
schemes <- list(c("none", "restricted"), c("direct", "restricted"), c("direct", "unrestricted"),
                c("indirect", "restricted"), c("indirect", "unrestricted"))
out <- list(versions = list(R = R.version.string, psychometric = as.character(packageVersion("psychometric")),
                            metafor = as.character(packageVersion("metafor"))),
            published = published, studies = as.list(studies), bare = bare(studies$r, studies$n),
            equal = bare(studies$r, rep(60, 10)), by_hand = lapply(schemes, function(s) hand(studies, s[1], s[2])))
cat(toJSON(out, digits = I(16), auto_unbox = TRUE, na = "null", pretty = TRUE), "\n")
