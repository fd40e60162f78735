"""The linear mixed-model engine, built on sufficient statistics."""
