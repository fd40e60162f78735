# Rscript tests/golden/means/make_goldens.R        (from the root of the checkout; about half a minute)
# Marginal means, their differences and slopes from contrast matrices made by hand, tested by lmerTest::contest() with
# Satterthwaite's and with pbkrtest's Kenward-Roger degrees of freedom. Writes means.json. The fits use the data "unbalanced" of
# tests/golden/lme4 and a strict optimiser.

suppressMessages({library(lmerTest); library(pbkrtest); library(jsonlite)})
control <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), calc.derivs = FALSE)
frame <- read.csv("tests/golden/lme4/data/unbalanced.csv", stringsAsFactors = TRUE)
frame$arm <- factor(ifelse(as.integer(substring(as.character(frame$therapist_id), 2)) %% 2 == 1, "A", "B"))
frame$late <- as.numeric(frame$session > 3)

fixed <- outcome ~ alliance_within * phase + arm + late + poly(session, 2) + alliance_between
fit <- lmer(update(fixed, . ~ . + (1 | patient_id) + (1 | therapist_id)), frame, control = control)
plain <- lm(fixed, frame)  # knows how to compute poly() for other rows
rows_at <- function(grid) model.matrix(delete.response(terms(plain)), model.frame(delete.response(terms(plain)), grid, xlev = plain$xlevels))
means <- list(alliance_within = mean(frame$alliance_within), session = mean(frame$session), alliance_between = mean(frame$alliance_between))
grid_of <- function(...) do.call(expand.grid, c(modifyList(c(list(phase = levels(frame$phase), arm = levels(frame$arm), late = c(0, 1)), means), list(...)), stringsAsFactors = FALSE))

# rows of the grid averaged within each value of `by`; weights are the shares of the other categories' combinations
averaged <- function(by, ..., proportional = FALSE, over = c("phase", "arm", "late")) {
  grid <- grid_of(...)
  x <- rows_at(grid)
  other <- setdiff(over, by)
  w <- rep(1, nrow(grid))
  if (proportional && length(other)) {
    counts <- table(do.call(paste, frame[other]))
    w <- as.numeric(counts[do.call(paste, grid[other])]); w[is.na(w)] <- 0
  }
  key <- if (length(by)) do.call(paste, grid[by]) else rep("mean", nrow(grid))
  keys <- if (length(by)) unique(do.call(paste, grid[do.call(order, grid[by]), by, drop = FALSE])) else "mean"
  L <- t(sapply(keys, function(k) colSums(x[key == k, , drop = FALSE] * w[key == k]) / sum(w[key == k])))
  L
}
test <- function(L, tukey = FALSE) {
  one <- function(ddf) {
    table <- contest(fit, L, joint = FALSE, ddf = ddf, confint = TRUE)
    answer <- list(estimate = table$Estimate, std_error = table[["Std. Error"]], df = table$df, statistic = table[["t value"]],
                   ci_low = table$lower, ci_high = table$upper, p_value = table[["Pr(>|t|)"]])
    m <- nrow(L); p <- answer$p_value
    answer$holm <- p.adjust(p, "holm"); answer$bonferroni <- p.adjust(p, "bonferroni"); answer$sidak <- 1 - (1 - p)^m
    answer$half_bonferroni <- qt(1 - .05 / m / 2, table$df) * answer$std_error
    answer$half_sidak <- qt(1 - (1 - .95^(1 / m)) / 2, table$df) * answer$std_error
    if (tukey) {
      answer$tukey <- ptukey(sqrt(2) * abs(answer$statistic), tukey, table$df, lower.tail = FALSE)
      answer$half_tukey <- qtukey(.95, tukey, table$df) / sqrt(2) * answer$std_error
    }
    answer
  }
  list(weights = unname(L), labels = rownames(L), satterthwaite = one("Satterthwaite"), kenward_roger = one("Kenward-Roger"))
}
minus <- function(L, a, b) { d <- L[a, , drop = FALSE] - L[b, , drop = FALSE]; rownames(d) <- paste(rownames(L)[a], rownames(L)[b], sep = " - "); d }

phase <- averaged("phase")
both <- averaged(c("phase", "arm"))
at <- averaged(c("phase", "session"), session = c(1, 5, 10))
session <- averaged("session", session = c(1, 5, 9))
# d/dx of terms that are linear in x: rows at mean + 1 less rows at mean
within <- averaged("phase", alliance_within = means$alliance_within + 1) - averaged("phase")
# d/dx of a quadratic in x is the symmetric difference, whatever the step
curve <- do.call(rbind, lapply(c(1, 5, 10), function(s) (averaged(character(), session = s + .5) - averaged(character(), session = s - .5))))
rownames(curve) <- c(1, 5, 10)

result <- list(
  versions = list(R = R.version.string, lmerTest = as.character(packageVersion("lmerTest")), pbkrtest = as.character(packageVersion("pbkrtest")), lme4 = as.character(packageVersion("lme4"))),
  formula = "outcome ~ alliance_within * phase + arm + late + poly(session, 2) + alliance_between + (1 | patient_id) + (1 | therapist_id)",
  tests = list(
    phase = test(phase), proportional = test(averaged("phase", proportional = TRUE)), both = test(both), mean = test(averaged(character())),
    mean_proportional = test(averaged(character(), proportional = TRUE)), at = test(at),
    pairwise = test(minus(phase, c(2, 3, 3), c(1, 1, 2)), tukey = 3),
    pairwise_both = test(minus(both, c(2, 3, 4, 5, 6, 3, 4, 5, 6, 4, 5, 6, 5, 6, 6), c(1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 5)), tukey = 6),
    reference = test(minus(phase, 2:3, c(1, 1))), consecutive = test(minus(session, 2:3, 1:2)),
    slopes = test(within), slope_differences = test(minus(within, c(2, 3, 3), c(1, 1, 2)), tukey = 3), curve = test(curve)))
writeLines(toJSON(result, digits = NA, auto_unbox = TRUE), "tests/golden/means/means.json", useBytes = TRUE)
