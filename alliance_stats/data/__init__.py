"""Any file to a session table: readers, schema, faults, codebook, data sets."""
