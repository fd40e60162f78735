"""Centring, lags, therapist episodes, formulas: from a frame to the arrays that a model takes."""
