# Joint tests and saddlepoint p values of clubSandwich for a regression whose data are made by a formula.
#
#   Rscript joint_tests.R      writes joint_tests.json beside itself
suppressMessages({library(clubSandwich); library(jsonlite)})

cluster <- rep(1:14, times = c(1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 2, 3, 4, 6))
k <- length(cluster)
i <- seq_len(k)
x1 <- cluster %% 3
x2 <- sin(i)
x3 <- ((i * 7) %% 11) / 11
x4 <- as.numeric(cluster > 9)
y <- 0.3 * x1 + 0.2 * x2 + sin(1.7 * i) + cos(2.3 * cluster)
fit <- lm(y ~ x1 + x2 + x3 + x4)

joint <- function(places, test) {
  found <- Wald_test(fit, constraints = constrain_zero(places), vcov = "CR2", cluster = cluster, test = test)
  list(places = places, test = test, Fstat = found$Fstat, df_num = found$df_num,
       df_denom = if (is.finite(found$df_denom)) found$df_denom else "Inf", p_val = found$p_val)
}
tests <- c("HTZ", "HTA", "HTB", "EDF", "EDT", "Naive-F", "chi-sq")
joints <- list()
for (places in list(2:3, 2:4, 2:5)) for (test in tests) joints[[length(joints) + 1]] <- joint(places, test)

saddle <- function() {
  found <- coef_test(fit, vcov = "CR2", cluster = cluster, test = "saddlepoint")
  list(beta = found$beta, SE = found$SE, saddlepoint = found$saddlepoint, p = found$p_saddle)
}
result <- list(
  tool = paste0("clubSandwich ", packageVersion("clubSandwich"), ", ", R.version.string),
  cluster = cluster, x = unname(as.matrix(model.matrix(fit))), y = y,
  joint = joints, saddlepoint = saddle()
)
where <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
write(toJSON(result, digits = NA, auto_unbox = TRUE, matrix = "rowmajor"), file.path(where, "joint_tests.json"))
