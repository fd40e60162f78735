# Rscript tests/golden/pbkrtest/make_goldens.R        (from the root of the checkout; a few minutes)
# Kenward-Roger for every REML fit of tests/golden/lme4, at the polished theta that stands there.
# Writes kenward_roger.json: adjusted covariance, and degrees of freedom per coefficient.

suppressMessages({library(lme4); library(pbkrtest); library(jsonlite)})
for (part in c("dense.R", "solve.R", "record.R")) source(file.path("tests/golden/lme4", part))

kenward_roger <- function(data, fit) {
  formula <- as.formula(fit$formula)
  frame <- read.csv(file.path("tests/golden/lme4", data), stringsAsFactors = FALSE)
  parsed <- lFormula(formula, frame, REML = TRUE, control = lmerControl(check.nobs.vs.nRE = "ignore"))
  theta <- unlist(fit$theta)
  model <- model_at(parsed, TRUE, theta, formula)
  adjusted <- as.matrix(vcovAdj(model))
  p <- length(fixef(model))
  df <- vapply(seq_len(p), function(i) Lb_ddf(as.numeric(seq_len(p) == i), vcov(model), vcovAdj(model)), 0)
  list(formula = fit$formula, terms = names(fixef(model)), vcov_adjusted = unname(adjusted), df = df)
}

result <- list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4")),
                               pbkrtest = as.character(packageVersion("pbkrtest"))), fits = list())
for (path in sort(list.files("tests/golden/lme4", pattern = "\\.json$", full.names = TRUE))) {
  case <- sub("\\.json$", "", basename(path))
  if (case == "implement") next
  golden <- fromJSON(path, simplifyVector = FALSE)
  for (key in grep("_REML$", names(golden$fits), value = TRUE)) {
    label <- paste(case, key, sep = "/")
    one <- tryCatch(kenward_roger(golden$data, golden$fits[[key]]), error = function(e) list(error = conditionMessage(e)))
    one$data <- golden$data
    result$fits[[label]] <- one
    message(label, if (is.null(one$error)) " ok" else paste(" FAILED:", one$error))
  }
}
writeLines(toJSON(result, digits = NA, auto_unbox = TRUE, na = "null", pretty = TRUE),
           "tests/golden/pbkrtest/kenward_roger.json", useBytes = TRUE)
