"""Pooling of effect sizes: arrays in, arrays out."""
