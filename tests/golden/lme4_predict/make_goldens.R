# Rscript tests/golden/lme4_predict/make_goldens.R        (from the root of the checkout; seconds)
# Point predictions of lme4's predict(), for the rows of the fit and for new rows, and its scaled residuals.
# Writes predictions.json. The fits use the data of tests/golden/lme4 and a strict optimiser.

suppressMessages({library(lme4); library(splines); library(jsonlite)})
control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), check.conv.grad = "ignore")

# a known patient with a therapist that she never met; a new patient of a known therapist; nobody known
crossed_new <- function(frame) {
  ids <- sort(unique(frame$patient_id)); therapists <- sort(unique(frame$therapist_id))
  met <- frame$therapist_id[frame$patient_id == ids[1]]
  data.frame(
    patient_id = c(ids[1], ids[2], "new", "new"),
    therapist_id = c(setdiff(therapists, met)[1], frame$therapist_id[frame$patient_id == ids[2]][1], therapists[3], "new"),
    session0 = c(0, 3.5, 2, 12), after_change = c(0, 1, 1, 0), since = c(0, 2, 1, 0))
}
cases <- list(
  crossed = list(data = "crossed",
    formula = "alliance ~ session0 + after_change + since + (1 + session0 | patient_id) + (1 | therapist_id)",
    new = crossed_new, levels = list(all = NULL, patient_id = ~(1 + session0 | patient_id), therapist_id = ~(1 | therapist_id))),
  poly = list(data = "growth", formula = "alliance ~ poly(session0, 2) + (1 + session0 | patient_id)",
    new = function(frame) data.frame(patient_id = c(sort(unique(frame$patient_id))[1:2], "new"), session0 = c(1.5, 20, 4)),
    levels = list(all = NULL)),
  scale = list(data = "growth", formula = "alliance ~ scale(session0) + (1 | patient_id)",
    new = function(frame) data.frame(patient_id = c(sort(unique(frame$patient_id))[1:2], "new"), session0 = c(1.5, 20, 4)),
    levels = list(all = NULL)))

result <- list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4"))), cases = list())
for (name in names(cases)) {
  case <- cases[[name]]
  frame <- read.csv(file.path("tests/golden/lme4/data", paste0(case$data, ".csv")), colClasses = c(patient_id = "character"))
  fit <- lmer(as.formula(case$formula), frame, control = control)
  new <- case$new(frame)
  predictions <- lapply(case$levels, function(re) unname(predict(fit, new, re.form = re, allow.new.levels = TRUE)))
  predictions$population <- unname(predict(fit, new, re.form = NA))
  result$cases[[name]] <- list(
    data = case$data, formula = case$formula, new = as.list(new), predictions = predictions,
    fitted = unname(fitted(fit)), scaled_residuals = unname(residuals(fit, scaled = TRUE)),
    population = unname(predict(fit, re.form = NA)))
}
writeLines(toJSON(result, digits = NA, auto_unbox = TRUE, pretty = TRUE),
           "tests/golden/lme4_predict/predictions.json", useBytes = TRUE)
