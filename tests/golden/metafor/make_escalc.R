# Effect sizes of metafor's escalc(). Run in this folder: Rscript make_escalc.R
suppressMessages({library(metafor); library(jsonlite)})
r  <- c(.3, -.2, .05, .81, .5);  n <- c(20, 45, 150, 12, 60)
t  <- c(2.1, -.4, 3.3, 1.9, -2.7); m <- c(2, 3, 1, 4, 2); R2 <- c(.4, .12, .25, .6, .2)
m1 <- c(10, 3, 5.5, 8, 2); m2 <- c(8, 3.5, 5, 4, 2.2); sd1 <- c(3, 1.2, 2, 4.1, .8); sd2 <- c(2.5, 1.5, 2.2, 3, 1.1)
n1 <- c(20, 15, 80, 6, 30); n2 <- c(22, 40, 75, 9, 31)
a <- c(12, 0, 30, 5, 7); b <- c(8, 10, 12, 9, 3); c <- c(5, 4, 22, 6, 0); d <- c(15, 9, 18, 2, 11)
get <- function(...) { e <- escalc(...); list(yi = as.numeric(e$yi), vi = as.numeric(e$vi)) }
res <- list(
  COR = get("COR", ri = r, ni = n), UCOR = get("UCOR", ri = r, ni = n), ZCOR = get("ZCOR", ri = r, ni = n),
  PCOR = get("PCOR", ti = t, ni = n, mi = m),
  SPCOR = get("SPCOR", ti = t, ni = n, mi = m, r2i = R2),
  SMD = get("SMD", m1i = m1, m2i = m2, sd1i = sd1, sd2i = sd2, n1i = n1, n2i = n2),
  SMDH = get("SMDH", m1i = m1, m2i = m2, sd1i = sd1, sd2i = sd2, n1i = n1, n2i = n2),
  SMCC = get("SMCC", m1i = m1, m2i = m2, sd1i = sd1, sd2i = sd2, ri = r, ni = n),
  SMCR = get("SMCR", m1i = m1, m2i = m2, sd1i = sd1, ri = r, ni = n),
  OR = get("OR", ai = a, bi = b, ci = c, di = d),
  PHI = get("PHI", ai = a, bi = b, ci = c, di = d))
write_json(list(tool = paste("metafor", packageVersion("metafor"), R.version.string),
  input = list(r = r, n = n, t = t, predictors = m, r_squared = R2, m1 = m1, m2 = m2, sd1 = sd1, sd2 = sd2, n1 = n1, n2 = n2,
               a = a, b = b, c = c, d = d), result = res), "escalc.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
