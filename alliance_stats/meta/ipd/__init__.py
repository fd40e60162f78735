"""Meta-analysis of patients' data: a model in every study, then their coefficients together."""
