# Small files as R itself writes them, in the shapes of the registered data sets; no value is anybody's.
#   Rscript tests/golden/rdata/make_files.R        (R 4.2.2; from this folder)
values <- array(seq(-1, 1, length.out = 2 * 3 * 12), c(2, 3, 12))
values[2, 3, 1] <- NA
saveRDS(list(data = values, ymiss = 1 * is.na(values)), "arrays.rds", version = 2)
occasions <- c(paste0("s", 0:12), "fu1", "fu2")
wide <- data.frame(id = 1:3)
for (k in seq_along(occasions)) wide[[paste0("bdi_", occasions[k])]] <- c(30L, 20L, 10L) - k
for (k in seq_along(occasions)) wide[[paste0("rq_", occasions[k])]] <- c(40, 30, 20) - k
wide$bdi_s2[2] <- NA
wide$rq_s2[2] <- NA
wide$bdi_s5[3] <- NA
sgdata <- structure(wide, class = c("tbl_df", "tbl", "data.frame"))
save(sgdata, file = "wide.RData", version = 2)
saveRDS("a text", "text.rds", version = 2)
