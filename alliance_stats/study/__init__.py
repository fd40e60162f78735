"""The one pipeline: sessions to a report folder."""
