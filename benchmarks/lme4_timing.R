# Time lme4 on one data set:  OMP_NUM_THREADS=1 Rscript benchmarks/lme4_timing.R data.csv "formula" reps out.json
#
# CPU seconds (user + system, best of reps) of
#   call:      lmer(formula, frame, REML = TRUE) as a user writes it, from a data frame (calc.derivs = FALSE, all else default);
#   estimates: from parsed arrays to a fitted object: mkLmerDevfun + optimizeLmer + mkMerMod, the formula parsed beforehand.
# The caller sets OMP_NUM_THREADS=1, so that R's BLAS uses one thread; the setting found is written to the result.

suppressMessages(library(lme4))

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 4) stop("4 arguments are needed: data.csv \"formula\" reps out.json; found ", length(arguments))
reps <- suppressWarnings(as.integer(arguments[3]))
if (is.na(reps) || reps < 1) stop("reps must be a whole number of at least 1; found ", arguments[3])

# A plain formula of operators and names only: it is evaluated by R, so calls to anything else are refused.
read_formula <- function(text) {
  formula <- as.formula(text)
  called <- setdiff(all.names(formula), all.names(formula, functions = FALSE))
  strange <- setdiff(called, c("~", "+", "-", "*", ":", "/", "|", "||", "(", "^", "I"))
  if (length(strange) > 0) stop("The formula calls ", paste(strange, collapse = ", "), ": only operators are timed here")
  formula
}

# Ids and other grouping columns become factors (numeric ids too); everything else stays as read.
read_frame <- function(path, formula) {
  frame <- read.csv(path, stringsAsFactors = TRUE)
  missing <- setdiff(all.vars(formula), names(frame))
  if (length(missing) > 0) stop("The data have no column ", paste(missing, collapse = ", "))
  for (bar in findbars(formula)) for (name in all.vars(bar[[3]])) frame[[name]] <- factor(frame[[name]])
  frame
}

cpu_seconds <- function(run, prepare) {
  given <- prepare()
  gc(FALSE)
  before <- proc.time()
  value <- run(given)
  after <- proc.time()
  list(seconds = sum((after - before)[c("user.self", "sys.self")]), value = value)
}

best_of <- function(reps, run, prepare = function() NULL) {
  runs <- lapply(seq_len(reps), function(i) cpu_seconds(run, prepare))
  seconds <- vapply(runs, function(r) r$seconds, 0)
  list(best = min(seconds), all = seconds, value = runs[[length(runs)]]$value)
}

control <- lmerControl(calc.derivs = FALSE)
formula <- read_formula(arguments[2])
frame <- read_frame(arguments[1], formula)
parsed <- lFormula(formula, frame, REML = TRUE, control = control)

whole_call <- function(nothing) lmer(formula, frame, REML = TRUE, control = control)

# lme4's C++ writes the optimum back into the parsed arrays: without a fresh copy (made before the clock starts) the second
# repetition would start where the first one ended and take a quarter of the evaluations.
fresh_copy <- function() unserialize(serialize(parsed, NULL))

# optimizeLmer gets what lmer hands it with lmerControl(calc.derivs = FALSE).
from_arrays <- function(parsed) {
  devfun <- mkLmerDevfun(parsed$fr, parsed$X, parsed$reTrms, REML = TRUE, control = control)
  opt <- optimizeLmer(devfun, optimizer = control$optimizer, restart_edge = control$restart_edge,
                      boundary.tol = control$boundary.tol, control = control$optCtrl, calc.derivs = FALSE)
  mkMerMod(environment(devfun), opt, parsed$reTrms, fr = parsed$fr)
}

called <- best_of(reps, whole_call)
arrays <- best_of(reps, from_arrays, fresh_copy)
fit <- called$value

jsonlite::write_json(list(
  data = arguments[1], formula = deparse1(formula), reps = reps,
  lme4 = as.character(packageVersion("lme4")), R = R.version.string, blas = extSoftVersion()[["BLAS"]],
  omp_num_threads = Sys.getenv("OMP_NUM_THREADS", "not set"),
  n_obs = nobs(fit), n_groups = as.list(ngrps(fit)),
  call_seconds = called$best, call_seconds_all = I(called$all),
  estimates_seconds = arrays$best, estimates_seconds_all = I(arrays$all),
  evaluations = fit@optinfo$feval, evaluations_from_arrays = arrays$value@optinfo$feval,
  deviance = REMLcrit(fit), deviance_from_arrays = REMLcrit(arrays$value),
  fixef = as.list(fixef(fit)), theta = I(unname(getME(fit, "theta"))), sigma = sigma(fit),
  singular = isSingular(fit), messages = I(as.character(unlist(fit@optinfo$conv$lme4$messages)))),
  arguments[4], digits = NA, auto_unbox = TRUE, pretty = TRUE)
