"""The pipeline of a meta-analysis: a coding sheet to a report folder."""
