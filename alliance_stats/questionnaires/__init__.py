"""Questionnaires: scoring keys, scores, their reliability, and reliable change."""
