"""Reliability of questionnaires: arrays of items in, coefficients with intervals out."""
