"""Tidy frames in, artefacts out: tables, figures, sentences, documents. Estimates nothing."""
