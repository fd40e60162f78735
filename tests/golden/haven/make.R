# Files that R and its package haven write, to be read by tests/data/test_read_r.py and test_read_statistical.py.
# Made with R 4.2.2 and haven (version below); run in this folder: Rscript make.R
library(haven)
clinic <- data.frame(
  id = c("007", "007", "012", NA), session = c(1L, 2L, 1L, 1L), wai = c(3.5, NA, 2.25, 4),
  phase = factor(c("early", "late", "early", "late")), day = as.Date(c("2021-01-05", "2021-01-12", NA, "2021-02-01")),
  at = as.POSIXct(c("2021-01-05 09:30:00", "2021-07-12 10:00:00", NA, "2021-02-01 00:00:00"), tz = "Europe/Berlin"),
  stringsAsFactors = FALSE
)
saveRDS(clinic, "clinic.rds")
other <- data.frame(a = 1:2, b = 3:4)
save(clinic, other, file = "two.RData")
save(clinic, file = "one.RData", ascii = TRUE, compress = FALSE)
saveRDS(1:5, "vector.rds", compress = "xz")
labelled <- data.frame(id = c("a", "b", "c"), session = 1)
labelled$wai <- labelled_spss(c(1, -99, 2), labels = c(low = 1, none = -99), na_values = -99, label = "WAI-SR mean")
saveRDS(labelled, "labelled.rds")
numbers <- data.frame(id = c("a", "b"), session = c(1, 2), wai = c(1.5, NA))
attr(numbers$wai, "label") <- "WAI-SR mean"
suppressWarnings(write_sas(numbers, "numbers.sas7bdat"))
write_xpt(numbers, "numbers.xpt", version = 8)
write_sav(labelled, "labelled.zsav", compress = "zsav")
writeLines(c(R.version.string, paste("haven", packageVersion("haven"))), "VERSIONS")
