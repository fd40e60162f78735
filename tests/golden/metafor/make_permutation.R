# Exact permutation test of metafor's permutest(). Run in this folder: Rscript make_permutation.R
suppressMessages({library(metafor); library(jsonlite)})
yi <- c(.12, .45, .33, -.1, .62, .2); vi <- c(.02, .05, .013, .04, .031, .022); x <- c(1, 2.5, 3.1, -.4, 4.2, 1.9); z <- c(0, 1, 1, 0, 1, 0)
p <- permutest(rma(yi, vi, mods = ~ x + z, method = "DL"), exact = TRUE, progbar = FALSE)
write_json(list(tool = paste("metafor", packageVersion("metafor"), R.version.string), yi = yi, vi = vi, x = x, z = z, pval = p$pval, QMp = p$QMp),
           "permutation.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
